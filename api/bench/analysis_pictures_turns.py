"""A worn camera that slips and hangs the other way, and what only looks like it: drawn, from a seed."""

from collections.abc import Iterator
from math import cos, pi, sin
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from api.bench.analysis_pictures_scenes import AROUND, HEIGHT, WIDTH, WORLD_H, WORLD_W, Footage, Luma

_MOMENTS: Final = 7  # of an open shutter, of which a picture of a turn is made up
_SWINGS: Final = 5.0  # degrees, by which what hangs swings
PATTERNS: Final = ("tiles", "windows", "bricks", "chess", "dots", "bars")
"""Each looks the same when it is turned upside down."""
HARMLESS_S: Final = 120
_PLACES: Final = ("shop", "street", "corridor", "crowd", "office", "running", "night", "kitchen")


class Slip:
    """From upright to `degrees` at start_s and back at end_s: half of the turn is over then.

    It takes 0.2 to 1 s, and the camera then looks elsewhere: up to 15 % of the picture's width and 25 % of its height.
    """

    def __init__(self, rng: np.random.Generator, degrees: float, start_s: float, end_s: float) -> None:
        self._degrees = degrees * float(rng.choice([-1, 1]))
        self._start_s, self._end_s = start_s, end_s
        self._takes_s = float(rng.uniform(0.2, 1.0))
        self._aside = float(rng.uniform(-0.15, 0.15)) * WIDTH, float(rng.uniform(-0.25, 0.25)) * HEIGHT

    def seen(self, view: NDArray[np.float32], t: float, shutter_s: float) -> NDArray[np.float32]:
        """Smeared where it turns while the shutter is open."""
        if abs(self._share(t + shutter_s) - self._share(t)) * abs(self._degrees) < 0.3:
            return self._turned(view, t)
        moments = [self._turned(view, t + shutter_s * each / _MOMENTS) for each in range(_MOMENTS)]
        return np.asarray(np.mean(moments, axis=0), np.float32)

    def _share(self, t: float) -> float:
        begun, ended = ((t - each) / self._takes_s + 0.5 for each in (self._start_s, self._end_s))
        return min(1.0, max(0.0, begun)) - min(1.0, max(0.0, ended))

    def _turned(self, view: NDArray[np.float32], t: float) -> NDArray[np.float32]:
        share = self._share(t)
        a = share * (self._degrees + _SWINGS * sin(4 * t)) * pi / 180
        c, s = cos(a), sin(a)
        x, y = AROUND + WIDTH / 2 + share * self._aside[0], AROUND + HEIGHT / 2 + share * self._aside[1]
        matrix = np.array(
            [[c, -s, x - c * WIDTH / 2 + s * HEIGHT / 2], [s, c, y - s * WIDTH / 2 - c * HEIGHT / 2]], np.float32
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        turned = cv2.warpAffine(view, matrix, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(turned, np.float32)


def harmless(number: int, seed: int) -> Iterator[tuple[float, Luma]]:
    """Two minutes, a picture a second, of somebody who leans by 30 to 95 degrees now and then; every second stream is
    before a pattern."""
    rng = np.random.default_rng([seed + number, 21])
    place = _PLACES[number // 2 % len(_PLACES)]
    world = _pattern(PATTERNS[number // 2 % len(PATTERNS)], rng) if number % 2 else None
    footage, turn, next_s = Footage(place, seed + number, world), None, float(rng.uniform(4, 10))
    for second in range(HARMLESS_S):
        if second >= next_s - 1:
            end_s = next_s + float(rng.uniform(2, 6))
            turn = Slip(rng, float(rng.uniform(30, 95)), next_s, end_s)
            next_s = end_s + float(rng.uniform(4, 10))
        yield float(second), footage.picture(second, turn)


def _pattern(kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """(800, 1600): over and over the same, and a little dirt."""
    world = np.full((WORLD_H, WORLD_W), rng.uniform(90, 150), np.float32)
    a, b, shade = int(rng.integers(40, 130)), int(rng.integers(30, 110)), float(rng.uniform(20, 80))
    half_a, half_b = a // 2 + 10, b // 2 + 10
    match kind:
        case "tiles":
            world[:, ::a] = world[::b] = shade
        case "windows":
            world[np.ix_(np.arange(WORLD_H) % b < b * 0.6, np.arange(WORLD_W) % a < a * 0.6)] = shade
        case "bricks":
            world[::half_b] = shade
            for number, y in enumerate(range(0, WORLD_H, half_b)):
                world[y : y + half_b, number % 2 * a // 2 :: a] = shade
        case "chess":
            world += (np.add.outer(np.arange(WORLD_H) // a, np.arange(WORLD_W) // a) % 2 * 60).astype(np.float32)
        case "dots":
            for x in range(10, WORLD_W, half_a):
                for y in range(10, WORLD_H, half_b):
                    cv2.circle(world, (x, y), 6, shade, -1)
        case _:
            world[100:700, np.arange(WORLD_W) % half_a < 8] = shade
    for size in (6, 25, 100):
        dirt = rng.normal(0, 1, (WORLD_H // size, WORLD_W // size)).astype(np.float32)
        world += cv2.resize(dirt, (WORLD_W, WORLD_H), interpolation=cv2.INTER_CUBIC) * float(rng.uniform(0.5, 5))
    return np.asarray(np.clip(cv2.GaussianBlur(world, (0, 0), 0.9), 2, 300), np.float32)
