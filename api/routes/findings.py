"""Findings: the list, what a person says of one, and how often each rule was right.

A finding within reach is shown; its words only to who may read them elsewhere: on the timeline of a case, or while it
is live and the stream may be watched.
"""

from collections.abc import Sequence
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from sqlalchemy import and_, exists, false, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.asking import Acted, actor_of, cursor_of, named_place_of, record_of
from api.doors import Doors
from api.judgement import SignalRule, judging_of, seats, signal_rules
from api.permissions import Asker, require, within
from api.schemas.findings import (
    FindingOut,
    FindingsOut,
    Group,
    LawRefOut,
    ReviewIn,
    RuleOut,
    RulesOut,
    Severity,
    State,
    finding_out,
)
from cases.judgement import findings
from cases.judgement.book import Book
from cases.judgement.findings import Finding, Question, Reviewed
from cases.judgement.precision import wilson
from cases.reach import reached_case, unheard_streams
from cases.rules.laws import numeral_of
from cases.rules.ruleset import ConductRule, Duty
from cases.store.tables import cases, links, officers, recordings
from cases.store.tables import findings as findings_table

router = APIRouter(prefix="/api/v1")
Reader = Annotated[Asker, Depends(require("findings.read"))]
Reviewer = Annotated[Asker, Depends(require("findings.review"))]
RulesReader = Annotated[Asker, Depends(require("rules.read"))]
Id = Annotated[str, Query(max_length=64)]


@router.get("/findings")
async def list_findings(
    request: Request,
    asker: Reader,
    state: State | None = None,
    open_: Annotated[bool | None, Query(alias="open")] = None,
    group: Group | None = None,
    finding: Id = "",
    severity: Severity | None = None,
    stream_id: Id = "",
    case_id: Id = "",
    fold: Annotated[bool, Query(description="Of those that are alike the newest one only.")] = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> FindingsOut:
    """The newest first. None is evidence until a person confirmed it."""
    question = Question(
        state=state or "", is_open=open_, group=group or "", finding=finding, severity=severity or "",
        stream_id=stream_id, case_id=case_id, is_folded=fold, after=named_place_of(cursor) if cursor else None,
        limit=limit + 1,
    )  # fmt: skip
    async with record_of(request).store.reading() as connection:
        if case_id:
            await reached_case(connection, asker.within, case_id)
        found = await findings.page(connection, question, asker.within.findings())
        more, found = len(found) > limit, found[:limit]
        items = await _shown(request, connection, asker, found)
    last = found[-1] if more else None
    return FindingsOut(items=items, next_cursor=None if last is None else cursor_of(last.raised_us, last.finding_id))


@router.post("/findings/{finding_id}/review")
async def review(request: Request, asker: Reviewer, finding_id: str, wanted: ReviewIn) -> FindingOut:
    """What a person says of it, and why. A later review takes the place of an earlier one; each stays on record."""
    actor, record = actor_of(request, asker.principal), record_of(request)
    doors: Doors = request.app.state.doors

    async def act(connection: AsyncConnection) -> Acted[Finding]:
        await findings.the_finding(connection, finding_id, asker.within.findings())
        return await findings.review(connection, actor, finding_id, wanted.verdict, wanted.reason)

    before = await record.appender.change(act)
    if wanted.verdict != "confirmed":
        doors.runtime.desk.open_findings.gone(before.stream_id, finding_id)
    async with record.store.reading() as connection:
        found = await findings.the_finding(connection, finding_id)
        return (await _shown(request, connection, asker, [found]))[0]


@router.get("/rules")
async def list_rules(request: Request, asker: RulesReader) -> RulesOut:
    """The rules in force, and those that raised findings before, each with how often people found it right."""
    del asker
    doors: Doors = request.app.state.doors
    judging = judging_of(doors)
    async with record_of(request).store.reading() as connection:
        counted = {each.rule: each for each in await findings.by_rule(connection)}
    book, signals = judging.rulebook.current, await anyio.to_thread.run_sync(signal_rules, doors.runtime.settings.data)
    items = [*_of_book(book, counted), *_of_signals(signals, counted)]
    named = {each.rule for each in items}
    items += [_before(each, book) for each in counted.values() if each.rule not in named]
    return RulesOut(
        version="" if book is None else book.version, label="" if book is None else book.label,
        refusal=judging.rulebook.refusal, items=items,
        alarms_per_10_min=round(judging.counts.alarms_per_10_min(seats(doors.runtime)), 3),
    )  # fmt: skip


async def _shown(
    request: Request, connection: AsyncConnection, asker: Asker, found: Sequence[Finding]
) -> list[FindingOut]:
    if not found:
        return []
    doors: Doors = request.app.state.doors
    facts = await findings.raised_facts(connection, found)
    readable = await _readable(doors, connection, asker, found)
    carried = await _carried(connection, found)
    of_cases = await _cases(connection, asker, found)
    alike = await findings.alike(connection, found)
    names = {each.device.device_id: each.device.name for each in doors.access.devices()}
    return [
        finding_out(
            each, facts[each.finding_id], names.get(device_id, ""), officer, of_cases.get(each.stream_id, []),
            alike[each.finding_id], is_readable=each.finding_id in readable,
        )
        for each in found
        for device_id, officer in (carried.get(each.recording_id, ("", None)),)
    ]  # fmt: skip


async def _readable(
    doors: Doors, connection: AsyncConnection, asker: Asker, found: Sequence[Finding]
) -> frozenset[str]:
    """Those whose words the asker may read: as a case shows them, or as who may watch hears them now."""
    ways = []
    by_case = _within(doors, asker, "cases.read")
    if by_case is not None:
        ways.append(by_case.within.spoken())
    live = _within(doors, asker, "streams.watch")
    if live is not None:
        ways.append(
            exists().where(
                recordings.c.recording_id == findings_table.c.recording_id, recordings.c.ended_us.is_(None),
                live.within.recordings(),
            )
        )  # fmt: skip
    ids = [each.finding_id for each in found]
    asked = select(findings_table.c.finding_id, findings_table.c.stream_id).where(
        and_(findings_table.c.finding_id.in_(ids), or_(false(), *ways))
    )
    barred = await unheard_streams(connection, asker.within)
    return frozenset(row[0] for row in await connection.execute(asked) if row[1] not in barred)


def _within(doors: Doors, asker: Asker, permission: str) -> Asker | None:
    try:
        return Asker(asker.principal, within(doors, asker.principal, permission))
    except HTTPException:
        return None


async def _carried(
    connection: AsyncConnection, found: Sequence[Finding]
) -> dict[str, tuple[str, str | None]]:  # fmt: skip
    """By recording: which device, and the name of who carried it."""
    asked = (
        select(recordings.c.recording_id, recordings.c.device_id, officers.c.name)
        .outerjoin(officers, officers.c.officer_id == recordings.c.officer_id)
        .where(recordings.c.recording_id.in_({each.recording_id for each in found}))
    )
    return {row[0]: (row[1], row[2]) for row in await connection.execute(asked)}


async def _cases(connection: AsyncConnection, asker: Asker, found: Sequence[Finding]) -> dict[str, list[str]]:
    """By stream: the cases within reach that show it."""
    asked = (
        select(links.c.stream_id, links.c.case_id)
        .join(cases, cases.c.case_id == links.c.case_id)
        .where(links.c.stream_id.in_({each.stream_id for each in found}), links.c.undone_us.is_(None))
        .where(asker.within.cases())
        .order_by(links.c.case_id)
        .distinct()
    )
    of_streams: dict[str, list[str]] = {}
    for stream_id, case_id in await connection.execute(asked):
        of_streams.setdefault(stream_id, []).append(case_id)
    return of_streams


def _of_book(book: Book | None, counted: dict[str, Reviewed]) -> list[RuleOut]:
    if book is None:
        return []
    duties = [
        _rule(each.rule, "duty", each.duty, each.zh, each.en, each.severity, _law(each.law, each.article), counted)
        for each in book.duties
    ]
    conduct = [
        _rule(
            each.rule, "conduct", each.finding, each.zh, each.en, each.severity, _law(each.law, each.article), counted
        )
        for each in book.conduct
    ]
    return [*duties, *conduct]


def _of_signals(signals: Sequence[SignalRule], counted: dict[str, Reviewed]) -> list[RuleOut]:
    return [
        _rule(
            each.rule, "signal", each.finding, each.zh, each.en, each.severity,
            LawRefOut(name=each.law.partition(" ")[0], article=each.law.rpartition(" ")[2]) if each.law else None,
            counted,
        )
        for each in signals
    ]  # fmt: skip


def _before(reviewed: Reviewed, book: Book | None) -> RuleOut:
    """A rule that is not in force, or whose names no file holds: an older version raised findings."""
    kind = {"conduct": "conduct", "procedure": "duty"}.get(reviewed.group, "signal")
    name = reviewed.rule.partition("@")[0]
    known: list[Duty | ConductRule] = [] if book is None else [*book.duties, *book.conduct]
    same = next((each for each in known if each.rule.partition("@")[0] == name), None)
    what = same.duty if isinstance(same, Duty) else reviewed.finding
    zh, en = (reviewed.finding, reviewed.finding) if same is None else (same.zh, same.en)
    return _rule(reviewed.rule, kind, what, zh, en, reviewed.severity, None, {reviewed.rule: reviewed})


def _law(name: str, article: int | None) -> LawRefOut | None:
    if not name:
        return None
    return LawRefOut(name=name, article="" if article is None else f"第{numeral_of(article)}条")


def _rule(
    rule: str, kind: str, what: str, zh: str, en: str, severity: str, law: LawRefOut | None,
    counted: dict[str, Reviewed],
) -> RuleOut:  # fmt: skip
    found = counted.get(rule)
    confirmed, rejected = (0, 0) if found is None else (found.confirmed, found.rejected)
    judged = confirmed + rejected
    low, high = wilson(confirmed, judged)
    return RuleOut.model_validate(
        {
            "rule": rule, "kind": kind, "finding_or_duty": what, "zh": zh, "en": en, "severity": severity, "law": law,
            "raised": 0 if found is None else found.raised, "confirmed": confirmed, "rejected": rejected,
            "precision": round(confirmed / judged, 4) if judged else None,
            "precision_low": round(low, 4) if judged else None,
            "precision_high": round(high, 4) if judged else None,
        }
    )  # fmt: skip
