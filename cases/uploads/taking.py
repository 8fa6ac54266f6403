"""Whole uploads, one after the other: checked, kept, recorded where they are media, told. Each step may be repeated.

What is refused says why, and stays on disk until it expires. What was kept is told; what was told is kept.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.to_thread
import structlog

from cases.casework.actor import Actor
from cases.clips.register import is_told
from cases.facts import microseconds
from cases.record import Record
from cases.uploads import kept, register
from cases.uploads.desk import Uploads
from cases.uploads.kinds import FileKind, kind_of
from cases.uploads.parts import DUPLICATE, REFUSED, TAKEN, Parts, Upload
from pipeline.clock import Clock
from pipeline.errors import OnRecordError, StorageError, StoreError, WorkerFailed
from pipeline.record.disk import mapped

log = structlog.get_logger(__name__)

_PAUSE_S = 2.0
_LOOK_S = 0.2
_TOLD_S = 120.0
_MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a file of media became. error: what could not be taken of it; recording_id: empty where nothing could."""

    recording_id: str
    seconds: float
    lost_s: float
    error: str


Recorder: TypeAlias = Callable[[Path, Upload], Awaitable[Recorded]]


class Taking:
    """`run` until cancelled. record_file: makes a recording of a file. Raises: WorkerFailed: it could not now."""

    def __init__(
        self, data: Path, uploads: Uploads, parts: Parts, record: Record, clock: Clock, record_file: Recorder
    ) -> None:  # fmt: skip
        self._data = data
        self._uploads = uploads
        self._parts = parts
        self._record = record
        self._clock = clock
        self._record_file = record_file
        self._tries: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            upload, is_settled = await self._uploads.next_whole(), False
            try:
                await self._take(upload)
                is_settled = True
            except (StoreError, StorageError, WorkerFailed) as error:
                log.error("an upload cannot be taken now", upload_id=upload.upload_id, reason=str(error))
                await anyio.sleep(_PAUSE_S)
            except OnRecordError as error:
                await self._forget_kept(upload)
                await self._refuse(upload, str(error))
                is_settled = True
            finally:
                if not is_settled:
                    self._uploads.come_back_to(upload)

    async def _take(self, upload: Upload) -> None:
        part = self._parts.path(upload.upload_id)
        upload.sha256 = await anyio.to_thread.run_sync(kept.sha256_of, part)
        kind, why = await anyio.to_thread.run_sync(_kind_of, part)
        if upload.wanted_sha256 and upload.wanted_sha256 != upload.sha256:
            why = "the file is not the one whose SHA-256 was sent with it; send it again"
        elif kind is not None and not kind.may_be(upload.declared):
            why = f"it was sent as {upload.declared.split(';')[0][:80]} and is {kind.mime}"
        elif kind is not None and upload.case_id is None and not kind.is_media:
            why = "only video and sound come without a case; name the case"
        if why or kind is None:
            await self._refuse(upload, why)
            return
        upload.mime = kind.mime
        store = (await self._record.wait_open()).store
        async with store.reading() as connection:
            before, recording_id = await register.same(connection, upload)
        if before is not None:
            await self._duplicate(upload, before)
            return
        if kind.is_media and upload.recording_id is None:
            if recording_id is not None:
                upload.recording_id = recording_id
            elif not await self._recorded(upload, part):
                return
        if upload.recording_id is not None:
            await self._wait_told(upload.recording_id)
        await anyio.to_thread.run_sync(kept.keep, self._data, part, upload.sha256)
        await self._tell(upload, kind)

    async def _recorded(self, upload: Upload, path: Path) -> bool:
        """Whether the upload can go on."""
        try:
            made = await self._record_file(path, upload)
        except WorkerFailed:
            tries = self._tries[upload.upload_id] = self._tries.pop(upload.upload_id, 0) + 1
            if tries < _MOST_TRIES:
                raise
            made = Recorded("", 0.0, 0.0, f"it could not be recorded, {tries} times")
        self._tries.pop(upload.upload_id, None)
        if not made.recording_id and upload.case_id is None:
            await self._refuse(upload, made.error or "nothing in it can be recorded")
            return False

        def note(each: Upload) -> None:
            each.recording_id, each.seconds, each.lost_s = made.recording_id or None, made.seconds, made.lost_s
            each.reason = made.error

        await self._uploads.save(upload, note)
        return True

    async def _wait_told(self, recording_id: str) -> None:
        """Until the log tells of the recording. Raises: WorkerFailed: not in time."""
        with anyio.move_on_after(_TOLD_S):
            while True:
                async with self._record.open.store.reading() as connection:
                    if await register.is_recorded(connection, recording_id):
                        return
                await anyio.sleep(_LOOK_S)
        raise WorkerFailed("the log does not tell of the recording yet")

    async def _tell(self, upload: Upload, kind: FileKind) -> None:
        now_us = microseconds(self._clock.utc_s())
        actor = Actor(upload.sent_by, upload.sent_name, now_us, f"upload {upload.upload_id}")
        late_s = self._uploads.settings.late_s
        row = await self._record.open.appender.change(
            partial(register.register, actor=actor, upload=upload, kind=kind, late_s=late_s)
        )

        def taken(each: Upload) -> None:
            each.state, each.item_id = TAKEN, row.item_id

        await self._uploads.save(upload, taken)
        await anyio.to_thread.run_sync(self._parts.drop_part, upload.upload_id)
        log.info("an upload was taken", upload_id=upload.upload_id, type=upload.mime, size_bytes=upload.size_bytes)

    async def _duplicate(self, upload: Upload, before: register.UploadRow) -> None:
        def note(each: Upload) -> None:
            each.state, each.same_as = DUPLICATE, before.upload_id
            each.item_id, each.recording_id = before.item_id, before.recording_id

        await self._uploads.save(upload, note)
        await anyio.to_thread.run_sync(self._parts.drop_part, upload.upload_id)

    async def _forget_kept(self, upload: Upload) -> None:
        """What was kept and could not be told: its case was closed meanwhile."""
        async with self._record.open.store.reading() as connection:
            is_needed = await is_told(connection, upload.sha256)
        if not is_needed:
            await anyio.to_thread.run_sync(kept.forget, self._data, upload.sha256)

    async def _refuse(self, upload: Upload, why: str) -> None:
        def note(each: Upload) -> None:
            each.state, each.reason = REFUSED, why

        log.warning("an upload was refused", upload_id=upload.upload_id, type=upload.mime or "unknown")
        await self._uploads.save(upload, note)


def _kind_of(path: Path) -> tuple[FileKind | None, str]:
    with mapped(path):
        return kind_of(path)
