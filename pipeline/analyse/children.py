"""Workers that this server runs: child processes on pipes, begun anew when they die, ended when they say nothing.

Knows nothing of what they do. A child's orders come on its stdin, one JSON line; then the board's calls (pipe_desk.py).
"""

import signal
import sys
from collections.abc import Callable
from subprocess import PIPE
from typing import Final

import anyio
import structlog
from anyio.abc import ByteReceiveStream, Process

from pipeline.analyse.local_board import LocalBoard
from pipeline.analyse.pipe_desk import serve_pipe
from pipeline.clock import AwakeClock, Clock
from pipeline.errors import WorkerFailed

log = structlog.get_logger(__name__)

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 30.0
_LOOK_S: Final = 1.0
_LIVED_S: Final = 20.0
_STILL_S: Final = 1.0
"""Beyond a lease: a worker renews also while it has nothing; one that is still for longer is frozen, or in a loop."""

_START_S: Final = 60.0
"""From the start of a worker to its first word: a large model is loaded in this time."""
_GRACE_S: Final = 3.0
_WATCH_S: Final = 0.25


class _Noticed(ByteReceiveStream):
    """A pipe that says when something came last."""

    def __init__(self, stream: ByteReceiveStream, clock: Clock) -> None:
        self.last_s = clock.monotonic_s()
        self.has_begun = False
        self._stream = stream
        self._clock = clock

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self._stream.receive(max_bytes)
        self.last_s = self._clock.monotonic_s()
        self.has_begun = True
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()


class WorkerChildren:
    """Attributes for the metrics page: alive, restarts.

    order: the first line of a worker of this name, without its end; it holds a token and is never logged.
    is_wanted: whether there is anything to do for one; while there is not, none is begun.
    """

    def __init__(
        self, count: int, lease_s: float, board: LocalBoard, order: Callable[[str], bytes],
        is_wanted: Callable[[], bool], clock: Clock,
    ) -> None:  # fmt: skip
        self._still_s = lease_s + _STILL_S
        self._clock = AwakeClock(clock)
        self.alive = 0
        self.restarts = 0
        self._count = count
        self._board = board
        self._order = order
        self._is_wanted = is_wanted
        self._processes: set[Process] = set()

    @property
    def process_ids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def run(self) -> None:
        """Until cancelled; then they are asked to stop, and ended where they do not."""
        async with anyio.create_task_group() as tasks:
            for number in range(self._count):
                tasks.start_soon(self._keep, f"worker-{number + 1}")

    def reload(self) -> None:
        """Each worker gives its work back at a silence, ends, and is begun anew with the models of then."""
        for process in self._processes:
            process.send_signal(signal.SIGHUP)

    async def _keep(self, name: str) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            while not self._is_wanted():
                await anyio.sleep(_LOOK_S)
            began_s = anyio.current_time()
            code = await self._live(name)
            self.restarts += 1
            lived_s = anyio.current_time() - began_s
            pause_s = _FIRST_PAUSE_S if lived_s > _LIVED_S else min(2 * pause_s, _LONGEST_PAUSE_S)
            log.warning("a worker ended", worker=name, code=code, lived_s=round(lived_s, 1), again_in_s=pause_s)
            await anyio.sleep(pause_s)

    async def _live(self, name: str) -> int:
        """One life; its exit code."""
        process = await anyio.open_process(
            [sys.executable, "-m", "pipeline.worker"], stdin=PIPE, stdout=PIPE, stderr=None, start_new_session=True
        )
        self._processes.add(process)
        self.alive += 1
        try:
            if process.stdin is None or process.stdout is None:
                raise WorkerFailed("a worker has no pipes")
            noticed = _Noticed(process.stdout, self._clock)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, process, noticed)
                await process.stdin.send(self._order(name) + b"\n")
                await serve_pipe(self._board, name, noticed, process.stdin)
                tasks.cancel_scope.cancel()
        except* (WorkerFailed, anyio.BrokenResourceError, anyio.ClosedResourceError) as group:
            log.error("a worker broke its pipe", worker=name, kind=type(group.exceptions[0]).__name__)
        finally:
            self._processes.discard(process)
            self.alive -= 1
            with anyio.CancelScope(shield=True):
                code = await _ended(process)
        return code

    async def _watch(self, process: Process, noticed: _Noticed) -> None:
        while self._clock.monotonic_s() - noticed.last_s < (self._still_s if noticed.has_begun else _START_S):
            await anyio.sleep(_WATCH_S)
        log.error("a worker said nothing for too long and is ended", pid=process.pid)
        process.kill()


async def _ended(process: Process) -> int:
    """SIGTERM, and SIGKILL where that is not enough. Only ever on a child of ours that still runs."""
    if process.returncode is None:
        if process.stdin is not None:
            await process.stdin.aclose()  # nobody answers it any more: it must not wait to give its leases back
        process.terminate()
        with anyio.move_on_after(_GRACE_S):
            await process.wait()
    if process.returncode is None:
        process.kill()
    code = await process.wait()
    await process.aclose()
    return code
