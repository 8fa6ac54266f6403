import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.signal.hanging import Hanging

Step = tuple[float, float, float]  # turn, agreed, back


def hung(*steps: Step, is_upside_down: bool = False) -> list[float | None]:
    hanging = Hanging(6, 4)
    return [hanging.feed(*step, is_upside_down) for step in steps]


START: Step = (0, 0, 0)
LOST: Step = (0, 0, 0)


def test_a_stream_begins_upright_and_a_turn_of_180_degrees_is_upside_down() -> None:
    assert hung(START, (0, 20, 1), (179, 20, 1)) == [0, 0, pytest.approx(179.2)]


def test_a_turn_in_two_steps_adds_up_in_either_direction() -> None:
    for sign in (1, -1):
        degrees = hung(START, (sign * 90 % 360, 20, 1), (sign * 90 % 360, 20, 1))[-1]
        assert degrees is not None
        assert abs(degrees) > 160


def test_a_key_frame_that_is_not_found_again_is_not_known_and_is_stepped_over() -> None:
    assert hung(START, (0, 20, 1), LOST, (179, 8, 2))[2:] == [None, pytest.approx(179.2)]


def test_a_turn_against_a_key_frame_that_is_not_known_itself_tells_nothing() -> None:
    assert hung(START, LOST, (180, 20, 1)) == [0.0, None, None]


def test_what_hangs_as_one_that_is_not_known_hangs_as_usual() -> None:
    assert hung(START, LOST, (5, 20, 1)) == [0.0, None, 0.0]
    assert hung(START, LOST, (5, 20, 1), is_upside_down=True) == [180.0, None, 180.0]


def test_after_three_that_are_not_known_it_hangs_as_usual() -> None:
    assert hung(START, LOST, LOST, LOST, LOST) == [0.0, None, None, None, 0.0]


def test_few_places_count_only_where_two_key_frames_say_the_same() -> None:
    assert hung(START, (180, 5, 1)) == [0.0, None]
    assert hung(START, (180, 5, 1), (175, 4, 2))[-1] == pytest.approx(176, abs=1)
    assert hung(START, (180, 5, 1), (120, 5, 2))[-1] is None
    assert hung(START, (180, 5, 1), (175, 3, 2))[-1] is None
    assert hung(START, (180, 5, 1), LOST, (175, 5, 3))[-1] is None  # not one after the other
    assert hung(START, (3, 4, 1))[-1] == pytest.approx(2.4)  # as the one before


def test_a_key_frame_further_back_than_any_that_came_is_not_asked() -> None:
    assert hung(START, (180, 20, 2)) == [0.0, None]
    assert hung(START, (180, 20, 0)) == [0.0, None]


def test_small_errors_of_an_hour_do_not_add_up_to_a_turn() -> None:
    degrees = hung(START, *[(2.0, 20, 1)] * 3600)
    assert max(abs(each) for each in degrees if each is not None) < 10


def test_who_leans_far_again_and_again_does_not_hang_upside_down_though_the_way_back_is_never_seen() -> None:
    lean: list[Step] = [(70, 20, 1), *[(0.0, 20, 1)] * 20]
    degrees = hung(START, *lean * 5)
    assert max(abs(each) for each in degrees if each is not None) < 110


def test_what_hangs_upside_down_settles_there_and_a_lean_from_there_comes_back_to_it() -> None:
    hanging = Hanging(6, 4)
    hanging.feed(*START, False)
    for step in ((160.0, 20.0, 1.0), *[(0.0, 20.0, 1.0)] * 20):
        degrees = hanging.feed(*step, True)
    assert degrees == pytest.approx(180, abs=1)
    for step in ((70.0, 20.0, 1.0), *[(0.0, 20.0, 1.0)] * 30):
        degrees = hanging.feed(*step, True)
    assert degrees is not None
    assert abs(degrees) > 170


@pytest.mark.parametrize("turn", [8.9, 351.1, 11.9])
def test_small_turns_are_passed_over_only_where_they_cannot_add_up_to_the_bound(turn: float) -> None:
    hanging = Hanging(6, 4)
    turns, agreed = np.full(50, turn), np.full(50, 20.0)
    passed_over = not hanging.restless(turns, agreed, 37).any()
    most = max(abs(hanging.feed(turn, 20, 1, False) or 0) for _ in range(50))
    assert passed_over == (most < 37) == hanging.is_calm
    assert hanging.restless(turns, agreed, 30).all()
    assert most > 30


TURNS = st.floats(0, 360, exclude_max=True)
STEPS = st.lists(st.tuples(TURNS | st.floats(0, 9) | st.floats(351, 359.9), st.integers(0, 12), st.integers(0, 4)))


@given(STEPS, st.floats(20, 170))
def test_turns_that_are_not_restless_never_add_up_to_the_bound_where_it_is_calm(
    steps: list[tuple[float, int, int]], bound: float
) -> None:
    hanging = Hanging(6, 4)
    turns, agreed = np.array([each[0] for each in steps]), np.array([float(each[1]) for each in steps])
    for step, is_restless in zip(steps, hanging.restless(turns, agreed, bound), strict=True):
        was_calm = hanging.is_calm
        degrees = hanging.feed(*step, False)
        assert degrees is None or -180 <= degrees <= 180
        if was_calm and not is_restless:
            assert hanging.is_calm
            assert degrees is None or abs(degrees) < bound
