"""Hearing: shares, gaps and reasons of what was not heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.rules.hearing import Hearing, Unheard

HEARING = Hearing([Unheard(10.0, 20.0, "断流"), Unheard(15.0, 25.0, "无声"), Unheard(40.0, 42.0, "断流")])


def test_spans_that_overlap_count_once() -> None:
    assert HEARING.share(0.0, 30.0) == pytest.approx(0.5)
    assert HEARING.longest_s(0.0, 50.0) == 15.0


def test_only_what_lies_in_the_span_counts() -> None:
    assert HEARING.share(0.0, 10.0) == 1.0
    assert HEARING.share(20.0, 25.0) == 0.0
    assert HEARING.longest_s(18.0, 22.0) == 4.0
    assert HEARING.reasons(0.0, 12.0) == ("断流",)
    assert HEARING.reasons(0.0, 50.0) == ("断流", "无声")


def test_a_span_of_no_length_was_heard_or_not() -> None:
    assert HEARING.share(5.0, 5.0) == 1.0
    assert HEARING.share(12.0, 12.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=8), st.floats(0, 100), st.floats(0, 100))
def test_a_share_is_never_less_than_nothing_nor_more_than_all(
    spans: list[tuple[float, float]], start_s: float, end_s: float
) -> None:
    hearing = Hearing([Unheard(start, end, "x") for start, end in spans])
    assert -1e-9 <= hearing.share(start_s, end_s) <= 1.0
