"""Exports that people ask for over the API: one is made at a time, and kept for a day to be fetched."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
import structlog

from cases.appender import Appender
from cases.casework.actor import Actor
from cases.custody.heads import Heads
from cases.export.case_file import CaseFile
from cases.export.console import made
from cases.export.write import Exported
from cases.export.write import export as write
from cases.store.engine import Store
from pipeline.errors import OnRecordError, StateConflict, ThingUnknown
from pipeline.record.signing import Signer

log = structlog.get_logger(__name__)

_WAITING = 8
_KEPT = 32
_KEPT_S = 86_400.0
_CLEAN_S = 3600.0


@dataclass(slots=True)
class Job:
    """done: what was made, once state is "done". error: why it failed. bytes: of the zip so far."""

    export_id: str
    case_id: str
    actor: Actor
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    bytes: int = 0
    error: str = ""
    done: Exported | None = None


class Exports:
    """`run` must run. Files: `{data}/exports/{export_id}.zip`. Bounds: 8 wait, 32 are remembered."""

    def __init__(self, data: Path, store: Store, appender: Appender, heads: Heads, signer: Signer) -> None:
        self._data = data
        self._folder = data / "exports"
        self._store = store
        self._appender = appender
        self._heads = heads
        self._signer = signer
        self._jobs: dict[str, Job] = {}
        self._to, self._from = anyio.create_memory_object_stream[Job](_WAITING)

    def ask(self, case_id: str, actor: Actor) -> Job:
        """The same Idempotency-Key asks for the same one. Raises: StateConflict: too many wait."""
        export_id = actor.new_id("exp")
        if export_id in self._jobs:
            return self._jobs[export_id]
        job = Job(export_id, case_id, actor)
        try:
            self._to.send_nowait(job)
        except anyio.WouldBlock as error:
            raise StateConflict("eight exports are waiting already; ask again when one is made") from error
        self._jobs[export_id] = job
        for old in self._ended()[:-_KEPT]:
            del self._jobs[old.export_id]
        return job

    def find(self, export_id: str) -> Job:
        """Raises: ThingUnknown."""
        if export_id not in self._jobs:
            raise ThingUnknown("no such export; it is remembered until the server stops")
        return self._jobs[export_id]

    def file_of(self, job: Job) -> Path:
        """Raises: StateConflict: it is not made yet, or failed. ThingUnknown: it was deleted."""
        if job.state != "done":
            raise StateConflict(job.error or "the export is not made yet")
        path = self._folder / f"{job.export_id}.zip"
        if not path.exists():
            raise ThingUnknown("the export was deleted; make another one")
        return path

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await anyio.to_thread.run_sync(self._clean)
            job = None
            with anyio.move_on_after(_CLEAN_S):
                job = await self._from.receive()
            if job is not None:
                job.state = "running"
                await self._make(job)

    async def _make(self, job: Job) -> None:
        def progress(size_bytes: int) -> None:
            job.bytes = size_bytes

        try:
            await anyio.to_thread.run_sync(lambda: self._folder.mkdir(mode=0o750, exist_ok=True))
            signed = await self._heads.sign_now()
            async with self._store.snapshot() as connection:
                file = await CaseFile.find(self._store, connection, job.case_id, signed)
                target = self._folder / f"{job.export_id}.zip"
                job.done = await write(file, self._data, target, self._signer, job.actor.by, progress)
            await self._appender.append([made(job.export_id, job.done, job.actor)])
            job.state = "done"
        except (OnRecordError, OSError) as error:
            job.error = str(error) if isinstance(error, OnRecordError) else f"the disk refused ({error.strerror})"
            job.state = "failed"
            log.error("an export failed", export_id=job.export_id, reason=job.error)

    def _ended(self) -> Sequence[Job]:
        return [job for job in self._jobs.values() if job.state in ("done", "failed")]

    def _clean(self) -> None:
        """Old ones, and what a kill left half."""
        for path in [*self._folder.glob("*.zip"), *self._folder.glob("*.part")]:
            try:
                if path.suffix == ".part" or time.time() - path.stat().st_mtime > _KEPT_S:
                    path.unlink(missing_ok=True)
            except OSError as error:
                log.error("an old export cannot be deleted", file=path.name, reason=error.strerror)
