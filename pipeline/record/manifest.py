"""The manifest file: lines appended and made durable, whatever the disk does in between. Knows no line's meaning."""

from pathlib import Path

from pipeline.errors import StorageError, StorageSyncFailed
from pipeline.record.disk import Disk

NAME = "manifest.jsonl"


class Manifest:
    """Append-only, and claimed while it is open, so that recovery leaves it alone.

    Bytes stay in memory until they are synced, so that a failed sync can write them again.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._path = folder / NAME
        self._disk = disk
        self._descriptor: int | None = None
        self._durable_bytes = 0
        self._pending = b""
        self._written = 0  # of the pending bytes
        self._is_torn = False

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    def append(self, raw: bytes) -> None:
        """These bytes come next; `write` or `flush` brings them to the file."""
        self._pending += raw

    def write(self) -> int:
        """Hand all pending bytes to the system: they outlive this process. The descriptor. Raises: StorageError."""
        if self._descriptor is None:
            open_file = self._disk.open_append if self._durable_bytes else self._disk.create
            self._descriptor = open_file(self._path)
            self._disk.claim(self._descriptor)
        if self._is_torn:
            self._disk.truncate(self._descriptor, self._durable_bytes + self._written)
            self._is_torn = False
        try:
            self._disk.write(self._descriptor, self._pending[self._written :])
        except StorageError:
            self._is_torn = True
            raise
        self._written = len(self._pending)
        return self._descriptor

    def flush(self) -> None:
        """Bring all pending bytes onto the medium.

        After a failed sync the next call writes the same bytes again from a cut file: a second fsync over pages that
        the kernel calls clean would prove nothing.
        Raises: StorageError, StorageSyncFailed.
        """
        if not self._pending:
            return
        descriptor = self.write()
        try:
            self._disk.sync(descriptor)
        except StorageSyncFailed:
            self._is_torn, self._written = True, 0
            raise
        self._durable_bytes += self._written
        self._pending, self._written = b"", 0

    def close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._disk.close(descriptor)
