"""SCRFD as a FaceDetector, by insightface. Loaded where it is opened, in a worker.

Licence: of the weights, non-commercial research only (insightface). Training data: WIDER FACE. Known failures: see the
registry. Measured on one core: 640x384 52 ms, 480x288 29 ms.
Source: SCRFD, arXiv:2105.04714.
"""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.face import insight, sessions
from models.face.base import Found, Picture
from models.face.entry import FaceEntry
from models.face.fitting import fitted
from pipeline.errors import ModelFailed

LEAST_SCORE: Final = 0.5
"""As the package has it."""


class Engine(Protocol):
    """What we use of its SCRFD. input_size: width, height. Rows: left, top, right, bottom, score; five points."""

    def detect(
        self, img: Picture, /, input_size: tuple[int, int], det_thresh: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]: ...


class _Opened(Engine, Protocol):
    use_kps: bool


def opened(entry: FaceEntry, threads: int, longest_px: int, least_score: float | None) -> "ScrfdDetector":
    """Raises: ModelMissing, ModelFailed."""
    model = insight.opened(entry, threads, "detection")
    engine: _Opened = model  # type: ignore[assignment]  # insightface has no types; its kind was checked
    if not getattr(model, "use_kps", False):
        raise ModelFailed(f"{entry.name}: {entry.file} gives no eyes, nose and mouth; faces cannot be aligned without")
    detector = ScrfdDetector(entry, engine, sessions.errors(entry), longest_px, least_score or LEAST_SCORE)
    detector.detect(np.zeros((64, 64, 3), np.uint8))
    return detector


class ScrfdDetector:
    """errors: what its engine raises."""

    def __init__(
        self,
        entry: FaceEntry,
        engine: Engine,
        errors: tuple[type[Exception], ...],
        longest_px: int,
        least_score: float = LEAST_SCORE,
    ) -> None:
        self._entry = entry
        self._engine = engine
        self._errors = errors
        self._longest_px = longest_px
        self._least_score = least_score

    @property
    def label(self) -> str:
        return self._entry.label

    def detect(self, picture: Picture) -> list[Found]:
        canvas, scale = fitted(picture, self._longest_px)
        size = int(canvas.shape[1]), int(canvas.shape[0])
        try:
            boxes, points = self._engine.detect(canvas, input_size=size, det_thresh=self._least_score)
        except self._errors as error:
            raise ModelFailed(f"{self._entry.name} refused a picture of {picture.shape}") from error
        if points is None:
            return []
        rows = [(box, marks) for box, marks in zip(boxes, points, strict=True) if np.isfinite(box).all()]
        found = [_found(box, marks, scale) for box, marks in rows if np.isfinite(marks).all()]
        return sorted(found, key=lambda each: -each.score)


def _found(box: NDArray[np.float32], points: NDArray[np.float32], scale: float) -> Found:
    left, top, right, bottom = (float(each) * scale for each in box[:4])
    return Found((left, top, right, bottom), points.astype(np.float32) * np.float32(scale), float(box[4]))
