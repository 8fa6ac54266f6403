"""The FLV tags we write: what an RTMP message of sound or pictures holds. H.264 and AAC as every server knows them, all
other codecs by Enhanced RTMP.

Source: Adobe Flash Video 10.1, E.4; Veovera Enhanced RTMP v2, "Enhanced Audio" and "Enhanced Video"; RFC 7845 5.1.
"""

import struct

_KEY, _INTER = 0x10, 0x20
_ENHANCED, _ENHANCED_AUDIO = 0x80, 0x90
_SEQUENCE_START, _CODED_FRAMES = 0, 1
_AVC, _AAC_STEREO = 7, b"\xaf"
_DOPS = struct.Struct(">BBHIhB")  # version, channels, pre-skip, input rate, gain, mapping family
_OPUS_HEAD = struct.Struct("<BBHIhB")
_LAST_STREAMINFO = bytes([0x80, 0, 0, 34])  # the head of a FLAC metadata block


def four_cc(codec: str) -> str:
    """ "avc1", "hvc1", "av01", "mp4a", "Opus" or "fLaC" for the RFC 6381 string of a Track."""
    name = codec.partition(".")[0]
    return {"opus": "Opus", "flac": "fLaC"}.get(name, name)


def video_configuration(code: str, config: bytes) -> bytes:
    """code: a fourCC; config: as in pipeline.media.Track."""
    if code == "avc1":
        return bytes([_KEY | _AVC, _SEQUENCE_START, 0, 0, 0]) + config
    return bytes([_ENHANCED | _KEY | _SEQUENCE_START]) + code.encode() + config


def video_frame(code: str, data: bytes, *, is_key: bool, composition_ms: int) -> bytes:
    """data: one access unit as in pipeline.media.Packet."""
    kind = _KEY if is_key else _INTER
    composition = (composition_ms & 0xFFFFFF).to_bytes(3, "big")
    if code == "avc1":
        return bytes([kind | _AVC, _CODED_FRAMES]) + composition + data
    head = bytes([_ENHANCED | kind | _CODED_FRAMES]) + code.encode()
    return head + composition + data if code == "hvc1" else head + data


def audio_configuration(code: str, config: bytes) -> bytes:
    """code: a fourCC; config: as in pipeline.media.Track."""
    match code:
        case "mp4a":
            return _AAC_STEREO + bytes([_SEQUENCE_START]) + config
        case "Opus":
            config = b"OpusHead" + _OPUS_HEAD.pack(1, *_DOPS.unpack_from(config)[1:]) + config[_DOPS.size :]
        case "fLaC":
            config = b"fLaC" + _LAST_STREAMINFO + config
    return bytes([_ENHANCED_AUDIO | _SEQUENCE_START]) + code.encode() + config


def audio_frame(code: str, data: bytes) -> bytes:
    """data: one raw frame."""
    if code == "mp4a":
        return _AAC_STEREO + bytes([_CODED_FRAMES]) + data
    return bytes([_ENHANCED_AUDIO | _CODED_FRAMES]) + code.encode() + data
