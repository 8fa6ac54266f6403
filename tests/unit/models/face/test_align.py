"""Alignment: the same as insightface's, and worth what it costs: aligned faces of a person are alike, unaligned not."""

from importlib import import_module

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.face.align import REFERENCE, aligned, outline, similarity
from models.face.base import Picture
from pipeline.errors import ModelFailed
from tests.unit.models.face.material import DETECTORS, ONE, OTHER, crop, embedder, face, picture, scaled


def moved(turn: float, scale: float, x: float, y: float) -> NDArray[np.float64]:
    return np.array([
        [scale * np.cos(turn), -scale * np.sin(turn), x], [scale * np.sin(turn), scale * np.cos(turn), y],
    ])  # fmt: skip


@given(st.floats(-3.1, 3.1), st.floats(0.05, 20), st.floats(-2_000, 2_000), st.floats(-2_000, 2_000))
@settings(deadline=None)
def test_a_face_that_was_turned_scaled_and_moved_comes_back_to_the_reference(
    turn: float, scale: float, x: float, y: float
) -> None:
    there = moved(turn, scale, x, y)
    points = (REFERENCE @ there[:, :2].T + there[:, 2]).astype(np.float32)
    back = similarity(points)
    assert np.allclose(points @ back[:, :2].T + back[:, 2], REFERENCE, atol=0.05)
    assert np.allclose(outline(back, REFERENCE.astype(np.float64)), points, atol=0.05 * max(1, scale))


def test_mirrored_points_never_give_a_mirrored_face() -> None:
    points = REFERENCE * np.array([-1, 1], np.float32) + np.array([200, 0], np.float32)
    assert np.linalg.det(similarity(points)[:, :2]) > 0


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), 7.0), np.full((5, 2), np.nan)])
def test_points_that_are_no_face_are_refused(points: NDArray[np.float64]) -> None:
    with pytest.raises(ModelFailed, match="no face"):
        aligned(np.zeros((50, 50, 3), np.uint8), points.astype(np.float32))


def test_the_matrix_is_that_of_insightface_and_so_is_a_small_face() -> None:
    theirs = import_module("insightface.utils.face_align")
    rng = np.random.default_rng(3)
    for _ in range(20):
        points = (REFERENCE * rng.uniform(0.3, 1.9) + rng.normal(0, 4, (5, 2)) + 60).astype(np.float32)
        assert np.allclose(similarity(points), theirs.estimate_norm(points, 112), atol=1e-3)
    small, found = scaled("obama-1", 45)
    ours, wanted = aligned(small, found.points), theirs.norm_crop(small, found.points, 112)
    assert np.abs(ours.astype(int) - wanted.astype(int)).max() <= 1
    assert float(np.prod(embedder().embed([ours, wanted]), axis=0).sum()) > 0.999


def test_a_large_face_is_made_small_by_area_and_lies_where_a_small_one_does() -> None:
    """Grain becomes an even grey, and is not picked out pixel by pixel; the face does not shift."""
    grain = np.random.default_rng(1).integers(0, 256, (1_600, 1_600, 3), np.uint8)
    plain = cv2.warpAffine(grain, similarity(REFERENCE * 8 + 300), (112, 112)).std()
    assert aligned(grain, REFERENCE * 8 + 300).std() < plain / 4
    by_size = [aligned(*_pair(eyes_px)) for eyes_px in (36.0, 72.0, 110.0)]
    shifts = [cv2.phaseCorrelate(_grey(by_size[0]), _grey(each))[0] for each in by_size[1:]]
    assert max(abs(value) for shift in shifts for value in shift) < 0.1


def _pair(eyes_px: float) -> tuple[Picture, NDArray[np.float32]]:
    small, found = scaled("obama-1", eyes_px)
    return small, found.points


def _grey(crop: Picture) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), np.float32)


def test_what_lies_outside_the_picture_is_black() -> None:
    white = np.full((400, 400, 3), 255, np.uint8)
    made = aligned(white, REFERENCE * 4 - 200)
    assert (made[0, 0].max(), made[111, 111].min()) == (0, 255)
    assert aligned(white, REFERENCE + 5_000).max() == 0


@pytest.mark.parametrize("by", DETECTORS)
def test_aligned_faces_of_a_person_are_alike_and_of_two_are_not_and_without_it_they_run_together(by: str) -> None:
    """Measured: aligned 0.61 and more against 0.16 and less; cut out by their box 0.30 against 0.50."""
    names = [*ONE, *OTHER]
    with_it = _pairs(names, [crop(by, name) for name in names])
    without = _pairs(names, [_boxed(by, name) for name in names])
    assert min(with_it[True]) > 0.55
    assert max(with_it[False]) < 0.25
    assert min(without[True]) < 0.35
    assert min(with_it[True]) - max(with_it[False]) > 0.35 > min(without[True]) - max(without[False])
    assert np.mean(with_it[True]) - np.mean(without[True]) > 0.1


def test_both_detectors_put_a_face_in_the_same_place() -> None:
    for name in [*ONE, *OTHER]:
        one, other = embedder().embed([crop(by, name) for by in DETECTORS])
        assert float(one @ other) > 0.85, name


def _boxed(by: str, name: str) -> Picture:
    left, top, right, bottom = (max(0, round(each)) for each in face(by, name).box)
    part = picture(name)[top:bottom, left:right]
    return np.asarray(cv2.resize(part, (112, 112), interpolation=cv2.INTER_AREA), np.uint8)


def _pairs(names: list[str], crops: list[Picture]) -> dict[bool, list[float]]:
    """Similarities of the same person's pictures, and of the two persons'."""
    made = embedder().embed(crops)
    found: dict[bool, list[float]] = {True: [], False: []}
    for one in range(len(names)):
        for other in range(one):
            found[names[one][0] == names[other][0]].append(float(made[one] @ made[other]))
    return found
