"""Facts over power cuts, disks that refuse and SIGKILL: what was acknowledged is read exactly once and in order."""

import random
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from pipeline.app import Runtime
from pipeline.errors import StorageError, StorageFull, StorageSyncFailed
from pipeline.events import Event, MediaLost, RecordingStarted, SegmentClosed, StreamEnded, StreamStarted
from pipeline.media import Device, Gap, GapCause
from pipeline.outbox import Outbox, OutboxReader, Place, writer
from pipeline.record import untold
from pipeline.record.disk import Disk, SystemDisk
from pipeline.settings import Settings
from tests.flow.test_recorder_crash import LoggingDisk, States, after_a_cut, place_in
from tests.outbox_child import AT_ONCE, fact
from tests.unit.record.material import BrokenDisk, SetClock, Site, fragments

KILLS = 10
FIRST = Place(0, 0)
TOLD = [fact(0, number) for number in range(40)]


class NoKeys:
    """Nobody may publish."""

    def find(self, stream_key: str) -> Device | None:  # noqa: ARG002 # a fake
        return None

    def is_valid(self, device_id: str) -> bool:  # noqa: ARG002
        return False


class Acknowledged(States):
    """Snapshots of the disk, each with the number of facts that were acknowledged by then."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.counts: list[int] = []

    def add(self, disk: LoggingDisk) -> None:
        super().add(disk)
        self.counts.append(self.count)


class Troubled(LoggingDisk):
    """Tears every fifth write and fails every seventh sync."""

    def __init__(self, seen: States) -> None:
        super().__init__(seen)
        self._writes = self._syncs = 0

    def write(self, descriptor: int, data: bytes) -> None:
        self._writes += 1
        if self._writes % 5 == 0:
            super().write(descriptor, data[: len(data) // 2])
            raise StorageFull("no")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._syncs += 1
        if self._syncs % 7 == 0:
            raise StorageSyncFailed("no")
        super().sync(descriptor)


def read_on(folder: Path, until: Place, place: Place = FIRST) -> tuple[list[Event], Place]:
    """In small bites, each with a reader of its own, as after a kill."""
    found: list[Event] = []
    while place < until:
        events, place = OutboxReader(folder).read(place, until, 3)
        found += events
    return found, place


@pytest.fixture
def short_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_ROTATE_BYTES", 900)


async def tell_all(folder: Path, disk: Disk, seen: Acknowledged | None = None) -> Outbox:
    """Told in groups of one to three."""
    box, number = Outbox(folder, disk, 0.5), 0
    for turn in range(len(TOLD)):
        for event in TOLD[number : number + 1 + turn % 3]:
            box.tell(event)
            number += 1
        await box.flush()
        if seen is not None:
            seen.count = number - box.pending
    return box


@pytest.mark.usefixtures("short_files")
@pytest.mark.parametrize("disk", [LoggingDisk, Troubled])
def test_every_legal_state_after_a_power_cut_gives_every_acknowledged_fact_once(
    tmp_path: Path, disk: type[LoggingDisk]
) -> None:
    seen, chance, base, tries = Acknowledged(), random.Random(11), Path("/log"), 0
    anyio.run(tell_all, base / "outbox", disk(seen), seen)
    assert max(seen.counts) > 30

    async def check(folder: Path, acknowledged: int) -> None:
        box = Outbox(folder, SystemDisk(), 0.5)
        found, place = read_on(folder, box.durable)
        assert found[:acknowledged] == TOLD[:acknowledged]
        numbers = [TOLD.index(event) for event in found if isinstance(event, StreamStarted)]
        assert numbers == sorted(set(numbers)), "none twice, none out of order"
        OutboxReader(folder).forget(place)
        box.tell(fact(1, 0))
        await box.close()
        assert read_on(folder, box.durable, place)[0] == [fact(1, 0)]

    for number, (snapshot, acknowledged) in enumerate(zip(seen.all, seen.counts, strict=True)):
        for state in after_a_cut(snapshot, chance):
            root = tmp_path / f"{number}-{tries}"
            tries += 1
            place_in(root, state, base)
            anyio.run(check, root / "outbox", acknowledged)
    assert tries > 300


@pytest.mark.usefixtures("short_files")
@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("error", [StorageFull("no"), StorageError("no"), StorageSyncFailed("no")], ids=repr)
def test_a_disk_that_refuses_any_call_doubles_and_loses_nothing(
    tmp_path: Path, width: int, error: StorageError
) -> None:
    async def act(folder: Path, at: int) -> int:
        disk = BrokenDisk(lambda _, number: error if at <= number < at + width else None)
        box = await tell_all(folder, disk)
        await box.flush()
        found, _ = read_on(folder, box.durable)
        assert not box.pending
        assert list(dict.fromkeys(found)) == TOLD, at
        assert width > 1 or found == TOLD, "twice only where the torn end could not be cut either"
        return disk.calls

    at, calls = 0, 1
    while at < calls:
        calls = anyio.run(act, tmp_path / str(at), at)
        at += 1
    assert at > 60


def test_a_killed_process_loses_no_fact_that_was_told(tmp_path: Path) -> None:
    chance, place, found = random.Random(5), FIRST, list[Event]()
    expected: list[tuple[int, int]] = []
    for run in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.outbox_child", str(tmp_path), str(run)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        with child.stdout as told:
            told.readline()
            time.sleep(chance.uniform(0.0, 0.05))  # a moment of the child's, not of a clock
            child.kill()
            child.wait()
            whole = [line for line in told.read().splitlines(keepends=True) if line.endswith(b"\n")]
        expected.append((run, int(whole[-1]) if whole else AT_ONCE))
        events, place = read_on(tmp_path, Outbox(tmp_path, SystemDisk(), 0.5).durable, place)
        OutboxReader(tmp_path).forget(place)
        found += events
    assert len(found) == len(set(found))
    for run, count in expected:
        of_run = [event for event in found if isinstance(event, StreamStarted) and f"st_{run}_" in event.stream_id]
        assert len(of_run) >= count
        assert of_run == [fact(run, number) for number in range(len(of_run))]
    assert sum(count for _, count in expected) > 10 * AT_ONCE


def of_kind(events: list[Event], *kinds: type[Event]) -> set[str]:
    return {event.event_id for event in events if isinstance(event, kinds)}


async def start_again(data: Path) -> list[Event]:
    """All that the outbox holds after a start."""
    runtime = Runtime(Settings.model_validate({"data": data, "rtmp": {"port": 0}}), NoKeys(), SetClock())
    await runtime.start()
    await runtime.close()
    return read_on(data / "outbox", runtime.outbox.durable)[0]


@pytest.mark.parametrize("is_clean", [True, False])
def test_what_a_kill_left_untold_is_told_at_the_next_start(tmp_path: Path, is_clean: bool) -> None:
    """The kill comes after the manifests' commits and before any line of the outbox."""
    site = Site(tmp_path / "recordings", disk=BrokenDisk())

    async def act() -> None:
        recording = site.open()
        for fragment in fragments(3.0):
            recording.offer(fragment)
        recording.offer(Gap(3.0, 4.0, GapCause.PUBLISHER_LOST))
        for fragment in fragments(2.0, start_s=4.0, sequence=1000):
            recording.offer(fragment)
            await site.recorder.commit()
        if is_clean:
            await site.finish(recording)
        events = await start_again(tmp_path)
        assert of_kind(events, SegmentClosed) >= of_kind(site.events, SegmentClosed)
        assert len(of_kind(events, SegmentClosed)) == len(list(site.folder.glob("*.mp4")))
        assert of_kind(site.events, MediaLost)
        assert of_kind(events, MediaLost) >= of_kind(site.events, MediaLost)
        assert [event for event in events if isinstance(event, StreamStarted)] == events[:1]
        (end,) = [event for event in events if isinstance(event, StreamEnded)]
        assert (end.stream_id, end.reason) == ("st_1", "ended" if is_clean else "crash")
        again = await start_again(tmp_path)
        assert {event.event_id for event in again} == {event.event_id for event in events}

    anyio.run(act)


def test_a_stream_that_began_and_left_no_manifest_is_ended_at_the_next_start(tmp_path: Path) -> None:
    async def act() -> None:
        box = Outbox(tmp_path / "outbox", SystemDisk(), 0.5)
        box.tell(fact(0, 7))
        await box.close()
        events = await start_again(tmp_path)
        assert events == [fact(0, 7), StreamEnded(at=7.0, stream_id=fact(0, 7).stream_id, pts_s=0.0, reason="crash")]
        assert await start_again(tmp_path) == events

    anyio.run(act)


def test_what_another_process_recorded_is_told_once_it_is_whole(tmp_path: Path) -> None:
    site = Site(tmp_path / "recordings", disk=BrokenDisk())

    async def act() -> None:
        recording = site.open()
        for fragment in fragments(3.0):
            recording.offer(fragment)
        await site.recorder.commit()
        untold.leave(tmp_path, site.folder)
        (tmp_path / "untold" / "rec_x.slip").write_text("../../etc")  # names no recording of ours
        runtime = Runtime(Settings.model_validate({"data": tmp_path, "rtmp": {"port": 0}}), NoKeys(), SetClock())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runtime.run)
            with anyio.fail_after(20):
                while len(untold.left(tmp_path)) > 1:
                    await anyio.sleep(0.01)
            assert not of_kind(read_on(tmp_path / "outbox", runtime.outbox.durable)[0], RecordingStarted)
            await site.finish(recording)
            with anyio.fail_after(20):
                while untold.left(tmp_path):
                    await anyio.sleep(0.01)
            found = read_on(tmp_path / "outbox", runtime.outbox.durable)[0]
            tasks.cancel_scope.cancel()
        await runtime.close()
        assert of_kind(found, RecordingStarted, SegmentClosed) == of_kind(site.events, RecordingStarted, SegmentClosed)
        assert of_kind(found, StreamEnded)

    anyio.run(act)
