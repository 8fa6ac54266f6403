"""Two officers of the roster whose faces were suggested: the step's duty is observed, until it is refuted."""

from pathlib import Path

import anyio

from cases.facts import Fact
from cases.judgement.rejudge import judge_again
from pipeline.ids import derived_event_id
from pipeline.settings import StoreSettings
from tests.unit.cases.judgement.material import NOW_S, Court, book, court, duty


def suggested(
    name: str, officer_id: str, case_id: str, step_id: str, at_s: float, kind: str = "roster", track: int = 0
) -> Fact:  # fmt: skip
    """track: 0: one of its own."""
    return Fact(
        event_id=derived_event_id("FaceSuggested", name), kind="FaceSuggested", at_us=round((NOW_S + at_s) * 1e6),
        stream_id="st_1", case_id=case_id,
        body={
            "suggestion_id": name, "gallery_kind": kind, "officer_id": officer_id, "step_id": step_id,
            "recording_id": "rec_1", "start_s": at_s if track == 0 else 1.0, "track": track,
        },
    )  # fmt: skip


def rejected(name: str, case_id: str, at_s: float) -> Fact:
    return Fact(
        event_id=derived_event_id("FaceRejected", name), kind="FaceRejected", at_us=round((NOW_S + at_s) * 1e6),
        stream_id="st_1", case_id=case_id, body={"suggestion_id": name},
    )  # fmt: skip


def test_two_officers_are_seen_by_their_faces_and_a_rejection_takes_it_back(
    where: StoreSettings, tmp_path: Path
) -> None:
    rules = book(extra=(duty("two_officers", deadline_s=None),))

    async def act(at: Court) -> None:
        case = await at.case()
        step = await at.step(case)
        await at.records(1, case, step)
        await at.tell(at.words("好", start_s=4.0))
        await at.turn(5.0)

        async def told() -> list[str]:
            return [str(verdict) for name, verdict in await at.verdicts() if name == "two_officers"]

        one = suggested("s1", "off_1", case.case_id, step.step_id, 6.0)
        again = suggested("s2", "off_1", case.case_id, step.step_id, 7.0)
        party = suggested("s3", "off_2", case.case_id, step.step_id, 7.0, "case")
        elsewhere = suggested("s4", "off_2", case.case_id, "step_other", 7.0)
        await at.appender.append([one, again, party, elsewhere])
        await at.turn(8.0)
        assert await told() == [], "one officer, however often"
        both = (suggested(f"s6{each}", each, case.case_id, step.step_id, 8.0, track=7) for each in ("off_1", "off_3"))
        await at.appender.append([*both])
        await at.turn(9.0)
        assert await told() == [], "one face that resembles two officers is one"
        await at.appender.append([suggested("s5", "off_2", case.case_id, step.step_id, 9.0)])
        await at.turn(10.0)
        assert await told() == ["observed"]
        fact = (await at.facts("ProcedureJudged"))[-1].fact
        assert "线索" in str(fact.body["why"])
        assert float(str(fact.body["confidence"])) < 0.8
        await at.appender.append([rejected("s5", case.case_id, 11.0)])
        await at.turn(12.0)
        await at.end(step)
        await at.turn(120.0)
        assert (await told())[-1] != "observed", "it rested on a face that was another's"

    async def run() -> None:
        async with court(where, tmp_path, rules) as made:
            await act(made)

    anyio.run(run)


def test_judged_again_a_face_that_was_rejected_still_counts_for_nothing(where: StoreSettings, tmp_path: Path) -> None:
    rules = book("identity", extra=(duty("two_officers", deadline_s=None, is_required=False),))

    async def run() -> None:
        async with court(where, tmp_path, rules) as at:
            case = await at.case()
            step = await at.step(case)
            await at.records(1, case, step)
            await at.tell(at.words("好", start_s=4.0))
            names = ("s1", "off_1", 6.0), ("s2", "off_2", 9.0)
            await at.appender.append(
                [suggested(name, officer, case.case_id, step.step_id, at_s) for name, officer, at_s in names]
            )
            await at.appender.append([rejected("s2", case.case_id, 11.0)])
            again = await judge_again(at.store, at.appender, rules, case.case_id, at.now_s, at.folder)
            assert "two_officers" not in {each.duty for each in again.changed}

    anyio.run(run)
