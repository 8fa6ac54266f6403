"""Pictures of people, the shared weights, and small models made on the spot. Skips aloud what is not there."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from models.entries import Engine, load
from models.face.align import aligned
from models.face.base import FaceDetector, Found, Picture
from models.face.detectors import opened_detector
from models.face.embedders import Embedder, opened_embedder
from models.face.entry import FaceEntry
from models.registry import FILE

ONE = ("obama-1", "obama-2", "obama-3")
OTHER = ("biden-1", "biden-2")
DETECTORS = ("yunet", "scrfd-2.5g")


def weights() -> Path:
    """$ONRECORD_MODELS/face."""
    place = Path(os.environ.get("ONRECORD_MODELS", "")) / "face"
    if not os.environ.get("ONRECORD_MODELS") or not place.is_dir():
        pytest.skip("weights of face models are not there: set $ONRECORD_MODELS")
    return place


def shared(name: str) -> FaceEntry:
    """A model of configs/models.yaml whose file lies in $ONRECORD_MODELS/face."""
    entry = next(each for each in load(FILE) if each.name == name)
    return FaceEntry(weights(), name, entry.version, entry.engine, entry.files[0].path, entry.vector_size)


@cache
def detector(name: str) -> FaceDetector:
    return opened_detector(shared(name))


@cache
def embedder() -> Embedder:
    return opened_embedder(shared("mobilefacenet"))


@cache
def picture(name: str) -> Picture:
    """One of $ONRECORD_TEST_DATA/faces."""
    path = Path(os.environ.get("ONRECORD_TEST_DATA", "")) / "faces" / f"{name}.jpg"
    if not os.environ.get("ONRECORD_TEST_DATA") or not path.is_file():
        pytest.skip("pictures of faces are not there: set $ONRECORD_TEST_DATA")
    return np.asarray(cv2.imread(str(path)), np.uint8)


@cache
def face(by: str, name: str) -> Found:
    """The surest face of a picture."""
    return detector(by).detect(picture(name))[0]


def crop(by: str, name: str) -> Picture:
    return aligned(picture(name), face(by, name).points)


def scaled(name: str, eyes_px: float, by: str = "yunet") -> tuple[Picture, Found]:
    """A picture made smaller or larger until the eyes are so far apart, and its face."""
    found = face(by, name)
    scale = eyes_px / float(np.linalg.norm(found.points[1] - found.points[0]))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(picture(name), None, fx=scale, fy=scale, interpolation=way), np.uint8)
    left, top, right, bottom = ((each + 0.5) * scale - 0.5 for each in found.box)
    points = np.asarray((found.points + 0.5) * scale - 0.5, np.float32)
    return small, Found((left, top, right, bottom), points, found.score)


def changed(given: Picture, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Picture:
    return np.asarray(change(given.astype(np.float32)).round().clip(0, 255), np.uint8)


def tiny(
    folder: Path,
    kind: str = "mean",
    side: int = 112,
    outputs: int = 1,
    faces: int | str = "n",
    engine: Engine = Engine.ARCFACE,
) -> FaceEntry:
    """A model that makes 48 numbers of a face: means of 16 squares in three colours; or NaN, or zeros.

    faces: how many it takes at once; a name: any number. kind: mean, nan, zero, mixed (each gets the sum of all).
    """
    size = side // 4
    nodes = [
        helper.make_node("AveragePool", ["input"], ["pooled"], kernel_shape=[size, size], strides=[size, size]),
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
    ]
    match kind:
        case "nan":
            nodes.append(helper.make_node("Div", ["none", "none"], ["nan"]))
            nodes.append(helper.make_node("Add", ["flat", "nan"], ["output0"]))
        case "zero":
            nodes.append(helper.make_node("Mul", ["flat", "none"], ["output0"]))
        case "mixed":
            nodes.append(helper.make_node("ReduceSum", ["flat", "first"], ["sum"], keepdims=1))
            nodes.append(helper.make_node("Add", ["flat", "sum"], ["output0"]))
        case _:
            nodes.append(helper.make_node("Identity", ["flat"], ["output0"]))
    nodes += [helper.make_node("Identity", ["output0"], [f"output{number}"]) for number in range(1, outputs)]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [faces, 3, side, side])
    made = [
        helper.make_tensor_value_info(f"output{number}", TensorProto.FLOAT, [faces, 48]) for number in range(outputs)
    ]
    constants = [
        helper.make_tensor("none", TensorProto.FLOAT, [1], [0.0]),
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
    ]
    graph = helper.make_graph(nodes, "tiny", [given], made, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "tiny.onnx")
    return FaceEntry(folder, "tiny", "1", engine, "tiny.onnx", 48)
