"""Sound made harmless, window by window: no NaN, nothing beyond full scale, no constant offset. Plain code."""

from typing import Final

import numpy as np

from models.base import VOICE_WINDOW, Samples

_FOLLOW: Final = 0.05  # of the distance to the mean, each 32 ms: an offset is gone within about two seconds
_HARMLESS: Final = 0.005
"""An offset below -46 dBFS changes no word of the demo model; sound without one stays as it was, bit by bit."""


class Cleaning:
    """The sound of one stream, on its way to detector and model."""

    def __init__(self) -> None:
        self._mean = 0.0
        self._taken = 0.0

    def feed(self, windows: Samples) -> Samples:
        """(k, 512) in, the same out. A bad sample is 0."""
        good = np.clip(np.nan_to_num(windows, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0)
        for number, mean in enumerate(good.mean(axis=1).tolist()):
            self._mean += _FOLLOW * (mean - self._mean)
            before, self._taken = self._taken, self._mean if abs(self._mean) > _HARMLESS else 0.0
            if before or self._taken:
                good[number] -= np.linspace(before, self._taken, VOICE_WINDOW, dtype=np.float32)
        return np.clip(good, -1.0, 1.0).astype(np.float32, copy=False)
