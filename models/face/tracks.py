"""Looks at faces to tracks: one face followed through the pictures, with its best looks and one template.

Knows places, times and vectors; no gallery and no name, so no identity can stick to a track: whoever decides does so
anew from the template as it is. Plain code: times are passed in, at one picture a second or at full rate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.face.base import Shot, Vector

BEST_SHOTS: Final = 8
"""That a track keeps and makes its template of."""
DISAGREES: Final = 0.3
"""Similarity under which a look is not of the face the track is of, wherever it is seen; Source: Frigate's outliers."""
AGREES: Final = 0.5
"""From here on it is the same face, wherever in the picture it is."""
UNSEEN_S: Final = 3.0
"""After which a track is over: two key frames missed."""
_SAME_PLACE: Final = 0.3
"""Overlap (intersection over union) of boxes that are one face's without any vector."""
_NEAR_PLACE: Final = 0.1
_BLIND_S: Final = 1.5
"""For so long a place alone says who it is: a key frame's distance."""
_LEAST_WEIGHT: Final = 1e-3
"""Of a look whose quality is 0: a template of such alone still has a direction."""

_Box = tuple[float, float, float, float]


@dataclass(eq=False, slots=True)
class Track:
    """One face, seen from start_s to end_s. looks: that gave a vector. shots: the best of these, best first.

    revision: rises whenever the template may have changed; a decision on an older one is void.
    """

    track_id: int
    start_s: float
    end_s: float
    last: Shot
    shots: list[Shot] = field(default_factory=list)
    looks: int = 0
    revision: int = 0
    is_over: bool = False

    @property
    def best(self) -> Shot:
        """The best look that gave a vector; where none did, the last look."""
        return self.shots[0] if self.shots else self.last

    @property
    def is_blank(self) -> bool:
        """No look gave a vector, so it has no template."""
        return not self.shots

    def template(self) -> Vector:
        """(d,) float32, of unit length: the best looks' mean, weighted by quality. Raises: ValueError: it is blank."""
        if not self.shots:
            raise ValueError("no look of this track gave a vector")
        total = np.zeros(_of(self.shots[0]).shape, np.float64)
        for shot in self.shots:
            total += max(shot.quality.value, _LEAST_WEIGHT) * _of(shot)
        length = float(np.sqrt(np.dot(total, total)))
        if length <= 0:
            raise ValueError("the looks of this track cancel each other out")
        return np.asarray(total / length, np.float32)

    def take(self, shot: Shot) -> None:
        """One more look at this face."""
        self.end_s, self.last = shot.at_s, shot
        if shot.vector is None:
            return
        self.looks += 1
        self.shots.append(shot)
        self.shots.sort(key=lambda each: -each.quality.value)
        if len(self.shots) <= BEST_SHOTS:
            self.revision += 1
            return
        worst = self.shots.pop()
        if worst is not shot:
            self.revision += 1

    def wipe(self) -> None:
        """Its vectors and crops are overwritten, and forgotten; the times stay."""
        for shot in (*self.shots, self.last):
            for array in (shot.vector, shot.crop):
                if array is not None and array.flags.writeable:
                    array.fill(0)
        self.shots.clear()
        self.revision += 1


class FaceTracks:
    """The tracks of one stream. Not thread-safe: one thread calls it."""

    def __init__(self, unseen_s: float = UNSEEN_S) -> None:
        self._unseen_s = unseen_s
        self._open: list[Track] = []
        self._next_id = 1
        self._now_s = -float("inf")

    @property
    def open(self) -> tuple[Track, ...]:
        """Tracks that are not over."""
        return tuple(self._open)

    def feed(self, at_s: float, seen: Sequence[Shot]) -> list[Track]:
        """The tracks that `seen` changed or began, and those that are over now. seen: all faces of one picture.

        A look that is clearly of another face ends the track whose place it has, and begins its own.
        Raises: ValueError: at_s lies before the last picture, or a vector is not finite.
        """
        if at_s < self._now_s:
            raise ValueError(f"a picture of {at_s} s after one of {self._now_s} s cannot be followed")
        if any(shot.vector is not None and not np.isfinite(shot.vector).all() for shot in seen):
            raise ValueError("a vector with numbers that are not finite is not followed")
        self._now_s = at_s
        pairs = sorted(_pairs(self._open, seen, at_s), key=lambda pair: -pair[0])
        taken: dict[int, Track] = {}
        used: set[int] = set()
        for _, track, number in pairs:
            if number not in taken and track.track_id not in used:
                taken[number] = track
                used.add(track.track_id)
        changed = []
        for number, shot in enumerate(seen):
            if number not in taken:
                self._give_way(shot, used)
            track = taken.get(number) or self._begun(shot)
            track.take(shot)
            changed.append(track)
        for track in self._open:
            track.is_over = track.is_over or at_s - track.end_s > self._unseen_s
        return [*changed, *self._ended()]

    def finish(self) -> list[Track]:
        """The tracks that were open; they are over."""
        for track in self._open:
            track.is_over = True
        return self._ended()

    def _begun(self, shot: Shot) -> Track:
        track = Track(self._next_id, shot.at_s, shot.at_s, shot)
        self._next_id += 1
        self._open.append(track)
        return track

    def _give_way(self, shot: Shot, used: set[int]) -> None:
        """Whoever was where another face is now is not there any more."""
        for track in self._open:
            is_there = track.track_id not in used and _overlap(track.last.found.box, shot.found.box) >= _SAME_PLACE
            if is_there and shot.vector is not None and not track.is_blank:
                track.is_over = True

    def _ended(self) -> list[Track]:
        ended = [track for track in self._open if track.is_over]
        self._open = [track for track in self._open if not track.is_over]
        return ended


def _pairs(tracks: Sequence[Track], seen: Sequence[Shot], at_s: float) -> Iterator[tuple[float, Track, int]]:
    """How well each look fits each track it may be of; more is better."""
    for track in tracks:
        template = None if track.is_blank else track.template()
        for number, shot in enumerate(seen):
            overlap = _overlap(track.last.found.box, shot.found.box)
            if template is None or shot.vector is None:
                if overlap >= _SAME_PLACE and at_s - track.end_s <= _BLIND_S:
                    yield overlap, track, number
                continue
            similarity = float(np.dot(template, shot.vector))
            if similarity >= AGREES or (similarity >= DISAGREES and overlap >= _NEAR_PLACE):
                yield 1 + similarity + overlap, track, number


def _overlap(one: _Box, other: _Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_area(one) + _area(other) - both)


def _area(box: _Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _of(shot: Shot) -> NDArray[np.float32]:
    assert shot.vector is not None  # noqa: S101 - only such are kept in Track.shots
    return shot.vector
