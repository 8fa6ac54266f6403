"""How well a face can be seen: how large, sharp, turned, lit, and whether the picture cuts it off.

Knows the picture, the five points and the crop; no model, and nothing of who it is. A bound is where likeness to the
undamaged picture of the same face (1.0) has begun to fall: seven looks at two people, made worse on purpose, compared
by MobileFaceNet. They are measured on few and good pictures, and are no standard's. Not judged: a face that looks up or
down, a covered one (mask, hand), noise, and whether it is a picture of a picture.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.align import REFERENCE, outline, similarity
from models.face.base import Found, Picture, Quality

LEAST_SIZE_PX: Final = 16.0
"""Likeness 0.97 at 20 px, 0.93 at 16, 0.88 at 14, 0.67 at 10; in a crop it is 35."""
LEAST_SHARPNESS: Final = 0.3
"""Out of focus by a Gaussian of 1.5 px of the crop: 0.2 to 0.5 (likeness 0.84); of 2 px: 0.1 to 0.3 (0.62). Smeared
over a quarter of the distance of the eyes: 0.1 to 0.3 (0.71). A face of 16 px, as sharp as can be: 0.4 to 1."""
MOST_YAW: Final = 0.6
"""By geometry 35 to 40 degrees: the tip of the nose stands about 23 mm before the plane of eyes and mouth, the eyes
62 mm apart. The test pictures hold nothing between 0.45 (likeness as usual) and 0.65."""
LEAST_LIGHT: Final = 40.0
"""With a camera's noise of 3 steps: likeness 0.95 at 67, 0.82 at 40, 0.60 at 27."""
MOST_LIGHT: Final = 210.0
"""Overexposed: likeness 0.98 at 190, 0.87 at 220, 0.74 at 234."""
LEAST_CONTRAST: Final = 10.0
"""Likeness 0.95 at 19, 0.77 at 11, 0.47 at 7.5."""
MOST_OUTSIDE: Final = 0.05
"""Share of the face that lies outside the picture; half an eye is more."""

_FACE: Final = (slice(24, 104), slice(20, 92))
"""Rows and columns of a crop that hold face and hardly anything else, from the brows to the chin."""
_SMOOTHED_PX: Final = 0.8
"""Or grain and JPEG's blocks would pass for sharpness."""
_SMALLEST: Final = 1e-6


@dataclass(frozen=True, slots=True)
class _Ramp:
    """0 at `nothing` and beyond it, 1 at `whole` and beyond that."""

    nothing: float
    whole: float

    def __call__(self, value: float) -> float:
        return float(np.clip((value - self.nothing) / (self.whole - self.nothing), 0, 1))


_SIZE: Final = _Ramp(6, 24)
_SHARPNESS: Final = _Ramp(0, 0.8)
_YAW: Final = _Ramp(1.2, 0.3)
_DARK: Final = _Ramp(5, 70)
_BRIGHT: Final = _Ramp(250, 190)
_CONTRAST: Final = _Ramp(2, 20)
_INSIDE: Final = _Ramp(0.3, 0)


def judged(picture: Picture, found: Found, crop: Picture) -> Quality:
    """crop: of this face in this picture, by align.aligned.

    value: the product of how far each measure is from its worst. It orders looks and weighs them; no probability.
    Raises: ModelFailed: the points are no face's.
    """
    luma = _luma(crop)
    size_px, yaw, sharp = _size_px(found.points), _yaw(found.points), sharpness(crop)
    light, contrast, outside = float(luma.mean()), float(luma.std()), _outside(picture, found.points)
    is_flat = contrast < LEAST_CONTRAST
    faults = {
        "too_small": size_px < LEAST_SIZE_PX,
        "blurred": sharp < LEAST_SHARPNESS,
        "turned": yaw > MOST_YAW,
        "too_dark": light < LEAST_LIGHT or (is_flat and light < _MIDDLE),
        "too_bright": light > MOST_LIGHT or (is_flat and light >= _MIDDLE),
        "cut_off": outside > MOST_OUTSIDE,
    }
    parts = _SIZE(size_px), _SHARPNESS(sharp), _YAW(yaw), _DARK(light), _BRIGHT(light), _CONTRAST(contrast)
    value = float(np.prod(parts)) * _INSIDE(outside)
    return Quality(
        size_px, sharp, min(yaw, 1.0), light, contrast, value, tuple(name for name in faults if faults[name])
    )


_MIDDLE: Final = 128


def sharpness(crop: Picture) -> float:
    """How much fine detail there is, in per cent of the variance of luma, so that neither light nor contrast counts.

    The Laplacian is the second difference along the rows plus that along the columns. The variance of each is taken by
    itself, and the lower counts: what a moving camera smears stays sharp across the movement.
    """
    luma = cv2.GaussianBlur(_luma(crop), (0, 0), _SMOOTHED_PX)
    along = np.diff(luma, 2, axis=1).var(), np.diff(luma, 2, axis=0).var()
    return float(min(along) / max(float(luma.var()), _SMALLEST) * 100)


def _luma(crop: Picture) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)[_FACE], np.float32)


def _size_px(points: NDArray[np.float32]) -> float:
    """Between the eyes, or what the distance from eyes to mouth says of it: that one no turn of the head shortens."""
    eyes, height = _spans(points)
    wanted_eyes, wanted_height = _spans(REFERENCE)
    return max(eyes, height * wanted_eyes / wanted_height)


def _spans(points: NDArray[np.float32]) -> tuple[float, float]:
    """Between the eyes; from the middle of the eyes to the middle of the mouth."""
    eyes, down = points[1] - points[0], (points[3] + points[4] - points[0] - points[1]) / 2
    return float(np.linalg.norm(eyes)), float(np.linalg.norm(down))


def _yaw(points: NDArray[np.float32]) -> float:
    """How far the tip of the nose lies beside the middle of eyes and mouth, in half distances of the eyes."""
    eyes = points[1] - points[0]
    aside = points[2] - (points[0] + points[1] + points[3] + points[4]) / 4
    return 2 * abs(float(aside @ eyes)) / max(float(eyes @ eyes), _SMALLEST)


def _outside(picture: Picture, points: NDArray[np.float32]) -> float:
    at = outline(similarity(points), _MARKS)
    height, width = picture.shape[:2]
    is_in = (at >= -0.5).all(axis=1) & (at[:, 0] <= width - 0.5) & (at[:, 1] <= height - 0.5)
    return 1 - float(is_in.mean())


_MARKS: Final[NDArray[np.float64]] = np.stack(
    np.meshgrid(np.linspace(20, 92, 19), np.linspace(24, 104, 21)), axis=-1
).reshape(-1, 2)
"""Points all over the face, in pixels of the crop."""
