"""A span of a recording as one fragmented MP4, made from its closed segments as it is sent. Runs in a thread.

Nothing is decoded or encoded: samples are the recorded bytes, their decode times are moved so that the file begins at
0; how the file is laid out says span_file.py. A picture outside the span that may be seen is never sent: the file
begins on the key frame at or before `start_s` if the right reaches back to it, else on the first one after. Every
segment file is held against the hash in its manifest before a byte of it is sent. A player asks for one file by many
ranges, so what was worked out for one is kept for the next.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from pipeline.errors import BoxMalformed, EvidenceError, StateConflict, StorageError, ThingUnknown
from pipeline.fmp4.boxes import box
from pipeline.fmp4.fragments import HEAD_BYTES, fragment, pts_range, walk
from pipeline.fmp4.init import init_segment, init_size
from pipeline.media import Gap, Track
from pipeline.record import lines
from pipeline.record.lines import HeadLine, RecordingLine, SegmentLine
from pipeline.record.manifest import NAME
from pipeline.record.span_file import (
    NO_SEAM,
    NOTE_ID,
    SLACK_S,
    Part,
    Sample,
    Seam,
    SegmentHead,
    Span,
    bytes_of,
    chosen_of,
    head_of,
    index_of,
    moment,
    origins_of,
    part_of,
    samples_of,
    seam,
    tracks_of,
)

Key = TypeVar("Key")
Value = TypeVar("Value")

_KNOWN = 64  # manifests whose lines are kept
_CHECKED = 4096  # segment files that were held against their hashes, and did not change since
_SEEN = 4096  # segment files whose heads, last moments and seams are kept; some kilobytes each
_LAYOUT = "a fragment a segment, sound handed on"  # another text where the same samples are laid out another way
_PIECES = 100_000  # parts and fragments of the files that players ask for, some 200 bytes each
_HEAD_BYTES = 65_536  # more than any init segment of ours with its stamp, and the first fragment's head


@dataclass(frozen=True, slots=True)
class Contents:
    """What a manifest says of the media. length_s: of the stream's axis. is_ended: no more comes."""

    recording: RecordingLine
    segments: tuple[SegmentLine, ...]
    gaps: tuple[Gap, ...]
    length_s: float
    is_ended: bool


class Kept(Generic[Key, Value]):
    """What was worked out, of a weight of `most` together; what came first goes first. Safe from several threads."""

    def __init__(self, most: int, weight_of: Callable[[Value], int] = lambda _: 1) -> None:
        self._most = most
        self._weight_of = weight_of
        self._values: dict[Key, Value] = {}
        self._weight = 0
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        with self._lock:
            return self._values.get(key)

    def put(self, key: Key, value: Value) -> Value:
        with self._lock:
            old = self._values.pop(key, None)
            self._weight += self._weight_of(value) - (0 if old is None else self._weight_of(old))
            self._values[key] = value
            while self._weight > self._most:
                self._weight -= self._weight_of(self._values.pop(next(iter(self._values))))
        return value


class Playback:
    """Reads recordings. Safe from several threads. Bounds: 64 manifests, spans of 100,000 pieces, 4,096 names of
    checked files and of what is known of each."""

    def __init__(self) -> None:
        self._contents = Kept[Path, tuple[tuple[int, int], Contents]](_KNOWN)
        self._checked = Kept[tuple[str, int, int], bool](_CHECKED)
        self._spans = Kept[tuple[Path, tuple[int, int], float, float, float, str], Span](_PIECES, _pieces_of)
        self._heads = Kept[str, SegmentHead](_SEEN)
        self._ranges = Kept[str, dict[int, tuple[int, int]]](_SEEN)
        self._seams = Kept[tuple[str, str], Seam](_SEEN)

    def contents(self, folder: Path) -> Contents:
        """Raises: EvidenceError: the manifest cannot be read as one. ThingUnknown: there is none."""
        return self._stated(folder)[1]

    def _stated(self, folder: Path) -> tuple[tuple[int, int], Contents]:
        """Which state of the manifest this is, and what it says. Raises: as `contents`."""
        path = folder / NAME
        try:
            stat = path.stat()
            known = self._contents.get(path)
            if known is not None and known[0] == (stat.st_mtime_ns, stat.st_size):
                return known
            found = _contents(path.read_bytes())
        except FileNotFoundError as error:
            raise ThingUnknown("the recording's files are not here") from error
        except OSError as error:
            raise StorageError(f"{path}: cannot be read ({error}); check the disk") from error
        return self._contents.put(path, ((stat.st_mtime_ns, stat.st_size), found))

    def key_before(self, folder: Path, at_s: float) -> float:
        """Where the picture at `at_s` begins to be decoded; `at_s` itself where no closed segment holds it.

        Raises: EvidenceError, ThingUnknown, StorageError.
        """
        for line in reversed(self.contents(folder).segments):
            if line.first_pts_s <= at_s + SLACK_S and at_s < line.end_s:
                raw = self._read(folder, line)
                tracks = tracks_of(raw)
                keys = [
                    moment(each.pts, each, tracks, line) for each in walk(raw, init_size(raw))
                    if each.is_key and tracks[each.track_id].kind == "video"
                ]  # fmt: skip
                return max((key for key in keys if key <= at_s + SLACK_S), default=at_s)
        return at_s

    def span(self, folder: Path, start_s: float, end_s: float, allowed_from_s: float, note: str = "") -> Span:
        """allowed_from_s: no picture before it is sent, not even to begin decoding with. note: whose copy it is; it
        stands in a box that players skip.

        Raises: ThingUnknown: nothing is recorded there. StateConflict: the tracks change within the span.
        EvidenceError: a file is not what its manifest says. StorageError.
        """
        state, contents = self._stated(folder)
        key = (folder, state, start_s, end_s, allowed_from_s, note)
        known = self._spans.get(key)
        return known or self._spans.put(key, self._worked_out(folder, contents, start_s, end_s, allowed_from_s, note))

    def _worked_out(
        self, folder: Path, contents: Contents, start_s: float, end_s: float, allowed_from_s: float, note: str
    ) -> Span:
        """Raises: as `span`."""
        segments = [
            each for each in contents.segments
            if each.end_s > start_s + SLACK_S and each.first_pts_s < end_s - SLACK_S
        ]  # fmt: skip
        while len(segments) > 1 and segments[1].first_pts_s <= start_s + SLACK_S:
            segments.pop(0)
        parts: list[Part] = []
        tracks: dict[int, Track] = {}
        origins: dict[int, int] = {}
        for place, line in enumerate(segments):
            last = place == len(segments) - 1
            is_repeat = bool(parts) and self._is_repeat(folder, line, parts[-1])
            if parts and not is_repeat and not (last and line.end_s > end_s + SLACK_S):
                head = self._head(folder, line)
                _check_same(tracks, head.tracks, line)
                index_s = line.first_pts_s if head.key_s is None else head.key_s
                size_bytes = line.size_bytes - head.init_bytes
                parts.append(Part(line, size_bytes, line.first_pts_s, line.end_s, index_s, None))
                continue
            raw = self._read(folder, line)
            own = tracks_of(raw)
            if parts:
                _check_same(tracks, own, line)
            chosen = chosen_of(
                walk(raw, init_size(raw)), own, line, start_s=start_s, end_s=end_s, allowed_from_s=allowed_from_s,
                is_first=not parts,
            )  # fmt: skip
            if is_repeat:  # written again after a write that failed: each track goes on where it was
                reached = self._reached(folder, parts[-1])
                chosen = [
                    each for each in chosen
                    if moment(each.pts, each, own, line) > reached.get(each.track_id, -1.0) + SLACK_S
                ]  # fmt: skip
            if not chosen:
                continue
            if not parts:
                tracks, origins = own, origins_of(chosen, own, line)
            parts.append(part_of(chosen, own, line))
        if not parts:
            raise ThingUnknown("nothing is recorded there, or it is not on record yet")
        ordered = tuple(tracks[number] for number in sorted(tracks))
        header = (
            init_segment(ordered)
            + (box(b"uuid", NOTE_ID.bytes + note.encode()) if note else b"")
            + index_of(parts, ordered)
        )
        named = "\n".join(
            [_LAYOUT, *(f"{part.line.sha256} {part.size_bytes}" for part in parts), repr(sorted(origins.items())), note]
        )  # fmt: skip
        codecs = ", ".join(track.codec for track in ordered)
        return Span(
            parts[0].start_s, parts[-1].end_s, len(header) + sum(part.size_bytes for part in parts),
            hashlib.sha256(named.encode()).hexdigest()[:32], f'video/mp4; codecs="{codecs}"', header, tracks,
            tuple(sorted(origins.items())), tuple(parts),
        )  # fmt: skip

    def media(self, folder: Path, span: Span, first: int, last: int) -> Iterator[tuple[bytes, float, float]]:
        """The bytes `first` to `last` (both sent) of the file, in chunks, and what span of the recording each shows.

        Raises: EvidenceError: a segment is not what its manifest says; what came before it was. StorageError.
        """
        at = 0
        if first < len(span.header):
            yield span.header[first : last + 1], span.start_s, span.start_s
        at, origins, handed = len(span.header), dict(span.origins), None
        for place, part in enumerate(span.parts):
            low, high = max(first, at), min(last + 1, at + part.size_bytes)
            if low < high:
                samples = samples_of(self._read(folder, part.line), part)
                into = self._seam(folder, span, place - 1) if handed is None else handed
                handed = self._seam(folder, span, place, samples)
                own = [each for number, each in enumerate(samples) if number not in handed.places]
                yield from bytes_of([*into.samples, *own], part, span.tracks, origins, low - at, high - at)
            at += part.size_bytes
            if at > last:
                return

    def _seam(self, folder: Path, span: Span, place: int, before: list[Sample] | None = None) -> Seam:
        """What the part at `place` hands to the next one. before: its samples, where they are read already."""
        if not 0 <= place < len(span.parts) - 1 or len(span.tracks) == 1:
            return NO_SEAM
        part, after = span.parts[place : place + 2]
        key = (part.line.sha256, after.line.sha256)
        is_whole = part.fragments is None and after.fragments is None
        if is_whole and (known := self._seams.get(key)) is not None:
            return known
        try:
            samples = before if before is not None else samples_of(self._read(folder, part.line), part)
            found = seam(samples, self._read(folder, after.line), after, span.tracks)
        except (EvidenceError, StorageError):
            return NO_SEAM  # whoever asks for that part itself is told
        return self._seams.put(key, found) if is_whole else found

    def units(
        self, folder: Path, start_s: float, end_s: float, kinds: frozenset[str] = frozenset({"audio", "video"})
    ) -> Iterator[bytes]:
        """What is between two moments as a live feed gives it: init segments and fragments with the stream's times.

        kinds: of tracks. Pictures between key frames come too, whether or not the key frame before them does.

        One chunk a segment. Raises: EvidenceError: a segment is not what its manifest says. ThingUnknown. StorageError.
        """
        told: tuple[Track, ...] = ()
        last_dts: dict[int, int] = {}
        for line in self.contents(folder).segments:
            if line.end_s <= start_s or line.first_pts_s >= end_s:
                continue
            raw = self._read(folder, line)
            tracks = tracks_of(raw)
            wanted = tuple(tracks[number] for number in sorted(tracks) if tracks[number].kind in kinds)
            chunk = []
            if wanted and wanted != told:
                told, last_dts, chunk = wanted, {}, [init_segment(wanted)]
            for each in walk(raw, init_size(raw)):
                at_s = moment(each.pts, each, tracks, line)
                dts = each.dts + dict(line.base_ticks).get(each.track_id, 0)
                track = tracks[each.track_id]
                if track.kind not in kinds or not start_s - SLACK_S <= at_s < end_s:
                    continue
                if dts <= last_dts.get(each.track_id, -1):  # written again after a write that failed: it comes once
                    continue
                last_dts[each.track_id] = dts
                sample = raw[each.offset + HEAD_BYTES : each.offset + each.size_bytes]
                is_key = each.is_key or track.kind == "audio"
                chunk.append(
                    fragment(each.sequence, each.track_id, dts, each.pts - each.dts, each.duration, is_key, sample)
                )
            if chunk:
                yield b"".join(chunk)

    def _is_repeat(self, folder: Path, line: SegmentLine, before: Part) -> bool:
        """Whether the segment holds a moment of a track that the part before it holds, which by the manifest alone
        cannot be told from sound that runs over the seam. Raises: EvidenceError, StorageError.
        """
        if line.first_pts_s > before.line.last_pts_s + SLACK_S:
            return False
        reached, tracks = self._reached(folder, before), self._head(folder, line).tracks
        base = dict(line.base_ticks)
        return any(
            (least + base.get(number, 0)) / tracks[number].timescale <= reached.get(number, -1.0) + SLACK_S
            for number, (least, _) in self._pts(folder, line).items()
        )

    def _reached(self, folder: Path, part: Part) -> dict[int, float]:
        """The last moment of each track of a part. Not its end: durations may be guessed, and a key frame must not be
        taken for a repeat. Raises: EvidenceError, StorageError."""
        base, tracks = dict(part.line.base_ticks), self._head(folder, part.line).tracks
        last = {number: greatest for number, (_, greatest) in self._pts(folder, part.line).items()}
        if part.fragments is not None:
            last = {}
            for each in part.fragments:
                last[each.track_id] = max(last.get(each.track_id, 0), each.pts)
        return {number: (ticks + base.get(number, 0)) / tracks[number].timescale for number, ticks in last.items()}

    def _pts(self, folder: Path, line: SegmentLine) -> dict[int, tuple[int, int]]:
        """The file is held against its hash when it is sent, not here. Raises: EvidenceError, StorageError."""
        if (known := self._ranges.get(line.sha256)) is not None:
            return known
        try:
            raw = (folder / line.file).read_bytes()
        except OSError as error:
            raise StorageError(f"{folder / line.file}: cannot be read ({error}); check the disk") from error
        return self._ranges.put(line.sha256, pts_range(raw, self._head(folder, line).init_bytes))

    def _head(self, folder: Path, line: SegmentLine) -> SegmentHead:
        """Raises: EvidenceError, StorageError."""
        if (known := self._heads.get(line.sha256)) is not None:
            return known
        try:
            with (folder / line.file).open("rb") as file:
                return self._heads.put(line.sha256, head_of(file.read(_HEAD_BYTES), line))
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
        if self._checked.get(key) is None:
            if hashlib.sha256(raw).hexdigest() != line.sha256:
                raise EvidenceError(f"{line.file} is not what was recorded: its hash differs; run 'onrecord verify'")
            self._checked.put(key, True)
        return raw


def _pieces_of(span: Span) -> int:
    return sum(1 + len(part.fragments or ()) for part in span.parts)


def _contents(raw: bytes) -> Contents:
    rows = [lines.parse(row) for row in raw.splitlines(keepends=True) if row.endswith(b"\n")]
    if not rows or not isinstance(rows[0], RecordingLine):
        raise EvidenceError("a manifest that does not begin with its recording")
    segments = tuple(row for row in rows if isinstance(row, SegmentLine))
    final = next((row for row in rows if isinstance(row, HeadLine) and row.is_final), None)
    gaps = tuple(gap for row in rows if isinstance(row, (SegmentLine, HeadLine)) for gap in row.gaps)
    length_s = max([each.end_s for each in segments] + [gap.end_s for gap in gaps], default=0.0)
    return Contents(rows[0], segments, gaps, length_s, final is not None)


def _check_same(tracks: dict[int, Track], own: dict[int, Track], line: SegmentLine) -> None:
    """Raises: StateConflict: one file cannot hold both."""
    if own != tracks:
        raise StateConflict(f"the tracks change at {line.first_pts_s:.3f} s; ask for what is before, and for the rest")
