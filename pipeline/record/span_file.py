"""How the file of a span is laid out: which samples of a segment go where, its index, and its bytes. Reads no file.

A segment becomes one fragment (moof and mdat), its sound before its pictures, padded to the length that its own
fragments had, so that the length of all is known before a file is read. Sound that runs over a key frame at the seam of
two segments goes into the later fragment, which then has sound from its first picture on: behind a seek libav, as
Chromium has it, looks for each track's sample at or before the picture among all fragments it ever read, and reads from
there on; with none in this fragment it takes the last one of another, and reads the whole file between.
Source: ISO/IEC 14496-12, 8.8 and 8.16.3.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from uuid import UUID

from pipeline.errors import BoxMalformed, EvidenceError
from pipeline.fmp4.boxes import box, full_box
from pipeline.fmp4.fragments import (
    HEAD_BYTES,
    JOINED_SAMPLE_BYTES,
    FragmentInfo,
    joined_head,
    read_head,
    spare_bytes,
    walk,
)
from pipeline.fmp4.init import init_size, read_init
from pipeline.media import Track
from pipeline.record.lines import SegmentLine

NOTE_ID = UUID("6f6e7265-636f-5264-8e6f-746500000001")
"""Of the box (ISO/IEC 14496-12, 11.1) that holds whose copy a file is: UTF-8 text to the end of the box."""

SLACK_S = 0.001
_MOST_CARRIED_S = 1.0  # sound that is older belongs before a gap, and stays there
_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """How a segment file begins. key_s: decode time of its first picture on the recording's axis; None: it begins with
    something else."""

    tracks: dict[int, Track]
    init_bytes: int
    key_s: float | None


@dataclass(frozen=True, slots=True)
class Part:
    """What of one segment is sent. index_s: where its entry of the index begins. fragments: which, None: all."""

    line: SegmentLine
    size_bytes: int
    start_s: float
    end_s: float
    index_s: float
    fragments: tuple[FragmentInfo, ...] | None


@dataclass(frozen=True, slots=True)
class Span:
    """A file that could be sent. start_s: what its time 0 is on the recording's axis; end_s: where its media ends.

    etag: another one where other bytes would be sent.
    """

    start_s: float
    end_s: float
    size_bytes: int
    etag: str
    mime: str
    header: bytes
    tracks: dict[int, Track]
    origins: tuple[tuple[int, int], ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A fragment that lies in `raw`. base: ticks from its own axis to the recording's."""

    info: FragmentInfo
    base: int
    raw: bytes

    @property
    def dts(self) -> int:
        """On the recording's axis."""
        return self.info.dts + self.base


@dataclass(frozen=True, slots=True)
class Seam:
    """What a part hands to the next one. places: of these among its own samples."""

    places: frozenset[int]
    samples: tuple[Sample, ...]


NO_SEAM = Seam(frozenset(), ())


def head_of(raw: bytes, line: SegmentLine) -> SegmentHead:
    """raw: the file's beginning, at least its init segment. Raises: EvidenceError: it is none."""
    tracks, size = tracks_of(raw), init_size(raw)
    first = read_head(raw, size) if size + HEAD_BYTES <= len(raw) else None
    is_key = first is not None and first.is_key and first.track_id in tracks and tracks[first.track_id].kind == "video"
    return SegmentHead(tracks, size, moment(first.dts, first, tracks, line) if first is not None and is_key else None)


def tracks_of(raw: bytes) -> dict[int, Track]:
    """Raises: EvidenceError."""
    try:
        return {track.track_id: track for track in read_init(raw[: init_size(raw)])}
    except BoxMalformed as error:
        raise EvidenceError(str(error)) from error


def moment(ticks: int, info: FragmentInfo, tracks: dict[int, Track], line: SegmentLine) -> float:
    """On the recording's axis."""
    return (ticks + dict(line.base_ticks).get(info.track_id, 0)) / tracks[info.track_id].timescale


def part_of(chosen: Sequence[FragmentInfo], tracks: dict[int, Track], line: SegmentLine) -> Part:
    """These fragments of a segment; there is one at least."""
    times = [(moment(each.pts, each, tracks, line), each) for each in chosen]
    start_s = min(at for at, _ in times)
    first = next((each for each in chosen if tracks[each.track_id].kind == "video"), None)
    index_s = start_s if first is None or not first.is_key else moment(first.dts, first, tracks, line)
    end_s = max(at + each.duration / tracks[each.track_id].timescale for at, each in times)
    return Part(line, sum(each.size_bytes for each in chosen), start_s, end_s, index_s, tuple(chosen))


def samples_of(raw: bytes, part: Part) -> list[Sample]:
    base = dict(part.line.base_ticks)
    return [Sample(each, base.get(each.track_id, 0), raw) for each in _fragments(raw, part)]


def _fragments(raw: bytes, part: Part) -> Iterable[FragmentInfo]:
    return part.fragments if part.fragments is not None else walk(raw, init_size(raw))


def seam(before: Sequence[Sample], raw: bytes, part: Part, tracks: dict[int, Track]) -> Seam:
    """The sound of `before` that goes into the fragment of `part`, whose segment is `raw`.

    From the last sample at or before its first picture on, of each track of sound that has none there itself. None
    where it does not begin with a key frame, and none that its padding has no room for.
    """
    key_s, begins = None, dict[int, float]()
    base = dict(part.line.base_ticks)
    for each in _fragments(raw, part):
        at_s = (each.dts + base.get(each.track_id, 0)) / tracks[each.track_id].timescale
        if tracks[each.track_id].kind == "audio":
            begins.setdefault(each.track_id, at_s)
        elif key_s is None:
            if not each.is_key:
                return NO_SEAM
            key_s = at_s
        if key_s is not None and (len(begins) == len(tracks) - 1 or at_s > key_s + _MOST_CARRIED_S):
            break
    if key_s is None:
        return NO_SEAM
    until_s, places = key_s - SLACK_S, list[int]()
    for number, track in tracks.items():
        if track.kind != "audio" or begins.get(number, key_s) <= until_s:
            continue
        least_s, own = until_s - _MOST_CARRIED_S, list[int]()
        for place in reversed(range(len(before))):
            if before[place].info.track_id == number:
                own.append(place)
                if before[place].dts / track.timescale <= until_s:
                    break
        if own and least_s <= before[own[-1]].dts / track.timescale <= until_s:
            places += own
    places.sort()
    needed = sum(before[place].info.sample_size + JOINED_SAMPLE_BYTES for place in places) + 64 * len(tracks) + 8
    count = -(-needed // (HEAD_BYTES - JOINED_SAMPLE_BYTES)) + 2 * len(tracks) + 1
    if not places or spare_bytes(sum(1 for _ in islice(_fragments(raw, part), count)), len(tracks)) < needed:
        return NO_SEAM
    return Seam(frozenset(places), tuple(_alone(before[place]) for place in places))


def _alone(sample: Sample) -> Sample:
    """The same one, holding no other's bytes."""
    low = sample.info.offset
    return Sample(replace(sample.info, offset=0), sample.base, sample.raw[low : low + sample.info.size_bytes])


def chosen_of(
    found: Iterator[FragmentInfo], tracks: dict[int, Track], line: SegmentLine, *, start_s: float, end_s: float,
    allowed_from_s: float, is_first: bool,
) -> list[FragmentInfo]:  # fmt: skip
    """The fragments of the span, from a key frame on: pictures whose moment lies in it, sound that ends in it."""
    timed = [(moment(each.pts, each, tracks, line), each) for each in found]
    within = [
        (at, each) for at, each in timed
        if at + (0.0 if tracks[each.track_id].kind == "video" else each.duration / tracks[each.track_id].timescale)
        < end_s + (-SLACK_S if tracks[each.track_id].kind == "video" else SLACK_S)
    ]  # fmt: skip
    has_video = any(track.kind == "video" for track in tracks.values())
    if not is_first:
        return [each for _, each in within]
    if not has_video:
        return [each for at, each in within if at >= start_s - SLACK_S]
    keys = [
        at for at, each in within
        if each.is_key and tracks[each.track_id].kind == "video" and at >= allowed_from_s - SLACK_S
    ]  # fmt: skip
    before = [key for key in keys if key <= start_s + SLACK_S]
    if not keys:
        return []
    begin_s = before[-1] if before else keys[0]
    began = False
    chosen = []
    for at, each in within:
        if tracks[each.track_id].kind == "video":
            began = began or (each.is_key and at >= begin_s - SLACK_S)
            if began and at >= allowed_from_s - SLACK_S:
                chosen.append(each)
        elif at >= begin_s - SLACK_S:
            chosen.append(each)
    return chosen


def origins_of(chosen: list[FragmentInfo], tracks: dict[int, Track], line: SegmentLine) -> dict[int, int]:
    """What of each track, in ticks of the recording's axis, is the file's time 0: the first picture's decode time."""
    lead = next((each for each in chosen if tracks[each.track_id].kind == "video"), chosen[0])
    origin_s = moment(lead.dts, lead, tracks, line)
    return {number: round(origin_s * track.timescale) for number, track in tracks.items()}


def index_of(parts: Sequence[Part], tracks: tuple[Track, ...]) -> bytes:
    """The `sidx` boxes: one of the pictures (of the sound, where there are none), which names each part, and behind it
    one of each other track of sound, which names an empty part at the end as well.

    libav, which goes to the next entry of its index when a fragment is at its end, forgets to turn there on a seek into
    the last one: it then reads what follows on where it was before. Behind the last one there is one for it now.
    """
    lead = next((track for track in tracks if track.kind == "video"), tracks[0])
    boxes = b""
    for track in tracks:
        if track is not lead and track.kind == "audio":
            boxes = _index(parts, track, SLACK_S, len(boxes), has_end=True) + boxes
    return _index(parts, lead, 0.0, len(boxes), has_end=False) + boxes


def _index(parts: Sequence[Part], track: Track, early_s: float, first_offset: int, *, has_end: bool) -> bytes:
    """early_s: by how much a part begins before its first picture, so that what is sought at the picture is in it."""
    moments_s = [max(0.0, part.index_s - parts[0].index_s - early_s) for part in parts]
    times = [round(at_s * track.timescale) for at_s in moments_s]
    times.append(max(times[-1], round((parts[-1].end_s - parts[0].index_s) * track.timescale)))
    refs = b""
    for part, (at, until) in zip(parts, pairwise(times), strict=True):
        refs += struct.pack(
            ">III", part.size_bytes, max(0, until - at), 0x90000000
        )  # starts with a key frame, SAP type 1
    if has_end:
        refs += struct.pack(">III", 0, 0, 0)
    head = struct.pack(">IIQQHH", track.track_id, track.timescale, 0, first_offset, 0, len(refs) // 12)
    return full_box(b"sidx", 1, 0, head + refs)


def bytes_of(
    samples: Sequence[Sample], part: Part, tracks: dict[int, Track], origins: dict[int, int], low: int, high: int
) -> Iterator[tuple[bytes, float, float]]:
    """The bytes `low` to `high` of what is sent of this part, which is one fragment, and what span each chunk shows."""
    samples = sorted(samples, key=lambda each: (tracks[each.info.track_id].kind == "video", each.info.track_id))
    infos = [each.info for each in samples]
    head, length = joined_head(infos, [max(0, each.dts - origins.get(each.info.track_id, 0)) for each in samples])
    padding = box(b"free", bytes(part.size_bytes - length - 8)) if length < part.size_bytes else b""
    at, held, held_bytes = 0, list[bytes](), 0
    from_s, until_s = part.end_s, part.start_s
    for place in range(-1, len(samples) + 1):
        is_sample = 0 <= place < len(samples)
        size = infos[place].sample_size if is_sample else len(padding if place >= 0 else head)
        begin, end = at, at + size
        at = end
        if end <= low:
            continue
        if begin >= high:
            break
        first, last = max(0, low - begin), min(size, high - begin)
        if is_sample:
            each = infos[place]
            offset = each.offset + HEAD_BYTES
            held.append(samples[place].raw[offset + first : offset + last])
            timescale = tracks[each.track_id].timescale
            shown_s = (each.pts + samples[place].base) / timescale
            from_s = min(from_s, shown_s)
            until_s = max(until_s, shown_s + each.duration / timescale)
        else:
            held.append((padding if place >= 0 else head)[first:last])
        held_bytes += last - first
        if held_bytes >= _CHUNK_BYTES:
            yield b"".join(held), from_s, until_s
            held, held_bytes, from_s, until_s = [], 0, part.end_s, part.start_s
    if held:
        yield b"".join(held), from_s, until_s
