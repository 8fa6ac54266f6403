"""Sample entries: what a player must know of a track's codec, written into a moov and read back. One pair a codec.

Source: ISO/IEC 14496-12 8.5.2; 14496-14 (mp4a); 14496-15 5.4.2 and 8.4.1 (avc1, hvc1); AV1 codec ISO media file format
binding 2.2 (av01); Encapsulation of Opus in ISOBMFF 4.3; Encapsulation of FLAC in ISOBMFF 3.3.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.codec_strings import codec_string
from pipeline.errors import BoxMalformed, CodecUnsupported
from pipeline.fmp4.boxes import box, children
from pipeline.media import Track

_VISUAL_BYTES, _AUDIO_BYTES = 78, 28  # of the entry before its boxes
_DECODER_INFO_AT = 4 + 5 + 3 + 5 + 13  # in an esds as `_esds` writes it, with 5-byte descriptor heads
_DECODER_INFO_TAG = 5
_FLAC_BLOCK_HEAD = b"\x80\0\0\x22"  # the last block; STREAMINFO, 34 bytes


@dataclass(frozen=True, slots=True)
class _Form:
    """How a sample entry holds a decoder configuration: the box, what it is made of, and the way back."""

    config_box: bytes
    write: Callable[[bytes], bytes]
    read: Callable[[bytes], bytes]
    is_video: bool


def sample_entry(track: Track) -> bytes:
    """The sample entry of `track`. Raises: CodecUnsupported: none is known for its codec."""
    kind = _ENTRIES.get(track.codec.split(".")[0])
    if kind is None:
        raise CodecUnsupported(f"no MP4 sample entry for codec {track.codec!r}")
    form = _FORMS[kind]
    config = box(form.config_box, form.write(track.config))
    return box(kind, (_visual(track) if form.is_video else _audio(track)) + config)


def read_entry(kind: bytes, entry: bytes, track_id: int, timescale: int) -> Track:
    """The track of a sample entry's body.

    Raises: BoxMalformed, CodecUnsupported, struct.error, KeyError, IndexError: it is none of ours.
    """
    form = _FORMS.get(kind)
    if form is None:
        raise BoxMalformed(f"unknown sample entry {kind!r}")
    head_bytes = _VISUAL_BYTES if form.is_video else _AUDIO_BYTES
    config = form.read(dict(children(entry[head_bytes:]))[form.config_box])
    codec = codec_string(kind.decode(), config)
    if form.is_video:
        width, height = struct.unpack_from(">HH", entry, 24)
        return Track(track_id, "video", codec, config, timescale, width=width, height=height)
    channels, _, _, rate = struct.unpack_from(">HHII", entry, 16)
    return Track(track_id, "audio", codec, config, timescale, rate_hz=rate >> 16, channels=channels)


def _visual(track: Track) -> bytes:
    return (
        struct.pack(">6xH16xHH", 1, track.width, track.height)
        + struct.pack(">III", 0x00480000, 0x00480000, 0)
        + struct.pack(">H32xHh", 1, 0x18, -1)
    )


def _audio(track: Track) -> bytes:
    rate = track.rate_hz << 16 if track.rate_hz < 65536 else 0
    return struct.pack(">6xH8xHHII", 1, track.channels, 16, 0, rate)


def _esds(config: bytes) -> bytes:
    def descriptor(tag: int, body: bytes) -> bytes:
        return struct.pack(">BBBBB", tag, 0x80, 0x80, 0x80, len(body)) + body

    decoder = struct.pack(">BBBBBII", 0x40, 0x15, 0, 0, 0, 0, 0) + descriptor(_DECODER_INFO_TAG, config)
    return bytes(4) + descriptor(3, struct.pack(">HB", 0, 0) + descriptor(4, decoder) + descriptor(6, b"\2"))


def _read_esds(esds: bytes) -> bytes:
    at = _DECODER_INFO_AT
    if esds[at] != _DECODER_INFO_TAG:
        raise BoxMalformed("esds holds no decoder specific info")
    return esds[at + 5 : at + 5 + esds[at + 4]]


def _dfla(streaminfo: bytes) -> bytes:
    return bytes(4) + _FLAC_BLOCK_HEAD + streaminfo


def _read_dfla(dfla: bytes) -> bytes:
    if dfla[4:8] != _FLAC_BLOCK_HEAD:
        raise BoxMalformed("dfLa does not hold one STREAMINFO")
    return dfla[8:]


def _same(config: bytes) -> bytes:
    return config


_FORMS = {
    b"avc1": _Form(b"avcC", _same, _same, True),
    b"hvc1": _Form(b"hvcC", _same, _same, True),
    b"av01": _Form(b"av1C", _same, _same, True),
    b"mp4a": _Form(b"esds", _esds, _read_esds, False),
    b"Opus": _Form(b"dOps", _same, _same, False),
    b"fLaC": _Form(b"dfLa", _dfla, _read_dfla, False),
}
_ENTRIES = {"opus": b"Opus", "flac": b"fLaC"} | {kind.decode(): kind for kind in _FORMS}
"""The sample entry by the first part of the codec string."""
