"""Every codec through an RTMP session: configurations, frames, changes in mid-stream, and what no tag may do."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.codecs.g711 import VALUES, FlacFromG711
from pipeline.codecs.h264 import read_avcc
from pipeline.codecs.h265 import read_hvcc
from pipeline.errors import LimitExceeded, ProtocolError
from pipeline.rtmp import amf0
from pipeline.rtmp.chunks import AUDIO, DATA_AMF0, VIDEO
from pipeline.simulate.synthetic import make_avcc
from tests.unit.codecs.records import (
    AV1C_720P,
    HVCC_720P,
    HVCC_HIGH_TIER_10_BITS,
    HVCC_TWO_LAYERS_444,
    OPUS_HEAD_MONO,
    STREAMINFO_48K,
)
from tests.unit.codecs.test_g711 import heard
from tests.unit.rtmp.tape import (
    AUDIO_CONFIG,
    AVCC,
    KEY_PICTURE,
    PICTURE,
    SOUND,
    VIDEO_CONFIG,
    TapeDoor,
    TapePublication,
    command,
    connect,
    message,
    publish,
    session,
)

NOW_S = 1_700_000_000.0
NAL = b"\0\0\0\3\x26\1a"
HEVC_CONFIG = b"\x90hvc1" + HVCC_720P
OPUS_CONFIG, OPUS_20_MS = b"\x90Opus" + OPUS_HEAD_MONO, b"\x91Opus\xf8\xff\xfe"


def publication_of(*messages: bytes) -> TapePublication:
    door = TapeDoor()
    peer = session(door)
    for part in (connect() + publish(), *messages):
        peer.feed(part, NOW_S)
    assert peer.close_reason == ""
    return door.publications[0]


@pytest.mark.parametrize(
    ("config", "tag", "offset_ms"),
    [
        (HEVC_CONFIG, b"\x91hvc1\0\0\x28" + NAL, 40),
        (HEVC_CONFIG, b"\x91hvc1\xff\xff\xd8" + NAL, -40),
        (HEVC_CONFIG, b"\x93hvc1" + NAL, 0),
        (HEVC_CONFIG, b"\x97\0\0\1hvc1\0\0\x28" + NAL, 40),
        (b"\x1c\0\0\0\0" + HVCC_720P, b"\x1c\1\0\0\x28" + NAL, 40),
    ],
    ids=["CodedFrames", "a negative offset", "CodedFramesX", "behind a modifier", "codec id 12"],
)
def test_h265_comes_in_every_form(config: bytes, tag: bytes, offset_ms: int) -> None:
    got = publication_of(message(VIDEO, config), message(VIDEO, tag, 80))
    assert got.tracks[0][0].codec == "hvc1.1.6.L93.90"
    assert [(p.is_key, p.data, p.dts, (p.pts - p.dts) // 90) for p in got.pictures] == [(True, NAL, 7200, offset_ms)]


def test_short_nal_lengths_of_h265_are_made_long_and_wrong_ones_are_refused() -> None:
    short = HVCC_720P[:21] + bytes([HVCC_720P[21] & 0xFC | 1]) + HVCC_720P[22:]
    got = publication_of(message(VIDEO, b"\x90hvc1" + short), message(VIDEO, b"\x93hvc1\0\3\x26\1a\0\2\x4e\1"))
    assert got.pictures[0].data == NAL + b"\0\0\0\2\x4e\1"
    assert got.tracks[0][0].config == HVCC_720P
    with pytest.raises(ProtocolError, match="Annex B"):
        publication_of(message(VIDEO, HEVC_CONFIG), message(VIDEO, b"\x93hvc1\0\0\0\1\x26\1abcdef"))


def test_av1_is_passed_through_without_its_delimiter() -> None:
    got = publication_of(
        message(VIDEO, b"\x90av01" + AV1C_720P),
        message(VIDEO, b"\x91av01\x12\0\x32\2ab", 40),
        message(VIDEO, b"\xa1av01\x12\0", 60),
        message(VIDEO, b"\xa3av01\x32\2cd", 80),
    )
    assert [(p.is_key, p.data, p.dts // 90) for p in got.pictures] == [
        (True, b"\x32\2ab", 40),
        (False, b"\x32\2cd", 80),
    ]
    with pytest.raises(ProtocolError, match="OBU"):
        publication_of(message(VIDEO, b"\x90av01" + AV1C_720P), message(VIDEO, b"\x91av01\x32\x09ab"))


def test_ends_metadata_and_channel_orders_change_nothing() -> None:
    got = publication_of(
        message(VIDEO, HEVC_CONFIG), message(AUDIO, OPUS_CONFIG), message(VIDEO, b"\x93hvc1" + NAL),
        message(VIDEO, b"\xd4hvc1\2\0\7colorInfo"), message(VIDEO, b"\x92hvc1"), message(VIDEO, b"\xd0\0\0\0\0"),
        message(AUDIO, b"\x94Opus\1\1\0\0\0\4"), message(AUDIO, b"\x92Opus"),
    )  # fmt: skip
    assert len(got.packets) == 1
    assert len(got.tracks) == 1


def test_opus_says_how_long_its_packets_last_before_the_track_is_set() -> None:
    forty_ms = b"\x91Opus\xf9\xff\xfe"
    got = publication_of(message(AUDIO, OPUS_CONFIG), message(AUDIO, forty_ms, 100), message(AUDIO, OPUS_20_MS, 140))
    [(track,)] = got.tracks
    assert (track.codec, track.frame_duration) == ("opus", 1920)
    assert [(p.dts, p.data) for p in got.sounds] == [(4800, b"\xf9\xff\xfe"), (6720, b"\xf8\xff\xfe")]


def test_flac_of_the_device_is_passed_through() -> None:
    got = publication_of(message(AUDIO, b"\x90fLaC" + STREAMINFO_48K), message(AUDIO, b"\x91fLaC\xff\xf8frame"))
    assert [p.data for p in got.sounds] == [b"\xff\xf8frame"]
    assert (got.tracks[0][0].codec, got.tracks[0][0].origin) == ("flac", "")


@pytest.mark.parametrize("tag_bytes", [80, 160, 320, 1024, 1600])
def test_g711_becomes_flac_in_blocks_of_40_ms_and_its_end_is_not_lost(tag_bytes: int) -> None:
    sound = bytes(at * 7 % 256 for at in range(4800))
    tags = [
        message(AUDIO, b"\x72" + sound[at : at + tag_bytes], 1000 + at // 8) for at in range(0, len(sound), tag_bytes)
    ]
    got = publication_of(message(VIDEO, VIDEO_CONFIG), *tags, command("FCUnpublish", None))
    assert [p.dts for p in got.sounds] == [8000 + 320 * number for number in range(15)]
    assert got.tracks[-1][-1].origin == "pcm_alaw → flac, lossless"
    blocks = [(p.dts, p.data) for p in got.sounds]
    assert heard(FlacFromG711("pcm_alaw", 1), blocks) == [VALUES["pcm_alaw"][byte] for byte in sound]


def test_the_held_end_of_g711_is_kept_when_the_connection_breaks() -> None:
    door = TapeDoor()
    peer = session(door)
    peer.feed(connect() + publish() + message(AUDIO, b"\x82" + bytes(400)), NOW_S)
    peer.lost("reset")
    assert [p.dts for p in door.publications[0].sounds] == [0, 320]
    unheard = session(door)
    unheard.feed(connect() + publish() + message(AUDIO, b"\x82" + bytes(100)), NOW_S)
    unheard.lost("reset")
    assert [track.codec for track in door.publications[1].tracks[-1]] == ["flac"]
    assert [p.dts for p in door.publications[1].sounds] == [0]


def test_two_seconds_of_g711_in_one_tag_are_refused() -> None:
    with pytest.raises(LimitExceeded, match=r"G\.711"):
        publication_of(message(AUDIO, b"\x72" + bytes(20_000)))


def test_sound_configured_after_the_first_pictures_sets_the_tracks_once_more() -> None:
    for config, sound, codec in (
        (AUDIO_CONFIG, SOUND, "mp4a.40.2"),
        (OPUS_CONFIG, OPUS_20_MS, "opus"),
        (b"\x72" + bytes(100), b"\x72" + bytes(320), "flac"),
    ):
        pictures = [message(VIDEO, KEY_PICTURE, 0), message(VIDEO, PICTURE, 40)]
        late = [message(AUDIO, config, 60), message(VIDEO, PICTURE, 80), message(AUDIO, sound, 90)]
        got = publication_of(message(VIDEO, VIDEO_CONFIG), *pictures, *late, message(AUDIO, sound, 130))
        assert [[track.kind for track in tracks] for tracks in got.tracks] == [["video"], ["video", "audio"]]
        assert got.tracks[1][1].codec == codec
        assert len(got.pictures) == 3


def test_another_picture_size_sets_the_tracks_once_and_before_its_first_picture() -> None:
    small, large = b"\x17\0\0\0\0" + AVCC, b"\x17\0\0\0\0" + make_avcc()
    got = publication_of(
        message(VIDEO, small), message(VIDEO, KEY_PICTURE), message(VIDEO, large), message(VIDEO, large),
        message(VIDEO, KEY_PICTURE, 40), message(VIDEO, large, 80), message(VIDEO, KEY_PICTURE, 80),
    )  # fmt: skip
    assert [tracks[0].width for tracks in got.tracks] == [320, 1280]
    assert len(got.pictures) == 3


def test_another_codec_in_mid_stream_sets_the_tracks_and_frames_of_the_old_one_are_dropped() -> None:
    got = publication_of(
        message(VIDEO, VIDEO_CONFIG), message(VIDEO, KEY_PICTURE), message(VIDEO, HEVC_CONFIG),
        message(VIDEO, PICTURE, 20), message(VIDEO, b"\x93hvc1" + NAL, 40),
        message(VIDEO, b"\x90hvc1" + HVCC_HIGH_TIER_10_BITS, 60), message(VIDEO, b"\x93hvc1" + NAL, 80),
        message(VIDEO, VIDEO_CONFIG, 90), message(VIDEO, KEY_PICTURE, 120),
    )  # fmt: skip
    assert [tracks[0].codec[:6] for tracks in got.tracks] == ["avc1.6", "hvc1.1", "hvc1.2", "avc1.6"]
    assert [p.dts // 90 for p in got.pictures] == [0, 40, 80, 120]


def test_sound_may_change_from_aac_to_g711_and_back() -> None:
    got = publication_of(
        message(AUDIO, AUDIO_CONFIG), message(AUDIO, SOUND), message(AUDIO, b"\x72" + bytes(320), 20),
        message(AUDIO, AUDIO_CONFIG, 60), message(AUDIO, SOUND, 60),
    )  # fmt: skip
    assert [tracks[0].codec for tracks in got.tracks] == ["mp4a.40.2", "flac", "mp4a.40.2"]


CONFIGS = [(VIDEO, HEVC_CONFIG), (VIDEO, b"\x90av01" + AV1C_720P), (AUDIO, OPUS_CONFIG), (VIDEO, VIDEO_CONFIG)]
HEADS = [b"\x90hvc1", b"\x91hvc1", b"\x93hvc1", b"\x1c\0", b"\x1c\1", b"\x91av01", b"\xa3av01", b"\x97", b"\x27\1"]
HEADS += [b"\x90Opus", b"\x91Opus", b"\x90fLaC", b"\x91fLaC", b"\x72", b"\x83", b"\xaf\0", b"\xaf\1", b"\x96", b""]


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(CONFIGS),
            st.tuples(
                st.sampled_from([VIDEO, AUDIO]),
                st.builds(bytes.__add__, st.sampled_from(HEADS), st.binary(max_size=80)),
            ),
        ),
        max_size=12,
    )
)
def test_fuzz_tags_of_every_codec_raise_nothing_but_protocol_error(tags: list[tuple[int, bytes]]) -> None:
    door = TapeDoor()
    peer = session(door)
    peer.feed(connect() + publish(), NOW_S)
    with contextlib.suppress(ProtocolError):
        for type_id, tag in tags:
            peer.feed(message(type_id, tag), NOW_S)
    peer.lost("over")
    known = {track.track_id for tracks in door.publications[0].tracks for track in tracks}
    assert {packet.track_id for packet in door.publications[0].packets} <= known


def metadata(**claims: float) -> bytes:
    return message(DATA_AMF0, amf0.write("@setDataFrame", "onMetaData", dict(claims)))


def key_picture_with(*sets: bytes) -> bytes:
    """A key frame that brings parameter sets."""
    return b"\x17\1\0\0\0" + b"".join(len(nal).to_bytes(4, "big") + nal for nal in (*sets, b"\x65ab"))


def test_pictures_wait_for_promised_sound_and_the_stream_begins_with_both() -> None:
    got = publication_of(
        metadata(videocodecid=7.0, audiocodecid=10.0),
        message(VIDEO, VIDEO_CONFIG),
        message(VIDEO, KEY_PICTURE, 0), message(VIDEO, PICTURE, 40), message(VIDEO, PICTURE, 80),
        message(AUDIO, AUDIO_CONFIG, 90), message(AUDIO, SOUND, 90), message(VIDEO, PICTURE, 120),
    )  # fmt: skip
    assert [len(tracks) for tracks in got.tracks] == [2]
    assert got.late_s == [0.0]  # the tape's clock stands
    assert [(p.track_id, p.dts) for p in got.packets] == [(1, 0), (1, 3600), (1, 7200), (2, 4320), (1, 10800)]


def test_sound_waits_for_promised_pictures_too() -> None:
    got = publication_of(
        metadata(videocodecid=7.0, audiocodecid=10.0),
        message(AUDIO, AUDIO_CONFIG), message(AUDIO, SOUND, 0), message(AUDIO, SOUND, 21),
        message(VIDEO, VIDEO_CONFIG, 30), message(VIDEO, KEY_PICTURE, 30),
    )  # fmt: skip
    assert [len(tracks) for tracks in got.tracks] == [2]
    assert [p.track_id for p in got.packets] == [2, 2, 1]


def test_a_promise_that_is_not_kept_holds_a_second_of_media_and_no_more() -> None:
    pictures = [message(VIDEO, PICTURE, 40 * number) for number in range(1, 40)]
    got = publication_of(
        metadata(videocodecid=7.0, audiocodecid=10.0), message(VIDEO, VIDEO_CONFIG), message(VIDEO, KEY_PICTURE, 0),
        *pictures[:24],
    )  # fmt: skip
    assert (got.tracks, got.packets) == ([], [])
    got = publication_of(
        metadata(videocodecid=7.0, audiocodecid=10.0), message(VIDEO, VIDEO_CONFIG), message(VIDEO, KEY_PICTURE, 0),
        *pictures, message(AUDIO, AUDIO_CONFIG, 1600), message(AUDIO, SOUND, 1600),
    )  # fmt: skip
    assert [len(tracks) for tracks in got.tracks] == [1, 2]
    assert [p.dts // 3600 for p in got.pictures] == list(range(40))


def test_nothing_waits_where_nothing_was_promised_or_the_promise_is_nonsense() -> None:
    for claim in (
        b"",
        metadata(audiocodecid=0.0),
        message(DATA_AMF0, b"\x08\xff\xff"),
        message(DATA_AMF0, bytes(70_000)),
    ):
        got = publication_of(claim, message(VIDEO, VIDEO_CONFIG), message(VIDEO, KEY_PICTURE, 0))
        assert len(got.packets) == 1


def test_a_stream_that_ends_while_it_waits_is_kept() -> None:
    got = publication_of(
        metadata(audiocodecid=10.0), message(VIDEO, VIDEO_CONFIG), message(VIDEO, KEY_PICTURE, 0),
        message(VIDEO, PICTURE, 40), command("FCUnpublish", None),
    )  # fmt: skip
    assert [len(tracks) for tracks in got.tracks] == [1]
    assert len(got.pictures) == 2


def test_parameter_sets_within_a_key_frame_are_a_new_form_of_the_picture() -> None:
    old, other = read_avcc(AVCC), read_avcc(make_avcc())
    got = publication_of(
        message(VIDEO, VIDEO_CONFIG),
        message(VIDEO, key_picture_with(*old.sps, *old.pps), 0),
        message(VIDEO, key_picture_with(*other.sps, *other.pps), 40),
        message(VIDEO, VIDEO_CONFIG, 80),  # many encoders repeat the first for ever
        message(VIDEO, key_picture_with(*other.sps, *other.pps), 80),
    )
    assert [(track.width, track.height) for (track,) in got.tracks] == [(320, 240), (1280, 720)]
    assert len(got.pictures) == 3


def test_the_same_holds_for_h265() -> None:
    small = read_hvcc(HVCC_TWO_LAYERS_444)
    sets = b"".join(len(nal).to_bytes(4, "big") + nal for nal in (*small.vps, *small.sps, *small.pps))
    got = publication_of(
        message(VIDEO, HEVC_CONFIG), message(VIDEO, b"\x93hvc1" + NAL), message(VIDEO, b"\x93hvc1" + sets + NAL, 40)
    )
    assert [(track.width, track.height) for (track,) in got.tracks] == [(1280, 720), (320, 240)]
