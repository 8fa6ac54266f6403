"""AV1, passed through: the av1C and its sequence header to a track, temporal units as MP4 wants them.

Source: AV1 Bitstream 5.3, 5.5; AV1 codec ISO media file format binding 1.2, 2.3 and 2.4.
"""

from collections.abc import Iterator

from pipeline.bits import Bits
from pipeline.codec_strings import codec_string
from pipeline.codecs.picture import USUAL_FRAME_DURATION, VIDEO_TIMESCALE, check_size, frame_duration
from pipeline.errors import CodecUnsupported, LimitExceeded, ProtocolError
from pipeline.media import VIDEO_TRACK, Track

_HEAD_BYTES = 4
_MARKER_AND_VERSION = 0x81
_SEQUENCE_HEADER = 1
_MAX_CONFIG_BYTES = 4096  # real ones have 12 to 30
_MAX_OBUS = 4096  # of one temporal unit
_MAX_SIZE_BYTES = 8  # of a leb128
_TEMPORAL_DELIMITER = b"\x12\0"  # MP4 marks the border itself, and asks that this be left out
_SELDOM_LEVEL = 7  # above it the tier is said


def track_from_av1c(av1c: bytes, *, max_width: int, max_height: int) -> Track:
    """The video track, timescale 90000. max_width, max_height: pixels.

    Raises: CodecUnsupported: no usable av1C, no sequence header in it, or the picture is larger than allowed.
    """
    if not _HEAD_BYTES <= len(av1c) <= _MAX_CONFIG_BYTES or av1c[0] != _MARKER_AND_VERSION:
        raise CodecUnsupported("the AV1 configuration is no av1C record of version 1")
    width, height, duration = _read_sequence_header(_sequence_header(av1c[_HEAD_BYTES:]))
    check_size(width, height, max_width, max_height)
    return Track(
        track_id=VIDEO_TRACK,
        kind="video",
        codec=codec_string("av01", av1c),
        config=av1c,
        timescale=VIDEO_TIMESCALE,
        width=width,
        height=height,
        frame_duration=duration or USUAL_FRAME_DURATION,
    )


def without_delimiter(unit: bytes) -> bytes:
    """The temporal unit without the delimiter it may begin with."""
    return unit.removeprefix(_TEMPORAL_DELIMITER)


def check_obus(unit: bytes) -> None:
    """Raises: ProtocolError: the OBUs of a temporal unit do not add up to its size."""
    for _ in _obus(unit):
        pass


def _sequence_header(obus: bytes) -> bytes:
    try:
        for kind, body in _obus(obus):
            if kind == _SEQUENCE_HEADER:
                return body
    except ProtocolError as error:
        raise CodecUnsupported(f"the AV1 configuration cannot be read: {error}") from error
    raise CodecUnsupported("the AV1 configuration holds no sequence header")


def _obus(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each OBU; the last may leave its size out. Raises: ProtocolError: they do not fill `data`."""
    at, count = 0, 0
    while at < len(data):
        count += 1
        if count > _MAX_OBUS:
            raise LimitExceeded(f"a temporal unit of more than {_MAX_OBUS} OBUs")
        head = data[at]
        if head & 0x80:
            raise ProtocolError("no AV1 OBU begins where the last one ended")
        at += 2 if head & 4 else 1
        size = len(data) - at
        if head & 2:
            size, at = _read_leb128(data, at)
        if size < 0 or at + size > len(data):
            raise ProtocolError("an AV1 OBU runs past the end of its picture")
        yield head >> 3 & 15, data[at : at + size]
        at += size


def _read_leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for number, byte in enumerate(data[at : at + _MAX_SIZE_BYTES]):
        value |= (byte & 0x7F) << 7 * number
        if not byte & 0x80:
            return value, at + number + 1
    raise ProtocolError("the size of an AV1 OBU does not end")


def _read_sequence_header(body: bytes) -> tuple[int, int, int]:
    """Largest width and height, and 90 kHz ticks a frame or 0."""
    bits = Bits(body, "AV1 sequence header")
    bits.u(4)  # seq_profile, still_picture
    duration = 0
    if bits.flag():  # reduced_still_picture_header
        bits.u(5)
    else:
        delay_bits = 0
        if bits.flag():
            duration = _read_timing(bits)
            if bits.flag():  # decoder_model_info_present_flag
                delay_bits = bits.u(5) + 1
                bits.u(32 + 5 + 5)
        _skip_operating_points(bits, delay_bits)
    width_bits, height_bits = bits.u(4) + 1, bits.u(4) + 1
    return bits.u(width_bits) + 1, bits.u(height_bits) + 1, duration


def _read_timing(bits: Bits) -> int:
    units, units_per_s = bits.u(32), bits.u(32)
    return frame_duration(units * (bits.ue() + 1), units_per_s) if bits.flag() else 0


def _skip_operating_points(bits: Bits, delay_bits: int) -> None:
    has_initial_delay = bits.flag()
    for _ in range(bits.u(5) + 1):
        bits.u(12)
        if bits.u(5) > _SELDOM_LEVEL:
            bits.flag()  # seq_tier
        if delay_bits and bits.flag():
            bits.u(2 * delay_bits + 1)
        if has_initial_delay and bits.flag():
            bits.u(4)
