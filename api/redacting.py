"""Copies of clips with faces hidden, made one after the other: faces are found, people decide, the copy is made.

The table of drafts is the queue: what was under way when the server stopped is begun anew. Faces are found, never
compared: it needs no switch and no gallery, and no vector is made.
"""

import secrets
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from cases.clips import making, redacting
from cases.clips.redacting import FINDING, Copy, Redaction
from cases.clips.register import is_told
from cases.facts import microseconds
from cases.record import Open, Record
from cases.uploads import kept
from models.entries import Task
from models.registry import Registry
from pipeline.analyse.blurring import Blurring, Detector
from pipeline.clock import Clock
from pipeline.errors import OnRecordError, StoreError
from pipeline.record.disk import mapped
from pipeline.settings import Settings

log = structlog.get_logger(__name__)

_LOOK_S = 30.0  # beside being woken: a draft that was asked for while the record was away
_PAUSE_S = 2.0


class Redactions:
    """`run` must run. far: the second of the clip that was reached, by redaction, of what is under way."""

    def __init__(self, settings: Settings, record: Record, clock: Clock, blurring: Blurring | None = None) -> None:
        self.far: dict[str, float] = {}
        self._settings = settings
        self._record = record
        self._clock = clock
        self._blurring = blurring or Blurring()
        self._woken = anyio.Event()

    def wake(self) -> None:
        """Something waits to be done."""
        self._woken.set()

    async def detector(self) -> tuple[Detector, str]:
        """What finds faces, its file checked, and its label. Raises: ModelError: the sentence says what to do."""
        return await anyio.to_thread.run_sync(self._detector)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                opened = await self._record.wait_open()
                self._woken = anyio.Event()
                async with opened.store.reading() as connection:
                    redaction = await redacting.oldest_waiting(connection)
                if redaction is None:
                    with anyio.move_on_after(_LOOK_S):
                        await self._woken.wait()
                else:
                    await self._advance(opened, redaction)
            except StoreError as error:
                log.error("redactions wait for the record", reason=str(error))
                await anyio.sleep(_PAUSE_S)

    async def _advance(self, opened: Open, redaction: Redaction) -> None:
        """One step further. Raises: StoreError: it will be taken anew."""
        try:
            if redaction.state == FINDING:
                await self._find(opened, redaction)
            else:
                await self._make(opened, redaction)
        except StoreError:
            raise
        except OnRecordError as error:
            log.error("a redaction failed", redaction_id=redaction.redaction_id, kind=type(error).__name__)
            why = str(error)
            await opened.appender.change(partial(redacting.failed, redaction_id=redaction.redaction_id, why=why))
        finally:
            self.far.pop(redaction.redaction_id, None)

    async def _find(self, opened: Open, redaction: Redaction) -> None:
        model, label = await self.detector()
        source = await self._source(redaction)
        film, paths = await self._blurring.find(source, model, self._far(redaction))
        act = partial(
            redacting.found, redaction_id=redaction.redaction_id, detector=label, film=film, paths=paths
        )  # fmt: skip
        await opened.appender.change(act)

    async def _make(self, opened: Open, redaction: Redaction) -> None:
        data, attempt = self._settings.data, f"{redaction.redaction_id}-{secrets.token_hex(4)}"
        await self._clean(opened, redaction)
        source = await self._source(redaction)
        note = f"OnRecord: faces hidden; of clip {redaction.clip_id}, SHA-256 {redaction.of_sha256}"
        covers = [(each.track_id, each.path) for each in redacting.plan_of(redaction).hidden]
        part, sha256 = making.part_of(data, attempt), ""
        try:
            await anyio.to_thread.run_sync(_begin, part)
            film = await self._blurring.blur(source, part, covers, note, self._far(redaction))
            sha256 = await anyio.to_thread.run_sync(kept.sha256_of, part)
            size_bytes = (await anyio.to_thread.run_sync(part.stat)).st_size
            await anyio.to_thread.run_sync(kept.keep, data, part, sha256)
            copy, now_us = (
                Copy(sha256, size_bytes, film.added_right, film.added_below),
                microseconds(self._clock.utc_s()),
            )
            act = partial(redacting.register, redaction_id=redaction.redaction_id, copy=copy, now_us=now_us)
            await opened.appender.change(act)
        except OnRecordError:
            if sha256:
                await self._forget(opened, sha256)
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(making.settle, data, attempt)

    async def _source(self, redaction: Redaction) -> Path:
        """The clip's file, as it was cut. Raises: EvidenceError, StorageError."""
        return await anyio.to_thread.run_sync(kept.checked, self._settings.data, redaction.of_sha256)

    async def _clean(self, opened: Open, redaction: Redaction) -> None:
        """What a kill left of an earlier try: a part, and perhaps a kept file that nobody told of."""
        folder = self._settings.data / making.FOLDER
        with mapped(folder):
            left = await anyio.to_thread.run_sync(lambda: sorted(folder.glob(f"{redaction.redaction_id}-*.part")))
        for part in left:
            await self._forget(opened, await anyio.to_thread.run_sync(kept.sha256_of, part))
            await anyio.to_thread.run_sync(making.settle, self._settings.data, part.stem)

    async def _forget(self, opened: Open, sha256: str) -> None:
        """Raises: StoreError: whether the log tells of it is not known; it stays, and is told of as a defect."""
        async with opened.store.reading() as connection:
            is_known = await is_told(connection, sha256)
        if not is_known:
            await anyio.to_thread.run_sync(kept.forget, self._settings.data, sha256)

    def _far(self, redaction: Redaction) -> "_Far":
        return _Far(self.far, redaction.redaction_id)

    def _detector(self) -> tuple[Detector, str]:
        settings = self._settings
        registry = Registry.open(
            settings.data, settings.models.registry, settings.models.folder,
            accepts_noncommercial=settings.models.accept_noncommercial,
        )  # fmt: skip
        chosen = registry.choose(Task.FACE_DETECTION, settings.faces.detector)
        ready = registry.ready(chosen.name)
        entry = ready.entry
        model = Detector(str(ready.folder), entry.name, entry.version, entry.engine.value, entry.files[0].path)
        return model, entry.label


class _Far:
    """Notes how far one of them is."""

    def __init__(self, far: dict[str, float], redaction_id: str) -> None:
        self._far = far
        self._redaction_id = redaction_id

    def __call__(self, at_s: float) -> None:
        self._far[self._redaction_id] = at_s


def _begin(part: Path) -> None:
    """An empty file, for the child to write. Raises: StorageError."""
    with mapped(part):
        part.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        part.touch(mode=0o640, exist_ok=False)
