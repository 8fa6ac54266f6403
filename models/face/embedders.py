"""Aligned faces to vectors: SFace by onnxruntime, the ArcFace family by insightface. Loaded in a worker.

Licence, training data and known failures of each: see the registry. Vectors of different models are never compared.
"""

from collections.abc import Callable, Sequence
from time import process_time
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.entries import Engine
from models.face import insight, sessions
from models.face.base import CROP_PX, Picture
from models.face.entry import FaceEntry
from models.face.sessions import Session
from pipeline.errors import ModelFailed

Forward = Callable[[Sequence[Picture]], NDArray[np.float32]]
"""(n, d), of any length, of n crops."""

_TOGETHER: Final = (2, 4, 8, 16)
_TRIES: Final = 3
_WORTH: Final = 0.95
"""A larger batch must take a twentieth off a face's time, or what is less is noise and keeps others waiting."""
_BUDGET_S: Final = 1.0
"""Of measuring; what takes longer for one batch is not measured any further."""
_ALIKE: Final = 0.9999
"""Cosine of what a face gives alone and in a batch; below it the file's batches mix faces and are not used."""
_LEAST_LENGTH: Final = 1e-6
"""Of a vector as the model gives it; shorter has no direction."""


def opened_embedder(entry: FaceEntry, threads: int = 1) -> "Embedder":
    """The model, loaded, tried, and its best batch measured.

    Raises: ModelMissing: the package or the file is not here. ModelFailed: it cannot be loaded, compares no faces, or
    gives vectors of another size than the registry says.
    """
    match entry.engine:
        case Engine.ARCFACE:
            forward, session = _arcface(entry, threads)
        case Engine.SFACE:
            session = sessions.opened(entry, threads)
            forward = _sface(session)
        case _:
            raise ModelFailed(f"{entry.name} compares no faces; 'onrecord models list' shows which models do")
    errors = sessions.errors(entry)
    alone = Embedder(entry, forward, errors)
    alone.embed([_noise(0)])
    if isinstance(session.get_inputs()[0].shape[0], int):
        return alone
    return Embedder(entry, forward, errors, best_batch(forward, errors))


class Embedder:
    """A FaceEmbedder. errors: what its engine raises. together: how many faces share a call of the model."""

    def __init__(
        self, entry: FaceEntry, forward: Forward, errors: tuple[type[Exception], ...], together: int = 1
    ) -> None:
        self._entry = entry
        self._forward = forward
        self._errors = errors
        self.together = together

    @property
    def label(self) -> str:
        return self._entry.label

    @property
    def size(self) -> int:
        return self._entry.vector_size

    def embed(self, crops: Sequence[Picture]) -> NDArray[np.float32]:
        for crop in crops:
            if crop.shape != (CROP_PX, CROP_PX, 3) or crop.dtype != np.uint8:
                raise ModelFailed(
                    f"{crop.shape} of {crop.dtype} is no aligned face; ({CROP_PX}, {CROP_PX}, 3) of uint8"
                )
        made = np.zeros((len(crops), self.size), np.float32)
        for at in range(0, len(crops), self.together):
            made[at : at + self.together] = self._unit(crops[at : at + self.together])
        return made

    def _unit(self, crops: Sequence[Picture]) -> NDArray[np.float32]:
        name = self._entry.name
        try:
            made = np.asarray(self._forward(crops), np.float32)
        except self._errors as error:
            raise ModelFailed(f"{name} refused {len(crops)} faces") from error
        if made.shape != (len(crops), self.size):
            found = made.shape[1] if made.ndim == 2 else "no"
            raise ModelFailed(
                f"{name}: vectors of {self.size} numbers were expected and {found} numbers were found in "
                f"{self._entry.file}; it is the file of another model"
            )
        lengths = np.linalg.norm(made, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or (lengths < _LEAST_LENGTH).any():
            raise ModelFailed(f"{name} gave a vector that is not finite or has no length; it is not used")
        return np.asarray(made / lengths, np.float32)


def best_batch(forward: Forward, errors: tuple[type[Exception], ...], clock: Callable[[], float] = process_time) -> int:
    """How many faces together take least time each; 1 where a batch is refused or changes what comes out."""
    crops = [_noise(seed) for seed in range(max(_TOGETHER))]
    best, least_s = 1, _least_s(lambda: forward(crops[:1]), clock)
    single = [forward([crop])[0] for crop in crops[: _TOGETHER[0]]]
    for count in _TOGETHER:
        try:
            made = forward(crops[:count])
            if made.shape[0] != count or not all(_cosine(*pair) > _ALIKE for pair in zip(single, made, strict=False)):
                break
            whole_s = _least_s(lambda count=count: forward(crops[:count]), clock)  # type: ignore[misc]  # bound here
        except errors:
            break
        if whole_s / count < _WORTH * least_s:
            best, least_s = count, whole_s / count
        if whole_s > _BUDGET_S:
            break
    return best


class _ArcFace(Protocol):
    """What we use of insightface's ArcFaceONNX."""

    session: Session

    def get_feat(self, imgs: list[Picture], /) -> NDArray[np.float32]: ...


def _arcface(entry: FaceEntry, threads: int) -> tuple[Forward, Session]:
    model: _ArcFace = insight.opened(entry, threads, "recognition")  # type: ignore[assignment]  # its kind was checked
    return lambda crops: model.get_feat(list(crops)), model.session


def _sface(session: Session) -> Forward:
    """As OpenCV's FaceRecognizerSF gives it its crops: red first, 0..255; the model itself takes the mean off.

    Source: OpenCV, modules/objdetect/src/face_recognize.cpp.
    """
    name = session.get_inputs()[0].name

    def forward(crops: Sequence[Picture]) -> NDArray[np.float32]:
        blob = np.asarray(cv2.dnn.blobFromImages(list(crops), swapRB=True), np.float32)
        return session.run(None, {name: blob})[0]

    return forward


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), _LEAST_LENGTH))


def _least_s(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """The least of some times: others on the machine only ever add."""
    least_s = float("inf")
    for _ in range(_TRIES):
        began_s = clock()
        call()
        least_s = min(least_s, clock() - began_s)
    return least_s


def _noise(seed: int) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (CROP_PX, CROP_PX, 3), np.uint8)
