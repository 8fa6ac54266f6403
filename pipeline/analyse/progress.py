"""How far one lease has come: what is found is told in order, together with the span that it was found in. Plain code.

What is asked of a model comes back in any order and late; a span is covered once all that began in it is answered.
A span that nobody will answer (thrown away, or not heard from its beginning) is left out, and so becomes a hole.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.events import Event


@dataclass(frozen=True, slots=True)
class Covered:
    """The stage has seen start_s to end_s whole and found these. reason: of the hole before it; "": there is none.

    model: with which; "": the one of the lease.
    """

    start_s: float
    end_s: float
    events: tuple[Event, ...]
    reason: str = ""
    model: str = ""


@dataclass(slots=True)
class _Asked:
    start_s: float
    end_s: float
    answer: tuple[Event, ...] | None = None
    lost: str = ""
    model: str = ""


class Progress:
    """Of one lease, from the second `from_s` of the stream on. Keys are the caller's."""

    def __init__(self, from_s: float) -> None:
        self._from_s = from_s
        self._quiet_s = from_s
        self._reason = self._model = ""
        self._asked: OrderedDict[int, _Asked] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many are not answered and not given up."""
        return sum(each.answer is None and not each.lost for each in self._asked.values())

    @property
    def oldest_s(self) -> float | None:
        """Where the first one that is not answered ends."""
        return next((each.end_s for each in self._asked.values() if each.answer is None and not each.lost), None)

    def asked(self, key: int, start_s: float, end_s: float) -> None:
        """Something was found at start_s to end_s, in the order of the stream, and its answer is on its way."""
        self._asked[key] = _Asked(start_s, end_s)
        self.quiet(start_s)

    def answered(self, key: int, events: Sequence[Event], model: str = "") -> None:
        """Nothing where it was given up meanwhile."""
        if key in self._asked:
            self._asked[key].answer, self._asked[key].model = tuple(events), model

    def lost(self, key: int, reason: str) -> None:
        """Nobody will answer it: its span is not seen."""
        if key in self._asked and self._asked[key].answer is None:
            self._asked[key].lost = reason

    def missed(self, key: int, start_s: float, end_s: float, reason: str) -> None:
        """This span never came here."""
        self._asked[key] = _Asked(start_s, end_s, lost=reason)
        self.quiet(start_s)

    def quiet(self, until_s: float) -> None:
        """Everything that began before until_s was given to `asked`."""
        self._quiet_s = max(self._quiet_s, until_s)

    def is_news(self, quiet_s: float) -> bool:
        """Whether `take` has something to tell: an answer, a loss, or at least quiet_s of silence."""
        head = next(iter(self._asked.values()), None)
        if head is not None and (head.lost or head.answer is not None):
            return True
        reached_s = self._quiet_s if head is None else min(self._quiet_s, head.start_s)
        return reached_s - self._from_s >= quiet_s

    def take(self) -> list[Covered]:
        """What is new since the last call, in order."""
        found: list[Covered] = []
        events: list[Event] = []
        while self._asked:
            key, head = next(iter(self._asked.items()))
            if head.answer is None and not head.lost:
                break
            del self._asked[key]
            if head.lost:
                self._close(found, events, head.start_s)
                self._from_s, self._reason = max(self._from_s, head.end_s), head.lost
                self._quiet_s = max(self._quiet_s, self._from_s)
            else:
                if head.model != self._model:
                    self._close(found, events, head.start_s)
                    self._model = head.model
                events += head.answer or ()
                self._quiet_s = max(self._quiet_s, head.end_s)
        ahead = next(iter(self._asked.values()), None)
        self._close(found, events, self._quiet_s if ahead is None else min(self._quiet_s, ahead.start_s))
        return found

    def _close(self, found: list[Covered], events: list[Event], end_s: float) -> None:
        if end_s <= self._from_s and not events:
            return
        end_s = max(end_s, self._from_s)
        found.append(Covered(self._from_s, end_s, tuple(events), self._reason, self._model))
        self._from_s, self._reason = end_s, ""
        events.clear()
