"""What a reader of text in pictures is to the rest of the program, and what it gives back. Loads nothing."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""(h, w, 3) uint8, blue, green, red; or (h, w) uint8, luma."""

Corners: TypeAlias = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""x, y in pixels of the picture, clockwise as the picture lies: the first is top left unless the line stands steep."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text as it was read. confidence: 0..1, the mean over its characters; not calibrated."""

    text: str
    confidence: float
    corners: Corners

    @property
    def height(self) -> float:
        """Of the box, in pixels; the shorter of its sides' means, since lines may stand."""
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = self.corners
        across = np.hypot(bx - ax, by - ay) + np.hypot(cx - dx, cy - dy)
        down = np.hypot(dx - ax, dy - ay) + np.hypot(cx - bx, cy - by)
        return float(min(across, down) / 2)


@dataclass(frozen=True, slots=True)
class ReaderAbilities:
    """What a reader can do, declared, never probed. name, version: as in configs/models.yaml."""

    name: str
    version: str
    languages: tuple[str, ...]

    @property
    def label(self) -> str:
        """As results carry it: name@version."""
        return f"{self.name}@{self.version}"


class TextReader(Protocol):
    """Pictures to lines of text. Not thread-safe: one thread calls it."""

    @property
    def abilities(self) -> ReaderAbilities: ...

    def read(self, picture: Picture) -> list[Line]:
        """The lines that were found, from top to bottom; none where there is no text.

        Raises: ModelFailed: the picture is none, or the engine refused it.
        """
        ...
