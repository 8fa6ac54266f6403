"""What counted pairs of strangers prove of a threshold, and what a tail's shape lets one guess."""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.face.calibration import (
    LEAST_TO_FIT,
    MOST_TAIL,
    Impostors,
    fitted,
    interval,
    just_above,
    measured,
    upper_bound,
)
from pipeline.errors import SettingsInvalid
from tests.unit.models.face.test_search import strangers


def pool(similarities: list[float], pairs: int | None = None) -> Impostors:
    falling = tuple(sorted(similarities, reverse=True)[:MOST_TAIL])
    return Impostors("m@1", len(similarities) if pairs is None else pairs, 10, falling)


def normal(count: int, seed: int) -> Impostors:
    return pool([round(float(value), 6) for value in np.random.default_rng(seed).normal(0, 0.1, count)])


@pytest.mark.parametrize(
    ("hits", "tries", "upper"),
    [
        (0, 10, 0.25886555),
        (0, 3000, 9.98079012e-4),
        (3, 1000, 7.73524472e-3),
        (50, 100, 0.58637828),
        (999, 1000, 0.99994871),
        (200, 4_500_000, 4.99719399e-5),
        (20_000, 4_500_000, 4.49636962e-3),
    ],
)
def test_the_upper_bound_is_that_of_clopper_and_pearson(hits: int, tries: int, upper: float) -> None:
    """Values of scipy.stats.beta.ppf(0.95, hits + 1, tries - hits)."""
    assert upper_bound(hits, tries) == pytest.approx(upper, rel=1e-6)


def test_what_was_not_tried_is_not_bounded() -> None:
    assert upper_bound(0, 0) == 1.0
    assert interval(0, 0) == (0.0, 1.0)
    assert interval(3, 3)[1] == 1.0
    assert interval(0, 3)[0] == 0.0


@given(st.integers(0, 60), st.integers(1, 60))
def test_the_interval_holds_the_share_that_was_seen(hits: int, more: int) -> None:
    low, high = interval(hits, hits + more)
    assert 0 <= low <= hits / (hits + more) <= high <= 1


def test_all_pairs_of_different_people_are_compared_and_no_others() -> None:
    rows = strangers(60, 32)
    persons = [f"p{number // 3}" for number in range(60)]
    made = Impostors.of("m@1", rows, persons, "a set")
    expected = sorted(
        (float(rows[one] @ rows[other]) for one in range(60) for other in range(one) if persons[one] != persons[other]),
        reverse=True,
    )
    assert made.pairs == len(expected) == 60 * 59 // 2 - 20 * 3
    assert made.persons == 20
    assert made.tail == pytest.approx(expected, abs=1e-5)


def test_a_large_gallery_is_sampled_and_its_tail_is_the_highest() -> None:
    made = Impostors.of("m@1", strangers(4_000, 16), [str(number) for number in range(4_000)])
    assert made.pairs == 3_000 * 2_999 // 2
    assert len(made.tail) == MOST_TAIL
    assert made.tail[0] >= made.tail[-1] > 0.5


def test_measuring_needs_pairs_enough_for_the_rate() -> None:
    """With none of n above, the rate is no more than 3 / n: 2,995 pairs for 1 of 1,000, and 2,994 will not do."""
    assert measured(normal(2_994, 1), 1e-3) is None
    found = measured(normal(2_995, 1), 1e-3)
    assert found is not None
    assert found.rate == 0
    assert found.similarity == just_above(normal(2_995, 1).tail[0])
    assert found.upper <= 1e-3


def test_the_measured_threshold_is_the_lowest_that_is_proven() -> None:
    impostors = normal(20_000, 2)
    found = measured(impostors, 1e-3)
    assert found is not None
    reached = impostors.at_least(found.similarity)
    assert upper_bound(reached, 20_000) <= 1e-3 < upper_bound(reached + 1, 20_000)


def test_equal_similarities_are_all_below_the_threshold_or_all_above() -> None:
    found = measured(pool([0.5] * 40 + [0.1] * 9_960), 1e-3)
    assert found is not None
    assert 0.5 < found.similarity < 0.501
    assert found.rate == 0


def _share_above(similarity: float) -> float:
    return 0.5 * math.erfc(similarity / 0.1 / math.sqrt(2))


def test_the_measured_threshold_holds_in_nineteen_of_twenty_sets() -> None:
    holds = []
    for seed in range(120):
        found = measured(normal(4_000, seed), 2e-3)
        assert found is not None
        holds.append(_share_above(found.similarity) <= 2e-3)
    assert 0.9 <= np.mean(holds) <= 0.99


@pytest.mark.parametrize(("pairs", "rate"), [(500, 1e-4), (2_000, 1e-6), (20_000, 1e-6)])
def test_the_fitted_threshold_is_on_the_safe_side_of_a_normal_tail(pairs: int, rate: float) -> None:
    for seed in range(40):
        found = fitted(normal(pairs, seed), rate)
        assert found is not None
        assert _share_above(found.similarity) <= rate
        assert found.rate <= rate


def test_a_tail_that_falls_slowly_raises_the_fitted_threshold() -> None:
    rng = np.random.default_rng(4)
    light, heavy = rng.exponential(0.05, 5_000), rng.pareto(6, 5_000) * 0.25
    thin, thick = fitted(pool(list(light)), 1e-6), fitted(pool(list(heavy)), 1e-6)
    assert thin is not None
    assert thick is not None
    assert thick.similarity - heavy.max() > thin.similarity - light.max()


def test_too_few_pairs_or_pairs_all_alike_fit_nothing() -> None:
    assert fitted(normal(LEAST_TO_FIT - 1, 1), 1e-4) is None
    assert fitted(normal(LEAST_TO_FIT, 1), 1e-4) is not None
    assert fitted(pool([0.1] * 1_000), 1e-6) is None
    assert fitted(normal(1_000, 1), 0.5) is None
    assert fitted(pool([]), 1e-6) is None
    assert measured(pool([]), 1e-6) is None


def test_two_sets_are_joined_only_where_the_model_is_the_same() -> None:
    one, other = normal(600, 1), normal(700, 2)
    both = one.joined(other)
    assert both.pairs == 1_300
    assert both.tail == tuple(sorted((*one.tail, *other.tail), reverse=True))
    with pytest.raises(ValueError, match="not compared"):
        one.joined(Impostors("other@1", 0, 0, ()))


@settings(max_examples=20)
@given(st.lists(st.floats(-1, 1), max_size=30))
def test_a_calibration_file_says_what_was_written(similarities: list[float]) -> None:
    made = pool(similarities)
    with TemporaryDirectory() as folder:
        made.write(Path(folder) / "c.json")
        assert Impostors.read(Path(folder) / "c.json") == made


def test_a_calibration_file_holds_no_name_and_no_vector(tmp_path: Path) -> None:
    Impostors.of("m@1", strangers(4, 8), ["anna", "bert", "anna", "carl"], "a set").write(tmp_path / "c.json")
    told = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert set(told) == {"model", "pairs", "persons", "tail", "made_of"}
    assert "anna" not in json.dumps(told)
    assert told["pairs"] == len(told["tail"]) == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"model": "m", "pairs": 2, "persons": 2, "tail": [0.1, 0.2], "made_of": ""}',
        '{"model": "m", "pairs": 1, "persons": 2, "tail": [7.0], "made_of": ""}',
        '{"model": "m", "pairs": 9, "persons": 2, "tail": [0.1], "made_of": ""}',
        '{"model": "m", "pairs": 1, "persons": 2, "tail": [NaN], "made_of": ""}',
        '{"model": "m", "pairs": 1, "persons": 2, "tail": null, "made_of": ""}',
    ],
)
def test_what_is_no_calibration_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=r"c\.json"):
        Impostors.read(tmp_path / "c.json")
