"""Pictures of a worn camera for the tests: a drawn place that moves, and what may be wrong with it. No coding."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.signal.bounds import Bounds, load
from models.signal.flow_watch import FlowWatch
from models.signal.picture_watch import PictureWatch

Luma = NDArray[np.uint8]
FILE = Path(__file__).resolve().parents[4] / "configs" / "rules" / "signal" / "pictures.yaml"


@cache
def bounds() -> Bounds:
    return load(FILE, {**PictureWatch.WANTED, **FlowWatch.WANTED, "undecodable": frozenset()})


@cache
def _world() -> NDArray[np.float32]:
    rng = np.random.default_rng(4)
    world = np.full((900, 1600), 110, np.float32)
    for _ in range(500):
        x, y, a, b = (int(each) for each in rng.integers((0, 0, 8, 8), (1600, 900, 120, 90)))
        cv2.rectangle(world, (x, y), (x + a, y + b), float(rng.uniform(25, 215)), -1)
    return world


def walk(t: float, *, width: int = 480, height: int = 270, gain: float = 1.0) -> Luma:
    """A shop, seen by somebody who walks through it."""
    x, y = 500 + 300 * np.sin(t * 0.7) + 9 * np.sin(t * 6), 300 + 60 * np.sin(t * 1.1)
    view = _world()[int(y) : int(y) + 270, int(x) : int(x) + 480]
    noise = np.random.default_rng(int(t * 1000)).normal(0, 1.5, view.shape)
    picture = np.clip((view + noise) * gain, 16, 235).astype(np.uint8)
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def flat(level: float, noise: float, seed: int = 1, shape: tuple[int, int] = (270, 480)) -> Luma:
    return np.clip(np.random.default_rng(seed).normal(level, noise, shape), 0, 255).astype(np.uint8)


def with_clock(picture: Luma, t: float) -> Luma:
    picture = picture.copy()
    cv2.putText(picture, f"2025-06-11 10:00:{int(t):02d}", (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 235, 1, cv2.LINE_AA)
    return picture
