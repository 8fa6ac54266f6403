"""Findings as rows: they follow from what was raised, ended and reviewed; the words of one stand in its event alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, FromClause, and_, case, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Stored
from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.rows import all_of
from cases.facts import Fact, JsonValue, microseconds, parse_entry
from cases.store.tables import events, findings, links, recordings
from pipeline.errors import ThingUnknown
from pipeline.event_codec import event_from
from pipeline.events import Event, FindingEnded, FindingRaised
from pipeline.ids import derived_event_id

Verdict: TypeAlias = Literal["confirmed", "rejected", "resolved"]

RAISED: Final = "FindingRaised"
ENDED: Final = "FindingEnded"
REVIEWED: Final = "FindingReviewed"
RULES: Final = "RulesChanged"
SEVERE: Final = ("high", "critical")
ALIKE_US: Final = 600_000_000
"""Findings of one stream, kind and state in the same ten minutes are alike: they are shown as one, where asked."""
_MOST_REASON: Final = 500
_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """A row. event_id: of its FindingRaised. Times in UTC microseconds; of the clip in seconds of the recording."""

    finding_id: str
    event_id: str
    finding: str
    group: str
    severity: str
    confidence: float
    rule: str
    stream_id: str
    recording_id: str
    clip_start_s: float
    clip_end_s: float
    raised_us: int
    ended_us: int | None
    end_reason: str
    state: str
    reason: str
    reviewed_by: str
    reviewed_name: str
    reviewed_us: int | None

    @property
    def is_open(self) -> bool:
        """Whether it lasts; what a person rejected or settled does not."""
        return self.ended_us is None and self.state in ("new", "confirmed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which findings; empty, or None: no matter. after: (raised_us, finding_id) of the last one seen.

    is_folded: of those that are alike the newest one only.
    """

    state: str = ""
    is_open: bool | None = None
    group: str = ""
    finding: str = ""
    severity: str = ""
    stream_id: str = ""
    case_id: str = ""
    is_folded: bool = False
    after: tuple[int, str] | None = None
    limit: int = 100


class Findings:
    """A projection: a row a finding. What is told twice, or ends without having begun, changes nothing."""

    async def apply(self, connection: AsyncConnection, stored: Sequence[Stored]) -> Sequence[Fact]:
        for each in stored:
            match each.fact.kind:
                case "FindingRaised":
                    await self._raised(connection, each.fact)
                case "FindingEnded":
                    ended = update(findings).where(
                        findings.c.finding_id == each.fact.body["finding_id"], findings.c.ended_us.is_(None)
                    )
                    await connection.execute(
                        ended.values(ended_us=each.fact.at_us, end_reason=str(each.fact.body["reason"]))
                    )
                case "FindingReviewed":
                    await self._reviewed(connection, each.fact)
                case _:
                    pass
        return ()

    async def _raised(self, connection: AsyncConnection, fact: Fact) -> None:
        known = select(findings.c.finding_id).where(findings.c.finding_id == fact.body["finding_id"])
        if (await connection.execute(known)).first() is not None:
            return
        names = ("finding", "group", "severity", "confidence", "rule", "recording_id", "clip_start_s", "clip_end_s")
        await connection.execute(
            insert(findings).values(
                finding_id=fact.body["finding_id"], event_id=fact.event_id, stream_id=fact.stream_id,
                **{name: fact.body[name] for name in names}, raised_us=fact.at_us, end_reason="", state="new",
                reason="", reviewed_by="", reviewed_name="",
            )
        )  # fmt: skip

    async def _reviewed(self, connection: AsyncConnection, fact: Fact) -> None:
        body = fact.body
        await connection.execute(
            update(findings)
            .where(findings.c.finding_id == body["finding_id"])
            .values(
                state=body["verdict"], reason=body["reason"], reviewed_by=fact.by, reviewed_name=body["by_name"],
                reviewed_us=fact.at_us,
            )
        )  # fmt: skip


async def review(
    connection: AsyncConnection, actor: Actor, finding_id: str, verdict: Verdict, reason: str
) -> tuple[Finding, Sequence[Fact]]:
    """What a person says of a finding. Every review stays a fact; the last one is the finding's state.

    Returns the finding as it was. Raises: ThingUnknown. ValueRefused: the reason is empty, too long, or of several
    lines.
    """
    found = await the_finding(connection, finding_id)
    why = values.name("reason", reason, _MOST_REASON)
    fact = Fact(
        event_id=derived_event_id(REVIEWED, finding_id, actor.by, actor.key or actor.now_us), kind=REVIEWED,
        at_us=actor.now_us, stream_id=found.stream_id, by=actor.by,
        body={
            "finding_id": finding_id, "finding": found.finding, "verdict": verdict, "reason": why,
            "by_name": actor.name, "recording_id": found.recording_id, "start_s": found.clip_start_s,
            "end_s": found.clip_end_s,
        },
    )  # fmt: skip
    return found, (fact,)


async def the_finding(
    connection: AsyncConnection, finding_id: str, reached: ColumnElement[bool] | None = None
) -> Finding:
    """Raises: ThingUnknown: there is none, or it is out of reach; nobody learns which."""
    asked = select(findings).where(findings.c.finding_id == finding_id)
    found = await all_of(connection, Finding, asked if reached is None else asked.where(reached))
    if not found:
        raise ThingUnknown("no such finding")
    return found[0]


async def page(connection: AsyncConnection, question: Question, reached: ColumnElement[bool]) -> list[Finding]:
    """The newest first."""
    asked = select(findings).where(reached, *_conditions(question))
    if question.is_folded:
        newer = findings.alias()
        asked = asked.where(
            ~exists().where(
                newer.c.stream_id == findings.c.stream_id, newer.c.finding == findings.c.finding,
                newer.c.state == findings.c.state,
                newer.c.raised_us // ALIKE_US == findings.c.raised_us // ALIKE_US,
                *_conditions(question, newer),  # one that is not asked for takes no other one's place
                or_(
                    newer.c.raised_us > findings.c.raised_us,
                    and_(newer.c.raised_us == findings.c.raised_us, newer.c.finding_id > findings.c.finding_id),
                ),
            )
        )  # fmt: skip
    if question.after is not None:
        raised_us, last = question.after
        asked = asked.where(
            or_(
                findings.c.raised_us < raised_us,
                and_(findings.c.raised_us == raised_us, findings.c.finding_id < last),
            )
        )
    order = asked.order_by(findings.c.raised_us.desc(), findings.c.finding_id.desc()).limit(question.limit)
    return await all_of(connection, Finding, order)


def _conditions(question: Question, of: FromClause = findings) -> list[ColumnElement[bool]]:
    """of: the table of findings, or another name for it."""
    wanted = {
        "state": question.state, "group": question.group, "finding": question.finding, "severity": question.severity,
        "stream_id": question.stream_id,
    }  # fmt: skip
    found: list[ColumnElement[bool]] = [of.c[name] == value for name, value in wanted.items() if value]
    is_open = and_(of.c.ended_us.is_(None), of.c.state.in_(("new", "confirmed")))
    if question.case_id:
        found.append(
            exists().where(
                links.c.case_id == question.case_id, links.c.stream_id == of.c.stream_id, links.c.undone_us.is_(None)
            )
        )
    if question.is_open is not None:
        found.append(is_open if question.is_open else ~is_open)
    return found


async def alike(connection: AsyncConnection, found: Sequence[Finding]) -> dict[str, int]:
    """How many others are like each, by its id."""
    counts: dict[str, int] = {}
    for each in found:
        begin_us = each.raised_us // ALIKE_US * ALIKE_US
        asked = select(func.count()).where(
            findings.c.stream_id == each.stream_id, findings.c.finding == each.finding,
            findings.c.raised_us.between(begin_us, begin_us + ALIKE_US - 1), findings.c.state == each.state,
        )  # fmt: skip
        counts[each.finding_id] = int((await connection.execute(asked)).scalar() or 1) - 1
    return counts


async def raised_facts(connection: AsyncConnection, found: Sequence[Finding]) -> dict[str, Fact]:
    """The event that raised each, by the finding's id."""
    of = {each.event_id: each.finding_id for each in found}
    asked = select(events.c.event_id, events.c.entry).where(events.c.event_id.in_(list(of)))
    return {of[row[0]]: parse_entry(row[1].encode())[0] for row in await connection.execute(asked)}


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Of one rule in one version: how many findings it raised, and what people said of them."""

    rule: str
    finding: str
    group: str
    severity: str
    raised: int
    confirmed: int
    rejected: int


async def by_rule(connection: AsyncConnection) -> list[Reviewed]:
    """Every rule that raised a finding, by its name."""
    asked = (
        select(
            findings.c.rule, func.min(findings.c.finding), func.min(findings.c.group), func.min(findings.c.severity),
            func.count(), *(func.sum(_one_if(findings.c.state == state)) for state in ("confirmed", "rejected")),
        )
        .group_by(findings.c.rule)
        .order_by(findings.c.rule)
    )  # fmt: skip
    return [Reviewed(*row[:4], *map(int, row[4:])) for row in await connection.execute(asked)]


async def open_by_kind(connection: AsyncConnection) -> dict[str, int]:
    """How many last, by kind."""
    asked = select(findings.c.finding, func.count()).where(*_conditions(Question(is_open=True)))
    return {row[0]: int(row[1]) for row in await connection.execute(asked.group_by(findings.c.finding))}


async def severe_since(connection: AsyncConnection, since_us: int) -> int:
    """How many of high or critical severity were raised since then."""
    asked = select(func.count()).where(findings.c.raised_us >= since_us, findings.c.severity.in_(SEVERE))
    return int((await connection.execute(asked)).scalar() or 0)


async def left_open(connection: AsyncConnection, kinds: Sequence[str]) -> list[FindingRaised]:
    """Of these kinds what lasts, the oldest first."""
    asked = select(findings).where(
        findings.c.ended_us.is_(None), findings.c.finding.in_(kinds), findings.c.state.in_(("new", "confirmed"))
    )
    found = await all_of(connection, Finding, asked.order_by(findings.c.raised_us))
    facts = await raised_facts(connection, found)
    return [event for each in found if isinstance(event := event_of(facts[each.finding_id]), FindingRaised)]


async def outlived(connection: AsyncConnection, before_us: int, but: str) -> list[FindingEnded]:
    """The ends of what lasts although its recording was over before then: who watched it was lost. but: not these."""
    asked = (
        select(findings, recordings.c.ended_us.label("over_us"), recordings.c.started_us)
        .join(recordings, recordings.c.recording_id == findings.c.recording_id)
        .where(findings.c.ended_us.is_(None), findings.c.finding != but, recordings.c.ended_us < before_us)
        .limit(_AT_ONCE)
    )
    rows = [(Finding(*row[:-2]), row[-2], row[-1]) for row in await connection.execute(asked)]
    facts = await raised_facts(connection, [each for each, _, _ in rows])
    found = []
    for each, over_us, started_us in rows:
        start_s = facts[each.finding_id].body["start_s"]
        begin_s = float(start_s) if isinstance(start_s, int | float) else 0.0
        found.append(
            FindingEnded(
                at=over_us / 1e6, stream_id=each.stream_id, recording_id=each.recording_id,
                finding_id=each.finding_id, finding=each.finding, start_s=begin_s,
                end_s=round(max(begin_s, (over_us - started_us) / 1e6), 3), reason="source_over",
            )
        )  # fmt: skip
    return found


def event_of(fact: Fact) -> Event:
    """What was told. Raises: EvidenceError: the fact is none of the media side's."""
    return event_from(
        {"kind": fact.kind, "at": fact.at_us / 1e6, "stream_id": fact.stream_id, "by": fact.by, **fact.body}
    )


async def last_rules(connection: AsyncConnection) -> str:
    """The version of the rules that judged last; empty: none did."""
    asked = select(events.c.entry).where(events.c.kind == RULES).order_by(events.c.at_us.desc(), events.c.seq.desc())
    entry = (await connection.execute(asked.limit(1))).scalar()
    return "" if entry is None else body_text(parse_entry(entry.encode())[0], "version")


def rules_changed(before: str, version: str, label: str, at_s: float) -> Fact:
    at_us = microseconds(at_s)
    body: dict[str, JsonValue] = {"before": before, "version": version, "label": label}
    return Fact(
        event_id=derived_event_id(RULES, before, version, at_us), kind=RULES, at_us=at_us, by="onrecord", body=body
    )


def body_text(fact: Fact, name: str) -> str:
    value: JsonValue = fact.body.get(name)
    return value if isinstance(value, str) else ""


def _one_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return case((condition, 1), else_=0)
