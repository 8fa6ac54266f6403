"""The record as the server runs it: the store, its one writer, what comes in from the media side, and its tail.

A database that is away stops nothing but itself: recording goes on, facts wait in the outbox, people are told.
"""

import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from cases.access.file import AccessFile
from cases.appender import Appender
from cases.casework import slips
from cases.casework.actor import Actor
from cases.casework.attaching import Attaching
from cases.casework.recordings import attach
from cases.casework.rows import Recording, find
from cases.casework.slips import AttachSlip
from cases.custody.heads import Heads
from cases.custody.witness import FolderWitness, HttpWitness, StampWitness, Witness, read_roots
from cases.export import console
from cases.export.jobs import Exports
from cases.faces.faces import Faces
from cases.facts import microseconds
from cases.inbox import Inbox
from cases.judgement import slips as judgement_slips
from cases.judgement.desk import Desk
from cases.judgement.findings import Findings
from cases.judgement.judging import Judging
from cases.store.engine import Store, migrate, open_store
from cases.store.tables import recordings
from cases.tail import Tail
from pipeline.clock import Clock
from pipeline.errors import CaseworkError, OnRecordError, StorageError, StoreUnavailable
from pipeline.outbox import Outbox, OutboxReader
from pipeline.record.signing import Signer
from pipeline.settings import StoreSettings
from pipeline.slips import done as slip_done
from pipeline.supervise import Mistake, supervise

log = structlog.get_logger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
_SLIPS_EVERY_S = 2.0
_ACTS_EVERY_S = 0.5
_ACTS = 500
_DRAIN_S = 5.0
_FACES_PAUSE_S = 1.0  # galleries that are over must not wait


@dataclass(frozen=True, slots=True)
class Open:
    """A record that is open."""

    store: Store
    appender: Appender
    inbox: Inbox
    tail: Tail
    heads: Heads
    exports: Exports


class Record:
    """`prepare`, then `run`. refusal: why nothing can be asked of it now; empty: it is open, and takes facts."""

    def __init__(
        self, settings: StoreSettings, data: Path, outbox: Outbox, clock: Clock, access: AccessFile | None = None,
        judging: Judging | None = None, faces: Faces | None = None,
    ) -> None:  # fmt: skip
        """judging: the rules and who watches; None: nothing is judged. faces: None: nothing of them is ended."""
        self.judging = judging
        self.faces = faces
        self.refusal = "it is being opened"
        self._settings = settings
        self._data = data
        self._outbox = outbox
        self._clock = clock
        self._access = access
        self._signer = Signer.load(data / "keys")
        self._now: Open | None = None
        self._opened = anyio.Event()
        self._settled = anyio.Event()

    @property
    def open(self) -> Open:
        """Raises: StoreUnavailable."""
        if self._now is None:
            raise StoreUnavailable(f"the record is closed: {self.refusal}")
        return self._now

    async def prepare(self) -> None:
        """A database in the data folder is made, or brought to today's form; another one is left to `onrecord migrate`.

        Raises: SchemaOutdated.
        """
        try:
            if self._settings.url.get_secret_value():
                async with open_store(self._settings, self._data):
                    return
            before, after = await migrate(self._settings, self._data)
        except StoreUnavailable as error:
            self._away(error)
            return
        if before != after:
            log.info("the record was brought to today's form", before=before or "none", after=after)

    async def wait_settled(self) -> None:
        """Until it is open, or was tried in vain."""
        await self._settled.wait()

    async def wait_open(self) -> Open:
        await self._opened.wait()
        return self.open

    async def run(self) -> None:
        """Until cancelled; opens the record anew whenever it broke."""
        pause_s = _FIRST_PAUSE_S
        while True:
            began_s = self._clock.monotonic_s()
            try:
                await self._run_once()
            except* OnRecordError as group:
                self._away(group.exceptions[0])
            if self._clock.monotonic_s() - began_s > 2 * _LONGEST_PAUSE_S:
                pause_s = _FIRST_PAUSE_S
            await anyio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def drain(self) -> None:
        """Until all of the outbox is in the store, and signed; 5 s at most. The rest is left to the next start."""
        with anyio.move_on_after(_DRAIN_S):
            while self._now is not None and self._now.inbox.place < self._outbox.durable:
                await anyio.sleep(0.02)
            if self._now is not None and self._now.heads.newest is not None and not self._now.heads.refusal:
                with contextlib.suppress(OnRecordError):  # the next start signs
                    await self._now.heads.sign_now()

    async def _run_once(self) -> None:
        async with open_store(self._settings, self._data) as store:
            appender = await Appender.load(store, self._clock, [Attaching(), Findings()], sm3=self._settings.sm3)
            inbox = Inbox(self._outbox, OutboxReader(self._data / "outbox"), store, appender)
            heads = self._heads(store, appender)
            exports = Exports(self._data, store, appender, heads, self._signer)
            opened = Open(store, appender, inbox, Tail(store, appender), heads, exports)
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(appender.run)
                    tasks.start_soon(opened.tail.run)
                    tasks.start_soon(inbox.run)
                    tasks.start_soon(opened.heads.run)
                    tasks.start_soon(exports.run)
                    tasks.start_soon(self._take_slips, store, appender)
                    if self.judging is not None:
                        judge = partial(self._judge, self.judging, opened)
                        tasks.start_soon(supervise, self.judging.rulebook.run, _tell_mistake, _LONGEST_PAUSE_S)
                        tasks.start_soon(supervise, judge, _tell_mistake, _LONGEST_PAUSE_S)
                    if self.faces is not None:
                        keep = partial(self.faces.run, store, appender)
                        tasks.start_soon(supervise, keep, _tell_face_mistake, _FACES_PAUSE_S)
                    tasks.start_soon(self._take_judgements, appender)
                    if self._access is not None:
                        tasks.start_soon(self._take_acts, self._access, appender)
                    if self.refusal and self._opened.is_set():
                        log.info("the record is open again")
                    self._now, self.refusal = opened, ""
                    self._opened.set()
                    self._settled.set()
            finally:
                self._now = None
                appender.close()

    async def _take_slips(self, store: Store, appender: Appender) -> None:
        """What consoles did beside this server: copies they gave out, recordings they made for a case."""
        while True:
            try:
                for slip, fact in await anyio.to_thread.run_sync(console.left, self._data):
                    await appender.append([] if fact is None else [fact])
                    await anyio.to_thread.run_sync(slip_done, slip)
                for slip, wanted in await anyio.to_thread.run_sync(slips.left, self._data):
                    if wanted is None or await self._attached(store, appender, wanted):
                        await anyio.to_thread.run_sync(slip_done, slip)
            except StorageError as error:
                log.error("what consoles did cannot be read or taken away", reason=str(error))
            await anyio.sleep(_SLIPS_EVERY_S)

    async def _judge(self, judging: Judging, opened: Open) -> None:
        """Once all that the last run told is in the store: words that wait in the outbox are not missing."""
        durable = self._outbox.durable
        while opened.inbox.place < durable:
            await anyio.sleep(_ACTS_EVERY_S)
        await Desk(judging, opened.store, opened.appender, opened.tail).run()

    async def _take_judgements(self, appender: Appender) -> None:
        """What consoles judged again by the rules of now."""
        while True:
            try:
                for slip, facts in await anyio.to_thread.run_sync(judgement_slips.left, self._data):
                    await appender.append(facts)
                    await anyio.to_thread.run_sync(slip_done, slip)
            except StorageError as error:
                log.error("what was judged again cannot be read or taken away", reason=str(error))
            await anyio.sleep(_SLIPS_EVERY_S)

    async def _take_acts(self, access: AccessFile, appender: Appender) -> None:
        """What happened to accounts, tokens and devices, in this process or another, into the log."""
        while True:
            try:
                while untaken := access.untaken(_ACTS):
                    await appender.append([fact for _, fact in untaken])
                    access.taken(untaken[-1][0])
            except StorageError as error:
                log.error("what happened to accounts cannot be taken to the log", reason=str(error))
            await anyio.sleep(_ACTS_EVERY_S)

    async def _attached(self, store: Store, appender: Appender, wanted: AttachSlip) -> bool:
        """Whether the slip is done with; not while its recording is still on its way. Raises: StoreUnavailable."""
        async with store.reading() as connection:
            if await find(connection, Recording, recordings, wanted.recording_id) is None:
                return False
        actor = Actor("console", wanted.name, microseconds(self._clock.utc_s()))
        try:
            await appender.change(
                partial(
                    attach, actor=actor, case_id=wanted.case_id, recording_id=wanted.recording_id, step_id=None,
                )
            )  # fmt: skip
        except CaseworkError as error:
            log.error("a recording is not attached to its case", recording_id=wanted.recording_id, reason=str(error))
        return True

    def _heads(self, store: Store, appender: Appender) -> Heads:
        return Heads(
            store, appender, self._signer, self._clock, self._data, self._settings.head_every_s, self._witnesses(),
            sm3=self._settings.sm3,
        )  # fmt: skip

    def _witnesses(self) -> tuple[Witness, ...]:
        """Raises: EvidenceError: the roots of the time-stamp authority cannot be read."""
        wanted, found = self._settings, list[Witness]()
        if wanted.witness_folder is not None:
            found.append(FolderWitness(wanted.witness_folder))
        if url := wanted.witness_url.get_secret_value():
            found.append(HttpWitness(url, wanted.witness_token.get_secret_value()))
        if url := wanted.stamp_url.get_secret_value():
            custody, roots = self._data / "custody", read_roots(wanted.stamp_roots)
            found.append(StampWitness(url, custody, roots, wanted.stamp_every_s, self._clock.monotonic_s))
        return tuple(found)

    def _away(self, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if self.refusal != str(error):
            log.error("the record is closed; facts wait in the outbox", reason=str(error))
        self.refusal = str(error)
        self._settled.set()


def _tell_mistake(mistake: Mistake) -> None:
    """What judges is no part of the record: it is begun anew, and the record stays open."""
    log.error("judgement broke off; it is begun anew", kind=mistake.kind, at=mistake.at)


def _tell_face_mistake(mistake: Mistake) -> None:
    log.error("who ends galleries of faces broke off; it is begun anew", kind=mistake.kind, at=mistake.at)
