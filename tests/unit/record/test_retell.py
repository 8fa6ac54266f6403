"""What a manifest tells again: the facts of a time, with the ids they had."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import anyio
import pytest

from pipeline.clock import rfc3339
from pipeline.events import Event, MediaLost, SegmentClosed, StreamEnded, StreamStarted
from pipeline.media import Fragment, Gap, GapCause
from pipeline.record.disk import SystemDisk
from pipeline.record.manifest import NAME
from pipeline.record.recovery import recover
from pipeline.record.retell import changed_since, retold
from tests.unit.record.material import SIGNER, STARTED_AT, BrokenDisk, SetClock, Site, fragments


def ids(events: list[Event]) -> list[str]:
    return [event.event_id for event in events]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A recording of six seconds with a hole in the middle and one at the end."""
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = site.open()
        items: list[Fragment | Gap] = [*fragments(3.0), Gap(3.0, 4.0, GapCause.PUBLISHER_LOST)]
        for fragment in [*items, *fragments(2.0, start_s=4.0)]:
            recording.offer(fragment)
            site.clock.now_s = max(site.clock.now_s, fragment.end_s)
            await site.recorder.commit()
        recording.offer(Gap(6.0, 7.0, GapCause.PUBLISHER_LOST))
        await site.finish(recording)

    anyio.run(act)
    return site


def test_all_that_was_told_is_told_again_under_its_ids_and_in_its_order(site: Site) -> None:
    begin, *told, end = retold(site.folder, 0.0)
    assert begin == StreamStarted(at=STARTED_AT, stream_id="st_1", device_id="dev_1")
    assert isinstance(end, StreamEnded)
    assert (end.reason, round(end.pts_s)) == ("ended", 6)
    for kind in (SegmentClosed, MediaLost):
        assert ids([event for event in told if isinstance(event, kind)]) == ids(list(site.told(kind)))
    assert len(site.told(MediaLost)) == 2


def test_the_devices_own_clock_is_told_as_the_manifest_has_it_and_retold_the_same(tmp_path: Path) -> None:
    site = Site(tmp_path, disk=BrokenDisk())
    ahead_s = 75 * 365 * 86_400.0
    says: list[float | None] = [None, -3.2500123, -STARTED_AT, ahead_s]  # the last but one shows 1970

    async def act() -> None:
        recording = site.open()
        recording.device_offset_s = lambda: says[len(site.told(SegmentClosed))]
        for number, fragment in enumerate(fragments(4.1)):
            recording.offer(fragment)
            site.clock.now_s = fragment.end_s
            if number % 10 == 0:
                await site.recorder.commit()
        await site.finish(recording)

    anyio.run(act)
    told = site.told(SegmentClosed)
    assert [event.device_offset_s for event in told] == [None, -3.25, -STARTED_AT, ahead_s]
    assert [event.at for event in told] == sorted(event.at for event in told), "its clock moves no event"
    assert max(event.at for event in told) < STARTED_AT + 60
    assert told[0].device_at is None
    for event in told[1:]:
        assert event.captured_at is not None
        assert event.device_at is not None
        apart = datetime.fromisoformat(event.device_at) - datetime.fromisoformat(event.captured_at)
        assert apart.total_seconds() == event.device_offset_s
    again = [event for event in retold(site.folder, 0.0) if isinstance(event, SegmentClosed)]
    assert [replace(event, at=0.0) for event in again] == [replace(event, at=0.0) for event in told]


def test_what_was_written_before_is_not_told_again(site: Site) -> None:
    whole = retold(site.folder, 0.0)
    late = retold(site.folder, STARTED_AT + 4.5)
    assert 2 < len(late) < len(whole) - 3
    assert ids(late) == ids(whole)[-len(late) :]
    assert isinstance(retold(site.folder, STARTED_AT + 1e6)[-1], StreamEnded), "its manifest was written to at the end"


def test_what_recovery_wrote_is_told_whatever_its_age(tmp_path: Path) -> None:
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = site.open()
        for fragment in fragments(3.5):
            recording.offer(fragment)

    anyio.run(act)
    recover(tmp_path, SIGNER, SystemDisk(), SetClock(), site.tell)
    late = retold(site.folder, STARTED_AT + 1e6)
    assert ids([event for event in late if isinstance(event, SegmentClosed)]) == ids(list(site.told(SegmentClosed)))
    assert len(site.told(SegmentClosed)) == 3
    assert isinstance(late[-1], StreamEnded)
    assert late[-1].reason == "crash"


def test_only_manifests_that_were_written_to_are_looked_at(site: Site) -> None:
    written_s = (site.folder / NAME).stat().st_mtime
    assert changed_since(site.root, written_s) == [site.folder]
    assert changed_since(site.root, written_s + 1) == []


@pytest.mark.parametrize("raw", [b"", b"{}\n", b"\xff\n", json.dumps({"type": "head"}).encode(), None])
def test_a_manifest_that_cannot_be_read_tells_nothing(tmp_path: Path, raw: bytes | None) -> None:
    folder = tmp_path / "2026" / "11" / "24" / "rec_1"
    folder.mkdir(parents=True)
    if raw is not None:
        (folder / NAME).write_bytes(raw)
    assert retold(folder, 0.0) == []
    assert changed_since(tmp_path, 0.0) == ([] if raw is None else [folder])


def test_a_broken_line_in_the_middle_tells_nothing(site: Site) -> None:
    path = site.folder / NAME
    path.write_bytes(path.read_bytes().replace(rfc3339(STARTED_AT).encode(), b"yesterday"))
    assert retold(site.folder, 0.0) == []
