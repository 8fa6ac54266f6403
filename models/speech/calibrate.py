"""How a Whisper model runs fastest here: threads, utterances in a batch, filling up of lengths. Measured, not guessed.

Takes one to three seconds for each number of threads; whoever calls keeps the answer, by model, device and machine.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Final, Literal

import numpy as np

from models.base import RATE_HZ
from models.speech.entry import SpeechEntry
from models.speech.whisper import Calibration, WhisperTranscriber
from models.speech.whisper_engine import WHOLE_FRAMES, Engine, Features, Way

_TOGETHER: Final = (1, 2, 4, 8, 16)
_STEPS_FRAMES: Final = (2, 16, 64)
_BUDGET_S: Final = 1.0  # of measuring one thing; a large model on a CPU is measured once and not doubled
_HARDLY_MORE: Final = 1.05  # less is noise, and a larger batch keeps others waiting
_WORTH_THREADS: Final = 0.8  # twice the threads must take a fifth off, or the cores serve others better
_MUCH_MORE: Final = 1.2  # what costs so much more than less did gets no better with even more
_TRIES: Final = 3
_TYPICAL_S: Final = 4.0  # an utterance
_TOKENS: Final = 24  # of such an utterance
_ENDLESS: Final = Way(width=1, is_endless=True)


@dataclass(frozen=True, slots=True)
class Measured:
    """A calibration and what an utterance of four seconds costs with it, in seconds of the wall's clock."""

    calibration: Calibration
    utterance_s: float


def opened(
    entry: SpeechEntry,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int = 0,
    known: Calibration | None = None,
) -> WhisperTranscriber:
    """The model, loaded as it runs fastest. threads: 0: to be found. known: what an earlier call found.

    Raises: ModelMissing, ModelFailed.
    """
    if known is not None:
        return WhisperTranscriber(entry, device, known)
    best: Measured | None = None
    for count in [threads] if threads else _thread_counts():
        engine = Engine(entry.folder, device, count)
        found = measured(engine, count, has_feature_cut=entry.has_feature_cut)
        if best is not None and found.utterance_s > _WORTH_THREADS * best.utterance_s:
            break
        best = found
        if engine.device != "cpu":
            break
    return WhisperTranscriber(entry, device, best.calibration if best else None)


def measured(engine: Engine, threads: int, *, has_feature_cut: bool) -> Measured:
    """What is best for an engine that was loaded with so many threads."""
    features = engine.features(_noise(_TYPICAL_S))
    clock = process_time if engine.device == "cpu" else perf_counter  # what others do on the cores does not count
    usual = features.shape[1] // 2 * 2 if has_feature_cut else WHOLE_FRAMES

    def cost_together(count: int) -> float:
        return _least_s(lambda: _run(engine, [features] * count, usual), clock) / count

    def cost_step(step: int) -> float:
        def run_all() -> None:
            for less in (0, 37, 91):
                _run(engine, [features], -(-(usual - less) // step) * step)

        return _least_s(run_all, clock)

    together = cheapest(_TOGETHER, cost_together)[0]
    step = cheapest(_STEPS_FRAMES, cost_step)[0] if has_feature_cut else _STEPS_FRAMES[0]
    utterance_s = _least_s(lambda: _run(engine, [features] * together, usual), perf_counter) / together
    return Measured(Calibration(threads, together, step), utterance_s)


def cheapest(choices: Iterable[int], cost: Callable[[int], float]) -> tuple[int, float]:
    """The first choice that costs hardly more than the best, and its cost. Stops where one exceeds the budget."""
    costs: dict[int, float] = {}
    for choice in choices:
        costs[choice] = cost(choice)
        least = min(costs.values())
        if costs[choice] * choice > _BUDGET_S or costs[choice] > _MUCH_MORE * least:
            break
    return next((choice, each) for choice, each in costs.items() if each <= _HARDLY_MORE * least)


def _run(engine: Engine, features: list[Features], frames: int) -> None:
    encoded = engine.encode(features, frames)
    engine.decode(encoded, engine.prompt("en", ""), "en", _ENDLESS, _TOKENS)


def _least_s(call: Callable[[], None], clock: Callable[[], float]) -> float:
    """The least of some times: others on the machine only ever add."""
    least_s, began_s = float("inf"), perf_counter()
    for _ in range(_TRIES):
        start_s = clock()
        call()
        least_s = min(least_s, clock() - start_s)
        if perf_counter() - began_s > _BUDGET_S:
            break
    return least_s


def _noise(length_s: float) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    return np.random.default_rng(1).standard_normal(int(length_s * RATE_HZ), np.float32) * np.float32(0.1)


def _thread_counts() -> list[int]:
    """1, 2, 4 … as far as this process may use cores."""
    cores = len(os.sched_getaffinity(0))
    return [count for count in (1, 2, 4, 8, 16) if count <= cores]
