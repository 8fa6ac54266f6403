"""YuNet as a FaceDetector: OpenCV's model, run by onnxruntime in a third of the time that OpenCV's own engine takes.

Licence: MIT (Shiqi Yu and others, OpenCV Zoo). Training data: WIDER FACE. Known failures: see the registry.
Measured on one core, 640x384: 5.7 ms by onnxruntime, 16.5 ms by OpenCV 5.0; the same faces (a test compares them).
The 2023mar file says that it takes 640x640 only, and OpenCV's engine alone does not mind: it runs that one.
Source: YuNet, doi:10.1007/s11633-023-1423-y; OpenCV, modules/objdetect/src/face_detect.cpp.
"""

from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face import sessions
from models.face.base import Found, Picture
from models.face.entry import FaceEntry
from models.face.fitting import fitted
from models.face.sessions import Session
from pipeline.errors import ModelFailed

LEAST_SCORE: Final = 0.8
"""Below it, flags and hands come in: of the test pictures' findings under 0.8, three of four are none."""
_STRIDES: Final = (8, 16, 32)
_MOST_OVERLAP: Final = 0.3
_MOST_FACES: Final = 1_000
_COLUMNS: Final = 15
"""Of a row: x, y, width, height, five points, score."""

Rows = NDArray[np.float32]
"""(n, 15) float32, in pixels of what was searched, the surest first: so does OpenCV's suppression leave them."""


class _Engine(Protocol):
    def __call__(self, canvas: Picture, /) -> Rows: ...


def opened(entry: FaceEntry, threads: int, longest_px: int, least_score: float | None) -> "YuNetDetector":
    """Raises: ModelMissing, ModelFailed."""
    session = sessions.opened(entry, threads)
    known, score = sessions.errors(entry), LEAST_SCORE if least_score is None else least_score
    try:
        is_free = not any(isinstance(side, int) for side in session.get_inputs()[0].shape[2:])
        engine: _Engine = _Decoded(session, score) if is_free else _OpenCv(entry, threads, score)
        detector = YuNetDetector(entry, engine, known, longest_px)
        engine(np.zeros((64, 64, 3), np.uint8))
    except known as error:
        raise sessions.unusable(entry) from error
    return detector


class YuNetDetector:
    """errors: what its engine raises."""

    def __init__(self, entry: FaceEntry, engine: _Engine, errors: tuple[type[Exception], ...], longest_px: int) -> None:
        self._entry = entry
        self._engine = engine
        self._errors = errors
        self._longest_px = longest_px

    @property
    def label(self) -> str:
        return self._entry.label

    def detect(self, picture: Picture) -> list[Found]:
        canvas, scale = fitted(picture, self._longest_px)
        try:
            rows = self._engine(canvas)
        except self._errors as error:
            raise ModelFailed(f"{self._entry.name} refused a picture of {picture.shape}") from error
        return [_found(row, scale) for row in rows[np.isfinite(rows).all(axis=1)]]


def _found(row: NDArray[np.float32], scale: float) -> Found:
    x, y, width, height = (float(each) * scale for each in row[:4])
    return Found((x, y, x + width, y + height), row[4:14].reshape(5, 2) * np.float32(scale), float(row[14]))


class _Decoded:
    """The model in onnxruntime, and what OpenCV makes of its answer, in NumPy."""

    def __init__(self, session: Session, least_score: float) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [output.name for output in session.get_outputs()]
        self._least_score = least_score

    def __call__(self, canvas: Picture) -> Rows:
        given = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None], np.float32)
        made = dict(zip(self._outputs, self._session.run(None, {self._input: given}), strict=True))
        rows = np.concatenate([self._level(made, stride, canvas.shape[1] // stride) for stride in _STRIDES])
        boxes = [(float(x), float(y), float(width), float(height)) for x, y, width, height in rows[:, :4]]
        kept = cv2.dnn.NMSBoxes(boxes, rows[:, 14].tolist(), self._least_score, _MOST_OVERLAP, top_k=_MOST_FACES)
        return rows[np.asarray(kept, np.intp).reshape(-1)]

    def _level(self, made: dict[str, NDArray[np.float32]], stride: int, columns: int) -> Rows:
        sure = made[f"cls_{stride}"][0, :, 0].clip(0, 1) * made[f"obj_{stride}"][0, :, 0].clip(0, 1)
        scores = np.sqrt(sure)
        at = np.flatnonzero(scores >= self._least_score)
        cells = np.stack([at % columns, at // columns], axis=1).astype(np.float32)
        raw, points = made[f"bbox_{stride}"][0, at], made[f"kps_{stride}"][0, at].reshape(-1, 5, 2)
        size = np.exp(raw[:, 2:]) * stride
        corner = (cells + raw[:, :2]) * stride - size / 2
        marks = (points + cells[:, None]) * stride
        return np.concatenate([corner, size, marks.reshape(-1, 10), scores[at, None]], axis=1, dtype=np.float32)


class _OpenCv:
    """The model in OpenCV's FaceDetectorYN. threads: of OpenCV in this process."""

    def __init__(self, entry: FaceEntry, threads: int, least_score: float) -> None:
        cv2.setNumThreads(threads)
        self._engine = cv2.FaceDetectorYN.create(
            str(entry.path), "", (320, 320), least_score, _MOST_OVERLAP, _MOST_FACES
        )

    def __call__(self, canvas: Picture) -> Rows:
        self._engine.setInputSize((canvas.shape[1], canvas.shape[0]))
        rows = self._engine.detect(canvas)[1]
        return np.zeros((0, _COLUMNS), np.float32) if rows is None else np.asarray(rows, np.float32)
