"""YuNet and SCRFD as FaceDetectors: where faces are, in the picture's own pixels, whatever its shape."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from models.entries import Engine
from models.face import scrfd
from models.face.base import FaceDetector, Found, Picture
from models.face.detectors import opened_detector
from models.face.entry import FaceEntry
from models.face.fitting import fitted
from models.face.scrfd import ScrfdDetector
from pipeline.errors import ModelFailed, ModelMissing
from tests.unit.models.face.material import DETECTORS, detector, picture, shared, tiny

PEOPLE = {
    "biden-1": (577, 370, 150), "obama-1": (492, 220, 115), "obama-2": (340, 420, 128), "obama-3": (775, 440, 130),
}  # fmt: skip
"""The middle of the face and the distance of the eyes, in pixels, as seen by eye."""


class Counting:
    """A SCRFD that finds nothing, and is asked for sizes."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def detect(
        self, img: Picture, /, input_size: tuple[int, int], det_thresh: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        self.sizes.append(input_size)
        assert (img.shape[1], img.shape[0], det_thresh) == (*input_size, scrfd.LEAST_SCORE)
        return np.zeros((0, 5), np.float32), np.zeros((0, 5, 2), np.float32)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((1080, 1920), (384, 640)), ((1920, 1080), (640, 384)), ((720, 1280), (384, 640)), ((480, 640), (480, 640)),
        ((100, 200), (128, 224)), ((1, 1), (32, 32)), ((1, 9_000), (32, 640)), ((2_160, 3_840), (384, 640)),
    ],
)  # fmt: skip
def test_a_picture_is_searched_in_its_own_shape_and_never_made_square_or_larger(
    shape: tuple[int, int], wanted: tuple[int, int]
) -> None:
    canvas, scale = fitted(np.full((*shape, 3), 9, np.uint8), 640)
    assert canvas.shape[:2] == wanted
    assert scale == max(1, max(shape) / 640)
    assert canvas[: max(1, round(shape[0] / scale)), : max(1, round(shape[1] / scale))].min() == 9
    counting = Counting()
    entry = FaceEntry(Path("nowhere"), "made", "1", Engine.SCRFD, "made.onnx")
    ScrfdDetector(entry, counting, (), 640).detect(np.zeros((*shape, 3), np.uint8))
    assert counting.sizes == [(wanted[1], wanted[0])]


@pytest.mark.parametrize("by", DETECTORS)
@pytest.mark.parametrize("name", PEOPLE)
def test_a_face_is_found_where_it_is_with_the_eye_on_the_left_first(by: str, name: str) -> None:
    (found, *more) = detector(by).detect(picture(name))
    x, y, eyes_px = PEOPLE[name]
    left, top, right, bottom = found.box
    assert more == []
    assert abs((left + right) / 2 - x) < 0.35 * eyes_px
    assert abs((top + bottom) / 2 - y) < 0.75 * eyes_px
    eye, other_eye, nose, mouth, other_mouth = found.points
    assert eye[0] < other_eye[0]
    assert mouth[0] < other_mouth[0]
    assert max(eye[1], other_eye[1]) < nose[1] < min(mouth[1], other_mouth[1])
    assert found.points.shape == (5, 2)
    assert 0.5 < found.score <= 1


@pytest.mark.parametrize("by", DETECTORS)
def test_faces_come_the_surest_first_and_at_every_scale_in_the_pictures_own_pixels(by: str) -> None:
    large = picture("obama-and-biden")
    small = np.asarray(cv2.resize(large, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), np.uint8)
    there, again = detector(by).detect(large), detector(by).detect(small)
    assert [each.score for each in there] == sorted((each.score for each in there), reverse=True)
    assert (len(there), len(again)) == (3, 3)
    for one in there:
        assert min(np.abs(np.subtract(one.box, np.multiply(other.box, 4))).max() for other in again) < 25


@pytest.mark.parametrize("by", DETECTORS)
def test_a_picture_without_a_face_has_none_whatever_its_size(by: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    for nothing in (noise, np.zeros((1, 1, 3), np.uint8), np.full((1, 5_000, 3), 99, np.uint8)):
        assert detector(by).detect(nothing) == []


@pytest.mark.parametrize("by", DETECTORS)
def test_what_is_no_picture_is_refused(by: str) -> None:
    for nothing in (np.zeros((9, 9), np.uint8), np.zeros((0, 9, 3), np.uint8), np.zeros((9, 9, 3), np.float32)):
        with pytest.raises(ModelFailed, match="no picture"):
            detector(by).detect(nothing)  # type: ignore[arg-type]  # so it is


def test_yunet_finds_what_opencvs_own_detector_finds(tmp_path: Path) -> None:
    """A file that says 640x640 only, as that of 2023 does, is run by OpenCV; it is the same model here."""
    ours, theirs = detector("yunet"), opened_detector(_fixed(shared("yunet"), tmp_path))
    for name in (*PEOPLE, "obama-and-biden", "obama-partial"):
        one, other = ours.detect(picture(name)), theirs.detect(picture(name))
        assert len(one) == len(other) > 0
        for found, wanted in zip(one, other, strict=True):
            assert _apart(found, wanted) < 0.02 * (wanted.box[2] - wanted.box[0])
            assert abs(found.score - wanted.score) < 0.01


def _fixed(entry: FaceEntry, folder: Path) -> FaceEntry:
    model = onnx.load(entry.path)
    for side in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        side.dim_value = 640
    onnx.save(model, folder / entry.file)
    return FaceEntry(folder, "yunet-2023mar", "made", Engine.YUNET, entry.file)


def _apart(found: Found, wanted: Found) -> float:
    of_points = float(np.abs(found.points - wanted.points).max())
    return max(of_points, float(np.abs(np.subtract(found.box, wanted.box)).max()))


@pytest.mark.parametrize("by", DETECTORS)
def test_more_is_found_where_less_certainty_is_asked(by: str) -> None:
    usual, keen = detector(by), opened_detector(shared(by), least_score=0.05)
    wanted = usual.detect(picture("biden-2"))
    found = keen.detect(picture("biden-2"))
    assert len(found) > len(wanted) == 1
    assert _apart(found[0], wanted[0]) < 1


@pytest.mark.parametrize("by", DETECTORS)
def test_a_broken_or_missing_file_is_told(by: str, tmp_path: Path) -> None:
    entry = shared(by)
    broken = FaceEntry(tmp_path, entry.name, entry.version, entry.engine, entry.file)
    with pytest.raises(ModelMissing, match=rf"{entry.name} lacks {entry.file}.*onrecord models import"):
        opened_detector(broken)
    for data in (b"", b"no model", entry.path.read_bytes()[:100_000]):
        (tmp_path / entry.file).write_bytes(data)
        with pytest.raises(ModelFailed, match=r"cannot be loaded|finds faces"):
            opened_detector(broken)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    """Also one that guesses at traits: insightface knows it by its 96 pixels a side, and loads it if it is let."""
    with pytest.raises(ModelFailed, match="finds no faces"):
        opened_detector(tiny(tmp_path))
    for made in (tiny(tmp_path, engine=Engine.SCRFD), tiny(tmp_path, side=96, engine=Engine.SCRFD)):
        with pytest.raises(ModelFailed, match=r"tiny\.onnx is no model that finds faces|cannot be loaded"):
            opened_detector(made)
    with pytest.raises(ModelFailed, match="cannot be loaded"):
        opened_detector(tiny(tmp_path, engine=Engine.YUNET))


def test_an_engine_that_refuses_is_told_as_our_own_error() -> None:
    class Refusing(Counting):
        def detect(
            self, img: Picture, /, input_size: tuple[int, int], det_thresh: float
        ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
            raise RuntimeError(f"no to {img.shape}, {input_size}, {det_thresh}")

    entry = FaceEntry(Path("nowhere"), "made", "1", Engine.SCRFD, "made.onnx")
    refusing: FaceDetector = scrfd.ScrfdDetector(entry, Refusing(), (RuntimeError,), 640)
    with pytest.raises(ModelFailed, match="made refused a picture"):
        refusing.detect(np.zeros((9, 9, 3), np.uint8))
    assert refusing.label == "made@1"


_CHILD = """
import json, sys
import numpy as np
called = []
sys.addaudithook(lambda event, args: called.append(event) if event in (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto") else None)
import models.face.detectors, models.face.embedders
before = sorted(name for name in sys.modules if name.split(".")[0] in ("insightface", "skimage", "onnx", "scipy"))
from tests.unit.models.face.material import detector, embedder
for name in ("yunet", "scrfd-2.5g"):
    detector(name).detect(np.zeros((64, 64, 3), np.uint8))
embedder().embed([np.zeros((112, 112, 3), np.uint8)])
print(json.dumps([called, before]))
"""


def test_nothing_is_fetched_reported_or_kept_when_models_are_loaded_and_insightface_is_imported_late(
    tmp_path: Path,
) -> None:
    """onnxruntime's report is native code that no hook sees; the id of the machine that it keeps for it is seen."""
    folders = {"ONRECORD_MODELS": str(shared("yunet").folder.parent)}
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    asked = [sys.executable, "-c", _CHILD]
    run = subprocess.run(asked, env=places | folders, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout) == [[], []]
    assert list(tmp_path.iterdir()) == []
