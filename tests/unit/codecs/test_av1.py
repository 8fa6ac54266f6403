"""The av1C and its sequence header, and temporal units: what SVT-AV1 wrote, and what must be refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codecs.av1 import check_obus, track_from_av1c, without_delimiter
from pipeline.errors import CodecUnsupported, LimitExceeded, ProtocolError
from pipeline.media import Track
from tests.unit.codecs.records import AV1C_720P


def av1(record: bytes, max_width: int = 4096) -> Track:
    return track_from_av1c(record, max_width=max_width, max_height=2304)


def test_the_record_of_svt_av1_gives_codec_and_size() -> None:
    track = av1(AV1C_720P)
    assert (track.codec, track.width, track.height, track.config) == ("av01.0.05M.08", 1280, 720, AV1C_720P)


def test_a_picture_larger_than_the_settings_allow_is_refused() -> None:
    with pytest.raises(CodecUnsupported, match="1280x720"):
        av1(AV1C_720P, max_width=1279)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (b"", "no av1C"),
        (b"\x80" + AV1C_720P[1:], "version 1"),
        (AV1C_720P[:4], "no sequence header"),
        (AV1C_720P[:8], "runs past"),
        (AV1C_720P[:4] + b"\x0a\2\0\0", "ends early"),
    ],
)
def test_a_record_that_is_not_whole_is_refused(record: bytes, words: str) -> None:
    with pytest.raises(CodecUnsupported, match=words):
        av1(record)


def test_the_delimiter_is_left_out_and_nothing_else() -> None:
    assert without_delimiter(b"\x12\0\x32\1a") == b"\x32\1a"
    assert without_delimiter(b"\x32\1a") == b"\x32\1a"


def test_obus_that_do_not_fill_their_picture_are_a_protocol_error() -> None:
    check_obus(b"\x12\0\x32\1a\x30last without a size")
    for wrong in (b"\x32\5a", b"\x32" + b"\xff" * 9, b"\0\0\0\1\x65", b"\xff"):
        with contextlib.suppress(ProtocolError):
            check_obus(wrong)
            assert wrong == b"\0\0\0\1\x65"  # an OBU without a size takes what there is
    with pytest.raises(LimitExceeded):
        check_obus(b"\x12\0" * 5000)


@given(st.integers(0, len(AV1C_720P) * 8 - 1))
def test_fuzz_a_flipped_bit_raises_nothing_but_codec_unsupported(bit: int) -> None:
    changed = bytearray(AV1C_720P)
    changed[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(CodecUnsupported):
        assert av1(bytes(changed)).width <= 4096
