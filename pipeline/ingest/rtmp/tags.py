"""The head of an FLV tag, plain or Enhanced RTMP: which codec it holds and what of it. Refuses by name what we cannot
carry. Keeps no state and reads no media.

Source: Adobe Flash Video 10.1, E.4; Veovera Enhanced RTMP v2, "Enhanced Audio" and "Enhanced Video".
"""

from dataclasses import dataclass
from enum import Enum, auto

from pipeline.errors import CodecUnsupported, ProtocolError

FOUR_CCS = ("avc1", "hvc1", "av01", "mp4a", "Opus", "fLaC")
"""The Enhanced RTMP codecs we take; the answer to `connect` names them."""

_KEY_FRAME, _COMMAND_FRAME = 1, 5
_SEQUENCE_START, _CODED_FRAMES, _CODED_FRAMES_X = 0, 1, 3
_METADATA, _MULTITRACK_VIDEO, _MULTITRACK_AUDIO, _MOD_EX = 4, 6, 5, 7
_LONG_SIZE = 256  # of a ModEx: the size follows in 16 bits
_AAC, _ENHANCED_AUDIO = 10, 9
_STEREO = 1

_PLAIN_VIDEO = {7: "avc1", 12: "hvc1"}  # 12: no standard, but what Chinese cameras and CDNs send H.265 as
_G711 = {7: "pcm_alaw", 8: "pcm_mulaw"}
_WITH_COMPOSITION = frozenset({"avc1", "hvc1"})

_VIDEO_NAMES = {2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 5: "VP6 with alpha", 6: "Screen video 2", 13: "AV1"}
_AUDIO_NAMES = {0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser"}
_AUDIO_NAMES |= {11: "Speex", 13: "Opus outside Enhanced RTMP", 14: "MP3"}
_FOUR_CC_NAMES = {b"vvc1": "VVC", b"vp08": "VP8", b"vp09": "VP9", b"ac-3": "AC-3", b"ec-3": "E-AC-3", b".mp3": "MP3"}
_REMEDY = "set the device to H.264 or H.265 video and AAC, Opus or G.711 sound"


class Content(Enum):
    """What a tag holds."""

    CONFIGURATION = auto()
    FRAME = auto()
    NOTHING = auto()
    """An end, metadata, a command: nothing changes."""


@dataclass(frozen=True, slots=True)
class Tag:
    """codec: a fourCC of FOUR_CCS, or 'pcm_alaw' or 'pcm_mulaw'. body_at: where configuration or frame begins."""

    content: Content
    codec: str = ""
    body_at: int = 0
    is_key: bool = False
    composition_ms: int = 0
    channels: int = 0


_EMPTY = Tag(Content.NOTHING)


def read_video_tag(tag: bytes) -> Tag:
    """tag: 5 bytes at least.

    Raises: CodecUnsupported: another codec, or several tracks. ProtocolError: it ends within its modifiers.
    """
    kind = tag[0] >> 4 & 7
    if tag[0] & 0x80:
        return _read_enhanced_video(tag, kind)
    if kind == _COMMAND_FRAME:
        return _EMPTY
    codec = _PLAIN_VIDEO.get(tag[0] & 15)
    if codec is None:
        raise _unsupported(_VIDEO_NAMES.get(tag[0] & 15, "unknown"), f"FLV video codec {tag[0] & 15}")
    if tag[1] == _SEQUENCE_START:
        return Tag(Content.CONFIGURATION, codec, 5)
    if tag[1] != _CODED_FRAMES:
        return _EMPTY
    return Tag(Content.FRAME, codec, 5, kind == _KEY_FRAME, int.from_bytes(tag[2:5], "big", signed=True))


def read_audio_tag(tag: bytes) -> Tag:
    """tag: 2 bytes at least. Raises: as read_video_tag."""
    sound_format = tag[0] >> 4
    if sound_format == _ENHANCED_AUDIO:
        return _read_enhanced_audio(tag)
    if sound_format in _G711:
        return Tag(Content.FRAME, _G711[sound_format], 1, channels=2 if tag[0] & _STEREO else 1)
    if sound_format != _AAC:
        raise _unsupported(_AUDIO_NAMES.get(sound_format, "unknown"), f"FLV sound format {sound_format}")
    return Tag(Content.CONFIGURATION if tag[1] == _SEQUENCE_START else Content.FRAME, "mp4a", 2)


def _read_enhanced_video(tag: bytes, kind: int) -> Tag:
    packet_type, at = _skip_modifiers(tag)
    if packet_type == _MULTITRACK_VIDEO:
        raise _unsupported("several video tracks", "Enhanced RTMP multitrack")
    if packet_type == _METADATA or kind == _COMMAND_FRAME:
        return _EMPTY
    codec = _four_cc(tag, at, _WITH_COMPOSITION | {"av01"})
    at += 4
    is_key = kind == _KEY_FRAME
    if packet_type == _SEQUENCE_START:
        return Tag(Content.CONFIGURATION, codec, at)
    if packet_type == _CODED_FRAMES and codec in _WITH_COMPOSITION:
        return Tag(Content.FRAME, codec, at + 3, is_key, int.from_bytes(tag[at : at + 3], "big", signed=True))
    if packet_type in (_CODED_FRAMES, _CODED_FRAMES_X):
        return Tag(Content.FRAME, codec, at, is_key)
    return _EMPTY


def _read_enhanced_audio(tag: bytes) -> Tag:
    packet_type, at = _skip_modifiers(tag)
    if packet_type == _MULTITRACK_AUDIO:
        raise _unsupported("several sound tracks", "Enhanced RTMP multitrack")
    codec = _four_cc(tag, at, {"mp4a", "Opus", "fLaC"})
    if packet_type == _SEQUENCE_START:
        return Tag(Content.CONFIGURATION, codec, at + 4)
    return Tag(Content.FRAME, codec, at + 4) if packet_type == _CODED_FRAMES else _EMPTY


def _skip_modifiers(tag: bytes) -> tuple[int, int]:
    """Packet type of an Enhanced RTMP tag and where its fourCC begins, after any ModEx."""
    packet_type, at = tag[0] & 15, 1
    while packet_type == _MOD_EX:
        size = tag[at] + 1 if at < len(tag) else 0
        at += 1
        if size == _LONG_SIZE:
            size = int.from_bytes(tag[at : at + 2], "big") + 1
            at += 2
        at += size + 1
        if at > len(tag):
            raise ProtocolError("an Enhanced RTMP tag ends within its modifiers")
        packet_type = tag[at - 1] & 15
    return packet_type, at


def _four_cc(tag: bytes, at: int, known: frozenset[str] | set[str]) -> str:
    found = tag[at : at + 4]
    text = found.decode("latin-1")
    if text not in known:
        printable = "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in found)
        raise _unsupported(_FOUR_CC_NAMES.get(found, "unknown"), f"fourCC {printable}")
    return text


def _unsupported(name: str, found: str) -> CodecUnsupported:
    return CodecUnsupported(f"{name} ({found}) cannot be carried; {_REMEDY}")
