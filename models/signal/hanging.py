"""How a camera hangs, from by how much its key frames are turned against one another. Knows no pictures."""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

_BACK: Final = 3  # key frames, to which `back` may point
_MEANT: Final = 45.0
"""Degrees from upright, or from upside down, within which that is what is meant: who leans straightens up again.
Without that, small errors of each key frame would add up to a turn within an hour."""
_SETTLES: Final = 0.2  # share of these degrees that a key frame takes off
_SETTLES_ASIDE: Final = 0.1
"""What hangs aside comes back to how it hung. Without that, a turn that was not seen would be there for good, and the
next would be added to it."""
_SMALL: Final = 9.0  # degrees of a turn, of which any number in a row add up to `_LITTLE` at most: four of them
_LITTLE: Final = _MEANT - _SMALL
_SAME: Final = 30.0  # degrees, by which two key frames that say the same may differ


class Hanging:
    """Of one stream. agreed_min: places of a picture that must say by how much it is turned.

    agreed_twice_min: fewer do where the key frame before said the same.
    """

    def __init__(self, agreed_min: float, agreed_twice_min: float) -> None:
        self._agreed_min = agreed_min
        self._agreed_twice_min = agreed_twice_min
        self._known: deque[float | None] = deque(maxlen=_BACK)  # degrees, -180..180, of the key frames before
        self._said: float | None = None  # by the one before, known or not

    def feed(self, turn: float, agreed: float, back: float, is_upside_down: bool) -> float | None:
        """Degrees from upright, -180..180, of this key frame; None: not known.

        is_upside_down: what it is taken for where nothing of those before is known: at the beginning, when nothing was
        found again for three key frames, and when it hangs as the one before, of which nothing is known.
        """
        said, is_known = self._says(turn, agreed, back, 180.0 if is_upside_down else 0.0)
        if said is not None and self._said is not None:
            is_known = is_known or abs(_wrapped(said - self._said)) <= _SAME
        self._said = said
        self._known.append(said if is_known else None)
        return self._known[-1]

    def _says(self, turn: float, agreed: float, back: float, usual: float) -> tuple[float | None, bool]:
        if all(each is None for each in self._known):
            return usual, True
        if agreed < self._agreed_twice_min or not 1 <= back <= len(self._known):
            return None, False
        is_sure = agreed >= self._agreed_min
        if (before := self._known[-int(back)]) is not None:
            return _settled(before + turn, usual), is_sure
        return (usual, True) if is_sure and abs(_wrapped(turn)) <= _SAME else (None, False)

    @property
    def is_calm(self) -> bool:
        """Whether small turns change nothing."""
        return all(each is None or abs(each) <= _LITTLE for each in self._known)

    def restless(
        self, turn: NDArray[np.float64], agreed: NDArray[np.float64], turned_min: float
    ) -> NDArray[np.bool_]:  # fmt: skip
        """Which turns (n,) are not small: the others never add up to turned_min where it `is_calm`."""
        is_turned = (np.abs((turn + 180) % 360 - 180) > _SMALL) | (turned_min <= _LITTLE)
        return np.asarray((agreed >= self._agreed_twice_min) & is_turned, np.bool_)


def _settled(degrees: float, usual: float) -> float:
    """-180..180, a little nearer to what is meant."""
    degrees = _wrapped(degrees)
    if abs(degrees) > _MEANT and abs(degrees) < 180 - _MEANT:
        return degrees + _SETTLES_ASIDE * _wrapped(usual - degrees)
    return degrees + _SETTLES * (-degrees if abs(degrees) <= _MEANT else _wrapped(180 - degrees))


def _wrapped(degrees: float) -> float:
    return (degrees + 180) % 360 - 180
