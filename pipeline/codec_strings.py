"""Sample entry and decoder configuration to the string that browsers, playlists and manifests call a codec by.

Both who makes a track and who reads it back from a file ask here, so that the two can never differ.
Source: RFC 6381; ISO/IEC 14496-15 annex E; AV1 codec ISO media file format binding 1.2, 5.
"""

from collections.abc import Callable

from pipeline.bits import Bits
from pipeline.errors import CodecUnsupported

_HVCC_HEAD_BYTES, _AV1C_HEAD_BYTES = 23, 4
_PROFILE_SPACES = ("", "A", "B", "C")
_AAC_LC, _SBR, _TYPE_ESCAPE = 2, 5, 31
_RATE_ESCAPE = 15
_SYNC_EXTENSION = 0x2B7


def codec_string(sample_entry: str, config: bytes) -> str:
    """The RFC 6381 string of a track: sample entry and configuration as in `pipeline.media.Track`.

    Opus and FLAC in small letters: Chromium says yes to 'fLaC' and then fails (crbug 1422728).
    Raises: CodecUnsupported: another sample entry, or a configuration that ends early.
    """
    make = _STRINGS.get(sample_entry)
    if make is None:
        raise CodecUnsupported(f"no codec string for the sample entry {sample_entry!r}")
    return make(config)


def _avc1(avcc: bytes) -> str:
    _need(avcc, 4, "avcC")
    return f"avc1.{avcc[1:4].hex()}"


def _hvc1(hvcc: bytes) -> str:
    _need(hvcc, _HVCC_HEAD_BYTES, "hvcC")
    compatibility = int(f"{int.from_bytes(hvcc[2:6], 'big'):032b}"[::-1], 2)
    tier = "H" if hvcc[1] & 0x20 else "L"
    constraints = "".join(f".{byte:X}" for byte in hvcc[6:12].rstrip(b"\0"))
    return f"hvc1.{_PROFILE_SPACES[hvcc[1] >> 6]}{hvcc[1] & 31}.{compatibility:X}.{tier}{hvcc[12]}{constraints}"


def _av01(av1c: bytes) -> str:
    _need(av1c, _AV1C_HEAD_BYTES, "av1C")
    is_deep, is_twelve = av1c[2] & 0x40, av1c[2] & 0x20
    depth = (12 if is_twelve else 10) if is_deep else 8
    tier = "H" if av1c[2] & 0x80 else "M"
    text = f"av01.{av1c[1] >> 5}.{av1c[1] & 31:02}{tier}.{depth:02}"
    is_monochrome, is_half_x, is_half_y = av1c[2] >> 4 & 1, av1c[2] >> 3 & 1, av1c[2] >> 2 & 1
    if (is_monochrome, is_half_x, is_half_y) != (0, 1, 1):  # else 4:2:0 in colour, which need not be said
        text += f".{is_monochrome}.{is_half_x}{is_half_y}0.01.01.01.0"
    return text


def _mp4a(config: bytes) -> str:
    bits = Bits(config[:64], "AudioSpecificConfig")
    object_type = _object_type(bits)
    if object_type == _AAC_LC and _has_late_sbr(bits):
        object_type = _SBR
    return f"mp4a.40.{object_type}"


def _has_late_sbr(bits: Bits) -> bool:
    """Whether SBR is signalled behind the core's record, in the backward compatible way."""
    if bits.u(4) == _RATE_ESCAPE:
        bits.u(24)
    bits.u(5)  # channelConfiguration, frameLengthFlag
    if bits.flag():
        bits.u(14)  # coreCoderDelay
    bits.flag()  # extensionFlag
    return bits.left >= 17 and bits.u(11) == _SYNC_EXTENSION and _object_type(bits) == _SBR and bits.flag()


def _object_type(bits: Bits) -> int:
    object_type = bits.u(5)
    return 32 + bits.u(6) if object_type == _TYPE_ESCAPE else object_type


def _need(record: bytes, size_bytes: int, name: str) -> None:
    if len(record) < size_bytes:
        raise CodecUnsupported(f"an {name} of {len(record)} bytes; it has {size_bytes} at least")


_STRINGS: dict[str, Callable[[bytes], str]] = {
    "avc1": _avc1,
    "hvc1": _hvc1,
    "av01": _av01,
    "mp4a": _mp4a,
    "Opus": lambda _: "opus",
    "fLaC": lambda _: "flac",
}
