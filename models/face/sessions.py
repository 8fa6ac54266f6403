"""onnxruntime as face models need it: on the CPU, with so many threads, and its errors by name."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face.entry import FaceEntry
from pipeline.errors import ModelFailed, ModelMissing

PROVIDERS: Final = ("CPUExecutionProvider",)
_REFUSALS: Final = (
    cv2.error,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    OSError,
    ArithmeticError,
    AssertionError,
)
_STATES: Final = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "RuntimeException")


class Value(Protocol):
    """An input or output of a model. shape: a side that is no number is free."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> Sequence[int | str | None]: ...


class Session(Protocol):
    """What we use of an InferenceSession."""

    def get_inputs(self) -> Sequence[Value]: ...
    def get_outputs(self) -> Sequence[Value]: ...
    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[np.float32]], /
    ) -> Sequence[NDArray[np.float32]]: ...


def opened(entry: FaceEntry, threads: int) -> Session:
    """Raises: ModelMissing: the file or the package is not here. ModelFailed: it cannot be loaded."""
    check_here(entry)
    known = errors(entry)
    try:
        session: Session = import_module("onnxruntime").InferenceSession(
            str(entry.path), options(threads), providers=list(PROVIDERS)
        )
    except known as error:
        raise unusable(entry) from error
    return session


def options(threads: int) -> object:
    """SessionOptions. Threads that wait do not spin: others need the cores."""
    made = import_module("onnxruntime").SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    made.log_severity_level = 4
    made.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return made


def errors(entry: FaceEntry) -> tuple[type[Exception], ...]:
    """What the engine raises, with what lies below it. Raises: ModelMissing."""
    try:
        state = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    except ImportError as error:
        raise ModelMissing(f"{entry.name} needs onnxruntime, which is not installed") from error
    return (*_REFUSALS, *(getattr(state, name) for name in _STATES))


def check_here(entry: FaceEntry) -> None:
    """Raises: ModelMissing."""
    if not entry.path.is_file():
        raise ModelMissing(f"{entry.name} lacks {entry.file}; bring it with 'onrecord models import {entry.name} PATH'")


def unusable(entry: FaceEntry) -> ModelFailed:
    return ModelFailed(f"{entry.name} cannot be loaded; check it with 'onrecord models verify'")
