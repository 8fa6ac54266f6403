"""What a lease tells: in order, each span once, and nothing of what nobody answered."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyse.progress import Covered, Progress
from pipeline.events import ClockStepped, Event


def event(number: int) -> Event:
    return ClockStepped(at=float(number), step_s=1.0)


def test_silence_alone_is_covered_and_told_when_it_is_worth_it() -> None:
    progress = Progress(0.0)
    progress.quiet(1.5)
    assert not progress.is_news(2.0)
    progress.quiet(2.5)
    assert progress.is_news(2.0)
    assert progress.take() == [Covered(0.0, 2.5, ())]
    assert progress.take() == []


def test_nothing_is_covered_beyond_what_waits_for_its_answer() -> None:
    progress = Progress(0.0)
    progress.asked(1, 3.0, 5.0)
    progress.quiet(8.0)
    assert progress.oldest_s == 5.0
    assert progress.take() == [Covered(0.0, 3.0, ())]
    assert progress.waiting == 1
    progress.answered(1, [event(1)])
    assert progress.waiting == 0
    assert progress.take() == [Covered(3.0, 8.0, (event(1),))]


def test_answers_out_of_order_are_told_in_order() -> None:
    progress = Progress(0.0)
    progress.asked(1, 1.0, 2.0)
    progress.asked(2, 3.0, 4.0)
    progress.answered(2, [event(2)])
    assert progress.take() == [Covered(0.0, 1.0, ())]
    progress.answered(1, [event(1)])
    assert progress.take() == [Covered(1.0, 4.0, (event(1), event(2)))]


def test_what_nobody_answers_is_left_out_with_its_reason() -> None:
    progress = Progress(0.0)
    progress.asked(1, 1.0, 2.0)
    progress.asked(2, 3.0, 4.0)
    progress.lost(1, "overload")
    progress.answered(2, [event(2)])
    progress.quiet(5.0)
    assert progress.take() == [Covered(0.0, 1.0, ()), Covered(2.0, 5.0, (event(2),), "overload")]
    progress.answered(1, [event(1)])
    assert progress.take() == [], "an answer to what was given up is none"


def test_what_never_came_is_left_out() -> None:
    progress = Progress(2.0)
    progress.quiet(4.0)
    progress.missed(-1, 4.0, 6.0, "feed_lost")
    progress.quiet(7.0)
    assert progress.take() == [Covered(2.0, 4.0, ()), Covered(6.0, 7.0, (), "feed_lost")]


FATES = st.lists(
    st.tuples(st.sampled_from(["answered", "lost", "missed"]), st.floats(0.1, 3), st.floats(0, 2)), max_size=12
)


@given(FATES, st.randoms())
def test_spans_never_overlap_every_answer_is_told_once_and_what_was_lost_is_never_covered(
    fates: list[tuple[str, float, float]], random: "object"
) -> None:
    progress, at_s, kept, gone = Progress(0.0), 0.0, list[Event](), list[tuple[float, float]]()
    told: list[Covered] = []
    late: list[int] = []
    for number, (fate, length_s, pause_s) in enumerate(fates):
        at_s += pause_s
        progress.quiet(at_s)
        match fate:
            case "missed":
                progress.missed(-number - 1, at_s, at_s + length_s, "feed_lost")
                gone.append((at_s, at_s + length_s))
            case "lost":
                progress.asked(number, at_s, at_s + length_s)
                progress.lost(number, "overload")
                gone.append((at_s, at_s + length_s))
            case _:
                progress.asked(number, at_s, at_s + length_s)
                kept.append(event(number))
                late.append(number)
        at_s += length_s
        progress.quiet(at_s)
        if number % 3 == 2:
            for each in reversed(late):
                progress.answered(each, [event(each)])
            late.clear()
            told += progress.take()
    for each in late:
        progress.answered(each, [event(each)])
    told += progress.take()
    assert [each for covered in told for each in covered.events] == kept
    for one, other in itertools.pairwise(told):
        assert one.end_s <= other.start_s
    for low, high in gone:
        assert all(covered.end_s <= low + 1e-9 or covered.start_s >= high - 1e-9 for covered in told)
    seen = sum(covered.end_s - covered.start_s for covered in told)
    assert abs(seen + sum(high - low for low, high in gone) - at_s) < 1e-6
