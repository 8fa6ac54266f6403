"""One stream being recorded: items in, segment files and a gap ledger out, whatever the disk does.

Owned by the event loop's thread; only what a Commit holds is touched by the disk thread. Every fragment offered is in a
segment or in a Gap of the manifest; what is not yet synced is kept in the ring and written again when a sync fails.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import assert_never

from pipeline.clock import Clock
from pipeline.errors import StorageError, StorageFull
from pipeline.events import EventSink
from pipeline.media import Ended, Fragment, Gap, GapCause, Item, TracksChanged
from pipeline.record.chain import Chain
from pipeline.record.commit import Commit, Store
from pipeline.record.disk import Disk
from pipeline.record.ledger import HOLE_S
from pipeline.record.lines import RecordingLine, seconds
from pipeline.record.manifest import Manifest
from pipeline.record.ring import Ring
from pipeline.record.segment import Segment
from pipeline.record.stats import RecorderStats
from pipeline.record.teller import Teller
from pipeline.settings import RecordSettings

_RETRY_S = 1.0  # between two tries of a disk that refuses
_ROOM_BYTES = 1 << 20  # free beyond what is held before a full disk is tried again, so that it does not fail at once
_OURS = (GapCause.READER_SLOW, GapCause.DISK_FULL, GapCause.DISK_ERROR)


class Recording:
    """See the module. Bounds: while the disk refuses hold_s and hold_bytes; while it is only slow hold_bytes.

    is_failed: an alarm stands. is_ended: the final head is on the medium; nothing is left to do.
    """

    def __init__(
        self, line: RecordingLine, root: Path, folder: Path, settings: RecordSettings, chain: Chain, disk: Disk,
        clock: Clock, emit: EventSink, stats: RecorderStats,
    ) -> None:  # fmt: skip
        self.line = line
        self.is_failed = False
        self.is_ended = False
        self.device_offset_s: Callable[[], float | None] = _says_nothing
        """The device's clock less ours; asked when a segment is closed. Set by whoever has the stream."""
        self._settings = settings
        self._max_bytes = settings.segment_max_bytes
        self._hold_bytes = settings.hold_bytes
        self._disk = disk
        self._clock = clock
        self._teller = Teller(line, clock, emit)
        self._stats = stats
        above = tuple(each for each in folder.parents if each == root or root in each.parents)
        self._store = Store(folder, chain, Manifest(folder, disk), above)
        self._store.manifest.append(chain.begin(line, line.started_at))
        self._ring = Ring()
        self._header: TracksChanged | None = None
        self._segment: Segment | None = None
        self._closing: deque[Segment] = deque()  # bound: the disk refuses no longer than the ring lasts
        self._number = 0
        self._covered_s = 0.0
        self._gaps: list[Gap] = []  # those that belong to no segment yet
        self._end_reason: str | None = None
        self._synced = 0  # places in the ring: all before is on the medium
        self._offered_bytes = self._asked_bytes = self._kept_bytes = 0  # in all; in the commit under way; and done
        self._has_folder = False
        self._is_behind = False  # the ring holds what no segment has yet
        self._cursor = 0  # while behind: the next place to write
        self._safe = 0  # while behind: all before was written to some segment
        self._cause = GapCause.DISK_ERROR
        self._loss: Gap | None = None
        self._retry_at_s = 0.0

    @property
    def has_open_segment(self) -> bool:
        return self._segment is not None

    @property
    def has_ended(self) -> bool:
        """Nothing more will be offered; see `is_ended` for what is on the medium."""
        return self._end_reason is not None

    @property
    def pressure(self) -> float:
        """What was offered and is not on the medium yet, of what the hold may take; above 1 media may be lost."""
        return (self._offered_bytes - self._kept_bytes) / self._hold_bytes

    def begin(self) -> None:
        """Make the folder and the manifest; a disk that refuses is an alarm, not an error."""
        try:
            self._make_folder()
        except StorageError as error:
            self._fail(error, 0)

    def offer(self, item: Item) -> None:
        """The next item of the stream. Called from the event loop's thread; does not raise; nothing after Ended."""
        if isinstance(item, Fragment):
            pts_s = item.pts_s
            if pts_s > self._covered_s + HOLE_S:
                self._note_gap(Gap(self._covered_s, pts_s, GapCause.TIMESTAMP_JUMP))
            end_s = pts_s + item.duration_s
            if end_s > self._covered_s:
                self._covered_s = end_s
            ring = self._ring
            ring.append(item)
            self._offered_bytes += len(item.data)
            if not self._is_behind:
                began_s = perf_counter()
                try:
                    self._write(item, ring.end - 1)
                except StorageError as error:
                    self._fail(error, ring.end - 1)
                self._stats.write_s_total += perf_counter() - began_s
            if self._is_behind or ring.size_bytes > self._hold_bytes:
                self._bound()
        elif isinstance(item, TracksChanged):
            self._change_tracks(item)
        elif isinstance(item, Gap):
            self._note_gap(item)
        elif isinstance(item, Ended):
            self.end("ended")
        else:
            assert_never(item)

    def end(self, reason: str) -> None:
        """Nothing follows. Idempotent; the first reason stands."""
        if self._end_reason is None:
            self._end_reason = reason
            if not self._is_behind:
                self._finish_segment()

    def resume(self, most_bytes: int) -> None:
        """Where the ring is ahead of the disk, try again: write at most about `most_bytes` of it."""
        if not self._is_behind or self._clock.monotonic_s() < self._retry_at_s:
            return
        try:
            if self._cause is GapCause.DISK_FULL:
                self._ask_for_room()
            self._make_folder()
            self._replay(most_bytes)
            self._close_loss()
        except StorageError as error:
            self._fail(error, self._safe)

    def give_up(self) -> None:
        """The program stops and the disk still refuses: say what is lost. The next start recovers the files."""
        for place, item in enumerate(self._ring.since(self._ring.start), self._ring.start):
            if self._is_behind and place >= self._safe and isinstance(item, Fragment):
                self._lose(item)
        self._close_loss()

    def commit(self) -> Commit | None:
        """What the disk thread shall do now, or None if there is nothing."""
        mark = self._cursor if self._is_behind else self._ring.end
        self._asked_bytes = self._kept_bytes if self._is_behind else self._offered_bytes
        segment = self._segment if mark > self._synced else None
        is_last = self._end_reason is not None and not self._is_behind and self._segment is None
        has_work = segment is not None or self._closing or self._store.manifest.has_pending or is_last
        if not has_work or not self._has_folder:
            return None
        reason = self._end_reason if is_last else None
        return Commit(self._store, tuple(self._closing), segment, mark, reason, tuple(self._gaps) if is_last else ())

    def apply(self, commit: Commit) -> None:
        """Take in what the disk thread did."""
        for segment in commit.closed:
            self._closing.popleft()
            self._stats.segments_closed += 1
            self._teller.closed(segment.line())
        self.is_ended = self._store.is_final
        if commit.sync_error is not None:
            was_failed = self.is_failed
            self._fail(commit.sync_error, self._synced)
            self._retry_at_s = self._clock.monotonic_s() + (_RETRY_S if was_failed else 0.0)
        elif commit.error is not None:
            self._alarm(commit.error)
        else:
            self._synced = max(self._synced, commit.mark)
            self._kept_bytes = self._asked_bytes
            self._ring.forget_synced(self._synced)
            if self.is_failed and not self._is_behind:
                self.is_failed = False
                self._teller.restored()

    def _write(self, item: Fragment, place: int) -> None:
        """Raises: StorageError: `item` is not in a segment."""
        segment = self._segment
        if (
            segment is None
            or (item.is_key and item.pts_s >= segment.rotate_at_s)
            or segment.size_bytes >= self._max_bytes
        ):
            self._finish_segment()
            if self._header is None:
                return  # the hub's law is that tracks come first; without them no file can be made
            segment = self._segment = self._begin_segment(item, self._header, place)
        self._stats.bytes_written += segment.append(item)

    def _begin_segment(self, first: Fragment, header: TracksChanged, place: int) -> Segment:
        name, base_s = f"{self._number:04}.mp4", self._ring.opening_s(first, place, header)
        segment = Segment.begin(self._store.folder, name, header, first, base_s, self.line, self._disk)
        segment.rotate_at_s = first.pts_s + self._settings.segment_s
        segment.gaps, self._gaps = self._gaps, []
        return segment

    def _finish_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        if segment.size_bytes == segment.init_bytes:
            self._gaps = [*segment.gaps, *self._gaps]
            segment.discard(self._store.folder)
            return
        self._number += 1
        segment.device_offset_s = self.device_offset_s()
        segment.is_synced = False
        self._closing.append(segment)

    def _change_tracks(self, header: TracksChanged) -> None:
        if self._header is not None and self._header.tracks == header.tracks and not self._is_behind:
            return
        self._ring.append(header)
        if not self._is_behind:
            self._finish_segment()
            self._header = header

    def _note_gap(self, gap: Gap) -> None:
        gap = Gap(seconds(gap.start_s), seconds(gap.end_s), gap.cause, gap.fragments)
        (self._gaps if self._segment is None else self._segment.gaps).append(gap)
        self._covered_s = max(self._covered_s, gap.end_s)
        if gap.cause in _OURS:
            self._stats.lost_s += gap.lost_s
        self._teller.lost(gap)

    def _fail(self, error: StorageError, safe: int) -> None:
        """From here on the ring holds what comes; all before the place `safe` is in a segment."""
        self._finish_segment()
        self._safe = max(self._safe, safe) if self._is_behind else safe
        self._is_behind = True
        self._cursor = self._ring.key_before(self._safe)
        self._cause = GapCause.DISK_FULL if isinstance(error, StorageFull) else GapCause.DISK_ERROR
        self._retry_at_s = self._clock.monotonic_s() + _RETRY_S
        self._alarm(error)

    def _alarm(self, error: StorageError) -> None:
        if self.is_failed:
            return
        self.is_failed = True
        self._teller.failed(error)

    def _bound(self) -> None:
        """Bring the ring within its bounds; what no segment has becomes a gap."""
        ring = self._ring
        while ring.size_bytes > self._hold_bytes or (self._is_behind and ring.span_s > self._settings.hold_s):
            for place, fragment in ring.drop_oldest():
                if self._is_behind and place >= self._safe:
                    self._lose(fragment)
        self._cursor = max(self._cursor, ring.start)

    def _lose(self, fragment: Fragment) -> None:
        loss = self._loss or Gap(fragment.pts_s, fragment.pts_s, self._cause)
        self._loss = Gap(
            min(loss.start_s, fragment.pts_s), max(loss.end_s, fragment.end_s), loss.cause, loss.fragments + 1
        )

    def _close_loss(self) -> None:
        if self._loss is not None:
            loss, self._loss = self._loss, None
            self._note_gap(loss)

    def _ask_for_room(self) -> None:
        root = self._store.folder.anchor if not self._has_folder else self._store.folder
        if self._disk.free_bytes(Path(root)) < self._ring.size_bytes + _ROOM_BYTES:
            raise StorageFull("no room; delete what is not needed or make the disk larger")

    def _make_folder(self) -> None:
        if not self._has_folder:
            self._disk.make_folder(self._store.folder)
            self._store.manifest.write()
            self._has_folder = True

    def _replay(self, most_bytes: int) -> None:
        """Raises: StorageError: what is before `_safe` was written."""
        if self._segment is None:
            self._header = self._ring.header_at(self._cursor)
        for item in self._ring.since(self._cursor):
            if isinstance(item, TracksChanged):
                self._finish_segment()
                self._header = item
            else:
                self._write(item, self._cursor)
                most_bytes -= item.size_bytes
            self._cursor += 1
            self._safe = max(self._safe, self._cursor)
            if most_bytes < 0:
                return
        self._is_behind = False
        if self._end_reason is not None:
            self._finish_segment()


def _says_nothing() -> float | None:
    return None
