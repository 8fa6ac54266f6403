"""Silero VAD as a VoiceDetector. Knows sound alone: no stream, no time, no utterance.

Model: silero_vad_v6.onnx, which comes inside faster-whisper. Licence: MIT. Training data: not published by its makers
beyond "over 6,000 languages". Known failures: singing counts as speech; shouts far away and whispers are often missed;
the first 60 to 100 ms of a word that begins loudly may be judged late, which the padding of utterances makes good.
Source: https://github.com/snakers4/silero-vad
"""

from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # ships no types
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (  # type: ignore[import-untyped]  # ships no types
    Fail,
    InvalidGraph,
    InvalidProtobuf,
)

from models.base import VOICE_WINDOW, Samples
from pipeline.errors import ModelFailed, ModelMissing

_CONTEXT = 64  # samples of the window before, which the net sees again
_STATE = 128  # width of the LSTM
_SILENT_PEAK: Final = 3e-4
"""-70 dBFS, ten steps of 16-bit sound: below it no microphone tells speech from its own noise."""
_SILENT_WINDOWS: Final = 8
"""After a quarter of a second of it the net is not asked; a pause between two words is shorter."""


@cache
def _session() -> onnxruntime.InferenceSession:
    """One for all streams of the process: it holds no state. One thread, because windows come a few at a time."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    path = files("faster_whisper").joinpath("assets", "silero_vad_v6.onnx")
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except FileNotFoundError as error:
        raise ModelMissing("silero_vad_v6.onnx is not inside the installed faster-whisper; install 1.2 anew") from error
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise ModelFailed("silero_vad_v6.onnx inside faster-whisper cannot be loaded; install it anew") from error


class SileroDetector:
    """The VoiceDetector of one stream. Costs about 2.3 ms of a core for a second of sound fed 0.25 s at a time.

    Sound below -70 dBFS costs nothing: after a quarter of a second of it windows are 0 without being looked at.
    Raises: ModelMissing, ModelFailed: the net's file is not inside faster-whisper, or is broken.
    """

    def __init__(self) -> None:
        self._net = _session()
        self._rest: Samples = np.zeros(0, np.float32)
        self._context: Samples
        self._h: NDArray[np.float32]
        self._c: NDArray[np.float32]
        self.reset()

    def reset(self) -> None:
        self._rest = self._rest[:0]
        self._silent = 0
        self._forget()

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        sound = np.concatenate([self._rest, samples]) if self._rest.size else samples
        count = sound.size // VOICE_WINDOW
        self._rest = sound[count * VOICE_WINDOW :].copy()
        windows = sound[: count * VOICE_WINDOW].reshape(count, VOICE_WINDOW)
        probabilities = np.zeros(count, np.float32)
        first = 0
        for last in [*self._skipped(windows), count]:
            if first < last:
                probabilities[first:last] = self._ask(windows[first:last])
            if last < count:
                self._forget()  # what comes after a silence begins as if it were the first
            first = last + 1
        return probabilities

    def _skipped(self, windows: Samples) -> list[int]:
        """The windows deep in silence, which are 0 without being asked for."""
        skipped = []
        for number, is_silent in enumerate(np.abs(windows).max(axis=1, initial=0.0) < _SILENT_PEAK):
            self._silent = self._silent + 1 if is_silent else 0
            if self._silent > _SILENT_WINDOWS:
                skipped.append(number)
        return skipped

    def _ask(self, windows: Samples) -> NDArray[np.float32]:
        before = np.concatenate([self._context[None], windows[:-1, -_CONTEXT:]])
        given = {"input": np.concatenate([before, windows], axis=1), "h": self._h, "c": self._c}
        probabilities, self._h, self._c = self._net.run(None, given)
        self._context = windows[-1, -_CONTEXT:].copy()
        return np.asarray(probabilities, np.float32)

    def _forget(self) -> None:
        self._h = np.zeros((1, 1, _STATE), np.float32)
        self._c = np.zeros((1, 1, _STATE), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
