"""Sound files and their tables, for measuring. The program itself decodes in its own child process, never here."""

from pathlib import Path

import av
import numpy as np

from models.base import RATE_HZ, Samples


def sound_file(path: Path) -> Samples:
    """A sound file as 16 kHz mono."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    with av.open(str(path)) as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([np.asarray(frame.to_ndarray()[0], np.float32) for frame in frames])


def table(path: Path) -> list[dict[str, str]]:
    """A file of tab-separated values, each line by the names of the first."""
    head, *lines = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines]
