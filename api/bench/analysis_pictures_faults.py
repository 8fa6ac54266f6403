"""What goes wrong with a camera's picture, put over drawn footage. Each from a seed, in its own strength."""

from math import sin
from typing import Final

import cv2
import numpy as np

from api.bench.analysis_pictures_scenes import Footage, Luma, clock
from api.bench.analysis_pictures_turns import Slip

FAULTS: Final = ("lens_covered", "black", "over_exposed", "frozen", "blurred", "upside_down")
AT_ONCE: Final = "upside_down_at_once"
"""Turned between two pictures by exactly 180 degrees, seeing the same: no camera does that, and it is easier."""
CLOSES_S: Final = 0.25  # how long a hand takes to be there; the fault begins when it is


class Fault:
    """Over `footage` from start_s to end_s."""

    def __init__(self, finding: str, footage: Footage, seed: int, start_s: float, end_s: float) -> None:
        self.finding, self.start_s, self.end_s = finding, start_s, end_s
        self._footage = footage
        self._rng = rng = np.random.default_rng([seed, FAULTS.index(finding.removesuffix("_at_once")), 5])
        self._level = rng.uniform(0, 1, 8)
        self._held: Luma | None = None
        self._slip = Slip(rng, rng.uniform(155, 205), start_s, end_s) if finding == "upside_down" else None

    def picture(self, t: float) -> Luma:
        """What comes out of the camera at t seconds."""
        if self.finding == "frozen" and self.start_s <= t < self.end_s:
            if self._held is None:
                self._held = self._footage.picture(self.start_s)
            return self._held if self._level[0] < 0.5 else self._with_clock(self._held.copy(), t)
        if self._slip:
            return self._footage.picture(t, self._slip)
        seen = self._footage.picture(t)
        if self.finding == "lens_covered" and self.start_s - CLOSES_S < t < self.start_s:
            part = int((t - self.start_s + CLOSES_S) / CLOSES_S * seen.shape[1])
            seen[:, :part] = self._covered(t, seen.shape)[:, :part]
            return seen
        if not self.start_s <= t < self.end_s:
            return seen
        match self.finding:
            case "lens_covered":
                picture = self._covered(t, seen.shape)
            case "black":
                black = 16 if self._level[0] < 0.6 else 0
                noise = self._rng.normal(0, 0.5 * self._level[1], seen.shape)
                picture = np.clip(black + noise, 0, 255).astype(np.uint8)
                return picture if self._level[2] < 0.5 else self._with_clock(picture, t)
            case "over_exposed":
                darkest = float(np.quantile(seen, 0.02 + 0.13 * self._level[0]))  # all above it is clipped
                white = 255 if self._level[2] < 0.3 else 235
                picture = np.clip(seen.astype(np.float32) * (white / max(darkest, 1.0)), 16, white).astype(np.uint8)
            case "blurred":  # of a 1080p picture 26 to 80 px: out of focus, or grease or water on the glass
                sigma = seen.shape[1] * (0.0135 + 0.028 * self._level[0])
                soft = cv2.GaussianBlur(seen, (0, 0), sigma).astype(np.float32)
                soft += self._rng.normal(0, self._footage.look.noise * 0.7, seen.shape)
                picture = np.clip(soft, 16, 235).astype(np.uint8)
            case _:
                picture = np.ascontiguousarray(seen[::-1, ::-1])
        return self._with_clock(picture, t)

    def _covered(self, t: float, shape: tuple[int, ...]) -> Luma:
        """A hand, a jacket, a pocket, tape: dim, soft, with the noise of a high gain; light may leak in at a side."""
        a = self._level
        height, width = shape
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        x, y = x / width - 0.5, y / height - 0.5
        level = 22 + 55 * a[0] + 5 * sin(t * (0.5 + 2 * a[1]))
        picture = level + level * 0.5 * (a[2] * x + a[3] * y) + level * 0.25 * np.cos(3 * x + 2 * a[4] * sin(t))
        if a[5] < 0.3:
            side = -0.55 if a[6] < 0.5 else 0.55
            picture += (20 + 50 * a[7]) * np.exp(
                -((x - side) ** 2 + (y - 0.2 * sin(t)) ** 2) / (2 * (0.1 + 0.1 * a[4]) ** 2)
            )
        noise = 2 + 5 * a[1]
        return np.asarray(np.clip(picture + self._rng.normal(0, noise, shape), 16, 235), np.uint8)

    def _with_clock(self, picture: Luma, t: float) -> Luma:
        if self._footage.has_clock:
            clock(picture, t)
        return picture
