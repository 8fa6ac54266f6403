"""The simulated devices of the demo, each in a child process, and their planned faults. Knows nothing of the server."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Final

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream

from pipeline.simulate.orders import FaultOrder, Order, to_line
from pipeline.simulate.schedule import Due, Fault, Schedule, SimulatedDevice

_FIRST_BACK_OFF_S: Final = 1.0
_LAST_BACK_OFF_S: Final = 15.0
_STARTUP_S: Final = 1.2
"""From the start of a child to its first picture; a dropped device is started this much before it is due."""
_GRACE_S: Final = 2.0
"""From SIGTERM to SIGKILL."""
_FIRST_PICTURES_S: Final = 15.0
"""The plan begins without a device that shows nothing for this long."""
_WORDS: Final = {
    Fault.DROPPED: "loses its connection",
    Fault.COVERED: "has its lens covered",
    Fault.FROZEN: "freezes",
    Fault.SILENT: "goes silent",
}

Say = Callable[[str], None]


class Fleet:
    """Runs the devices until cancelled.

    urls: the publish URL of each device, by name; handed to the child on stdin, never shown.
    say: takes one line for people at a time.
    """

    def __init__(self, schedule: Schedule, urls: Mapping[str, str], say: Say) -> None:
        self.has_begun = anyio.Event()
        """The plan runs from here."""
        self._schedule = schedule
        self._say = say
        self._children = {device.name: Child(device, urls[device.name], say) for device in schedule.devices}

    @property
    def process_ids(self) -> list[int]:
        """Of the children that run now."""
        return [child.process.pid for child in self._children.values() if child.process is not None]

    async def run(self) -> None:
        """Starts and supervises the children and plays the schedule; when cancelled, ends every child first."""
        async with anyio.create_task_group() as group:
            for child in self._children.values():
                group.start_soon(child.run)
            await self._wait_for_pictures()
            await self._play()

    async def _wait_for_pictures(self) -> None:
        with anyio.move_on_after(_FIRST_PICTURES_S):
            for child in self._children.values():
                await child.has_pictures.wait()

    async def _play(self) -> None:
        began_s = anyio.current_time()
        self.has_begun.set()
        for due in self._schedule.cycle(0):
            self._say(f"  planned after {due.at_s:g} s: {_sentence(due)}, again every {self._schedule.repeat_s:g} s")
        number = 0
        while self._schedule.faults:
            for due in self._schedule.cycle(number):
                await anyio.sleep_until(began_s + due.at_s)
                self._say(f"  {due.at_s:g} s: {_sentence(due)}")
                await self._children[due.device].suffer(due)
            number += 1


class Child:
    """One device's process: started, started again when it dies, and ended when we are cancelled."""

    def __init__(self, device: SimulatedDevice, url: str, say: Say) -> None:
        self.process: Process | None = None
        self.has_pictures = anyio.Event()
        self._device = device
        self._url = url
        self._say = say
        self._away_s = 0.0
        """Seconds a planned drop still lasts; 0 while none is on."""

    async def run(self) -> None:
        """Until cancelled."""
        back_off_s = _FIRST_BACK_OFF_S
        while True:
            started_s = anyio.current_time()
            code = await self._live()
            if self._away_s > 0:
                pause_s, self._away_s = max(0.0, self._away_s - _STARTUP_S), 0.0
            else:
                if anyio.current_time() - started_s > _LAST_BACK_OFF_S:
                    back_off_s = _FIRST_BACK_OFF_S
                self._say(f"  {self._device.name}: its process ended ({code}); starts again in {back_off_s:g} s")
                pause_s, back_off_s = back_off_s, min(back_off_s * 2, _LAST_BACK_OFF_S)
            await anyio.sleep(pause_s)

    async def suffer(self, due: Due) -> None:
        """Begins the fault; a device that is away just now is spared."""
        if self.process is None or self.process.stdin is None or self.process.returncode is not None:
            return
        if due.fault is Fault.DROPPED:
            self._away_s = due.for_s
            self.process.kill()
            return
        try:
            await self.process.stdin.send(to_line(FaultOrder(due.fault.value, due.for_s)))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # it died this moment; `run` starts it again

    async def _live(self) -> int:
        """One life of the process; its exit code."""
        process = await anyio.open_process(
            [sys.executable, "-m", "pipeline.simulate.device"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            start_new_session=True,  # Ctrl-C is for the server; it ends us, and we end the children
        )
        self.process = process
        try:
            await self._follow(process)
            return await process.wait()
        finally:
            self.process = None
            with anyio.CancelScope(shield=True):
                await _end(process)

    async def _follow(self, process: Process) -> None:
        """Until the process closes its stdout."""
        if process.stdin is None or process.stdout is None:
            raise AssertionError("open_process was asked for pipes")
        order = Order(self._url, self._device.scene.value, self._device.says)
        try:
            await process.stdin.send(to_line(order))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # it died at once
        async for text in TextReceiveStream(process.stdout):
            if "pictures" in text:
                self.has_pictures.set()


async def _end(process: Process) -> None:
    """SIGTERM, and SIGKILL where that is not enough. Only ever on a child of ours that still runs."""
    if process.returncode is None:
        process.terminate()
        with anyio.move_on_after(_GRACE_S):
            await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()


def _sentence(due: Due) -> str:
    return f"{due.device} {_WORDS[due.fault]} for {due.for_s:g} s"
