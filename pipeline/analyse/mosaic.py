"""What is left of a face that is hidden: a handful of mean colours. Works on the planes of a picture as it is coded.

A blur alone is a convolution, and can be turned back in large part; a fine mosaic can be told from others of a small
group, and a grid that wanders over a face samples it anew in every picture. So: so few fields that a face is two or
three of them wide, their means cut to few levels, taken anew only twice a second, and smeared so that nobody takes the
edges for features. The smear works on the means alone; nothing of the picture below comes back through it.
Source: R. McPherson et al., Defeating Image Obfuscation with Deep Learning, arXiv:1609.00408.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.analyse.covers import Box

FIELDS: Final = 4
"""Across and down a box that was grown beyond the face (covers.GROW): the face itself is about two and a half."""
LEVEL: Final = 16
"""Steps of a mean's value: 16 of 256."""
ANEW_S: Final = 0.5
_LEAST_PX: Final = 4
"""Side of a field: a box that is smaller than this times FIELDS has fewer of them."""

Values: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Plane:
    """values: (height, width) uint8, changed in place. wide, high: pixels of the picture that a value stands for."""

    values: Values
    wide: int = 1
    high: int = 1


class Mosaic:
    """Of one file, its pictures in order. Memory: some hundred bytes for each box that is under way."""

    def __init__(self) -> None:
        self._means: dict[str, tuple[float, list[Values]]] = {}

    def cover(self, planes: Sequence[Plane], boxes: Sequence[tuple[str, Box]], at_s: float) -> None:
        """Hide what lies in these boxes. boxes: each by the name of its path. What lies outside stays as it is."""
        self._means = {name: known for name, known in self._means.items() if at_s - known[0] < ANEW_S}
        wide, high = max(plane.wide for plane in planes), max(plane.high for plane in planes)
        areas = [(name, _even(box, wide, high)) for name, box in boxes]
        for name, area in areas:  # all means before the first is drawn: where boxes overlap, none is made of another
            if name not in self._means:
                parts = [_part(plane, area) for plane in planes]
                if all(part.size for part in parts):
                    self._means[name] = (at_s, [means_of(part) for part in parts])
        for name, area in areas:
            if name in self._means:
                for plane, means in zip(planes, self._means[name][1], strict=True):
                    _draw(_part(plane, area), means)


def means_of(values: Values) -> Values:
    """At most FIELDS by FIELDS means, each the middle of its level."""
    size = (_fields(values.shape[1]), _fields(values.shape[0]))
    means = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(means // LEVEL * LEVEL + LEVEL // 2, np.uint8)


def _fields(side: int) -> int:
    return max(1, min(FIELDS, side // _LEAST_PX))


def _draw(part: Values, means: Values) -> None:
    """The means over the whole part, smeared by the size of a field."""
    if not part.size:
        return
    high, wide = part.shape
    fields = cv2.resize(means, (wide, high), interpolation=cv2.INTER_NEAREST)
    smear = (max(1, wide // FIELDS), max(1, high // FIELDS))
    part[:] = cv2.blur(fields, smear, borderType=cv2.BORDER_REPLICATE)


def _even(box: Box, wide: int, high: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom), outwards to where a value of every plane begins."""
    return (
        floor(box.left / wide) * wide, floor(box.top / high) * high,
        ceil(box.right / wide) * wide, ceil(box.bottom / high) * high,
    )  # fmt: skip


def _part(plane: Plane, area: tuple[int, int, int, int]) -> Values:
    """A view; empty where the area lies outside the picture."""
    left, top, right, bottom = (max(0, each) for each in area)
    return plane.values[
        top // plane.high : -(-bottom // plane.high), left // plane.wide : -(-right // plane.wide)
    ]  # fmt: skip
