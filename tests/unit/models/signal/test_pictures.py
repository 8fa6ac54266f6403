import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from models.signal.pictures import PictureMeter, PictureRow, measure
from tests.unit.models.signal.footage import flat, walk, with_clock


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(16, 70), st.integers(16, 70))), st.booleans())
def test_any_picture_gives_finite_numbers_in_their_ranges(picture: NDArray[np.uint8], is_alike: bool) -> None:
    first, thumb = measure(picture, None)
    second, _ = measure(picture if is_alike else 255 - picture, thumb)
    for row in (first, second):
        assert all(map(math.isfinite, row.values()))
        assert all(0 <= share <= 1 for share in (row.clipped, row.structure, row.edged, row.sharp))
        assert 0 <= row.low <= row.high <= 255
        assert row.sharp <= row.edged
    assert (first.motion, first.changed, first.same, first.agreed) == (-1, -1, -1, 0)
    assert not is_alike or (second.motion, second.same) == (0, 1)


@pytest.mark.parametrize(
    "shape", [(16, 16), (2160, 3840), (1920, 1080), (270, 480), (1080, 1920), (16, 4096), (17, 31)]
)
@pytest.mark.parametrize("level", [0, 16, 255])
def test_a_picture_of_any_size_and_of_one_level_gives_finite_numbers(shape: tuple[int, int], level: int) -> None:
    meter = PictureMeter()
    for _ in range(2):
        row = meter.measure(np.full(shape, level, np.uint8))
        assert all(map(math.isfinite, row.values()))
        assert (row.structure, row.edged) == (0, 0)
        assert row.mean == pytest.approx(level)
        assert row.clipped == (level == 255)


def test_a_row_is_the_same_after_its_numbers_were_kept() -> None:
    row, _ = measure(walk(1.0), None)
    assert PictureRow.from_values(row.values()) == row
    with pytest.raises(ValueError, match="are wanted"):
        PictureRow.from_values(row.values()[:-1])


@pytest.mark.parametrize(
    "picture", [np.zeros((15, 400), np.uint8), np.zeros((400, 15), np.uint8), np.zeros(40, np.uint8)]
)
def test_what_is_too_small_or_no_plane_is_refused(picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="at least 16 px"):
        measure(picture, None)


def test_the_numbers_hold_at_every_resolution_of_one_view() -> None:
    small, _ = measure(walk(2.0), None)
    large, _ = measure(walk(2.0, width=3840, height=2160), None)
    assert abs(small.mean - large.mean) < 1
    assert abs(small.structure - large.structure) < 0.05
    assert abs(small.sharp - large.sharp) < 0.1


def test_a_burnt_in_clock_above_is_no_structure() -> None:
    row, _ = measure(with_clock(flat(40, 3), 3), None)
    assert (row.structure, row.edged) == (0, 0)


def test_a_picture_of_another_size_is_beside_nothing_and_so_is_the_first_after_a_gap() -> None:
    meter = PictureMeter()
    meter.measure(walk(1))
    assert meter.measure(walk(2)).motion > 5
    assert meter.measure(walk(2, width=270, height=480)).motion == -1
    meter.gap()
    assert meter.measure(walk(2, width=270, height=480)).motion == -1


def test_a_picture_turned_over_is_found_in_the_one_before_when_turned() -> None:
    meter = PictureMeter()
    meter.measure(walk(1))
    row = meter.measure(np.ascontiguousarray(walk(1)[::-1, ::-1]))
    assert (round(row.turn), row.back) == (180, 1)
    assert row.agreed > 20


def test_a_place_is_found_again_after_a_gap_though_nothing_else_is_beside_what_was_before() -> None:
    meter = PictureMeter()
    meter.measure(walk(1))
    meter.gap()
    row = meter.measure(np.ascontiguousarray(walk(1.2)[::-1, ::-1]))
    assert (row.motion, round(row.turn)) == (-1, 180)


def test_a_clock_that_stays_above_does_not_hide_that_the_picture_was_turned() -> None:
    meter = PictureMeter()
    meter.measure(with_clock(walk(1), 1))
    row = meter.measure(with_clock(np.ascontiguousarray(walk(1.1)[::-1, ::-1]), 2))
    assert round(row.turn) == 180
