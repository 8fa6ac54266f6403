"""Copies of clips in which faces are hidden: found by a detector, decided on by people, made as items of the case."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.asking import Acted, actor_of, must_be_logged, page_of, record_of, version_of
from api.doors import Doors
from api.permissions import Asker, require, within
from api.schemas.redactions import (
    CopyIn,
    RedactionIn,
    RedactionOut,
    RedactionsOut,
    TracksIn,
    marks_in,
    redaction_out,
    redaction_short_out,
)
from cases.casework.approvals import copy_in_force
from cases.clips import redacting
from cases.clips.redacting import MADE, CopyWanted, Redaction, the_clip, the_redaction
from cases.clips.register import Clip
from cases.reach import Within, reached_case, reached_recording
from cases.store.tables import redactions
from cases.uploads import kept
from pipeline.errors import ModelError, StateConflict, ThingUnknown

router = APIRouter(prefix="/api/v1")
Exporter = Annotated[Asker, Depends(require("cases.export"))]
_REMEDY = (
    "bring a model that finds faces ('onrecord models list'), or begin without one ('detect': false) and draw the boxes"
)


@router.post("/clips/{clip_id}/redactions", status_code=202, response_model=RedactionOut)
async def begin_redaction(request: Request, asker: Exporter, clip_id: str, wanted: RedactionIn) -> Response:
    """A draft of a copy of the clip in which faces are hidden; only with an approval to copy the case.

    Faces are looked for, never compared with anybody's. Ask for the draft until its state is "draft"; decide; then have
    the copy made. 503: no model that finds faces is here; with `detect: false` all boxes are drawn by hand.
    """
    doors: Doors = request.app.state.doors
    actor = actor_of(request, asker.principal)
    async with record_of(request).store.reading() as connection:
        clip = await _reached(request, asker, connection, clip_id)
        await _must_be_approved(connection, actor.by, clip.case_id, actor.now_us)
    if wanted.detect:
        try:
            await doors.redactions.detector()
        except ModelError as error:
            raise HTTPException(503, f"{error}; {_REMEDY}") from error
    must_be_logged(request)
    begin = partial(redacting.begin, actor=actor, clip_id=clip_id, detects=wanted.detect)
    return await _changed(request, asker, clip_id, begin)


@router.get("/clips/{clip_id}/redactions")
async def list_redactions(
    request: Request, asker: Exporter, clip_id: str, limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> RedactionsOut:  # fmt: skip
    """The oldest first."""
    doors: Doors = request.app.state.doors
    async with record_of(request).store.reading() as connection:
        await _reached(request, asker, connection, clip_id)
        found, more = await page_of(
            connection, Redaction, select(redactions).where(redactions.c.clip_id == clip_id),
            (redactions.c.asked_us, redactions.c.redaction_id), limit, cursor,
        )  # fmt: skip
    items = [redaction_short_out(each, doors.redactions.far.get(each.redaction_id)) for each in found]
    return RedactionsOut(items=items, next_cursor=more)


@router.get("/redactions/{redaction_id}", response_model=RedactionOut)
async def read_redaction(request: Request, asker: Exporter, redaction_id: str) -> Response:
    async with record_of(request).store.reading() as connection:
        redaction = await _own(request, asker, connection, redaction_id)
    return await _tagged(request, redaction)


@router.put("/redactions/{redaction_id}/tracks", response_model=RedactionOut)
async def set_tracks(request: Request, asker: Exporter, redaction_id: str, wanted: TracksIn) -> Response:
    """What people decide: who stays clear and why, what is no face, what else is hidden. If-Match: the ETag read."""
    version, clip_id = version_of(request), await _clip_of(request, asker, redaction_id)
    change = partial(redacting.mark, redaction_id=redaction_id, version=version, marks=marks_in(wanted))
    return await _changed(request, asker, clip_id, change)


@router.post("/redactions/{redaction_id}/make", status_code=202, response_model=RedactionOut)
async def make_copy(request: Request, asker: Exporter, redaction_id: str, wanted: CopyIn) -> Response:
    """The copy as the draft is now, If-Match: the ETag read; only with an approval to copy the case.

    Ask for it until its state is "made", and it is an item of the case; or "draft" again, with what went wrong.
    """
    version, clip_id = version_of(request), await _clip_of(request, asker, redaction_id)
    actor = actor_of(request, asker.principal)
    async with record_of(request).store.reading() as connection:
        clip = await the_clip(connection, clip_id)
        await _must_be_approved(connection, actor.by, clip.case_id, actor.now_us)
    must_be_logged(request)
    copy = CopyWanted(redaction_id=redaction_id, version=version, title=wanted.title, purpose=wanted.purpose)
    return await _changed(request, asker, clip_id, partial(redacting.ask, actor=actor, wanted=copy))


@router.get("/redactions/{redaction_id}/file")
async def fetch_copy(request: Request, asker: Exporter, redaction_id: str) -> FileResponse:
    """The copy alone, without the case; only with an approval to copy the case. Each fetching is an event."""
    doors: Doors = request.app.state.doors
    record, actor = record_of(request), actor_of(request, asker.principal)
    async with record.store.reading() as connection:
        redaction = await _own(request, asker, connection, redaction_id)
        await _must_be_approved(connection, actor.by, redaction.case_id, actor.now_us)
    if redaction.state != MADE or redaction.sha256 is None:
        raise StateConflict("the copy is not made yet")
    must_be_logged(request)
    path = await anyio.to_thread.run_sync(kept.checked, doors.runtime.settings.data, redaction.sha256)
    await record.appender.append([redacting.fetched(actor, redaction)])
    return FileResponse(path, media_type="video/mp4", filename=f"{redaction_id}.mp4")


async def _reached(request: Request, asker: Asker, connection: AsyncConnection, clip_id: str) -> Clip:
    """As far as a clip can be cut. Raises: ThingUnknown: there is none, or its case or recording is out of reach."""
    return await _reached_by(connection, _reach(request, asker), clip_id)


def _reach(request: Request, asker: Asker) -> tuple[Within, Within]:
    """Of cases and of recordings. Raises: HTTPException 403."""
    doors: Doors = request.app.state.doors
    return asker.within, within(doors, asker.principal, "recordings.list")


async def _reached_by(connection: AsyncConnection, reach: tuple[Within, Within], clip_id: str) -> Clip:
    clip = await the_clip(connection, clip_id)
    try:
        await reached_case(connection, reach[0], clip.case_id)
        await reached_recording(connection, reach[1], clip.recording_id)
    except ThingUnknown as error:
        raise ThingUnknown("no such clip") from error
    return clip


async def _own(request: Request, asker: Asker, connection: AsyncConnection, redaction_id: str) -> Redaction:
    """Raises: ThingUnknown: there is none, or it is out of reach."""
    redaction = await the_redaction(connection, redaction_id)
    try:
        await _reached(request, asker, connection, redaction.clip_id)
    except ThingUnknown as error:
        raise ThingUnknown("no such redaction") from error
    return redaction


async def _clip_of(request: Request, asker: Asker, redaction_id: str) -> str:
    async with record_of(request).store.reading() as connection:
        return (await _own(request, asker, connection, redaction_id)).clip_id


async def _must_be_approved(connection: AsyncConnection, by: str, case_id: str, now_us: int) -> None:
    try:
        await copy_in_force(connection, by, case_id, now_us)
    except ThingUnknown as error:
        raise HTTPException(403, f"{error}; ask for one (POST /api/v1/approvals)") from error


async def _changed(
    request: Request, asker: Asker, clip_id: str, act: Callable[[AsyncConnection], Awaitable[Acted[Redaction]]]
) -> Response:
    """`act`, once it is sure, in the same transaction, that the clip is within reach."""
    doors: Doors = request.app.state.doors
    reach = _reach(request, asker)

    async def guarded(connection: AsyncConnection) -> Acted[Redaction]:
        await _reached_by(connection, reach, clip_id)
        return await act(connection)

    redaction = await record_of(request).appender.change(guarded)
    doors.redactions.wake()
    return await _tagged(request, redaction)


async def _tagged(request: Request, redaction: Redaction) -> Response:
    """Written in a thread: half an hour of a crowd is some megabytes of boxes."""
    doors: Doors = request.app.state.doors
    far_s = doors.redactions.far.get(redaction.redaction_id)
    text = await anyio.to_thread.run_sync(lambda: redaction_out(redaction, far_s).model_dump_json())
    status = 202 if request.method == "POST" else 200
    return Response(text, status, {"ETag": f'"{redaction.version}"'}, "application/json")
