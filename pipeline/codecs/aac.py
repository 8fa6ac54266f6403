"""AAC: the AudioSpecificConfig to a track. Source: ISO/IEC 14496-3 1.6.2.1."""

from pipeline.bits import Bits
from pipeline.codec_strings import codec_string
from pipeline.errors import CodecUnsupported
from pipeline.media import AUDIO_TRACK, Track

_AAC_RATES_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_RATE_ESCAPE = 15
_AAC_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 14: 8}
_AAC_LC, _SBR, _PS, _TYPE_ESCAPE = 2, 5, 29, 31
_AUDIO_OBJECT_TYPES = {1: "AAC Main", 3: "AAC SSR", 4: "AAC LTP", 22: "ER BSAC", 23: "AAC LD", 34: "MP3", 36: "ALS"}
_AUDIO_OBJECT_TYPES |= {39: "AAC ELD", 42: "xHE-AAC"}
_SYNC_EXTENSION = 0x2B7


def track_from_audio_config(config: bytes) -> Track:
    """The AAC track. timescale: the rate of the core coder, so that a frame is 1024 ticks (960 where it says so);
    rate_hz, channels: what is heard, after SBR and PS where they are signalled.

    Raises: CodecUnsupported: not AAC-LC, HE-AAC or HE-AAC v2, or the record ends early.
    """
    bits = Bits(config[:64], "AudioSpecificConfig")
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
        codec=codec_string("mp4a", config),
        config=config,
        timescale=core_hz,
        rate_hz=rate_hz,
        channels=2 if object_type == _PS else _AAC_CHANNELS[layout],
        frame_duration=frame_length,
    )


def _read_late_extension(bits: Bits, core_hz: int) -> tuple[int, int]:
    """Object type and output rate from the backward compatible signalling behind the core's record."""
    if bits.left < 17 or bits.u(11) != _SYNC_EXTENSION or _read_object_type(bits) != _SBR or not bits.flag():
        return _AAC_LC, core_hz
    return _SBR, _read_rate(bits)


def _read_object_type(bits: Bits) -> int:
    object_type = bits.u(5)
    return 32 + bits.u(6) if object_type == _TYPE_ESCAPE else object_type


def _read_rate(bits: Bits) -> int:
    index = bits.u(4)
    rate_hz = bits.u(24) if index == _RATE_ESCAPE else 0
    if index < len(_AAC_RATES_HZ):
        rate_hz = _AAC_RATES_HZ[index]
    if not 1000 <= rate_hz <= 192_000:
        raise CodecUnsupported(f"an AAC sampling rate of {rate_hz} Hz (index {index})")
    return rate_hz
