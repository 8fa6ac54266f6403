"""What was heard of a step, of facts alone: laws over any gaps and streams, and the spans that two officers share."""

import math

from hypothesis import given
from hypothesis import strategies as st

from cases.appender import Stored
from cases.facts import Fact, fact_of
from cases.judgement.heard import Heard, Source, View, both_record
from cases.judgement.rulebook import Rulebook
from pipeline.events import AnalysisGap, AnalysisGapClosed, Event, WordsHeard
from tests.unit.cases.judgement.material import NOW_S

LENGTH_S = 100.0
SPAN = st.tuples(st.integers(0, 99), st.integers(1, 40)).map(lambda pair: (pair[0], min(100, pair[0] + pair[1])))


def source(number: int, start_s: float = 0.0, end_s: float = math.inf, officer: str | None = None) -> Source:
    """It records between the two seconds of the step; its axis begins with the step."""
    run = (NOW_S + start_s, NOW_S + end_s)
    return Source(f"st_{number}", f"rec_{number}", f"dev_{number}", officer, NOW_S, (run,))


def stored(*events: Event | Fact) -> list[Stored]:
    facts = [each if isinstance(each, Fact) else fact_of(each) for each in events]
    return [Stored(seq, 0, fact) for seq, fact in enumerate(facts)]


def said(number: int, start_s: float = 0.0, text: str = "好", model: str = "small@1") -> WordsHeard:
    return WordsHeard(
        at=NOW_S + start_s, stream_id=f"st_{number}", recording_id=f"rec_{number}", start_s=start_s, end_s=start_s + 2,
        text=text, normal="", word_times="", language="zh", confidence=0.9, is_doubtful=False, speaker="wearer",
        model=model,
    )  # fmt: skip


def gap(number: int, span: tuple[int, int], stage: str = "speech") -> AnalysisGap:
    return AnalysisGap(
        at=NOW_S + span[0], stream_id=f"st_{number}", recording_id=f"rec_{number}", start_s=span[0], end_s=span[1],
        stage=stage, cause="behind",
    )  # fmt: skip


def closed(number: int, span: tuple[int, int]) -> AnalysisGapClosed:
    return AnalysisGapClosed(
        at=NOW_S, stream_id=f"st_{number}", recording_id=f"rec_{number}", start_s=span[0], end_s=span[1],
        stage="speech", model="small@1",
    )  # fmt: skip


def seconds(*spans: tuple[int, int]) -> set[int]:
    return {at for low, high in spans for at in range(low, high)}


@given(st.lists(SPAN, max_size=5), st.lists(SPAN, max_size=5), st.lists(SPAN, max_size=3))
def test_a_second_was_heard_if_each_stream_heard_it_or_it_was_looked_at_again(
    first: list[tuple[int, int]], second: list[tuple[int, int]], again: list[tuple[int, int]]
) -> None:
    facts = stored(
        said(1), said(2), *(gap(1, each) for each in first), *(gap(2, each) for each in second),
        *(closed(1, each) for each in again),
    )  # fmt: skip
    view = View([source(1), source(2)], Heard(facts), NOW_S, NOW_S + LENGTH_S)
    unheard = (seconds(*first) - seconds(*again)) | seconds(*second)
    for at in range(100):
        heard = view.hearing().share(NOW_S + at, NOW_S + at + 1)
        assert (heard > 0.5) == (at not in unheard), at


def test_time_before_any_stream_ran_was_not_heard_and_gaps_of_pictures_do_not_count() -> None:
    view = View([source(1, 40)], Heard(stored(said(1, 50), gap(1, (60, 90), "signal"))), NOW_S, NOW_S + LENGTH_S)
    hearing = view.hearing()
    assert hearing.share(NOW_S, NOW_S + 40) == 0.0
    assert hearing.reasons(NOW_S, NOW_S + 40) == ("没有录像",)
    assert hearing.share(NOW_S + 40, NOW_S + 100) == 1.0


def test_the_words_that_count_are_those_of_the_timeline_and_speakers_are_told_apart() -> None:
    facts = stored(
        said(1, 5, "演示", "whisper-demo-zh@1"), said(1, 5.1, "真的"), said(1, -40, "早了"), said(1, -20, "刚才")
    )
    found = View([source(1, -100)], Heard(facts), NOW_S, NOW_S + LENGTH_S).utterances()
    assert [(each.text, each.speaker) for each in found] == [("刚才", "officer"), ("真的", "officer")]
    assert found[1].start_s == NOW_S + 5.1


def test_two_officers_are_together_while_both_of_their_devices_record() -> None:
    one, other = source(1, 0, 50, "li"), source(2, 30, 90, "wang")
    found = both_record([one, other], NOW_S, NOW_S + LENGTH_S)
    assert found is not None
    assert (found[0] - NOW_S, found[1] - NOW_S) == (30, 50)
    assert both_record([one, source(2, 30, 90, "li")], NOW_S, NOW_S + 100) is None, "one officer with two devices"
    assert both_record([one, source(2, 30, 90)], NOW_S, NOW_S + 100) is None, "nobody knows who carried it"
    assert both_record([one, source(2, 60, 90, "wang")], NOW_S, NOW_S + 100) is None


def test_the_rules_of_the_program_hold() -> None:
    rules = Rulebook()
    seen, book, refusal = rules._look()
    assert (refusal, book is not None, seen != b"") == ("", True, True)


def test_a_device_near_which_nobody_spoke_takes_nothing_from_what_another_heard() -> None:
    hearing = View([source(1), source(2)], Heard(stored(said(1))), NOW_S, NOW_S + LENGTH_S).hearing()
    assert hearing.share(NOW_S, NOW_S + 50) == 1.0
    alone = View([source(2)], Heard(stored(said(1))), NOW_S, NOW_S + LENGTH_S).hearing()
    assert alone.share(NOW_S, NOW_S + 50) == 0.0


def test_words_in_another_script_were_not_heard_by_rules_that_are_chinese() -> None:
    foreign = said(1, 5, "Please show me your licence"), said(1, 25, "ياخشىمۇسىز تەكشۈرۈش")
    chinese = said(1, 45, "这是WiFi和POS机，编号A12"), said(1, 65, "OK"), said(1, 85, "110")
    hearing = View([source(1)], Heard(stored(*foreign, *chinese)), NOW_S, NOW_S + LENGTH_S).hearing()
    for at_s in (5, 25):
        assert hearing.share(NOW_S + at_s, NOW_S + at_s + 1) == 0.0
        assert hearing.reasons(NOW_S + at_s, NOW_S + at_s + 1) == ("不是汉语",)
    for at_s in (0, 45, 65, 85):
        assert hearing.share(NOW_S + at_s, NOW_S + at_s + 1) == 1.0
