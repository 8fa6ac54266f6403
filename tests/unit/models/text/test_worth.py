"""Which pictures are worth reading, and which few of many are read."""

from functools import lru_cache

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.text import cards
from models.text.worth import chosen, worth_reading
from tests.unit.models.text.material import needs_a_font


def luma(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)


@lru_cache(maxsize=1)
def spans() -> list[list[tuple[bool, bool, float]]]:
    """Of each picture of some spans: whether a certificate is held up, whether the picture is steady, its worth."""
    return [
        [
            (each.has_certificate, each.kind == "steady", worth_reading(luma(each.picture)))
            for each in cards.span(seed, 720)
        ]
        for seed in range(6, 11)
    ]


@needs_a_font
def test_a_card_held_up_is_worth_more_than_the_shop_behind_it_and_a_sharp_one_more_than_a_shaken_one() -> None:
    every = [each for span in spans() for each in span]
    with_card = np.median([worth for has_card, is_steady, worth in every if has_card and is_steady])
    without = np.median([worth for has_card, is_steady, worth in every if not has_card and is_steady])
    shaken = np.median([worth for _, is_steady, worth in every if not is_steady])
    assert with_card > without > shaken


@needs_a_font
def test_four_pictures_that_are_worth_reading_have_a_card_more_often_than_four_that_are_evenly_spaced() -> None:
    ours, even = 0, 0
    for span in spans():
        readable = {at for at, (has_card, is_steady, _) in enumerate(span) if has_card and is_steady}
        times = chosen((float(at), worth) for at, (_, _, worth) in enumerate(span))
        ours += bool(readable & {int(at) for at in times})
        even += bool(readable & {2, 7, 12, 17})
    assert (ours, len(spans())) == (5, 5)
    assert ours > even


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (3, 4_000), (40, 40), (2_160, 3_840)])
def test_a_picture_of_any_size_is_looked_at_and_a_flat_one_is_worth_nothing(shape: tuple[int, int]) -> None:
    assert worth_reading(np.full(shape, 90, np.uint8)) == 0


def test_noise_is_looked_at_and_stays_within_the_scale() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (720, 1280), np.uint8)
    assert 0 <= worth_reading(noise) <= 1


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 1))), st.integers(0, 6))
def test_no_more_are_chosen_than_may_be_none_twice_and_the_best_first(
    worths: list[tuple[float, float]], most: int
) -> None:
    times = chosen(worths, most, apart_s=1.5)
    assert len(times) <= most
    assert all(abs(one - other) >= 1.5 for at, one in enumerate(times) for other in times[:at])
    if times:
        assert max(worth for _, worth in worths) == max(worth for at, worth in worths if at == times[0])
    else:
        assert most == 0 or all(worth == 0 for _, worth in worths)
