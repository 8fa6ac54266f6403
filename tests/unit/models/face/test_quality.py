"""The quality gate: good pictures pass, and each fault is found where a good picture was given it on purpose."""

import cv2
import numpy as np
import pytest

from models.face.align import aligned
from models.face.base import FAULTS, Found, Picture, Quality
from models.face.quality import judged
from tests.unit.models.face.material import DETECTORS, ONE, OTHER, changed, detector, face, picture, scaled

PEOPLE = [*ONE, *OTHER]


def seen(given: Picture, found: Found) -> Quality:
    return judged(given, found, aligned(given, found.points))


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("by", DETECTORS)
def test_a_portrait_has_no_fault(by: str, name: str) -> None:
    quality = seen(picture(name), face(by, name))
    assert quality.faults == ()
    assert 0.8 < quality.value <= 1


@pytest.mark.parametrize("name", PEOPLE)
def test_a_small_face_is_too_small_and_one_of_twenty_pixels_is_not(name: str) -> None:
    assert "too_small" not in seen(*scaled(name, 20)).faults
    worse = seen(*scaled(name, 12))
    assert "too_small" in worse.faults
    assert worse.value < 0.5 * seen(*scaled(name, 60)).value


@pytest.mark.parametrize("name", PEOPLE)
def test_a_face_out_of_focus_is_blurred(name: str) -> None:
    small, found = scaled(name, 70)
    blurred = np.asarray(cv2.GaussianBlur(small, (0, 0), 5), np.uint8)
    quality = seen(blurred, found)
    assert quality.faults == ("blurred",)
    assert quality.value < 0.5 * seen(small, found).value


@pytest.mark.parametrize("shape", [(1, 25), (25, 1)])
@pytest.mark.parametrize("name", PEOPLE)
def test_a_face_smeared_by_movement_is_blurred_whichever_way_it_moved(name: str, shape: tuple[int, int]) -> None:
    small, found = scaled(name, 70)
    smeared = np.asarray(cv2.filter2D(small, -1, np.ones(shape) / 25), np.uint8)
    assert "blurred" in seen(smeared, found).faults


def test_a_face_turned_aside_is_hardly_smaller_than_one_that_is_not() -> None:
    """The eyes come together when a head turns; how far they are above the mouth stays."""
    small, found = scaled("obama-1", 60)
    narrow = found.points * np.array([0.6, 1], np.float32)
    turned = judged(small, Found(found.box, narrow, found.score), aligned(small, found.points))
    assert turned.size_px > 0.75 * seen(small, found).size_px


def test_sharpness_does_not_count_light_or_contrast() -> None:
    small, found = scaled("obama-1", 60)
    usual = seen(small, found).sharpness
    faint = seen(changed(small, lambda part: part * 0.6 + 60), found).sharpness
    assert abs(faint - usual) < 0.15 * usual


def test_a_turned_face_is_turned() -> None:
    """The third face of this picture looks aside; the two others do not."""
    for by in DETECTORS:
        found = detector(by).detect(picture("obama-and-biden"))
        turned = ["turned" in seen(picture("obama-and-biden"), each).faults for each in found]
        assert turned == [False, False, True]


@pytest.mark.parametrize("name", PEOPLE)
def test_a_dark_a_bright_and_a_faint_face_are_told(name: str) -> None:
    small, found = scaled(name, 60)
    assert seen(changed(small, lambda part: part * 0.2), found).faults == ("too_dark",)
    assert "too_bright" in seen(changed(small, lambda part: part * 3), found).faults
    assert seen(changed(small, lambda part: part * 0.1 + 150), found).faults == ("too_bright",)
    assert seen(changed(small, lambda part: part * 0.1 + 60), found).faults == ("too_dark",)


@pytest.mark.parametrize("by", DETECTORS)
def test_a_face_that_the_picture_cuts_off_is_told(by: str) -> None:
    quality = seen(picture("obama-partial"), face(by, "obama-partial"))
    assert quality.faults == ("cut_off",)
    assert quality.value < 0.7
    whole, found = scaled("obama-1", 60)
    middle = int(found.points[2, 0])
    assert "cut_off" in seen(np.ascontiguousarray(whole[:, :middle]), found).faults


def test_a_grey_nothing_is_worth_nothing_and_breaks_nothing() -> None:
    found = Found((0, 0, 112, 112), face("yunet", "obama-1").points, 1.0)
    quality = seen(np.full((400, 400, 3), 128, np.uint8), found)
    assert (quality.value, "blurred" in quality.faults) == (0.0, True)
    assert set(quality.faults) <= set(FAULTS)
