"""RTP and RTCP: packets, their order, sender reports, our receiver report. Plain code; times are passed in.

Source: RFC 3550 5.1, 6.4.1, 6.4.2, A.1.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.errors import ProtocolError

_HEAD = struct.Struct(">BBHII")
_SENDER = struct.Struct(">BBHIIII")
_SENDER_REPORT = 200
_NTP_TO_UNIX_S = 2_208_988_800  # from 1900 to 1970
_ELAPSED_BELOW_S = 1 << 31
_HALF = 1 << 15
_MAX_WAITING = 256  # packets kept for one that is late
_MAX_JUMP = 3000  # further than this is a new count, not a loss (RFC 3550 A.1, MAX_DROPOUT)


class RtpPacket(NamedTuple):
    payload_type: int
    is_marked: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class SenderReport(NamedTuple):
    """At `ntp_s` (seconds of the sender's wall clock) its media stood at `timestamp`."""

    ssrc: int
    ntp_s: float
    timestamp: int

    @property
    def utc_s(self) -> float | None:
        """`ntp_s` since 1970; None where the sender has no wall clock and counts from its own beginning.

        Source: RFC 3550 6.4.1: the high bit of such a count is zero.
        """
        return self.ntp_s - _NTP_TO_UNIX_S if self.ntp_s >= _ELAPSED_BELOW_S else None


def read_rtp(data: bytes) -> RtpPacket:
    """Raises: ProtocolError."""
    if len(data) < _HEAD.size or data[0] >> 6 != 2:
        raise ProtocolError("no RTP packet of version 2")
    first, second, sequence, timestamp, ssrc = _HEAD.unpack_from(data)
    at = _HEAD.size + 4 * (first & 15)
    if first & 16:
        if len(data) < at + 4:
            raise ProtocolError("an RTP packet ends within its extension")
        at += 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
    end = len(data) - data[-1] if first & 32 else len(data)
    if at > end or (first & 32 and not data[-1]):
        raise ProtocolError("an RTP packet whose parts do not add up")
    return RtpPacket(second & 127, second > 127, sequence, timestamp, ssrc, data[at:end])


def read_sender_reports(data: bytes) -> Iterator[SenderReport]:
    """The sender reports in a compound RTCP packet; what is no RTCP gives none."""
    at = 0
    while at + 4 <= len(data) and data[at] >> 6 == 2:
        size = 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == _SENDER_REPORT and size >= 28 and at + 20 <= len(data):
            _, _, _, ssrc, seconds, fraction, timestamp = _SENDER.unpack_from(data, at)
            if seconds:
                yield SenderReport(ssrc, seconds + fraction / (1 << 32), timestamp)
        at += size


def write_receiver_report(ssrc: int, sender: int, lost: int, highest: int) -> bytes:
    """One report block without round-trip times. lost: packets since the beginning; highest: extended sequence."""
    block = struct.pack(">IIIIII", sender, min(lost, 0x7FFFFF), highest & 0xFFFFFFFF, 0, 0, 0)
    return struct.pack(">BBHI", 0x81, 201, 7, ssrc) + block


class Order:
    """One sender's packets in their order. Bound: 256 packets wait, at most `window_s`, for one that is late.

    lost: packets that never came.
    """

    def __init__(self, window_s: float) -> None:
        """window_s: 0 where the way keeps the order: what is missing is lost at once."""
        self.lost = 0
        self.highest = 0
        self._window_s = window_s
        self._next: int | None = None
        self._ssrc = 0
        self._waiting: dict[int, tuple[RtpPacket, float]] = {}

    def feed(self, packet: RtpPacket, now_s: float) -> list[tuple[RtpPacket, bool]]:
        """(packet, whether something before it is lost), in order."""
        sequence = packet.sequence
        if sequence == self._next and packet.ssrc == self._ssrc and not self._waiting:  # nearly always
            self._next, self.highest = (sequence + 1) & 0xFFFF, sequence
            return [(packet, False)]
        if self._next is None or packet.ssrc != self._ssrc:
            self._ssrc, self._next = packet.ssrc, packet.sequence
            self._waiting.clear()
        ahead = (packet.sequence - self._next + _HALF) % (2 * _HALF) - _HALF
        if not -_MAX_JUMP < ahead < _MAX_JUMP:
            self._waiting.clear()
            self._take(packet)
            return [(packet, True)]
        if ahead < 0:
            return []  # twice, or later than anybody waited
        self._waiting[packet.sequence] = (packet, now_s)
        return self._release(now_s)

    def _release(self, now_s: float) -> list[tuple[RtpPacket, bool]]:
        found: list[tuple[RtpPacket, bool]] = []
        is_broken = False
        while self._waiting:
            sequence = self._next or 0
            held = self._waiting.pop(sequence, None)
            if held is not None:
                self._take(held[0])
                found.append((held[0], is_broken))
                is_broken = False
                continue
            oldest_s = min(at_s for _, at_s in self._waiting.values())
            if len(self._waiting) < _MAX_WAITING and now_s - oldest_s < self._window_s:
                break
            nearest = min(self._waiting, key=lambda each: (each - sequence) % (2 * _HALF))
            self.lost += (nearest - sequence) % (2 * _HALF)
            self._next = nearest
            is_broken = True
        return found

    def _take(self, packet: RtpPacket) -> None:
        self._next = (packet.sequence + 1) & 0xFFFF
        self.highest = packet.sequence


class Unwrapped:
    """32-bit times on an axis that does not wrap."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._heard: int | None = None

    def __call__(self, timestamp: int) -> int:
        if self._last is None:
            self._last = timestamp
        elif timestamp == self._heard:
            return self._last
        self._heard = timestamp
        step = (timestamp - self._last + (1 << 31)) % (1 << 32) - (1 << 31)
        self._last += step
        return self._last

    def near(self, timestamp: int) -> int | None:
        """The same for a time beside the packets; None before the first."""
        if self._last is None:
            return None
        return self._last + (timestamp - self._last + (1 << 31)) % (1 << 32) - (1 << 31)
