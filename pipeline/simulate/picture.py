"""A picture as its three planes (YUV 4:2:0, limited range), drawn into in place. Knows no codec and no scene."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

WIDTH = 640
HEIGHT = 360

Plane: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """y: (height, width) uint8, 16 black to 235 white; u, v: (height / 2, width / 2) uint8, 128 is no colour."""

    y: Plane
    u: Plane
    v: Plane

    def copy_from(self, other: "Picture") -> None:
        """Takes over every sample of `other`, which has the same size."""
        np.copyto(self.y, other.y)
        np.copyto(self.u, other.u)
        np.copyto(self.v, other.v)


def blank(width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """A black picture."""
    half = (height // 2, width // 2)
    return Picture(np.full((height, width), 16, np.uint8), np.full(half, 128, np.uint8), np.full(half, 128, np.uint8))


def from_rgb(rgb: NDArray[np.float32]) -> Picture:
    """rgb: (height, width, 3) float32, 0..1, both sides even.

    Source: ITU-R BT.601-7, 2.5; the matrix that players assume at this size.
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    luma = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    small = rgb.reshape(rgb.shape[0] // 2, 2, rgb.shape[1] // 2, 2, 3).mean((1, 3))
    u = 128 - 37.797 * small[..., 0] - 74.203 * small[..., 1] + 112.0 * small[..., 2]
    v = 128 + 112.0 * small[..., 0] - 93.786 * small[..., 1] - 18.214 * small[..., 2]
    return Picture(*(np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in (luma, u, v)))
