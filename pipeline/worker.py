"""The composition root of a worker process: board, models, recogniser, and a follower for each lease.

`python -m pipeline.worker` with an order on stdin (pipeline/analyse/order.py), or `onrecord serve --role worker`. It
limits itself: address space, no core dump (it may hold sound and words), low priority. SIGTERM gives every lease back.
"""

import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import structlog

from models.speech.entry import SpeechEntry
from models.speech.normal import normal_form
from models.speech.passage import Rules
from models.speech.utterances import Utterances
from models.speech.vad import SileroDetector
from pipeline.analyse.board import Lease, WorkerBoard
from pipeline.analyse.facing import Budget, Facing
from pipeline.analyse.follower import Follower
from pipeline.analyse.hearing import Hearing
from pipeline.analyse.loading import Models
from pipeline.analyse.looking import Looking
from pipeline.analyse.order import Order
from pipeline.analyse.pipe_board import PipeBoard
from pipeline.analyse.probing import Prober
from pipeline.analyse.reading import Reading
from pipeline.analyse.recogniser import Recogniser
from pipeline.analyse.redis_board import RedisBoard
from pipeline.analyse.removed import RemovedTexts
from pipeline.analyse.reporter import Reporter
from pipeline.analyse.signal import Signal
from pipeline.analyse.signal_label import FOLDER, adopted_folder
from pipeline.analyse.signal_rules import SignalRules
from pipeline.analyse.source import Given, Tracks, live, span
from pipeline.analyse.stdio import taken_stdio
from pipeline.clock import SystemClock
from pipeline.errors import BoardUnavailable, ModelError, SettingsInvalid
from pipeline.logs import configure
from pipeline.settings import LogSettings
from pipeline.supervise import contained

log = structlog.get_logger(__name__)

_RETRY_S: Final = 0.5
_NICE: Final = 10
_MARGIN_S: Final = 0.3
_MOST_LINE_BYTES: Final = 65_536
_GIVE_BACK_S: Final = 1.0
_ASKING: Final = 16
"""Threads that wait for an answer about faces; each waits two seconds at most."""


class Worker:
    """Claims work while there is room, renews what it has, and gives it all back when it is told to stop."""

    def __init__(self, order: Order, board: WorkerBoard) -> None:
        self._order = order
        self._board = board
        self._models = Models(order)
        self._recogniser = Recogniser(
            order.name, SystemClock(), window_s=order.batch_window_s, partial_every_s=order.partial_every_s,
            language=order.language,
        )  # fmt: skip
        self._removed = RemovedTexts(Path(order.data) / "analysis" / "removed", is_kept=order.keep_removed)
        self._scopes: dict[Lease, anyio.CancelScope] = {}
        self._claiming = anyio.CancelScope()
        self._loading: set[str] = set()
        self._room = anyio.Semaphore(order.most_streams)
        own = adopted_folder(Path(order.data))
        self._bounds = own if own.is_dir() else FOLDER
        self._rules: SignalRules | None = None
        """As they were when the first stream came: a worker begins anew where they change."""
        self._reading_turn = anyio.CapacityLimiter(1)
        self._decoding = anyio.CapacityLimiter(1)
        """Pictures are decoded one at a time: two threads would only take the processor from the words."""
        self._faces = Budget(self._decoding, anyio.CapacityLimiter(1), anyio.CapacityLimiter(_ASKING))

    async def run(self) -> None:
        """Until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._renew)
            tasks.start_soon(self._recogniser.run)
            with self._claiming:
                while True:
                    await self._room.acquire()
                    lease = await self._claimed()
                    tasks.start_soon(self._follow, lease)

    async def stop(self) -> None:
        """Claims nothing more and gives back what we have, before anything is waited for: a model may be loading."""
        self._claiming.cancel()
        with anyio.move_on_after(_GIVE_BACK_S):
            async with anyio.create_task_group() as tasks:
                for lease in list(self._scopes):
                    tasks.start_soon(self._give_back, lease)

    async def _give_back(self, lease: Lease) -> None:
        with suppress(BoardUnavailable):
            await self._board.give_back(lease)

    async def _claimed(self) -> Lease:
        while True:
            try:
                return await self._board.claim(self._order.name)
            except BoardUnavailable:
                await anyio.sleep(_RETRY_S)

    async def _renew(self) -> None:
        """Also while there is nothing: it says that we live."""
        while True:
            try:
                lost = await self._board.renew(list(self._scopes))
            except BoardUnavailable:
                lost = []
            for lease in lost:
                if (scope := self._scopes.get(lease)) is not None:
                    scope.cancel()
            await anyio.sleep(self._order.lease_s / 4)

    async def _follow(self, lease: Lease) -> None:
        """Whatever becomes of it, the other leases go on: one stream that breaks us must not take all with it."""
        scope = self._scopes[lease] = anyio.CancelScope()
        try:
            with scope:
                mistake = await contained(partial(self._do, lease))
                if mistake is not None:
                    log.error("work broke off", work=lease.work.work_id, kind=mistake.kind, at=mistake.at)
                    await self._run_out(lease)
        finally:
            self._scopes.pop(lease, None)
            self._room.release()

    async def _run_out(self, lease: Lease) -> None:
        """Not renewed any more, it is another's to try; we make room no sooner, so as not to claim it at once."""
        del self._scopes[lease]
        await anyio.sleep(self._order.lease_s)

    async def _do(self, lease: Lease) -> None:
        try:
            match lease.work.stage:
                case "signal":
                    await (await self._looking(lease)).run()
                case "text":
                    await self._reading(lease).run()
                case "faces":
                    await (await self._facing(lease)).run()
                case _:
                    await self._hear(lease)
        except* (ModelError, SettingsInvalid) as group:
            log.error("work cannot be done", work=lease.work.work_id, reason=str(group.exceptions[0]))
            await self._run_out(lease)

    async def _hear(self, lease: Lease) -> None:
        """Sound is taken in at once; its words wait for their model, where that is still to be loaded."""
        model = lease.work.model
        entry = await anyio.to_thread.run_sync(self._models.entry, model)
        async with anyio.create_task_group() as tasks:
            if not self._recogniser.is_loaded(model) and model not in self._loading:
                self._loading.add(model)
                tasks.start_soon(self._load, model)
            await self._follower(lease, entry).run()

    async def _load(self, model: str) -> None:
        """Raises: ModelError."""
        try:
            with anyio.CancelScope(shield=True):
                loaded = await anyio.to_thread.run_sync(self._models.load, model)
            self._recogniser.loaded(model, loaded)
        finally:
            self._loading.discard(model)

    def _follower(self, lease: Lease, entry: SpeechEntry) -> Follower:
        label = f"{entry.name}@{entry.version}"
        utterances = Utterances(SileroDetector(), Rules(longest_s=entry.longest_s - _MARGIN_S))
        hearing = Hearing(lease.work, label, utterances, normal_form, self._removed)
        follower = Follower(
            lease, hearing, partial(self._source, lease, "sound"), self._recogniser,
            Reporter(lease, self._board, label), self._recogniser.take_eased,
        )  # fmt: skip
        self._recogniser.add(follower, lease.work.model)
        return follower

    async def _looking(self, lease: Lease) -> Looking:
        """Raises: SettingsInvalid: the bounds of this worker do not hold."""
        if self._rules is None:
            self._rules = await anyio.to_thread.run_sync(SignalRules.load, self._bounds)
        rules = self._rules
        signal = Signal(lease.work, rules, *rules.watches())
        reporter = Reporter(lease, self._board, rules.label)
        return Looking(lease, signal, partial(self._source, lease, "work"), reporter, self._decoding)

    def _reading(self, lease: Lease) -> Reading:
        return Reading(
            lease, partial(self._source, lease, "work"), self._models, partial(Reporter, lease, self._board),
            self._reading_turn,
        )  # fmt: skip

    async def _facing(self, lease: Lease) -> Facing:
        """Raises: ModelError: there is no detector or embedder."""
        limiter = self._faces.looking
        shots = await anyio.to_thread.run_sync(self._models.faces, lease.work.model, limiter=limiter)
        return Facing(
            lease, shots, partial(self._source, lease, "work"), Reporter(lease, self._board, shots.embedder.label),
            partial(Prober, self._order.server), self._faces, self._order.face_burst_s,
        )  # fmt: skip

    def _source(self, lease: Lease, tracks: Tracks) -> AsyncIterator[Given]:
        work = lease.work
        if work.kind == "live":
            return live(self._order.server, work.stream_id, tracks)
        return span(self._order.server, work.recording_id, work.start_s, work.end_s, tracks)


async def work(order: Order, board: WorkerBoard) -> None:
    """Until SIGTERM, SIGINT or SIGHUP (begin anew with the models of then)."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with anyio.create_task_group() as tasks:
            if isinstance(board, PipeBoard):
                tasks.start_soon(_until_closed, board, tasks)  # leases are given back over it
            async with anyio.create_task_group() as own:
                worker = Worker(order, board)
                own.start_soon(worker.run)
                async for _ in signals:
                    await worker.stop()
                    own.cancel_scope.cancel()
                    break
            tasks.cancel_scope.cancel()


async def _until_closed(board: PipeBoard, tasks: anyio.abc.TaskGroup) -> None:
    await board.run()
    tasks.cancel_scope.cancel()  # the server is gone, and with it all leases


async def work_over_redis(order: Order) -> None:
    """For a worker on its own."""
    board = RedisBoard(order.redis_url, order.redis_prefix, order.lease_s, order.most_tries)
    try:
        await work(order, board)
    finally:
        await board.aclose()


async def _child(order: Order) -> None:
    receive, send = taken_stdio()
    await work(order, PipeBoard(receive, send))


def limit(memory_bytes: int) -> None:
    """Of this process, for good."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    os.nice(_NICE)


def _first_line() -> bytes:
    """Byte by byte: what follows belongs to the board."""
    line = b""
    while len(line) < _MOST_LINE_BYTES and (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    return line


def main() -> None:
    order = Order.read(_first_line())
    configure(LogSettings.model_validate({"level": order.log_level, "format": order.log_format}))
    limit(order.memory_bytes)
    anyio.run(_child, order)


if __name__ == "__main__":
    main()
