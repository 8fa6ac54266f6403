"""The scan of an unclosed segment file: where its last trustworthy fragment ends, and which times it covers.

A crash leaves a torn end; a power cut may also leave zero-filled pages among the last seconds, which were not synced.
What is older was synced and is believed. Knows no manifest and no disk.
"""

import struct
from dataclasses import dataclass, field

from pipeline import fmp4
from pipeline.media import Track
from pipeline.record.ledger import Hole, holes
from pipeline.record.stamp import Stamp, read_stamp

_TAIL_S = 2.0  # twice the longest time between two syncs
_DAMAGE_S = 3.0  # whole media of this length after a break was synced: that is damage, not a torn end
_SECTOR_BYTES = 512  # what disks write whole
_ZEROS = bytes(_SECTOR_BYTES)
_LEAST_ZEROS = 16  # at the end of a file: a zero-filled part of a sector
# Of fmp4's fragment head: moof size and name, track, decode time, duration, sample size, composition offset, mdat size
# and name. A third of what fmp4.read_head unpacks and checks; the tail is checked with that again.
_QUICK = struct.Struct(">I4s36xI12xQ20xII4xiI4s")


@dataclass(slots=True)
class Scan:
    """What was found. end: bytes to keep (0: no whole fragment). is_damaged: whole media lies behind a break; nothing
    may be cut. holes: where nothing covers the stream between the fragments."""

    stamp: Stamp
    tracks: tuple[Track, ...]
    end: int = 0
    is_damaged: bool = False
    first_pts_s: float = 0.0
    last_pts_s: float = 0.0
    end_s: float = 0.0
    holes: list[Hole] = field(default_factory=list)


@dataclass(slots=True)
class _Fragments:
    """The whole fragments of a file, in its order. end: the byte behind the last. Times on the stream's axis."""

    end: int
    offsets: list[int] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)
    ends_s: list[float] = field(default_factory=list)

    def cut(self, number: int) -> None:
        """Keep those before `number`."""
        if number < len(self.offsets):
            self.end = self.offsets[number]
            del self.offsets[number:], self.starts_s[number:], self.ends_s[number:]

    def first_after(self, time_s: float) -> int:
        """The number of the first of those at the end that end after `time_s`."""
        number = len(self.offsets)
        while number > 0 and self.ends_s[number - 1] > time_s:
            number -= 1
        return number


def scan(data: bytes) -> Scan:
    """Raises: BoxMalformed: no init segment of ours; nothing of the file was ever synced."""
    stamp, tracks = read_stamp(data), fmp4.read_init(data)
    base = dict(stamp.base_ticks)
    axis = {track.track_id: (base.get(track.track_id, 0), track.timescale) for track in tracks}
    found = _walk(data, fmp4.init_size(data), axis)
    is_damaged = _has_media_after(data, found.end, axis)
    if not is_damaged:
        _cut_tail(data, found, {track.track_id for track in tracks if track.kind == "video"})
    if not found.offsets:
        return Scan(stamp, tracks, 0, is_damaged)
    first_s, last_s = min(found.starts_s), max(found.starts_s)
    missing = holes(zip(found.starts_s, found.ends_s, strict=True), first_s)
    return Scan(stamp, tracks, found.end, is_damaged, first_s, last_s, max(found.ends_s), missing)


def _walk(data: bytes, offset: int, axis: dict[int, tuple[int, int]]) -> _Fragments:
    offsets: list[int] = []
    starts_s: list[float] = []
    ends_s: list[float] = []
    last, head_bytes, read = len(data) - fmp4.HEAD_BYTES, fmp4.HEAD_BYTES, _QUICK.unpack_from
    while offset <= last:
        moof_size, moof, track, dts, duration, size, composition, mdat_size, mdat = read(data, offset)
        if moof != b"moof" or mdat != b"mdat" or mdat_size != size + 8 or moof_size != head_bytes - 8:
            break
        if offset + size > last or track not in axis:
            break
        base, timescale = axis[track]
        start_s = (dts + composition + base) / timescale
        offsets.append(offset)
        starts_s.append(start_s)
        ends_s.append(start_s + duration / timescale)
        offset += head_bytes + size
    return _Fragments(offset, offsets, starts_s, ends_s)


def _cut_tail(data: bytes, found: _Fragments, video: set[int]) -> None:
    """Cut what is not media from the last seconds.

    A rule that the synced part before them breaks too is no rule of this stream (some encoders end NAL units in
    zeros): then nothing is cut for it. So a second run finds nothing more to cut, and old media is never touched.
    """
    if not found.offsets:
        return
    end_s = max(found.ends_s[-8:])
    tail, older = found.first_after(end_s - _TAIL_S), found.first_after(end_s - 2 * _TAIL_S)
    zeros = _first_zeros(data, found.end)
    if tail < len(found.offsets) and zeros < found.offsets[tail]:
        zeros = len(data)
    is_strict = all(_fills(data, found.offsets[number], video) for number in range(older, tail) or range(1))
    ends = [*found.offsets[1:], found.end]
    for number in range(tail, len(found.offsets)):
        offset = found.offsets[number]
        is_broken = ends[number] > zeros or fmp4.read_head(data, offset) is None
        if is_broken or (is_strict and not _fills(data, offset, video)):
            found.cut(number)
            return


def _first_zeros(data: bytes, end: int) -> int:
    """Where the first zero-filled sector of the file lies, or a zero-filled part of one at `end`; else its length."""
    at = data.find(_ZEROS)
    while at >= 0:
        aligned = at + -at % _SECTOR_BYTES
        if data.startswith(_ZEROS, aligned):
            return aligned
        at = data.find(_ZEROS, aligned)
    tail = data[max(0, end - _SECTOR_BYTES) : end]
    zeros = len(tail) - len(tail.rstrip(b"\0"))
    return end - zeros if zeros >= _LEAST_ZEROS else len(data)


def _fills(data: bytes, offset: int, video: set[int]) -> bool:
    """Whether the fragment holds a sample and, for pictures, NAL units fill it exactly and the last ends as one must.

    Source: ISO/IEC 14496-15 4.3.3 (length fields); 14496-10 7.4.1 (the last byte of a NAL unit is not 0).
    """
    _, _, track, _, _, size, _, _, _ = _QUICK.unpack_from(data, offset)
    at = offset + fmp4.HEAD_BYTES
    end = at + size
    if track not in video or size == 0:
        return bool(size)
    while at + 4 < end:
        unit = int.from_bytes(data[at : at + 4], "big")
        if unit == 0:
            return False
        at += 4 + unit
    return bool(at == end and data[end - 1])


def _has_media_after(data: bytes, end: int, axis: dict[int, tuple[int, int]]) -> bool:
    """Whether, behind the first thing that is no fragment, more media lies than can have been un-synced."""
    at = data.find(b"moof", end + 8) - 4 if end < len(data) else -1
    while at > 0:
        found = _walk(data, at, axis)
        if found.offsets:
            return max(found.ends_s) - min(found.starts_s) > _DAMAGE_S
        at = data.find(b"moof", at + 8) - 4
    return False
