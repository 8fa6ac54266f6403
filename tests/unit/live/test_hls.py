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
from tests.made import AUDIO, DEVICE, VIDEO, ManualClock, packet


class Publisher:
    """25 pictures a second, a key frame every `gop` of them, and sound between them."""

    def __init__(self, gop: int = 50, *, has_sound: bool = True) -> None:
        self.clock = ManualClock()
        self.stream = Stream("st_hls", DEVICE, HubSettings(), self.clock)
        self.stream.set_tracks((VIDEO, AUDIO) if has_sound else (VIDEO,))
        self.gop, self.has_sound = gop, has_sound
        self.pictures = self.sounds = 0

    def send(self, seconds: float) -> None:
        for _ in range(round(seconds * 25)):
            self.stream.publish(packet(self.pictures * 3600, is_key=self.pictures % self.gop == 0))
            self.pictures += 1
            self.clock.now_s += 0.04
            while self.has_sound and self.sounds * 1024 / 48000 < self.pictures / 25:
                self.stream.publish(packet(self.sounds * 1024, track=AUDIO, is_key=True))
                self.sounds += 1


def lines(playlist: Playlist, tag: str, *, skip: bool = False) -> list[str]:
    return [line for line in playlist.text("?s=x", skip=skip).splitlines() if line.startswith(tag)]


def durations(playlist: Playlist, pattern: str) -> list[float]:
    return [float(value) for value in re.findall(pattern, playlist.text("", skip=False))]


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
    assert not playlist.is_too_far(5)
    assert playlist.is_too_far(6)


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
