"""A face turned, moved and scaled so that its eyes, nose and mouth lie where embedders were trained to see them.

The same weights gave 82 % of LFW without and 99 % with it (OpenCV Zoo, pull request 72).
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.base import CROP_PX, Picture
from pipeline.errors import ModelFailed

REFERENCE: Final[NDArray[np.float32]] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where the five points of a Found lie in a crop. Source: insightface, utils/face_align.py, arcface_dst."""


def aligned(picture: Picture, points: NDArray[np.float32]) -> Picture:
    """(112, 112, 3) uint8, black where the picture ends.

    A large face is first made smaller by area: a warp alone picks single pixels out of it, and leaves jagged edges.

    Raises: ModelFailed: the points are no face's (not finite, or all in one place).
    """
    matrix = similarity(points)
    (left, top), step = _corner(picture, matrix), int(1 / np.hypot(matrix[0, 0], matrix[1, 0]))
    if step > 1:
        right, bottom = _corner(picture, matrix, is_far=True)
        columns, rows = (right - left) // step, (bottom - top) // step
        if columns > 0 and rows > 0:
            part = picture[top : top + rows * step, left : left + columns * step]
            picture = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
            middle = (step - 1) / 2
            matrix = matrix @ np.array([[step, 0, middle + left], [0, step, middle + top], [0, 0, 1]])
    return np.asarray(cv2.warpAffine(picture, matrix, (CROP_PX, CROP_PX)), np.uint8)


def similarity(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """(2, 3): from the picture into the crop, the least squares' turn, scale and shift; never mirrored.

    Raises: ModelFailed. Source: Umeyama, doi:10.1109/34.88573; in the plane a turn and a scale are one complex number.
    """
    given, wanted = _complex(np.asarray(points, np.float64)), _complex(REFERENCE.astype(np.float64))
    spread = given - given.mean()
    size = float(np.square(np.abs(spread)).sum())
    if not np.isfinite(size) or size < 1:
        raise ModelFailed("these points are no face's; nothing can be aligned by them")
    turn = complex(np.vdot(spread, wanted - wanted.mean())) / size
    shift = complex(wanted.mean()) - turn * complex(given.mean())
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def outline(matrix: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2): where these points of the crop, (n, 2), lie in the picture."""
    turn = matrix[:, :2]
    return np.asarray((corners - matrix[:, 2]) @ np.linalg.inv(turn).T, np.float64)


_CORNERS: Final = np.array([[-1, -1], [CROP_PX, -1], [CROP_PX, CROP_PX], [-1, CROP_PX]], np.float64)


def _corner(picture: Picture, matrix: NDArray[np.float64], *, is_far: bool = False) -> tuple[int, int]:
    """x, y of the part of the picture that comes into the crop: its top left, or what lies just behind its far end."""
    around = outline(matrix, _CORNERS)
    height, width = picture.shape[:2]
    ends = np.ceil(around.max(axis=0)) + 1 if is_far else np.floor(around.min(axis=0))
    return int(ends[0].clip(0, width)), int(ends[1].clip(0, height))


def _complex(points: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(points[:, 0] + 1j * points[:, 1], np.complex128)
