"""Past cases by the rules of now: old verdicts stay, the difference is told, nothing is told twice."""

from functools import partial
from pathlib import Path

from cases.casework.corrections import correct_words
from cases.facts import Fact
from cases.judgement import slips
from cases.judgement.heard import Source
from cases.judgement.measured import measured_again
from cases.judgement.rejudge import Ruled, judge_again, judged, unread_of
from pipeline.events import FindingRaised
from pipeline.settings import StoreSettings
from pipeline.slips import done as slip_done
from tests.unit.cases.judgement.material import NOW_S, Court, book
from tests.unit.cases.judgement.test_desk import in_court


def test_a_changed_rule_judges_kept_words_anew_beside_the_old_verdicts(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        case = await at.case()
        step = await at.step(case)
        await at.records(1, case, step)
        await at.tell(at.words("identity 红包", start_s=4.0), at.words("grounds", start_s=20.0))
        await at.turn(70.0)
        await at.end(step)
        await at.stops(1)
        await at.turn(100.0)
        assert await at.verdicts() == [("identity", "observed"), ("recording", "not_observed")]
        at.clock.now_s += 100_000
        rules = book("identity", "grounds", "recording", version="b")
        again = await judge_again(at.store, at.appender, rules, case.case_id, at.now_s, at.folder)
        assert (again.version, again.steps) == ("b", 1)
        assert [(each.duty, each.before, each.after) for each in again.changed] == [
            ("grounds", None, Ruled("observed", "grounds@b"))
        ]
        assert (again.raised, again.unchanged, again.not_raised_now) == (0, 1, 0)
        told = await at.facts("ProcedureJudged")
        assert len(told) == 5, "two of before, three of now"
        assert {each.fact.body["rule"] for each in told} >= {"identity@a", "identity@b"}
        size = at.appender.size
        again = await judge_again(at.store, at.appender, rules, case.case_id, at.now_s, at.folder)
        assert (again.changed, at.appender.size) == ((), size)
        assert again.seconds == 70.0

    in_court(where, tmp_path, act)


def test_corrected_words_count_and_what_they_no_longer_say_is_not_raised_now(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(at: Court) -> None:
        case = await at.case()
        await at.records(1, case)
        heard, other = at.words("红包", start_s=4.0), at.words("风暴", start_s=30.0)
        await at.tell(heard, other)
        await at.turn(40.0)
        for event, said in ((heard, "风暴"), (other, "红包")):
            await at.appender.change(
                partial(correct_words, actor=at.actor(), case_id=case.case_id, event_id=event.event_id, text=said)
            )
        again = await judge_again(at.store, at.appender, book(), case.case_id, at.now_s, at.folder)
        assert (again.raised, again.unchanged, again.not_raised_now) == (1, 0, 1)
        assert [each.fact.body["start_s"] for each in await at.facts("FindingRaised")] == [4.0, 30.0]
        await at.turn(50.0)
        again = await judge_again(at.store, at.appender, book(), case.case_id, at.now_s, at.folder)
        assert (again.raised, again.unchanged, again.not_raised_now) == (0, 1, 1)

    in_court(where, tmp_path, act)


def test_the_desk_takes_up_what_was_judged_beside_it(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        case = await at.case()
        step = await at.step(case)
        await at.records(1, case, step)
        await at.tell(at.words("identity", start_s=4.0))
        await at.turn(10.0)
        rules = book("identity", "recording", version="b")
        await judge_again(at.store, at.appender, rules, case.case_id, at.now_s, at.folder)
        at.judging.rulebook.current = rules
        await at.turn(12.0)
        await at.turn(14.0)
        assert [each.fact.body["rule"] for each in await at.facts("ProcedureJudged")] == ["identity@a", "identity@b"]

    in_court(where, tmp_path, act)


def test_what_was_measured_is_judged_again_too_and_found_once(where: StoreSettings, tmp_path: Path) -> None:
    """signals: as the process of the rows gives them; it is tried with real rows in tests/flow/test_noticing.py."""

    def black(name: str, at_s: float, kind: str = "black") -> FindingRaised:
        return FindingRaised(
            at=NOW_S + at_s, stream_id="st_1", recording_id="rec_1", finding_id=name, finding=kind, group="integrity",
            severity="high", confidence=1.0, start_s=at_s, clip_start_s=at_s, clip_end_s=at_s + 5,
            rule=f"pictures.{kind}@1", explanation="画面全黑。",
        )  # fmt: skip

    async def act(at: Court) -> None:
        case = await at.case()
        await at.records(1, case)
        await at.tell(black("old 10", 10.0), black("old 50", 50.0), black("thin", 70.0, "stream_thin"))
        async with at.store.reading() as connection:
            unread = await unread_of(connection, case.case_id)
        signals = (black("new 11", 11.0), black("new 90", 90.0))
        again = judged(book(), unread.kept(signals, frozenset(("rec_1",))), at.now_s)
        assert (again.raised, again.unchanged, again.not_raised_now) == (1, 1, 1)
        assert [each.finding_id for each in again.told if isinstance(each, FindingRaised)] == ["new 90"]
        again = judged(book(), unread.kept(), at.now_s)
        assert (again.raised, again.unchanged, again.not_raised_now) == (0, 0, 0), "no rows were kept"

    in_court(where, tmp_path, act)


def test_slips_bring_facts_of_judgement_alone_in_the_order_in_which_they_were_judged(tmp_path: Path) -> None:
    def verdict(name: str) -> Fact:
        return Fact(event_id=name, kind="ProcedureJudged", at_us=1, case_id="case_1", body={"why": "听到。"})

    for at_us in (1_790_000_000_000_000, 1_790_000_300_000_000, 1_790_000_060_000_000):
        slips.place(tmp_path, "case_1", [verdict(str(at_us))], at_us)
    other = Fact(event_id="ev_2", kind="CaseChanged", at_us=1, case_id="case_1")
    slips.place(tmp_path, "case_1", [verdict("ev_1"), other], 1_790_000_000_000_001)
    (tmp_path / "analysis" / "judgements" / "torn.jsonl").write_text('{"event_id":')
    left = slips.left(tmp_path)
    assert [fact.event_id for _, (fact,) in left] == ["1790000000000000", "1790000060000000", "1790000300000000"]
    for slip, _ in left:
        slip_done(slip)
    assert slips.left(tmp_path) == []


def test_the_process_of_the_rows_is_asked_for_recordings_that_have_some(tmp_path: Path) -> None:
    sources = [Source(f"st_{n}", f"rec_{n}", "dev", None, NOW_S, ((NOW_S, NOW_S + 9),)) for n in (1, 2)]
    assert measured_again(tmp_path, sources) == ((), frozenset())
    folder = tmp_path / "analysis" / "measures"
    folder.mkdir(parents=True)
    (folder / "rec_2.jsonl").write_text('["picture", "an older form", 1.0, 0.5]\n')
    signals, measured = measured_again(tmp_path, sources)
    assert (list(signals), measured) == ([], frozenset(("rec_2",)))
