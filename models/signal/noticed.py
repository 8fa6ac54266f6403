"""Something began or ended, by numbers that crossed a bound and stayed there. Plain code; knows no media."""

from dataclasses import dataclass
from typing import TypeAlias

Measures: TypeAlias = tuple[tuple[str, float], ...]
"""What was measured, by name, for a person who asks why: the numbers that decided, and the bounds they crossed."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """finding: its kind, as configs/rules/signal/ names it. is_end: it is over.

    at_s: when it began or ended, in seconds of the stream's axis; earlier than when that was known.
    confidence: 0..1; how far beyond the bound, not a probability.
    """

    finding: str
    is_end: bool
    at_s: float
    confidence: float = 1.0
    measures: Measures = ()


class Lasting:
    """One kind of finding: it begins when `is_on` held for `enter_s` without a break, and ends when it did not for
    `leave_s`. What lies between the two bounds of a measure is neither: the caller says None, and nothing changes.
    """

    def __init__(self, finding: str, enter_s: float, leave_s: float) -> None:
        self.is_open = False
        self._finding = finding
        self._enter_s = enter_s
        self._leave_s = leave_s
        self._since_s: float | None = None
        self._measures: Measures = ()
        self._confidence = 0.0

    @property
    def is_calm(self) -> bool:
        """Whether nothing lasts and nothing is about to begin: what is not on then changes nothing."""
        return not self.is_open and self._since_s is None

    def feed(
        self, at_s: float, is_on: bool | None, confidence: float = 1.0, measures: Measures = (), *,
        is_sure: bool = False, since_s: float | None = None,
    ) -> Noticed | None:  # fmt: skip
        """What began or ended by now.

        at_s: when this was measured, not before the last one. is_sure: it need not last to begin. since_s: when it
        began, where that is known to be earlier than at_s.
        """
        if is_on is None:
            return None
        if is_on == self.is_open:
            self._since_s = None
            self._confidence, self._measures = 0.0, ()
            return None
        if self._since_s is None:
            self._since_s = since_s if is_on and since_s is not None else at_s
        if is_on and confidence >= self._confidence:
            self._confidence, self._measures = confidence, measures
        lasted_s = self._leave_s if self.is_open else 0.0 if is_sure else self._enter_s
        if at_s - self._since_s < lasted_s:
            return None
        self.is_open, since_s, self._since_s = is_on, self._since_s, None
        found = Noticed(
            self._finding, not is_on, since_s, self._confidence if is_on else 1.0, self._measures if is_on else measures
        )
        self._confidence, self._measures = 0.0, ()
        return found

    def forget(self) -> None:
        """What comes next does not follow: what has not begun or ended yet starts anew."""
        self._since_s = None
        self._confidence, self._measures = 0.0, ()

    def finish(self, at_s: float) -> Noticed | None:
        """The source is over, or broken off: what is open ends here."""
        self.forget()
        if not self.is_open:
            return None
        self.is_open = False
        return Noticed(self._finding, True, at_s)
