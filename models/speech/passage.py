"""A passage: windows of sound in a row that may be an utterance. Knows windows and probabilities, and no stream."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.base import RATE_HZ, VOICE_WINDOW, Samples

WINDOW_S: Final = VOICE_WINDOW / RATE_HZ
_SMOOTH: Final = 5  # windows (0.16 s): shorter dips are stops within a word, not gaps between words


@dataclass(frozen=True, slots=True)
class Rules:
    """When speech begins and ends. The defaults are measured: the scene of two voices has the same errors
    with 0.32 to 0.45 s of silence and 0.06 to 0.45 s of padding; less silence parts more of its speakers.

    enter, leave: probabilities; speech begins at `enter` and goes on down to `leave`. shortest_s: less speech than this
    is none. silence_s: ends an utterance. pad_s: kept before and after, at most silence_s. longest_s: of an utterance,
    with its padding; cut_from: it is cut no earlier than at this share of it.
    """

    longest_s: float
    enter: float = 0.5
    leave: float = 0.35
    shortest_s: float = 0.096
    silence_s: float = 0.384
    pad_s: float = 0.192
    cut_from: float = 0.6


class Passage:
    """Windows in a row from `first` on. At most rules.longest_s of them; whoever fills it up cuts it."""

    def __init__(self, rules: Rules, first: int, number: int) -> None:
        self._rules = rules
        self._most = max(2, int(rules.longest_s / WINDOW_S))
        self._sound: Samples = np.empty(self._most * VOICE_WINDOW, np.float32)
        self._is_voiced: list[bool] = []
        self.first = first
        self.number = number
        self.probabilities: list[float] = []

    @property
    def count(self) -> int:
        return len(self.probabilities)

    @property
    def is_full(self) -> bool:
        return self.count >= self._most

    @property
    def is_speech(self) -> bool:
        """Whether there is enough speech in it to be an utterance."""
        return sum(self._is_voiced) * WINDOW_S >= self._rules.shortest_s

    @property
    def silence(self) -> int:
        """Windows since the last one with speech."""
        return self.count - self.voiced_end

    @property
    def voiced_start(self) -> int:
        return next((number for number, is_voiced in enumerate(self._is_voiced) if is_voiced), 0)

    @property
    def voiced_end(self) -> int:
        """One past the last window with speech; 0: there is none."""
        return next((number + 1 for number in range(self.count - 1, -1, -1) if self._is_voiced[number]), 0)

    def append(self, window: Samples, probability: float) -> None:
        self._sound[self.count * VOICE_WINDOW : (self.count + 1) * VOICE_WINDOW] = window
        goes_on = bool(self._is_voiced) and self._is_voiced[-1]
        self._is_voiced.append(probability >= (self._rules.leave if goes_on else self._rules.enter))
        self.probabilities.append(probability)

    def samples(self, size: int) -> Samples:
        """The first `size` samples: a view that nobody may write to; what is appended later lies behind it."""
        view = self._sound[:size]
        view.flags.writeable = False
        return view

    def windows(self, start: int) -> Iterator[Samples]:
        for number in range(start, self.count):
            yield self._sound[number * VOICE_WINDOW : (number + 1) * VOICE_WINDOW].copy()

    def voiced(self, count: int) -> tuple[tuple[float, float], ...]:
        """Where speech is within the first `count` windows, in seconds from the first."""
        edges = np.flatnonzero(np.diff([0, *self._is_voiced[:count], 0])) * WINDOW_S
        return tuple(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))

    def best_cut(self) -> int:
        """The window to end before: in the last part, where probability and level of 0.16 s are least."""
        power = np.square(self._sound[: self.count * VOICE_WINDOW].reshape(-1, VOICE_WINDOW)).mean(axis=1)
        kernel = np.ones(_SMOOTH) / _SMOOTH
        loudness = np.convolve(np.sqrt(power), kernel, "same") * np.convolve(self.probabilities, kernel, "same")
        start = max(1, int(self.count * self._rules.cut_from))
        return start + int(np.argmin(loudness[start : self.count - _SMOOTH // 2])) if self.count > _SMOOTH else start
