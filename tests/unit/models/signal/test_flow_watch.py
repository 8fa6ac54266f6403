from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.signal.flow_watch import FlowWatch
from models.signal.noticed import Noticed
from tests.unit.models.signal.footage import bounds

Told = list[tuple[float, str, bool]]


def units(
    from_s: float, to_s: float, rate: float = 25, key: int = 60_000, other: int = 9_000
) -> Iterator[tuple[float, int, bool]]:
    """One key frame a second."""
    for number in range(round(from_s * rate), round(to_s * rate)):
        is_key = number % round(max(rate, 1)) == 0
        yield number / rate, key if is_key else other, is_key


def feed(watch: FlowWatch, *parts: Iterator[tuple[float, int, bool]]) -> Told:
    return [
        (at_s, each.finding, each.is_end) for part in parts for at_s, size, is_key in part
        for each in watch.feed(at_s, size, is_key, True)
    ]  # fmt: skip


@pytest.mark.parametrize("rate", [4, 12.5, 25, 60])
def test_a_steady_stream_tells_nothing_at_any_rate(rate: float) -> None:
    assert feed(FlowWatch(bounds()), units(0, 60, rate)) == []


@pytest.mark.parametrize(("usual", "less"), [(25, 5), (30, 10), (4, 1), (60, 12)])
def test_fewer_pictures_are_told_within_two_seconds_and_end_by_themselves(usual: float, less: float) -> None:
    found = feed(FlowWatch(bounds()), units(0, 20, usual), units(20, 30, less), units(30, 40, usual))
    assert [(name, is_end) for _, name, is_end in found] == [("stream_thin", False), ("stream_thin", True)]
    assert 20 < found[0][0] <= 22
    assert 30 < found[1][0] <= 33


def test_a_stream_whose_pictures_stop_while_sound_goes_on_is_thin() -> None:
    watch = FlowWatch(bounds())
    assert feed(watch, units(0, 20)) == []
    found = [each for number in range(200) for each in watch.feed(20 + number * 0.02, 200, True, False)]
    assert [(each.finding, each.is_end) for each in found] == [("stream_thin", False)]
    assert found[0].at_s <= 21


def test_a_stream_that_is_starved_of_bits_is_thin() -> None:
    found = feed(FlowWatch(bounds()), units(0, 20), units(20, 30, key=900, other=120), units(30, 40))
    assert [(name, is_end) for _, name, is_end in found] == [("stream_thin", False), ("stream_thin", True)]


def test_a_bare_wall_that_costs_a_tenth_of_the_bits_is_not_thin() -> None:
    assert feed(FlowWatch(bounds()), units(0, 20), units(20, 60, key=9_000, other=700), units(60, 80)) == []


def test_pictures_in_which_nothing_changes_are_told_as_frozen_within_two_seconds() -> None:
    found = feed(FlowWatch(bounds()), units(0, 20), units(20, 30, other=40), units(30, 40))
    assert [(name, is_end) for _, name, is_end in found] == [("frozen", False), ("frozen", True)]
    assert found[0][0] <= 21.2


def test_a_black_picture_in_which_nothing_changes_is_not_called_frozen() -> None:
    found = feed(FlowWatch(bounds()), units(0, 20), units(20, 24, key=900, other=15))
    assert "frozen" not in [name for _, name, _ in found]


def test_a_camera_on_a_tripod_has_noise_and_is_not_frozen() -> None:
    assert feed(FlowWatch(bounds()), units(0, 20), units(20, 60, other=300)) == []


def test_after_a_gap_what_is_usual_is_still_known_and_nothing_that_was_missed_counts_as_thin() -> None:
    watch = FlowWatch(bounds())
    assert feed(watch, units(0, 20)) == []
    watch.gap(20)
    assert feed(watch, units(50, 60)) == []
    assert feed(watch, units(60, 64, 5))[0][1:] == ("stream_thin", False)
    assert [(each.finding, each.is_end) for each in watch.finish(64)] == [("stream_thin", True)]


def test_a_stream_that_comes_back_thin_is_told_for_its_usual_was_known() -> None:
    watch = FlowWatch(bounds())
    assert feed(watch, units(0, 20)) == []
    watch.gap(20)
    assert feed(watch, units(50, 70, 5))[0][1:] == ("stream_thin", False)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 2), st.integers(0, 2_000_000), st.booleans(), st.booleans(), st.integers(0, 9)),
        max_size=120,
    )
)
def test_of_any_units_each_kind_begins_and_ends_in_turn(steps: list[tuple[float, int, bool, bool, int]]) -> None:
    watch, at_s, found = FlowWatch(bounds()), 0.0, list[Noticed]()
    for gone_s, size, is_key, is_video, dice in steps:
        at_s += gone_s
        if dice == 0:
            watch.gap(at_s)
        found += watch.feed(at_s, size, is_key, is_video)
    found += watch.finish(at_s)
    for finding in FlowWatch.WANTED:
        ends = [each.is_end for each in found if each.finding == finding]
        assert ends == [number % 2 == 1 for number in range(len(ends))]
        assert len(ends) % 2 == 0
