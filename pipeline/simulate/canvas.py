"""A small painter: shapes on an RGB surface at twice the size, averaged down to pictures and sprites. No scenes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.picture import Picture, from_rgb

Colour: TypeAlias = tuple[float, float, float]
Point: TypeAlias = tuple[float, float]

_SS: Final = 2
"""Twice the size in each direction smooths the edges."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """A small picture with edges one can see through. y, u, v: int16; alpha 0..256 for luma and, halved, for chroma."""

    y: NDArray[np.int16]
    u: NDArray[np.int16]
    v: NDArray[np.int16]
    alpha: NDArray[np.int16]
    chroma_alpha: NDArray[np.int16]

    def paint(self, picture: Picture, left: int, top: int, bottom_limit: int = 1 << 16) -> None:
        """Lays the sprite onto `picture`, its corner at (left, top) rounded to even; nothing from the limit down."""
        left, top = left & ~1, top & ~1
        height, width = self.y.shape
        x0, x1 = max(left, 0), min(left + width, picture.y.shape[1])
        y0, y1 = max(top, 0), min(top + height, picture.y.shape[0], bottom_limit & ~1)
        if x0 >= x1 or y0 >= y1:
            return
        own = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        _blend(picture.y[y0:y1, x0:x1], self.y[own], self.alpha[own])
        half_own = tuple(slice(part.start // 2, part.stop // 2) for part in own)
        half = (slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2))
        _blend(picture.u[half], self.u[half_own], self.chroma_alpha[half_own])
        _blend(picture.v[half], self.v[half_own], self.chroma_alpha[half_own])


def _blend(under: NDArray[np.uint8], over: NDArray[np.int16], alpha: NDArray[np.int16]) -> None:
    difference = over - under
    difference *= alpha >> 2  # 7 + 6 bits and the sign fit 16 bits
    difference >>= 6
    under += difference.astype(np.uint8)  # modulo 256, which adds negative differences rightly


class Canvas:
    """Coordinates are pixels of the result. `colour` is RGB, 0..1; `alpha` mixes with what is there."""

    def __init__(self, width: int, height: int, colour: Colour | None = None) -> None:
        """Both sides even. Without a colour everything is transparent until painted."""
        self.rgb = np.zeros((height * _SS, width * _SS, 3), np.float32)
        self.cover = np.zeros((height * _SS, width * _SS), np.float32)
        if colour is not None:
            self.rgb[:] = colour
            self.cover[:] = 1

    def rect(self, x: float, y: float, width: float, height: float, colour: Colour, alpha: float = 1.0) -> None:
        rows = slice(max(0, round(y * _SS)), max(0, round((y + height) * _SS)))
        columns = slice(max(0, round(x * _SS)), max(0, round((x + width) * _SS)))
        area = self.rgb[rows, columns]
        area += (np.array(colour, np.float32) - area) * np.float32(alpha)
        np.maximum(self.cover[rows, columns], alpha, out=self.cover[rows, columns])

    def gradient(self, y0: float, y1: float, top: Colour, bottom: Colour) -> None:
        """The whole width between y0 and y1, from one colour to the other."""
        rows = slice(round(y0 * _SS), round(y1 * _SS))
        steps = np.linspace(0, 1, self.rgb[rows].shape[0], dtype=np.float32)[:, None, None]
        self.rgb[rows] = np.array(top, np.float32) * (1 - steps) + np.array(bottom, np.float32) * steps
        self.cover[rows] = 1

    def ellipse(self, x: float, y: float, radius_x: float, radius_y: float, colour: Colour, alpha: float = 1.0) -> None:
        """Around (x, y)."""
        box = self._box(x - radius_x, y - radius_y, x + radius_x, y + radius_y)
        across, down = self._grid(box)
        self._fill(box, ((across - x) / radius_x) ** 2 + ((down - y) / radius_y) ** 2 <= 1, colour, alpha)

    def polygon(self, points: Sequence[Point], colour: Colour, alpha: float = 1.0) -> None:
        """Filled by the even-odd rule."""
        box = self._box(*map(min, zip(*points, strict=True)), *map(max, zip(*points, strict=True)))
        across, down = self._grid(box)
        inside = np.zeros(np.broadcast_shapes(across.shape, down.shape), bool)
        for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
            if y0 == y1:
                continue
            crosses = (down >= min(y0, y1)) & (down < max(y0, y1))
            inside ^= crosses & (across < x0 + (down - y0) * ((x1 - x0) / (y1 - y0)))
        self._fill(box, inside, colour, alpha)

    def limb(self, start: Point, end: Point, width: float, colour: Colour) -> None:
        """A thick line with round ends."""
        (x0, y0), (x1, y1) = start, end
        length = max(1e-6, ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5)
        across, down = (y1 - y0) / length * width / 2, (x0 - x1) / length * width / 2
        self.polygon(
            [(x0 + across, y0 + down), (x1 + across, y1 + down), (x1 - across, y1 - down), (x0 - across, y0 - down)],
            colour,
        )
        for x, y in (start, end):
            self.ellipse(x, y, width / 2, width / 2, colour)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Light that fades to nothing at `radius`; it adds, and it covers where nothing was painted."""
        box = self._box(x - radius, y - radius, x + radius, y + radius)
        across, down = self._grid(box)
        distance = np.sqrt((across - x) ** 2 + (down - y) ** 2) / radius
        light = (np.clip(1 - distance, 0, 1) ** 2 * strength).astype(np.float32)
        self.rgb[box] += light[..., None] * np.array(colour, np.float32)
        self.cover[box] = np.maximum(self.cover[box], light)

    def puff(self, x: float, y: float, radius: float, colour: Colour, alpha: float) -> None:
        """A soft cloud on a transparent canvas."""
        box = self._box(x - radius, y - radius, x + radius, y + radius)
        across, down = self._grid(box)
        thick = np.clip(1 - ((across - x) ** 2 + (down - y) ** 2) / radius**2, 0, 1).astype(np.float32) * alpha
        self.rgb[box] = colour
        self.cover[box] = np.maximum(self.cover[box], thick)

    def sign(self, x: float, y: float, size: float, colour: Colour, random: np.random.Generator) -> None:
        """One square of strokes that looks like a written character from afar and means nothing."""
        stroke = max(0.5, size / 9)
        for row in sorted(random.choice(5, 3, replace=False)):
            inset = random.uniform(0, 0.25) * size
            self.rect(x + inset, y + (row + 0.2) * size / 5, size - 2 * inset, stroke, colour)
        for column in random.choice([0.1, 0.45, 0.8], 2, replace=False):
            top = random.uniform(0, 0.35) * size
            self.rect(x + column * size, y + top, stroke, size - top, colour)
        if random.random() < 0.6:
            self.limb((x + size * 0.5, y + size * 0.55), (x + size * 0.92, y + size * 0.95), stroke, colour)

    def grain(self, strength: float, random: np.random.Generator) -> None:
        """Small unevenness, which keeps flat areas from looking like plastic."""
        shape = (self.rgb.shape[0] // 4, self.rgb.shape[1] // 4, 1)
        coarse = random.standard_normal(shape).astype(np.float32) * strength
        self.rgb += coarse.repeat(4, axis=0).repeat(4, axis=1)[: self.rgb.shape[0], : self.rgb.shape[1]]

    def to_picture(self) -> Picture:
        return from_rgb(np.clip(self._small(self.rgb), 0, 1))

    def to_sprite(self) -> Sprite:
        cover = self._small(self.cover[..., None])
        rgb = self._small(self.rgb * self.cover[..., None]) / np.maximum(cover, 1e-3)
        flat = from_rgb(np.clip(rgb, 0, 1))
        alpha = np.clip(np.rint(cover[..., 0] * 256), 0, 256).astype(np.int16)
        halved = alpha.reshape(alpha.shape[0] // 2, 2, alpha.shape[1] // 2, 2).mean((1, 3))
        return Sprite(
            flat.y.astype(np.int16), flat.u.astype(np.int16), flat.v.astype(np.int16), alpha, halved.astype(np.int16)
        )

    def _small(self, large: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width, depth = large.shape
        small = large.reshape(height // _SS, _SS, width // _SS, _SS, depth).mean((1, 3))
        return np.asarray(small, np.float32)

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[slice, slice]:
        height, width = self.cover.shape
        return (
            slice(min(max(0, int(y0 * _SS)), height), min(max(0, int(y1 * _SS) + 2), height)),
            slice(min(max(0, int(x0 * _SS)), width), min(max(0, int(x1 * _SS) + 2), width)),
        )

    def _grid(self, box: tuple[slice, slice]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rows, columns = box
        return (
            ((np.arange(columns.start, columns.stop) + 0.5) / _SS)[None, :],
            ((np.arange(rows.start, rows.stop) + 0.5) / _SS)[:, None],
        )

    def _fill(self, box: tuple[slice, slice], inside: NDArray[np.bool_], colour: Colour, alpha: float) -> None:
        weight = inside.astype(np.float32) * np.float32(alpha)
        area = self.rgb[box]
        area += (np.array(colour, np.float32) - area) * weight[..., None]
        np.maximum(self.cover[box], weight, out=self.cover[box])
