"""Times of words are brought into the speech that the detector heard."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.base import Heard, Word
from models.speech.word_times import fitted


def heard(*times: tuple[float, float]) -> Heard:
    return Heard("您" * len(times), tuple(Word("您", start_s, end_s, 0.9) for start_s, end_s in times), "zh", -0.1)


def times(fitted_to: Heard) -> list[tuple[float, float]]:
    return [(word.start_s, word.end_s) for word in fitted_to.words]


def test_a_word_does_not_reach_into_the_silence_before_or_after_it() -> None:
    assert times(fitted(heard((0.0, 0.4), (0.4, 0.9)), ((0.2, 0.7),))) == [(0.2, 0.4), (0.4, 0.7)]


def test_a_word_over_a_short_pause_keeps_both_its_ends() -> None:
    assert times(fitted(heard((0.3, 0.9)), ((0.2, 0.5), (0.7, 1.2)))) == [(0.3, 0.9)]


def test_a_word_where_nobody_spoke_stays_for_the_guards_to_judge() -> None:
    assert times(fitted(heard((2.0, 2.4), (2.4, 2.4)), ((0.2, 0.7),))) == [(2.0, 2.4), (2.4, 2.4)]


edges = st.lists(st.integers(0, 50), max_size=12).map(lambda found: [edge / 10 for edge in sorted(found)])


@given(edges, edges)
def test_times_never_go_back_where_they_did_not_before(words: list[float], speech: list[float]) -> None:
    spoken = heard(*pairwise(words))
    spans = tuple(pair for pair in zip(speech[::2], speech[1::2], strict=False) if pair[0] < pair[1])
    found = times(fitted(spoken, spans))
    assert all(start_s <= end_s for start_s, end_s in found)
    assert [start_s for start_s, _ in found] == sorted(start_s for start_s, _ in found)
