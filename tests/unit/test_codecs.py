"""Decoder configurations: what real encoders wrote, what the standard allows, and what must be refused."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline import codecs
from pipeline.codecs import read_sps, track_from_audio_config, track_from_avcc
from pipeline.errors import CodecUnsupported, LimitExceeded, ProtocolError
from pipeline.media import Track
from pipeline.simulate import synthetic
from tests.unit.rtmp.tape import AVCC

GSTREAMER_HIGH_444_64X64 = bytes.fromhex(
    "01f4000affe1001b67f4000a90d964109b016a0c0c0c8000000300800000194789132401000668ebcc448440"
)


def avc(record: bytes) -> Track:
    return track_from_avcc(record, max_width=4096, max_height=2304)


def avcc_of(sps: bytes) -> bytes:
    return bytes([1, *sps[1:4], 0xFF, 0xE1]) + len(sps).to_bytes(2, "big") + sps + b"\1\0\4\x68\xce\x3c\x80"


@pytest.mark.parametrize(
    ("record", "codec", "size"),
    [
        (AVCC, "avc1.64000d", (320, 240)),
        (GSTREAMER_HIGH_444_64X64, "avc1.f4000a", (64, 64)),
        (synthetic.make_avcc(), "avc1.4d401f", (1280, 720)),
    ],
)
def test_records_of_real_encoders_give_codec_size_and_frame_duration(
    record: bytes, codec: str, size: tuple[int, int]
) -> None:
    track = avc(record)
    assert (track.codec, (track.width, track.height)) == (codec, size)
    assert (track.timescale, track.frame_duration, track.kind) == (90_000, 3600, "video")


@given(st.integers(1, 256), st.integers(8, 1152), st.integers(1, 120))
def test_the_size_after_cropping_and_the_rate_are_read_back(columns: int, half_height: int, frames_per_s: int) -> None:
    sps = read_sps(synthetic.make_sps(columns * 16, half_height * 2, frames_per_s))
    assert (sps.width, sps.height) == (columns * 16, half_height * 2)
    assert sps.frame_duration == round(90_000 / frames_per_s)


def test_a_rate_that_no_camera_has_is_not_believed() -> None:
    assert avc(avcc_of(synthetic.make_sps(frames_per_s=2000))).frame_duration == 3600


def test_a_picture_of_16384_by_16384_is_refused() -> None:
    with pytest.raises(CodecUnsupported, match="16384x16384"):
        avc(avcc_of(synthetic.make_sps(16384, 16384)))


def test_short_nal_lengths_are_announced_and_the_record_rewritten() -> None:
    short = AVCC[:4] + b"\xfd" + AVCC[5:]
    assert codecs.read_avcc(short).nal_length_bytes == 2
    assert avc(short).config == AVCC


@pytest.mark.parametrize(
    "record",
    [
        b"",
        AVCC[:6],
        b"\0" + AVCC[1:],
        AVCC[:4] + b"\xfe" + AVCC[5:],  # NAL lengths of 3 bytes
        AVCC[:5] + b"\xe0" + AVCC[6:],  # no SPS
        AVCC[:-6],  # the PPS is cut short
        AVCC[: 8 + 25],
    ],
)
def test_a_record_that_is_not_whole_is_refused(record: bytes) -> None:
    with pytest.raises(CodecUnsupported):
        avc(record)


def test_an_sps_that_crops_the_picture_away_is_refused() -> None:
    bits = f"{'01000010' + '0' * 16}{'1' * 3}{'010' * 2}1{'1'}{'1'}111{'1'}{'00010000' + '0000001'}111"
    padded = bits + "0" * (-len(bits) % 8)
    with pytest.raises(CodecUnsupported):
        read_sps(b"\x67" + int(padded, 2).to_bytes(len(padded) // 8, "big"))


@given(st.binary(max_size=200))
@example(b"\x01" + bytes(200))
@example(b"\x01\x64\0\0\xff\xe1\0\x64\x67\x64" + bytes(150))
def test_random_records_raise_nothing_but_codec_unsupported(record: bytes) -> None:
    for parse in (avc, lambda data: avc(avcc_of(b"\x67" + data)), track_from_audio_config):
        with contextlib.suppress(CodecUnsupported):
            parse(record)


@given(st.integers(0, len(AVCC) * 8 - 1), st.integers(0, len(AVCC)))
def test_mutated_records_raise_nothing_but_codec_unsupported(bit: int, end: int) -> None:
    record = bytearray(AVCC)
    record[bit // 8] ^= 1 << bit % 8
    for data in (bytes(record), bytes(record[:end])):
        try:
            track = avc(data)
        except CodecUnsupported:
            continue
        assert track.width <= 4096
        assert track.height <= 2304


@pytest.mark.parametrize(
    ("config", "codec", "timescale", "rate_hz", "channels", "frame"),
    [
        ("1190", "mp4a.40.2", 48000, 48000, 2, 1024),
        ("1188", "mp4a.40.2", 48000, 48000, 1, 1024),
        ("118856e500", "mp4a.40.2", 48000, 48000, 1, 1024),  # ffmpeg: a late extension that says "no SBR"
        ("1408", "mp4a.40.2", 16000, 16000, 1, 1024),
        ("1194", "mp4a.40.2", 48000, 48000, 2, 960),
        ("2b118800", "mp4a.40.5", 24000, 48000, 2, 1024),  # HE-AAC, SBR said explicitly
        ("131056e598", "mp4a.40.5", 24000, 48000, 2, 1024),  # HE-AAC, SBR said behind the core's record
        ("eb098800", "mp4a.40.29", 24000, 48000, 2, 1024),  # HE-AAC v2: mono core, heard in stereo
        ("1780221810", "mp4a.40.2", 17456, 17456, 2, 1024),  # a rate by its number
    ],
)
def test_audio_configurations_give_rate_channels_and_frame(
    config: str, codec: str, timescale: int, rate_hz: int, channels: int, frame: int
) -> None:
    track = track_from_audio_config(bytes.fromhex(config))
    assert (track.codec, track.timescale, track.rate_hz, track.channels) == (codec, timescale, rate_hz, channels)
    assert (track.frame_duration, track.config.hex()) == (frame, config)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("", "ends early"),
        ("11", "ends early"),
        ("0990", "AAC Main"),
        ("f8e85000", "AAC ELD"),
        ("1690", "sampling rate"),
        ("1180", "channel configuration 0"),
    ],
)
def test_other_audio_is_refused_by_name(config: str, words: str) -> None:
    with pytest.raises(CodecUnsupported, match=words):
        track_from_audio_config(bytes.fromhex(config))


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=5), st.sampled_from([1, 2]))
def test_long_nal_lengths_hold_the_same_nal_units(nals: list[bytes], size: int) -> None:
    short = b"".join(len(nal).to_bytes(size, "big") + nal for nal in nals)
    long = codecs.with_long_nal_lengths(short, size)
    assert long == b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)
    codecs.check_nal_lengths(long)


@given(st.binary(max_size=60))
def test_wrong_nal_lengths_raise_nothing_but_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        codecs.check_nal_lengths(data)
        codecs.with_long_nal_lengths(data, 2)


def test_a_picture_of_a_million_empty_nal_units_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(LimitExceeded, match="NAL units"):
        codecs.with_long_nal_lengths(bytes(1_000_000), 1)
    with pytest.raises(ProtocolError):
        codecs.check_nal_lengths(bytes(4_000_000))


def test_the_synthetic_stream_is_two_megabits_of_whole_access_units() -> None:
    stream = synthetic.synthetic_stream()
    pictures = [unit for unit in stream.access_units if unit.is_video]
    for unit in pictures:
        codecs.check_nal_lengths(unit.data)
    assert [unit.time_ms for unit in pictures if unit.is_key] == [0, 2000, 4000, 6000]
    assert len(stream.access_units) - len(pictures) == 375
    size_bits = 8 * sum(len(unit.data) for unit in stream.access_units)
    assert size_bits / stream.duration_ms * 1000 == pytest.approx(2_000_000, rel=0.02)
