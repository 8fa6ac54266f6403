"""RTP payloads to access units: H.264, H.265, AAC, G.711, Opus. What is broken by a loss is dropped, never guessed.

Source: RFC 6184 5.6 to 5.8; RFC 7798 4.4; RFC 3640 3.2 and 3.3.6; RFC 3551 4.5.14; RFC 7587 4.2.
"""

import base64
import binascii
from typing import NamedTuple, Protocol

from pipeline.errors import CodecUnsupported, LimitExceeded, ProtocolError
from pipeline.rtsp.rtp import RtpPacket
from pipeline.rtsp.sdp import Media

_MAX_NAL_UNITS = 4096  # of one picture
_MAX_SETS = 64
_STAP_A, _FU_A = 24, 28
_H265_AP, _H265_FU = 48, 49


class Unit(NamedTuple):
    """One access unit. timestamp: as in RTP, 32 bits; parts: NAL units of a picture, or one sound frame."""

    timestamp: int
    parts: list[bytes]


class Depacketiser(Protocol):
    """One media's packets in order."""

    def feed(self, packet: RtpPacket, is_broken: bool) -> list[Unit]:
        """The access units that are whole now. is_broken: packets before this one are lost.

        Raises: ProtocolError, LimitExceeded.
        """
        ...


class Pictures:
    """H.264 or H.265. Bound: one picture of `max_bytes`. A picture with a hole is dropped and counted."""

    def __init__(self, is_hevc: bool, max_bytes: int) -> None:
        self.dropped = 0
        self._is_hevc = is_hevc
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._timestamp = 0
        self._fragments: list[bytes] = []
        self._is_holed = False

    def feed(self, packet: RtpPacket, is_broken: bool) -> list[Unit]:
        if self._fragments and packet.timestamp == self._timestamp and not (is_broken or packet.is_marked):
            middle = self._middle(packet.payload)
            if middle and self._size + len(middle) <= self._max_bytes:  # most of what comes: nothing begins or ends
                self._size += len(middle)
                self._fragments.append(middle)
                return []
        units: list[Unit] = []
        if packet.timestamp != self._timestamp and (self._parts or self._fragments or self._is_holed):
            self._is_holed |= is_broken or bool(self._fragments)  # its last packet may be the one that is lost
            units += self._finish()
        self._timestamp = packet.timestamp
        if is_broken:
            self._is_holed = True
        if packet.payload:
            (self._take_hevc if self._is_hevc else self._take_avc)(packet.payload)
        if packet.is_marked:
            units += self._finish()
        return units

    def _middle(self, payload: bytes) -> bytes:
        """What a fragment that neither begins nor ends a NAL unit carries; nothing for any other payload."""
        if self._is_hevc:
            return payload[3:] if len(payload) > 3 and payload[0] >> 1 & 63 == _H265_FU and payload[2] < 64 else b""
        return payload[2:] if len(payload) > 2 and payload[0] & 31 == _FU_A and payload[1] & 0xC0 == 0 else b""

    def _finish(self) -> list[Unit]:
        parts, is_holed = self._parts, self._is_holed or bool(self._fragments)
        self._parts, self._fragments, self._size, self._is_holed = [], [], 0, False
        if is_holed:
            self.dropped += 1
            return []
        return [Unit(self._timestamp, parts)] if parts else []

    def _take_avc(self, payload: bytes) -> None:
        kind = payload[0] & 31
        if 1 <= kind <= 23:
            self._add(payload)
        elif kind == _STAP_A:
            self._take_aggregate(payload, 1)
        elif kind == _FU_A and len(payload) > 2:
            head = bytes([payload[0] & 0xE0 | payload[1] & 31])
            self._take_fragment(head, payload[1], payload[2:])
        else:
            raise ProtocolError(f"an H.264 RTP payload of type {kind}; packetization-mode 0 and 1 are taken")

    def _take_hevc(self, payload: bytes) -> None:
        kind = payload[0] >> 1 & 63
        if kind < _H265_AP and len(payload) > 2:
            self._add(payload)
        elif kind == _H265_AP:
            self._take_aggregate(payload, 2)
        elif kind == _H265_FU and len(payload) > 3:
            head = bytes([payload[0] & 0x81 | (payload[2] & 63) << 1, payload[1]])
            self._take_fragment(head, payload[2], payload[3:])
        else:
            raise ProtocolError(f"an H.265 RTP payload of type {kind}")

    def _take_aggregate(self, payload: bytes, at: int) -> None:
        while at + 2 < len(payload):
            size = payload[at] << 8 | payload[at + 1]
            at += 2
            if not size or at + size > len(payload):
                raise ProtocolError("an aggregation packet whose sizes do not add up")
            self._add(payload[at : at + size])
            at += size

    def _take_fragment(self, head: bytes, flags: int, data: bytes) -> None:
        if flags & 0x80:
            self._is_holed |= bool(self._fragments)
            self._fragments = [head]
        elif not self._fragments:
            self._is_holed = True
            return
        self._grow(len(data))
        self._fragments.append(data)
        if flags & 0x40:
            nal, self._fragments = b"".join(self._fragments), []
            self._parts.append(nal)

    def _add(self, nal: bytes) -> None:
        self._grow(len(nal))
        self._parts.append(nal)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._max_bytes or len(self._parts) >= _MAX_NAL_UNITS or len(self._fragments) > self._max_bytes:
            raise LimitExceeded(f"a picture of more than {self._max_bytes} bytes or {_MAX_NAL_UNITS} NAL units")


class Aac:
    """mpeg4-generic in mode AAC-hbr (or any lengths that the description tells)."""

    def __init__(self, media: Media, frame_ticks: int, max_bytes: int) -> None:
        """frame_ticks: how long a frame lasts on the clock of RTP.

        Raises: CodecUnsupported.
        """
        form = media.format
        self._size_bits, index_bits, delta_bits = (
            _number(form, name) for name in ("sizelength", "indexlength", "indexdeltalength")
        )
        self._head_bits = self._size_bits + index_bits
        if not 1 <= self._size_bits <= 16 or index_bits != delta_bits or index_bits > 8:
            raise CodecUnsupported("AAC over RTP in another mode than AAC-hbr or AAC-lbr")
        self._index_bits = index_bits
        self._ticks = frame_ticks
        self._max_bytes = max_bytes
        self._fragments: list[bytes] = []
        self._missing = 0

    def feed(self, packet: RtpPacket, is_broken: bool) -> list[Unit]:
        payload = packet.payload
        if is_broken:
            self._fragments, self._missing = [], 0
        if len(payload) < 2:
            raise ProtocolError("an AAC RTP payload without a header")
        head_bits = payload[0] << 8 | payload[1]
        at = 2 + (head_bits + 7) // 8
        if at > len(payload) or not head_bits or head_bits % self._head_bits:
            raise ProtocolError("an AAC RTP payload whose header does not add up")
        heads = int.from_bytes(payload[2:at], "big") >> (8 * (at - 2) - head_bits)
        count = head_bits // self._head_bits
        sizes = [
            heads >> (self._head_bits * (count - 1 - index) + self._index_bits) & ((1 << self._size_bits) - 1)
            for index in range(count)
        ]
        if count == 1 and (self._missing or sizes[0] > len(payload) - at):
            return self._take_fragment(packet, payload[at:], sizes[0])
        units: list[Unit] = []
        for index, size in enumerate(sizes):
            if not size or at + size > len(payload):
                raise ProtocolError("an AAC RTP payload whose frames run past its end")
            units.append(Unit((packet.timestamp + index * self._ticks) & 0xFFFFFFFF, [payload[at : at + size]]))
            at += size
        return units

    def _take_fragment(self, packet: RtpPacket, data: bytes, size: int) -> list[Unit]:
        if not self._missing:
            if size > self._max_bytes:
                raise LimitExceeded(f"a sound frame of {size} bytes")
            self._missing = size
        self._fragments.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return []
        whole, self._fragments, self._missing = b"".join(self._fragments), [], 0
        return [Unit(packet.timestamp, [whole])] if len(whole) == size else []


class Whole:
    """A payload that is one piece of sound: G.711, Opus."""

    def feed(self, packet: RtpPacket, is_broken: bool) -> list[Unit]:  # noqa: ARG002 - the form of a Depacketiser
        return [Unit(packet.timestamp, [packet.payload])] if packet.payload else []


def parameter_sets(media: Media) -> list[bytes]:
    """The parameter sets that the description holds.

    Raises: ProtocolError: they are no Base64.
    """
    names = ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets")
    texts = [text for name in names for text in media.format.get(name, "").split(",") if text]
    if len(texts) > _MAX_SETS:
        raise LimitExceeded(f"more than {_MAX_SETS} parameter sets in the session description")
    try:
        return [nal for text in texts if (nal := base64.b64decode(text + "=" * (-len(text) % 4), validate=True))]
    except (binascii.Error, ValueError) as error:
        raise ProtocolError("the parameter sets of the session description are no Base64") from error


def audio_config(media: Media) -> bytes:
    """The AudioSpecificConfig of mpeg4-generic. Raises: CodecUnsupported: there is none."""
    try:
        config = bytes.fromhex(media.format.get("config", ""))
    except ValueError as error:
        raise CodecUnsupported("the AAC configuration in the session description is no hexadecimal") from error
    if not 2 <= len(config) <= 64:
        raise CodecUnsupported("the session description holds no AAC configuration")
    return config


def _number(form: dict[str, str], name: str) -> int:
    text = form.get(name, "0")
    return int(text) if text.isdecimal() and len(text) < 4 else 0
