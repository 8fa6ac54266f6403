"""Which utterances of many streams go to the model together, and when. Plain: time is passed in.

Finals come before partials, because a record waits for them; within each, every stream has its turn, the one that was
served longest ago first. Those of like length go together, because a batch is as long as its longest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_LIKE: Final = 1.6  # a batch's longest to its shortest; beyond, filling up costs more than company saves
_REMEMBERED: Final = 4_096  # streams whose last turn is known; whoever was forgotten counts as never served
_LIKE_S: Final = 1.0  # and short ones go together whatever they are to each other


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """An utterance that waits. added_s, due_s: on one clock; due_s: when its turn should come at the latest."""

    stream_id: str
    is_final: bool
    length_s: float
    added_s: float
    due_s: float
    payload: T


class Batches(Generic[T]):
    """What waits for one model.

    Bound: one partial a stream, the newest; `most_finals` finals of all streams together, and `add` says no beyond.
    """

    def __init__(self, most_together: int, window_s: float, most_finals: int) -> None:
        """window_s: how long a request waits for company, at most."""
        self.most_together = most_together
        self.replaced = 0
        """Partials that a newer one, or the final, made needless."""
        self.window_s = window_s
        self._most_finals = most_finals
        self._finals: list[Request[T]] = []
        self._partials: dict[str, Request[T]] = {}
        self._turns: dict[str, int] = {}  # when a stream was last served; only streams that wait, or were just served
        self._turn = 0

    def __len__(self) -> int:
        return len(self._finals) + len(self._partials)

    def add(self, request: Request[T]) -> bool:
        """False: too many finals wait; the caller leaves this one to the look at the recording."""
        if request.stream_id in self._partials:
            self.replaced += 1
        if not request.is_final:
            self._partials[request.stream_id] = request
            return True
        self._partials.pop(request.stream_id, None)  # the utterance is over
        if len(self._finals) >= self._most_finals:
            return False
        self._finals.append(request)
        return True

    def withdraw(self, stream_id: str) -> list[Request[T]]:
        """The stream is gone; what waited of it."""
        gone = [each for each in self._finals if each.stream_id == stream_id]
        gone += [each for each in [self._partials.pop(stream_id, None)] if each]
        self._finals = [each for each in self._finals if each.stream_id != stream_id]
        self._turns.pop(stream_id, None)
        return gone

    def due(self, now_s: float) -> list[Request[T]]:
        """The next batch, taken out; empty where it is better to wait: until `next_s`, or until something is added."""
        if now_s < self.next_s():
            return []
        waiting = self._finals or list(self._partials.values())
        batch = self._together(self._in_turn(waiting))
        for request in batch:
            self._take(request)
        return batch

    def next_s(self) -> float:
        """When the next batch is due; infinite where nothing waits."""
        waiting = self._finals or list(self._partials.values())
        if not waiting:
            return float("inf")
        if len(waiting) >= self.most_together:
            return float("-inf")
        return min(min(each.added_s + self.window_s, each.due_s) for each in waiting)

    def _in_turn(self, waiting: Iterable[Request[T]]) -> list[Request[T]]:
        """The first of each stream by who was served longest ago, then the second of each, and so on."""
        rounds: dict[str, int] = {}
        keyed = []
        for request in sorted(waiting, key=lambda each: each.added_s):
            number = rounds[request.stream_id] = rounds.get(request.stream_id, -1) + 1
            keyed.append(((number, self._turns.get(request.stream_id, -1), request.added_s), request))
        return [request for _, request in sorted(keyed, key=lambda pair: pair[0])]

    def _together(self, in_turn: list[Request[T]]) -> list[Request[T]]:
        """The first one, and those after it that are of like length."""
        batch, shortest_s, longest_s = in_turn[:1], in_turn[0].length_s, in_turn[0].length_s
        passed_over: set[str] = set()  # what a stream said later never overtakes what it said before
        for request in in_turn[1:]:
            least_s, most_s = min(shortest_s, request.length_s), max(longest_s, request.length_s)
            is_like = most_s <= max(_LIKE_S, _LIKE * least_s) and request.stream_id not in passed_over
            if is_like and len(batch) < self.most_together:
                batch.append(request)
                shortest_s, longest_s = least_s, most_s
            else:
                passed_over.add(request.stream_id)
        return batch

    def _take(self, request: Request[T]) -> None:
        self._turn += 1
        if request.is_final:
            self._finals = [each for each in self._finals if each is not request]
        else:
            del self._partials[request.stream_id]
        self._turns.pop(request.stream_id, None)
        self._turns[request.stream_id] = self._turn
        while len(self._turns) > _REMEMBERED:
            del self._turns[next(iter(self._turns))]
