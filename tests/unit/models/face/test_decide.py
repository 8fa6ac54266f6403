"""A suggestion needs a likeness that strangers seldom reach on this very gallery, and more than one look."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.face.calibration import Impostors
from models.face.decide import (
    BAND,
    LEAST_LOOKS,
    LEAST_QUALITY,
    SAFETY,
    STATED,
    Basis,
    Kind,
    Threshold,
    Why,
    decided,
    of_all,
    of_one,
    threshold_for,
)
from models.face.search import Near
from tests.unit.models.face.test_search import strangers, unit

NOTHING = Impostors("mobilefacenet@1", 0, 0, ())
T = Threshold(0.5, 1e-5, 0.05, Basis.MEASURED, 100_000, 1e-4, 10)


def normal(count: int, seed: int = 1, middle: float = 0.0) -> Impostors:
    tail = sorted((round(float(x), 6) for x in np.random.default_rng(seed).normal(middle, 0.1, count)), reverse=True)
    return Impostors("mobilefacenet@1", count, 100, tuple(tail[:20_000]))


def test_with_pairs_enough_the_threshold_is_measured() -> None:
    told = threshold_for(1e-3, normal(20_000), strangers(2, 100))
    assert told.basis is Basis.MEASURED
    assert told.pairs == 20_001
    assert told.upper_fmr is not None
    assert told.upper_fmr <= 1e-3
    assert told.fmr is not None
    assert told.fmr < told.upper_fmr


def test_it_is_never_below_what_the_maker_states() -> None:
    told = threshold_for(1e-2, normal(20_000, middle=-0.5), strangers(2, 100))
    assert told.similarity == STATED["mobilefacenet"]
    assert told.basis is Basis.MEASURED


def test_with_fewer_pairs_it_is_fitted_and_says_how_many() -> None:
    told = threshold_for(1e-4, normal(2_000), strangers(3, 100))
    assert told.basis is Basis.FITTED
    assert told.pairs == 2_003
    assert told.upper_fmr == pytest.approx(1e-4)


def test_with_nothing_at_hand_no_number_is_claimed() -> None:
    told = threshold_for(1e-4, NOTHING, strangers(5, 64))
    assert told == Threshold(STATED["mobilefacenet"] + SAFETY, None, 0.05, Basis.STATED, 10, None, 5)
    assert told.one_in is None
    assert threshold_for(1e-4, replace(NOTHING, model="other@2"), strangers(5, 64)).similarity == 0.5 + SAFETY


def test_more_persons_need_a_higher_threshold() -> None:
    impostors = normal(300_000)
    few, many = (threshold_for(1e-3, impostors, strangers(count, 100)) for count in (2, 25))
    assert few.basis is many.basis is Basis.MEASURED
    assert few.similarity <= many.similarity
    assert few.upper_fmr is not None
    assert many.upper_fmr is not None
    assert max(few.upper_fmr, many.upper_fmr) <= 1e-3
    assert few.templates == 2


def test_a_gallery_whose_people_look_alike_raises_its_own_threshold() -> None:
    centre = strangers(1, 64, 5)
    alike = unit(centre + np.random.default_rng(6).standard_normal((60, 64)) * 0.1)
    usual = threshold_for(1e-3, normal(300_000), strangers(60, 100))
    raised = threshold_for(1e-3, normal(300_000), alike)
    assert raised.similarity > usual.similarity + 0.1
    assert raised.basis is Basis.FITTED
    assert raised.pairs == 60 * 59 // 2


def test_two_templates_of_one_person_are_no_strangers() -> None:
    twice = np.vstack([strangers(40, 100)] * 2)
    persons = [f"p{number % 40}" for number in range(80)]
    told = threshold_for(1e-2, normal(50_000), twice, persons)
    assert told.similarity < 0.9
    assert told.pairs == 50_000 + 80 * 79 // 2 - 40
    assert threshold_for(1e-2, normal(50_000), twice).similarity > 0.99


def test_a_gallery_that_is_as_alike_as_others_are_leaves_the_threshold_to_the_many() -> None:
    told = threshold_for(1e-3, normal(300_000), unit(strangers(60, 100)))
    assert told.basis is Basis.MEASURED
    assert told.pairs == 300_000 + 60 * 59 // 2
    assert told.similarity == STATED["mobilefacenet"]


@given(st.floats(1e-8, 0.5), st.integers(1, 100_000))
def test_the_rate_of_one_comparison_and_of_all_are_each_others_inverse(rate: float, count: int) -> None:
    assert of_all(of_one(rate, count), count) == pytest.approx(rate, rel=1e-6)
    assert of_one(rate, count) <= rate * (1 + 1e-9)


@pytest.mark.parametrize(
    ("upper", "one_in"), [(1e-4, 10_000), (9.98e-5, 10_000), (1.3e-4, 7_600), (0.3, 3), (None, None), (3e-6, 330_000)]
)
def test_the_rate_is_told_as_one_in_so_many_rounded_down(upper: float | None, one_in: int | None) -> None:
    assert replace(T, upper_fmr=upper).one_in == one_in


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, math.nan])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        threshold_for(rate, NOTHING, strangers(2, 8))


def test_a_gallery_that_is_none_is_refused() -> None:
    broken = strangers(2, 8)
    broken[1, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        threshold_for(1e-3, NOTHING, broken)
    with pytest.raises(ValueError, match="do not fit"):
        threshold_for(1e-3, NOTHING, strangers(2, 8), ["a"])
    assert threshold_for(1e-3, NOTHING, np.empty((0, 8), np.float32)).basis is Basis.STATED


def near(best: float, second: float | None = 0.1) -> list[Near]:
    return [Near("p", best), *([] if second is None else [Near("q", second)])]


def test_a_suggestion_has_likeness_margin_looks_and_quality() -> None:
    told = decided(near(0.5, 0.44), T, LEAST_LOOKS, LEAST_QUALITY)
    assert (told.kind, told.person, told.similarity, told.second, told.why) == (
        Kind.SUGGESTED,
        "p",
        0.5,
        0.44,
        Why.NOTHING,
    )
    assert decided(near(0.9, None), T, 2, 0.9).kind is Kind.SUGGESTED


@pytest.mark.parametrize(
    ("nearest", "looks", "quality", "why"),
    [
        (near(0.499), 9, 0.9, Why.SIMILARITY),
        (near(0.9, 0.86), 9, 0.9, Why.MARGIN),
        (near(0.9), LEAST_LOOKS - 1, 0.9, Why.LOOKS),
        (near(0.9), 9, LEAST_QUALITY - 0.01, Why.QUALITY),
    ],
)
def test_where_one_thing_lacks_more_looks_are_wanted(nearest: list[Near], looks: int, quality: float, why: Why) -> None:
    told = decided(nearest, T, looks, quality)
    assert (told.kind, told.why, told.person) == (Kind.NEAR, why, "p")


def test_who_is_not_near_anybody_is_unknown_and_named_nobody() -> None:
    told = decided(near(T.similarity - BAND - 0.001), T, 9, 0.9)
    assert (told.kind, told.person) == (Kind.UNKNOWN, None)
    assert decided([], T, 9, 0.9).kind is Kind.UNKNOWN


@given(st.floats(-1, 1), st.floats(-1, 1), st.integers(0, 9), st.floats(0, 1))
def test_below_the_threshold_or_the_margin_nobody_is_ever_suggested(
    one: float, other: float, looks: int, quality: float
) -> None:
    best, second = max(one, other), min(one, other)
    told = decided(near(best, second), T, looks, quality)
    if told.kind is Kind.SUGGESTED:
        assert best >= T.similarity
        assert best - second >= T.margin
        assert looks >= LEAST_LOOKS
        assert quality >= LEAST_QUALITY


@pytest.mark.parametrize("nearest", [near(math.nan), near(0.9, math.nan), near(math.inf)])
def test_a_similarity_that_is_none_decides_nothing(nearest: list[Near]) -> None:
    with pytest.raises(ValueError, match="not finite"):
        decided(nearest, T, 9, 0.9)
    with pytest.raises(ValueError, match="not finite"):
        decided(near(0.9), T, 9, math.nan)


def test_a_wrong_order_or_one_person_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="best first"):
        decided([Near("p", 0.5), Near("q", 0.6)], T, 9, 0.9)
    with pytest.raises(ValueError, match="each once"):
        decided([Near("p", 0.6), Near("p", 0.5)], T, 9, 0.9)
