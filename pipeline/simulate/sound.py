"""Speech-like sound, different for each voice, as a loop without a seam. No words are said, nothing is recorded.

A source of harmonics with the four tones of Mandarin, shaped by the formants of vowels, in syllables and phrases with
pauses; a short hiss where a consonant would stand; and the faint noise of a room.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE_HZ: Final = 48_000
LOOP_SAMPLES: Final = 1024 * 1406
"""29.99 s: a whole number of AAC frames."""

_SLOW: Final = 3
"""The voice is made at 16 kHz, which holds all a voice has, and raised to 48 kHz at the end."""
_VOICE_RATE_HZ: Final = RATE_HZ // _SLOW
_HARMONICS_TO_HZ: Final = 4200.0
_VOWELS: Final = np.array(
    [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410), (490, 1350, 1690)],
    np.float32,
)
"""Formants of a, i, u, e, o and the neutral vowel, hertz. Source: Peterson and Barney 1952, table II, men."""
_TONES: Final = ((1.25, 1.25), (0.95, 1.25), (0.9, 1.0), (1.3, 0.8))
"""Start and end of the pitch against the voice's own, for the four tones."""
_ROOM_LEVEL: Final = 0.004
_LOUDNESS: Final = 0.35


def voice_loop(voice: int) -> NDArray[np.float32]:
    """(LOOP_SAMPLES,) float32, -1..1, 48 kHz mono; the same for the same `voice`."""
    random = np.random.default_rng(voice)
    slow = np.zeros(LOOP_SAMPLES // _SLOW, np.float32)
    pitch_hz = (205.0, 118.0, 228.0, 98.0, 180.0, 132.0, 214.0, 108.0)[(voice - 1) % 8]
    throat = 1.16 if pitch_hz > 160 else 1.0
    position = int(0.3 * _VOICE_RATE_HZ)
    while position < len(slow) - 3 * _VOICE_RATE_HZ:
        for _ in range(int(random.integers(4, 11))):
            syllable = _syllable(random, pitch_hz, throat)
            slow[position : position + len(syllable)] += syllable
            position += len(syllable) + int(random.uniform(0.0, 0.05) * _VOICE_RATE_HZ)
        position += int(random.uniform(0.35, 1.1) * _VOICE_RATE_HZ)
    slow *= _LOUDNESS / max(float(np.abs(slow).max()), 1e-6)
    return np.asarray(_raise_rate(slow) + _room(random), np.float32)


def _syllable(random: np.random.Generator, pitch_hz: float, throat: float) -> NDArray[np.float32]:
    length = int(random.uniform(0.13, 0.26) * _VOICE_RATE_HZ)
    time = np.linspace(0.0, 1.0, length, dtype=np.float32)
    start, end = _TONES[int(random.integers(4))]
    pitch = pitch_hz * random.uniform(0.94, 1.06) * (start + (end - start) * time)
    phase = np.cumsum(2 * np.pi * pitch / _VOICE_RATE_HZ, dtype=np.float64).astype(np.float32)
    formants = _VOWELS[int(random.integers(len(_VOWELS)))] * throat
    wave = np.zeros(length, np.float32)
    for harmonic in range(1, int(_HARMONICS_TO_HZ / pitch_hz)):
        wave += _gain(harmonic * pitch_hz, formants) * np.sin(harmonic * phase)
    wave *= np.minimum(1.0, time * 8) * np.minimum(1.0, (1 - time) * 4)
    hiss = int(random.uniform(0.0, 0.06) * _VOICE_RATE_HZ)
    noise = np.diff(random.standard_normal(hiss + 1).astype(np.float32)) * 0.06
    wave[:hiss] += noise * np.hanning(hiss).astype(np.float32)
    return wave


def _gain(hz: float, formants: NDArray[np.float32]) -> np.float32:
    """How strongly the throat lets `hz` through: three resonances over a source that falls with the frequency."""
    width = 60 + formants * 0.05
    peaks = 1 / (1 + ((hz - formants) / width) ** 2)
    return np.float32((peaks * (1.0, 0.6, 0.35)).sum() * (120 / (120 + hz)) ** 0.5 + 0.004)


def _raise_rate(slow: NDArray[np.float32]) -> NDArray[np.float32]:
    """16 kHz to 48 kHz by straight lines, the last sample leading to the first.

    The images above 8 kHz that this leaves are weak, since the voice ends near 4 kHz; they sound like breath.
    """
    following = np.concatenate([slow[1:], slow[:1]])
    steps = np.arange(_SLOW, dtype=np.float32) / _SLOW
    raised = (slow[:, None] * (1 - steps) + following[:, None] * steps).reshape(-1)
    return np.pad(raised, (0, LOOP_SAMPLES - len(raised)))


def _room(random: np.random.Generator) -> NDArray[np.float32]:
    white = random.standard_normal(LOOP_SAMPLES).astype(np.float32)
    return np.asarray(_ROOM_LEVEL * (white + np.roll(white, 1) + np.roll(white, 2) + np.roll(white, 3)) / 2, np.float32)
