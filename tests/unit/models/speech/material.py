"""Sounds, a detector that hears level, and the demo model where it lies. Skips aloud where it does not."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.base import RATE_HZ, VOICE_WINDOW, Samples
from models.speech.entry import SpeechEntry
from models.speech.sounds import sound_file, table

__all__ = ["table"]

_REPOSITORY = Path(__file__).parents[4]


def demo_model() -> SpeechEntry:
    """The demo model's entry, from $ONRECORD_MODELS/speech or models/weights."""
    places = [_REPOSITORY / "models" / "weights" / "whisper-demo-zh"]
    if models := os.environ.get("ONRECORD_MODELS"):
        places += [Path(models) / "speech" / "whisper-demo-zh", Path(models) / "whisper-demo-zh"]
    folder = next((place for place in places if (place / "model.bin").is_file()), None)
    if folder is None:
        pytest.skip("whisper-demo-zh is neither in models/weights nor in $ONRECORD_MODELS")
    return SpeechEntry(folder, "whisper-demo-zh", "1", ("zh",), longest_s=10.0, has_feature_cut=True, is_demo=True)


def sounds() -> Path:
    """The folder of spoken samples: $ONRECORD_TEST_DATA/speech."""
    folder = Path(os.environ.get("ONRECORD_TEST_DATA", "")) / "speech"
    if not os.environ.get("ONRECORD_TEST_DATA") or not folder.is_dir():
        pytest.skip("spoken samples are not there: set $ONRECORD_TEST_DATA")
    return folder


@cache
def sound(path: Path) -> Samples:
    """A sound file as 16 kHz mono."""
    return sound_file(path)


class LevelDetector:
    """A VoiceDetector that holds whatever is loud to be speech."""

    def __init__(self) -> None:
        self.resets = 0
        self._rest: Samples = np.zeros(0, np.float32)

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        sound = np.concatenate([self._rest, samples])
        whole = sound.size // VOICE_WINDOW * VOICE_WINDOW
        self._rest = sound[whole:]
        windows = sound[:whole].reshape(-1, VOICE_WINDOW)
        swings = np.abs(windows - windows.mean(axis=1, keepdims=True)).max(axis=1, initial=0.0)
        return np.asarray(swings > 0.05, np.float32)

    def reset(self) -> None:
        self.resets += 1
        self._rest = self._rest[:0]


def voice(seconds: float, level: float = 0.3) -> Samples:
    """Something loud, without an offset in any window."""
    return (level * (-1.0) ** np.arange(round(seconds * RATE_HZ))).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def noise(seconds: float, level: float, colour: float = 0.0, seed: int = 7) -> Samples:
    """Noise whose power falls with frequency ** colour: 0 white, 1 pink, 2 brown. level: RMS."""
    count = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    shaped = np.fft.irfft(spectrum / np.maximum(np.arange(spectrum.size), 1) ** (colour / 2), count)
    return np.asarray(shaped / np.sqrt(np.square(shaped).mean()) * level, np.float32)
