"""Numbers of a key frame's luma: light, structure, sharpness, and what changed since the one before. Judges nothing.

All of it is measured on a picture whose longer side is at most 480 px, and without its top and bottom eighth, where
body cameras burn in the time: a covered lens under a sharp clock is covered all the same.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Final, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from models.signal.turns import TurnMeter

Luma: TypeAlias = NDArray[np.uint8]
"""(height, width); limited or full range; of more than 8 bits the upper 8."""
Thumb: TypeAlias = NDArray[np.uint8]
"""(h, w): the picture at a longer side of at most 480 px, as `measure` gives it."""

Number = TypeVar("Number", bound=np.generic)
SMALLEST: Final = 16
_SIDE: Final = 480
_CELLS: Final = 16  # a longer side is cut into this many cells, in which edges are looked for
_TILES: Final = 48  # and into this many tiles, whose mean light is compared with the tiles around
_CHANGE: Final = 4.0  # levels of a tile; coding anew takes up to 4 (QP 40)
_BAND: Final = 8  # the eighth above and below that is left out
_CLIP: Final = 232  # limited range clips at 235, and coding takes some of it back
_DETAIL: Final = 2.0
"""Levels by which a tile differs from the mean around it to be structure. Coding leaves up to 1 in a flat tile (QP 40);
sensor noise is averaged away, 100 px and more a tile at 480 px."""
_CONTRAST: Final = 24.0
"""Levels between the darkest and the brightest of a cell to be an edge: noise of 4 levels spans 10 after the mean."""
_SHARP: Final = 0.0125
"""Width of an edge, as a share of the longer side (6 px of 480, 24 of 1920), up to which it is sharp: a face two
metres away is some 60 px of 1920 wide, and has no eyes beyond that."""


@dataclass(frozen=True, slots=True)
class PictureRow:
    """What is kept of a key frame. Levels: 0..255 of luma. Shares: 0..1 of the middle of the picture.

    mean, low, high: mean, 1st and 99th percentile. clipped: share at the upper end. structure: share of tiles that
    differ from those around. edged: share of cells with an edge in them; sharp: with a sharp one.

    Beside the key frame before, and -1 where there is none: motion: levels by which the tile that changed most did;
    changed: share of tiles that did by more than 4; same: share of pixels that did not at all.

    Beside one of the three key frames before, whatever was missed between: turn: degrees by which it is turned, 0..360;
    agreed: places in the picture that say so, 0 where it is not found again; back: which of them, 1 is the one before.
    """

    mean: float
    low: float
    high: float
    clipped: float
    structure: float
    edged: float
    sharp: float
    motion: float = -1.0
    changed: float = -1.0
    same: float = -1.0
    turn: float = 0.0
    agreed: float = 0.0
    back: float = 0.0

    def values(self) -> tuple[float, ...]:
        """In the order of the fields."""
        return astuple(self)

    @staticmethod
    def names() -> tuple[str, ...]:
        return tuple(each.name for each in fields(PictureRow))

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "PictureRow":
        """Raises: ValueError: not as many as there are fields."""
        if len(values) != _NUMBERS:
            raise ValueError(f"{len(values)} numbers of a picture, {_NUMBERS} are wanted")
        return cls(*values)


_NUMBERS: Final = len(fields(PictureRow))


class PictureMeter:
    """Rows of one stream's key frames, each beside the one before."""

    def __init__(self) -> None:
        self._previous: Thumb | None = None
        self._turns = TurnMeter()

    def measure(self, luma: Luma) -> PictureRow:
        """Raises: ValueError: a side is shorter than 16 px."""
        row, self._previous = measure(luma, self._previous)
        turn = self._turns.measure(_middle(self._previous))
        return replace(row, turn=turn.degrees, agreed=float(turn.agreed), back=float(turn.back))

    def gap(self) -> None:
        """What comes next does not follow what came; the place may be found again all the same."""
        self._previous = None


def measure(luma: Luma, previous: Thumb | None) -> tuple[PictureRow, Thumb]:
    """The row of one picture, but its turn, and what the next is compared with. previous: of another size is none.

    Raises: ValueError: a side is shorter than 16 px.
    Source: width of edges as a measure of blur: Marziliano et al., ICIP 2002.
    """
    if luma.ndim != 2 or min(luma.shape) < SMALLEST:
        raise ValueError(f"a picture of {luma.shape}: luma of two sides of at least {SMALLEST} px is wanted")
    thumb = _fit(luma, _SIDE)
    middle = _middle(thumb)
    counts = np.cumsum(cv2.calcHist([middle], [0], None, [256], [0, 256]).ravel(), dtype=np.float64) / middle.size
    tiles = _fit(middle, _TILES).astype(np.float32)
    around = cv2.blur(tiles, (3, 3), borderType=cv2.BORDER_REFLECT_101)
    edged, sharp = _edges(middle, max(thumb.shape))
    row = PictureRow(
        float(cv2.mean(middle)[0]),
        float(np.searchsorted(counts, 0.01)),
        float(np.searchsorted(counts, 0.99)),
        float(1 - counts[_CLIP - 1]),
        float((np.abs(tiles - around) >= _DETAIL).mean()),
        edged,
        sharp,
        *(_beside(middle, tiles, _middle(previous)) if previous is not None and previous.shape == thumb.shape else ()),
    )
    return row, thumb


def _edges(middle: Luma, longer: int) -> tuple[float, float]:
    """Shares of cells with an edge, and with a sharp one: an edge is as wide as its contrast is to its slope."""
    side = min(max(4, longer // _CELLS), *middle.shape)
    rows, columns = middle.shape[0] // side, middle.shape[1] // side
    smooth = cv2.blur(middle[: rows * side, : columns * side], (3, 3))
    across = cv2.Sobel(smooth, cv2.CV_16S, 1, 0)
    down = cv2.Sobel(smooth, cv2.CV_16S, 0, 1)
    slope = cv2.max(np.abs(across), np.abs(down))

    cells = smooth.reshape(rows, side, columns, side)
    contrast = cells.max(axis=(1, 3)).astype(np.float32) - cells.min(axis=(1, 3))
    steepest = slope.reshape(rows, side, columns, side).max(axis=(1, 3)).astype(np.float32) / 8  # levels a pixel
    is_edge = contrast >= _CONTRAST
    width = max(3.0, _SHARP * longer)  # px; the mean over 3 px alone makes a step about 3 wide
    return float(is_edge.mean()), float((is_edge & (steepest * width >= contrast)).mean())


def _beside(middle: Luma, tiles: NDArray[np.float32], before: Luma) -> tuple[float, float, float]:
    """motion, changed, same."""
    difference = np.abs(tiles - _fit(before, _TILES))
    same = 1 - cv2.countNonZero(cv2.absdiff(middle, before)) / middle.size
    return float(difference.max()), float((difference > _CHANGE).mean()), same


def _middle(plane: NDArray[Number]) -> NDArray[Number]:
    cut = plane.shape[0] // _BAND
    return plane[cut : plane.shape[0] - cut]


def _fit(luma: Luma, side: int) -> Luma:
    height, width = luma.shape
    scale = side / max(height, width)
    if scale >= 1:
        return luma
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)
