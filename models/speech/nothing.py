"""Sound in which nobody speaks, of many kinds, made here: what no word may come of."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.base import RATE_HZ, Samples


def nothing(kind: str, length_s: float, seed: int = 1) -> Samples:
    """`length_s` seconds of one of KINDS."""
    count = round(length_s * RATE_HZ)
    random = np.random.default_rng(seed)
    times = np.arange(count, dtype=np.float64) / RATE_HZ
    match kind:
        case "silence":
            sound = np.zeros(count)
        case "tone":
            sound = 0.1 * np.sin(2 * np.pi * 440 * times)
        case "chords":
            sound = 0.08 * _chords(times)
        case "engine":
            sound = 0.2 * _engine(times, random)
        case "wind":
            sound = 0.3 * _coloured(count, 2.0, random) * (0.55 + 0.45 * _coloured(count, 3.0, random).clip(-1, 1))
        case _:
            power, level_db = _NOISES[kind]
            sound = 10 ** (level_db / 20) * _coloured(count, power, random)
    return sound.clip(-1, 1).astype(np.float32)


_NOISES: Final[Mapping[str, tuple[float, float]]] = {
    "white -20 dBFS": (0.0, -20.0),
    "white -50 dBFS": (0.0, -50.0),
    "pink -26 dBFS": (1.0, -26.0),
    "brown -20 dBFS": (2.0, -20.0),
}
"""The power of frequency by which the noise falls, and its RMS."""

KINDS: Final = ("silence", *_NOISES, "tone", "chords", "engine", "wind")


def _coloured(count: int, power: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Noise of RMS 1 whose power falls with frequency ** power."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / RATE_HZ)
    shaped = np.fft.irfft(spectrum / np.maximum(frequency, 5.0) ** (power / 2), count)
    return np.asarray(shaped / np.sqrt(np.square(shaped).mean()))


def _chords(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """A chord of three tones with overtones, another one every two seconds."""
    root = 220.0 * 2 ** (np.array([0, 5, 7, 3])[(times // 2).astype(int) % 4] / 12)
    phase = 2 * np.pi * np.cumsum(root) / RATE_HZ
    voices = [np.sin(phase * ratio * k) / k for ratio in (1.0, 5 / 4, 3 / 2) for k in (1, 2, 3)]
    return np.asarray(sum(voices) * np.exp(-(times % 2)))


def _engine(times: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Harmonics of a speed that goes up and down, with the noise of the road."""
    speed_hz = 40 + 15 * np.sin(2 * np.pi * times / 7)
    phase = 2 * np.pi * np.cumsum(speed_hz) / RATE_HZ
    harmonics = [np.sin(k * phase) / k for k in range(1, 20)]
    return np.asarray(sum(harmonics) * 0.4 + 0.3 * _coloured(times.size, 1.5, random))
