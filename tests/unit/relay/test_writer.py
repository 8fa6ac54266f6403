"""A connection's media begins at a key frame with its configurations, and near time 0."""

from pipeline import fmp4
from pipeline.media import AUDIO_TRACK, Fragment, TracksChanged
from pipeline.relay.relay import back_off_s
from pipeline.relay.writer import Piece, Writer
from pipeline.rtmp import chunks
from pipeline.rtmp.chunks import ChunkReader
from pipeline.rtmp.client import ClientSession
from pipeline.settings import RelaySettings
from tests.made import AUDIO, VIDEO, fragment

BOTH = TracksChanged((VIDEO, AUDIO), b"", "")


def read(*messages: bytes) -> list[tuple[int, int, bytes]]:
    """(type, time in ms, payload) of RTMP messages in chunks of the size every connection begins with."""
    found: list[tuple[int, int, bytes]] = []

    def take(type_id: int, stream_id: int, timestamp_ms: int, buffer: bytes, start: int, end: int) -> None:
        found.append((type_id, timestamp_ms, buffer[start:end]))

    ChunkReader(take, 1 << 20).feed(b"".join(messages))
    return found


def sound(pts_s: float) -> Fragment:
    dts = round(pts_s * 48000)
    data = fmp4.fragment(9, AUDIO_TRACK, dts, 0, 1024, True, b"sound")
    return Fragment(9, AUDIO_TRACK, False, dts, dts, 1024, pts_s, 0.021, 0.0, data)


def test_nothing_goes_out_before_a_key_frame_and_then_the_configurations_first() -> None:
    writer = Writer(ClientSession(bytes(1528)))
    assert writer.message(Piece(fragment(1, 3600.0, is_key=False), BOTH)) == b""
    assert writer.message(Piece(sound(3600.0), BOTH)) == b""
    key = writer.message(Piece(fragment(2, 3600.04, is_key=True, size=300), BOTH))
    found = read(key, writer.message(Piece(sound(3600.02), BOTH)))
    assert [type_id for type_id, _, _ in found] == [chunks.VIDEO, chunks.AUDIO, chunks.VIDEO, chunks.AUDIO]
    assert found[0][2][5:] == VIDEO.config
    assert found[1][2][2:] == AUDIO.config
    assert found[2][1:] == (200, b"\x17\1\0\0\0" + bytes(300))
    assert found[3][1:] == (180, b"\xaf\1sound")


def test_only_a_track_that_changed_is_told_again() -> None:
    writer = Writer(ClientSession(bytes(1528)))
    read(writer.message(Piece(fragment(1, 0.0, is_key=True), BOTH)))
    found = read(writer.message(Piece(fragment(2, 2.0, is_key=True), TracksChanged((VIDEO,), b"", ""))))
    assert [type_id for type_id, _, _ in found] == [chunks.VIDEO]


def test_the_wait_between_two_tries_doubles_up_to_its_bound_and_is_spread_from_nothing() -> None:
    settings = RelaySettings(retry_first_s=1, retry_most_s=60)
    assert [back_off_s(attempt, settings, lambda: 1.0) for attempt in (0, 1, 2, 10, 10_000)] == [1, 2, 4, 60, 60]
    assert back_off_s(3, settings, lambda: 0.0) == 0
