"""Sounds for tests of the meter and the watch, made in memory. 16 kHz mono."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from models.signal.bounds import Bounds, load
from models.signal.noticed import Noticed
from models.signal.sound_watch import SoundWatch
from models.signal.sounds import RATE_HZ, Samples, SoundMeter, SoundRow

RULES: Final = Path(__file__).resolve().parents[4] / "configs" / "rules" / "signal" / "sounds.yaml"


def bounds() -> Bounds:
    """Those that ship."""
    return load(RULES, SoundWatch.WANTED)


def times(length_s: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Seconds of the samples of so many."""
    return np.arange(round(length_s * RATE_HZ), dtype=np.float64) / RATE_HZ


def noise(length_s: float, level_db: float, seed: int = 1) -> Samples:
    """White, of this RMS."""
    white = np.random.default_rng(seed).standard_normal(round(length_s * RATE_HZ))
    return np.asarray(white * 10 ** (level_db / 20), np.float32)


def pink(length_s: float, level_db: float, seed: int = 1) -> Samples:
    """Its power falls with frequency above 30 Hz; of this RMS."""
    white = np.random.default_rng(seed).standard_normal(round(length_s * RATE_HZ))
    hertz = np.fft.rfftfreq(len(white), 1 / RATE_HZ)
    fallen = np.fft.irfft(np.fft.rfft(white) / np.sqrt(hertz + 30), len(white))
    return np.asarray(fallen * 10 ** (level_db / 20) / np.sqrt(np.square(fallen).mean()), np.float32)


def vowels(length_s: float, level_db: float, pitch_hz: float = 120.0, flatter: float = 1.0, seed: int = 1) -> Samples:
    """Syllables of a made voice: harmonics that fall by 1 / k ** (2 / flatter), four a second."""
    at, random = times(length_s), np.random.default_rng(seed)
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.05 * np.sin(2 * np.pi * 0.7 * at + random.uniform(0, 6)))) / RATE_HZ
    sound = sum(np.sin(k * phase + random.uniform(0, 6)) / k ** (2 / flatter) for k in range(1, int(4_000 / pitch_hz)))
    sound = np.asarray(sound * (0.55 - 0.45 * np.cos(2 * np.pi * 4 * at)))
    return np.asarray(sound * 10 ** (level_db / 20) / np.sqrt(np.square(sound).mean()), np.float32)


def rows_of(sound: Samples, start_s: float = 0.0) -> list[SoundRow]:
    """All of it in one piece."""
    return SoundMeter().feed(start_s, sound)


def watched(rows: Iterable[SoundRow]) -> list[tuple[float, Noticed]]:
    """What was told, with the time at which a row was whole."""
    watch = SoundWatch(bounds())
    return [(row.at_s + 0.5, told) for row in rows for told in watch.feed(row)]


def spans(rows: Iterable[SoundRow], finding: str) -> list[tuple[float, float]]:
    """When each of this kind was told to begin and to end; infinite: it did not end."""
    told = [(at_s, each.is_end) for at_s, each in watched(rows) if each.finding == finding]
    begins = [at_s for at_s, is_end in told if not is_end]
    ends = [at_s for at_s, is_end in told if is_end] + [float("inf")]
    return list(zip(begins, ends, strict=False))
