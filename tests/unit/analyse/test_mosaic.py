"""What is left of what is hidden: some means, and nothing that tells one picture of the same means from another."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.analyse.covers import Box
from pipeline.analyse.mosaic import ANEW_S, FIELDS, LEVEL, Mosaic, Plane, means_of

HEIGHT, WIDTH = 120, 160
BOX = Box(40, 20, 104, 84)
"""64 pixels wide and high: fields of 16, the colours' of 8."""

Values = NDArray[np.uint8]


def noise(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Values:
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def planes(seed: int) -> list[Plane]:
    """As a picture of 4:2:0 has them."""
    half = (HEIGHT // 2, WIDTH // 2)
    return [Plane(noise(seed)), Plane(noise(seed + 1, *half), 2, 2), Plane(noise(seed + 2, *half), 2, 2)]


def shuffled(values: Values, side: int, seed: int) -> Values:
    """Every field's pixels in another order: another picture with the same means."""
    found, order = values.copy(), np.random.default_rng(seed)
    for top in range(0, values.shape[0], side):
        for left in range(0, values.shape[1], side):
            found[top : top + side, left : left + side] = order.permutation(
                found[top : top + side, left : left + side].reshape(-1)
            ).reshape(side, side)
    return found


def test_two_faces_of_the_same_means_are_hidden_as_the_very_same_pixels() -> None:
    one, other = planes(1), planes(1)
    for plane, step in zip(other, (1, 2, 2), strict=True):
        part = plane.values[20 // step : 84 // step, 40 // step : 104 // step]
        part[:] = shuffled(part, 16 // step, 7)
    assert not np.array_equal(one[0].values, other[0].values)
    Mosaic().cover(one, [("f1", BOX)], 0.0)
    Mosaic().cover(other, [("f1", BOX)], 0.0)
    for here, there in zip(one, other, strict=True):
        assert np.array_equal(here.values, there.values)


def test_what_is_drawn_follows_from_sixteen_means_of_few_levels() -> None:
    part = noise(3, 64, 64)
    means = means_of(part)
    assert means.shape == (FIELDS, FIELDS)
    assert set(np.unique(means)) <= set(range(LEVEL // 2, 256, LEVEL))
    told = Plane(np.kron(means, np.ones((16, 16), np.uint8)))
    whole = Plane(part.copy())
    for plane in (told, whole):
        Mosaic().cover([plane], [("f1", Box(0, 0, 64, 64))], 0.0)
    assert np.array_equal(told.values, whole.values), "the means alone give the same picture"


def test_nothing_outside_the_box_changes() -> None:
    covered, before = planes(5), planes(5)
    Mosaic().cover(covered, [("f1", BOX)], 0.0)
    for plane, was, step in zip(covered, before, (1, 2, 2), strict=True):
        outside = np.ones(plane.values.shape, bool)
        outside[20 // step : 84 // step, 40 // step : 104 // step] = False
        assert np.array_equal(plane.values[outside], was.values[outside])
        assert not np.array_equal(plane.values[~outside], was.values[~outside])


def test_means_are_taken_anew_only_so_often_so_that_a_grid_that_moves_samples_nothing() -> None:
    mosaic, first = Mosaic(), planes(10)
    mosaic.cover(first, [("f1", BOX)], 0.0)
    soon, late = planes(20), planes(20)
    mosaic.cover(soon, [("f1", BOX)], ANEW_S - 0.01)
    assert np.array_equal(soon[0].values[20:84, 40:104], first[0].values[20:84, 40:104])
    mosaic.cover(late, [("f1", BOX)], ANEW_S)
    assert not np.array_equal(late[0].values[20:84, 40:104], first[0].values[20:84, 40:104])


def test_where_boxes_overlap_both_are_made_of_means() -> None:
    one, other = planes(30), planes(30)
    boxes = [("f1", Box(40, 20, 104, 84)), ("f2", Box(72, 20, 136, 84))]
    part = other[0].values[20:84, 40:136]
    part[:] = np.hstack([shuffled(part[:, at : at + 32], 16, 4) for at in (0, 32, 64)])
    for each in (one, other):
        Mosaic().cover(each, boxes, 0.0)
    assert np.array_equal(one[0].values, other[0].values)


@pytest.mark.parametrize(
    "box",
    [
        Box(-30, -30, 20, 20), Box(150, 110, 200, 200), Box(-10, -10, 500, 500), Box(51.3, 33.7, 77.2, 90.1),
        Box(200, 10, 260, 60), Box(-90, 10, -20, 60), Box(10, 10, 11, 11), Box(10, 10, 10, 10),
    ],
)  # fmt: skip
def test_a_box_of_any_place_and_size_hides_every_pixel_it_touches(box: Box) -> None:
    covered = planes(40)
    Mosaic().cover(covered, [("f1", box)], 0.0)
    left, top = max(0, int(box.left)), max(0, int(box.top))
    part = covered[0].values[top : max(0, round(box.bottom)), left : max(0, round(box.right))]
    if part.size > 16:
        assert np.abs(np.diff(part.astype(np.int16), axis=1)).mean() < 20, "noise has 85"
    Mosaic().cover(planes(41), [("f1", box), ("f2", BOX)], 0.0)


def test_a_small_box_has_fewer_fields() -> None:
    assert means_of(noise(50, 8, 8)).shape == (2, 2)
    assert means_of(noise(50, 3, 3)).shape == (1, 1)


def test_a_box_that_begins_within_a_pixel_hides_all_of_it() -> None:
    covered, before = planes(60), planes(60)
    Mosaic().cover(covered, [("f1", Box(51.3, 33.7, 77.2, 90.1))], 0.0)
    changed = covered[0].values != before[0].values
    assert changed[33:91, 51].mean() > 0.9
    assert changed[33:91, 77].mean() > 0.9
    assert changed[33, 51:78].mean() > 0.9
    assert changed[90, 51:78].mean() > 0.9
