"""The judge's desk over a real store: verdicts as words come, what is missing, restarts, other rules; a moved clock."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from cases.casework.corrections import correct_words
from cases.judgement.book import Book
from cases.judgement.desk import SHOWN_S, Desk
from cases.judgement.stream_judge import CLOCK_OFF
from pipeline.events import (
    AnalysisGap,
    AnalysisGapClosed,
    FindingEnded,
    FindingRaised,
    SegmentClosed,
    StreamInterrupted,
    TextSeen,
)
from pipeline.settings import StoreSettings
from tests.unit.cases.judgement.material import NOW_S, Court, book, court, duty

RULES = book("identity", "recording")


def in_court(
    where: StoreSettings, folder: Path, act: Callable[[Court], Awaitable[None]], rules: Book = RULES
) -> None:  # fmt: skip
    async def run() -> None:
        async with court(where, folder, rules) as made:
            await act(made)

    anyio.run(run)


async def begun(at: Court) -> None:
    """A case whose step runs and whose officer records."""
    case = await at.case()
    step = await at.step(case)
    await at.records(1, case, step)
    await at.turn()


def gap(start_s: float, end_s: float) -> AnalysisGap:
    return AnalysisGap(
        at=NOW_S + start_s, stream_id="st_1", recording_id="rec_1", start_s=start_s, end_s=end_s, stage="speech",
        cause="behind",
    )  # fmt: skip


def closed(start_s: float, end_s: float) -> AnalysisGapClosed:
    return AnalysisGapClosed(
        at=NOW_S + start_s, stream_id="st_1", recording_id="rec_1", start_s=start_s, end_s=end_s, stage="speech",
        model="small@1",
    )  # fmt: skip


def sound_missing(start_s: float) -> FindingRaised:
    return FindingRaised(
        at=NOW_S + start_s, stream_id="st_1", recording_id="rec_1", finding_id="f_1", finding="sound_missing",
        group="integrity", severity="high", confidence=1.0, start_s=start_s, clip_start_s=start_s,
        clip_end_s=start_s + 5, rule="sounds.sound_missing@1", explanation="没有声音。",
    )  # fmt: skip


def test_a_duty_ticks_when_it_is_said_with_the_clip_behind_it(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(at.words("我说identity", start_s=4.0))
        await at.turn(6.5)
        (told,) = await at.facts("ProcedureJudged")
        body = told.fact.body
        assert (body["duty"], body["verdict"], body["rule"]) == ("identity", "observed", "identity@a")
        assert (body["recording_id"], body["start_s"], body["end_s"]) == ("rec_1", 4.0, 6.0)
        assert (body["quotes"], told.fact.stream_id) == (["我说identity"], "st_1")
        assert told.fact.case_id is not None
        await at.turn(7.5)
        assert await at.verdicts() == [("identity", "observed")], "once"

    in_court(where, tmp_path, act)


def test_what_is_not_said_in_its_time_is_missing_and_its_finding_ends_when_it_is_made_good(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(at.words("我现在说identity", start_s=4.0), at.words("好的", start_s=40.0, speaker="other"))
        await at.turn(62.0)
        assert ("recording", "not_observed") not in await at.verdicts(), "words of the last seconds may still come"
        await at.turn(76.0)
        assert await at.verdicts() == [("identity", "observed"), ("recording", "not_observed")]
        (raised,) = await at.facts("FindingRaised")
        assert (raised.fact.body["finding"], raised.fact.body["group"]) == ("duty_missing", "procedure")
        assert raised.fact.body["measures"] == "coverage=1.000"
        assert [show_s for _, show_s in at.side.shown.values()] == [None]
        await at.tell(at.words("recording一下", start_s=80.0))
        await at.turn(83.0)
        assert (await at.verdicts())[-1] == ("recording", "observed")
        (ended,) = await at.facts("FindingEnded")
        assert (ended.fact.body["finding_id"], ended.fact.body["reason"]) == (raised.fact.body["finding_id"], "gone")
        assert at.side.shown == {}

    in_court(where, tmp_path, act)


def test_words_that_come_after_a_later_word_of_every_stream_are_not_waited_for(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(at.words("identity", start_s=4.0), at.words("那么", start_s=60.5))
        await at.turn(63.0)
        assert ("recording", "not_observed") in await at.verdicts()

    in_court(where, tmp_path, act)


def test_a_worker_that_is_behind_is_waited_for(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        at.side.behind = {"st_1": 30.0}
        await at.tell(at.words("好", start_s=4.0))
        await at.turn(80.0)
        assert await at.verdicts() == []
        await at.turn(106.0)
        assert len(await at.verdicts()) == 2

    in_court(where, tmp_path, act)


@pytest.mark.parametrize("why", ["a gap", "no sound", "a doubtful word", "an interruption", "no word", "no stream"])
def test_what_could_not_be_heard_is_cannot_tell_and_raises_nothing(
    where: StoreSettings, tmp_path: Path, why: str
) -> None:
    async def act(at: Court) -> None:
        if why == "no stream":
            await at.step(await at.case())
        else:
            await begun(at)
        if why not in ("no word", "no stream"):
            await at.tell(at.words("好", start_s=4.0))
        match why:
            case "a gap":
                await at.tell(gap(10.0, 40.0))
            case "no sound":
                await at.tell(sound_missing(20.0))
            case "a doubtful word":
                await at.tell(at.words("什么", start_s=20.0, length_s=12.0, is_doubtful=True))
            case "an interruption":
                await at.tell(StreamInterrupted(at=NOW_S + 30, stream_id="st_1", pts_s=30.0, reason="lost"))
            case _:
                pass
        await at.turn(90.0)
        assert await at.verdicts() == [("identity", "cannot_tell"), ("recording", "cannot_tell")]
        told = await at.facts("FindingRaised")
        assert [each.fact.body["finding"] for each in told if each.fact.body["finding"] == "duty_missing"] == []

    in_court(where, tmp_path, act)


def test_a_sound_fault_that_is_over_and_a_gap_that_was_looked_at_again_do_not_count(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(at.words("identity", start_s=4.0), gap(10.0, 40.0))
        await at.turn(80.0)
        assert (await at.verdicts())[-1] == ("recording", "cannot_tell")
        await at.tell(closed(10.0, 40.0))
        await at.turn(83.0)
        assert (await at.verdicts())[-1] == ("recording", "not_observed")
        await at.turn(90.0)
        assert len(await at.verdicts()) == 3

    in_court(where, tmp_path, act)


def test_what_one_of_two_devices_did_not_hear_cannot_be_told_and_two_officers_are_seen_by_their_devices(
    where: StoreSettings, tmp_path: Path
) -> None:
    rules = book("identity", extra=(duty("two_officers", deadline_s=None),))

    async def act(at: Court) -> None:
        case = await at.case()
        step = await at.step(case)
        for number in (1, 2):
            await at.carries(number)
            await at.records(number, case, step)
        await at.tell(at.words("好", start_s=4.0), at.words("好", 2, start_s=4.2), gap(10.0, 60.0))
        await at.turn(5.0)
        assert await at.verdicts() == [], "they may be passing"
        await at.turn(90.0)
        assert sorted(await at.verdicts()) == [("identity", "cannot_tell"), ("two_officers", "observed")]
        await at.end(step)
        await at.turn(120.0)
        assert len(await at.verdicts()) == 2, "no word of it was said, and none was needed"

    in_court(where, tmp_path, act, rules)


def test_words_that_come_late_or_are_corrected_have_the_step_heard_again(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        heard = at.words("我说身份", start_s=4.0)
        await at.tell(heard, at.words("好", start_s=61.0))
        await at.turn(64.0)
        assert await at.verdicts() == [("identity", "not_observed"), ("recording", "not_observed")]
        await at.tell(at.words("recording", start_s=20.0))
        await at.turn(66.0)
        assert (await at.verdicts())[2:] == [("recording", "observed")]
        case_id = (await at.facts("ProcedureJudged"))[0].fact.case_id
        assert case_id is not None
        await at.appender.change(
            partial(correct_words, actor=at.actor(), case_id=case_id, event_id=heard.event_id, text="我说identity")
        )
        await at.turn(68.0)
        assert (await at.verdicts())[3:] == [("identity", "observed")]
        assert len(await at.facts("FindingEnded")) == 2

    in_court(where, tmp_path, act)


def test_a_second_model_over_the_same_words_says_nothing_twice_and_a_better_one_counts(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(at.words("红包identity", start_s=4.0, model="whisper-demo-zh@1"))
        await at.turn(6.5)
        await at.tell(at.words("红包身份", start_s=4.1, model="large@1"))
        await at.turn(9.0)
        assert len(await at.facts("FindingRaised")) == 1
        await at.tell(at.words("好", start_s=61.0))
        await at.turn(64.0)
        assert ("identity", "not_observed") in await at.verdicts()

    in_court(where, tmp_path, act)


def test_the_end_of_a_step_judges_what_is_open_and_ends_what_was_missing(where: StoreSettings, tmp_path: Path) -> None:
    rules = book("identity", extra=(duty("signature", deadline_s=None),))

    async def act(at: Court) -> None:
        case = await at.case()
        step = await at.step(case)
        await at.records(1, case, step)
        await at.tell(at.words("好", start_s=4.0))
        await at.turn(80.0)
        assert await at.verdicts() == [("identity", "not_observed")]
        await at.end(step)
        await at.turn(82.0)
        assert len(await at.verdicts()) == 1
        await at.turn(97.0)
        assert (await at.verdicts())[1:] == [("signature", "not_observed")]
        assert len(await at.facts("FindingRaised")) == 1, "what is missing at the end can no longer be made good"
        (ended,) = await at.facts("FindingEnded")
        assert ended.fact.body["reason"] == "source_over"
        await at.tell(at.words("signature请签字", start_s=78.0))
        await at.turn(99.0)
        assert (await at.verdicts())[2:] == [("signature", "observed")], "heard again, after the step"

    in_court(where, tmp_path, act, rules)


def test_after_a_restart_nothing_is_left_out_and_nothing_stands_twice(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(at.words("identity", start_s=4.0))
        await at.turn(10.0)
        await at.tell(at.words("给你红包", start_s=12.0, speaker="other"), at.words("好", start_s=30.0))
        at.again()  # before the last words were taken
        await at.desk.begin()
        await at.turn(80.0)
        assert await at.verdicts() == [("identity", "observed"), ("recording", "not_observed")]
        raised = await at.facts("FindingRaised")
        assert sorted(str(each.fact.body["finding"]) for each in raised) == ["bribe_offered", "duty_missing"]
        at.again()
        await at.desk.begin()
        await at.turn(90.0)
        assert len(await at.verdicts()) == 2
        assert len(await at.facts("FindingRaised")) == 2
        assert [event.finding for event, _ in at.side.shown.values()] == ["duty_missing"], "it is shown again"

    in_court(where, tmp_path, act)


def test_a_place_that_was_not_kept_tells_the_same_facts_again_which_are_one(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(at.words("identity 红包", start_s=4.0))
        await at.turn(10.0)
        size = at.appender.size
        at.again()
        await at.desk.begin()
        at.desk.place = -1
        await at.turn(11.0)
        assert at.appender.size == size

    in_court(where, tmp_path, act)


def test_conduct_is_told_with_its_words_and_shown_for_a_while(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        case = await at.case()
        await at.records(1, case)
        at.clock.now_s += 10
        await at.tell(at.words("这个红包你拿着", start_s=6.0, speaker="other"))
        await at.turn()
        (raised,) = await at.facts("FindingRaised")
        body = raised.fact.body
        assert (body["finding"], body["group"], body["severity"]) == ("bribe_offered", "conduct", "high")
        assert (body["quotes"], body["clip_start_s"], body["clip_end_s"]) == ("这个红包你拿着", 1.0, 13.0)
        assert len(await at.facts("FindingEnded")) == 1
        assert [show_s for _, show_s in at.side.shown.values()] == [SHOWN_S]
        at.side.shown.clear()
        at.clock.now_s += 1000
        await at.tell(at.words("红包", start_s=20.0))
        await at.turn()
        assert len(await at.facts("FindingRaised")) == 2
        assert at.side.shown == {}, "what is found in a recording is no news"

    in_court(where, tmp_path, act)


def test_pictures_are_asked_for_once_and_what_was_read_makes_the_verdict_surer(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(at.words("certificate_shown", start_s=14.0))
        await at.turn(17.0)
        await at.turn(19.0)
        assert at.side.asked == [("rec_1", 4.0, 26.0, "certificate_shown")]
        await at.tell(
            TextSeen(
                at=NOW_S + 15, stream_id="st_1", recording_id="rec_1", start_s=15.0, text="行政执法证",
                asked="certificate_shown", confidence=0.9, model="rapidocr@1",
            )
        )  # fmt: skip
        await at.turn(21.0)
        first, second = [each.fact.body for each in await at.facts("ProcedureJudged")]
        assert (first["confidence"], second["confidence"]) == (0.9, 0.97)
        await at.turn(23.0)
        assert len(await at.verdicts()) == 2

    in_court(where, tmp_path, act, book("certificate_shown"))


def segment(number: int, offset_s: float | None) -> SegmentClosed:
    return SegmentClosed(
        at=NOW_S + number * 10, stream_id="st_1", recording_id="rec_1", file=f"{number:04}.mp4", sha256="0" * 64,
        size_bytes=1, start_s=(number - 1) * 10.0, end_s=number * 10.0, device_offset_s=offset_s,
    )  # fmt: skip


def test_a_clock_that_is_off_is_a_finding_until_it_is_right_over_a_restart_too(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(segment(1, 59.0), segment(2, None), segment(3, -75.0), segment(4, -55.0))
        await at.turn(41.0)
        (raised,) = await at.facts("FindingRaised")
        assert (raised.fact.body["finding"], raised.fact.body["start_s"]) == (CLOCK_OFF, 20.0)
        assert raised.fact.body["measures"] == "device_offset_s=-75.000\nbound_s=60"
        at.again()
        await at.desk.begin()
        assert [event.finding for event, _ in at.side.shown.values()] == [CLOCK_OFF]
        await at.tell(segment(5, -80.0), segment(6, 1.0))
        await at.turn(61.0)
        (ended,) = await at.facts("FindingEnded")
        assert (ended.fact.body["start_s"], ended.fact.body["end_s"]) == (20.0, 50.0)
        assert at.side.shown == {}

    in_court(where, tmp_path, act)


def test_what_a_lost_process_left_open_ends_with_its_recording(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(sound_missing(20.0))
        await at.turn(30.0)
        at.clock.now_s = NOW_S + 40
        await at.stops(1)
        await at.turn(60.0)
        assert await at.facts("FindingEnded") == []
        await at.turn(140.0)
        (ended,) = await at.facts("FindingEnded")
        assert (ended.fact.body["reason"], ended.fact.body["end_s"]) == ("source_over", 40.0)
        await at.turn(200.0)
        assert len(await at.facts("FindingEnded")) == 1

    in_court(where, tmp_path, act)


def test_other_rules_judge_what_runs_anew_and_old_verdicts_stay(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(at.words("identity", start_s=4.0))
        await at.turn(10.0)
        (changed,) = await at.facts("RulesChanged")
        assert (changed.fact.body["before"], changed.fact.body["version"]) == ("", "a")
        at.judging.rulebook.current = book("identity", "recording", version="b")
        await at.turn(12.0)
        rules = [each.fact.body["rule"] for each in await at.facts("ProcedureJudged")]
        assert rules == ["identity@a", "identity@b"]
        assert [each.fact.body["version"] for each in await at.facts("RulesChanged")] == ["a", "b"]
        at.again()
        await at.desk.begin()
        assert len(await at.facts("RulesChanged")) == 2

    in_court(where, tmp_path, act)


def test_a_recording_of_another_running_step_counts_for_that_alone(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        case = await at.case()
        await at.step(case)
        at.clock.now_s += 1
        other = await at.step(case)
        await at.records(1, case, other)
        await at.turn()
        await at.tell(at.words("identity", start_s=4.0))
        await at.turn(8.0)
        (told,) = await at.facts("ProcedureJudged")
        assert told.fact.body["step_id"] == other.step_id

    in_court(where, tmp_path, act)


def test_counts_are_those_of_the_record(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        await begun(at)
        await at.tell(sound_missing(20.0))
        await at.turn(25.0)
        await at.turn(60.0)
        counts = at.judging.counts
        assert (counts.raised, counts.open, counts.severe) == ({"sound_missing": 1}, {"sound_missing": 1}, 1)
        assert counts.alarms_per_10_min(0) == pytest.approx(1 / 6)
        assert counts.alarms_per_10_min(2) == pytest.approx(1 / 12)
        await at.tell(
            FindingEnded(
                at=NOW_S + 50, stream_id="st_1", recording_id="rec_1", finding_id="f_1", finding="sound_missing",
                start_s=20.0, end_s=50.0, reason="gone",
            )
        )  # fmt: skip
        await at.turn(95.0)
        assert counts.open == {}

    in_court(where, tmp_path, act)


def test_two_desks_that_judge_the_same_tell_one_fact(where: StoreSettings, tmp_path: Path) -> None:
    """As after a commit whose answer was lost: who begins anew may have told it already."""

    async def act(at: Court) -> None:
        await begun(at)
        other = Desk(at.judging, at.store, at.appender, at.tail)
        await other.begin()
        await at.tell(at.words("identity 红包", start_s=4.0))
        await at.turn(10.0)
        while other.place < at.appender.size - 1:
            await other.turn(1.0)
        assert await at.verdicts() == [("identity", "observed")]
        assert len(await at.facts("FindingRaised", "FindingEnded")) == 2

    in_court(where, tmp_path, act)
