"""Paths of faces: bridged where one is missed, held at both ends, and never handed from one face to another."""

from math import cos, sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyse.covers import BRIDGE_S, GROW, HOLD_S, Box, Follower, Path, Point

STEP_S = 0.1


def face(x: float, y: float = 50.0, side: float = 40.0) -> Box:
    return Box(x, y, x + side, y + side)


def followed(*looks: tuple[float, list[Box]]) -> list[Path]:
    follower = Follower()
    for at_s, boxes in looks:
        follower.feed(at_s, boxes)
    return follower.finish()


def covers(path: Path, at_s: float, box: Box) -> bool:
    found = path.box_at(at_s)
    return found is not None and (
        found.left <= box.left and found.top <= box.top and found.right >= box.right and found.bottom >= box.bottom
    )


def test_a_face_that_moves_is_one_path_and_is_covered_at_every_moment_between_its_looks() -> None:
    (path,) = followed(*((number * STEP_S, [face(100 + 12 * number)]) for number in range(20)))
    assert path.looks == 20
    for number in range(191):
        at_s = number / 100
        assert covers(path, at_s, face(100 + 12 * at_s / STEP_S)), at_s


def test_a_face_that_is_missed_for_a_while_is_bridged_on_the_line_between() -> None:
    (path,) = followed((0.0, [face(100)]), (0.1, [face(104)]), (0.2, []), (0.3, []), (0.5, [face(120)]))
    assert path.looks == 3
    assert covers(path, 0.3, face(112))
    middle = path.box_at(0.3)
    assert middle is not None
    assert (middle.left + middle.right) / 2 == pytest.approx(132.0, abs=1)


def test_both_ends_are_held_and_the_box_grows_there() -> None:
    (path,) = followed((5.0, [face(100)]), (5.1, [face(100)]))
    assert path.box_at(5.0 - HOLD_S - 0.01) is None
    assert path.box_at(5.1 + HOLD_S + 0.01) is None
    first, last, inner = path.box_at(5.0 - HOLD_S), path.box_at(5.1 + HOLD_S), path.box_at(5.05)
    assert first is not None
    assert last is not None
    assert inner is not None
    assert inner.width == pytest.approx(40 * (1 + 2 * GROW))
    assert min(first.width, last.width) > inner.width


def test_points_are_left_out_only_where_the_line_between_the_others_says_the_same() -> None:
    looks = [(number * STEP_S, face(200 + 80 * sin(number / 4), 90 + 40 * cos(number / 3))) for number in range(60)]
    (path,) = followed(*((at_s, [box]) for at_s, box in looks))
    for at_s, box in looks:
        found, wanted = path.box_at(at_s), box.grown(GROW)
        assert found is not None
        assert abs(found.left - wanted.left) < 2
        assert abs(found.bottom - wanted.bottom) < 2
    (still,) = followed(*((number * STEP_S, [face(100)]) for number in range(60)))
    assert len(still.points) < 8


def test_a_face_of_one_look_is_a_path_too() -> None:
    (path,) = followed((0.0, []), (1.0, [face(10)]), (1.1, []))
    assert (path.looks, covers(path, 1.0, face(10))) == (1, True)
    assert covers(path, 1.0 + HOLD_S / 2, face(10))


def test_after_a_longer_gap_it_is_another_path_and_their_holds_meet() -> None:
    before, after = followed((0.0, [face(100)]), (BRIDGE_S + 0.1, [face(100)]))
    for number in range(70):
        at_s = number / 100
        assert any(covers(each, at_s, face(100)) for each in (before, after)), at_s


def test_faces_apart_are_paths_apart() -> None:
    looks = [(number * STEP_S, [face(100 + number), face(300 - number)]) for number in range(10)]
    paths = followed(*looks)
    assert [each.looks for each in paths] == [10, 10]


def test_where_faces_cross_paths_end_so_that_no_name_passes_on_and_all_stay_covered() -> None:
    """One goes to the right, one to the left, at one height: they meet at look 10."""
    looks = [(number * STEP_S, [face(100 + 10 * number), face(300 - 10 * number)]) for number in range(21)]
    paths = followed(*looks)
    begins = [each for each in paths if covers(each, 0.0, face(100)) or covers(each, 0.0, face(300))]
    ends = [each for each in paths if covers(each, 2.0, face(300)) or covers(each, 2.0, face(100))]
    assert len(begins) == len(ends) == 2
    assert not set(map(id, begins)) & set(map(id, ends)), "nobody who was named before is named behind it"
    for at_s, boxes in looks:
        for box in boxes:
            assert any(covers(path, at_s, box) for path in paths), at_s


def test_another_size_at_the_same_place_is_another_face() -> None:
    assert len(followed((0.0, [face(100)]), (0.1, [face(80, 30, 90)]))) == 2


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 300), st.integers(8, 90)), max_size=4), max_size=25)
)
def test_whatever_was_found_is_covered_when_it_was_found(looks: list[list[tuple[int, int, int]]]) -> None:
    told = [(number * STEP_S, [face(*map(float, each)) for each in look]) for number, look in enumerate(looks)]
    paths = followed(*told)
    assert sum(each.looks for each in paths) == sum(map(len, looks))
    for at_s, boxes in told:
        for box in boxes:
            assert any(covers(path, at_s, box) for path in paths)
    for path in paths:
        times = [point.at_s for point in path.points]
        assert times == sorted(set(times))


def test_a_path_says_where_it_is_between_its_points_and_nothing_outside_them() -> None:
    path = Path((Point(1.0, face(0)), Point(3.0, face(20))))
    assert [path.box_at(at_s) for at_s in (0.99, 1.0, 2.0, 3.0, 3.01)] == [None, face(0), face(10), face(20), None]
