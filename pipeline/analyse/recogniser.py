"""Utterances of all streams of a worker, recognised in batches by the models that it holds, in a thread.

What is due when, and what is left out under too much work, is decided by plain code (models/speech/batches.py,
ladder.py); this owns the thread, the clock and the order. A call of a model is never cut off.
"""

from collections.abc import Sequence
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
_MOST_EASED: Final = 16
_TRIES: Final = 2
_LONG_WINDOW_S: Final = 0.4


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is in memory. label: name@version. smaller: what takes over under too much work."""

    transcriber: Transcriber
    label: str
    longest_s: float
    most_batch: int
    smaller: Transcriber | None = None


@dataclass(slots=True)
class _Asked:
    follower: Follower
    wanted: Wanted
    loaded: Loaded


class Recogniser:
    """Attributes for the log: batches, utterances, partials, failures."""

    def __init__(self, worker: str, clock: Clock, *, batch_window_s: float, partial_every_s: float, language: str) -> None:
        self.batches = self.utterances = self.partials = self.failures = 0
        self._worker = worker
        self._clock = clock
        self._language = language
        self._partial_every_s = partial_every_s
        self._window_s = batch_window_s
        self._plans: dict[str, Batches] = {}
        self._loaded: dict[str, Loaded] = {}
        self._asked: dict[int, _Asked] = {}
        self._followers: dict[Follower, Loaded] = {}
        self._last_key = 0
        self._ladder = Ladder()
        self._step = Step.WHOLE
        self._eased: list[AnalysisEased] = []
        self._news = anyio.Event()
'''
