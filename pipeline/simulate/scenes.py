"""The four places the simulated devices look at, seen by a camera that sways; and a covered lens."""

from collections.abc import Callable
from math import sin
from typing import Final

import numpy as np

from pipeline.simulate.actors import SWAY_X, SWAY_Y, Place
from pipeline.simulate.indoors import kitchen, shop
from pipeline.simulate.outdoors import market, night
from pipeline.simulate.picture import HEIGHT, WIDTH, Picture, Plane

_MAKERS: Final[dict[str, Callable[[np.random.Generator], Place]]] = {
    "market": market,
    "shop": shop,
    "kitchen": kitchen,
    "night": night,
}
_COVER_SHIFTS: Final = 24


class Scene:
    """One place, as the camera sees it at any moment."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def draw(self, picture: Picture, now_s: float) -> None:
        """The place at `now_s` seconds, into all of `picture`; the camera sways as one worn on a chest does."""
        beat = now_s * self._place.restlessness
        left = int(SWAY_X * (1 + 0.62 * sin(beat * 0.31) + 0.3 * sin(beat * 0.83))) & ~1
        top = int(SWAY_Y * (1 + 0.5 * sin(beat * 0.47) + 0.3 * sin(beat * 1.9))) & ~1
        half = (slice(top // 2, (top + HEIGHT) // 2), slice(left // 2, (left + WIDTH) // 2))
        np.copyto(picture.y, self._place.background.y[top : top + HEIGHT, left : left + WIDTH])
        np.copyto(picture.u, self._place.background.u[half])
        np.copyto(picture.v, self._place.background.v[half])
        for actor in self._place.actors:
            actor.paint(picture, now_s, left, top)


def make_scene(name: str) -> Scene:
    """The scene of that name (schedule.SceneName); the same every time."""
    return Scene(_MAKERS[name](np.random.default_rng(sum(name.encode()))))


def cover(picture: Picture, number: int) -> None:
    """What a covered lens sees: next to nothing, and the sensor's noise."""
    top = number * 7 % _COVER_SHIFTS
    np.copyto(picture.y, _DARK[top : top + HEIGHT])
    picture.u.fill(128)
    picture.v.fill(128)


def _dark() -> Plane:
    coarse = np.random.default_rng(1).integers(16, 22, ((HEIGHT + _COVER_SHIFTS) // 2, WIDTH // 2), np.uint8)
    return coarse.repeat(2, axis=0).repeat(2, axis=1)


_DARK: Final = _dark()
