"""Approvals (审批): raw recordings are played and cases copied only after somebody else said yes, for a purpose, a span
and a time.

A case that is major needs two who say yes. Whoever asked never decides. What was approved ends by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.rows import Approval, Recording, all_of, find, the_case
from cases.facts import Fact, JsonValue
from cases.store.tables import approvals, cases, decisions, links, recordings, withheld
from pipeline.errors import StateConflict, ThingUnknown, ValueRefused
from pipeline.ids import derived_event_id

WHATS = ("play", "copy")
MOST_S = 86_400.0  # of a recording in one approval
LONGEST_S = 90 * 86_400.0  # that one lasts
_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody asks for. Of "play": a recording and its span in seconds; of "copy": a case."""

    what: str
    purpose: str
    case_id: str | None = None
    recording_id: str | None = None
    start_s: float = 0.0
    end_s: float = 0.0


async def ask(
    connection: AsyncConnection, actor: Actor, wanted: Wanted
) -> tuple[Approval, Sequence[Fact]]:  # fmt: skip
    """The caller has checked that case and recording are within the applicant's reach.

    Raises: ValueRefused. ThingUnknown. StateConflict: the Idempotency-Key asked for something else.
    """
    start_ms, end_ms = round(wanted.start_s * 1000), round(wanted.end_s * 1000)
    recording = None
    if wanted.what == "play":
        if wanted.recording_id is None:
            raise ValueRefused("recording_id", "name the recording")
        recording = await find(connection, Recording, recordings, wanted.recording_id)
        if recording is None:
            raise ThingUnknown("no such recording")
        if not 0 <= start_ms < end_ms or end_ms - start_ms > MOST_S * 1000:
            raise ValueRefused("end_s", "it must lie behind start_s, by a day at most")
    elif wanted.what != "copy" or wanted.case_id is None:
        raise ValueRefused("case_id", "to copy, name the case")
    unit, needed = await _judges(connection, wanted, recording)
    approval = Approval(
        actor.new_id("appr"), wanted.what, wanted.case_id, wanted.recording_id, start_ms, end_ms,
        values.paragraph("purpose", wanted.purpose, 500), actor.by, actor.name, actor.now_us, needed, "asked", None,
        unit,
    )  # fmt: skip
    known = await find(connection, Approval, approvals, approval.approval_id)
    if known is not None:
        asked = (known.what, known.case_id, known.recording_id, known.start_ms, known.end_ms, known.purpose)
        if asked != (wanted.what, wanted.case_id, wanted.recording_id, start_ms, end_ms, approval.purpose):
            raise StateConflict("this Idempotency-Key asked for something else")
        return known, ()
    await connection.execute(insert(approvals).values({name: getattr(approval, name) for name in approval.__slots__}))
    body: dict[str, JsonValue] = {
        "approval_id": approval.approval_id, "what": approval.what, "recording_id": approval.recording_id,
        "start_ms": start_ms, "end_ms": end_ms, "purpose": approval.purpose, "needed": needed, "unit": unit,
    }  # fmt: skip
    return approval, (_fact("ApprovalAsked", actor, approval, (approval.approval_id,), body),)


async def decide(
    connection: AsyncConnection, actor: Actor, approval_id: str, verdict: str, reason: str, lasts_s: float
) -> tuple[Approval, Sequence[Fact]]:
    """verdict: "approved", "refused". lasts_s: from now, where this yes is the last one needed.

    Raises: ThingUnknown, ValueRefused. StateConflict: one's own application, one decided on already, by somebody else
    meanwhile or by the same person.
    """
    approval = await the_approval(connection, approval_id)
    if verdict not in ("approved", "refused"):
        raise ValueRefused("verdict", "it is 'approved' or 'refused'")
    if not 60 <= lasts_s <= LONGEST_S:
        raise ValueRefused("lasts_s", "a minute at least, 90 days at most")
    if actor.by == approval.asked_by:
        raise StateConflict("nobody decides on what he asked for himself")
    if approval.state != "asked":
        raise StateConflict(f"it is {approval.state} already")
    before = (await connection.execute(select(decisions.c.by).where(decisions.c.approval_id == approval_id))).all()
    if actor.by in [row[0] for row in before]:
        raise StateConflict("this needs two persons, and you said yes already")
    why = values.paragraph("reason", reason, 500) if reason.strip() or verdict == "refused" else ""
    await connection.execute(
        insert(decisions).values(
            approval_id=approval_id, by=actor.by, verdict=verdict, reason=why, at_us=actor.now_us
        )
    )  # fmt: skip
    new = approval
    if verdict == "refused":
        new = replace(approval, state="refused")
    elif len(before) + 1 >= approval.needed:
        new = replace(approval, state="approved", expires_us=actor.now_us + round(lasts_s * _US))
    if new is not approval:
        await connection.execute(
            update(approvals)
            .where(approvals.c.approval_id == approval_id)
            .values(state=new.state, expires_us=new.expires_us)
        )
    body: dict[str, JsonValue] = {
        "approval_id": approval_id, "verdict": verdict, "reason": why, "state": new.state,
        "expires_us": new.expires_us, "asked_by": approval.asked_by,
    }  # fmt: skip
    return new, (_fact("ApprovalDecided", actor, approval, (approval_id, actor.by), body),)


async def withdraw(connection: AsyncConnection, actor: Actor, approval_id: str) -> tuple[Approval, Sequence[Fact]]:
    """Ends it at once, by whoever asked or may decide. Raises: ThingUnknown."""
    approval = await the_approval(connection, approval_id)
    if approval.state in ("refused", "withdrawn"):
        return approval, ()
    new = replace(approval, state="withdrawn")
    await connection.execute(
        update(approvals).where(approvals.c.approval_id == approval_id).values(state="withdrawn")
    )  # fmt: skip
    return new, (_fact("ApprovalWithdrawn", actor, approval, (approval_id,), {"approval_id": approval_id}),)


async def in_force(
    connection: AsyncConnection, by: str, recording_id: str, start_ms: int, end_ms: int, now_us: int
) -> Approval:
    """The approval that lets this person play all of this span now, the one that lasts longest.

    Raises: ThingUnknown: there is none.
    """
    found = await all_of(
        connection, Approval,
        select(approvals)
        .where(
            approvals.c.what == "play", approvals.c.state == "approved", approvals.c.asked_by == by,
            approvals.c.recording_id == recording_id, approvals.c.expires_us > now_us,
            approvals.c.start_ms <= start_ms, approvals.c.end_ms >= end_ms,
        )
        .order_by(approvals.c.expires_us.desc())
        .limit(1),
    )  # fmt: skip
    if not found:
        raise ThingUnknown("no approval in force names this span of the recording")
    return found[0]


async def playable(connection: AsyncConnection, by: str, recording_id: str, now_us: int) -> list[tuple[int, int]]:
    """The spans of a recording, in milliseconds, that this person may play now."""
    rows = await connection.execute(
        select(approvals.c.start_ms, approvals.c.end_ms)
        .where(
            approvals.c.what == "play", approvals.c.state == "approved", approvals.c.asked_by == by,
            approvals.c.recording_id == recording_id, approvals.c.expires_us > now_us,
        )
        .order_by(approvals.c.start_ms)
    )  # fmt: skip
    return [(row[0], row[1]) for row in rows]


async def copy_in_force(connection: AsyncConnection, by: str, case_id: str, now_us: int) -> Approval:
    """Raises: ThingUnknown: this person has no approval to copy the case now."""
    found = await all_of(
        connection, Approval,
        select(approvals)
        .where(
            approvals.c.what == "copy", approvals.c.state == "approved", approvals.c.asked_by == by,
            approvals.c.case_id == case_id, approvals.c.expires_us > now_us,
        )
        .order_by(approvals.c.expires_us.desc())
        .limit(1),
    )  # fmt: skip
    if not found:
        raise ThingUnknown("no approval in force lets you copy this case")
    return found[0]


async def withhold(
    connection: AsyncConnection, actor: Actor, recording_id: str, officer_id: str, reason: str
) -> tuple[None, Sequence[Fact]]:
    """The officer, under complaint, no longer reaches the recording. Raises: ThingUnknown, ValueRefused."""
    why = values.paragraph("reason", reason, 500)
    known = select(withheld.c.since_us).where(
        withheld.c.recording_id == recording_id, withheld.c.officer_id == officer_id
    )
    if (await connection.execute(known)).first():
        return None, ()
    await connection.execute(
        insert(withheld).values(recording_id=recording_id, officer_id=officer_id, since_us=actor.now_us)
    )
    body: dict[str, JsonValue] = {"recording_id": recording_id, "officer_id": officer_id, "reason": why}
    return None, (_plain("RecordingWithheld", actor, (recording_id, officer_id, actor.now_us), body),)


async def release(
    connection: AsyncConnection, actor: Actor, recording_id: str, officer_id: str, reason: str
) -> tuple[None, Sequence[Fact]]:
    """The complaint is over. Raises: ThingUnknown: it was not withheld. ValueRefused."""
    why = values.paragraph("reason", reason, 500)
    gone = await connection.execute(
        withheld.delete().where(withheld.c.recording_id == recording_id, withheld.c.officer_id == officer_id)
    )
    if not gone.rowcount:
        raise ThingUnknown("the recording is not withheld from this officer")
    body: dict[str, JsonValue] = {"recording_id": recording_id, "officer_id": officer_id, "reason": why}
    return None, (_plain("RecordingReleased", actor, (recording_id, officer_id, actor.now_us), body),)


async def the_approval(connection: AsyncConnection, approval_id: str) -> Approval:
    """Raises: ThingUnknown."""
    approval = await find(connection, Approval, approvals, approval_id)
    if approval is None:
        raise ThingUnknown("no such approval")
    return approval


async def _judges(
    connection: AsyncConnection, wanted: Wanted, recording: Recording | None
) -> tuple[str, int]:  # fmt: skip
    """Whose unit decides, and how many must say yes: two where a major case is touched. Raises: ThingUnknown."""
    touched = cases.c.case_id == wanted.case_id
    if recording is not None:
        of_links = select(links.c.case_id).where(
            links.c.recording_id == recording.recording_id, links.c.undone_us.is_(None)
        )
        touched = or_(touched, cases.c.case_id.in_(of_links))
    classes = [row[0] for row in await connection.execute(select(cases.c["class"]).where(touched))]
    needed = 2 if "major" in classes else 1
    if recording is not None:
        return recording.unit, needed
    return (await the_case(connection, wanted.case_id or "")).unit, needed


def _fact(
    kind: str, actor: Actor, approval: Approval, ids: Sequence[str | int], body: dict[str, JsonValue]
) -> Fact:  # fmt: skip
    return replace(_plain(kind, actor, ids, body), case_id=approval.case_id)


def _plain(kind: str, actor: Actor, ids: Sequence[str | int], body: dict[str, JsonValue]) -> Fact:
    return Fact(
        event_id=derived_event_id(kind, *ids), kind=kind, at_us=actor.now_us, by=actor.by,
        body={**body, "by_name": actor.name},
    )  # fmt: skip
