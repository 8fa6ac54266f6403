"""Simulated devices publish over real RTMP to a server of others: Debian's ffmpeg."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import av
import numpy as np
import pytest

from pipeline.simulate import burnin
from pipeline.simulate.fleet import Fleet
from pipeline.simulate.orders import Order, to_line
from pipeline.simulate.schedule import Schedule
from tests.tools import needs

pytestmark = needs("ffmpeg")

KEY = "a-very-secret-key"
ONE_DEVICE = {"devices": [{"name": "one", "scene": "market", "says": ["sample01"]}], "repeat_s": 60}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """An ffmpeg that takes one publisher and writes what it sends to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"rtmp://127.0.0.1:{free_port()}/live/{KEY}"
        self._process = subprocess.Popen(
            ["ffmpeg", "-v", "error", "-y", "-listen", "1", "-i", self.url, "-c", "copy", str(path)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self) -> None:
        self._process.wait(30)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "out.mp4")
    yield made
    made.kill()


def plan(*faults: tuple[float, str, float]) -> Schedule:
    planned = [{"at_s": at, "device": "one", "fault": what, "for_s": long} for at, what, long in faults]
    return Schedule.model_validate({**ONE_DEVICE, "faults": planned})


async def run_for(fleet: Fleet, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await fleet.run()


def test_a_device_publishes_pictures_that_tell_their_moment_at_real_time_pace(server: Server) -> None:
    said: list[str] = []
    fleet = Fleet(plan((2, "silent", 1)), {"one": server.url}, said.append)
    began_ms = time.time() * 1000
    anyio.run(run_for, fleet, 7.0)
    ended_ms = time.time() * 1000
    server.wait()
    with av.open(str(server.path)) as container:
        read = [burnin.read(frame.to_ndarray(format="gray").astype(np.uint8)) for frame in container.decode(video=0)]
        moments = [each.utc_ms for each in read if each is not None]
        numbers = [each.frame_number for each in read if each is not None]
    assert len(moments) == len(read) > 75
    assert began_ms < moments[0] < moments[-1] < ended_ms
    assert np.diff(numbers).min() >= 1
    assert abs((moments[-1] - moments[0]) / (numbers[-1] - numbers[0]) - 40) < 1
    assert any("goes silent" in line for line in said)
    assert not any(KEY in line for line in said)


def test_a_planned_silence_is_heard_as_silence(server: Server) -> None:
    anyio.run(run_for, Fleet(plan((1, "silent", 1.5)), {"one": server.url}, lambda _: None), 7.0)
    server.wait()
    with av.open(str(server.path)) as container:
        loudest = [float(np.abs(frame.to_ndarray()).max()) for frame in container.decode(audio=0)]
    silent_s = sum(value < 1e-4 for value in loudest[2:]) * 1024 / 48_000
    assert 1.2 < silent_s < 1.8


def test_a_dropped_device_says_no_goodbye_and_comes_back(tmp_path: Path) -> None:
    first = Server(tmp_path / "first.mp4")
    said: list[str] = []

    async def drop_and_return() -> list[list[int]]:
        fleet = Fleet(plan((0.5, "dropped", 3)), {"one": first.url}, said.append)
        seen: list[list[int]] = []
        async with anyio.create_task_group() as group:
            group.start_soon(fleet.run)
            with anyio.fail_after(15):
                for is_awaited in (True, False, True):
                    while bool(fleet.process_ids) != is_awaited:
                        await anyio.sleep(0.05)
                    seen.append(fleet.process_ids)
            group.cancel_scope.cancel()
        return seen

    before, away, after = anyio.run(drop_and_return)
    first.kill()
    assert away == []
    assert before != after
    assert not any("process ended" in line for line in said)


def test_no_child_outlives_the_fleet(server: Server) -> None:
    seen: list[int] = []

    async def cancel_it() -> None:
        fleet = Fleet(plan(), {"one": server.url}, lambda _: None)
        async with anyio.create_task_group() as group:
            group.start_soon(fleet.run)
            while not fleet.process_ids:
                await anyio.sleep(0.02)
            seen.extend(fleet.process_ids)
            group.cancel_scope.cancel()

    anyio.run(cancel_it)
    for process_id in seen:
        with pytest.raises(ProcessLookupError):
            os.kill(process_id, 0)


def test_a_device_whose_parent_died_ends_by_itself_and_shows_its_key_nowhere(server: Server) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline.simulate.device"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdin.write(to_line(Order(server.url, "market", ("sample01",))))
    child.stdin.flush()
    assert child.stdout.readline() == b"pictures\n"
    assert KEY not in Path(f"/proc/{child.pid}/cmdline").read_text(encoding="utf-8")
    assert KEY not in Path(f"/proc/{child.pid}/environ").read_text(encoding="utf-8")
    child.stdin.close()
    assert child.wait(30) == 0
    assert child.stderr.read() == b""


def test_a_device_without_a_server_keeps_trying_and_tells_no_key() -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/{KEY}"
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline.simulate.device"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(to_line(Order(url, "market", ("sample01",))))
    child.stdin.flush()
    assert [child.stdout.readline() for _ in range(2)] == [b"lost\n"] * 2
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=10)
    assert KEY.encode() not in errors
