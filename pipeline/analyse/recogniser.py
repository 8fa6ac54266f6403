"""Utterances of all streams of a worker, recognised in batches by the models that it holds, in a thread.

What goes together, and what is left out under too much work, is decided by plain code (models/speech/batches.py,
ladder.py); this owns the thread, the clock and the order. Live streams come before looks at recordings.
"""

from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread
import structlog

from models.base import Heard, Speech, Transcriber
from models.speech.batches import Batches, Request
from models.speech.ladder import Ladder, Step
from pipeline.analyse.follower import Follower
from pipeline.analyse.hearing import Wanted
from pipeline.clock import Clock
from pipeline.errors import ModelFailed
from pipeline.events import AnalysisEased, Event

log = structlog.get_logger(__name__)

_TICK_S: Final = 0.05
_LONG_WINDOW_S: Final = 0.4
_MOST_FINALS: Final = 512
_OLD_S: Final = 15.0
"""On the last step of the ladder an utterance that has waited this long is left to the look at the recording."""
_FINAL_S: Final = 0.5
"""Words of an utterance should come this soon after its end."""
_MOST_EASED: Final = 16


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is in memory. label: name@version. smaller: what takes over under too much work."""

    transcriber: Transcriber
    most_together: int
    smaller: Transcriber | None = None

    @property
    def label(self) -> str:
        return self.transcriber.abilities.label


@dataclass(frozen=True, slots=True)
class _Asked:
    follower: Follower
    wanted: Wanted


class _Queue:
    """What waits for one model: of live streams, and of recordings. loaded: None while it is on its way to memory."""

    def __init__(self, window_s: float) -> None:
        self.loaded: Loaded | None = None
        self.live: Batches[_Asked] = Batches(1, window_s, _MOST_FINALS)
        self.spans: Batches[_Asked] = Batches(1, 0.0, _MOST_FINALS)


class Recogniser:
    """Attributes for the log: batches, utterances, partials, dropped, failures."""

    def __init__(self, worker: str, clock: Clock, *, window_s: float, partial_every_s: float, language: str) -> None:
        self.batches = self.utterances = self.partials = self.dropped = self.failures = 0
        self._worker = worker
        self._clock = clock
        self._language = language
        self._partial_every_s = partial_every_s
        self._window_s = window_s
        self._queues: dict[str, _Queue] = {}
        self._of: dict[Follower, _Queue] = {}
        self._waiting: dict[Follower, dict[int, float]] = {}  # since when each final of a live stream waits
        self._ladder = Ladder()
        self._step = Step.WHOLE
        self._eased: list[Event] = []
        self._limiter = anyio.CapacityLimiter(1)
        self._news = anyio.Event()

    def add(self, follower: Follower, model: str) -> None:
        """Its utterances are for the model of this name; they wait while it is being loaded."""
        self._of[follower] = self._queues.setdefault(model, _Queue(self._window_s))
        self._waiting[follower] = {}

    def loaded(self, model: str, loaded: Loaded) -> None:
        """What waits for it is due now."""
        queue = self._queues.setdefault(model, _Queue(self._window_s))
        queue.loaded = loaded
        queue.live.most_together = queue.spans.most_together = loaded.most_together
        now_s = self._clock.monotonic_s()
        for follower, each in self._of.items():  # loading is no overload
            if each is queue:
                self._waiting[follower] = dict.fromkeys(self._waiting[follower], now_s)
        self._news.set()

    def is_loaded(self, model: str) -> bool:
        return model in self._queues and self._queues[model].loaded is not None

    def ask(self, follower: Follower, wanted: Wanted) -> None:
        queue = self._of.get(follower)
        if queue is None:
            return
        now_s = self._clock.monotonic_s()
        length_s = wanted.utterance.end_s - wanted.utterance.start_s
        request = Request(
            follower.lease.work.work_id, wanted.is_final, length_s, now_s, now_s + _FINAL_S, _Asked(follower, wanted)
        )
        if wanted.is_final and follower.is_live:
            self._waiting[follower][wanted.key] = now_s
        if not (queue.live if follower.is_live else queue.spans).add(request):
            self._drop(follower, wanted)
        self._news.set()

    def forget(self, follower: Follower) -> None:
        queue = self._of.pop(follower, None)
        self._waiting.pop(follower, None)
        if queue is not None:
            for batches in (queue.live, queue.spans):
                batches.withdraw(follower.lease.work.work_id)

    def behind_s(self, follower: Follower) -> float:
        """How long the oldest utterance of its stream waits for its words."""
        now_s = self._clock.monotonic_s()
        return now_s - min(self._waiting.get(follower, {}).values(), default=now_s)

    def take_eased(self) -> tuple[Event, ...]:
        """Steps of the ladder that are not told yet."""
        eased, self._eased = tuple(self._eased), []
        return eased

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._climb()
            self._ask_partials()
            batch, queue = self._due()
            if queue is None:
                with anyio.move_on_after(_TICK_S):
                    await self._news.wait()
                self._news = anyio.Event()
                continue
            await self._recognise(queue, batch)

    def _due(self) -> tuple[list[Request[_Asked]], _Queue | None]:
        now_s = self._clock.monotonic_s()
        ready = [queue for queue in self._queues.values() if queue.loaded is not None]
        for queue in ready:
            if batch := queue.live.due(now_s):
                return batch, queue
        for queue in ready:
            if batch := queue.spans.due(now_s):
                return batch, queue
        return [], None

    async def _recognise(self, queue: _Queue, batch: list[Request[_Asked]]) -> None:
        batch = self._without_old(batch)
        if not batch or queue.loaded is None:
            return
        is_eased = self._step >= Step.SMALL_MODEL and all(each.payload.follower.is_live for each in batch)
        small = queue.loaded.smaller if is_eased else None
        transcriber = small or queue.loaded.transcriber
        speeches = [
            Speech(
                each.payload.wanted.utterance.samples, each.is_final, self._language,
                each.payload.follower.lease.work.hot_words,
            )
            for each in batch
        ]  # fmt: skip
        try:
            heard = await anyio.to_thread.run_sync(transcriber.transcribe, speeches, limiter=self._limiter)
        except ModelFailed as error:
            self.failures += 1
            log.error("a model refused a batch", model=transcriber.abilities.label, reason=str(error))
            for each in batch:
                self._drop(each.payload.follower, each.payload.wanted, "stage_failed")
            return
        self.batches += 1
        now_s = self._clock.monotonic_s()
        for request, answer in zip(batch, heard, strict=True):
            self._answer(request, answer, now_s, "" if small is None else small.abilities.label)

    def _answer(self, request: Request[_Asked], heard: Heard, now_s: float, label: str) -> None:
        follower, wanted = request.payload.follower, request.payload.wanted
        if follower not in self._of:
            return
        if wanted.is_final:
            self.utterances += 1
            self._waiting[follower].pop(wanted.key, None)
        else:
            self.partials += 1
        follower.answered(wanted, heard, now_s - request.added_s, label)

    def _without_old(self, batch: list[Request[_Asked]]) -> list[Request[_Asked]]:
        """On the last step those that have waited for long are given up."""
        if self._step is not Step.GAPS:
            return batch
        now_s = self._clock.monotonic_s()
        kept = []
        for each in batch:
            if each.payload.follower.is_live and each.is_final and now_s - each.added_s > _OLD_S:
                self._drop(each.payload.follower, each.payload.wanted)
            else:
                kept.append(each)
        return kept

    def _drop(self, follower: Follower, wanted: Wanted, reason: str = "overload") -> None:
        self.dropped += wanted.is_final
        if follower in self._waiting:
            self._waiting[follower].pop(wanted.key, None)
            follower.dropped(wanted, reason)

    def _ask_partials(self) -> None:
        """What is being said now, of each live stream, every so often."""
        if self._step >= Step.NO_PARTIALS:
            return
        now_s = self._clock.monotonic_s()
        for follower in list(self._of):
            growing = follower.hearing.growing
            if not follower.is_live or growing is None or now_s - follower.partial_s < self._partial_every_s:
                continue
            follower.partial_s = now_s
            follower.hearing.growing = None  # asked for again once there is more of it
            self.ask(follower, growing)

    def _climb(self) -> None:
        now_s = self._clock.monotonic_s()
        loaded = [each for follower, each in self._waiting.items() if self._of[follower].loaded is not None]
        oldest_s = min((since for waiting in loaded for since in waiting.values()), default=now_s)
        step = self._ladder.feed(now_s - oldest_s, now_s)
        if step is self._step:
            return
        log.warning("analysis eased", step=step.name.lower(), behind_s=round(now_s - oldest_s, 1))
        self._step = step
        for queue in self._queues.values():
            queue.live.window_s = _LONG_WINDOW_S if step >= Step.LONG_BATCHES else self._window_s
        self._eased = [
            *self._eased[-_MOST_EASED:],
            AnalysisEased(
                at=self._clock.utc_s(), worker=self._worker, step=step.name.lower(), behind_s=round(now_s - oldest_s, 1)
            ),
        ]
