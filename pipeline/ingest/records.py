"""What the demuxer's child process tells its parent: small binary records, and the reader that believes none of them.

A record is u32 size, u8 kind, then `size` bytes; big-endian. The child may be in an attacker's hands, so the reader
checks each size, number and identity, and the parent makes the tracks itself from the configurations.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from pipeline.codecs.aac import track_from_audio_config
from pipeline.codecs.av1 import track_from_av1c
from pipeline.codecs.flac import track_from_flac_header
from pipeline.codecs.h264 import track_from_avcc
from pipeline.codecs.h265 import track_from_hvcc
from pipeline.codecs.opus import track_from_opus_head
from pipeline.errors import CodecUnsupported, LimitExceeded, ProtocolError
from pipeline.media import AUDIO_TRACK, VIDEO_TRACK, Packet, Track

_HEAD = struct.Struct(">IB")
_PACKET = struct.Struct(">BBqq")  # track id, flags, dts, pts
_TRACK = struct.Struct(">BH")  # codec, size of its configuration

MAX_CONFIG_BYTES = 16 * 1024
MAX_COMPOSITION = 1 << 24  # ticks between dts and pts: 3 minutes at 90 kHz, far from where a box would overflow
MAX_TIME = 1 << 55  # ticks; 12,000 years at 90 kHz
_MAX_RARE_BYTES = 3 * MAX_CONFIG_BYTES
_MAX_TEXT = 200
_KEY = 1


class Kind(IntEnum):
    JAILED = 0
    TRACKS = 1
    PACKET = 2
    SKIPPED = 3
    ENDED = 4
    FAILED = 5


class Codec(IntEnum):
    """What may come out of the child; its configuration is named behind it."""

    H264 = 1  # avcC
    H265 = 2  # hvcC
    AAC = 3  # AudioSpecificConfig
    OPUS = 4  # OpusHead
    AV1 = 5  # av1C
    FLAC = 6  # STREAMINFO


@dataclass(frozen=True, slots=True)
class Jailed:
    """The child's first word. missing: what its cage lacks on this machine; empty where it is whole."""

    missing: str


@dataclass(frozen=True, slots=True)
class TracksFound:
    """The tracks from here on, each as its codec and configuration."""

    tracks: tuple[tuple[Codec, bytes], ...]


@dataclass(frozen=True, slots=True)
class TrackSkipped:
    """A track that is not carried. name: of its codec, and why."""

    name: str


@dataclass(frozen=True, slots=True)
class DemuxEnded:
    """The body was read to its end and everything in it was told."""


@dataclass(frozen=True, slots=True)
class DemuxFailed:
    """The child gave up. reason: its own words, printable ASCII."""

    reason: str


Record: TypeAlias = Packet | TracksFound | TrackSkipped | DemuxEnded | DemuxFailed | Jailed


def track_of(codec: Codec, config: bytes, max_width: int, max_height: int) -> Track:
    """The track of one configuration; its id is VIDEO_TRACK or AUDIO_TRACK.

    Raises: CodecUnsupported.
    """
    match codec:
        case Codec.H264:
            return track_from_avcc(config, max_width=max_width, max_height=max_height)
        case Codec.H265:
            return track_from_hvcc(config, max_width=max_width, max_height=max_height)
        case Codec.AAC:
            return track_from_audio_config(config)
        case Codec.OPUS:
            return track_from_opus_head(config)
        case Codec.AV1:
            return track_from_av1c(config, max_width=max_width, max_height=max_height)
        case Codec.FLAC:
            return track_from_flac_header(config)


def write_packet(track_id: int, dts: int, pts: int, is_key: bool, data: bytes) -> bytes:
    return _HEAD.pack(_PACKET.size + len(data), Kind.PACKET) + _PACKET.pack(track_id, is_key, dts, pts) + data


def write_tracks(tracks: Sequence[tuple[Codec, bytes]]) -> bytes:
    """Raises: CodecUnsupported: a configuration of an absurd size."""
    parts = []
    for codec, config in tracks:
        if len(config) > MAX_CONFIG_BYTES:
            raise CodecUnsupported(f"a codec configuration of {len(config)} bytes")
        parts += [_TRACK.pack(codec, len(config)), config]
    return _record(Kind.TRACKS, b"".join(parts))


def write_text(kind: Kind, text: str = "") -> bytes:
    """A JAILED, SKIPPED, ENDED or FAILED record."""
    return _record(kind, text.encode("ascii", "replace")[:_MAX_TEXT])


def _record(kind: Kind, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload), kind) + payload


class RecordReader:
    """Bytes of the child in, records out. Bound: one record of `max_packet_bytes`."""

    def __init__(self, max_packet_bytes: int) -> None:
        self._max_packet_bytes = max_packet_bytes
        self._pieces: list[bytes] = []  # of a record that is not whole
        self._held = 0
        self._needed = _HEAD.size

    def feed(self, data: bytes, captured_at: float) -> list[Record]:
        """The records that are whole now. captured_at: UTC seconds, given to the packets.

        Raises: ProtocolError, LimitExceeded: the child talks nonsense.
        """
        if self._pieces or len(data) < self._needed:
            self._pieces.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return []
            data = b"".join(self._pieces)
            self._pieces.clear()
        return self._read(data, captured_at)

    def _read(self, data: bytes, captured_at: float) -> list[Record]:
        records: list[Record] = []
        at, end = 0, len(data)
        self._needed = _HEAD.size
        while end - at >= _HEAD.size:
            size, kind = _HEAD.unpack_from(data, at)
            body = at + _HEAD.size
            if size > (self._max_packet_bytes if kind == Kind.PACKET else _MAX_RARE_BYTES):
                raise LimitExceeded(f"an access unit of {size} bytes; at most {self._max_packet_bytes} are taken")
            if body + size > end:
                self._needed = _HEAD.size + size
                break
            at = body + size
            if kind == Kind.PACKET:
                records.append(_read_packet(data, body, at, captured_at))
            else:
                records.append(_read_rare(kind, data[body:at]))
        self._held = end - at
        if at < end:
            self._pieces.append(data[at:])
        return records


def _read_packet(data: bytes, start: int, end: int, captured_at: float) -> Packet:
    if end - start <= _PACKET.size:
        raise ProtocolError("the demuxer told an empty packet")
    track_id, flags, dts, pts = _PACKET.unpack_from(data, start)
    if not (-MAX_TIME < dts < MAX_TIME and -MAX_COMPOSITION <= pts - dts <= MAX_COMPOSITION):
        raise ProtocolError("the demuxer told a time out of range")
    if track_id not in (VIDEO_TRACK, AUDIO_TRACK):
        raise ProtocolError("the demuxer told a packet of an unknown track")
    return Packet(track_id, dts, pts, flags == _KEY, data[start + _PACKET.size : end], captured_at)


def _read_rare(kind: int, payload: bytes) -> Record:
    match kind:
        case Kind.JAILED:
            return Jailed(_text(payload))
        case Kind.TRACKS:
            return TracksFound(_read_tracks(payload))
        case Kind.SKIPPED:
            return TrackSkipped(_text(payload))
        case Kind.ENDED:
            return DemuxEnded()
        case Kind.FAILED:
            return DemuxFailed(_text(payload))
        case _:
            raise ProtocolError(f"the demuxer told a record of unknown kind {kind}")


def _read_tracks(payload: bytes) -> tuple[tuple[Codec, bytes], ...]:
    tracks: list[tuple[Codec, bytes]] = []
    at = 0
    while at < len(payload):
        if at + _TRACK.size > len(payload) or len(tracks) == 2:
            raise ProtocolError("the demuxer told tracks that do not add up")
        codec, size = _TRACK.unpack_from(payload, at)
        at += _TRACK.size + size
        if at > len(payload) or codec not in set(Codec):
            raise ProtocolError("the demuxer told tracks that do not add up")
        tracks.append((Codec(codec), payload[at - size : at]))
    return tuple(tracks)


def _text(payload: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in payload[:_MAX_TEXT])
