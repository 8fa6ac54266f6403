"""Where faces are over the time of a file: boxes of single pictures become paths that have no holes. Plain code.

Made to hide, not to recognise: no vector is asked for. Where two faces cross, their paths end and new ones begin, so
that the name of one who is kept clear never passes to another; what is doubtful is hidden.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

BRIDGE_S: Final = 0.5
"""A face that is not found for so long is the same one where it is found again; its boxes between are interpolated."""
HOLD_S: Final = 0.6
"""Before it is first found and after it is last found, a face may be there, turned or smeared: it is hidden too."""
GROW: Final = 0.35
"""Of its width and height, on every side: a detector's box ends at chin, temples and forehead, and hair tells too."""
HOLD_GROW: Final = 0.3
"""At the end of the hold, on top: nobody knows where it goes."""

_NEAR: Final = 0.6  # of the mean side, between centres: a face of the same look moved on, not its neighbour
_LEAST_OVERLAP: Final = 0.25
_MOST_RATIO: Final = 1.8  # of sides, from one look to the next
_SLACK: Final = 0.02  # of a side: what a point may lie off the line between its neighbours, and be left out
_MOST_LEFT_OUT: Final = 50


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels of the picture; may lie partly outside it."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    def grown(self, share: float) -> "Box":
        """By this share of its width and height on every side."""
        wide, high = self.width * share, self.height * share
        return Box(self.left - wide, self.top - high, self.right + wide, self.bottom + high)

    def moved(self, right: float, down: float) -> "Box":
        return Box(self.left + right, self.top + down, self.right + right, self.bottom + down)

    def towards(self, other: "Box", share: float) -> "Box":
        """share: 0 this one, 1 the other."""
        return Box(
            self.left + (other.left - self.left) * share, self.top + (other.top - self.top) * share,
            self.right + (other.right - self.right) * share, self.bottom + (other.bottom - self.bottom) * share,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """at_s: seconds of the file."""

    at_s: float
    box: Box


@dataclass(frozen=True, slots=True)
class Path:
    """points: one at least, in the order of their times, no two at one time. looks: pictures in which it was found."""

    points: tuple[Point, ...]
    looks: int = 0

    def box_at(self, at_s: float) -> Box | None:
        """Between two points, what lies between; None before the first and after the last."""
        place = bisect_right(self.points, at_s, key=_at_s)
        if place == 0 or (place == len(self.points) and at_s > self.points[-1].at_s):
            return None
        if place == len(self.points):
            return self.points[-1].box
        before, after = self.points[place - 1], self.points[place]
        return before.box.towards(after.box, (at_s - before.at_s) / (after.at_s - before.at_s))


@dataclass(slots=True)
class _Open:
    points: list[Point] = field(default_factory=list)

    def expected(self, at_s: float) -> Box:
        """Where it would be, if it went on as between its last two looks."""
        last = self.points[-1]
        if len(self.points) < 2:
            return last.box
        before = self.points[-2]
        share = (at_s - last.at_s) / (last.at_s - before.at_s)
        right = (last.box.left + last.box.right - before.box.left - before.box.right) / 2 * share
        down = (last.box.top + last.box.bottom - before.box.top - before.box.bottom) / 2 * share
        return last.box.moved(right, down)


class Follower:
    """Looks in, paths out. Times grow from look to look."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._over: list[_Open] = []

    def feed(self, at_s: float, boxes: Sequence[Box]) -> None:
        """All faces of one picture; also one without any."""
        for each in self._open:
            if at_s - each.points[-1].at_s > BRIDGE_S:
                self._over.append(each)
        self._open = [each for each in self._open if at_s - each.points[-1].at_s <= BRIDGE_S]
        fits = [[_is_same(path, box, at_s) for box in boxes] for path in self._open]
        doubtful = {
            place for place, row in enumerate(fits)
            if sum(row) > 1 or any(row[at] and sum(other[at] for other in fits) > 1 for at in range(len(boxes)))
        }  # fmt: skip
        taken: set[int] = set()
        for place, row in enumerate(fits):
            if place not in doubtful and any(row):
                at = row.index(True)
                taken.add(at)
                self._open[place].points.append(Point(at_s, boxes[at]))
        self._over += [self._open[place] for place in sorted(doubtful)]
        self._open = [path for place, path in enumerate(self._open) if place not in doubtful]
        self._open += [_Open([Point(at_s, box)]) for at, box in enumerate(boxes) if at not in taken]

    def finish(self) -> list[Path]:
        """Every path, by its begin: boxes grown, both ends held."""
        found = [_held(each.points) for each in (*self._over, *self._open)]
        self._over, self._open = [], []
        return sorted(found, key=lambda path: (path.points[0].at_s, path.points[0].box.left))


def _at_s(point: Point) -> float:
    return point.at_s


def _is_same(path: _Open, box: Box, at_s: float) -> bool:
    """Either where it was, or where it would be by now."""
    last = path.points[-1].box
    ratio = max(box.width, 1e-6) / max(last.width, 1e-6)
    if not 1 / _MOST_RATIO <= ratio <= _MOST_RATIO:
        return False
    return any(_overlap(each, box) >= _LEAST_OVERLAP or _is_near(each, box) for each in (last, path.expected(at_s)))


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / (one.width * one.height + other.width * other.height - both)


def _is_near(one: Box, other: Box) -> bool:
    side = (one.width + one.height + other.width + other.height) / 4
    right = (one.left + one.right - other.left - other.right) / 2
    down = (one.top + one.bottom - other.top - other.bottom) / 2
    return right * right + down * down <= (_NEAR * side) ** 2


def _held(points: list[Point]) -> Path:
    grown = [Point(each.at_s, each.box.grown(GROW)) for each in points]
    first, last = grown[0], grown[-1]
    before = Point(first.at_s - HOLD_S, first.box.grown(HOLD_GROW))
    after = Point(last.at_s + HOLD_S, last.box.grown(HOLD_GROW))
    return Path((before, *_thinned(grown), after), len(points))


def _thinned(points: list[Point]) -> list[Point]:
    """Without the points that lie on the line between those that stay; what lies off it by little goes too."""
    stay, place = [points[0]], 0
    while place < len(points) - 1:
        furthest = place + 1
        while furthest + 1 < len(points) and furthest - place < _MOST_LEFT_OUT:
            if not _is_on_line(points, place, furthest + 1):
                break
            furthest += 1
        stay.append(points[furthest])
        place = furthest
    return stay


def _is_on_line(points: list[Point], first: int, last: int) -> bool:
    begin, end = points[first], points[last]
    for each in points[first + 1 : last]:
        line = begin.box.towards(end.box, (each.at_s - begin.at_s) / (end.at_s - begin.at_s))
        slack = _SLACK * min(each.box.width, each.box.height)
        off = (
            abs(line.left - each.box.left), abs(line.top - each.box.top),
            abs(line.right - each.box.right), abs(line.bottom - each.box.bottom),
        )  # fmt: skip
        if max(off) > slack:
            return False
    return True
