"""H.265: the hvcC and its SPS to a track. Reads no picture.

Source: ITU-T H.265 7.3.2.2, 7.3.3, 7.3.4, 7.3.7 and annex E; ISO/IEC 14496-15 8.3.3.1.
"""

from contextlib import suppress
from dataclasses import dataclass

from pipeline.bits import Bits
from pipeline.codec_strings import codec_string
from pipeline.codecs.picture import USUAL_FRAME_DURATION, VIDEO_TIMESCALE, check_size, frame_duration
from pipeline.errors import CodecUnsupported
from pipeline.media import VIDEO_TRACK, Track

_HEAD_BYTES = 23
_LENGTH_SIZE_AT = 21
_MAX_SPS_BYTES = 4096  # real ones have 40 to 100 bytes
_VPS, _SPS, _PPS = 32, 33, 34
_NAMES = {_VPS: "VPS", _SPS: "SPS", _PPS: "PPS"}
_MAX_SUB_LAYERS = 7
_PROFILE_BITS, _LEVEL_BITS = 88, 8
_MAX_SHORT_TERM_SETS, _MAX_LONG_TERM, _MAX_PICTURES = 64, 32, 16
_EXTENDED_SAR = 255


@dataclass(frozen=True, slots=True)
class HevcSps:
    """What a sequence parameter set says about the picture. frame_duration: 90 kHz ticks, 0 where it does not say."""

    width: int
    height: int
    frame_duration: int
    reorder: int | None = None
    """How many pictures may come before one that is shown earlier; None where it does not say."""


@dataclass(frozen=True, slots=True)
class HevcConfig:
    """An hvcC taken apart. record: the same with NAL lengths of 4 bytes; nal_length_bytes: as the publisher sends."""

    record: bytes
    nal_length_bytes: int
    vps: tuple[bytes, ...]
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]


def read_hvcc(hvcc: bytes) -> HevcConfig:
    """Raises: CodecUnsupported: the record is not an hvcC with one VPS, SPS and PPS at least."""
    if len(hvcc) < _HEAD_BYTES or hvcc[0] != 1:
        raise CodecUnsupported("the H.265 configuration is no hvcC record of version 1")
    nal_length_bytes = (hvcc[_LENGTH_SIZE_AT] & 3) + 1
    if nal_length_bytes == 3:
        raise CodecUnsupported(
            "the H.265 configuration asks for NAL lengths of 3 bytes; the standard allows 1, 2 and 4"
        )
    sets = _read_sets(hvcc)
    for nal_type, name in _NAMES.items():
        if not sets[nal_type]:
            raise CodecUnsupported(f"the H.265 configuration holds no {name}")
    record = hvcc[:_LENGTH_SIZE_AT] + bytes([hvcc[_LENGTH_SIZE_AT] | 3]) + hvcc[_LENGTH_SIZE_AT + 1 :]
    return HevcConfig(record, nal_length_bytes, tuple(sets[_VPS]), tuple(sets[_SPS]), tuple(sets[_PPS]))


def _read_sets(hvcc: bytes) -> dict[int, list[bytes]]:
    sets: dict[int, list[bytes]] = {_VPS: [], _SPS: [], _PPS: []}
    at = _HEAD_BYTES
    for _ in range(hvcc[_HEAD_BYTES - 1]):
        nal_type, count = hvcc[at] & 63 if at < len(hvcc) else 0, int.from_bytes(hvcc[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(hvcc[at : at + 2], "big")
            at += 2
            if at + size > len(hvcc) or size < 2 or hvcc[at] >> 1 & 63 != nal_type:
                raise CodecUnsupported(
                    f"the H.265 configuration holds no whole NAL unit of type {nal_type} where it says so"
                )
            if nal_type in sets:  # else an SEI message, which says nothing of the picture's form
                sets[nal_type].append(hvcc[at : at + size])
            at += size
    return sets


def track_from_hvcc(hvcc: bytes, *, max_width: int, max_height: int) -> Track:
    """The video track, timescale 90000, `config` with NAL lengths of 4 bytes. max_width, max_height: pixels.

    Raises: CodecUnsupported: no usable hvcC, or the picture is larger than allowed.
    """
    config = read_hvcc(hvcc)
    sps = read_hevc_sps(config.sps[0])
    check_size(sps.width, sps.height, max_width, max_height)
    return Track(
        track_id=VIDEO_TRACK,
        kind="video",
        codec=codec_string("hvc1", hvcc),
        config=config.record,
        timescale=VIDEO_TIMESCALE,
        width=sps.width,
        height=sps.height,
        frame_duration=sps.frame_duration or USUAL_FRAME_DURATION,
    )


def read_hevc_sps(nal: bytes) -> HevcSps:
    """The picture's size within its conformance window, and its duration where the VUI tells.

    What stands behind the size is long and cameras get it wrong; then the duration is 0 and the picture still plays.
    Raises: CodecUnsupported: the SPS ends before the size or holds a value out of its range.
    """
    if not 4 <= len(nal) <= _MAX_SPS_BYTES:
        raise CodecUnsupported(f"an SPS of {len(nal)} bytes")
    bits = Bits(nal[2:].replace(b"\0\0\3", b"\0\0"), "SPS")
    bits.u(4)  # sps_video_parameter_set_id
    sub_layers = bits.u(3)
    if sub_layers == _MAX_SUB_LAYERS:
        raise CodecUnsupported("the SPS says 8 temporal layers; there are at most 7")
    bits.flag()  # sps_temporal_id_nesting_flag
    _skip_profile_and_level(bits, sub_layers)
    bits.ue()  # sps_seq_parameter_set_id
    width, height = _read_size(bits)
    duration, reorder = 0, None
    with suppress(CodecUnsupported):
        reorder, order_bits = _read_reorder(bits, sub_layers)
        _skip_to_vui(bits, order_bits)
        duration = _read_frame_duration(bits) if bits.flag() else 0
    return HevcSps(width, height, duration, reorder)


def _read_size(bits: Bits) -> tuple[int, int]:
    chroma = bits.ue()
    if chroma > 3:
        raise CodecUnsupported(f"the SPS says chroma format {chroma}; there are 0 to 3")
    is_planes = chroma == 3 and bits.flag()
    width, height = bits.ue(), bits.ue()
    if bits.flag():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (left + right) * (2 if chroma in (1, 2) and not is_planes else 1)
        height -= (top + bottom) * (2 if chroma == 1 and not is_planes else 1)
    if width < 1 or height < 1:
        raise CodecUnsupported("the SPS crops the whole picture away")
    return width, height


def _skip_profile_and_level(bits: Bits, sub_layers: int) -> None:
    bits.u(_PROFILE_BITS + _LEVEL_BITS)
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers)]
    if sub_layers:
        bits.u(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.u(_PROFILE_BITS * has_profile + _LEVEL_BITS * has_level)


def _read_reorder(bits: Bits, sub_layers: int) -> tuple[int, int]:
    """sps_max_num_reorder_pics of the highest layer, and how many bits a picture's order has."""
    bits.ue()  # bit_depth_luma_minus8
    bits.ue()  # bit_depth_chroma_minus8
    order_bits = bits.ue() + 4
    reorder = 0
    for _ in range(sub_layers + 1 if bits.flag() else 1):
        bits.ue()  # sps_max_dec_pic_buffering_minus1
        reorder = bits.ue()
        bits.ue()  # sps_max_latency_increase_plus1
    return _bounded(reorder, _MAX_PICTURES, "pictures out of order"), order_bits


def _skip_to_vui(bits: Bits, order_bits: int) -> None:
    for _ in range(6):
        bits.ue()  # coding block, transform block and hierarchy sizes
    if bits.flag() and bits.flag():
        _skip_scaling_lists(bits)
    bits.u(2)  # amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag():
        bits.u(8)  # PCM bit depths
        bits.ue()
        bits.ue()
        bits.flag()
    _skip_short_term_sets(bits)
    if bits.flag():
        for _ in range(_bounded(bits.ue(), _MAX_LONG_TERM, "long-term reference pictures")):
            bits.u(order_bits + 1)
    bits.u(2)  # sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag


def _skip_scaling_lists(bits: Bits) -> None:
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.flag():
                bits.ue()  # scaling_list_pred_matrix_id_delta
                continue
            if size > 1:
                bits.se()  # scaling_list_dc_coef_minus8
            for _ in range(min(64, 1 << (4 + 2 * size))):
                bits.se()


def _skip_short_term_sets(bits: Bits) -> None:
    pictures = 0  # of the set before
    for number in range(_bounded(bits.ue(), _MAX_SHORT_TERM_SETS, "short-term reference sets")):
        if number and bits.flag():
            bits.flag()  # delta_rps_sign
            bits.ue()  # abs_delta_rps_minus1
            # a picture is used, or not used and yet kept, or gone
            pictures = sum(bits.flag() or bits.flag() for _ in range(pictures + 1))
        else:
            pictures = _bounded(bits.ue() + bits.ue(), _MAX_PICTURES, "reference pictures in a set")
            for _ in range(pictures):
                bits.ue()
                bits.flag()


def _bounded(value: int, most: int, name: str) -> int:
    if value > most:
        raise CodecUnsupported(f"the SPS says {value} {name}; at most {most}")
    return value


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
    bits.u(3)  # neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if bits.flag():
        for _ in range(4):
            bits.ue()  # default display window
    return frame_duration(bits.u(32), bits.u(32)) if bits.flag() else 0
