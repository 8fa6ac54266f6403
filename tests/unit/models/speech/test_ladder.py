"""The overload ladder: up at once, down when it is calm."""

from hypothesis import given
from hypothesis import strategies as st

from models.speech.ladder import Ladder, Step, Thresholds

RULES = Thresholds(behind_s=(1.0, 3.0, 8.0, 30.0), calm_s=20.0)


def test_each_threshold_takes_its_step_at_once() -> None:
    ladder = Ladder(RULES)
    steps = [ladder.feed(behind_s, now_s) for now_s, behind_s in enumerate([0.5, 1.0, 3.5, 9.0, 31.0])]
    assert steps == [Step.WHOLE, Step.NO_PARTIALS, Step.LONG_BATCHES, Step.SMALL_MODEL, Step.GAPS]


def test_it_may_skip_steps_on_the_way_up_and_none_on_the_way_down() -> None:
    ladder = Ladder(RULES)
    assert ladder.feed(40.0, 0.0) is Step.GAPS
    steps = [ladder.feed(0.0, now_s) for now_s in range(1, 100)]
    assert [step for place, step in enumerate(steps) if place == 0 or step != steps[place - 1]] == [4, 3, 2, 1, 0]
    assert steps[18] is Step.GAPS
    assert steps[20] is Step.SMALL_MODEL


def test_what_is_neither_late_nor_calm_changes_nothing() -> None:
    ladder = Ladder(RULES)
    ladder.feed(1.2, 0.0)
    assert {ladder.feed(0.8, now_s) for now_s in range(1, 300)} == {Step.NO_PARTIALS}


def test_calm_that_is_broken_begins_anew() -> None:
    ladder = Ladder(RULES)
    ladder.feed(1.2, 0.0)
    for now_s in range(1, 200):
        step = ladder.feed(0.7 if now_s % 15 == 0 else 0.1, now_s)
        assert step is Step.NO_PARTIALS


@given(st.lists(st.floats(0, 60), max_size=80))
def test_a_step_is_never_below_what_is_needed_now(behind: list[float]) -> None:
    ladder = Ladder(RULES)
    for now_s, behind_s in enumerate(behind):
        before = ladder.step
        step = ladder.feed(behind_s, now_s)
        assert step >= sum(behind_s >= each for each in RULES.behind_s)
        assert step >= before - 1
