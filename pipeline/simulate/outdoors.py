"""Two places under the sky: the market street and the street at night."""

from typing import Final

import numpy as np

from pipeline.simulate.actors import SCENE_HEIGHT, SCENE_WIDTH, Cycle, Drift, Look, Place, Walker, walking
from pipeline.simulate.canvas import Canvas, Colour, Sprite

_RED: Final[Colour] = (0.78, 0.14, 0.12)
_GOLD: Final[Colour] = (0.98, 0.85, 0.42)
_WHITE: Final[Colour] = (0.95, 0.95, 0.93)


def market(random: np.random.Generator) -> Place:
    """A market street by day: stalls under awnings, people who pass."""
    canvas = Canvas(SCENE_WIDTH, SCENE_HEIGHT)
    canvas.gradient(0, 192, (0.55, 0.72, 0.88), (0.86, 0.9, 0.9))
    x = -10.0
    while x < SCENE_WIDTH:
        width, top = random.uniform(50, 95), random.uniform(20, 80)
        shade = random.uniform(0.55, 0.72)
        canvas.rect(x, top, width, 200 - top, (shade, shade * 0.97, shade * 0.92))
        for row in np.arange(top + 8, 130, 15):
            for column in np.arange(x + 6, x + width - 9, 14):
                canvas.rect(column, row, 8, 9, (0.35, 0.42, 0.48), 0.8)
        x += width + 2
    canvas.gradient(190, SCENE_HEIGHT, (0.52, 0.51, 0.49), (0.36, 0.35, 0.34))
    for y in (228, 262, 312):
        canvas.rect(0, y, SCENE_WIDTH, 1.5, (0.3, 0.3, 0.29), 0.6)
    for x, colour in (
        (-6, (0.78, 0.2, 0.16)),
        (176, (0.16, 0.42, 0.58)),
        (404, (0.2, 0.5, 0.3)),
        (566, (0.8, 0.5, 0.12)),
    ):
        _stall(canvas, x, 178, 158, colour, random)
    for x in (160, 390, 560):
        _banner(canvas, x, 60, 24, 4, _RED, _GOLD, random)
    canvas.grain(0.012, random)
    looks = (
        Look((0.2, 0.32, 0.55), (0.15, 0.15, 0.2)),
        Look((0.75, 0.3, 0.35), (0.25, 0.25, 0.3)),
        Look((0.85, 0.8, 0.6), (0.35, 0.3, 0.25)),
        Look((0.25, 0.5, 0.4), (0.12, 0.12, 0.14)),
    )
    return Place(
        canvas.to_picture(),
        [
            Walker(*walking(looks[2], 104), -60, 760, 292, 26, 9),
            Walker(*walking(looks[1], 116), -70, 770, 306, 34, 2),
            Walker(*walking(looks[3], 138), -80, 780, 338, 44, 14),
            Walker(*walking(looks[0], 190), -120, 820, 392, 62, 5),
        ],
    )


def _stall(canvas: Canvas, x: float, y: float, width: float, colour: Colour, random: np.random.Generator) -> None:
    canvas.rect(x + 6, y - 50, width - 12, 60, (0.2, 0.17, 0.15))
    for post in (x + 6, x + width - 10):
        canvas.rect(post, y - 62, 4, 122, (0.42, 0.4, 0.38))
    goods = ((0.85, 0.2, 0.14), (0.95, 0.65, 0.12), (0.45, 0.66, 0.2), (0.9, 0.82, 0.3), (0.5, 0.2, 0.42))
    for shelf in range(3):
        top = y - 16 + shelf * 22
        for crate in range(4):
            left = x + 10 + crate * (width - 20) / 4
            good = goods[int(random.integers(len(goods)))]
            for _ in range(16):
                shade = random.uniform(0.75, 1.1)
                canvas.ellipse(
                    left + random.uniform(4, (width - 20) / 4 - 5), top + random.uniform(-1, 8), 4, 4,
                    (good[0] * shade, good[1] * shade, good[2] * shade),
                )  # fmt: skip
            canvas.rect(left, top + 8, (width - 20) / 4 - 2, 13, (0.6, 0.44, 0.27))
            canvas.rect(left, top + 13, (width - 20) / 4 - 2, 1.5, (0.45, 0.32, 0.19))
    stripes = 8
    for stripe in range(stripes):
        paint: Colour = colour if stripe % 2 == 0 else _WHITE
        left, step = x - 6 + stripe * (width + 12) / stripes, (width + 12) / stripes
        canvas.polygon(
            [(left + 5, y - 84), (left + 5 + step * 0.95, y - 84), (left + step, y - 54), (left, y - 54)], paint
        )
        canvas.ellipse(left + step / 2, y - 54, step / 2, 6, paint)
    canvas.rect(x + 28, y - 104, width - 56, 22, _RED)
    for letter in range(4):
        canvas.sign(x + 34 + letter * (width - 66) / 4, y - 101, 16, _GOLD, random)


def _banner(
    canvas: Canvas,
    x: float,
    y: float,
    size: float,
    count: int,
    ground: Colour,
    ink: Colour,
    random: np.random.Generator,
) -> None:
    """A sign that hangs: characters from top to bottom."""
    canvas.rect(x, y, size, count * size * 0.95 + 6, ground)
    for letter in range(count):
        canvas.sign(x + size * 0.18, y + 4 + letter * size * 0.95, size * 0.66, ink, random)


def night(random: np.random.Generator) -> Place:
    """A street at night: lit windows, signs that blink, wet ground, headlights."""
    canvas = Canvas(SCENE_WIDTH, SCENE_HEIGHT)
    canvas.gradient(0, 230, (0.02, 0.03, 0.08), (0.09, 0.08, 0.16))
    x = -6.0
    while x < SCENE_WIDTH:
        width, top = random.uniform(80, 130), random.uniform(10, 70)
        shade = random.uniform(0.05, 0.1)
        canvas.rect(x, top, width, 250 - top, (shade, shade, shade * 1.35))
        for row in np.arange(top + 10, 150, 20):
            for column in np.arange(x + 8, x + width - 14, 18):
                if random.random() < 0.45:
                    warm = random.uniform(0.35, 0.85)
                    canvas.rect(column, row, 10, 12, (warm, warm * 0.8, warm * 0.42))
        _front(canvas, x + 6, 176, width - 12, random)
        x += width + 3
    canvas.gradient(250, SCENE_HEIGHT, (0.08, 0.08, 0.1), (0.03, 0.03, 0.05))
    _mirror(canvas)
    for x in (120, 370, 620):
        canvas.rect(x, 90, 4, 172, (0.16, 0.16, 0.18))
        canvas.limb((x + 2, 92), (x + 26, 86), 3, (0.16, 0.16, 0.18))
        canvas.glow(x + 28, 90, 90, (1.0, 0.82, 0.5), 0.55)
        canvas.glow(x + 28, 90, 14, (1.0, 0.95, 0.8), 1.0)
        canvas.glow(x + 28, 276, 80, (0.9, 0.7, 0.4), 0.2)
    canvas.grain(0.012, random)
    dark, coat = (
        Look((0.1, 0.1, 0.14), (0.06, 0.06, 0.08), skin=(0.4, 0.3, 0.24)),
        Look((0.36, 0.12, 0.12), (0.08, 0.08, 0.1), skin=(0.45, 0.33, 0.26)),
    )
    light = _headlights()
    return Place(
        canvas.to_picture(),
        [
            Cycle([_neon((0.1, 0.9, 1.0), 3, random), None], 70, 112, 1.1),
            Cycle([_neon((1.0, 0.25, 0.55), 4, random), _neon((1.0, 0.6, 0.2), 4, random)], 288, 100, 0.8),
            Cycle([_neon((0.4, 1.0, 0.4), 3, random)] * 5 + [None], 530, 116, 0.35),
            Walker(*walking(dark, 112), -50, 760, 288, 28, 3),
            Drift([light], (-240, 262), (760, 262), 5.0, 4.0),
            Drift([light], (-240, 266), (760, 266), 6.5, 7.0, 5.0),
            Walker(*walking(coat, 170), -110, 800, 372, 50, 8),
        ],
        1.2,
    )


def _front(canvas: Canvas, x: float, y: float, width: float, random: np.random.Generator) -> None:
    """A lit shop front with its sign."""
    hue: Colour = ((0.95, 0.8, 0.5), (0.75, 0.9, 0.95), (0.95, 0.65, 0.5))[int(random.integers(3))]
    canvas.rect(x, y, width, 22, (hue[0] * 0.25, 0.06, 0.08))
    for letter in range(int(width // 22)):
        canvas.sign(x + 6 + letter * 22, y + 3, 16, hue, random)
    canvas.rect(x, y + 24, width, 48, (hue[0] * 0.55, hue[1] * 0.5, hue[2] * 0.45))
    for pane in np.arange(x, x + width, 20):
        canvas.rect(pane, y + 24, 2, 48, (0.08, 0.08, 0.09))
    for _ in range(8):
        canvas.rect(x + random.uniform(2, width - 12), y + random.uniform(46, 56), 9, 16, (0.2, 0.14, 0.1), 0.8)


def _mirror(canvas: Canvas) -> None:
    """The wet ground shows the fronts upside down, darker the nearer."""
    ground = round(250 * canvas.rgb.shape[0] / SCENE_HEIGHT)
    depth = canvas.rgb.shape[0] - ground
    fade = np.linspace(0.42, 0.04, depth, dtype=np.float32)[:, None, None]
    canvas.rgb[ground:] += canvas.rgb[ground - depth : ground][::-1] * fade


def _neon(colour: Colour, count: int, random: np.random.Generator) -> Sprite:
    canvas = Canvas(56, count * 26 + 20)
    canvas.glow(28, count * 13 + 10, count * 13 + 10, colour, 0.3)
    canvas.rect(14, 8, 28, count * 26 + 4, (0.03, 0.03, 0.05))
    for letter in range(count):
        canvas.sign(18, 12 + letter * 26, 20, colour, random)
    return canvas.to_sprite()


def _headlights() -> Sprite:
    """A car from the side, its light ahead of it to the right."""
    canvas = Canvas(240, 64)
    canvas.polygon([(122, 34), (240, 20), (240, 62), (122, 42)], (1.0, 0.95, 0.75), 0.16)
    canvas.polygon([(18, 26), (34, 8), (82, 8), (102, 26)], (0.1, 0.11, 0.15))
    canvas.polygon([(30, 25), (40, 12), (78, 12), (92, 25)], (0.24, 0.28, 0.34))
    canvas.polygon([(4, 28), (18, 24), (106, 25), (124, 32), (124, 46), (4, 46)], (0.3, 0.06, 0.08))
    for wheel in (26, 100):
        canvas.ellipse(wheel, 46, 10, 10, (0.03, 0.03, 0.03))
        canvas.ellipse(wheel, 46, 4.5, 4.5, (0.4, 0.4, 0.42))
    canvas.glow(122, 36, 16, (1.0, 0.97, 0.85), 1.0)
    canvas.glow(5, 34, 9, (1.0, 0.1, 0.08), 1.0)
    return canvas.to_sprite()
