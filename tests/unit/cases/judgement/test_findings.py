"""Findings as rows: what follows from facts, what people say of them, and that a changed row is told."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio
import pytest
from sqlalchemy import true

from cases.appender import Stored
from cases.casework.actor import Actor
from cases.custody.check_rows import Expected, of_rows
from cases.judgement import findings
from cases.judgement.findings import Finding, Question, Verdict, page, review, the_finding
from cases.judgement.precision import wilson
from cases.store.engine import Store
from cases.timeline import after
from pipeline.errors import ThingUnknown, ValueRefused
from pipeline.events import FindingEnded, FindingRaised
from pipeline.settings import StoreSettings
from tests.stores import opened
from tests.unit.cases.custody.test_check import harm, statement
from tests.unit.cases.judgement.material import NOW_S, Court
from tests.unit.cases.judgement.test_desk import in_court


def raised(name: str, at_s: float = 0.0, kind: str = "black", severity: str = "high") -> FindingRaised:
    return FindingRaised(
        at=NOW_S + at_s, stream_id="st_1", recording_id="rec_1", finding_id=name, finding=kind, group="integrity",
        severity=severity, confidence=0.7, start_s=at_s, clip_start_s=max(0.0, at_s - 2), clip_end_s=at_s + 8,
        rule=f"pictures.{kind}@1", explanation="画面全黑。", measures="high=12.5",
    )  # fmt: skip


def ended(name: str, at_s: float, reason: str = "gone") -> FindingEnded:
    return FindingEnded(
        at=NOW_S + at_s, stream_id="st_1", recording_id="rec_1", finding_id=name, finding="black", start_s=0.0,
        end_s=at_s, reason=reason,
    )  # fmt: skip


async def found(at: Court, **asked: object) -> list[Finding]:
    async with at.store.reading() as connection:
        return await page(connection, Question(**asked), true())  # type: ignore[arg-type]  # fields of the question


async def says(at: Court, name: str, verdict: Verdict, reason: str = "看过", by: str = "prin_1") -> None:
    at.clock.now_s += 1
    actor = Actor(by, "林晓岚", round(at.now_s * 1e6))
    await at.appender.change(partial(review, actor=actor, finding_id=name, verdict=verdict, reason=reason))


async def defects(store: Store) -> list[str]:
    expected = Expected()
    async with store.reading() as connection:
        stored: Sequence[Stored] = await after(connection, -1, 10_000)
        for each in stored:
            expected.take(each.fact)
        return [f"{each.file} {each.defect}" async for each in of_rows(connection, expected)]


def test_a_finding_lasts_until_it_ends_and_only_the_first_end_counts(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        await at.tell(raised("f_1"), raised("f_1"), ended("f_none", 3.0))
        (row,) = await found(at, is_open=True)
        assert (row.finding_id, row.state, row.is_open, row.raised_us) == ("f_1", "new", True, round(NOW_S * 1e6))
        await at.tell(ended("f_1", 20.0, "worker_lost"), ended("f_1", 30.0))
        assert await found(at, is_open=True) == []
        (row,) = await found(at, is_open=False)
        assert (row.end_reason, row.ended_us) == ("worker_lost", round((NOW_S + 20) * 1e6))
        assert await defects(at.store) == []

    in_court(where, tmp_path, act)


def test_a_review_is_the_state_a_later_one_takes_its_place_and_both_stay_as_facts(
    where: StoreSettings, tmp_path: Path
) -> None:
    async def act(at: Court) -> None:
        await at.tell(raised("f_1"))
        await says(at, "f_1", "rejected", "逆光")
        (row,) = await found(at, state="rejected")
        assert (row.reason, row.reviewed_name, row.is_open) == ("逆光", "林晓岚", False)
        await says(at, "f_1", "confirmed", "再看确有遮挡", "prin_2")
        (row,) = await found(at)
        assert (row.state, row.reviewed_by, row.is_open) == ("confirmed", "prin_2", True)
        told = await at.facts("FindingReviewed")
        assert [each.fact.body["verdict"] for each in told] == ["rejected", "confirmed"]
        assert told[0].fact.stream_id == "st_1", "on every timeline that shows the finding"
        with pytest.raises(ThingUnknown):
            await says(at, "f_none", "confirmed")
        for reason in ("", "  ", "字" * 501, "a\nb"):
            with pytest.raises(ValueRefused):
                await says(at, "f_1", "resolved", reason)
        assert await defects(at.store) == []

    in_court(where, tmp_path, act)


def test_the_list_is_filtered_paged_and_folded(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        base = -(NOW_S % 600)  # the beginning of a ten-minute span
        await at.tell(*(raised(f"f_{n}", base + 60 * n) for n in range(15)), raised("g", base + 5, "frozen", "low"))
        everything = await found(at)
        assert [each.finding_id for each in everything][:2] == ["f_14", "f_13"]
        first = await found(at, limit=6)
        rest = await found(at, after=(first[-1].raised_us, first[-1].finding_id))
        assert first + rest == everything
        assert [each.finding_id for each in await found(at, finding="frozen")] == ["g"]
        assert [each.finding_id for each in await found(at, severity="low")] == ["g"]
        folded = await found(at, is_folded=True)
        assert [each.finding_id for each in folded] == ["f_14", "f_9", "g"]
        async with at.store.reading() as connection:
            assert await findings.alike(connection, folded) == {"f_14": 4, "f_9": 9, "g": 0}
        await says(at, "f_9", "rejected")
        folded = await found(at, is_folded=True, state="new")
        assert [each.finding_id for each in folded] == ["f_14", "f_8", "g"]

    in_court(where, tmp_path, act)


def test_a_finding_that_lasts_is_not_folded_into_one_that_is_over(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        base = -(NOW_S % 600)
        await at.tell(raised("lasts", base), raised("over", base + 5), ended("over", base + 9))
        await at.tell(raised("grave", base, "frozen"), raised("slight", base + 5, "frozen", "low"))

        async def folded(**asked: object) -> list[str]:
            return [each.finding_id for each in await found(at, is_folded=True, **asked)]

        assert await folded() == ["slight", "over"]
        assert await folded(is_open=True) == ["slight", "lasts"]
        assert await folded(is_open=False) == ["over"]
        assert await folded(severity="high", finding="frozen") == ["grave"]

    in_court(where, tmp_path, act)


def test_a_rules_precision_is_that_of_what_people_said(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        await at.tell(*(raised(f"f_{n}", n) for n in range(4)))
        for name, verdict in (("f_0", "confirmed"), ("f_1", "confirmed"), ("f_2", "rejected"), ("f_3", "resolved")):
            await says(at, name, verdict)  # type: ignore[arg-type]  # each is a verdict
        async with at.store.reading() as connection:
            (rule,) = await findings.by_rule(connection)
        assert (rule.rule, rule.raised, rule.confirmed, rule.rejected) == ("pictures.black@1", 4, 2, 1)

    in_court(where, tmp_path, act)


@pytest.mark.parametrize(
    ("right", "all_", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (9, 10, 0.5958, 0.9821), (10, 10, 0.7225, 1.0), (80, 100, 0.7112, 0.8666)],
)
def test_wilsons_interval_is_that_of_published_tables(right: int, all_: int, low: float, high: float) -> None:
    assert list(wilson(right, all_)) == pytest.approx([low, high], abs=1e-4)


@pytest.mark.parametrize(
    ("line", "defect"),
    [
        ("UPDATE findings SET state = 'confirmed'", "row_differs"),
        ("UPDATE findings SET reason = 'x'", "row_differs"),
        ("UPDATE findings SET severity = 'low'", "row_differs"),
        ("UPDATE findings SET ended_us = NULL", "row_differs"),
        ("DELETE FROM findings", "row_missing"),
        ("UPDATE findings SET finding_id = 'other'", "row_added"),
    ],
)
def test_a_finding_that_was_changed_behind_the_facts_is_named(
    where: StoreSettings, tmp_path: Path, line: str, defect: str
) -> None:
    async def act(at: Court) -> None:
        await at.tell(raised("f_1"), ended("f_1", 20.0))
        await says(at, "f_1", "rejected", "逆光")
        assert await defects(at.store) == []

    async def found_() -> list[str]:
        async with opened(where, tmp_path) as store:
            return await defects(store)

    in_court(where, tmp_path, act)
    harm(where, tmp_path, statement(line))
    assert f"database/findings {defect}" in anyio.run(found_)


def test_a_finding_out_of_reach_is_no_other_than_none(where: StoreSettings, tmp_path: Path) -> None:
    async def act(at: Court) -> None:
        await at.tell(raised("f_1"))
        async with at.store.reading() as connection:
            assert (await the_finding(connection, "f_1", true())).finding_id == "f_1"
            with pytest.raises(ThingUnknown, match="no such finding"):
                await the_finding(connection, "f_1", ~true())

    in_court(where, tmp_path, act)
