"""Footage of a worn camera, drawn: places, motion, light, sensor. All of it from a seed; nothing of it is a recording.

Levels are luma in limited range. Drawn are a place (a plane seen through a moving window), the way the camera is carried,
exposure that follows the light with a lag, blur by motion, noise of the sensor, and a burnt-in clock on every second one.
"""

from dataclasses import dataclass
from math import cos, pi, sin, tau
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
WIDTH, HEIGHT = 480, 270
AROUND: Final = 220
"""Px beyond each side, into which a view may be turned and moved."""
WORLD_W, WORLD_H = 1600, 800

KINDS: Final = (
    "shop", "street", "corridor", "dark_corridor", "crowd", "office", "night", "rain", "night_rain", "running",
    "night_running", "white_wall", "screen", "tripod", "put_down", "standing", "backlit", "snow", "kitchen", "doorway",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """How a kind of place is seen. light: mean luma the exposure aims at. noise: levels (standard deviation). speed: of the
    walk, 0 stands. shutter_s: exposure of one picture. floor_light, sky_light: levels added below and above the middle."""

    light: float = 115.0
    noise: float = 1.5
    speed: float = 1.0
    sway: float = 1.0
    shutter_s: float = 1 / 200
    floor_light: float = -15.0
    sky_light: float = 25.0
    clutter: int = 130
    depth: float = 38.0
    lamps: int = 0
    movers: int = 3
    rain: float = 0.0


LOOKS: Final[dict[str, Look]] = {
    "shop": Look(clutter=260),
    "street": Look(light=125, sky_light=60, movers=5, shutter_s=1 / 800),
    "corridor": Look(light=95, clutter=40, depth=22, sky_light=35, movers=1, shutter_s=1 / 60, noise=2.5),
    "dark_corridor": Look(light=36, clutter=40, depth=22, lamps=3, movers=0, shutter_s=1 / 30, noise=4),
    "crowd": Look(movers=14, clutter=180),
    "office": Look(clutter=120, sway=0.6, speed=0.4),
    "night": Look(light=38, noise=5, lamps=14, clutter=120, depth=30, sky_light=-25, shutter_s=1 / 30),
    "rain": Look(light=100, rain=0.7, shutter_s=1 / 200, sky_light=45),
    "night_rain": Look(light=40, noise=5, lamps=14, rain=0.5, sky_light=-20, shutter_s=1 / 30),
    "running": Look(speed=3.2, sway=4.0, shutter_s=1 / 120, movers=4),
    "night_running": Look(speed=3.0, sway=3.5, shutter_s=1 / 30, light=42, noise=5, lamps=14, sky_light=-20),
    "white_wall": Look(light=170, clutter=5, depth=5, speed=0.3, floor_light=-6, sky_light=10, movers=0),
    "screen": Look(light=130, clutter=200, sway=0.5, speed=0.1, movers=1),
    "tripod": Look(speed=0, sway=0, movers=1),
    "put_down": Look(movers=1),
    "standing": Look(speed=0, sway=0.5, movers=2),
    "backlit": Look(light=120, sky_light=95, floor_light=-60),
    "snow": Look(light=185, clutter=70, depth=25, floor_light=30, sky_light=-10),
    "kitchen": Look(clutter=220, floor_light=10, sky_light=20, movers=2),
    "doorway": Look(clutter=160),
}


class Turn(Protocol):
    """How the camera is turned against the place, when it does not hang as it was put on."""

    def seen(self, view: NDArray[np.float32], t: float, shutter_s: float) -> NDArray[np.float32]:
        """(270, 480) of what was seen with `AROUND` px more on each side."""
        ...


class Footage:
    """One stay at a place; `picture(t)` may be asked for any rising t. seed: decides all. world: (800, 1600), to be seen
    instead of the kind's own."""

    def __init__(self, kind: str, seed: int, world: NDArray[np.float32] | None = None) -> None:
        self.kind = kind
        self.look = LOOKS[kind]
        self._rng = rng = np.random.default_rng([seed, KINDS.index(kind)])
        self._world = _world(self.look, kind, rng) if world is None else world
        self._noise = _noise(rng)
        self._phase = rng.uniform(0, tau, 12)
        self._pace = rng.uniform(0.8, 1.25)
        self._zoom = rng.uniform(0.75, 1.3)
        self.has_clock = bool(rng.random() < 0.5)
        self._still_from = rng.uniform(8, 25) if kind == "put_down" else (0.0 if kind == "tripod" else 1e9)
        self._movers = rng.uniform(0, 1, (self.look.movers, 6))
        self._gain = 1.0
        self._seen_s = -1.0
        self._lag_s = rng.uniform(0.15, 0.45)
        self._events = np.cumsum(rng.exponential(45.0, 60))  # moments at which the light of the place changes
        self._steps = rng.uniform(0.35, 2.4, 60)

    def picture(self, t: float, turn: Turn | None = None) -> Luma:
        """(270, 480) uint8 at t seconds."""
        where, around = self._where(t), AROUND if turn else 0
        view = self._view(where, around)
        self._people(view, t, around)
        if self.look.shutter_s > 1 / 400:
            view = _streaked(view, where, self._where(t + self.look.shutter_s))
        if turn:
            view = turn.seen(view, t, self.look.shutter_s)
        if self.kind == "screen":
            _moire(view, t)
        view = self._exposed(view, t)
        if self.look.rain:
            self._rain(view)
        grain = self._rng.integers(0, 64, 2)
        view += self._noise[grain[0] : grain[0] + HEIGHT, grain[1] : grain[1] + WIDTH] * self._grain()
        picture = np.clip(view, 16, 235).astype(np.uint8)
        if self.has_clock:
            clock(picture, t)
        return picture

    def _grain(self) -> float:
        return self.look.noise

    def _where(self, t: float) -> tuple[float, float, float, float]:
        """Centre x, y in px of the world, angle in degrees, width of a view's pixel."""
        look, p = self.look, self._phase
        t = min(t, self._still_from) if t < self._still_from + 0.6 else self._still_from
        u = t * self._pace
        step = 2.0 * tau * 0.9 * u * (1.5 if look.speed > 2 else 1.0)
        x = 0.5 * WORLD_W + look.speed * 260 * sin(u * 0.11 + p[0]) + 130 * look.speed * sin(u * 0.37 + p[1])
        y = 0.5 * WORLD_H + 70 * min(look.speed, 1.5) * sin(u * 0.23 + p[2])
        x += look.sway * (9 * sin(step / 2 + p[3]) + 4 * sin(u * 3.1 + p[4]) + 3 * sin(u * 1.7 + p[5]))
        y += look.sway * (7 * sin(step + p[6]) + 3 * sin(u * 2.3 + p[7]))
        angle = look.sway * (2.0 * sin(step / 2 + p[8]) + 1.2 * sin(u * 0.9 + p[9]))
        zoom = self._zoom * (1 + 0.18 * min(look.speed, 1.0) * sin(u * 0.19 + p[10]))
        margin_x, margin_y = 0.36 * WIDTH * zoom + 60, 0.5 * HEIGHT * zoom + 60
        return (
            float(np.clip(x, margin_x, WORLD_W - margin_x)), float(np.clip(y, margin_y, WORLD_H - margin_y)),
            angle, zoom,
        )  # fmt: skip

    def _view(self, where: tuple[float, float, float, float], around: int) -> NDArray[np.float32]:
        x, y, angle, zoom = where
        width, height = WIDTH + 2 * around, HEIGHT + 2 * around
        a = angle * pi / 180
        c, s = zoom * cos(a), zoom * sin(a)
        matrix = np.array(
            [[c, -s, x - c * width / 2 + s * height / 2], [s, c, y - s * width / 2 - c * height / 2]], np.float32
        )
        view = cv2.warpAffine(
            self._world, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )  # fmt: skip
        return np.asarray(view, np.float32)

    def _people(self, view: NDArray[np.float32], t: float, around: int) -> None:
        for a, b, c, d, e, f in self._movers:
            x = around + int(WIDTH * (0.5 + 0.75 * sin(t * (0.15 + 0.5 * a) + tau * b)))
            size = 20 + 60 * c
            y = around + int(HEIGHT * (0.55 + 0.2 * d) + 3 * sin(t * 5 + tau * e))
            shade = 30 + 170 * f
            cv2.ellipse(view, (x, y + int(size)), (int(size * 0.6), int(size * 1.4)), 0, 0, 360, shade, -1)
            cv2.circle(view, (x, y - int(size * 0.6)), int(size * 0.35), 235 - shade * 0.5, -1)

    def _exposed(self, view: NDArray[np.float32], t: float) -> NDArray[np.float32]:
        """The exposure follows the light with a lag; the light itself jumps now and then, as at a door."""
        index = int(np.searchsorted(self._events, t))
        ambient = (
            float(self._steps[index % len(self._steps)]) if self.kind in ("doorway", "corridor", "street") else 1.0
        )
        wanted = self.look.light / max(8.0, float(view[::8, ::8].mean()) * ambient)
        wanted = float(np.clip(wanted, 0.15, 6.0))
        gone_s = t - self._seen_s if self._seen_s >= 0 else 1e9
        self._seen_s = t
        self._gain += (wanted - self._gain) * (1 - np.exp(-gone_s / self._lag_s))
        return view * np.float32(self._gain * ambient)

    def _rain(self, view: NDArray[np.float32]) -> None:
        for _ in range(int(60 * self.look.rain)):
            x, y = int(self._rng.integers(0, WIDTH)), int(self._rng.integers(0, HEIGHT))
            cv2.line(view, (x, y), (x + 2, y + int(self._rng.integers(8, 30))), float(self._rng.uniform(90, 200)), 1)
        for number in range(int(7 * self.look.rain)):  # drops on the glass: local, and they stay a while
            x, y = (int(v) for v in np.random.default_rng([number, int(self._phase[0] * 1e6)]).integers(30, 240, 2))
            part = view[y - 20 : y + 20, x * 2 - 20 : x * 2 + 20]
            part[:] = cv2.GaussianBlur(part, (0, 0), 6)


def clock(picture: Luma, t: float) -> None:
    text = f"2025-06-11 10:{int(t) // 60 % 60:02d}:{int(t) % 60:02d}"
    cv2.putText(picture, text, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 235, 1, cv2.LINE_AA)
    cv2.putText(picture, "BWC 0231", (WIDTH - 100, HEIGHT - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 235, 1, cv2.LINE_AA)


def _world(look: Look, kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    w, h = WORLD_W, WORLD_H
    world = np.full((h, w), 115, np.float32)
    for octave in range(3, 8):
        coarse = rng.normal(0, 1, (max(2, h >> (9 - octave)), max(2, w >> (9 - octave)))).astype(np.float32)
        world += cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC) * (look.depth * 0.55 / (octave - 2))
    horizon = int(h * rng.uniform(0.42, 0.55))
    ramp = np.clip((np.arange(h) - horizon) / (0.25 * h), -1, 1).astype(np.float32)[:, None]
    world += np.where(ramp < 0, -ramp * look.sky_light, ramp * look.floor_light)
    for _ in range(look.clutter):
        x, y = int(rng.integers(0, w)), int(rng.normal(horizon, 0.22 * h))
        a, b = int(rng.integers(8, 160)), int(rng.integers(8, 120))
        shade = float(np.clip(rng.normal(115, look.depth * 1.3), 8, 240))
        if rng.random() < 0.25:
            size = float(rng.uniform(0.4, 1.6))
            mask = np.zeros((70, 400), np.uint8)
            word = f"{int(rng.integers(10**5, 10**8))}"
            cv2.putText(mask, word, (4, 55), cv2.FONT_HERSHEY_DUPLEX, size, 255, 2, cv2.LINE_AA)
            x, y = min(x, w - 400), min(max(y, 0), h - 70)
            part = world[y : y + 70, x : x + 400]
            part += (shade - part) * (mask.astype(np.float32) / 255)
        else:
            cv2.rectangle(world, (x, y), (x + a, y + b), shade, -1 if rng.random() < 0.7 else 2)
    if kind in ("corridor", "dark_corridor"):
        for x in range(60, w, int(rng.integers(140, 260))):
            cv2.rectangle(world, (x, horizon - 160), (x + 70, horizon + 150), 115 - look.depth * 1.4, -1)
            cv2.rectangle(world, (x, horizon - 160), (x + 70, horizon + 150), 115 + look.depth, 3)
    if kind == "screen":
        cv2.rectangle(world, (w // 2 - 330, h // 2 - 190), (w // 2 + 330, h // 2 + 190), 30.0, 14)
    if look.light < 60:
        world = np.maximum((world - 60) * 0.45, 4)
    for _ in range(look.lamps):
        x, y = int(rng.integers(0, w)), int(rng.integers(0, int(h * 0.7)))
        glow = np.zeros((h // 4, w // 4), np.float32)
        cv2.circle(glow, (x // 4, y // 4), int(rng.integers(2, 6)), float(rng.uniform(1500, 4000)), -1)
        world += cv2.resize(cv2.GaussianBlur(glow, (0, 0), 12), (w, h)) * 0.3
        cv2.circle(world, (x, y), int(rng.integers(4, 14)), 420.0, -1)
    return np.clip(cv2.GaussianBlur(world, (0, 0), 0.7), 2, 420)


def _noise(rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.normal(0, 1, (HEIGHT + 64, WIDTH + 64)).astype(np.float32)


def _streaked(
    view: NDArray[np.float32], here: tuple[float, float, float, float], there: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """Smeared along the way the camera went while the shutter was open."""
    dx, dy = (there[0] - here[0]) / here[3], (there[1] - here[1]) / here[3]
    length = float(np.hypot(dx, dy))
    if length < 1.2:
        return view
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    c = size // 2
    cv2.line(kernel, (round(c - dx / 2), round(c - dy / 2)), (round(c + dx / 2), round(c + dy / 2)), 1.0, 1)
    return np.asarray(cv2.filter2D(view, -1, kernel / max(float(kernel.sum()), 1.0)), np.float32)


def _moire(view: NDArray[np.float32], t: float) -> None:
    waves = (
        np.sin(np.arange(WIDTH, dtype=np.float32) * 1.9 + t) * 4 + np.sin(np.arange(WIDTH, dtype=np.float32) * 0.07) * 5
    )
    view += waves[None, :]
    top = int(t * 61) % HEIGHT  # the band of a screen's refresh
    view[top : top + 40] *= 0.85
