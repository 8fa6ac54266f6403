"""One recording's part of a group commit: made on the event loop, executed in the disk thread, applied on the loop.

While it is executed it owns the manifest, the chain and the closing segments; the open segment it only syncs.
"""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.clock import Clock, rfc3339
from pipeline.errors import StorageError, StorageSyncFailed
from pipeline.media import Gap
from pipeline.record.chain import Chain
from pipeline.record.disk import Disk
from pipeline.record.manifest import Manifest
from pipeline.record.segment import Segment


@dataclass(slots=True)
class Store:
    """Where one recording lies. new_folders: those whose names are not yet synced, deepest first."""

    folder: Path
    chain: Chain
    manifest: Manifest
    new_folders: tuple[Path, ...]
    has_final_line: bool = False

    @property
    def is_final(self) -> bool:
        """The final head is on the medium."""
        return self.has_final_line and not self.manifest.has_pending


@dataclass(slots=True)
class Commit:
    """What to sync and close, and what came of it.

    mark: the place in the ring up to which media is synced when sync_error is None. end_reason: write the final head
    once all is closed. error: something else failed; the same steps are tried again at the next commit.
    """

    store: Store
    closing: tuple[Segment, ...]
    open_segment: Segment | None
    mark: int
    end_reason: str | None
    final_gaps: tuple[Gap, ...]
    closed: list[Segment] = field(default_factory=list)
    sync_error: StorageSyncFailed | None = None
    error: StorageError | None = None

    def execute(self, disk: Disk, clock: Clock) -> None:
        """Blocks on the disk; raises nothing."""
        for segment in self.closing:
            self._sync(segment, disk)
        if self.open_segment is not None:
            self._sync(self.open_segment, disk)
        try:
            self._close(disk, clock)
        except StorageError as error:
            self.error = error

    def _sync(self, segment: Segment, disk: Disk) -> None:
        if segment.is_suspect or segment.is_synced:
            return
        try:
            if segment.is_torn and segment is not self.open_segment:
                disk.truncate(segment.descriptor, segment.size_bytes)
                segment.is_torn = False
            disk.sync(segment.descriptor)
            segment.is_synced = segment is not self.open_segment
        except StorageSyncFailed as error:
            segment.is_suspect = True
            self.sync_error = error
        except StorageError as error:
            self.error = error

    def _close(self, disk: Disk, clock: Clock) -> None:
        """Names, then lines and heads, then the manifest; only then is a segment closed."""
        store = self.store
        ready = []
        for segment in self.closing:
            if segment.is_torn:
                break
            ready.append(segment)
        names = [*ready, self.open_segment] if self.open_segment is not None else ready
        if store.new_folders or not all(segment.has_name for segment in names):
            self._sync_names(names, disk)
        for segment in ready:
            if not segment.is_lined:
                store.manifest.append(store.chain.add(segment.line(), rfc3339(clock.utc_s())))
                segment.is_lined = True
        is_whole = len(ready) == len(self.closing) and self.sync_error is None and self.error is None
        if self.end_reason is not None and is_whole and not store.has_final_line:
            store.manifest.append(store.chain.end(self.end_reason, self.final_gaps, rfc3339(clock.utc_s())))
            store.has_final_line = True
        store.manifest.flush()
        self.closed = ready
        for segment in ready:
            disk.close(segment.descriptor)
        if store.has_final_line:
            store.manifest.close()

    def _sync_names(self, segments: list[Segment], disk: Disk) -> None:
        fresh = [segment for segment in segments if not segment.has_name]
        try:
            for folder in self.store.new_folders:
                disk.sync_folder(folder)
            self.store.new_folders = ()
            disk.sync_folder(self.store.folder)
        except StorageSyncFailed:
            for segment in fresh:
                segment.is_suspect = True
            raise
        for segment in fresh:
            segment.has_name = True
