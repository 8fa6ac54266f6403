"""By how much a picture is turned against those before, in its own plane: from points found again. Judges nothing."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE: Final = 360
"""Px of the longer side. Noise is averaged away, and of a street at night more points are found again than at 480."""
_POINTS: Final = 300  # at most, of a picture; to compare those of two costs 1.5 ms
_CONTRASTS: Final = (10, 3)
"""Levels by which a point differs from the ring around it: what is rich has points enough at the first, what is dark or
bare is searched at the second, where noise gives points too."""
_FEW: Final = 220  # points, below which it is searched again
_DISTANCE: Final = 64  # bits of 256, by which the same point may differ
_BIN: Final = 10  # degrees
_OFF: Final = 25  # degrees, by which a point's own turn may differ from that of most
_NEAR: Final = 3.0  # px beside the place where the turn puts a point
_CELL: Final = 12
"""Px: points in one cell count as one. A lamp at night has ten points, and they fit another lamp's at any angle."""
_ENOUGH: Final = 12  # cells: older pictures need not be asked
_LINKED: Final = 6  # cells: so many agree by chance once in some hours of key frames
_BACK: Final = 3  # pictures before


@dataclass(frozen=True, slots=True)
class Turn:
    """degrees: 0..360, clockwise. agreed: cells in which a point is where the turn puts it. back: how many pictures ago
    the other was."""

    degrees: float
    agreed: int
    back: int


NOT_FOUND: Final = Turn(0.0, 0, 0)


@dataclass(slots=True)
class _Points:
    """at: (n, 2) px. degrees: (n,), which way each looks. bits: (n, 32) of what it looks like."""

    at: NDArray[np.float32]
    degrees: NDArray[np.float32]
    bits: NDArray[np.uint8]
    is_linked: bool = False


class TurnMeter:
    """Of one stream. Source: ORB, Rublee et al., ICCV 2011; RANSAC, Fischler and Bolles, CACM 24 (1981)."""

    def __init__(self) -> None:
        self._finders = [
            cv2.ORB.create(
                nfeatures=_POINTS, scaleFactor=1.3, nlevels=3, edgeThreshold=16, patchSize=31, fastThreshold=contrast
            )
            for contrast in _CONTRASTS
        ]
        self._before: deque[_Points] = deque(maxlen=_BACK)

    def measure(self, plane: NDArray[np.uint8]) -> Turn:
        """Against that of the three pictures before with which most agrees; the nearest that is enough decides."""
        now, found = self._points(plane), NOT_FOUND
        for back, then in enumerate(reversed(self._before), 1):
            found = max(found, _between(then, now, back), key=lambda turn: turn.agreed)
            if then.is_linked and found.agreed >= _ENOUGH:
                break
        now.is_linked = found.agreed >= _LINKED
        self._before.append(now)
        return found

    def _points(self, plane: NDArray[np.uint8]) -> _Points:
        scale = _SIDE / max(plane.shape)
        small = cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else plane
        for finder in self._finders:
            points, bits = finder.detectAndCompute(small, None)
            if len(points) >= _FEW:
                break
        at = np.array([each.pt for each in points], np.float32).reshape(-1, 2)
        looks = np.zeros((0, 32), np.uint8) if bits is None else np.asarray(bits, np.uint8)
        return _Points(at, np.array([each.angle for each in points], np.float32), looks)


def _between(then: _Points, now: _Points, back: int) -> Turn:
    if min(len(then.at), len(now.at)) < _LINKED:
        return NOT_FOUND
    old, new = _pairs(then.bits, now.bits)
    alike = _alike((now.degrees[new] - then.degrees[old]) % 360)
    old, new = old[alike], new[alike]
    if len(old) < _LINKED:
        return NOT_FOUND
    matrix, fits = cv2.estimateAffinePartial2D(
        then.at[old], now.at[new], method=cv2.RANSAC, ransacReprojThreshold=_NEAR, maxIters=1000, confidence=0.99
    )
    if matrix is None or not 0.5 < float(np.hypot(matrix[0, 0], matrix[1, 0])) < 2:
        return NOT_FOUND
    is_in = fits.ravel() > 0
    degrees = float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))) % 360
    return Turn(degrees, min(_cells(then.at[old][is_in]), _cells(now.at[new][is_in])), back)


def _pairs(then: NDArray[np.uint8], now: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Each point of now with the one of then that is most like it, of those that are like no other more."""
    distance, nearest = cv2.batchDistance(then, now, dtype=cv2.CV_32S, normType=cv2.NORM_HAMMING, K=1)
    order = np.argsort(distance.ravel(), kind="stable")
    order = order[distance.ravel()[order] <= _DISTANCE]
    new, first = np.unique(nearest.ravel()[order], return_index=True)
    return order[first], new.astype(np.intp)


def _alike(degrees: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Those that are turned as most are."""
    counts = np.bincount((degrees // _BIN).astype(np.intp) % (360 // _BIN), minlength=360 // _BIN)
    around = sum(np.roll(counts, step) for step in (-2, -1, 0, 1, 2))
    most = (float(np.argmax(around)) + 0.5) * _BIN
    return np.asarray(np.abs((degrees - most + 180) % 360 - 180) <= _OFF, np.bool_)


def _cells(at: NDArray[np.float32]) -> int:
    return len(np.unique(at // _CELL, axis=0))
