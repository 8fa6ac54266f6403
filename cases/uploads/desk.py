"""The uploads of a server: begun, continued from where they stopped, ended, forgotten. Knows no HTTP and no case.

What the medium confirmed is the offset; a sender that asks learns of nothing else: nothing acknowledged is lost.
"""

import hashlib
import hmac
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import anyio
import anyio.to_thread
import structlog

from cases.uploads.parts import OPEN, TAKING, Parts, Upload
from pipeline.clock import Clock
from pipeline.errors import ChecksumDiffers, StateConflict, StorageFull, ThingUnknown, UploadTooLarge, ValueRefused
from pipeline.record.disk import SystemDisk, mapped
from pipeline.settings import UploadSettings

log = structlog.get_logger(__name__)

_WRITE_BYTES = 1 << 20
_SYNC_BYTES = 8 << 20
_EXPIRE_EVERY_S = 60.0
_MOST_OF_ONE = 64  # uploads on their way, of one sender


@dataclass(slots=True)
class _Work:
    """A request that brings bytes of an upload."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    done: anyio.Event = field(default_factory=anyio.Event)


class Uploads:
    """Owned by the event loop's thread; the disk is asked in others. Bounds: upload.max_open, 64 of one sender."""

    def __init__(self, parts: Parts, settings: UploadSettings, clock: Clock, reserve_bytes: int) -> None:
        """reserve_bytes: of the disk, kept free for recordings."""
        self.settings = settings
        self._parts = parts
        self._clock = clock
        self._reserve_bytes = reserve_bytes
        self._all: dict[str, Upload] = {}
        self._work: dict[str, _Work] = {}
        self._whole: deque[str] = deque()
        self._rung = anyio.Event()
        self._creating = anyio.Lock()

    async def load(self) -> None:
        """Raises: StorageError."""
        for upload in await anyio.to_thread.run_sync(self._parts.load):
            self._all[upload.upload_id] = upload
            if upload.state == TAKING:
                self._whole.append(upload.upload_id)

    @property
    def open(self) -> int:
        """On their way, or whole and not looked at yet."""
        return sum(each.state in (OPEN, TAKING) for each in self._all.values())

    def of(self, by: str) -> list[Upload]:
        """Those of one sender, the newest first."""
        return sorted((each for each in self._all.values() if each.sent_by == by), key=_created, reverse=True)

    def find(self, upload_id: str, by: str) -> Upload:
        """Raises: ThingUnknown: there is none, or it is another's; nobody learns which."""
        upload = self._all.get(upload_id)
        if upload is None or upload.sent_by != by:
            raise ThingUnknown("no such upload")
        return upload

    def coming_bytes(self, unit: str) -> int:
        """What is on its way, or announced, for a unit."""
        return sum(each.size_bytes for each in self._all.values() if each.unit == unit and each.state in (OPEN, TAKING))

    async def create(self, upload: Upload, kept_bytes: int) -> Upload:
        """Begin one; the same id with the same words begins it once. kept_bytes: what its unit has sent in before.

        Raises: ValueRefused. UploadTooLarge. StateConflict: the Idempotency-Key, or too many at once. StorageError.
        """
        async with self._creating:
            known = self._all.get(upload.upload_id)
            if known is not None:
                if (known.metadata, known.size_bytes) != (upload.metadata, upload.size_bytes):
                    raise StateConflict("this Idempotency-Key began another upload")
                return known
            await self._check(upload, kept_bytes)
            await anyio.to_thread.run_sync(self._parts.create, upload)
            self._all[upload.upload_id] = upload
            return upload

    async def append(
        self, upload: Upload, offset: int, chunks: AsyncIterator[bytes], checksum: tuple[str, bytes] | None
    ) -> None:
        """Take bytes from `offset` on. An older request of the same upload makes way.

        checksum: algorithm ("sha256", "sha1") and digest of what comes; without agreement none of it is kept.
        Raises: StateConflict: another offset is next. UploadTooLarge: more comes than was announced. ChecksumDiffers.
        StorageError. What `chunks` raises.
        """
        await self._end_work(upload.upload_id)
        if upload.state != OPEN or offset != upload.offset:
            raise StateConflict(f"the next byte is at {upload.offset}")
        work = self._work[upload.upload_id] = _Work()
        try:
            with work.scope:
                await self._receive(upload, chunks, checksum)
        finally:
            if self._work.get(upload.upload_id) is work:
                del self._work[upload.upload_id]
            work.done.set()
        if work.scope.cancelled_caught:
            raise StateConflict("another request goes on with this upload")
        if upload.offset == upload.size_bytes:
            await self._complete(upload)

    async def end(self, upload: Upload) -> None:
        """Forget it. Raises: StateConflict: it is whole, and evidence. StorageError."""
        if upload.state != OPEN:
            raise StateConflict("the file is whole; it is kept or was refused already")
        await self._end_work(upload.upload_id)
        if upload.state == OPEN:
            await self._drop(upload)

    async def next_whole(self) -> Upload:
        """The next one whose bytes are all there."""
        while True:
            while self._whole:
                upload = self._all.get(self._whole.popleft())
                if upload is not None:
                    return upload
            self._rung = anyio.Event()
            await self._rung.wait()

    def come_back_to(self, upload: Upload) -> None:
        """It could not be taken now."""
        self._whole.append(upload.upload_id)

    async def save(self, upload: Upload, change: Callable[[Upload], None]) -> None:
        """Seen by nobody before it is on the medium. Raises: StorageError: nothing changed."""
        draft = replace(upload)
        change(draft)
        await anyio.to_thread.run_sync(self._parts.save, draft)
        change(upload)

    async def run(self) -> None:
        """Forget what is over. Until cancelled."""
        while True:
            now_us = round(self._clock.utc_s() * 1e6)
            for upload in [each for each in self._all.values() if each.expires_us <= now_us and each.state != TAKING]:
                await self._end_work(upload.upload_id)
                if upload.state != TAKING:
                    await self._drop(upload)
            await anyio.sleep(_EXPIRE_EVERY_S)

    async def _check(self, upload: Upload, kept_bytes: int) -> None:
        settings = self.settings
        if upload.size_bytes < 1:
            raise ValueRefused("Upload-Length", "the file is empty")
        if upload.size_bytes > settings.max_bytes:
            raise UploadTooLarge(f"a file may have {settings.max_bytes} bytes at most (upload.max_bytes)")
        coming = kept_bytes + self.coming_bytes(upload.unit)
        if settings.unit_quota_bytes and coming + upload.size_bytes > settings.unit_quota_bytes:
            raise UploadTooLarge(f"the unit has sent in {coming} of {settings.unit_quota_bytes} bytes already")
        mine = sum(each.state in (OPEN, TAKING) for each in self.of(upload.sent_by))
        if self.open >= settings.max_open or mine >= _MOST_OF_ONE:
            raise StateConflict("too many uploads are on their way; finish or delete one")
        still = sum(each.size_bytes - each.offset for each in self._all.values() if each.state == OPEN)
        free = await anyio.to_thread.run_sync(self._parts.free_bytes)
        if free - still - upload.size_bytes < self._reserve_bytes:
            raise StorageFull("the disk has no room for this file; recordings need what is left")

    async def _receive(self, upload: Upload, chunks: AsyncIterator[bytes], checksum: tuple[str, bytes] | None) -> None:
        file = await anyio.to_thread.run_sync(self._parts.open, upload)
        digest = None if checksum is None else hashlib.new(checksum[0], usedforsecurity=False)
        pending, at, is_agreed = bytearray(), upload.offset, False
        try:
            async for data in chunks:
                if at + len(pending) + len(data) > upload.size_bytes:
                    raise UploadTooLarge(f"more comes than the {upload.size_bytes} bytes that were announced")
                pending += data
                if len(pending) >= _WRITE_BYTES:
                    at = await self._write(file, pending, at, digest)
                    if digest is None and at - upload.offset >= _SYNC_BYTES:
                        await self._confirm(upload, file, at)
            at = await self._write(file, pending, at, digest)
            if digest is not None and checksum is not None and not hmac.compare_digest(digest.digest(), checksum[1]):
                raise ChecksumDiffers("the bytes are not those that the checksum was made of; send them again")
            is_agreed = True
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    if digest is None or is_agreed:
                        at = await self._write(file, pending, at, None)
                        await self._confirm(upload, file, at)
                finally:
                    await anyio.to_thread.run_sync(file.close)

    async def _write(self, file: BinaryIO, pending: bytearray, at: int, digest: "hashlib._Hash | None") -> int:
        if not pending:
            return at
        data = bytes(pending)
        pending.clear()
        await anyio.to_thread.run_sync(_write, file, data, digest)
        return at + len(data)

    async def _confirm(self, upload: Upload, file: BinaryIO, at: int) -> None:
        if at == upload.offset:
            return
        await anyio.to_thread.run_sync(SystemDisk().sync, file.fileno())

        def reached(each: Upload) -> None:
            each.offset = at

        await self.save(upload, reached)

    async def _complete(self, upload: Upload) -> None:
        now_us = round(self._clock.utc_s() * 1e6)

        def whole(each: Upload) -> None:
            each.state, each.completed_us = TAKING, now_us

        await self.save(upload, whole)
        self._whole.append(upload.upload_id)
        self._rung.set()

    async def _end_work(self, upload_id: str) -> None:
        work = self._work.get(upload_id)
        if work is not None:
            work.scope.cancel()
            await work.done.wait()

    async def _drop(self, upload: Upload) -> None:
        await anyio.to_thread.run_sync(self._parts.drop, upload.upload_id)
        self._all.pop(upload.upload_id, None)


def _created(upload: Upload) -> tuple[int, str]:
    return upload.created_us, upload.upload_id


def _write(file: BinaryIO, data: bytes, digest: "hashlib._Hash | None") -> None:
    with mapped(Path(file.name)):
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
    if digest is not None:
        digest.update(data)
