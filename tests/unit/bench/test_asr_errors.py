"""Recognition errors: as many as asked for, mostly of the same sound, the same for a seed."""

import random
from operator import ne

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypinyin import lazy_pinyin

from api.bench.asr_errors import RATES, near_sounds, same_sound, with_errors
from api.bench.dialogues import read
from models.speech.cer import total

TEXTS = [each.text for dialogue in read("development")[:20] for each in dialogue.utterances]


@pytest.mark.parametrize("rate", RATES)
def test_the_rate_is_the_one_asked_for_by_the_measure_of_the_project(rate: float) -> None:
    heard = with_errors(TEXTS, rate, random.Random(3))
    assert total(zip(TEXTS, heard, strict=True)).rate == pytest.approx(rate, abs=0.003)


def test_no_errors_leave_the_text_alone_and_a_seed_gives_the_same_ones() -> None:
    assert with_errors(TEXTS, 0.0, random.Random(1)) == TEXTS
    assert with_errors(TEXTS, 0.2, random.Random(1)) == with_errors(TEXTS, 0.2, random.Random(1))
    assert with_errors(TEXTS, 0.2, random.Random(1)) != with_errors(TEXTS, 0.2, random.Random(2))


def test_most_wrong_characters_sound_like_the_right_ones() -> None:
    """Of texts with one wrong character and their length: deletions and insertions would move the places."""
    heard = with_errors(TEXTS, 0.06, random.Random(5))
    pairs = [
        (right, wrong)
        for text, other in zip(TEXTS, heard, strict=True)
        if len(text) == len(other) and sum(map(ne, text, other)) == 1
        for right, wrong in zip(text, other, strict=True)
        if right != wrong
    ]
    alike = sum(lazy_pinyin(right) == lazy_pinyin(wrong) for right, wrong in pairs)
    assert len(pairs) > 60
    assert 0.6 < alike / len(pairs) < 0.8


def test_more_is_lost_than_put_in() -> None:
    heard = with_errors(TEXTS, 0.3, random.Random(7))
    assert sum(map(len, heard)) < 0.97 * sum(map(len, TEXTS))


def test_near_sounds_are_those_that_southern_speakers_do_not_part() -> None:
    assert {"zen", "zeng", "zhen"} <= set(near_sounds("zheng"))
    assert "la" in near_sounds("na")
    assert "bin" in near_sounds("bing")
    assert "zheng" not in near_sounds("zheng")
    assert {"证", "正", "政"} <= set(same_sound("zheng"))
    assert same_sound("xyz") == ()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("执法证件12，。abc的😀", max_size=12), max_size=4), st.sampled_from(RATES), st.integers(0, 99))
def test_any_text_is_taken(texts: list[str], rate: float, seed: int) -> None:
    assert len(with_errors(texts, rate, random.Random(seed))) == len(texts)
