"""The RTMP session without a socket: commands, media, refusals, and what no byte may do."""

import contextlib
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import (
    AlreadyPublishing,
    CodecUnsupported,
    LimitExceeded,
    ProtocolError,
    PublishRefused,
    RateLimited,
)
from pipeline.ingest.rtmp.session import Stage
from pipeline.media import Track
from pipeline.rtmp import chunks
from pipeline.rtmp.chunks import AUDIO, VIDEO
from tests.unit.rtmp.tape import (
    AVCC,
    HANDSHAKE,
    KEY,
    KEY_PICTURE,
    PICTURE,
    SOUND,
    VIDEO_CONFIG,
    Answers,
    TapeDoor,
    TapePublication,
    command,
    connect,
    message,
    opening,
    publish,
    session,
)

CAPTURES = sorted((Path(__file__).parent / "captures").glob("*.rtmp"))
NOW_S = 1_700_000_000.0
HANDSHAKE_ANSWER_BYTES = 1 + 2 * 1536


def publication_of(*parts: bytes) -> TapePublication:
    """The publication after a good opening and these parts."""
    door = TapeDoor()
    peer = session(door)
    for part in (opening(), *parts):
        peer.feed(part, NOW_S)
    return door.publications[0]


def answers(*parts: bytes, door: TapeDoor | None = None) -> Answers:
    peer = session(door or TapeDoor())
    return Answers(b"".join(peer.feed(part, NOW_S) for part in parts)[HANDSHAKE_ANSWER_BYTES:])


def test_pictures_and_sound_reach_the_publication_in_ticks_of_their_tracks() -> None:
    got = publication_of(message(VIDEO, KEY_PICTURE, 40), message(AUDIO, SOUND, 43), message(VIDEO, PICTURE, 80))
    assert [(p.dts, p.pts, p.is_key, p.data) for p in got.pictures] == [
        (3600, 3600, True, KEY_PICTURE[5:]),
        (7200, 7200, False, PICTURE[5:]),
    ]
    assert [(p.dts, p.data) for p in got.sounds] == [(43 * 48, b"sound")]
    assert {p.captured_at for p in got.packets} == {NOW_S}


def test_the_tracks_are_set_once_and_before_the_first_packet() -> None:
    config = message(VIDEO, VIDEO_CONFIG)
    got = publication_of(message(VIDEO, KEY_PICTURE), config, message(VIDEO, PICTURE, 40))
    assert len(got.tracks) == 1
    assert [track.codec for track in got.tracks[0]] == ["avc1.64000d", "mp4a.40.2"]


def test_another_configuration_sets_the_tracks_again() -> None:
    changed = message(AUDIO, b"\xaf\0\x11\x90")
    got = publication_of(message(VIDEO, KEY_PICTURE), changed, message(AUDIO, SOUND, 40))
    assert [tracks[1].channels for tracks in got.tracks] == [1, 2]


def test_the_composition_offset_moves_the_moment_of_showing_and_may_be_negative() -> None:
    ahead, back = b"\x27\1\0\0\x50" + PICTURE[5:], b"\x27\1\xff\xff\xd8" + PICTURE[5:]
    got = publication_of(message(VIDEO, ahead, 100), message(VIDEO, back, 140))
    assert [(p.dts // 90, p.pts // 90) for p in got.pictures] == [(100, 180), (140, 100)]


def test_times_go_on_over_the_wrap_of_32_bits_and_back_again() -> None:
    times_ms = [0xFFFFFFF0, 0x10, 0xFFFFFFF8, 0x38]
    got = publication_of(*[message(VIDEO, PICTURE, time_ms) for time_ms in times_ms])
    first = 0xFFFFFFF0
    assert [p.dts // 90 - first for p in got.pictures] == [0, 0x20, 8, 0x48]


def test_sound_and_video_share_one_axis_over_the_wrap() -> None:
    got = publication_of(message(VIDEO, PICTURE, 0xFFFFFFFE), message(AUDIO, SOUND, 2))
    assert got.sounds[0].dts == (0xFFFFFFFE + 4) * 48


def test_media_before_its_configuration_is_dropped() -> None:
    door = TapeDoor()
    session(door).feed(connect() + publish() + message(VIDEO, KEY_PICTURE) + message(AUDIO, SOUND), NOW_S)
    assert door.publications[0].packets == []


def test_short_nal_lengths_are_made_long() -> None:
    short = AVCC[:4] + b"\xfd" + AVCC[5:]
    got = publication_of(
        message(VIDEO, b"\x17\0\0\0\0" + short), message(VIDEO, b"\x17\1\0\0\0" + b"\0\2\x65a\0\1\x06")
    )
    assert got.pictures[0].data == b"\0\0\0\2\x65a\0\0\0\1\x06"
    assert got.tracks[0][0].config == AVCC


def test_the_parts_of_an_aggregate_message_count_their_time_from_the_first() -> None:
    def part(type_id: int, time_ms: int, body: bytes) -> bytes:
        return bytes([type_id]) + len(body).to_bytes(3, "big") + time_ms.to_bytes(3, "big") + bytes(4) + body + bytes(4)

    aggregate = part(VIDEO, 1000, KEY_PICTURE) + part(AUDIO, 1010, SOUND) + part(VIDEO, 1040, PICTURE)
    got = publication_of(message(chunks.AGGREGATE, aggregate, 500))
    assert [p.dts // 90 for p in got.pictures] == [500, 540]
    assert got.sounds[0].dts == 510 * 48


def test_an_aggregate_message_of_thousands_of_parts_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="1024 parts"):
        publication_of(message(chunks.AGGREGATE, (bytes([AUDIO]) + bytes(14)) * 2000))


@pytest.mark.parametrize("kind", [b"\x91", b"\x93"])
def test_enhanced_rtmp_carries_h264(kind: bytes) -> None:
    offset = b"\0\0\x28" if kind == b"\x91" else b""
    got = publication_of(
        message(VIDEO, b"\x90avc1" + AVCC), message(VIDEO, kind + b"avc1" + offset + KEY_PICTURE[5:], 80)
    )
    assert [(p.is_key, p.data) for p in got.pictures] == [(True, KEY_PICTURE[5:])]
    assert got.pictures[0].pts - got.pictures[0].dts == (3600 if offset else 0)


def test_enhanced_rtmp_carries_aac_behind_modifiers() -> None:
    nano_offset = b"\x97\2\0\0\1\x01"
    got = publication_of(message(AUDIO, b"\x90mp4a\x11\x88"), message(AUDIO, nano_offset + b"mp4asound", 20))
    assert [p.data for p in got.sounds] == [b"sound"]


@pytest.mark.parametrize(
    ("type_id", "tag", "name"),
    [
        (VIDEO, b"\x90hvc1config", "H.265"),
        (VIDEO, b"\x90av01config", "AV1"),
        (VIDEO, b"\x90vp09config", "VP9"),
        (VIDEO, b"\x90vvc1config", "VVC"),
        (VIDEO, b"\x90hev1config", "fourCC hev1"),
        (VIDEO, b"\x1c\0\0\0\0config", "H.265"),
        (VIDEO, b"\x96config", "several video tracks"),
        (AUDIO, b"\x95config", "several sound tracks"),
        (AUDIO, b"\x90Opusconfig", "OpusHead"),
        (AUDIO, b"\x90fLaCconfig", "FLAC"),
        (AUDIO, b"\x90ac-3config", "AC-3"),
        (AUDIO, b"\xdfsound", "Opus outside Enhanced RTMP"),
        (AUDIO, b"\x2fsound", "MP3"),
    ],
)
def test_other_codecs_are_refused_by_name_and_the_publication_is_lost(type_id: int, tag: bytes, name: str) -> None:
    door = TapeDoor()
    peer = session(door)
    sent = peer.feed(opening(), NOW_S) + peer.feed(message(type_id, tag), NOW_S)
    assert Answers(sent[HANDSHAKE_ANSWER_BYTES:]).codes[-1] == "NetStream.Publish.Failed"
    assert peer.stage is Stage.CLOSED
    assert name in peer.close_reason
    assert [end[0] for end in door.publications[0].ends] == ["lost"]


def test_tracks_that_the_publication_cannot_carry_close_the_session() -> None:
    class Narrow(TapePublication):
        def set_tracks(self, tracks: tuple[Track, ...], late_s: float = 0.0) -> None:  # noqa: ARG002 - the Publication's form
            raise CodecUnsupported(f"{len(tracks)} tracks are too many for this wall")

    door = TapeDoor()
    peer = session(door)
    peer.feed(connect() + publish(), NOW_S)
    peer._publication = Narrow()
    peer.feed(message(VIDEO, VIDEO_CONFIG) + message(VIDEO, KEY_PICTURE), NOW_S)
    assert peer.close_reason == "1 tracks are too many for this wall"


def test_connect_announces_windows_our_large_chunks_and_the_codecs() -> None:
    got = answers(connect())
    assert message(chunks.SET_CHUNK_SIZE, (65536).to_bytes(4, "big"), chunk_stream=2)[12:] in got.sent
    assert {chunks.WINDOW_ACK_SIZE, chunks.PEER_BANDWIDTH} <= {type_id for type_id, _ in got.messages}
    assert got.codes == ["NetConnection.Connect.Success"]
    info = got.commands[0][-1]
    assert isinstance(info, dict)
    assert info["fourCcList"] == ["avc1", "hvc1", "av01", "mp4a", "Opus", "fLaC"]


def test_publish_is_answered_with_start() -> None:
    assert answers(connect(), publish()).codes[-1] == "NetStream.Publish.Start"


@pytest.mark.parametrize(
    ("application", "name"),
    [("live", KEY), ("live", f"{KEY}?token=1"), ("live/", KEY), (f"live/{KEY}", ""), (f"/live/{KEY}?a=b", "")],
)
def test_the_key_is_found_in_the_name_or_in_the_application(application: str, name: str) -> None:
    door = TapeDoor()
    session(door).feed(connect(application) + publish(name), NOW_S)
    assert door.addresses == ["192.0.2.7"]


def test_another_application_is_refused() -> None:
    door = TapeDoor()
    peer = session(door)
    sent = peer.feed(connect("vod"), NOW_S)[HANDSHAKE_ANSWER_BYTES:]
    assert Answers(sent).codes == ["NetConnection.Connect.InvalidApp"]
    assert peer.was_refused


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (None, "NetStream.Publish.BadName"),
        (AlreadyPublishing("alive"), "NetStream.Publish.BadName"),
        (RateLimited("slow down"), "NetStream.Publish.Unauthorized"),
    ],
)
def test_a_refused_publisher_is_told_why_and_must_be_closed(refusal: PublishRefused | None, code: str) -> None:
    door = TapeDoor(refusal=refusal)
    peer = session(door)
    sent = peer.feed(connect() + publish("s3cret-key"), NOW_S)[HANDSHAKE_ANSWER_BYTES:]
    assert Answers(sent).codes[-1] == code
    assert b"s3cret" not in sent
    assert peer.close_reason
    assert "s3cret" not in peer.close_reason
    assert peer.feed(message(VIDEO, KEY_PICTURE), NOW_S) == b""


@pytest.mark.parametrize("goodbye", ["FCUnpublish", "deleteStream", "closeStream"])
def test_a_goodbye_ends_the_publication_and_a_loss_after_it_changes_nothing(goodbye: str) -> None:
    door = TapeDoor()
    peer = session(door)
    peer.feed(opening() + command(goodbye, None), NOW_S)
    peer.lost("connection closed")
    assert [end[0] for end in door.publications[0].ends] == ["end"]


def test_a_loss_without_a_goodbye_is_a_loss() -> None:
    door = TapeDoor()
    peer = session(door)
    peer.feed(opening(), NOW_S)
    peer.lost("connection reset")
    assert door.publications[0].ends == [("lost", "connection reset")]


def test_a_device_may_publish_again_on_the_same_connection() -> None:
    door = TapeDoor()
    session(door).feed(opening() + command("deleteStream", None, 1.0) + publish(), NOW_S)
    assert len(door.publications) == 2


def test_a_second_publish_on_a_living_publication_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="second publish"):
        session(TapeDoor()).feed(opening() + publish(), NOW_S)


def test_publish_before_connect_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="before connect"):
        session(TapeDoor()).feed(HANDSHAKE + publish(), NOW_S)


def test_a_stranger_who_only_sends_commands_is_closed() -> None:
    peer = session(TapeDoor())
    peer.feed(connect(), NOW_S)
    with pytest.raises(LimitExceeded, match="without publishing"):
        peer.feed(command("createStream", None) * 2000, NOW_S)


def test_media_right_behind_the_publish_command_is_no_stranger() -> None:
    door = TapeDoor()
    session(door).feed(opening() + message(VIDEO, KEY_PICTURE[:5] + b"\0\1\x86\xa0" + bytes(100_000)), NOW_S)
    assert len(door.publications[0].pictures) == 1


def test_who_asks_to_play_is_refused() -> None:
    peer = session(TapeDoor())
    peer.feed(connect() + command("play", None, KEY), NOW_S)
    assert peer.was_refused
    assert KEY not in peer.close_reason


def test_received_bytes_are_acknowledged_and_a_ping_is_answered() -> None:
    window = message(chunks.WINDOW_ACK_SIZE, (100_000).to_bytes(4, "big"), chunk_stream=2)
    ping = message(chunks.USER_CONTROL, b"\0\6\0\0\0\x2a", chunk_stream=2)
    peer = session(TapeDoor())
    peer.feed(opening() + window, NOW_S)
    assert Answers(peer.feed(ping, NOW_S)).messages == [(chunks.USER_CONTROL, b"\0\7\0\0\0\x2a")]
    sent = peer.feed(message(VIDEO, PICTURE + bytes(120_000)), NOW_S)
    assert [type_id for type_id, _ in Answers(sent).messages] == [chunks.ACKNOWLEDGEMENT]


def test_a_picture_with_start_codes_instead_of_lengths_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="Annex B"):
        publication_of(message(VIDEO, b"\x17\1\0\0\0" + b"\0\0\0\1\x65abcdefg"))


def test_the_captures_of_real_encoders_are_there() -> None:
    assert [path.stem for path in CAPTURES] == ["ffmpeg", "gstreamer_rtmp2sink", "gstreamer_rtmpsink"]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
@pytest.mark.parametrize("cut", [1, 7, 1000, 1 << 20])
def test_a_real_session_gives_the_same_packets_however_it_is_cut(capture: Path, cut: int) -> None:
    data = capture.read_bytes()
    door = TapeDoor()
    peer = session(door)
    for at in range(0, len(data), cut):
        peer.feed(data[at : at + cut], NOW_S)
    [got] = door.publications
    assert len(got.pictures) == 25
    assert len(got.sounds) >= 46
    assert [end[0] for end in got.ends] == ["end"]
    assert got.pictures[0].is_key


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2, 3, 4, 5, 8, 9, 15, 17, 18, 20, 22]), st.binary(max_size=60))))
def test_random_messages_raise_nothing_but_protocol_error(messages: list[tuple[int, bytes]]) -> None:
    peer = session(TapeDoor())
    peer.feed(opening(), NOW_S)
    with contextlib.suppress(ProtocolError):
        for type_id, payload in messages:
            peer.feed(message(type_id, payload), NOW_S)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=5, max_size=60))))
def test_random_tags_raise_nothing_but_protocol_error(tags: list[tuple[bool, bytes]]) -> None:
    peer = session(TapeDoor())
    peer.feed(opening(), NOW_S)
    with contextlib.suppress(ProtocolError):
        for is_video, tag in tags:
            plain = (b"\x17\0\0\0\0" if is_video else b"\xaf\0") + tag
            peer.feed(message(VIDEO if is_video else AUDIO, tag) + message(VIDEO if is_video else AUDIO, plain), NOW_S)


def test_a_session_that_drips_a_large_message_holds_little_more_than_the_message() -> None:
    peer = session(TapeDoor())
    peer.feed(opening(), NOW_S)
    data = message(VIDEO, PICTURE + bytes(500_000))
    tracemalloc.start()
    try:
        for at in range(0, len(data) - 1, 500):
            peer.feed(data[at : at + 500], NOW_S)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peer.held_bytes <= len(data)
    assert held <= 1.5 * len(data)
    assert peak <= 2.5 * len(data)
