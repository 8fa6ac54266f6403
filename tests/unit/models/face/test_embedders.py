"""SFace and ArcFace as FaceEmbedders: unit vectors of the size the registry says, or a plain refusal."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.entries import Engine
from models.face.base import FaceEmbedder, Picture
from models.face.embedders import Embedder, best_batch, opened_embedder
from models.face.entry import FaceEntry
from pipeline.errors import ModelFailed, ModelMissing
from tests.unit.models.face.material import ONE, OTHER, crop, embedder, shared, tiny

ENTRY = FaceEntry(Path("nowhere"), "made", "1", Engine.ARCFACE, "made.onnx", 4)


def noise(count: int) -> list[Picture]:
    return list(np.random.default_rng(5).integers(0, 256, (count, 112, 112, 3), np.uint8))


def made_of(rows: Sequence[Sequence[float]]) -> Embedder:
    """Gives these rows, one for each face."""
    return Embedder(ENTRY, lambda crops: np.asarray(rows[: len(crops)], np.float32), (RuntimeError,), together=8)


def test_vectors_are_rows_of_unit_length_in_the_crops_order() -> None:
    model: FaceEmbedder = embedder()
    crops = [crop("yunet", name) for name in [*ONE, *OTHER]]
    made = model.embed(crops)
    assert made.shape == (5, 128)
    assert made.dtype == np.float32
    assert (model.size, model.label) == (128, "mobilefacenet@128")
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)
    assert np.allclose(model.embed(crops[::-1]), made[::-1], atol=1e-6)
    assert model.embed([]).shape == (0, 128)


def test_arcface_is_given_what_insightface_gives_it() -> None:
    from importlib import import_module

    theirs = import_module("insightface.model_zoo").get_model(
        str(shared("mobilefacenet").path), providers=["CPUExecutionProvider"]
    )
    feature = theirs.get_feat(crop("yunet", "obama-1"))[0]
    assert np.allclose(embedder().embed([crop("yunet", "obama-1")])[0], feature / np.linalg.norm(feature), atol=1e-5)


def test_sface_is_given_what_opencvs_own_recogniser_gives_it(tmp_path: Path) -> None:
    """With another model of the same form, since SFace's weights are not here: what differs is only what goes in."""
    for entry in (replace(shared("mobilefacenet"), engine=Engine.SFACE), tiny(tmp_path, faces=1, engine=Engine.SFACE)):
        theirs = cv2.FaceRecognizerSF.create(str(entry.path), "")
        for face in (crop("yunet", "obama-1"), noise(1)[0]):
            feature = np.asarray(theirs.feature(face), np.float32)[0]
            assert np.allclose(opened_embedder(entry).embed([face])[0], feature / np.linalg.norm(feature), atol=1e-4)


def test_a_file_of_another_vector_size_is_refused_with_what_was_expected_and_found() -> None:
    with pytest.raises(ModelFailed, match=r"vectors of 512 numbers were expected and 128 numbers were found in mobile"):
        opened_embedder(replace(shared("mobilefacenet"), vector_size=512))


@pytest.mark.parametrize("kind", ["nan", "zero"])
@pytest.mark.parametrize("engine", [Engine.ARCFACE, Engine.SFACE])
def test_a_model_that_gives_nan_or_nothing_is_refused_when_it_is_opened(
    tmp_path: Path, kind: str, engine: Engine
) -> None:
    with pytest.raises(ModelFailed, match="not finite or has no length"):
        opened_embedder(tiny(tmp_path, kind, engine=engine))


@pytest.mark.parametrize("bad", [[np.nan, 1, 1, 1], [np.inf, 0, 0, 0], [0, 0, 0, 0], [1e-9, 0, 0, 0]])
def test_one_bad_vector_among_good_ones_is_refused_and_never_told(bad: list[float]) -> None:
    assert made_of([[3, 4, 0, 0]]).embed(noise(1)).tolist() == [[pytest.approx(0.6), pytest.approx(0.8), 0, 0]]
    with pytest.raises(ModelFailed, match="not finite or has no length") as refusal:
        made_of([[3, 4, 0, 0], bad]).embed(noise(2))
    assert not any(sign in str(refusal.value) for sign in ("nan", "inf", "[", "e-09"))


def test_vectors_that_are_too_few_or_of_another_size_are_refused() -> None:
    for rows in ([[1.0, 0, 0, 0]], [[1.0, 0, 0]] * 2):
        with pytest.raises(ModelFailed, match="4 numbers were expected"):
            made_of(rows).embed(noise(2))


def test_what_is_no_aligned_face_is_refused() -> None:
    for nothing in (np.zeros((112, 111, 3), np.uint8), np.zeros((112, 112), np.uint8), np.zeros((112, 112, 3))):
        with pytest.raises(ModelFailed, match="no aligned face"):
            made_of([[1, 0, 0, 0]]).embed([nothing])  # type: ignore[list-item]  # so it is


def test_an_engine_that_refuses_is_told_as_our_own_error() -> None:
    def refusing(crops: Sequence[Picture]) -> NDArray[np.float32]:
        raise RuntimeError("no")

    with pytest.raises(ModelFailed, match="made refused 3 faces"):
        Embedder(ENTRY, refusing, (RuntimeError,), together=4).embed(noise(3))


def test_a_model_of_one_face_gets_one_and_a_model_of_many_gives_the_same_in_batches(tmp_path: Path) -> None:
    assert embedder().together == 1
    model = opened_embedder(tiny(tmp_path))
    faces = noise(37)
    alone = np.concatenate([model.embed([face]) for face in faces])
    for together in (1, 2, 5, 16, 64):
        model.together = together
        assert np.allclose(model.embed(faces), alone, atol=1e-6)


class Paced:
    """A model whose time is counted, not spent: so much for each call, and for each face by the number together."""

    def __init__(self, call_s: float, face_s: dict[int, float], refuses_from: int = 99) -> None:
        self.now_s = 0.0
        self._call_s, self._face_s, self._refuses_from = call_s, face_s, refuses_from

    def __call__(self, crops: Sequence[Picture]) -> NDArray[np.float32]:
        if len(crops) >= self._refuses_from:
            raise RuntimeError("no batches")
        self.now_s += self._call_s + len(crops) * self._face_s.get(len(crops), 0.01)
        return np.stack([crop[0, :4, 0] for crop in crops]).astype(np.float32)

    def clock(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("paced", "best"),
    [
        (Paced(0.01, {}), 16),
        (Paced(0.0, {}), 1),
        (Paced(0.01, {8: 0.02, 16: 0.02}), 4),
        (Paced(0.01, {}, refuses_from=8), 4),
        (Paced(0.01, {}, refuses_from=2), 1),
        (Paced(0.4, {4: 0.3, 8: 0.01}), 2),
    ],
)
def test_the_batch_is_the_one_whose_faces_take_least_time_each(paced: Paced, best: int) -> None:
    assert best_batch(paced, (RuntimeError,), paced.clock) == best


def test_a_model_that_mixes_the_faces_of_a_batch_is_given_one_at_a_time(tmp_path: Path) -> None:
    assert opened_embedder(tiny(tmp_path, "mixed")).together == 1


def test_a_broken_missing_or_other_file_is_told(tmp_path: Path) -> None:
    for engine in (Engine.ARCFACE, Engine.SFACE):
        entry = FaceEntry(tmp_path, "made", "1", engine, "made.onnx", 4)
        with pytest.raises(ModelMissing, match=r"made lacks made\.onnx"):
            opened_embedder(entry)
    for engine in (Engine.ARCFACE, Engine.SFACE):
        (tmp_path / "made.onnx").write_bytes(b"no model")
        with pytest.raises(ModelFailed, match="cannot be loaded"):
            opened_embedder(FaceEntry(tmp_path, "made", "1", engine, "made.onnx", 4))
    with pytest.raises(ModelFailed, match="compares no faces"):
        opened_embedder(shared("yunet"))
    with pytest.raises(ModelFailed, match="is no model that compares faces"):
        opened_embedder(replace(shared("scrfd-2.5g"), engine=Engine.ARCFACE, vector_size=512))


def test_a_model_that_guesses_at_traits_is_never_used(tmp_path: Path) -> None:
    """insightface takes a picture of 96 a side for such a model, and would run it."""
    with pytest.raises(ModelFailed, match=r"is no model that compares faces|cannot be loaded"):
        opened_embedder(tiny(tmp_path, side=96))
