"""Analysis as this server runs it: which stages are on and with which model, and the orders of its own workers."""

from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from cases.access import Access
from cases.faces import switch
from cases.faces.faces import Faces
from cases.facts import Fact, microseconds
from cases.names import of_stream
from cases.record import Record
from models.entries import Entry, Task
from models.registry import Registry, State
from models.speech.hotwords import hot_words
from pipeline.analyse import orders
from pipeline.analyse.children import WorkerChildren
from pipeline.analyse.order import Order
from pipeline.analyse.signal_label import adopt, adopted_folder, check, signal_label
from pipeline.analyse.subjects import Recorded, Stage
from pipeline.app import Runtime
from pipeline.errors import (
    BoardUnavailable,
    EvidenceError,
    ModelError,
    ModelMissing,
    SettingsInvalid,
    StorageError,
    StoreUnavailable,
    ThingUnknown,
)
from pipeline.ids import derived_event_id
from pipeline.settings import Settings
from pipeline.slips import done as slip_done

log = structlog.get_logger(__name__)

FACES = "faces"
CONSOLE = "console"
OFF_BY_LAW = "faces are switched off: two persons must want it, with a legal basis, an assessment and an end"
_TASKS = {"speech": Task.SPEECH, "text": Task.TEXT}
_WATCH_S = 2.0
_NOTICE_S = 10.0
_TOKEN_S = 400 * 86_400.0


def registry_of(settings: Settings) -> Registry:
    """Raises: SettingsInvalid."""
    models = settings.models
    return Registry.open(
        settings.data, models.registry, models.folder, accepts_noncommercial=models.accept_noncommercial
    )


def stages_of(settings: Settings) -> list[Stage]:
    """Each stage that is asked for, as the server begins; one whose model is not here is off, and says why.

    Raises: SettingsInvalid: the registry does not hold.
    """
    return [stage_of(settings, name, OFF_BY_LAW) for name in settings.analyse.stages]


def stage_of(settings: Settings, name: str, law: str = "") -> Stage:
    """law: why faces are not looked for, whatever models are here; empty: they may be. Raises: SettingsInvalid."""
    if name == "signal":
        return _signal_stage(settings)
    if name == FACES:
        return _faces_stage(settings, law)
    registry, wanted = registry_of(settings), settings.speech.model if name == "speech" else ""
    try:
        entry = registry.choose(_TASKS[name], wanted)
        registry.ready(entry.name)
    except ModelError as error:
        return Stage(name, False, str(error), is_asked=name == "text")
    return Stage(name, True, "", entry.name, label_of(entry), entry.is_demo, name == "speech", name == "text")


def _faces_stage(settings: Settings, law: str) -> Stage:
    """Raises: SettingsInvalid."""
    if law:
        return Stage(FACES, False, law, needs_sound=False, is_chosen=True)
    registry, faces = registry_of(settings), settings.faces
    try:
        _, embedder = (
            registry.ready(_chosen(registry, task, name).name).entry
            for task, name in ((Task.FACE_DETECTION, faces.detector), (Task.FACE_EMBEDDING, faces.embedder))
        )
    except ModelError as error:
        return Stage(FACES, False, str(error), needs_sound=False, is_chosen=True)
    return Stage(FACES, True, "", embedder.name, label_of(embedder), needs_sound=False, is_chosen=True)


def _chosen(registry: Registry, task: Task, name: str) -> Entry:
    """As Registry.choose; where only models are here whose licence is not accepted, it says so. Raises: ModelError."""
    try:
        return registry.choose(task, name)
    except ModelMissing:
        here = [each for each in registry.entries if each.task is task and registry.state(each) is State.HERE]
        if not name and here:
            registry.ready(here[0].name)
        raise


async def faces_wanted(faces: Faces, stage: str, stream_id: str) -> bool:
    """Whether this stream is to be looked at by a stage that chooses. False while the record is away."""
    if stage != FACES:
        return False
    try:
        return (await faces.matching.watching(stream_id)).watching
    except StoreUnavailable:
        return False


async def _law(record: Record, now_s: float) -> str:
    """Why faces are not looked for now; empty: two persons want it, and its time is not over."""
    try:
        async with record.open.store.reading() as connection:
            found = await switch.current(connection)
    except StoreUnavailable:
        return "faces are not looked for while the record is closed"
    return "" if found is not None and found.is_on(microseconds(now_s)) else OFF_BY_LAW


def _signal_stage(settings: Settings) -> Stage:
    """By the bounds of now; by those of before where these do not hold; off where there are none."""
    try:
        return Stage("signal", True, label=adopt(settings.data), needs_sound=False)
    except (SettingsInvalid, StorageError) as error:
        before = adopted_folder(settings.data)
        try:
            check(before)  # another release may have adopted them
        except SettingsInvalid:
            return Stage("signal", False, str(error), needs_sound=False)
        log.error("bounds of signal do not hold; those of before are in force", reason=str(error))
        return Stage("signal", True, label=signal_label(before), needs_sound=False)


def wished(settings: Settings, stage: Stage, model: str) -> tuple[str, str]:
    """Name and label of what looks: this model, or the stage's own where none is named.

    Raises: ModelError: it is not here, not verified, or the stage has no models. SettingsInvalid.
    """
    if stage.name == "signal":
        if model:
            raise ModelMissing(f"{stage.name} has no models to choose from; leave the model out")
        return "", stage.label
    entry = registry_of(settings).ready(model or stage.model).entry
    return entry.name, label_of(entry)


def label_of(entry: Entry) -> str:
    return f"{entry.name}@{entry.version}"


async def hot_words_of(record: Record, language: str, stream_id: str) -> tuple[str, ...]:
    """Names of the cases that a stream belongs to by now, and terms of the trade; these alone while the record is away.

    Raises: SettingsInvalid: configs/rules/hotwords.yaml does not hold.
    """
    try:
        async with record.open.store.reading() as connection:
            names = await of_stream(connection, stream_id)
    except StoreUnavailable:
        names = ()
    return hot_words(names, language)


class Orders:
    """The orders of this server's workers. Each gets a token of its own, which ends with its next life."""

    def __init__(self, settings: Settings, access: Access, url: str) -> None:
        """url: this server, as a process of this machine reaches it."""
        self._settings = settings
        self._access = access
        self._url = url
        self._tokens: dict[str, str] = {}

    def line(self, name: str) -> bytes:
        """The first line of a worker of this name. Raises: StorageError."""
        self._end(name)
        token = self._access.create_token("service", f"analysis {name}", _TOKEN_S, by="onrecord")
        principal = self._access.who(token, kind="token")
        self._tokens[name] = "" if principal is None else principal.principal_id
        return order_of(self._settings, name, self._url, token, self._settings.api.tls_certificate).line()

    def close(self) -> None:
        """The server stops: so do the tokens. Raises: StorageError."""
        for name in list(self._tokens):
            self._end(name)

    def _end(self, name: str) -> None:
        if token_id := self._tokens.pop(name, ""):
            self._access.end(token_id, "onrecord")


def order_of(settings: Settings, name: str, url: str, token: str, ca_file: Path | None) -> Order:
    """For a worker of this machine without Redis, and for one anywhere with it."""
    analyse, speech, models = settings.analyse, settings.speech, settings.models
    return Order(
        name, url, token, _text(ca_file), str(settings.data), _text(models.registry), _text(models.folder),
        models.accept_noncommercial, speech.device, speech.threads, speech.language, speech.batch_window_s,
        speech.partial_every_s, speech.keep_removed, analyse.lease_s, analyse.most_streams, analyse.most_tries,
        analyse.worker_memory_bytes, settings.redis.url.get_secret_value(), settings.redis.prefix, settings.log.level,
        settings.log.format, settings.faces.detector, settings.faces.detect_px, settings.faces.burst_s,
    )  # fmt: skip


def _text(path: Path | None) -> str:
    return "" if path is None else str(path.resolve())


def search_ordered(recorded: Recorded, model: str, by: str, by_name: str, now_s: float) -> Fact:
    """Somebody has a recording looked through for faces: in the log before it is done. model: the embedder's label."""
    at_us = microseconds(now_s)
    return Fact(
        event_id=derived_event_id("FaceSearchOrdered", recorded.recording_id, by, at_us), kind="FaceSearchOrdered",
        at_us=at_us, stream_id=recorded.stream_id, by=by,
        body={"recording_id": recorded.recording_id, "model": model, "by_name": by_name},
    )  # fmt: skip


class Watch:
    """Takes what consoles ordered, and notices models that came, went or changed, and the switch of faces."""

    def __init__(self, settings: Settings, runtime: Runtime, workers: WorkerChildren | None, record: Record) -> None:
        self._settings = settings
        self._runtime = runtime
        self._workers = workers
        self._record = record
        self._law = OFF_BY_LAW

    async def run(self) -> None:
        """Until cancelled."""
        noticed_s = anyio.current_time()
        while True:
            await anyio.sleep(_WATCH_S)
            try:
                for slip, order in await anyio.to_thread.run_sync(orders.left, self._settings.data):
                    if await self._place(order):
                        await anyio.to_thread.run_sync(slip_done, slip)
            except (StorageError, StoreUnavailable, BoardUnavailable) as error:
                log.warning("orders of analysis wait", reason=str(error))
            if FACES in self._runtime.desk.stages:
                law = await _law(self._record, self._runtime.clock.utc_s())
                if law != self._law:
                    self._law = law
                    noticed_s = -_NOTICE_S
            if anyio.current_time() - noticed_s >= _NOTICE_S:
                noticed_s = anyio.current_time()
                await self._notice()

    async def _place(self, order: orders.Order) -> bool:
        """Whether the slip is done with. Raises: StorageError, StoreUnavailable, BoardUnavailable."""
        runtime = self._runtime
        stage = runtime.desk.stages.get(order.stage)
        if stage is None or not stage.is_on:
            if order.stage == FACES:  # what is not allowed now is not kept for when it is
                log.error("an order of analysis is not done", stage=FACES, reason=OFF_BY_LAW)
            return order.stage == FACES
        try:
            name, label = wished(self._settings, stage, order.model)
            recorded = await anyio.to_thread.run_sync(runtime.archive.ended, order.recording_id)
            if order.stage == FACES:
                fact = search_ordered(recorded, label, CONSOLE, CONSOLE, runtime.clock.utc_s())
                await self._record.open.appender.append([fact])
            await runtime.desk.order(recorded, order.stage, name, label)
        except (ModelError, ThingUnknown, EvidenceError) as error:
            log.error("an order of analysis cannot be done", recording_id=order.recording_id, reason=str(error))
        return True

    async def _notice(self) -> None:
        """Models that changed: what begins from now on uses them; workers end at a silence and begin with them."""
        for name, now in self._runtime.desk.stages.items():
            try:
                found = await anyio.to_thread.run_sync(stage_of, self._settings, name, self._law)
            except SettingsInvalid as error:
                log.error("the registry of models does not hold; what was is used on", reason=str(error))
                return
            if found == now:
                continue
            log.warning("analysis changed", stage=name, is_on=found.is_on, model=found.label, why=found.why)
            self._runtime.desk.stages[name] = found
            is_other = name != FACES or bool(now.label and found.label and now.label != found.label)
            if self._workers is not None and is_other:  # a switch of faces is no reason to stop hearing
                self._workers.reload()
