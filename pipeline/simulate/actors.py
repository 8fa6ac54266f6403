"""What moves in a scene: people, lights, steam, cars. Each paints itself at a moment, from sprites made once."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sin, tau
from typing import Final, Protocol

import numpy as np

from pipeline.simulate.canvas import Canvas, Colour, Sprite
from pipeline.simulate.picture import HEIGHT, WIDTH, Picture

STEPS: Final = 8
"""Sprites in one stride."""

SWAY_X: Final = 40
SWAY_Y: Final = 20
"""How far the camera turns away from the middle, pixels."""
SCENE_WIDTH: Final = WIDTH + 2 * SWAY_X
SCENE_HEIGHT: Final = HEIGHT + 2 * SWAY_Y


class Actor(Protocol):
    """Something that moves."""

    def paint(self, picture: Picture, now_s: float, left: int, top: int) -> None:
        """Onto `picture`, which shows the scene from (left, top) on, as it is `now_s` after the beginning."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """What a scene is made of. background: SCENE_WIDTH x SCENE_HEIGHT. restlessness: how fast the camera sways."""

    background: Picture
    actors: Sequence[Actor]
    restlessness: float = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """A person's colours."""

    coat: Colour
    trousers: Colour
    hair: Colour = (0.08, 0.07, 0.07)
    skin: Colour = (0.86, 0.66, 0.52)
    hat: Colour | None = None
    apron: Colour | None = None


@dataclass(frozen=True, slots=True)
class Walker:
    """Goes to and fro between two places, feet on `floor_y`; nothing of it shows at or below `hidden_below_y`."""

    to_right: Sequence[Sprite]
    to_left: Sequence[Sprite]
    from_x: float
    to_x: float
    floor_y: int
    speed: float
    ahead_s: float = 0.0
    hidden_below_y: int = 1 << 15

    def paint(self, picture: Picture, now_s: float, left: int, top: int) -> None:
        way = (now_s + self.ahead_s) * self.speed % (2 * (self.to_x - self.from_x))
        back = way - (self.to_x - self.from_x)
        sprites = self.to_right if back < 0 else self.to_left
        x = self.from_x + way if back < 0 else self.to_x - back
        height = sprites[0].y.shape[0]
        step = int(way / height * 2.6 * STEPS) % STEPS
        sprite = sprites[step]
        sprite.paint(picture, int(x) - left, self.floor_y - height - top, self.hidden_below_y - top)


@dataclass(frozen=True, slots=True)
class Stander:
    """Stays and works with the hands, swaying a little."""

    sprites: Sequence[Sprite]
    x: int
    floor_y: int
    pace: float
    hidden_below_y: int = 1 << 15

    def paint(self, picture: Picture, now_s: float, left: int, top: int) -> None:
        sprite = self.sprites[int((sin(now_s * self.pace) * 0.5 + 0.5) * (len(self.sprites) - 1) + 0.5)]
        x = self.x + int(3 * sin(now_s * self.pace * 0.37))
        sprite.paint(picture, x - left, self.floor_y - sprite.y.shape[0] - top, self.hidden_below_y - top)


@dataclass(frozen=True, slots=True)
class Cycle:
    """Shows its sprites in turn at one place, each for `each_s`; None shows nothing."""

    sprites: Sequence[Sprite | None]
    x: int
    y: int
    each_s: float

    def paint(self, picture: Picture, now_s: float, left: int, top: int) -> None:
        sprite = self.sprites[int(now_s / self.each_s) % len(self.sprites)]
        if sprite is not None:
            sprite.paint(picture, self.x - left, self.y - top)


@dataclass(frozen=True, slots=True)
class Drift:
    """Moves from one place to another in `takes_s`, waits off stage for `waits_s`, and begins again."""

    sprites: Sequence[Sprite]
    start: tuple[int, int]
    end: tuple[int, int]
    takes_s: float
    waits_s: float = 0.0
    ahead_s: float = 0.0

    def paint(self, picture: Picture, now_s: float, left: int, top: int) -> None:
        part = (now_s + self.ahead_s) % (self.takes_s + self.waits_s) / self.takes_s
        if part >= 1:
            return
        sprite = self.sprites[int(part * len(self.sprites))]
        x = self.start[0] + (self.end[0] - self.start[0]) * part
        y = self.start[1] + (self.end[1] - self.start[1]) * part
        sprite.paint(picture, int(x) - left, int(y) - top)


def walking(look: Look, height: int) -> tuple[list[Sprite], list[Sprite]]:
    """A stride to the right and one to the left."""
    right = [_person(look, height, sin(tau * step / STEPS), 1) for step in range(STEPS)]
    left = [_person(look, height, sin(tau * step / STEPS), -1) for step in range(STEPS)]
    return right, left


def working(look: Look, height: int) -> list[Sprite]:
    """Someone seen from the front whose hands go up and down."""
    return [_person(look, height, step / 4, 0) for step in range(5)]


def _person(look: Look, height: int, swing: float, facing: int) -> Sprite:
    """facing: 1 right, -1 left, 0 to us; swing: -1..1."""
    height &= ~1
    width = (height // 2 + 2) & ~1
    canvas = Canvas(width, height)
    middle, unit = width / 2, height / 100
    dark: Colour = (look.coat[0] * 0.75, look.coat[1] * 0.75, look.coat[2] * 0.75)
    hip, shoulder = 54 * unit, 24 * unit
    stride = swing * 13 * unit * abs(facing)
    for side in (-1, 1):
        foot = (middle + side * (stride or 4 * unit), 96 * unit)
        knee = (middle + side * (stride or 7 * unit) * 0.55 + facing * 2 * unit, 76 * unit)
        canvas.limb((middle + side * 2 * unit, hip), knee, 10 * unit, look.trousers)
        canvas.limb(knee, foot, 8 * unit, look.trousers)
        canvas.ellipse(foot[0] + facing * 2 * unit, 97 * unit, 5.5 * unit, 3 * unit, (0.1, 0.09, 0.09))
    half = (10 if facing else 13) * unit
    _arms(canvas, look, dark, (middle, shoulder, unit), swing, facing, is_far=True)
    canvas.polygon(
        [(middle - half, shoulder), (middle + half, shoulder), (middle + half * 0.92, hip + 4 * unit),
         (middle - half * 0.92, hip + 4 * unit)],
        look.coat,
    )  # fmt: skip
    canvas.ellipse(middle, shoulder + 2 * unit, half, 6 * unit, look.coat)
    if look.apron is not None:
        canvas.rect(middle - half * 0.7, shoulder + 9 * unit, half * 1.4, 30 * unit, look.apron)
    _arms(canvas, look, dark, (middle, shoulder, unit), swing, facing, is_far=False)
    canvas.rect(middle - 3 * unit, 15 * unit, 6 * unit, 6 * unit, look.skin)
    canvas.ellipse(middle + facing * unit, 10.5 * unit, 7 * unit, 8.5 * unit, look.skin)
    canvas.ellipse(middle - facing * 1.5 * unit, 7 * unit, 7.4 * unit, 6 * unit, look.hair)
    if look.hat is not None:
        canvas.rect(middle - 7.5 * unit, 0.5 * unit, 15 * unit, 7 * unit, look.hat)
    return canvas.to_sprite()


def _arms(
    canvas: Canvas,
    look: Look,
    dark: Colour,
    frame: tuple[float, float, float],
    swing: float,
    facing: int,
    *,
    is_far: bool,
) -> None:
    middle, shoulder, unit = frame
    if facing:
        direction = 1 if is_far else -1
        elbow = (middle + direction * swing * 7 * unit, shoulder + 15 * unit)
        hand = (middle + direction * swing * 13 * unit + facing * 2 * unit, shoulder + 28 * unit)
        canvas.limb((middle, shoulder + 4 * unit), elbow, 7 * unit, dark)
        canvas.limb(elbow, hand, 6 * unit, dark)
        canvas.ellipse(*hand, 3.4 * unit, 3.4 * unit, look.skin)
    elif not is_far:
        for side in (-1, 1):
            lift = (swing if side > 0 else 1 - swing) * 12 * unit
            elbow = (middle + side * 17 * unit, shoulder + 18 * unit - lift * 0.3)
            hand = (middle + side * 9 * unit, shoulder + 27 * unit - lift)
            canvas.limb((middle + side * 12 * unit, shoulder + 4 * unit), elbow, 7.5 * unit, dark)
            canvas.limb(elbow, hand, 6.5 * unit, dark)
            canvas.ellipse(*hand, 3.6 * unit, 3.6 * unit, look.skin)


def steam(size: int, alpha: float, random: np.random.Generator) -> list[Sprite]:
    """A cloud that grows and thins out in 10 pictures."""
    sprites = []
    places = random.uniform(-0.3, 0.3, (5, 2))
    for age in range(10):
        canvas = Canvas(size, size)
        for x, y in places:
            grown = 0.35 + age / 16
            canvas.puff(
                size * (0.5 + x * grown), size * (0.5 + y * grown), size * 0.22 * (0.7 + grown), (0.92, 0.93, 0.94),
                alpha * min(1.0, age / 2 + 0.2) * (1 - age / 10),
            )  # fmt: skip
        sprites.append(canvas.to_sprite())
    return sprites
