"""The avcC: what real encoders wrote, what the standard allows, and what must be refused."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.codecs.h264 import read_avcc, read_sps, track_from_avcc
from pipeline.errors import CodecUnsupported
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
    assert read_avcc(short).nal_length_bytes == 2
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
    for parse in (avc, lambda data: avc(avcc_of(b"\x67" + data))):
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
