"""The writing end of the outbox. Owned by the event loop's thread; the disk's work is done in another."""

import contextlib
from collections import deque
from itertools import islice
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from pipeline.errors import StorageError, StorageSyncFailed
from pipeline.events import Event, PublisherRefused
from pipeline.outbox.files import Place, files, path_of
from pipeline.outbox.line import encode
from pipeline.outbox.reader import MARK
from pipeline.record.disk import Disk

log = structlog.get_logger(__name__)

_ROTATE_BYTES = 16 << 20
_MOST_PENDING = 100_000  # facts
_MOST_PENDING_BYTES = 48 << 20
_AT_ONCE = 2000  # facts of one write and sync, some 600 KB
_CLOSE_S = 2.0


class Outbox:
    """Bounds: 100,000 facts and 48 MiB wait for a disk that refuses; then they are counted and an alarm stands.

    Attributes for the metrics page: pending, lost, is_failed.
    """

    def __init__(self, folder: Path, disk: Disk, interval_s: float) -> None:
        """Raises: StorageError: the folder cannot be read."""
        self.lost = 0
        """Facts there was no room for."""
        self.is_failed = False
        self._folder = folder
        self._disk = disk
        self._interval_s = interval_s
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._number = max((number for number, _ in files(folder)), default=0)
        self._descriptor: int | None = None
        self._written = 0
        self._durable = Place(self._number + 1, 0)
        self._news = anyio.Event()
        self._turn = anyio.Lock()

    @property
    def pending(self) -> int:
        """Facts that are not on the medium yet."""
        return len(self._pending)

    @property
    def durable(self) -> Place:
        """Up to here all is on the medium."""
        return self._durable

    def tell(self, event: Event) -> None:
        """Takes its place behind what was told before. Never blocks and does not raise.

        A publisher that was turned away is no fact of the record: strangers would write it.
        """
        if isinstance(event, PublisherRefused):
            return
        try:
            line = encode(event)
        except ValueError as error:
            self._lose(f"{type(event).__name__}: {error}")
            return
        if len(self._pending) >= _MOST_PENDING or self._pending_bytes + len(line) > _MOST_PENDING_BYTES:
            self._lose("the disk has refused them for too long")
            return
        self._pending.append(line)
        self._pending_bytes += len(line)

    async def run(self) -> None:
        """Bring what is told onto the medium, in the recorder's rhythm, until cancelled; then call `close`."""
        while True:
            await anyio.sleep(self._interval_s)
            with anyio.CancelScope(shield=True):
                await self.flush()

    async def flush(self, *, is_whole: bool = True, abandon: bool = False) -> None:
        """Afterwards all that was told before is on the medium, or `is_failed`.

        is_whole: nothing that happened before is still to be told.
        """
        async with self._turn:
            left = len(self._pending)
            while left:
                taken = list(islice(self._pending, min(left, _AT_ONCE)))
                left -= len(taken)
                is_all = is_whole and not self.lost and len(taken) == len(self._pending)
                try:
                    self._durable = await anyio.to_thread.run_sync(
                        self._write, b"".join(taken), is_all, abandon_on_cancel=abandon
                    )
                except StorageError as error:
                    if not self.is_failed:
                        log.error("facts wait in memory: the outbox cannot be written", reason=str(error))
                    self.is_failed = True
                    return
                self._let_go_of(len(taken))

    async def close(self) -> None:
        """The last flush, in 2 s at most. What the disk does not take is told by the next start, from the manifests."""
        with anyio.move_on_after(_CLOSE_S, shield=True) as limit:
            await self.flush(abandon=True)
        if self._pending:
            log.error("facts were not written at the stop", facts=len(self._pending))
        if not limit.cancelled_caught:  # else a thread may still be writing
            self._leave_file()

    async def wait_beyond(self, place: Place) -> None:
        """Until something behind `place` is on the medium."""
        while self._durable <= place:
            await self._news.wait()

    def _let_go_of(self, count: int) -> None:
        for _ in range(count):
            self._pending_bytes -= len(self._pending.popleft())
        if self.is_failed:
            self.is_failed = False
            log.info("the outbox is written again", lost=self.lost)
        self._news.set()
        self._news = anyio.Event()

    def _lose(self, reason: str) -> None:
        self.lost += 1
        if self.lost.bit_count() == 1:  # at 1, 2, 4, 8: not a line a fact
            log.error("facts are lost", facts=self.lost, reason=reason)

    def _write(self, data: bytes, is_all: bool) -> Place:
        if self._descriptor is not None and self._written >= _ROTATE_BYTES:
            self._leave_file()
        try:
            descriptor = self._begun() if self._descriptor is None else self._descriptor
            self._disk.write(descriptor, data)
            self._disk.sync(descriptor)
        except StorageError as error:
            self._clear_up(error)
            raise
        self._written += len(data)
        if is_all:
            with contextlib.suppress(OSError):  # the next start then tells more again
                (self._folder / MARK).touch()
        return Place(self._number, self._written)

    def _begun(self) -> int:
        """A new file for every start and every failed sync: nothing is ever written behind a torn line."""
        self._disk.make_folder(self._folder)
        self._number += 1
        self._written = 0
        self._descriptor = self._disk.create(path_of(self._folder, self._number))
        self._disk.sync_folder(self._folder)
        self._disk.sync_folder(self._folder.parent)
        return self._descriptor

    def _clear_up(self, error: StorageError) -> None:
        """Cut what was not told; go on in the file only where that worked and no sync failed."""
        if self._descriptor is None:
            return
        try:
            self._disk.truncate(self._descriptor, self._written)
            if self._written and not isinstance(error, StorageSyncFailed):
                return
        except StorageError as refusal:
            log.warning("a torn end stays in the outbox", reason=str(refusal))
        self._leave_file()
        if not self._written:
            with contextlib.suppress(StorageError):  # an empty or torn file is passed over
                self._disk.remove(path_of(self._folder, self._number))

    def _leave_file(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            try:
                self._disk.close(descriptor)
            except StorageError as error:
                log.warning("a file of the outbox could not be closed", reason=str(error))
