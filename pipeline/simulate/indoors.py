"""Two places under a roof: the small shop and the kitchen of a restaurant."""

from typing import Final

import numpy as np

from pipeline.simulate.actors import (
    SCENE_HEIGHT,
    SCENE_WIDTH,
    Cycle,
    Drift,
    Look,
    Place,
    Stander,
    Walker,
    steam,
    walking,
    working,
)
from pipeline.simulate.canvas import Canvas, Colour, Sprite

_WHITE: Final[Colour] = (0.95, 0.95, 0.93)
_STEEL: Final[Colour] = (0.68, 0.71, 0.73)


def shop(random: np.random.Generator) -> Place:
    """A small shop: full shelves, a counter with till and scale, its keeper."""
    canvas = Canvas(SCENE_WIDTH, SCENE_HEIGHT, (0.88, 0.86, 0.8))
    canvas.gradient(0, 54, (0.8, 0.8, 0.78), (0.92, 0.91, 0.87))
    for lamp in (60, 300, 540):
        canvas.polygon([(lamp, 12), (lamp + 130, 12), (lamp + 118, 24), (lamp + 12, 24)], (1.0, 1.0, 0.97))
        canvas.glow(lamp + 65, 20, 120, (1, 1, 0.95), 0.16)
    canvas.rect(0, 54, SCENE_WIDTH, 26, (0.11, 0.42, 0.3))
    for letter in range(18):
        canvas.sign(24 + letter * 38, 58, 18, _WHITE, random)
    for shelf in range(4):
        top = 86 + shelf * 44
        canvas.rect(0, top, SCENE_WIDTH, 44, (0.62, 0.58, 0.52))
        x = 4.0
        while x < SCENE_WIDTH - 8:
            x = _goods(canvas, x, top + 38, random) + 3
        canvas.rect(0, top + 38, SCENE_WIDTH, 6, (0.78, 0.76, 0.72))
        for price in range(10, SCENE_WIDTH, 46):
            canvas.rect(price, top + 39, 16, 4.5, (0.98, 0.9, 0.4))
    canvas.gradient(270, 288, (0.72, 0.56, 0.38), (0.62, 0.46, 0.3))
    canvas.gradient(288, SCENE_HEIGHT, (0.5, 0.36, 0.23), (0.34, 0.24, 0.15))
    for board in range(0, SCENE_WIDTH, 90):
        canvas.rect(board, 290, 2, 112, (0.28, 0.2, 0.13))
    canvas.polygon([(150, 236), (216, 236), (224, 276), (142, 276)], (0.2, 0.21, 0.23))
    canvas.rect(156, 241, 54, 20, (0.08, 0.2, 0.14))
    canvas.rect(468, 262, 76, 10, (0.74, 0.76, 0.78))
    canvas.polygon([(456, 250), (556, 250), (548, 262), (464, 262)], (0.86, 0.87, 0.88))
    canvas.rect(494, 268, 26, 9, (0.2, 0.2, 0.22))
    canvas.grain(0.01, random)
    keeper = Look((0.24, 0.45, 0.36), (0.2, 0.2, 0.22), apron=(0.85, 0.3, 0.2))
    return Place(
        canvas.to_picture(),
        [
            Walker(*walking(Look((0.55, 0.4, 0.65), (0.2, 0.2, 0.25)), 148), -60, 760, 300, 30, 12, hidden_below_y=272),
            Stander(working(keeper, 196), 300, 366, 2.1, hidden_below_y=272),
            Cycle(_price(random), 160, 243, 0.6),
            Walker(*walking(Look((0.25, 0.3, 0.42), (0.15, 0.15, 0.17)), 250), -420, 1100, 470, 58, 1),
        ],
        0.7,
    )


def _goods(canvas: Canvas, x: float, floor: float, random: np.random.Generator) -> float:
    """A few of one kind on a shelf; where they end."""
    colour: Colour = tuple(float(value) for value in random.uniform(0.15, 0.92, 3))  # type: ignore[assignment]  # three
    width, height = random.uniform(9, 18), random.uniform(20, 33)
    is_bottle = random.random() < 0.45
    for _ in range(int(random.integers(2, 5))):
        if is_bottle:
            canvas.rect(x, floor - height * 0.72, width * 0.8, height * 0.72, colour)
            canvas.rect(x + width * 0.27, floor - height, width * 0.26, height * 0.3, colour)
            canvas.rect(x, floor - height * 0.5, width * 0.8, height * 0.25, _WHITE)
        else:
            canvas.rect(x, floor - height, width, height, colour)
            canvas.sign(x + width * 0.22, floor - height * 0.8, width * 0.56, _WHITE, random)
        x += width + 1
    return x


def _price(random: np.random.Generator) -> list[Sprite]:
    """The till's display: three amounts."""
    sprites = []
    for _ in range(3):
        canvas = Canvas(46, 16, (0.05, 0.13, 0.09))
        for digit in range(4):
            for y, height in ((3, 1.6), (7, 1.6), (11, 1.6)):
                if random.random() < 0.75:
                    canvas.rect(5 + digit * 10, y, 6, height, (0.4, 1.0, 0.55))
            canvas.rect(5 + digit * 10 + (6 if random.random() < 0.5 else 0), 3, 1.6, 10, (0.4, 1.0, 0.55))
        sprites.append(canvas.to_sprite())
    return sprites


def kitchen(random: np.random.Generator) -> Place:
    """A restaurant's kitchen: tiles, a hood, two woks over fire, steam, cooks."""
    canvas = Canvas(SCENE_WIDTH, SCENE_HEIGHT, (0.82, 0.87, 0.88))
    for row in range(0, 260, 20):
        for column in range(-20, SCENE_WIDTH, 30):
            shade = random.uniform(0.8, 0.93)
            canvas.rect(column + row % 40 * 0.75, row, 29, 19, (shade * 0.94, shade, shade))
    canvas.polygon([(80, 0), (640, 0), (690, 62), (30, 62)], (0.56, 0.59, 0.61))
    canvas.rect(30, 62, 660, 14, (0.76, 0.78, 0.8))
    for x in range(90, 640, 110):
        canvas.rect(x, 16, 70, 34, (0.4, 0.42, 0.44))
        for slat in range(18, 48, 6):
            canvas.rect(x + 2, slat, 66, 2, (0.58, 0.6, 0.62))
    canvas.rect(40, 112, 640, 4, (0.45, 0.46, 0.47))
    for x in range(60, 670, 44):
        _tool(canvas, x + random.uniform(-5, 5), random)
    canvas.rect(560, 84, 110, 22, (0.12, 0.36, 0.62))
    for letter in range(5):
        canvas.sign(566 + letter * 20, 87, 16, _WHITE, random)
    canvas.gradient(250, 266, (0.88, 0.9, 0.91), (0.62, 0.65, 0.67))
    canvas.gradient(266, SCENE_HEIGHT, (0.52, 0.55, 0.57), (0.3, 0.32, 0.34))
    for x in range(20, SCENE_WIDTH, 140):
        canvas.rect(x, 276, 124, 100, (0.6, 0.63, 0.65), 0.55)
        canvas.rect(x + 42, 288, 40, 4, (0.85, 0.87, 0.88))
    for x, colour in (
        (40, (0.3, 0.62, 0.25)),
        (90, (0.86, 0.28, 0.18)),
        (590, (0.92, 0.72, 0.25)),
        (640, (0.9, 0.9, 0.85)),
    ):
        for _ in range(26):
            canvas.ellipse(x + random.uniform(-14, 14), 244 + random.uniform(-7, 3), 4, 3.4, colour)
        canvas.polygon([(x - 22, 246), (x + 22, 246), (x + 16, 258), (x - 16, 258)], _WHITE)
    for x in (230, 470):
        canvas.rect(x - 40, 250, 80, 12, (0.18, 0.18, 0.19))
        canvas.polygon([(x - 56, 226), (x + 56, 226), (x + 30, 250), (x - 30, 250)], (0.13, 0.13, 0.14))
        canvas.limb((x + 54, 228), (x + 92, 214), 6, (0.36, 0.24, 0.15))
        for _ in range(30):
            colour = ((0.4, 0.6, 0.22), (0.85, 0.42, 0.16), (0.82, 0.72, 0.42))[int(random.integers(3))]
            canvas.ellipse(x + random.uniform(-42, 42), 225 + random.uniform(-5, 2), 5, 3.6, colour)
    canvas.grain(0.01, random)
    cook = Look((0.93, 0.93, 0.92), (0.25, 0.27, 0.32), hat=_WHITE, apron=(0.3, 0.36, 0.42))
    helper = Look((0.9, 0.9, 0.9), (0.2, 0.2, 0.24), hat=(0.86, 0.88, 0.9))
    clouds = steam(120, 0.55, random)
    flames = [_flame(random) for _ in range(4)]
    return Place(
        canvas.to_picture(),
        [
            Walker(*walking(helper, 176), -90, 780, 306, 46, 6, hidden_below_y=250),
            Stander(working(cook, 216), 296, 346, 5.2, hidden_below_y=250),
            Cycle(flames, 194, 246, 0.12),
            Cycle(flames[::-1], 434, 246, 0.12),
            Drift(clouds, (170, 140), (150, 20), 2.6),
            Drift(clouds, (190, 140), (220, 10), 2.6, ahead_s=1.3),
            Drift(clouds, (410, 140), (430, 16), 3.1, ahead_s=0.7),
        ],
        0.85,
    )


def _tool(canvas: Canvas, x: float, random: np.random.Generator) -> None:
    """A ladle or a spatula on the rail."""
    length = random.uniform(40, 62)
    canvas.rect(x, 114, 3, length, (0.5, 0.5, 0.5))
    if random.random() < 0.5:
        canvas.ellipse(x + 1.5, 116 + length, 10, 8, _STEEL)
    else:
        canvas.polygon(
            [(x - 5, 112 + length), (x + 8, 112 + length), (x + 11, 134 + length), (x - 8, 134 + length)], _STEEL
        )


def _flame(random: np.random.Generator) -> Sprite:
    canvas = Canvas(72, 24)
    canvas.glow(36, 14, 30, (1.0, 0.5, 0.1), 0.45)
    for x in range(8, 66, 8):
        height = random.uniform(8, 20)
        canvas.polygon([(x - 4, 22), (x, 22 - height), (x + 4, 22)], (1.0, 0.5, 0.1))
        canvas.polygon([(x - 2, 22), (x, 22 - height * 0.55), (x + 2, 22)], (0.45, 0.65, 1.0))
    return canvas.to_sprite()
