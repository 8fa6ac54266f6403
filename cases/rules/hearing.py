"""What could not be heard of a step, and so how much of any span of it was. Knows no media."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unheard:
    """A span in which words may have been said that nobody wrote down. reason: in plain words."""

    start_s: float
    end_s: float
    reason: str


class Hearing:
    """The spans that were not heard; all else was."""

    def __init__(self, unheard: Sequence[Unheard] = ()) -> None:
        self._unheard = sorted((each for each in unheard if each.end_s > each.start_s), key=lambda each: each.start_s)

    def share(self, start_s: float, end_s: float) -> float:
        """0..1 of the span that was heard. A span of no length was heard unless it lies in one that was not."""
        if end_s <= start_s:
            return 0.0 if any(each.start_s <= start_s < each.end_s for each in self._unheard) else 1.0
        return 1.0 - sum(end - start for start, end in self._holes(start_s, end_s)) / (end_s - start_s)

    def longest_s(self, start_s: float, end_s: float) -> float:
        """The longest time on end, within the span, of which nothing was heard."""
        return max((end - start for start, end in self._holes(start_s, end_s)), default=0.0)

    def reasons(self, start_s: float, end_s: float) -> tuple[str, ...]:
        """Why not all of the span was heard; each once, in their order."""
        return tuple(
            dict.fromkeys(each.reason for each in self._unheard if each.start_s < end_s and each.end_s > start_s)
        )

    def _holes(self, start_s: float, end_s: float) -> list[tuple[float, float]]:
        """Within the span, in their order, apart from one another."""
        holes: list[tuple[float, float]] = []
        for each in self._unheard:
            start, end = max(start_s, each.start_s), min(end_s, each.end_s)
            if end <= start:
                continue
            if holes and start <= holes[-1][1]:
                holes[-1] = (holes[-1][0], max(end, holes[-1][1]))
            else:
                holes.append((start, end))
        return holes
