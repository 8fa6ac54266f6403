"""The sound of one stream becomes utterances: what is said between two silences. Plain: no clock, no model of its own.

Every window of 512 samples is in exactly one utterance or in quiet. An utterance begins `pad_s` before the first
window that holds speech and ends `pad_s` after the last one; it is known to have ended once `silence_s` passed.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from models.base import RATE_HZ, VOICE_WINDOW, Samples, VoiceDetector
from models.speech.cleaning import Cleaning
from models.speech.passage import WINDOW_S, Passage, Rules

_MOST_JITTER_S: Final = 0.1
"""Stamps further off than this are a jump; less is the device's clock against its sound card's."""
_UNHEARD_S: Final = 0.2
"""Speech that is there this soon after the first sample had begun before it; the detector needs 0.1 s to be sure."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was said, whole or so far.

    number: counts up from 1 within the stream. start_s: of samples[0], on the stream's axis. samples: read only.
    voiced: spans that hold speech, seconds from samples[0]. is_at_start: it ran already when the sound began, at first
    or after a jump: its beginning was not heard. is_cut: something other than silence ended it: a jump, the end of the
    stream, or its length.
    """

    number: int
    start_s: float
    samples: Samples
    voiced: tuple[tuple[float, float], ...]
    is_at_start: bool
    is_cut: bool = False

    @property
    def end_s(self) -> float:
        return self.start_s + self.samples.size / RATE_HZ


@dataclass(frozen=True, slots=True)
class UtteranceGrew:
    """It goes on; `utterance` is all of it so far."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """Nothing more of it comes."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class QuietPassed:
    """Every utterance that began before until_s is told, and has ended."""

    until_s: float


Happened: TypeAlias = UtteranceGrew | UtteranceEnded | QuietPassed


class Utterances:
    """The utterances of one stream.

    Bound: one utterance of at most rules.longest_s, and pad_s of the sound before it.
    """

    def __init__(self, detector: VoiceDetector, rules: Rules) -> None:
        self._detector = detector
        self._rules = rules
        self._cleaning = Cleaning()
        self._pad = round(rules.pad_s / WINDOW_S)
        self._before: deque[Samples] = deque(maxlen=self._pad)
        self._number = 0
        self._rest: Samples = np.zeros(0, np.float32)
        self._open: Passage | None = None
        self._base_s: float | None = None  # of window 0 since the last jump
        self._count = 0  # windows since then
        self._lacking = 0  # samples that the last window of all has too many
        self._quiet_s = 0.0

    def feed(self, samples: Samples, start_s: float) -> list[Happened]:
        """What happened by the end of `samples`. start_s: of samples[0], on the stream's axis.

        A stamp that jumps ends the utterance that is open; what comes then begins anew.
        """
        happened = list(self._place(start_s))
        sound = np.concatenate([self._rest, samples]) if self._rest.size else samples
        whole = sound.size // VOICE_WINDOW * VOICE_WINDOW
        self._rest = sound[whole:].copy()
        happened += self._take(sound[:whole])
        if self._open is not None and self._open.is_speech:
            happened.append(UtteranceGrew(self._told(self._open)))
        return [*happened, *self._quiet()]

    def finish(self) -> list[Happened]:
        """The stream is over, or what comes next does not follow on: the utterance that is open ends here."""
        happened: list[Happened] = []
        if self._rest.size:
            rest, self._rest = self._rest, self._rest[:0]
            self._lacking = VOICE_WINDOW - rest.size
            happened += self._take(np.pad(rest, (0, self._lacking)))
        if self._open is not None and self._open.is_speech:
            happened.append(UtteranceEnded(self._told(self._open, is_cut=True)))
        self._open = None
        self._before.clear()
        happened += self._quiet()
        self._base_s, self._lacking = None, 0
        return happened

    def _place(self, start_s: float) -> Iterator[Happened]:
        """Put the next sample at start_s."""
        if self._base_s is not None:
            off_s = start_s - self._at(self._count) - self._rest.size / RATE_HZ
            if abs(off_s) <= _MOST_JITTER_S:
                if self._open is None:
                    self._base_s += off_s  # the clocks drift: times follow, but never within an utterance
                return
            yield from self.finish()
            self._detector.reset()
        self._base_s, self._count, self._quiet_s = start_s, 0, start_s

    def _take(self, sound: Samples) -> Iterator[Happened]:
        windows = self._cleaning.feed(sound.reshape(-1, VOICE_WINDOW))
        probabilities = self._detector.feed(windows.reshape(-1))
        for window, probability in zip(windows, probabilities.tolist(), strict=True):
            yield from self._take_window(window, probability)

    def _take_window(self, window: Samples, probability: float) -> Iterator[Happened]:
        self._count += 1
        if self._open is None:
            if probability < self._rules.enter:
                self._before.append(window)
                return
            self._open = self._begin(self._count - 1 - len(self._before), list(self._before))
        passage = self._open
        passage.append(window, probability)
        if passage.silence * WINDOW_S >= self._rules.silence_s:
            self._close(passage)
            if passage.is_speech:
                kept = passage.voiced_end + self._pad
                yield UtteranceEnded(self._told(passage, kept))
        elif passage.is_full:
            yield from self._cut(passage)

    def _begin(self, first: int, before: list[Samples]) -> Passage:
        """A passage from window `first` on, with the windows that were quiet before it."""
        passage = Passage(self._rules, first, self._number + 1)
        for window in before:
            passage.append(window, 0.0)
        self._before.clear()
        return passage

    def _close(self, passage: Passage) -> None:
        """Silence: nothing is open. Windows after what was kept may be the lead of the next utterance."""
        self._open = None
        left = passage.count - passage.voiced_end - self._pad if passage.is_speech else passage.count
        self._before.extend(passage.windows(max(0, passage.count - left)))

    def _cut(self, passage: Passage) -> Iterator[Happened]:
        """It is as long as it may be: it ends where least is said, and the next one begins there."""
        at = passage.best_cut()
        if passage.is_speech:
            yield UtteranceEnded(self._told(passage, at, is_cut=True))
        self._open = Passage(self._rules, passage.first + at, self._number + 1)
        for window, probability in zip(passage.windows(at), passage.probabilities[at:], strict=True):
            self._open.append(window, probability)

    def _told(self, passage: Passage, kept: int | None = None, *, is_cut: bool = False) -> Utterance:
        """The first `kept` windows of it as the world sees them."""
        count = passage.count if kept is None else min(kept, passage.count)
        self._number = passage.number
        is_at_start = (passage.first + passage.voiced_start) * WINDOW_S < _UNHEARD_S
        size = min(count * VOICE_WINDOW, passage.count * VOICE_WINDOW - self._lacking)
        return Utterance(
            passage.number, self._at(passage.first), passage.samples(size), passage.voiced(count), is_at_start, is_cut
        )

    def _quiet(self) -> Iterator[QuietPassed]:
        """How far it is sure that nothing is being said: a beginning may still reach back by the padding."""
        if self._base_s is None:
            return
        until_s = self._at(self._open.first if self._open else self._count - len(self._before))
        until_s -= 0.0 if self._open else self._lacking / RATE_HZ
        if until_s > self._quiet_s:
            self._quiet_s = until_s
            yield QuietPassed(until_s)

    def _at(self, window: int) -> float:
        return (self._base_s or 0.0) + window * WINDOW_S
