import math

import numpy as np

from api.bench.analysis_pictures import bounds_of, figure, naive, ours, sound_footage, trial, with_bound
from api.bench.analysis_pictures_coded import KeyCoder
from api.bench.analysis_pictures_faults import AT_ONCE, Fault
from api.bench.analysis_pictures_scenes import HEIGHT, KINDS, WIDTH, Footage
from api.bench.analysis_pictures_turns import harmless


def test_one_seed_gives_the_same_footage_and_the_same_coding_again() -> None:
    first, second = (KeyCoder(WIDTH, HEIGHT, 3).through(Footage("shop", 3).picture(2.0)).copy() for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, Footage("shop", 3).picture(2.0))


def test_every_place_can_be_drawn_and_none_is_without_light() -> None:
    for place in KINDS:
        assert 20 < Footage(place, 1).picture(1.0).mean() < 220, place


def test_a_fault_that_is_told_in_time_counts_and_one_that_the_bound_shuts_out_does_not() -> None:
    faults = [trial("black", number, 40) for number in range(2)]
    told = figure("black", faults, [], ours(bounds_of()))
    assert (told.recall, told.trials) == (1.0, 2)
    assert 0 < told.delay_s_p95 <= 1
    shut = figure("black", faults, [], ours(with_bound(bounds_of(), "black", "high_max", -1)))
    assert shut.recall == 0.0
    assert math.isinf(shut.delay_s_p95)


def test_an_alarm_on_footage_without_fault_counts_by_the_hour() -> None:
    place, seen = sound_footage(0, 50)
    assert (place, len(seen)) == (KINDS[0], 300)
    loud = figure("over_exposed", [], [seen], naive("over_exposed", 0.0))
    assert (loud.false_alarms, loud.hours) == (1, 300 / 3600)
    quiet = figure("over_exposed", [], [seen], ours(bounds_of()))
    assert quiet.false_alarms == 0
    assert 35.9 < quiet.false_alarms_high < 36  # three by the hours


def test_a_camera_that_slips_turns_for_a_while_and_looks_elsewhere_then_which_is_harder_than_at_once() -> None:
    def like(finding: str, t: float, *, is_turned: bool) -> float:
        """How like the footage without fault, as it is or turned over: 1 is the same."""
        fault, footage = Fault(finding, Footage("office", 6), 6, 8.0, 14.0), Footage("office", 6)
        wanted = footage.picture(t)[::-1, ::-1] if is_turned else footage.picture(t)
        seen = fault.picture(t)
        return float(np.corrcoef(seen[60:210].ravel().astype(float), wanted[60:210].ravel().astype(float))[0, 1])

    assert min(like("upside_down", t, is_turned=False) for t in (5.0, 16.0)) > 0.98
    assert like(AT_ONCE, 11.0, is_turned=True) > 0.98
    assert like("upside_down", 11.0, is_turned=True) < 0.9
    assert like("upside_down", 11.0, is_turned=False) < 0.5


def test_somebody_who_leans_is_drawn_again_from_the_same_seed_and_never_hangs_upside_down() -> None:
    for number in range(2):
        first, second = (dict(harmless(number, 3)) for _ in range(2))
        assert len(first) == 120
        assert all(np.array_equal(first[each], second[each]) for each in (0.0, 60.0, 119.0))
