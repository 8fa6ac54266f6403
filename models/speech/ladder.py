"""The overload ladder: what is given up, in order, when the words come too late. Plain: time is passed in."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_EASED: Final = 0.5  # of a step's threshold: below it the step may be taken back


class Step(IntEnum):
    """What is given up; each step keeps what the ones before gave up."""

    WHOLE = 0
    """Nothing."""
    NO_PARTIALS = 1
    """Words show only once an utterance is over."""
    LONG_BATCHES = 2
    """Utterances wait longer for company."""
    SMALL_MODEL = 3
    """A smaller model, where there is one; its words carry its name."""
    GAPS = 4
    """The oldest utterances are left to the look at the recording, and told as AnalysisGap."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """behind_s: for each step from NO_PARTIALS on, how late the oldest final is when the step is taken.

    calm_s: below half the step's threshold this long, one step is taken back.
    """

    behind_s: tuple[float, float, float, float] = (1.0, 3.0, 8.0, 30.0)
    calm_s: float = 20.0


class Ladder:
    """How far one model has been pushed down. Up at once, down a step at a time."""

    def __init__(self, thresholds: Thresholds = Thresholds()) -> None:
        self.step = Step.WHOLE
        self._thresholds = thresholds
        self._calm_since_s: float | None = None

    def feed(self, behind_s: float, now_s: float) -> Step:
        """The step from now on. behind_s: the age of the oldest utterance that is over and waits for its words."""
        needed = Step(sum(behind_s >= each for each in self._thresholds.behind_s))
        if needed > self.step:
            self.step, self._calm_since_s = needed, None
        elif self.step is Step.WHOLE or behind_s >= _EASED * self._thresholds.behind_s[self.step - 1]:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        elif now_s - self._calm_since_s >= self._thresholds.calm_s:
            self.step, self._calm_since_s = Step(self.step - 1), now_s
        return self.step
