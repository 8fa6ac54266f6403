"""What was seen, and what lies between: as laws."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyse.coverage import Coverage, Span

TENTHS = st.integers(0, 300).map(lambda tenths: tenths / 10)
SPANS = st.lists(st.tuples(TENTHS, TENTHS), max_size=20)


def test_spans_that_meet_or_nearly_meet_are_one() -> None:
    seen = Coverage()
    seen.add(0.0, 2.0)
    seen.add(2.04, 3.0)
    seen.add(5.0, 6.0)
    assert seen.spans == (Span(0.0, 3.0), Span(5.0, 6.0))
    assert seen.end_s == 6.0


def test_what_ends_before_it_begins_is_nothing() -> None:
    seen = Coverage()
    seen.add(2.0, 2.0)
    seen.add(3.0, 1.0)
    assert seen.spans == ()
    assert seen.end_s == 0.0
    assert seen.holes(0.0, 5.0) == [Span(0.0, 5.0)]


def test_holes_shorter_than_asked_for_are_left_out() -> None:
    seen = Coverage()
    seen.add(1.0, 2.0)
    seen.add(2.2, 4.0)
    assert seen.holes(0.0, 5.0, 0.3) == [Span(0.0, 1.0), Span(4.0, 5.0)]
    assert seen.holes(1.5, 3.0) == [Span(2.0, 2.2)]


@given(SPANS, TENTHS, TENTHS)
def test_every_moment_is_either_seen_or_in_exactly_one_hole(
    spans: list[tuple[float, float]], start_s: float, end_s: float
) -> None:
    seen = Coverage()
    for each in spans:
        seen.add(*each)
    holes = seen.holes(start_s, end_s)
    for number in range(3010):
        at_s = number / 100 + 0.005
        was_added = any(low < at_s < high for low, high in spans)
        assert any(span.start_s <= at_s <= span.end_s for span in seen.spans) >= was_added
        if start_s < at_s < end_s:
            assert sum(hole.start_s <= at_s <= hole.end_s for hole in holes) == (not was_added)


@given(SPANS)
def test_the_order_of_adding_makes_no_difference(spans: list[tuple[float, float]]) -> None:
    one, other = Coverage(), Coverage()
    for each in spans:
        one.add(*each)
    for each in reversed(spans):
        other.add(*each)
    assert one.spans == other.spans
    assert all(before.end_s < after.start_s for before, after in zip(one.spans, one.spans[1:], strict=False))
