"""LL-HLS: parts, segments and the playlist over them, held to RFC 8216bis as far as a script can."""

import re
from math import isclose

import pytest

from pipeline import fmp4
from pipeline.errors import StreamUnknown
from pipeline.hub import Stream
from pipeline.live.hls import PART_TARGET_S, TARGET_DURATION_S, Playlist
from pipeline.media import Fragment, StreamState
from pipeline.settings import HubSettings
from tests import playlist_rules
from tests.made import AUDIO, DEVICE, VIDEO, ManualClock, packet


class Publisher:
    """Pictures, a key frame every `gop` of them, and sound between them."""

    def __init__(self, gop: int = 50, *, has_sound: bool = True, pictures_per_s: int = 25) -> None:
        self.clock = ManualClock()
        self.stream = Stream("st_hls", DEVICE, HubSettings(), self.clock)
        self.stream.set_tracks((VIDEO, AUDIO) if has_sound else (VIDEO,))
        self.gop, self.has_sound, self.pictures_per_s = gop, has_sound, pictures_per_s
        self.pictures = self.sounds = 0

    def send(self, seconds: float) -> None:
        for _ in range(round(seconds * self.pictures_per_s)):
            self.stream.publish(
                packet(self.pictures * 90_000 // self.pictures_per_s, is_key=self.pictures % self.gop == 0)
            )
            self.pictures += 1
            self.clock.now_s += 1 / self.pictures_per_s
            while self.has_sound and self.sounds * 1024 / 48000 < self.pictures / self.pictures_per_s:
                self.stream.publish(packet(self.sounds * 1024, track=AUDIO, is_key=True))
                self.sounds += 1


def lines(playlist: Playlist, tag: str, *, skip: bool = False) -> list[str]:
    return [line for line in playlist.text(b"?s=x", skip=skip).decode().splitlines() if line.startswith(tag)]


def durations(playlist: Playlist, pattern: str) -> list[float]:
    return [float(value) for value in re.findall(pattern, playlist.text(b"", skip=False).decode())]


def test_segments_and_parts_keep_the_durations_they_promise() -> None:
    publisher = Publisher()
    playlist = Playlist(publisher.stream)
    publisher.send(9.0)
    segments = durations(playlist, r"#EXTINF:([\d.]+)")
    parts = durations(playlist, r"PART:DURATION=([\d.]+)")
    assert segments == [2.0, 2.0, 2.0, 2.0]
    assert all(0.85 * PART_TARGET_S <= part <= PART_TARGET_S for part in parts if not isclose(part, 0.08))
    assert parts.count(0.08) == 2  # 4.4.3.7: only the last part of a segment may be shorter


def test_every_fragment_is_sent_once_by_parts_and_once_by_segments() -> None:
    publisher = Publisher()
    playlist = Playlist(publisher.stream)
    publisher.send(8.04)
    by_segment = b"".join(playlist.segment(number) for number in range(4))
    found = [info.sequence for info in fmp4.walk(by_segment)]
    assert found == list(range(1, len(found) + 1))
    for number in range(2, 4):
        parts, index = [], 0
        while (data := _part(playlist, number, index)) is not None:
            parts.append(data)
            index += 1
        assert b"".join(parts) == playlist.segment(number)


def _part(playlist: Playlist, number: int, index: int) -> bytes | None:
    try:
        return playlist.part(number, index)
    except StreamUnknown:
        return None


def test_a_part_that_begins_with_a_key_frame_says_so_and_does() -> None:
    publisher = Publisher()
    playlist = Playlist(publisher.stream)
    publisher.send(5.0)
    firsts = [line for line in lines(playlist, "#EXT-X-PART:") if "INDEPENDENT=YES" in line]
    assert [re.search(r"part(\d+)\.(\d+)", line) is not None for line in firsts] == [True] * len(firsts)
    data = playlist.part(1, 0)
    assert data is not None
    assert any(info.is_key and info.track_id == VIDEO.track_id for info in fmp4.walk(data))


def test_a_stream_without_key_frames_is_cut_at_the_target_duration() -> None:
    publisher = Publisher(gop=10_000)
    playlist = Playlist(publisher.stream)
    publisher.send(20.0)
    segments = durations(playlist, r"#EXTINF:([\d.]+)")
    assert len(segments) == 3
    assert all(round(segment) <= TARGET_DURATION_S for segment in segments)


def test_a_newcomer_begins_with_what_the_hub_has_cached() -> None:
    publisher = Publisher()
    publisher.send(3.0)
    playlist = Playlist(publisher.stream)
    assert lines(playlist, "#EXT-X-PART:")[0].endswith("INDEPENDENT=YES")
    assert lines(playlist, "#EXT-X-MEDIA-SEQUENCE") == ["#EXT-X-MEDIA-SEQUENCE:0"]


def test_blocking_asks_are_answered_when_what_they_ask_for_is_there() -> None:
    publisher = Publisher()
    playlist = Playlist(publisher.stream)
    publisher.send(4.5)  # segments 0 and 1 closed, one part of segment 2
    assert playlist.has(1, None)
    assert not playlist.has(2, None)
    assert playlist.has(2, 0)
    assert not playlist.has(2, 1)
    assert playlist.part(2, 1) is None  # hinted: waited for
    assert "part2.1.m4s" in lines(playlist, "#EXT-X-PRELOAD-HINT")[0]
    with pytest.raises(StreamUnknown):
        playlist.part(2, 5)
    assert not playlist.is_too_far(4, None)
    assert playlist.is_too_far(5, None)
    assert not playlist.is_too_far(2, 9)
    assert playlist.is_too_far(2, 10)


def test_the_part_after_a_closed_segment_is_waited_for_and_not_answered_with_nothing_new() -> None:
    publisher = Publisher()
    playlist = Playlist(publisher.stream)
    publisher.send(4.04)  # segment 1 closed with seven parts, one picture of segment 2
    assert playlist.has(1, 6)
    assert not playlist.has(1, 7)
    assert not playlist.has(2, 0)
    publisher.send(0.4)
    assert playlist.has(1, 7)
    assert playlist.has(2, 0)


def test_new_tracks_and_gaps_are_discontinuities_with_their_own_map() -> None:
    publisher = Publisher(has_sound=False)
    playlist = Playlist(publisher.stream)
    publisher.send(4.0)
    publisher.stream.set_tracks((VIDEO, AUDIO))
    publisher.send(4.0)
    assert len(lines(playlist, "#EXT-X-DISCONTINUITY")) == 2  # the sequence and one
    assert len(lines(playlist, "#EXT-X-MAP")) == 2
    assert playlist.init(0) != playlist.init(1)


def test_the_window_slides_and_its_counters_with_it() -> None:
    publisher = Publisher()
    playlist = Playlist(publisher.stream)
    publisher.send(60.0)
    assert len(lines(playlist, "#EXTINF")) <= 7
    first = int(lines(playlist, "#EXT-X-MEDIA-SEQUENCE")[0].rpartition(":")[2])
    assert first >= 22
    with pytest.raises(StreamUnknown):
        playlist.segment(first - 1)


def test_an_ended_stream_says_so_and_hints_nothing() -> None:
    publisher = Publisher()
    playlist = Playlist(publisher.stream)
    publisher.send(3.0)
    publisher.stream.end(StreamState.ENDED)
    assert lines(playlist, "#EXT-X-ENDLIST")
    assert not lines(playlist, "#EXT-X-PRELOAD-HINT")
    assert len(lines(playlist, "#EXTINF")) == 2


def test_sound_alone_is_cut_into_parts_too() -> None:
    clock = ManualClock()
    stream = Stream("st_sound", DEVICE, HubSettings(), clock)
    stream.set_tracks((AUDIO,))
    playlist = Playlist(stream)
    for number in range(300):
        stream.publish(packet(number * 1024, track=AUDIO, is_key=True))
    assert len(lines(playlist, "#EXTINF")) == 3
    assert isinstance(next(iter(stream.cached())), Fragment)


@pytest.mark.parametrize("gop", [10, 50, 130, 10_000])
@pytest.mark.parametrize("pictures_per_s", [30, 25, 15, 12, 10, 8, 7, 5, 3, 2, 1])
def test_every_playlist_of_a_stream_keeps_the_rules_alone_and_with_the_one_before(
    pictures_per_s: int, gop: int
) -> None:
    publisher = Publisher(gop, pictures_per_s=pictures_per_s)
    publisher.send(5 / pictures_per_s)
    playlist = Playlist(publisher.stream)
    publisher.send(max(2.0, 2.1 * gop / pictures_per_s if gop < 1000 else 0))  # after two groups the hint knows them
    before = ""
    for step in range(60):
        publisher.send(1.0 if pictures_per_s < 5 else 0.4)
        if step == 20:
            publisher.stream.set_tracks((VIDEO,))
            publisher.stream.set_tracks((VIDEO, AUDIO))
        text = playlist.text(b"?s=x", skip=False).decode()
        assert playlist_rules.broken_alone(text) == [], text
        assert playlist_rules.broken_by_delta(text, playlist.text(b"?s=x", skip=True).decode()) == []
        if before:
            assert playlist_rules.broken_between(before, text) == [], before + text
        before = text


def test_the_hint_foretells_a_new_segment_once_the_group_of_pictures_is_known() -> None:
    publisher = Publisher(gop=24, pictures_per_s=12)
    publisher.send(1.0)
    playlist = Playlist(publisher.stream)
    publisher.send(5.0)  # three groups of two seconds, each of six whole parts
    assert "part3.0.m4s" in lines(playlist, "#EXT-X-PRELOAD-HINT")[0]
    assert playlist.part(3, 0) is None
    publisher.send(0.5)
    assert playlist.part(3, 0) is not None


def test_a_delta_update_leaves_out_what_lies_beyond_the_skip_boundary() -> None:
    publisher = Publisher(gop=10_000)
    playlist = Playlist(publisher.stream)
    publisher.send(60.0)
    full, delta = (playlist.text(b"", skip=skip).decode() for skip in (False, True))
    assert playlist_rules.read(delta).skipped == 0  # seven segments of 6 s and no part more: 36 s must follow
    publisher.send(5.0)
    full, delta = (playlist.text(b"", skip=skip).decode() for skip in (False, True))
    assert playlist_rules.broken_by_delta(full, delta) == []


def test_the_rules_find_what_is_broken() -> None:
    publisher = Publisher()
    playlist = Playlist(publisher.stream)
    publisher.send(7.0)
    good = playlist.text(b"", skip=False).decode()
    assert playlist_rules.broken_alone(good) == []
    for section, old, new in (
        ("4.4.1.1", "#EXTM3U", "#EXTM4U"),
        ("8", "VERSION:9", "VERSION:3"),
        ("4.4.3.1", "TARGETDURATION:6", "TARGETDURATION:1"),
        ("4.4.3.8", "PART-HOLD-BACK=1.020", "PART-HOLD-BACK=0.9"),
        ("4.4.3.8", "CAN-SKIP-UNTIL=36.0", "CAN-SKIP-UNTIL=30.0"),
        ("4.4.4.9", "PART-TARGET=0.340", "PART-TARGET=0.300"),
        ("4.4.4.9", "DURATION=0.32000", "DURATION=0.22000"),
        ("4.4.5.3", "#EXT-X-PRELOAD-HINT", "#EXT-X-OTHER"),
        ("4.4.4.5", '#EXT-X-MAP:URI="init0.mp4"\n', ""),
    ):
        assert old in good
        assert any(each.startswith(section) for each in playlist_rules.broken_alone(good.replace(old, new))), section
    publisher.send(1.0)
    later = playlist.text(b"", skip=False).decode()
    assert playlist_rules.broken_between(good, later) == []
    for section, old, new in (
        ("4.4.3.2", "", ""),
        ("6.2.1", "#EXTINF:2.00000,\nsegment1", "#EXTINF:2.10000,\nsegment1"),
        ("6.2.1", "PART-TARGET=0.340", "PART-TARGET=0.350"),
    ):
        if section == "4.4.3.2":
            assert playlist_rules.broken_between(later.replace("SEQUENCE:0", "SEQUENCE:1", 1), good)
        else:
            assert any(
                each.startswith(section) for each in playlist_rules.broken_between(good, later.replace(old, new))
            )
