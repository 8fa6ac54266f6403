"""The hvcC: what x265 wrote, what the standard allows, and what must be refused."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.codecs.h265 import read_hevc_sps, read_hvcc, track_from_hvcc
from pipeline.errors import CodecUnsupported
from pipeline.media import Track
from tests.unit.codecs.records import HVCC_720P, HVCC_HIGH_TIER_10_BITS, HVCC_TWO_LAYERS_444

RECORDS = [HVCC_720P, HVCC_HIGH_TIER_10_BITS, HVCC_TWO_LAYERS_444]


def hevc(record: bytes, max_width: int = 4096) -> Track:
    return track_from_hvcc(record, max_width=max_width, max_height=2304)


@pytest.mark.parametrize(
    ("record", "codec", "size", "duration"),
    [
        (HVCC_720P, "hvc1.1.6.L93.90", (1280, 720), 3600),
        (HVCC_HIGH_TIER_10_BITS, "hvc1.2.4.H123.90", (1918, 1078), 3000),
        (HVCC_TWO_LAYERS_444, "hvc1.4.10.L63.9E.8", (320, 240), 1800),
    ],
)
def test_records_of_x265_give_codec_size_and_frame_duration(
    record: bytes, codec: str, size: tuple[int, int], duration: int
) -> None:
    track = hevc(record)
    assert (track.codec, (track.width, track.height), track.frame_duration) == (codec, size, duration)
    assert (track.timescale, track.kind, track.config) == (90_000, "video", record)


def test_a_picture_larger_than_the_settings_allow_is_refused() -> None:
    with pytest.raises(CodecUnsupported, match="1280x720"):
        hevc(HVCC_720P, max_width=1279)


def test_short_nal_lengths_are_announced_and_the_record_rewritten() -> None:
    short = HVCC_720P[:21] + bytes([HVCC_720P[21] & 0xFC | 1]) + HVCC_720P[22:]
    assert read_hvcc(short).nal_length_bytes == 2
    assert hevc(short).config == HVCC_720P


def test_an_array_of_sei_messages_is_passed_over() -> None:
    with_sei = HVCC_720P[:22] + b"\4" + HVCC_720P[23:] + b"\x27\0\1\0\3\x4e\1\5"
    assert hevc(with_sei).width == 1280


def test_an_sps_whose_end_is_nonsense_still_gives_the_size() -> None:
    [sps] = read_hvcc(HVCC_720P).sps
    whole, cut = read_hevc_sps(sps), read_hevc_sps(sps[:28])
    assert (whole.width, whole.frame_duration) == (1280, 3600)
    assert (cut.width, cut.height, cut.frame_duration) == (1280, 720, 0)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"", "no hvcC"),
        (HVCC_720P[:22], "no hvcC"),
        (b"\0" + HVCC_720P[1:], "version 1"),
        (HVCC_720P[:21] + b"\x0e" + HVCC_720P[22:], "3 bytes"),
        (HVCC_720P[:22] + b"\0", "no VPS"),
        (HVCC_720P[:22] + b"\2" + HVCC_720P[23:], "no PPS"),
        (HVCC_720P[:-1], "no whole NAL unit of type 34"),
    ],
)
def test_a_record_that_is_not_whole_is_refused(record: bytes, words: str) -> None:
    with pytest.raises(CodecUnsupported, match=words):
        hevc(record)


@given(st.binary(max_size=300))
@example(HVCC_720P[:22] + b"\xff" + b"\x20\xff\xff" * 100)
def test_fuzz_random_records_raise_nothing_but_codec_unsupported(record: bytes) -> None:
    for data in (record, HVCC_720P[:23] + record):
        with contextlib.suppress(CodecUnsupported):
            hevc(data)
    with contextlib.suppress(CodecUnsupported):
        read_hevc_sps(b"\x42\1" + record)


@given(st.sampled_from(RECORDS), st.lists(st.integers(0, 160 * 8), min_size=1, max_size=4), st.integers(0, 160))
def test_fuzz_mutated_records_raise_nothing_but_codec_unsupported(record: bytes, bits: list[int], end: int) -> None:
    changed = bytearray(record)
    for bit in bits:
        changed[bit // 8 % len(record)] ^= 1 << bit % 8
    for data in (bytes(changed), bytes(changed[:end])):
        with contextlib.suppress(CodecUnsupported):
            track = hevc(data)
            assert track.width <= 4096
            assert track.height <= 2304
            assert 300 <= track.frame_duration <= 180_000
