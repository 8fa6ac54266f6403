"""The recorder on a disk that refuses: nothing is lost without a gap that says so, and it goes on by itself."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import fmp4
from pipeline.errors import StorageError, StorageFull, StorageSyncFailed
from pipeline.events import MediaLost, RecordingFailed, RecordingRestored
from pipeline.media import Ended, Fragment, Gap, GapCause
from pipeline.record.chain_check import check_chain
from pipeline.record.disk import SystemDisk
from pipeline.record.recovery import recover
from pipeline.record.verify import verify
from pipeline.settings import RecordSettings
from tests.unit.record.material import SETTINGS, SIGNER, BrokenDisk, SetClock, Site, fragments, sequences

MEDIA = list(fragments(6.0))


def full(_call: str = "", _number: int = 0) -> StorageError:
    return StorageFull("no room; make some")


def check(site: Site, offered: list[Fragment]) -> None:
    """Whole by the verifier, and every fragment in a file or in a gap."""
    report = verify(site.folder)
    assert not report.defects
    kept = set(sequences(site.folder))
    checked = check_chain((site.folder / "manifest.jsonl").read_bytes(), ())
    assert checked.final is not None
    gaps = [gap for line in checked.segments for gap in line.gaps] + list(checked.final.gaps)
    for fragment in offered:
        in_gap = any(gap.start_s - 1e-3 <= fragment.pts_s <= gap.end_s + 1e-3 for gap in gaps)
        assert fragment.sequence in kept or in_gap, fragment.pts_s


def begins_on_keys(folder: Path) -> bool:
    """Whether every file can be played from its first picture."""
    files = [path.read_bytes() for path in folder.glob("*.mp4")]
    return all(next(fmp4.walk(data, fmp4.init_size(data))).is_key for data in files)


@pytest.mark.parametrize("calls", [("write",), ("create", "write"), ("write", "truncate")])
def test_a_full_disk_holds_the_media_and_goes_on_by_itself(calls: tuple[str, ...], tmp_path: Path) -> None:
    disk = BrokenDisk()
    site = Site(tmp_path, disk=disk)

    async def act() -> None:
        recording = site.open()
        for number, fragment in enumerate(MEDIA):
            site.clock.now_s = fragment.end_s
            if number == 100:
                disk.trouble = lambda call, _number: full() if call in calls else None
            if number == 101:
                assert site.told(RecordingFailed)[0].cause == "disk_full"
            if number == 250:
                disk.trouble = lambda _call, _number: None
            recording.offer(fragment)
            if number % 20 == 0:
                await site.recorder.commit()
        await site.finish(recording)

    anyio.run(act)
    assert len(site.told(RecordingFailed)) == len(site.told(RecordingRestored)) == 1
    assert not site.told(MediaLost)
    assert set(sequences(site.folder)) == {fragment.sequence for fragment in MEDIA}
    check(site, MEDIA)
    assert begins_on_keys(site.folder)


def test_what_memory_cannot_hold_becomes_a_gap_with_its_cause(tmp_path: Path) -> None:
    disk = BrokenDisk()
    site = Site(tmp_path, RecordSettings(segment_s=1.0, hold_s=1.0, min_free_bytes=0), disk)

    async def act() -> None:
        recording = site.open()
        for number, fragment in enumerate(MEDIA):
            site.clock.now_s = fragment.end_s
            disk.trouble = (lambda call, _number: full() if call == "write" else None) if 100 < number < 350 else no
            recording.offer(fragment)
            if number % 20 == 0:
                await site.recorder.commit()
        await site.finish(recording)

    anyio.run(act)
    (lost,) = site.told(MediaLost)
    assert lost.cause == GapCause.DISK_FULL
    assert 1.0 < lost.end_s - lost.start_s < 4.0
    assert site.recorder.stats.lost_s > 1.0
    check(site, MEDIA)


def no(_call: str, _number: int) -> StorageError | None:
    return None


def test_a_recording_may_begin_on_a_full_disk(tmp_path: Path) -> None:
    disk = BrokenDisk(full)
    site = Site(tmp_path, disk=disk)

    async def act() -> None:
        recording = site.open()
        for fragment in MEDIA[:100]:
            recording.offer(fragment)
        await site.recorder.commit()
        assert site.recorder.is_failed
        disk.trouble = no
        site.clock.now_s += 5.0
        await site.recorder.commit()
        await site.finish(recording)

    anyio.run(act)
    check(site, MEDIA[:100])
    assert set(sequences(site.folder)) >= {fragment.sequence for fragment in MEDIA[:100]}


def test_a_failed_sync_is_never_tried_again_on_the_same_file(tmp_path: Path) -> None:
    synced: list[int] = []

    class Once(BrokenDisk):
        def sync(self, descriptor: int) -> None:
            synced.append(descriptor)
            if len(synced) == 6:
                raise StorageSyncFailed("fdatasync failed (EIO); check the disk's health")

    site = Site(tmp_path, disk=Once())

    async def act() -> None:
        recording = site.open()
        for number, fragment in enumerate(MEDIA[:90], 1):
            recording.offer(fragment)
            if number % 10 == 0:
                await site.recorder.commit()
        await site.finish(recording)

    anyio.run(act)
    lines = check_chain((site.folder / "manifest.jsonl").read_bytes(), ()).segments
    assert [line.is_suspect for line in lines].count(True) == 1
    assert len(site.told(RecordingFailed)) == len(site.told(RecordingRestored)) == 1
    suspect = next(line for line in lines if line.is_suspect)
    again = lines[lines.index(suspect) + 1]
    assert again.first_pts_s < suspect.end_s  # the ring was written again, from a key frame
    assert site.folder.joinpath(again.file).exists()
    check(site, MEDIA[:90])
    assert begins_on_keys(site.folder)


@pytest.mark.parametrize("kind", [StorageFull, StorageError, StorageSyncFailed])
def test_an_error_at_any_one_call_loses_nothing(kind: type[StorageError], tmp_path: Path) -> None:
    """The n-th call of the whole recording fails once, for every n."""
    number = 0
    while True:
        target = number
        call_kind = ("sync", "sync_folder") if kind is StorageSyncFailed else ()

        def trouble(call: str, at: int, target: int = target, only: tuple[str, ...] = call_kind) -> StorageError | None:
            return kind("broken on purpose") if at == target and (not only or call in only) else None

        disk = BrokenDisk(trouble)
        site = Site(tmp_path / str(number), disk=disk)
        anyio.run(site.record, MEDIA[:70], "va", 9)
        if number > disk.calls:
            return
        check(site, MEDIA[:70])
        assert set(sequences(site.folder)) == {fragment.sequence for fragment in MEDIA[:70]}, number
        assert begins_on_keys(site.folder)
        shutil.rmtree(tmp_path / str(number))
        number += 1


def test_low_room_is_an_alarm_once(tmp_path: Path) -> None:
    disk = BrokenDisk()
    site = Site(tmp_path, RecordSettings(min_free_bytes=1000), disk)

    async def act() -> None:
        for free in (5000, 900, 900, 1100, 900, 5000, 900):
            disk.free = free
            await site.recorder.commit()

    anyio.run(act)
    assert [event.cause for event in site.told(RecordingFailed)] == ["disk_low", "disk_low"]


def test_a_disk_that_stays_full_is_told_at_the_stop_and_recovered_later(tmp_path: Path) -> None:
    disk = BrokenDisk()
    site = Site(tmp_path, disk=disk)

    async def act() -> None:
        recording = site.open()
        for number, fragment in enumerate(MEDIA[:200]):
            if number == 120:
                disk.trouble = full
            recording.offer(fragment)
            if number == 100:
                await site.recorder.commit()
        await site.recorder.close()

    anyio.run(act)
    assert site.told(MediaLost)
    recover(tmp_path, SIGNER, SystemDisk(), SetClock(), site.tell)
    assert verify(site.folder).exit_code == 0
    assert len(set(sequences(site.folder))) == 120


def test_short_writes_are_finished(tmp_path: Path) -> None:
    import os

    disk = SystemDisk(lambda descriptor, data: os.write(descriptor, data[: max(1, len(data) // 3)]))
    site = Site(tmp_path, disk=disk)
    anyio.run(site.record, MEDIA[:60])
    check(site, MEDIA[:60])
    assert sequences(site.folder) == [fragment.sequence for fragment in MEDIA[:60]]


STEPS = st.lists(
    st.one_of(
        st.integers(1, 40),  # offer so many fragments
        st.sampled_from(["commit", "wait", "gap", "write full", "write error", "sync error", "all error", "healthy"]),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.sampled_from([0.4, 1.0, 30.0]))
def test_every_fragment_is_in_a_file_or_in_a_gap(steps: list[int | str], hold_s: float) -> None:
    root = Path(tempfile.mkdtemp(prefix="onrecord-law-"))
    disk = BrokenDisk()
    site = Site(root, SETTINGS.model_copy(update={"hold_s": hold_s}), disk)
    offered: list[Fragment] = []
    troubles: dict[str, Callable[[str, int], StorageError | None]] = {
        "write full": lambda call, _n: full() if call in ("write", "create") else None,
        "write error": lambda call, _n: StorageError("EIO") if call in ("write", "truncate") else None,
        "sync error": lambda call, _n: StorageSyncFailed("EIO") if call.startswith("sync") else None,
        "all error": lambda _call, _n: StorageError("EIO"),
        "healthy": no,
    }

    async def act() -> None:
        recording = site.open()
        at_s, sequence = 0.0, 0
        for step in steps:
            if isinstance(step, int):
                for fragment in list(fragments(step / 40, start_s=at_s, sequence=sequence)):
                    recording.offer(fragment)
                    offered.append(fragment)
                    sequence = fragment.sequence
                at_s += step / 40
                site.clock.now_s = max(site.clock.now_s, at_s)
            elif step == "commit":
                await site.recorder.commit()
            elif step == "wait":
                site.clock.now_s += 1.5
            elif step == "gap":
                recording.offer(Gap(at_s, at_s + 3.0, GapCause.PUBLISHER_LOST))
                at_s += 3.0
            else:
                disk.trouble = troubles[step]
        disk.trouble = no
        await site.finish(recording)
        assert recording.is_ended

    try:
        anyio.run(act)
        check(site, offered)
    finally:
        shutil.rmtree(root)


def test_an_ended_recording_takes_nothing_more(tmp_path: Path) -> None:
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = await site.record(MEDIA[:20])
        recording.offer(Ended())
        assert recording.is_ended

    anyio.run(act)
    check(site, MEDIA[:20])
