"""What of a stream a stage has seen: spans on the stream's axis, and what lies between them. Plain code.

Both ends of a span lie in silence or at a cut that the stage made itself, so two spans that meet share no word.
"""

from dataclasses import dataclass
from typing import Final

_SLACK_S: Final = 0.05
"""Spans that miss one another by no more than this meet: less than a syllable, more than the rounding of times."""


@dataclass(frozen=True, slots=True)
class Span:
    """start_s <= end_s, on the stream's axis."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


class Coverage:
    """Spans that are seen, in order, none touching another. Grows only."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    @property
    def spans(self) -> tuple[Span, ...]:
        return tuple(self._spans)

    @property
    def end_s(self) -> float:
        """Where the last span ends; 0 where nothing was seen."""
        return self._spans[-1].end_s if self._spans else 0.0

    def add(self, start_s: float, end_s: float) -> None:
        """Nothing where end_s is not behind start_s."""
        if end_s <= start_s:
            return
        before = [span for span in self._spans if span.end_s < start_s - _SLACK_S]
        behind = [span for span in self._spans if span.start_s > end_s + _SLACK_S]
        for span in self._spans[len(before) : len(self._spans) - len(behind)]:
            start_s, end_s = min(start_s, span.start_s), max(end_s, span.end_s)
        self._spans = [*before, Span(start_s, end_s), *behind]

    def holes(self, start_s: float, end_s: float, shortest_s: float = 0.0) -> list[Span]:
        """What of start_s to end_s was not seen, in order; pieces of at least shortest_s."""
        found, at_s = [], start_s
        for span in self._spans:
            if span.end_s <= at_s:
                continue
            if span.start_s >= end_s:
                break
            found.append(Span(at_s, span.start_s))
            at_s = span.end_s
        found.append(Span(at_s, end_s))
        return [hole for hole in found if hole.length_s > max(shortest_s, _SLACK_S)]
