"""A span of a recording as one fragmented MP4, made from its closed segments as it is sent. Runs in a thread.

Nothing is decoded or encoded: samples are the recorded bytes, their decode times are moved so that the file begins at
0. A `sidx` box names each segment, so that players seek by ranges of bytes; the samples of a segment are joined into
one fragment, padded to the length that its fragments had: libav, as Chromium has it, reads one fragment for an entry of
the index and passes over the rest behind a seek, and the length is known before the file is read. A picture outside the
span that may be seen is never sent: the file begins on the key frame at or before `start_s` if the right reaches back
to it, else on the first one after. Every segment file is held against the hash in its manifest before a byte of it is
sent.
Source: ISO/IEC 14496-12, 8.16.3.
"""

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pipeline.errors import BoxMalformed, EvidenceError, StateConflict, StorageError, ThingUnknown
from pipeline.fmp4.boxes import box, full_box
from pipeline.fmp4.fragments import HEAD_BYTES, FragmentInfo, fragment, joined_head, walk
from pipeline.fmp4.init import init_segment, init_size, read_init
from pipeline.media import Gap, Track
from pipeline.record import lines
from pipeline.record.lines import HeadLine, RecordingLine, SegmentLine
from pipeline.record.manifest import NAME

NOTE_ID = UUID("6f6e7265-636f-5264-8e6f-746500000001")
"""Of the box (ISO/IEC 14496-12, 11.1) that holds whose copy a file is: UTF-8 text to the end of the box."""

_SLACK_S = 0.001
_KNOWN = 64  # manifests whose lines are kept
_CHECKED = 4096  # segment files that were held against their hashes, and did not change since
_CHUNK_BYTES = 256 * 1024
_INIT_BYTES = 65_536  # more than any init segment of ours with its stamp


@dataclass(frozen=True, slots=True)
class Contents:
    """What a manifest says of the media. length_s: of the stream's axis. is_ended: no more comes."""

    recording: RecordingLine
    segments: tuple[SegmentLine, ...]
    gaps: tuple[Gap, ...]
    length_s: float
    is_ended: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """What of one segment is sent. fragments: which, None: all."""

    line: SegmentLine
    size_bytes: int
    start_s: float
    end_s: float
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
    origins: tuple[tuple[int, int], ...]
    parts: tuple[_Part, ...]


class Playback:
    """Reads recordings. Safe from several threads. Bounds: 64 manifests, 4,096 names of checked files."""

    def __init__(self) -> None:
        self._contents: OrderedDict[Path, tuple[tuple[int, int], Contents]] = OrderedDict()
        self._checked: OrderedDict[tuple[str, int, int], None] = OrderedDict()

    def contents(self, folder: Path) -> Contents:
        """Raises: EvidenceError: the manifest cannot be read as one. ThingUnknown: there is none."""
        path = folder / NAME
        try:
            stat = path.stat()
            known = self._contents.get(path)
            if known is not None and known[0] == (stat.st_mtime_ns, stat.st_size):
                return known[1]
            found = _contents(path.read_bytes())
        except FileNotFoundError as error:
            raise ThingUnknown("the recording's files are not here") from error
        except OSError as error:
            raise StorageError(f"{path}: cannot be read ({error}); check the disk") from error
        self._contents[path] = ((stat.st_mtime_ns, stat.st_size), found)
        while len(self._contents) > _KNOWN:
            self._contents.popitem(last=False)
        return found

    def key_before(self, folder: Path, at_s: float) -> float:
        """Where the picture at `at_s` begins to be decoded; `at_s` itself where no closed segment holds it.

        Raises: EvidenceError, ThingUnknown, StorageError.
        """
        for line in reversed(self.contents(folder).segments):
            if line.first_pts_s <= at_s + _SLACK_S and at_s < line.end_s:
                raw = self._read(folder, line)
                tracks = _tracks(raw)
                keys = [
                    _time(each.pts, each, tracks, line) for each in walk(raw, init_size(raw))
                    if each.is_key and tracks[each.track_id].kind == "video"
                ]  # fmt: skip
                return max((key for key in keys if key <= at_s + _SLACK_S), default=at_s)
        return at_s

    def span(self, folder: Path, start_s: float, end_s: float, allowed_from_s: float, note: str = "") -> Span:
        """allowed_from_s: no picture before it is sent, not even to begin decoding with. note: whose copy it is; it
        stands in a box that players skip.

        Raises: ThingUnknown: nothing is recorded there. StateConflict: the tracks change within the span.
        EvidenceError: a file is not what its manifest says. StorageError.
        """
        segments = [
            each for each in self.contents(folder).segments
            if each.end_s > start_s + _SLACK_S and each.first_pts_s < end_s - _SLACK_S
        ]  # fmt: skip
        while len(segments) > 1 and segments[1].first_pts_s <= start_s + _SLACK_S:
            segments.pop(0)
        parts: list[_Part] = []
        tracks: dict[int, Track] = {}
        origins: dict[int, int] = {}
        for place, line in enumerate(segments):
            last = place == len(segments) - 1
            is_repeat = bool(parts) and line.first_pts_s <= parts[-1].line.last_pts_s + _SLACK_S
            if parts and not is_repeat and not (last and line.end_s > end_s + _SLACK_S):
                own, media = self._whole(folder, line)
                _check_same(tracks, own, line)
                parts.append(_Part(line, media, line.first_pts_s, line.end_s, None))
                continue
            raw = self._read(folder, line)
            own = _tracks(raw)
            if parts:
                _check_same(tracks, own, line)
            chosen = _chosen(
                walk(raw, init_size(raw)), own, line, start_s=start_s, end_s=end_s, allowed_from_s=allowed_from_s,
                is_first=not parts,
            )  # fmt: skip
            if is_repeat:  # written again after a write that failed: each track goes on where it was
                reached = self._reached(folder, parts[-1])
                chosen = [
                    each for each in chosen
                    if _time(each.pts, each, own, line) > reached.get(each.track_id, -1.0) + _SLACK_S
                ]  # fmt: skip
            if not chosen:
                continue
            if not parts:
                tracks, origins = own, _origins(chosen, own, line)
            times = [(_time(each.pts, each, own, line), each) for each in chosen]
            parts.append(
                _Part(
                    line, sum(each.size_bytes for each in chosen), min(at for at, _ in times),
                    max(at + each.duration / own[each.track_id].timescale for at, each in times), tuple(chosen),
                )
            )  # fmt: skip
        if not parts:
            raise ThingUnknown("nothing is recorded there, or it is not on record yet")
        ordered = tuple(tracks[number] for number in sorted(tracks))
        header = (
            init_segment(ordered)
            + (box(b"uuid", NOTE_ID.bytes + note.encode()) if note else b"")
            + _sidx(parts, ordered)
        )
        named = "\n".join(
            [*(f"{part.line.sha256} {part.size_bytes}" for part in parts), repr(sorted(origins.items())), note]
        )  # fmt: skip
        codecs = ", ".join(track.codec for track in ordered)
        return Span(
            parts[0].start_s, parts[-1].end_s, len(header) + sum(part.size_bytes for part in parts),
            hashlib.sha256(named.encode()).hexdigest()[:32], f'video/mp4; codecs="{codecs}"', header,
            tuple(sorted(origins.items())), tuple(parts),
        )  # fmt: skip

    def media(self, folder: Path, span: Span, first: int, last: int) -> Iterator[tuple[bytes, float, float]]:
        """The bytes `first` to `last` (both sent) of the file, in chunks, and what span of the recording each shows.

        Raises: EvidenceError: a segment is not what its manifest says; what came before it was. StorageError.
        """
        at = 0
        if first < len(span.header):
            yield span.header[first : last + 1], span.start_s, span.start_s
        at = len(span.header)
        origins = dict(span.origins)
        for part in span.parts:
            low, high = max(first, at), min(last + 1, at + part.size_bytes)
            if low < high:
                raw = self._read(folder, part.line)
                yield from _sent(raw, part, origins, low - at, high - at)
            at += part.size_bytes
            if at > last:
                return

    def sound(self, folder: Path, start_s: float, end_s: float) -> Iterator[bytes]:
        """The sound between two moments as a live feed gives it: init segments and fragments with the stream's times.

        One chunk a segment. Raises: EvidenceError: a segment is not what its manifest says. ThingUnknown. StorageError.
        """
        told: tuple[Track, ...] = ()
        last_dts = -1
        for line in self.contents(folder).segments:
            if line.end_s <= start_s or line.first_pts_s >= end_s:
                continue
            raw = self._read(folder, line)
            tracks = _tracks(raw)
            sounds = tuple(track for track in tracks.values() if track.kind == "audio")
            chunk = b""
            if sounds and sounds != told:
                told, last_dts, chunk = sounds, -1, init_segment(sounds)
            for each in walk(raw, init_size(raw)):
                at_s = _time(each.pts, each, tracks, line)
                dts = each.dts + dict(line.base_ticks).get(each.track_id, 0)
                is_wanted = tracks[each.track_id].kind == "audio" and start_s - _SLACK_S <= at_s < end_s
                if is_wanted and dts > last_dts:  # what was written again after a write that failed comes once
                    last_dts = dts
                    sample = raw[each.offset + HEAD_BYTES : each.offset + each.size_bytes]
                    chunk += fragment(
                        each.sequence, each.track_id, dts, each.pts - each.dts, each.duration, True, sample
                    )
            if chunk:
                yield chunk

    def _reached(self, folder: Path, part: _Part) -> dict[int, float]:
        """The last moment of each track of a part. Not its end: durations may be guessed, and a key frame must not be
        taken for a repeat. Raises: EvidenceError, StorageError."""
        raw = self._read(folder, part.line)
        tracks, last = _tracks(raw), dict[int, float]()
        for each in part.fragments if part.fragments is not None else walk(raw, init_size(raw)):
            last[each.track_id] = max(last.get(each.track_id, 0.0), _time(each.pts, each, tracks, part.line))
        return last

    def _whole(self, folder: Path, line: SegmentLine) -> tuple[dict[int, Track], int]:
        """Tracks of a segment, and how many bytes its fragments are. Raises: EvidenceError, StorageError."""
        try:
            with (folder / line.file).open("rb") as file:
                head = file.read(_INIT_BYTES)
            return _tracks(head), line.size_bytes - init_size(head)
        except OSError as error:
            raise StorageError(f"{folder / line.file}: cannot be read ({error}); check the disk") from error
        except BoxMalformed as error:
            raise EvidenceError(f"{line.file}: {error}") from error

    def _read(self, folder: Path, line: SegmentLine) -> bytes:
        """The segment's bytes, which are those of its manifest. Raises: EvidenceError, StorageError."""
        path = folder / line.file
        try:
            stat = path.stat()
            raw = path.read_bytes()
        except OSError as error:
            raise StorageError(f"{path}: cannot be read ({error}); check the disk") from error
        key = (line.sha256, stat.st_mtime_ns, stat.st_ino)
        if key not in self._checked:
            if hashlib.sha256(raw).hexdigest() != line.sha256:
                raise EvidenceError(f"{line.file} is not what was recorded: its hash differs; run 'onrecord verify'")
            self._checked[key] = None
            while len(self._checked) > _CHECKED:
                self._checked.popitem(last=False)
        return raw


def _contents(raw: bytes) -> Contents:
    rows = [lines.parse(row) for row in raw.splitlines(keepends=True) if row.endswith(b"\n")]
    if not rows or not isinstance(rows[0], RecordingLine):
        raise EvidenceError("a manifest that does not begin with its recording")
    segments = tuple(row for row in rows if isinstance(row, SegmentLine))
    final = next((row for row in rows if isinstance(row, HeadLine) and row.is_final), None)
    gaps = tuple(gap for row in rows if isinstance(row, (SegmentLine, HeadLine)) for gap in row.gaps)
    length_s = max([each.end_s for each in segments] + [gap.end_s for gap in gaps], default=0.0)
    return Contents(rows[0], segments, gaps, length_s, final is not None)


def _tracks(raw: bytes) -> dict[int, Track]:
    """Raises: EvidenceError."""
    try:
        return {track.track_id: track for track in read_init(raw[: init_size(raw)])}
    except BoxMalformed as error:
        raise EvidenceError(str(error)) from error


def _check_same(tracks: dict[int, Track], own: dict[int, Track], line: SegmentLine) -> None:
    """Raises: StateConflict: one file cannot hold both."""
    if own != tracks:
        raise StateConflict(f"the tracks change at {line.first_pts_s:.3f} s; ask for what is before, and for the rest")


def _time(ticks: int, info: FragmentInfo, tracks: dict[int, Track], line: SegmentLine) -> float:
    """On the recording's axis."""
    return (ticks + dict(line.base_ticks).get(info.track_id, 0)) / tracks[info.track_id].timescale


def _chosen(
    found: Iterator[FragmentInfo], tracks: dict[int, Track], line: SegmentLine, *, start_s: float, end_s: float,
    allowed_from_s: float, is_first: bool,
) -> list[FragmentInfo]:  # fmt: skip
    """The fragments of the span, from a key frame on: pictures whose moment lies in it, sound that ends in it."""
    timed = [(_time(each.pts, each, tracks, line), each) for each in found]
    within = [
        (at, each) for at, each in timed
        if at + (0.0 if tracks[each.track_id].kind == "video" else each.duration / tracks[each.track_id].timescale)
        < end_s + (-_SLACK_S if tracks[each.track_id].kind == "video" else _SLACK_S)
    ]  # fmt: skip
    has_video = any(track.kind == "video" for track in tracks.values())
    if not is_first:
        return [each for _, each in within]
    if not has_video:
        return [each for at, each in within if at >= start_s - _SLACK_S]
    keys = [
        at for at, each in within
        if each.is_key and tracks[each.track_id].kind == "video" and at >= allowed_from_s - _SLACK_S
    ]  # fmt: skip
    before = [key for key in keys if key <= start_s + _SLACK_S]
    if not keys:
        return []
    begin_s = before[-1] if before else keys[0]
    began = False
    chosen = []
    for at, each in within:
        if tracks[each.track_id].kind == "video":
            began = began or (each.is_key and at >= begin_s - _SLACK_S)
            if began and at >= allowed_from_s - _SLACK_S:
                chosen.append(each)
        elif at >= begin_s - _SLACK_S:
            chosen.append(each)
    return chosen


def _origins(chosen: list[FragmentInfo], tracks: dict[int, Track], line: SegmentLine) -> dict[int, int]:
    """What of each track, in ticks of the recording's axis, is the file's time 0: the first picture's decode time."""
    lead = next((each for each in chosen if tracks[each.track_id].kind == "video"), chosen[0])
    origin_s = _time(lead.dts, lead, tracks, line)
    return {number: round(origin_s * track.timescale) for number, track in tracks.items()}


def _sidx(parts: list[_Part], tracks: tuple[Track, ...]) -> bytes:
    lead = next((track for track in tracks if track.kind == "video"), tracks[0])
    refs, at_s = b"", parts[0].start_s
    for place, part in enumerate(parts):
        until_s = parts[place + 1].start_s if place + 1 < len(parts) else part.end_s
        duration = max(0, round((until_s - at_s) * lead.timescale))
        refs += struct.pack(">III", part.size_bytes, duration, 0x90000000)  # starts with a key frame, SAP type 1
        at_s = until_s
    head = struct.pack(">IIQQHH", lead.track_id, lead.timescale, 0, 0, 0, len(parts))
    return full_box(b"sidx", 1, 0, head + refs)


def _sent(
    raw: bytes, part: _Part, origins: dict[int, int], low: int, high: int
) -> Iterator[tuple[bytes, float, float]]:  # fmt: skip
    """The bytes `low` to `high` of what is sent of this part, which is one fragment."""
    tracks, base = _tracks(raw), dict(part.line.base_ticks)
    found = list(part.fragments if part.fragments is not None else walk(raw, init_size(raw)))
    dts = [max(0, each.dts + base.get(each.track_id, 0) - origins.get(each.track_id, 0)) for each in found]
    head, left = joined_head(found, dts)
    padding = box(b"free", bytes(left - 8)) if left else b""
    at, held, held_bytes = 0, list[bytes](), 0
    from_s, until_s = part.end_s, part.start_s
    for place in range(-1, len(found) + 1):
        is_sample = 0 <= place < len(found)
        size = found[place].sample_size if is_sample else len(padding if place >= 0 else head)
        begin, end = at, at + size
        at = end
        if end <= low:
            continue
        if begin >= high:
            break
        first, last = max(0, low - begin), min(size, high - begin)
        if is_sample:
            each = found[place]
            offset = each.offset + HEAD_BYTES
            held.append(raw[offset + first : offset + last])
            shown_s = _time(each.pts, each, tracks, part.line)
            from_s = min(from_s, shown_s)
            until_s = max(until_s, shown_s + each.duration / tracks[each.track_id].timescale)
        else:
            held.append((padding if place >= 0 else head)[first:last])
        held_bytes += last - first
        if held_bytes >= _CHUNK_BYTES:
            yield b"".join(held), from_s, until_s
            held, held_bytes, from_s, until_s = [], 0, part.end_s, part.start_s
    if held:
        yield b"".join(held), from_s, until_s
