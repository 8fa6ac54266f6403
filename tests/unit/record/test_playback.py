"""Spans of recordings as one file: over gaps and repeats, at changes of tracks, and never a picture too early."""

import io
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import anyio
import av
import pytest

from pipeline.analyse.units import Unit, Units
from pipeline.errors import EvidenceError, StateConflict, StorageError, ThingUnknown
from pipeline.fmp4.fragments import HEAD_BYTES, walk
from pipeline.fmp4.init import init_size
from pipeline.media import Fragment, TracksChanged
from pipeline.record.manifest import NAME
from pipeline.record.playback import Kept, Playback
from pipeline.record.span_file import tracks_of
from tests.unit.record.material import GOP, RATE, BrokenDisk, Site, fragments, header

GOP_S = GOP / RATE
FAILING = 150  # the write in the middle of the recording that is refused


def recorded(root: Path, parts: Iterable[Fragment | TracksChanged], kinds: str = "va") -> Path:
    """The folder of a recording that was offered these."""
    site = Site(root)

    async def act() -> None:
        recording = site.open(kinds)
        for number, part in enumerate(parts, 1):
            recording.offer(part)
            if isinstance(part, Fragment):
                site.clock.now_s = max(site.clock.now_s, part.end_s)
            if number % 20 == 0:
                await site.recorder.commit()
        await site.finish(recording)

    anyio.run(act)
    return site.folder


def media(folder: Path, start_s: float, end_s: float, allowed_from_s: float = 0.0) -> tuple[float, bytes]:
    """Where the span begins, and its file."""
    playback = Playback()
    span = playback.span(folder, start_s, end_s, allowed_from_s)
    raw = b"".join(data for data, _, _ in playback.media(folder, span, 0, span.size_bytes - 1))
    assert len(raw) == span.size_bytes
    return span.start_s, raw


SOUND = frozenset({"audio"})


def moments(raw: bytes) -> list[float]:
    """Of the decoded pictures, in seconds of the file."""
    with av.open(io.BytesIO(raw), "r", format="mp4") as box:
        return [round(float(frame.time or 0), 3) for frame in box.decode(video=0)]


def test_a_span_over_segments_holds_every_picture_once(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(5))
    start_s, raw = media(folder, 0.8, 4.0)
    assert start_s == pytest.approx(0.8)
    found = moments(raw)
    assert found == pytest.approx([number / RATE for number in range(round(3.2 * RATE))], abs=0.002)


def test_a_start_between_key_frames_begins_at_the_one_before_unless_that_is_not_allowed(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(4))
    assert media(folder, 1.0, 3.0)[0] == pytest.approx(2 * GOP_S)
    later, raw = media(folder, 1.0, 3.0, allowed_from_s=1.0)
    assert later == pytest.approx(3 * GOP_S), "not a picture before what is allowed, not even to begin with"
    assert moments(raw)[0] == pytest.approx(0, abs=0.002)


def test_a_start_in_a_gap_shows_nothing_before_it_and_the_gap_stays_a_gap(tmp_path: Path) -> None:
    folder = recorded(tmp_path, [*fragments(3), *fragments(3, start_s=10)])
    assert media(folder, 5.0, 12.0)[0] == pytest.approx(10.0, abs=0.03)
    start_s, raw = media(folder, 2.0, 12.0)
    assert start_s == pytest.approx(2.0)
    found = moments(raw)
    steps = [after - before for before, after in itertools.pairwise(found)]
    assert max(steps) == pytest.approx(7 + 1 / RATE, abs=0.05), "seven seconds are missing, and are not glued over"
    assert len(found) == 3 * RATE


def test_where_nothing_is_recorded_there_is_nothing(tmp_path: Path) -> None:
    folder = recorded(tmp_path, [*fragments(3), *fragments(3, start_s=10)])
    for start_s, end_s in ((4, 9), (13.5, 20)):
        with pytest.raises(ThingUnknown):
            media(folder, start_s, end_s)
    with pytest.raises(ThingUnknown):
        media(tmp_path / "nowhere", 0, 1)


def test_what_was_written_twice_around_a_write_that_failed_is_shown_once(tmp_path: Path) -> None:
    def trouble(call: str, number: int) -> StorageError | None:
        return StorageError("the disk refused once") if (call, number) == ("write", FAILING) else None

    site = Site(tmp_path, disk=BrokenDisk(trouble))
    anyio.run(site.record, list(fragments(5)))
    spans = [(each.first_pts_s, each.end_s) for each in Playback().contents(site.folder).segments]
    assert any(later[0] < before[1] - 0.05 for before, later in itertools.pairwise(spans)), "the test lost its material"
    raw = media(site.folder, 0, 5)[1]
    assert moments(raw) == pytest.approx([number / RATE for number in range(5 * RATE)], abs=0.002)
    with av.open(io.BytesIO(raw), "r", format="mp4") as box:
        assert sum(1 for packet in box.demux(video=0) if packet.size) == 5 * RATE


def test_a_change_of_tracks_ends_the_file_and_both_sides_can_be_asked_for(tmp_path: Path) -> None:
    folder = recorded(tmp_path, [*fragments(3), header("v"), *fragments(3, "v", start_s=3)])
    with pytest.raises(StateConflict, match=r"tracks change at 3\.0"):
        media(folder, 0, 6)
    assert len(moments(media(folder, 0, 2.9)[1])) >= 2 * RATE
    assert len(moments(media(folder, 3.2, 6)[1])) >= 2 * RATE


def test_a_segment_that_was_changed_is_refused_and_what_comes_before_it_is_not(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(5))
    path = sorted(folder.glob("*.mp4"))[2]
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"changed")
    assert moments(media(folder, 0, 1.5)[1])
    with pytest.raises(EvidenceError, match="not what was recorded"):
        media(folder, 0, 5)


def test_the_sound_of_a_span_is_what_the_live_feed_gave_with_the_streams_own_times(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(12.0))
    units = Units()
    found = [each for chunk in Playback().units(folder, 3.0, 9.5, SOUND) for each in units.feed(chunk)]
    (tracks,) = [each for each in found if isinstance(each, tuple)]
    assert [track.kind for track in tracks] == ["audio"]
    heard = [each for each in found if isinstance(each, Unit)]
    expected = [each for each in fragments(12.0) if each.track_id == 2 and 3.0 <= each.pts_s < 9.5]
    assert [round(each.pts_s, 3) for each in heard] == [round(each.pts_s, 3) for each in expected]
    assert [each.data for each in heard] == [each.data[HEAD_BYTES:] for each in expected]


def test_pictures_and_sound_of_a_span_come_in_the_order_of_the_feed_with_key_frames_marked(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(12.0))
    units = Units()
    found = [each for chunk in Playback().units(folder, 3.0, 9.5) for each in units.feed(chunk)]
    (tracks,) = [each for each in found if isinstance(each, tuple)]
    assert [track.kind for track in tracks] == ["video", "audio"]
    given = [(each.track_id, round(each.pts_s, 3), each.is_key, each.data) for each in found if isinstance(each, Unit)]
    wanted = [
        (each.track_id, round(each.pts_s, 3), each.is_key or each.track_id == 2, each.data[HEAD_BYTES:])
        for each in fragments(12.0)
        if 3.0 <= each.pts_s < 9.5
    ]
    assert sorted(given) == sorted(wanted)


def test_a_recording_without_sound_gives_none(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(5.0, "v"), "v")
    assert list(Playback().units(folder, 0.0, 5.0, SOUND)) == []


def test_sound_of_a_segment_that_was_changed_is_not_given(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(5.0))
    with next(folder.glob("*.mp4")).open("r+b") as file:
        file.seek(3000)
        file.write(b"\xff\xff")
    with pytest.raises(EvidenceError):
        list(Playback().units(folder, 0.0, 5.0, SOUND))


def boxes(raw: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place of the body and end of each."""
    while at < end:
        size = int.from_bytes(raw[at : at + 4], "big")
        yield raw[at + 4 : at + 8], at + 8, at + size
        at += size


def begins(raw: bytes) -> list[dict[int, int]]:
    """Of each fragment: the first decode time of each track, ticks."""
    found = []
    for kind, at, end in boxes(raw, 0, len(raw)):
        if kind == b"moof":
            times = {}
            for inner, low, high in boxes(raw, at, end):
                if inner == b"traf":
                    parts = {name: body for name, body, _ in boxes(raw, low, high)}
                    assert [name for name, _, _ in boxes(raw, low, high)].count(b"trun") == 1
                    track_id = int.from_bytes(raw[parts[b"tfhd"] + 4 : parts[b"tfhd"] + 8], "big")
                    times[track_id] = int.from_bytes(raw[parts[b"tfdt"] + 4 : parts[b"tfdt"] + 12], "big")
            found.append(times)
    return found


def test_every_fragment_but_the_first_has_sound_from_its_first_picture_on(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(5))
    tracks = tracks_of(min(folder.glob("*.mp4")).read_bytes())
    sound = next(number for number, track in tracks.items() if track.kind == "audio")
    picture = next(number for number, track in tracks.items() if track.kind == "video")
    found = begins(media(folder, 0, 5)[1])
    assert len(found) == len(list(folder.glob("*.mp4"))) > 3
    for each in found[1:]:
        early_s = each[picture] / tracks[picture].timescale - each[sound] / tracks[sound].timescale
        assert 0 <= early_s < 0.05


def test_the_samples_are_those_of_the_segments_in_their_order(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(5))
    kept: dict[int, list[bytes]] = {}
    for path in sorted(folder.glob("*.mp4")):
        raw = path.read_bytes()
        for each in walk(raw, init_size(raw)):
            sample = raw[each.offset + HEAD_BYTES : each.offset + each.size_bytes]
            kept.setdefault(each.track_id, []).append(sample)
    with av.open(io.BytesIO(media(folder, 0, 60)[1]), "r", format="mp4") as box:
        sent: dict[int, list[bytes]] = {}
        for packet in box.demux():
            if packet.size:
                sent.setdefault(packet.stream.id, []).append(bytes(packet))
    assert sent == kept


def test_any_range_of_bytes_is_that_part_of_the_file(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(5))
    whole = media(folder, 0.3, 4.9)[1]
    for low in range(0, len(whole), 7919):
        playback = Playback()
        span = playback.span(folder, 0.3, 4.9, 0)
        high = min(low + 20_000, len(whole) - 1)
        assert b"".join(data for data, _, _ in playback.media(folder, span, low, high)) == whole[low : high + 1]


def test_what_is_recorded_meanwhile_is_in_the_next_answer(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(5))
    path, playback = folder / NAME, Playback()
    rows = path.read_bytes().splitlines(keepends=True)
    path.chmod(0o600)
    path.write_bytes(b"".join(rows[:4]))
    before = playback.span(folder, 0, 5, 0)
    assert playback.span(folder, 0, 5, 0) is before, "a player asks many times for parts of one file"
    path.write_bytes(b"".join(rows))
    after = playback.span(folder, 0, 5, 0)
    assert after.end_s > before.end_s
    assert after.etag != before.etag


def test_a_file_that_changes_after_it_was_sent_once_is_refused(tmp_path: Path) -> None:
    folder = recorded(tmp_path, fragments(5))
    playback = Playback()
    span = playback.span(folder, 0, 5, 0)
    assert list(playback.media(folder, span, 0, span.size_bytes - 1))
    path = sorted(folder.glob("*.mp4"))[2]
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    raw[-10] ^= 1
    path.write_bytes(raw)
    with pytest.raises(EvidenceError, match="not what was recorded"):
        list(playback.media(folder, span, 0, span.size_bytes - 1))


def test_what_is_kept_between_ranges_is_bounded_by_its_weight() -> None:
    kept = Kept[str, str](10, len)
    for key, value in (("a", "xxxx"), ("b", "xxxx"), ("a", "xxx"), ("c", "xxxxx")):
        assert kept.put(key, value) == value
    assert [kept.get(key) for key in "abc"] == ["xxx", None, "xxxxx"]
    kept.put("d", "x" * 11)
    assert [kept.get(key) for key in "abcd"] == [None] * 4
