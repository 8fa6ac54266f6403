"""What the simulated devices hear: made sentences and a made inspection in Mandarin, as a loop; no person was recorded.

The files lie in `voices/`, see the README there. Between them is a pause, under them the faint noise of a room.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from pipeline.errors import SettingsInvalid

RATE_HZ: Final = 48_000
FRAME: Final = 1024
"""A loop is a whole number of AAC frames."""
VOICES: Final = Path(__file__).resolve().parent / "voices"

_PAUSE_S: Final = 1.6
_ROOM_LEVEL: Final = 0.002


def spoken_loop(names: Sequence[str]) -> NDArray[np.float32]:
    """(n * FRAME,) float32, -1..1, 48 kHz mono: the files of these names, one after the other, each with a pause.

    Raises: SettingsInvalid: there is no such file.
    """
    pause = np.zeros(round(_PAUSE_S * RATE_HZ), np.float32)
    parts = [part for name in names for part in (pause, voice(name))]
    said = np.concatenate([*parts[1:], pause])  # the first word comes at once
    said = np.pad(said, (0, -len(said) % FRAME))
    random = np.random.default_rng(len(said))
    return np.asarray(said + _room(random, len(said)), np.float32)


def voice(name: str) -> NDArray[np.float32]:
    """(n,) float32, -1..1, 48 kHz mono: the file of this name. Raises: SettingsInvalid: there is no such file."""
    path = VOICES / f"{name}.flac"
    resampler = AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    try:
        with av.open(str(path)) as file:
            frames = [
                piece.to_ndarray().reshape(-1)
                for frame in [*file.decode(audio=0), None]
                for piece in resampler.resample(frame)
            ]
    except (OSError, av.error.FFmpegError) as error:
        raise SettingsInvalid(f"{path}: no voice of a simulated device ({type(error).__name__})") from error
    return np.concatenate(frames)


def _room(random: np.random.Generator, length: int) -> NDArray[np.float32]:
    white = random.standard_normal(length).astype(np.float32)
    return np.asarray(_ROOM_LEVEL * (white + np.roll(white, 1) + np.roll(white, 2) + np.roll(white, 3)) / 2, np.float32)
