"""PP-OCR by rapidocr as a TextReader. Loaded where it is opened, in a worker: 0.4 GB and seconds of CPU a picture.

Licence: rapidocr Apache-2.0; the models (PP-OCRv6 small, by Baidu) Apache-2.0, as the package's MODEL_LICENSES.md says.
Training data: not published. Known failures: in the registry, and docs/evaluation.md.

rapidocr fetches a model from the net where it is told none. It is told all three, files of the registry that were
checked before, and the characters are inside one of them; so it opens no connection.
Source: https://rapidai.github.io/RapidOCRDocs/main/install_usage/rapidocr/parameters/
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.text.base import Corners, Line, Picture, ReaderAbilities
from pipeline.errors import ModelFailed, ModelMissing

_DETECTOR: Final = "PP-OCRv6_det_small.onnx"
_RECOGNISER: Final = "PP-OCRv6_rec_small.onnx"
_TURNER: Final = "ch_ppocr_mobile_v2.0_cls_mobile.onnx"

_FOUND_IN: Final = 1280
"""Longest side, in pixels, of the picture in which lines are sought: the cost grows with its area."""
_READ_FROM: Final = 1920
"""Longest side of the picture from which they are read."""
_SHORTEST_SIDE: Final = 32
"""Pixels; a narrower picture rapidocr would blow up until this side fits, and the other with it."""
_MOST_LINES: Final = 150
"""That are tried in one picture, from the bottom up: a page of a newspaper costs no more than some seconds."""
_LEAST_CONFIDENCE: Final = 0.5
"""Of a line; below it, text is mostly made of texture."""


@dataclass(frozen=True, slots=True)
class TextEntry:
    """A model whose files are in `folder` and were verified by whoever says so (models.registry)."""

    folder: Path
    name: str
    version: str
    languages: tuple[str, ...]


class Found(Protocol):
    """What we use of its answer; None, all of it, where there is no text."""

    @property
    def boxes(self) -> NDArray[np.float32] | None: ...
    @property
    def txts(self) -> Sequence[str] | None: ...
    @property
    def scores(self) -> Sequence[float] | None: ...


class Engine(Protocol):
    """What we use of its RapidOCR."""

    def __call__(self, picture: Picture, /, use_det: bool | None = None) -> Found: ...


def opened(entry: TextEntry, threads: int = 1) -> "RapidReader":
    """The models in entry.folder, loaded and tried. threads: of each model, and of OpenCV in this process.

    Raises: ModelMissing: the package or a file is not here. ModelFailed: the models cannot be loaded.
    """
    paths = {"Det": entry.folder / _DETECTOR, "Cls": entry.folder / _TURNER, "Rec": entry.folder / _RECOGNISER}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise ModelMissing(f"{entry.name} lacks {', '.join(missing)}; install rapidocr anew")
    try:
        package = import_module("rapidocr")
        errors = _errors()
    except ImportError as error:
        raise ModelMissing(f"{entry.name} needs rapidocr, which is not installed: pip install rapidocr") from error
    cv2.setNumThreads(threads)
    try:
        engine: Engine = package.RapidOCR(params=_parameters(paths, threads))
        blank = np.full((_SHORTEST_SIDE * 2, _SHORTEST_SIDE * 8, 3), 255, np.uint8)
        engine(blank, use_det=False)  # it loads a model when it first needs it, and may not need it for days
        engine(blank, use_det=True)
    except errors as error:
        raise ModelFailed(f"{entry.name} cannot be loaded; check it with 'onrecord models verify'") from error
    return RapidReader(entry, engine, errors)


_REFUSALS: Final = (cv2.error, RuntimeError, ValueError, TypeError, LookupError, OSError, ArithmeticError)


def _errors() -> tuple[type[Exception], ...]:
    """What the engine raises, with what lies below it. Raises: ImportError."""
    state = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "RuntimeException")
    own = (
        import_module("rapidocr.inference_engine.onnxruntime.main").ONNXRuntimeError,
        import_module("rapidocr.ch_ppocr_det.utils").ResizeImgError,
        import_module("rapidocr.utils.process_img").ResizeImgError,
    )
    return (*_REFUSALS, *own, *(getattr(state, name) for name in names))


def _parameters(paths: dict[str, Path], threads: int) -> dict[str, str | float]:
    return {
        "Global.log_level": "critical",
        "Global.max_side_len": _READ_FROM,
        "Global.text_score": _LEAST_CONFIDENCE,
        "Det.limit_type": "max",
        "Det.limit_side_len": _FOUND_IN,
        "Det.max_candidates": _MOST_LINES,
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        **{f"{part}.model_path": str(path) for part, path in paths.items()},
    }


class RapidReader:
    """rapidocr as a TextReader. errors: what its engine raises."""

    def __init__(self, entry: TextEntry, engine: Engine, errors: tuple[type[Exception], ...] = _REFUSALS) -> None:
        self._entry = entry
        self._engine = engine
        self._errors = errors

    @property
    def abilities(self) -> ReaderAbilities:
        return ReaderAbilities(self._entry.name, self._entry.version, self._entry.languages)

    def read(self, picture: Picture) -> list[Line]:
        is_picture = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
        if not is_picture or picture.dtype != np.uint8:
            raise ModelFailed(f"{picture.shape} of {picture.dtype} is no picture; (h, w, 3) or (h, w) of uint8 is read")
        if _shortest_side(picture) < _SHORTEST_SIDE:
            return []
        try:
            coloured = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture
            found = self._engine(np.ascontiguousarray(coloured, np.uint8))
            return _lines(found)
        except self._errors as error:
            raise ModelFailed(f"{self._entry.name} refused a picture of {picture.shape}") from error


def _shortest_side(picture: Picture) -> float:
    """As it will be when lines are sought in it."""
    height, width = int(picture.shape[0]), int(picture.shape[1])
    return min(height, width) * min(1.0, _FOUND_IN / max(height, width, 1))


def _lines(found: Found) -> list[Line]:
    boxes, texts, confidences = found.boxes, found.txts, found.scores
    if boxes is None or texts is None or confidences is None:
        return []
    return [
        Line(text.strip(), float(confidence), _corners(box))
        for box, text, confidence in zip(boxes, texts, confidences, strict=True)
    ]


def _corners(box: NDArray[np.float32]) -> Corners:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = ((float(x), float(y)) for x, y in box)
    return (ax, ay), (bx, by), (cx, cy), (dx, dy)
