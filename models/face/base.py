"""What finding and comparing faces is to the rest of the program: protocols and what flows. Loads nothing.

A vector says how alike two faces look to one model, and nothing else: no feeling, no age, no sex, no descent, ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""(height, width, 3) uint8, blue first."""

Vector: TypeAlias = NDArray[np.float32]
"""(d,) float32, of unit length: the dot product of two is their similarity, -1..1."""

CROP_PX: Final = 112
"""Side of an aligned face, as every embedder of the ArcFace family and SFace take it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A face as a detector found it, in pixels of the picture.

    box: left, top, right, bottom; may lie partly outside the picture. score: 0..1, not calibrated.
    points: (5, 2) float32, x and y: the eye that is left in the picture, the other eye, the tip of the nose, the corner
    of the mouth that is left in the picture, the other corner.
    """

    box: tuple[float, float, float, float]
    points: NDArray[np.float32]
    score: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a face can be seen; judged by models/face/quality.py, where units and bounds are explained.

    size_px: between the eyes, as if the face were straight to the camera. sharpness: see quality.sharpness; 1 to 5 in a
    good picture. yaw: how far the face is turned aside, 0 not at all, 1 half a quarter turn and more. light,
    contrast: mean and standard deviation of luma, 0..255. value: 0..1, the weight of this look in a template. faults:
    of FAULTS; empty where the face may be enrolled.
    """

    size_px: float
    sharpness: float
    yaw: float
    light: float
    contrast: float
    value: float
    faults: tuple[str, ...]


FAULTS: Final = ("too_small", "blurred", "turned", "too_dark", "too_bright", "cut_off")


@dataclass(frozen=True, slots=True)
class Shot:
    """One look at one face. at_s: on the stream's axis. vector: None where it was not worth embedding."""

    at_s: float
    found: Found
    crop: Picture
    quality: Quality
    vector: Vector | None


class FaceDetector(Protocol):
    """Pictures to faces. Not thread-safe: one thread calls it."""

    @property
    def label(self) -> str:
        """As results carry it: name@version."""
        ...

    def detect(self, picture: Picture) -> list[Found]:
        """The faces that were found, the surest first.

        Raises: ModelFailed: the picture is none, or the engine refused it.
        """
        ...


class FaceEmbedder(Protocol):
    """Aligned faces to vectors. Not thread-safe: one thread calls it."""

    @property
    def label(self) -> str:
        """As results carry it: name@version. Vectors of different labels are never compared."""
        ...

    @property
    def size(self) -> int:
        """d, of its vectors."""
        ...

    def embed(self, crops: Sequence[Picture]) -> NDArray[np.float32]:
        """(n, d), rows of unit length, in the crops' order; (0, d) for none. crops: CROP_PX square, by align.aligned.

        Raises: ModelFailed: a crop is none, or the model gave a vector that is not finite, zero or of another size.
        """
        ...
