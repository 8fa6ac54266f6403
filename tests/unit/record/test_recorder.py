"""Rotation, gaps and tracks of the recorder."""

import subprocess
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from pipeline.events import MediaLost, SegmentClosed
from pipeline.media import Ended, Gap, GapCause
from pipeline.record.chain_check import check_chain
from pipeline.record.lines import SegmentLine
from pipeline.record.recovery import recover
from pipeline.record.verify import verify
from pipeline.settings import RecordSettings
from tests.unit.record.material import (
    DEVICE,
    SIGNER,
    STARTED_AT,
    BrokenDisk,
    Site,
    fragments,
    header,
    recorded,
    sequences,
)


def segments(folder: Path) -> list[SegmentLine]:
    return check_chain((folder / "manifest.jsonl").read_bytes(), ()).segments


@pytest.mark.parametrize("kinds", ["va", "v", "a"])
def test_every_file_opens_in_a_stock_player_at_nought(kinds: str, tmp_path: Path) -> None:
    folder = recorded(tmp_path, 3.0, kinds)
    lines = segments(folder)
    assert len(lines) >= 3
    for line in lines:
        command = ["ffprobe", "-v", "error", "-show_entries", "format=start_time,duration", "-of", "csv=p=0"]
        probe = subprocess.run([*command, str(folder / line.file)], capture_output=True, text=True)
        assert not probe.stderr
        start_s, duration_s = map(float, probe.stdout.split(","))
        assert 0.0 <= start_s < 0.05
        assert duration_s == pytest.approx(line.end_s - line.first_pts_s, abs=0.05)


def test_segments_begin_on_key_frames_and_lose_no_fragment(tmp_path: Path) -> None:
    folder = recorded(tmp_path, 5.0)
    assert [line.first_pts_s for line in segments(folder)] == [0.0, 1.2, 2.4, 3.6, 4.8]
    assert sequences(folder) == [fragment.sequence for fragment in fragments(5.0)]


def test_a_stream_without_key_frames_rotates_by_size(tmp_path: Path) -> None:
    settings = RecordSettings(segment_s=1.0, segment_max_bytes=65536, min_free_bytes=0)
    site = Site(tmp_path, settings, BrokenDisk())
    media = [f for f in fragments(5.0, "v") if f.sequence == 1 or not f.is_key]
    anyio.run(site.record, media, "v")
    assert len(segments(site.folder)) > 2
    assert verify(site.folder).exit_code == 0
    assert sequences(site.folder) == [fragment.sequence for fragment in media]


def test_new_tracks_begin_a_new_segment(tmp_path: Path) -> None:
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = site.open("v")
        for fragment in fragments(0.5, "v"):
            recording.offer(fragment)
        recording.offer(header("v"))
        recording.offer(header("va"))
        for fragment in fragments(0.5, "va", 0.5, 100):
            recording.offer(fragment)
        await site.finish(recording)

    anyio.run(act)
    assert [len(line.codecs) for line in segments(site.folder)] == [1, 2]
    assert verify(site.folder).exit_code == 0


def test_what_was_converted_is_named_in_the_manifest_and_survives_a_crash(tmp_path: Path) -> None:
    plain = header("va")
    sound = replace(plain.tracks[1], origin="pcm_alaw → flac, lossless")
    converted = replace(plain, tracks=(plain.tracks[0], sound))
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = site.recorder.open("st_1", DEVICE, STARTED_AT)
        recording.offer(converted)
        for fragment in fragments(1.5):
            recording.offer(fragment)
        await site.recorder.commit()
        recording.offer(plain)
        for fragment in fragments(0.5, start_s=1.5, sequence=200):
            recording.offer(fragment)
        await site.recorder.commit()

    anyio.run(act)
    recover(tmp_path, SIGNER, BrokenDisk(), site.clock, site.tell)
    assert [line.conversions for line in segments(site.folder)] == [((2, sound.origin),), ((2, sound.origin),), ()]
    assert verify(site.folder).exit_code == 0
    manifest = site.folder / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes().replace(b"lossless", b"lossyyyy", 1))
    assert verify(site.folder).exit_code == 1


def test_a_gap_stands_in_the_manifest_and_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = site.open()
        for fragment in fragments(0.5):
            recording.offer(fragment)
        recording.offer(Gap(0.5, 3.0, GapCause.READER_SLOW, 7))
        for fragment in fragments(0.5, start_s=3.0, sequence=100):
            recording.offer(fragment)
        recording.offer(Gap(3.5, 9.0, GapCause.PUBLISHER_LOST))
        recording.offer(Ended())
        await site.recorder.commit()

    anyio.run(act)
    gaps = [gap for line in segments(site.folder) for gap in line.gaps]
    assert gaps == [Gap(0.5, 3.0, GapCause.READER_SLOW, 7), Gap(3.5, 9.0, GapCause.PUBLISHER_LOST)]
    assert [event.cause for event in site.told(MediaLost)] == ["reader_slow", "publisher_lost"]
    assert site.recorder.stats.lost_s == pytest.approx(2.5)
    assert verify(site.folder).exit_code == 0


def test_a_gap_after_the_last_segment_stands_in_the_final_head(tmp_path: Path) -> None:
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = site.open()
        recording.offer(Gap(0.0, 3.0, GapCause.PUBLISHER_LOST))
        recording.offer(Ended())
        await site.recorder.commit()

    anyio.run(act)
    final = check_chain((site.folder / "manifest.jsonl").read_bytes(), ()).final
    assert final is not None
    assert final.gaps == (Gap(0.0, 3.0, GapCause.PUBLISHER_LOST),)
    assert verify(site.folder).exit_code == 0


def test_a_hole_nobody_told_of_becomes_a_gap(tmp_path: Path) -> None:
    media = [*fragments(0.5), *fragments(0.5, start_s=4.0, sequence=100)]
    site = Site(tmp_path, disk=BrokenDisk())
    anyio.run(site.record, media)
    assert len(site.told(MediaLost)) == 1
    assert verify(site.folder).exit_code == 0


def test_a_segment_is_told_closed_only_when_its_line_is_in_the_manifest(tmp_path: Path) -> None:
    site = Site(tmp_path, disk=BrokenDisk())

    async def act() -> None:
        recording = site.open()
        for fragment in fragments(2.0):
            recording.offer(fragment)
        assert not site.told(SegmentClosed)
        await site.recorder.commit()
        (event,) = site.told(SegmentClosed)
        (line,) = segments(site.folder)
        assert (event.file, event.sha256) == (line.file, line.sha256)

    anyio.run(act)


def test_fifty_streams_close_within_five_seconds(tmp_path: Path) -> None:
    site = Site(tmp_path)

    async def act() -> float:
        for _ in range(50):
            recording = site.open()
            for fragment in fragments(0.5):
                recording.offer(fragment)
        began_s = anyio.current_time()
        await site.recorder.close()
        return anyio.current_time() - began_s

    assert anyio.run(act) < 5.0
    manifests = list(tmp_path.rglob("manifest.jsonl"))
    assert len(manifests) == 50
    assert all(verify(path.parent).exit_code == 0 for path in manifests)


def test_the_run_is_cancelled_in_one_piece(tmp_path: Path) -> None:
    site = Site(tmp_path, RecordSettings(sync_interval_s=0.01, min_free_bytes=0))

    async def act() -> None:
        recording = site.open()
        with anyio.move_on_after(0.2):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(site.recorder.run)
                for fragment in fragments(3.0):
                    recording.offer(fragment)
                    await anyio.sleep(0.0005)
        await site.recorder.close()

    anyio.run(act)
    assert verify(site.folder).exit_code == 0
