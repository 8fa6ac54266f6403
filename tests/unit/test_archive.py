"""Recordings as analysis sees them: those that are over, with their holes; what still runs is read no further."""

from pathlib import Path

import anyio
import pytest

from pipeline.analyse.coverage import Span
from pipeline.archive import RecordingArchive
from pipeline.errors import ThingUnknown
from pipeline.media import Fragment, Gap, GapCause
from pipeline.record.manifest import NAME
from tests.unit.record.material import STARTED_AT, Site, fragments


def made(root: Path, *, is_over: bool) -> Site:
    """Five seconds, then a hole of two."""
    site = Site(root)

    async def act() -> None:
        recording = site.open()
        items: list[Fragment | Gap] = [*fragments(5.0), Gap(5.0, 7.0, GapCause.PUBLISHER_LOST)]
        for item in items:
            recording.offer(item)
            site.clock.now_s = max(site.clock.now_s, item.end_s)
        await site.recorder.commit()
        if is_over:
            await site.finish(recording)

    anyio.run(act)
    return site


def root_of(site: Site) -> Path:
    return site.folder.parents[3]


def test_a_recording_that_is_over_is_found_with_its_length_and_its_holes(tmp_path: Path) -> None:
    site = made(tmp_path, is_over=True)
    archive = RecordingArchive(root_of(site))
    (found,) = archive.ended_since(STARTED_AT)
    assert found == archive.ended(site.folder.name)
    assert (found.recording_id, found.stream_id, found.started_at) == (site.folder.name, "st_1", STARTED_AT)
    assert found.holes == (Span(5.0, 7.0),)
    assert found.length_s == 7.0
    assert archive.folder(site.folder.name) == site.folder


def test_what_did_not_change_since_is_not_looked_at(tmp_path: Path) -> None:
    site = made(tmp_path, is_over=True)
    changed_s = (site.folder / NAME).stat().st_mtime
    assert RecordingArchive(root_of(site)).ended_since(changed_s + 1) == []


def test_a_recording_that_still_runs_is_passed_over(tmp_path: Path) -> None:
    site = made(tmp_path, is_over=False)
    archive = RecordingArchive(root_of(site))
    assert archive.ended_since(STARTED_AT) == []
    with pytest.raises(ThingUnknown):
        archive.ended(site.folder.name)


@pytest.mark.parametrize("end", [b"", b"nonsense", b"nonsense\n", b'{"kind":"head"}\n'])
def test_a_manifest_that_cannot_be_read_stops_nothing(tmp_path: Path, end: bytes) -> None:
    site = made(tmp_path, is_over=True)
    path = site.folder / NAME
    path.write_bytes(end)
    assert RecordingArchive(root_of(site)).ended_since(STARTED_AT) == []


@pytest.mark.parametrize("name", ["rec_none", "../x", "..", "", "*"])
def test_an_id_that_names_no_recording_leads_nowhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ThingUnknown):
        RecordingArchive(root_of(made(tmp_path, is_over=True))).folder(name)
