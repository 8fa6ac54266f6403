"""Which of many pictures are worth reading: a cheap look for a sharp sheet with signs on it. Reads nothing itself."""

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH: Final = 640
"""Pixels to which the longer side is scaled down: strokes on a card held up are still there."""
_STROKES: Final = 9
"""Pixels: the widest stroke that counts as of a sign."""
_STROKE_DEPTH: Final = 22
"""Levels of luma by which a stroke differs from its ground."""
_NARROWEST: Final = 4 * _STROKES
_LEAST_SHARE: Final = 0.01
_MOST_SHARE: Final = 0.7
"""Of the picture's area, for a sheet."""
_LEAST_FULL: Final = 0.72
"""Of its upright or tilted rectangle, for an outline to be a sheet's: fingers and perspective take from it."""
_DENSE: Final = 0.12
"""Share of strokes in a sheet that is written all over."""
_NO_SHEET: Final = 0.05
"""What a picture without a sheet counts beside one full of it: fingers may hide an outline, sharpness still tells."""
_HALF: Final = 100.0
"""Where the scale of 0..1 has its middle; it orders nothing."""


def worth_reading(luma: NDArray[np.uint8]) -> float:
    """0..1: for ranking pictures of one camera, of a minute or so, by how likely a card or sheet is read in them.

    luma: (h, w). It is how sharp the picture is (variance of the Laplacian, scaled down), times the best sheet in it:
    the root of its share of the area, by how densely it is written.
    """
    small = _small(luma)
    if min(small.shape) < _NARROWEST:
        return 0.0
    strokes, best = _strokes(small), 0.0
    for (left, top, width, height), share in _sheets(small):
        inside = strokes[top : top + height, left : left + width]
        density = float(np.count_nonzero(inside)) / inside.size
        best = max(best, float(np.sqrt(share)) * min(density / _DENSE, 1.0))
    worth = (_NO_SHEET + best) * float(cv2.Laplacian(small, cv2.CV_64F).var())
    return worth / (worth + _HALF)


def chosen(worths: Iterable[tuple[float, float]], most: int = 4, apart_s: float = 1.5) -> list[float]:
    """Of (seconds, worth) at most `most` moments, worth most first, none nearer than `apart_s` to a better one."""
    kept: list[float] = []
    for at_s, worth in sorted(worths, key=lambda each: (-each[1], each[0])):
        if len(kept) < most and worth > 0 and all(abs(at_s - other) >= apart_s for other in kept):
            kept.append(at_s)
    return kept


def _small(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = _WIDTH / max(luma.shape) if luma.size else 1.0
    if scale >= 1:
        return luma
    height, width = (max(1, round(side * scale)) for side in luma.shape)
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _strokes(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """255 where something narrow is much darker or brighter than its ground."""
    kernel = np.ones((_STROKES, _STROKES), np.uint8)
    dark = cv2.morphologyEx(luma, cv2.MORPH_BLACKHAT, kernel)
    bright = cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, kernel)
    return np.asarray((np.maximum(dark, bright) >= _STROKE_DEPTH) * np.uint8(255), np.uint8)


def _sheets(luma: NDArray[np.uint8]) -> Iterable[tuple[tuple[int, int, int, int], float]]:
    """Upright boxes (left, top, width, height) around outlines that fill a rectangle, with their share of the area."""
    edges = cv2.dilate(cv2.Canny(cv2.GaussianBlur(luma, (5, 5), 0), 30, 90), np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    for outline in outlines:
        hull = cv2.convexHull(outline)
        area = cv2.contourArea(hull)
        share = area / luma.size
        if not _LEAST_SHARE <= share <= _MOST_SHARE or cv2.contourArea(outline) < 0.6 * area:
            continue
        (_, (width, height), _) = cv2.minAreaRect(hull)
        if area >= _LEAST_FULL * width * height and max(width, height) <= 4 * min(width, height):
            left, top, wide, tall = cv2.boundingRect(hull)
            yield (left, top, wide, tall), share
