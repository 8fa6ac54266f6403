"""H.264: the avcC and its SPS to a track. Reads no picture.

Source: ITU-T H.264 7.3.2.1 and annex E; ISO/IEC 14496-15 5.3.3.1.
"""

from contextlib import suppress
from dataclasses import dataclass

from pipeline.bits import Bits
from pipeline.codec_strings import codec_string
from pipeline.codecs.picture import USUAL_FRAME_DURATION, VIDEO_TIMESCALE, check_size, frame_duration
from pipeline.errors import CodecUnsupported
from pipeline.media import VIDEO_TRACK, Track

_MAX_SPS_BYTES = 4096  # real ones have 20 to 80 bytes
_MACROBLOCK = 16

_SPS, _PPS = 7, 8
_PROFILES_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_EXTENDED_SAR = 255
_MAX_REORDER, _MAX_HRD = 16, 32


@dataclass(frozen=True, slots=True)
class Sps:
    """What a sequence parameter set says about the picture. frame_duration: 90 kHz ticks, 0 where it does not say.

    reorder: how many pictures may come before one that is shown earlier; None where it does not say.
    """

    width: int
    height: int
    frame_duration: int
    reorder: int | None = None


@dataclass(frozen=True, slots=True)
class AvcConfig:
    """An avcC taken apart. record: the same with NAL lengths of 4 bytes; nal_length_bytes: as the publisher sends."""

    record: bytes
    nal_length_bytes: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]


def read_avcc(avcc: bytes) -> AvcConfig:
    """Raises: CodecUnsupported: the record is not an avcC with one SPS and one PPS at least."""
    if len(avcc) < 7 or avcc[0] != 1:
        raise CodecUnsupported("the H.264 configuration is no avcC record of version 1")
    nal_length_bytes = (avcc[4] & 3) + 1
    if nal_length_bytes == 3:
        raise CodecUnsupported(
            "the H.264 configuration asks for NAL lengths of 3 bytes; the standard allows 1, 2 and 4"
        )
    sps, at = _read_sets(avcc, 6, avcc[5] & 31, _SPS)
    if at >= len(avcc):
        raise CodecUnsupported("the H.264 configuration ends before its PPS")
    pps, _ = _read_sets(avcc, at + 1, avcc[at], _PPS)
    if not sps or not pps:
        raise CodecUnsupported("the H.264 configuration holds no SPS or no PPS")
    return AvcConfig(avcc[:4] + bytes([avcc[4] | 3]) + avcc[5:], nal_length_bytes, sps, pps)


def _read_sets(avcc: bytes, at: int, count: int, nal_type: int) -> tuple[tuple[bytes, ...], int]:
    sets = []
    for _ in range(count):
        size = int.from_bytes(avcc[at : at + 2], "big")
        at += 2
        if at + size > len(avcc) or not size or avcc[at] & 31 != nal_type:
            raise CodecUnsupported(
                f"the H.264 configuration holds no whole NAL unit of type {nal_type} where it says so"
            )
        sets.append(avcc[at : at + size])
        at += size
    return tuple(sets), at


def track_from_avcc(avcc: bytes, *, max_width: int, max_height: int) -> Track:
    """The video track, timescale 90000, `config` with NAL lengths of 4 bytes. max_width, max_height: pixels.

    Raises: CodecUnsupported: no usable avcC, or the picture is larger than allowed.
    """
    config = read_avcc(avcc)
    sps = read_sps(config.sps[0])
    check_size(sps.width, sps.height, max_width, max_height)
    return Track(
        track_id=VIDEO_TRACK,
        kind="video",
        codec=codec_string("avc1", avcc),
        config=config.record,
        timescale=VIDEO_TIMESCALE,
        width=sps.width,
        height=sps.height,
        frame_duration=sps.frame_duration or USUAL_FRAME_DURATION,
    )


def read_sps(nal: bytes) -> Sps:
    """The picture's size after cropping, and its duration where the VUI tells.

    Raises: CodecUnsupported: the SPS ends early or holds a value out of its range.
    """
    if not 4 <= len(nal) <= _MAX_SPS_BYTES:
        raise CodecUnsupported(f"an SPS of {len(nal)} bytes")
    bits = Bits(nal[1:].replace(b"\0\0\3", b"\0\0"), "SPS")
    profile = bits.u(8)
    bits.u(16)  # constraint flags, level
    bits.ue()  # id
    chroma, is_planes = _read_chroma(bits) if profile in _PROFILES_WITH_CHROMA else (1, False)
    bits.ue()  # log2_max_frame_num_minus4
    _skip_picture_order(bits)
    bits.ue()  # max_num_ref_frames
    bits.flag()  # gaps_in_frame_num_value_allowed_flag
    width = (bits.ue() + 1) * _MACROBLOCK
    rows = bits.ue() + 1
    is_frames_only = bits.flag()
    fields = 1 if is_frames_only else 2
    if not is_frames_only:
        bits.flag()  # mb_adaptive_frame_field_flag
    height = rows * _MACROBLOCK * fields
    bits.flag()  # direct_8x8_inference_flag
    if bits.flag():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        is_halved = chroma in (1, 2) and not is_planes
        width -= (left + right) * (2 if is_halved else 1)
        height -= (top + bottom) * fields * (2 if chroma == 1 and not is_planes else 1)
    if width < 1 or height < 1:
        raise CodecUnsupported("the SPS crops the whole picture away")
    if not bits.flag():
        return Sps(width, height, 0)
    duration = _read_frame_duration(bits)
    reorder = None
    with suppress(CodecUnsupported):  # cameras get what stands behind the timing wrong, and play all the same
        reorder = _read_reorder(bits)
    return Sps(width, height, duration, reorder)


def _read_chroma(bits: Bits) -> tuple[int, bool]:
    chroma = bits.ue()
    if chroma > 3:
        raise CodecUnsupported(f"the SPS says chroma format {chroma}; there are 0 to 3")
    is_planes = chroma == 3 and bits.flag()
    bits.ue()  # bit_depth_luma_minus8
    bits.ue()  # bit_depth_chroma_minus8
    bits.flag()  # qpprime_y_zero_transform_bypass_flag
    if bits.flag():
        for index in range(12 if chroma == 3 else 8):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma, is_planes


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_picture_order(bits: Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.flag()
        bits.se()
        bits.se()
        count = bits.ue()
        if count > 255:
            raise CodecUnsupported(f"the SPS says {count} reference frames in a cycle; at most 255")
        for _ in range(count):
            bits.se()
    elif kind > 2:
        raise CodecUnsupported(f"the SPS says picture order count type {kind}; there are 0 to 2")


def _read_frame_duration(bits: Bits) -> int:
    """From the VUI: 90 kHz ticks a frame, 0 where it does not tell or tells nonsense."""
    if bits.flag() and bits.u(8) == _EXTENDED_SAR:
        bits.u(32)
    if bits.flag():
        bits.flag()  # overscan_appropriate_flag
    if bits.flag():
        bits.u(4)  # video_format, video_full_range_flag
        if bits.flag():
            bits.u(24)  # colour description
    if bits.flag():
        bits.ue()
        bits.ue()  # chroma sample location
    if not bits.flag():
        return 0
    units, scale = bits.u(32), bits.u(32)
    bits.flag()  # fixed_frame_rate_flag
    return frame_duration(2 * units, scale)


def _read_reorder(bits: Bits) -> int | None:
    """max_num_reorder_frames of the VUI behind its timing."""
    has_buffering = [_skip_hrd(bits) for _ in ("NAL", "VCL")]
    if any(has_buffering):
        bits.flag()  # low_delay_hrd_flag
    bits.flag()  # pic_struct_present_flag
    if not bits.flag():
        return None
    bits.flag()  # motion_vectors_over_pic_boundaries_flag
    for _ in range(4):
        bits.ue()  # sizes and vector lengths
    reorder = bits.ue()
    return reorder if reorder <= _MAX_REORDER else None


def _skip_hrd(bits: Bits) -> bool:
    """Whether there were hypothetical reference decoder parameters here."""
    if not bits.flag():
        return False
    count = bits.ue() + 1
    if count > _MAX_HRD:
        raise CodecUnsupported(f"the SPS says {count} coded picture buffers; at most {_MAX_HRD}")
    bits.u(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.flag()
    bits.u(20)
    return True
