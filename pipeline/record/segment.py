"""One open segment file: bytes in, hash and times kept. Knows no manifest, no policy and no sync."""

import hashlib
from contextlib import suppress
from pathlib import Path

from pipeline import fmp4
from pipeline.clock import rfc3339
from pipeline.errors import StorageError
from pipeline.media import Fragment, Gap, TracksChanged
from pipeline.record.disk import Disk
from pipeline.record.lines import RecordingLine, SegmentLine, seconds
from pipeline.record.stamp import Stamp, stamped


class Segment:
    """A file being written, from its init segment to its last fragment. Written by the event loop's thread only.

    is_torn: a write failed, part of a fragment may follow `size_bytes`. is_suspect: a sync failed; see SegmentLine.
    has_name: the folder was synced since it was made. is_synced: nothing was written since the last sync.
    is_lined: its line is on its way to the manifest.
    gaps: what is missing, learnt while this segment was open or before it with none open.
    device_offset_s: the device's clock less ours; None while it has said nothing.
    """

    __slots__ = (
        "_base", "_captured_at", "_captured_until", "_codecs", "_conversions", "_disk", "_hash", "descriptor",
        "device_offset_s", "end_s", "file", "first_pts_s", "gaps", "has_name", "init_bytes", "is_lined", "is_suspect",
        "is_synced", "is_torn", "last_pts_s", "rotate_at_s", "size_bytes",
    )  # fmt: skip

    def __init__(self, descriptor: int, file: str, first: Fragment, codecs: tuple[str, ...], disk: Disk) -> None:
        self.descriptor = descriptor
        self.file = file
        self.size_bytes = 0
        self.first_pts_s = self.last_pts_s = first.pts_s
        self.end_s = first.pts_s + first.duration_s
        self.rotate_at_s = 0.0
        self.gaps: list[Gap] = []
        self.device_offset_s: float | None = None
        self.is_torn = False
        self.is_suspect = False
        self.has_name = False
        self.is_synced = False
        self.is_lined = False
        self.init_bytes = 0
        self._captured_at = self._captured_until = first.captured_at
        self._codecs = codecs
        self._base: dict[int, int] = {}
        self._conversions: tuple[tuple[int, str], ...] = ()
        self._hash = hashlib.sha256()
        self._disk = disk

    @classmethod
    def begin(
        cls, folder: Path, file: str, header: TracksChanged, first: Fragment, base_s: float, recording: RecordingLine,
        disk: Disk,
    ) -> "Segment":  # fmt: skip
        """A new file that opens at 0 = base_s of the stream, its init segment written. `first` is still to be appended.

        Raises: StorageError: nothing of the file is left, unless the disk refuses that too.
        """
        base_ticks = tuple((track.track_id, round(base_s * track.timescale)) for track in header.tracks)
        conversions = tuple((track.track_id, track.origin) for track in header.tracks if track.origin)
        stamp = Stamp(recording, file, base_ticks, rfc3339(first.captured_at), conversions)
        init = stamped(header.init, stamp)
        descriptor = disk.create(folder / file)
        segment = cls(descriptor, file, first, tuple(track.codec for track in header.tracks), disk)
        segment._base = dict(base_ticks)
        segment._conversions = conversions
        try:
            disk.write(descriptor, init)
        except StorageError:
            segment.discard(folder)
            raise
        segment._hash.update(init)
        segment.size_bytes = segment.init_bytes = len(init)
        return segment

    def append(self, fragment: Fragment) -> int:
        """Write `fragment` with its decode time on the file's own axis, in one write; how many bytes that were.

        Raises: StorageError: the segment is torn and takes no more.
        """
        data = fragment.data
        base = self._base.get(fragment.track_id, 0)
        if base:
            data = fmp4.rebased_head(data, base) + data[fmp4.HEAD_BYTES :]
        try:
            self._disk.write(self.descriptor, data)
        except StorageError:
            self.is_torn = True
            raise
        self._hash.update(data)
        size = len(data)
        self.size_bytes += size
        self._captured_until = fragment.captured_at
        pts_s = fragment.pts_s
        if pts_s > self.last_pts_s:
            self.last_pts_s = pts_s
        elif pts_s < self.first_pts_s:
            self.first_pts_s = pts_s
        end_s = pts_s + fragment.duration_s
        if end_s > self.end_s:
            self.end_s = end_s
        return size

    def discard(self, folder: Path) -> None:
        """Close and remove a file that holds no fragment; what the disk refuses here is found by recovery."""
        with suppress(StorageError):
            self._disk.close(self.descriptor)
        with suppress(StorageError):
            self._disk.remove(folder / self.file)

    def line(self) -> SegmentLine:
        """What the manifest says of this file; `prev` is filled in by the chain."""
        offset_s = None if self.device_offset_s is None else seconds(self.device_offset_s)
        device_at = None if offset_s is None else rfc3339(self._captured_at + offset_s)
        return SegmentLine(
            self.file, self.size_bytes, self._hash.hexdigest(), "", seconds(self.first_pts_s),
            seconds(self.last_pts_s), seconds(self.end_s), tuple(self._base.items()), self._codecs,
            rfc3339(self._captured_at), rfc3339(self._captured_until), device_at, offset_s,
            tuple(self.gaps), False, self.is_suspect, self._conversions,
        )  # fmt: skip
