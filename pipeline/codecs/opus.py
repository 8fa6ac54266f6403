"""Opus: the OpusHead of a publisher to a track, and how long a packet lasts. Decodes no sound.

Source: RFC 7845 5.1 (OpusHead); RFC 6716 3.1 and 3.2 (the TOC byte); Encapsulation of Opus in ISOBMFF 4.3.2 (dOps).
"""

import struct

from pipeline.codec_strings import codec_string
from pipeline.errors import CodecUnsupported
from pipeline.media import AUDIO_TRACK, Track

RATE_HZ = 48_000  # the clock of every Opus stream, whatever was sampled
_MAGIC = b"OpusHead"
_HEAD = struct.Struct("<BBHIhB")  # version, channels, pre-skip, input rate, gain, mapping family
_MOST_CHANNELS_BY_FAMILY = {0: 2, 1: 8}
_USUAL_DURATION = 960  # 20 ms
_LONGEST_DURATION = 5760  # 120 ms
_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)


def track_from_opus_head(head: bytes) -> Track:
    """The Opus track, timescale 48000; `config` is the body of a dOps box.

    Raises: CodecUnsupported: no OpusHead, or more channels than its mapping family has.
    """
    if not head.startswith(_MAGIC) or len(head) < len(_MAGIC) + _HEAD.size:
        raise CodecUnsupported("the Opus configuration is no OpusHead")
    version, channels, pre_skip, rate_hz, gain, family = _HEAD.unpack_from(head, len(_MAGIC))
    mapping = head[len(_MAGIC) + _HEAD.size :]
    if version >> 4:
        raise CodecUnsupported(f"an OpusHead of version {version}; 1 is known")
    if not 1 <= channels <= _MOST_CHANNELS_BY_FAMILY.get(family, 0):
        raise CodecUnsupported(f"Opus with {channels} channels in mapping family {family}; use mono or stereo")
    if family and len(mapping) < 2 + channels:
        raise CodecUnsupported("the OpusHead ends within its channel mapping")
    box = struct.pack(">BBHIhB", 0, channels, pre_skip, rate_hz, gain, family)
    config = box + (mapping[: 2 + channels] if family else b"")
    return Track(
        track_id=AUDIO_TRACK,
        kind="audio",
        codec=codec_string("Opus", config),
        config=config,
        timescale=RATE_HZ,
        rate_hz=RATE_HZ,
        channels=channels,
        frame_duration=_USUAL_DURATION,
    )


def packet_duration(packet: bytes) -> int:
    """48 kHz ticks that an Opus packet lasts; the usual 20 ms where it does not tell or tells nonsense."""
    if not packet:
        return _USUAL_DURATION
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = _SILK[config & 3]
    elif config < 16:
        frame = _HYBRID[config & 1]
    else:
        frame = _CELT[config & 3]
    frames = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[code]
    return frame * frames if 0 < frame * frames <= _LONGEST_DURATION else _USUAL_DURATION
