"""Decoder configuration records to tracks: H.264 (avcC, SPS) and AAC (AudioSpecificConfig). Reads no media data.

Source: ITU-T H.264 7.3.2.1 and annex E; ISO/IEC 14496-15 5.3.3.1; ISO/IEC 14496-3 1.6.2.1.
"""

from dataclasses import dataclass

from pipeline.errors import CodecUnsupported, LimitExceeded, ProtocolError
from pipeline.media import AUDIO_TRACK, VIDEO_TRACK, Track

VIDEO_TIMESCALE = 90_000
_USUAL_FRAME_DURATION = 3600  # 25 pictures a second, where the SPS does not say
_SHORTEST_FRAME, _LONGEST_FRAME = VIDEO_TIMESCALE // 300, VIDEO_TIMESCALE * 2  # what a VUI may claim and be believed
_MAX_SPS_BYTES = 4096  # real ones have 20 to 80 bytes
_MACROBLOCK = 16
_MAX_NAL_UNITS = 4096  # of one picture; the most slices any level allows is 1,700 or so

_SPS, _PPS = 7, 8
_PROFILES_WITH_CHROMA = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_EXTENDED_SAR = 255

_AAC_RATES_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_RATE_ESCAPE = 15
_AAC_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 14: 8}
_AAC_LC, _SBR, _PS, _TYPE_ESCAPE = 2, 5, 29, 31
_AUDIO_OBJECT_TYPES = {1: "AAC Main", 3: "AAC SSR", 4: "AAC LTP", 22: "ER BSAC", 23: "AAC LD", 34: "MP3", 36: "ALS"}
_AUDIO_OBJECT_TYPES |= {39: "AAC ELD", 42: "xHE-AAC"}
_SYNC_EXTENSION = 0x2B7


class _Bits:
    """A cursor over bits. Raises: CodecUnsupported: the record ends early."""

    def __init__(self, data: bytes, name: str) -> None:
        self._value = int.from_bytes(data, "big")
        self._size = len(data) * 8
        self._at = 0
        self._name = name

    @property
    def left(self) -> int:
        return self._size - self._at

    def u(self, size: int) -> int:
        self._at += size
        if self._at > self._size:
            raise CodecUnsupported(f"the {self._name} ends early")
        return self._value >> (self._size - self._at) & ((1 << size) - 1)

    def flag(self) -> bool:
        return self.u(1) == 1

    def ue(self) -> int:
        """An unsigned exp-Golomb code, at most 32 bits."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 32:
                raise CodecUnsupported(f"the {self._name} holds an exp-Golomb code longer than 32 bits")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


@dataclass(frozen=True, slots=True)
class Sps:
    """What a sequence parameter set says about the picture. frame_duration: 90 kHz ticks, 0 where it does not say."""

    width: int
    height: int
    frame_duration: int


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
    if sps.width > max_width or sps.height > max_height:
        raise CodecUnsupported(
            f"a picture of {sps.width}x{sps.height}; ingest.max_width x max_height is {max_width}x{max_height}"
        )
    return Track(
        track_id=VIDEO_TRACK,
        kind="video",
        codec=f"avc1.{avcc[1:4].hex()}",
        config=config.record,
        timescale=VIDEO_TIMESCALE,
        width=sps.width,
        height=sps.height,
        frame_duration=sps.frame_duration or _USUAL_FRAME_DURATION,
    )


def read_sps(nal: bytes) -> Sps:
    """The picture's size after cropping, and its duration where the VUI tells.

    Raises: CodecUnsupported: the SPS ends early or holds a value out of its range.
    """
    if not 4 <= len(nal) <= _MAX_SPS_BYTES:
        raise CodecUnsupported(f"an SPS of {len(nal)} bytes")
    bits = _Bits(nal[1:].replace(b"\0\0\3", b"\0\0"), "SPS")
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
    return Sps(width, height, _read_frame_duration(bits) if bits.flag() else 0)


def _read_chroma(bits: _Bits) -> tuple[int, bool]:
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


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_picture_order(bits: _Bits) -> None:
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


def _read_frame_duration(bits: _Bits) -> int:
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
    if not scale:
        return 0
    duration = round(2 * units * VIDEO_TIMESCALE / scale)
    return duration if _SHORTEST_FRAME <= duration <= _LONGEST_FRAME else 0


def track_from_audio_config(config: bytes) -> Track:
    """The AAC track. timescale: the rate of the core coder, so that a frame is 1024 ticks (960 where it says so);
    rate_hz, channels: what is heard, after SBR and PS where they are signalled.

    Raises: CodecUnsupported: not AAC-LC, HE-AAC or HE-AAC v2, or the record ends early.
    """
    bits = _Bits(config[:64], "AudioSpecificConfig")
    object_type = _read_object_type(bits)
    core_hz = rate_hz = _read_rate(bits)
    layout = bits.u(4)
    core_type = object_type
    if object_type in (_SBR, _PS):
        rate_hz = _read_rate(bits)
        core_type = _read_object_type(bits)
    if core_type != _AAC_LC:
        name = _AUDIO_OBJECT_TYPES.get(core_type, "unknown")
        raise CodecUnsupported(f"audio object type {core_type} ({name}); AAC-LC, HE-AAC and HE-AAC v2 can be carried")
    if layout not in _AAC_CHANNELS:
        raise CodecUnsupported(f"AAC channel configuration {layout}; use mono, stereo or a standard layout")
    frame_length = 960 if bits.flag() else 1024
    if bits.flag():
        bits.u(14)  # coreCoderDelay
    bits.flag()  # extensionFlag, 0 for AAC-LC
    if object_type == _AAC_LC:
        object_type, rate_hz = _read_late_extension(bits, rate_hz)
    return Track(
        track_id=AUDIO_TRACK,
        kind="audio",
        codec=f"mp4a.40.{object_type}",
        config=config,
        timescale=core_hz,
        rate_hz=rate_hz,
        channels=2 if object_type == _PS else _AAC_CHANNELS[layout],
        frame_duration=frame_length,
    )


def _read_late_extension(bits: _Bits, core_hz: int) -> tuple[int, int]:
    """Object type and output rate from the backward compatible signalling behind the core's record."""
    if bits.left < 17 or bits.u(11) != _SYNC_EXTENSION or _read_object_type(bits) != _SBR or not bits.flag():
        return _AAC_LC, core_hz
    return _SBR, _read_rate(bits)


def _read_object_type(bits: _Bits) -> int:
    object_type = bits.u(5)
    return 32 + bits.u(6) if object_type == _TYPE_ESCAPE else object_type


def _read_rate(bits: _Bits) -> int:
    index = bits.u(4)
    rate_hz = bits.u(24) if index == _RATE_ESCAPE else 0
    if index < len(_AAC_RATES_HZ):
        rate_hz = _AAC_RATES_HZ[index]
    if not 1000 <= rate_hz <= 192_000:
        raise CodecUnsupported(f"an AAC sampling rate of {rate_hz} Hz (index {index})")
    return rate_hz


def with_long_nal_lengths(data: bytes, nal_length_bytes: int) -> bytes:
    """An access unit whose NAL lengths have `nal_length_bytes` (1 or 2) with lengths of 4 bytes.

    Raises: ProtocolError: the lengths run past its end. LimitExceeded: more NAL units than a picture can have.
    """
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        if len(parts) >= 2 * _MAX_NAL_UNITS:
            raise LimitExceeded(f"a picture of more than {_MAX_NAL_UNITS} NAL units")
        size = int.from_bytes(data[at : at + nal_length_bytes], "big")
        at += nal_length_bytes
        if at + size > len(data):
            raise ProtocolError("the NAL lengths of a picture run past its end")
        parts += [size.to_bytes(4, "big"), data[at : at + size]]
        at += size
    return b"".join(parts)


def check_nal_lengths(data: bytes) -> None:
    """Raises: ProtocolError: the 4-byte NAL lengths of an access unit do not add up to its size."""
    at = 0
    size = len(data)
    for _ in range(_MAX_NAL_UNITS):
        if at + 4 > size:
            break
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    if at != size:
        raise ProtocolError("the NAL lengths of a picture do not add up; the publisher must send AVCC, not Annex B")
