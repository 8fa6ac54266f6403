"""Approvals: asked for, decided on by somebody else, ended; and recordings withheld from officers under complaint."""

from collections.abc import Sequence
from typing import Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.asking import actor_of, cursor_of, named_place_of, record_of
from api.doors import Doors
from api.permissions import Asker, require, within
from api.schemas.approvals import ApprovalIn, ApprovalOut, ApprovalsOut, DecisionIn, WithholdIn, approval_out
from cases.casework import approvals as acts
from cases.casework.rows import Approval, all_of, the_officer
from cases.export.case_file import folder_of
from cases.facts import Fact
from cases.reach import Within, reached_case, reached_recording
from cases.rights import reach_of
from cases.store.tables import approvals, decisions
from pipeline.errors import OnRecordError

router = APIRouter(prefix="/api/v1")
Applicant = Annotated[Asker, Depends(require("approvals.ask"))]
Judge = Annotated[Asker, Depends(require("approvals.decide"))]
Withholder = Annotated[Asker, Depends(require("recordings.withhold"))]


@router.get("/approvals")
async def list_approvals(
    request: Request,
    asker: Applicant,
    state: Literal["asked", "approved", "refused", "withdrawn"] | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> ApprovalsOut:
    """One's own, and those that one may decide on, the newest first."""
    judges = _judging(request, asker)
    asked = select(approvals).where(or_(approvals.c.asked_by == asker.principal.by, *_judged(judges)))
    asked = asked.order_by(approvals.c.asked_us.desc(), approvals.c.approval_id.desc()).limit(limit + 1)
    if state is not None:
        asked = asked.where(approvals.c.state == state)
    if cursor:
        asked_us, approval_id = named_place_of(cursor)
        same = and_(approvals.c.asked_us == asked_us, approvals.c.approval_id < approval_id)
        asked = asked.where(or_(approvals.c.asked_us < asked_us, same))
    async with record_of(request).store.reading() as connection:
        found = await all_of(connection, Approval, asked)
        more, found = len(found) > limit, found[:limit]
        items = [await _out(connection, each, asker, judges) for each in found]
    return ApprovalsOut(items=items, next_cursor=cursor_of(found[-1].asked_us, found[-1].approval_id) if more else None)


@router.post("/approvals", status_code=201)
async def ask_for_approval(request: Request, asker: Applicant, wanted: ApprovalIn) -> ApprovalOut:
    """To play a span of a recording, or to copy a case. The same Idempotency-Key asks once.

    The start is moved back to the picture from which decoding begins, so that what is approved is what will be sent.
    """
    doors: Doors = request.app.state.doors
    actor, start_s = actor_of(request, asker.principal), wanted.start_s
    if wanted.recording_id is not None:
        async with record_of(request).store.reading() as connection:
            reach = within(doors, asker.principal, "recordings.list")
            recording = await reached_recording(connection, reach, wanted.recording_id)
        folder = folder_of(doors.runtime.settings.data, recording)
        try:
            start_s = await anyio.to_thread.run_sync(doors.playback.key_before, folder, start_s)
        except OnRecordError:
            start_s = wanted.start_s  # its files are away or damaged: the application stands all the same

    async def act(connection: AsyncConnection) -> tuple[Approval, Sequence[Fact]]:
        if wanted.case_id is not None:
            await reached_case(connection, within(doors, asker.principal, "cases.read"), wanted.case_id)
        return await acts.ask(
            connection, actor,
            acts.Wanted(
                what=wanted.what, purpose=wanted.purpose, case_id=wanted.case_id, recording_id=wanted.recording_id,
                start_s=start_s, end_s=wanted.end_s,
            ),
        )  # fmt: skip

    approval = await record_of(request).appender.change(act)
    return approval_out(approval, 0, is_mine=True, may_decide=False)


@router.post("/approvals/{approval_id}/decision")
async def decide(request: Request, asker: Judge, approval_id: str, wanted: DecisionIn) -> ApprovalOut:
    """Yes or no. Nobody decides on his own; a major case needs two who say yes."""
    actor = actor_of(request, asker.principal)

    async def act(connection: AsyncConnection) -> tuple[Approval, Sequence[Fact]]:
        await _reached(connection, asker.within, approval_id)
        return await acts.decide(
            connection, actor, approval_id, wanted.verdict, wanted.reason, wanted.days * 86_400
        )  # fmt: skip

    approval = await record_of(request).appender.change(act)
    async with record_of(request).store.reading() as connection:
        return await _out(connection, approval, asker, asker.within)


@router.delete("/approvals/{approval_id}")
async def withdraw(request: Request, asker: Applicant, approval_id: str) -> ApprovalOut:
    """Ends it at once, what plays under it within a second; by whoever asked, or may decide."""
    actor, judges = actor_of(request, asker.principal), _judging(request, asker)

    async def act(connection: AsyncConnection) -> tuple[Approval, Sequence[Fact]]:
        await _reached(connection, judges, approval_id, asker.principal.by)
        return await acts.withdraw(connection, actor, approval_id)

    approval = await record_of(request).appender.change(act)
    async with record_of(request).store.reading() as connection:
        return await _out(connection, approval, asker, judges)


@router.post("/recordings/{recording_id}/withheld", status_code=204)
async def withhold(request: Request, asker: Withholder, recording_id: str, wanted: WithholdIn) -> None:
    """The officer, under complaint, no longer reaches this recording: not its picture, not that it exists."""
    actor = actor_of(request, asker.principal)

    async def act(connection: AsyncConnection) -> tuple[None, Sequence[Fact]]:
        await reached_recording(connection, asker.within, recording_id)
        await the_officer(connection, wanted.officer_id)
        return await acts.withhold(connection, actor, recording_id, wanted.officer_id, wanted.reason)

    await record_of(request).appender.change(act)


@router.post("/recordings/{recording_id}/released", status_code=204)
async def release(request: Request, asker: Withholder, recording_id: str, wanted: WithholdIn) -> None:
    """The complaint is over."""
    actor = actor_of(request, asker.principal)

    async def act(connection: AsyncConnection) -> tuple[None, Sequence[Fact]]:
        await reached_recording(connection, asker.within, recording_id)
        return await acts.release(connection, actor, recording_id, wanted.officer_id, wanted.reason)

    await record_of(request).appender.change(act)


def _judging(request: Request, asker: Asker) -> Within | None:
    """How far this one decides; None: not at all."""
    doors: Doors = request.app.state.doors
    reach = reach_of(asker.principal, "approvals.decide")
    return None if reach is None else Within.of(asker.principal, reach, doors.access.units)


def _judged(judges: Within | None) -> list[ColumnElement[bool]]:
    if judges is None:
        return []
    return [approvals.c.unit.in_(sorted(judges.units)) if judges.units is not None else approvals.c.asked_us >= 0]


async def _reached(connection: AsyncConnection, judges: Within | None, approval_id: str, by: str = "") -> None:
    """Raises: HTTPException 404: there is none, or it is out of reach."""
    approval = await acts.the_approval(connection, approval_id)
    if by and approval.asked_by == by:
        return
    if judges is None or (judges.units is not None and approval.unit not in judges.units):
        raise HTTPException(404, "no such approval")


async def _out(
    connection: AsyncConnection, approval: Approval, asker: Asker, judges: Within | None
) -> ApprovalOut:  # fmt: skip
    said = select(decisions.c.by).where(
        decisions.c.approval_id == approval.approval_id, decisions.c.verdict == "approved"
    )
    given = [row[0] for row in await connection.execute(said)]
    is_mine = approval.asked_by == asker.principal.by
    may = (
        judges is not None
        and not is_mine
        and approval.state == "asked"
        and asker.principal.by not in given
        and (judges.units is None or approval.unit in judges.units)
    )
    return approval_out(approval, len(given), is_mine=is_mine, may_decide=may)
