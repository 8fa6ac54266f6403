"""The media side whose machine fails it: a disk that is slow, a clock that jumps, demuxers that go wrong.

What must stay true is said by each test. The parts are the program's own, in this process, so that disk, clock and
demuxer can be given to them.
"""

import io
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import anyio
import av
import pytest

from api.tickets import Tickets
from cases.access import Access
from pipeline.app import Runtime
from pipeline.clock import SystemClock
from pipeline.errors import AccessDenied, KeyUnknown, OnRecordError, RateLimited
from pipeline.events import ClockStepped, RecordingFailed
from pipeline.hub import Stream
from pipeline.ingest.push import Pushes
from pipeline.media import Fragment, Item
from pipeline.publishing import DevicePublication
from pipeline.record.chain_check import check_chain
from pipeline.record.disk import SystemDisk
from pipeline.record.verify import verify
from pipeline.settings import PushSettings, RecordSettings, Settings
from tests.made import VIDEO, ManualClock, packet
from tests.unit.ingest.test_demux import made
from tests.unit.record.material import sequences

GOP = 25
SYNC_S = 5.0
MOST_LAG_S = 0.5


def manifest(folder: Path) -> str:
    return (folder / "manifest.jsonl").read_text()


def folder_of(runtime: Runtime, stream: Stream) -> Path:
    [found] = [
        each.parent for each in runtime.recordings.rglob("manifest.jsonl") if stream.stream_id in each.read_text()
    ]
    return found


class Camera:
    """A device that publishes pictures as its test tells it."""

    def __init__(self, runtime: Runtime, access: Access, name: str) -> None:
        self._runtime = runtime
        self._key = access.add_device(name)[1]
        self._publication = self._come()
        self._pictures = 0

    def _come(self) -> DevicePublication:
        publication = self._runtime.publications.open(self._key, "", lambda _: None)
        publication.set_tracks((VIDEO,))
        return publication

    @property
    def stream(self) -> Stream:
        assert self._publication.stream is not None
        return self._publication.stream

    def film(self, pictures: int, captured_at: float = 1_700_000_000.0) -> None:
        for _ in range(pictures):
            made = packet(self._pictures * 3600, is_key=self._pictures % GOP == 0)
            self._publication.publish(made._replace(captured_at=captured_at))
            self._pictures += 1

    def lose(self) -> None:
        self._publication.lost("out of reach")

    def come_back(self) -> None:
        self._publication = self._come()

    def end(self) -> None:
        self._publication.end("over")


class Viewer:
    """Notes what it is offered."""

    def __init__(self, stream: Stream) -> None:
        self.seen: list[int] = []
        stream.attach(self)

    def offer(self, item: Item) -> None:
        if isinstance(item, Fragment):
            self.seen.append(item.sequence)


class SlowDisk(SystemDisk):
    """Each sync stands until the test lets it go; SYNC_S at most, so that a loop that waits for it is seen to."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Semaphore(0)
        self.is_slow = True
        self.begun = 0

    def _stand(self) -> None:
        self.begun += 1
        if self.is_slow:
            self.let_go.acquire(timeout=SYNC_S)

    def sync(self, descriptor: int) -> None:
        self._stand()
        super().sync(descriptor)

    def sync_folder(self, path: Path) -> None:
        self._stand()
        super().sync_folder(path)


def test_a_disk_that_takes_5_s_to_sync_delays_no_viewer_and_loses_nothing(tmp_path: Path) -> None:
    """While syncs stand, each for 5 s of media: viewers get every fragment at once, the event loop never stands, no
    alarm and no gap; and when the disk is well again the recordings are whole."""
    disk = SlowDisk()
    clock = ManualClock()
    settings = Settings(data=tmp_path, record=RecordSettings(segment_s=2.0, sync_interval_s=0.01, min_free_bytes=0))
    lag_s = [0.0]

    async def watch_the_loop() -> None:
        while True:
            began_s = time.perf_counter()
            await anyio.sleep(0.01)
            lag_s.append(time.perf_counter() - began_s)

    async def act(access: Access) -> tuple[Runtime, list[Camera]]:
        runtime = Runtime(settings, access, clock, disk=disk)
        cameras = [Camera(runtime, access, f"camera {number}") for number in range(3)]
        viewers = [Viewer(camera.stream) for camera in cameras]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runtime.recorder.run)
            tasks.start_soon(watch_the_loop)
            filmed = 0
            for stands in range(1, 9):
                with anyio.fail_after(20):
                    while disk.begun < stands:
                        for camera in cameras:
                            camera.film(0 if filmed else 1)
                        filmed = max(filmed, 1)
                        await anyio.sleep(0.01)
                for _ in range(int(SYNC_S * 25)):
                    for camera in cameras:
                        camera.film(1)
                    clock.now_s += 0.04
                    filmed += 1
                    assert all(viewer.seen[-1] == filmed == len(viewer.seen) for viewer in viewers)
                    await anyio.sleep(0)
                assert disk.begun == stands, "the sync still stands"
                disk.let_go.release()
            assert max(lag_s) < MOST_LAG_S
            disk.is_slow = False
            disk.let_go.release(1000)
            tasks.cancel_scope.cancel()
        for camera in cameras:
            camera.end()
        await runtime.recorder.settle()
        return runtime, cameras

    with closing(Access.of(tmp_path, clock)) as access:
        runtime, cameras = anyio.run(act, access)
    for camera in cameras:
        folder = folder_of(runtime, camera.stream)
        assert verify(folder).exit_code == 0
        assert sequences(folder) == list(range(1, camera.stream.counts.fragments + 1))
        assert '"gaps":[{' not in manifest(folder).replace(" ", "")
    assert runtime.recorder.stats.lost_s == 0
    assert not [event for event in runtime.recent if isinstance(event, RecordingFailed)]


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_clock_that_jumps_an_hour_changes_what_is_said_of_the_time_and_nothing_else(
    tmp_path: Path, step_s: float
) -> None:
    """Order, times, files and gaps of a running stream are as without the jump; it is told once; captured_at is what
    the clock said; tickets live as long as they should."""
    clock = ManualClock()
    settings = Settings(data=tmp_path, record=RecordSettings(segment_s=2.0, min_free_bytes=0))

    def film(camera: Camera, seconds: int) -> None:
        for _ in range(seconds * GOP):
            camera.film(1, clock.utc_s())
            clock.now_s += 0.04

    async def sweeps(runtime: Runtime, more: int) -> None:
        with anyio.fail_after(10):
            seen = len(runtime.loop_lag_s)
            while len(runtime.loop_lag_s) < seen + more:
                await anyio.sleep(0.02)

    async def act(access: Access) -> tuple[Runtime, Camera]:
        runtime = Runtime(settings, access, clock)
        tickets = Tickets(60, clock)
        camera = Camera(runtime, access, "camera")
        used, kept = (tickets.issue("somebody", camera.stream.stream_id)[0] for _ in range(2))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runtime.run)
            film(camera, 10)
            await sweeps(runtime, 1)
            clock.utc_offset_s += step_s
            film(camera, 10)
            await sweeps(runtime, 3)
            tasks.cancel_scope.cancel()
        assert tickets.redeem(used, camera.stream.stream_id).principal_id == "somebody"
        clock.now_s += 41
        with pytest.raises(AccessDenied):
            tickets.redeem(kept, camera.stream.stream_id)
        camera.end()
        await runtime.recorder.settle()
        return runtime, camera

    with closing(Access.of(tmp_path, clock)) as access:
        runtime, camera = anyio.run(act, access)
    [told] = [event for event in runtime.recent if isinstance(event, ClockStepped)]
    assert told.step_s == pytest.approx(step_s, abs=0.1)
    assert camera.stream.repairs == camera.stream.counts.gaps == 0
    folder = folder_of(runtime, camera.stream)
    lines = check_chain((folder / "manifest.jsonl").read_bytes(), ()).segments
    assert [line.first_pts_s for line in lines] == [2.0 * number for number in range(10)]
    assert not [gap for line in lines for gap in line.gaps]
    said = [_utc_s(line.captured_at) for line in lines]
    assert [after - before for before, after in pairwise(said)] == [
        pytest.approx(2.0 + (step_s if number == 5 else 0.0), abs=0.01) for number in range(1, 10)
    ]
    assert sequences(folder) == list(range(1, 20 * GOP + 1))
    assert verify(folder).exit_code == 0


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
def test_a_hole_in_which_the_clock_jumps_is_as_long_as_it_was(tmp_path: Path, step_s: float) -> None:
    """A device that is away for 3 s comes back into its stream, and its gap is 3 s, whatever UTC says."""
    clock = ManualClock()
    settings = Settings(data=tmp_path, record=RecordSettings(min_free_bytes=0))

    async def act(access: Access) -> tuple[Runtime, Stream]:
        runtime = Runtime(settings, access, clock)
        camera = Camera(runtime, access, "camera")
        stream = camera.stream
        for _ in range(2):
            for _ in range(2 * GOP):
                camera.film(1)
                clock.now_s += 0.04
            if camera.stream.counts.gaps == 0:
                camera.lose()
                clock.utc_offset_s += step_s
                clock.now_s += 3.0
                runtime.publications.sweep()
                camera.come_back()
        assert camera.stream is stream
        camera.end()
        await runtime.recorder.settle()
        return runtime, stream

    with closing(Access.of(tmp_path, clock)) as access:
        runtime, stream = anyio.run(act, access)
    assert stream.counts.gaps == 1
    assert stream.counts.gap_s == pytest.approx(3.0, abs=0.05)
    assert verify(folder_of(runtime, stream)).exit_code == 0


def test_a_clock_that_jumps_does_not_forgive_wrong_keys(tmp_path: Path) -> None:
    clock = ManualClock()
    settings = Settings(data=tmp_path)
    with closing(Access.of(tmp_path, clock)) as access:
        publications = Runtime(settings, access, clock).publications
        for _ in range(settings.ingest.wrong_keys_per_minute):
            with pytest.raises(KeyUnknown):
                publications.open("wrong", "192.0.2.1", lambda _: None)
        clock.utc_offset_s += 3600
        with pytest.raises(RateLimited):
            publications.open("wrong", "192.0.2.1", lambda _: None)


def _utc_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


BAD_DEMUXER = (sys.executable, "-m", "tests.bad_demuxer")
REASONS = {
    "eats": ("child_memory_bytes",),
    "spins": ("child_cpu_share", "silence_timeout_s"),  # on a busy machine it may get too little to be seen
    "silent": ("silence_timeout_s",),
    "stopped": ("silence_timeout_s",),
    "killed": ("SIGKILL",),
}
BODY_S = 8
SILENCE_S = 4.0
MOST_S = 15.0


def access_units(body: bytes) -> int:
    with av.open(io.BytesIO(body), "r") as source:
        return sum(1 for each in source.demux() if each.size)


@pytest.mark.slow
def test_demuxers_that_go_wrong_in_every_way_cost_their_own_streams_and_nobody_else_a_frame(tmp_path: Path) -> None:
    """Five children eat memory, spin, fall silent, are stopped and are killed; each ends its own stream in 15 s, by its
    reason, and the picture and sound of a sixth push are recorded to the last frame."""
    assert PushSettings().silence_timeout_s < MOST_S - 1
    body = made("mpegts", BODY_S * 25)
    settings = Settings(
        data=tmp_path, record=RecordSettings(min_free_bytes=0), push=PushSettings(silence_timeout_s=SILENCE_S)
    )
    went: dict[str, tuple[float, OnRecordError]] = {}

    async def act(access: Access) -> tuple[Runtime, Stream]:
        clock = SystemClock()
        runtime = Runtime(settings, access, clock)
        desks = {
            way: Pushes(
                PushSettings() if way == "spins" else settings.push, settings.ingest, clock, [*BAD_DEMUXER, way]
            )
            for way in REASONS
        }
        publications: dict[str, DevicePublication] = {}

        def door(name: str) -> DevicePublication:
            publications[name] = runtime.publications.open(access.add_device(name)[1], "", lambda _: None)
            return publications[name]

        async def go_wrong(way: str) -> None:
            began_s = clock.monotonic_s()
            with desks[way].session(lambda _: door(way)) as session:
                try:
                    await session.run(_paced(body, rest_s=MOST_S))
                except OnRecordError as error:
                    went[way] = clock.monotonic_s() - began_s, error
                    raise

        async def hurt(way: str, sent: signal.Signals) -> None:
            while (
                way not in publications or (stream := publications[way].stream) is None or not stream.counts.fragments
            ):
                await anyio.sleep(0.05)
            [pid] = [pid for pid in _children() if f"bad_demuxer\0{way}\0".encode() in _command(pid)]
            os.kill(pid, sent)

        async def wrongly(way: str) -> None:
            with suppress(OnRecordError):
                await go_wrong(way)

        async def sweep() -> None:
            while True:
                await anyio.sleep(0.25)
                for desk in desks.values():
                    desk.sweep()

        async with anyio.create_task_group() as around:
            around.start_soon(runtime.run)
            around.start_soon(sweep)
            with runtime.pushes.session(lambda _: door("good")) as good:
                with anyio.move_on_after(2 * MOST_S):
                    async with anyio.create_task_group() as tasks:
                        for way in REASONS:
                            tasks.start_soon(wrongly, way)
                        tasks.start_soon(hurt, "stopped", signal.SIGSTOP)
                        tasks.start_soon(hurt, "killed", signal.SIGKILL)
                        await good.run(_paced(body))
            around.cancel_scope.cancel()
        for publication in publications.values():
            publication.end("over")
        await runtime.recorder.settle()
        assert all((publications[way].stream or good) is not good for way in REASONS), "each was live before"
        stream = publications["good"].stream
        assert stream is not None
        return runtime, stream

    with closing(Access.of(tmp_path)) as access:
        runtime, stream = anyio.run(act, access)
    assert went.keys() == REASONS.keys()
    for way, (_, error) in went.items():
        assert any(word in str(error) for word in REASONS[way]), (way, error)
    assert max(took_s for took_s, _ in went.values()) < MOST_S
    assert stream.counts.fragments == access_units(body)
    assert stream.counts.gaps == 0
    folder = folder_of(runtime, stream)
    assert sequences(folder) == list(range(1, access_units(body) + 1))
    assert verify(folder).exit_code == 0


async def _paced(body: bytes, rest_s: float = 0.0) -> AsyncIterator[bytes]:
    """`body` in the time it plays; then nothing for `rest_s`, and its end."""
    size = -(-len(body) // (BODY_S * 10))
    for at in range(0, len(body), size):
        yield body[at : at + size]
        await anyio.sleep(0.1)
    await anyio.sleep(rest_s)


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
