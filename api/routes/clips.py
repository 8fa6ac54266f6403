"""Clips of recordings: cut on key frames without a new encoding, kept as items of a case, under an approval to copy."""

import secrets
from functools import partial
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request

from api.asking import actor_of, must_be_logged, record_of
from api.doors import Doors
from api.permissions import Asker, require, within
from api.schemas.clips import ClipIn, ClipOut, clip_out
from cases.casework.approvals import copy_in_force
from cases.clips import making
from cases.clips.register import Clip, ClipWanted, check_linked, is_told, register
from cases.export.case_file import folder_of
from cases.reach import reached_case, reached_recording
from cases.uploads import kept
from pipeline.errors import OnRecordError, ThingUnknown

router = APIRouter(prefix="/api/v1/recordings")

_LIMIT = anyio.CapacityLimiter(2)  # files that are cut at a time; the others wait


@router.post("/{recording_id}/clips", status_code=201)
async def make_clip(
    request: Request, asker: Annotated[Asker, Depends(require("cases.export"))], recording_id: str, wanted: ClipIn
) -> ClipOut:
    """Cut a clip for a case that the recording is attached to; only with an approval to copy the case.

    It begins with the key frame at or before `start_s`; samples are as they were recorded. It becomes an item of the
    case, with an event that names the segments it was made of; it leaves the house with an export of the case.
    """
    doors: Doors = request.app.state.doors
    record, actor = record_of(request), actor_of(request, asker.principal)
    async with record.store.reading() as connection:
        reach = within(doors, asker.principal, "recordings.list")
        recording = await reached_recording(connection, reach, recording_id)
        case = await reached_case(connection, asker.within, wanted.case_id)
        try:
            approval = await copy_in_force(connection, actor.by, case.case_id, actor.now_us)
        except ThingUnknown as error:
            raise HTTPException(403, f"{error}; ask for one (POST /api/v1/approvals)") from error
        await check_linked(connection, case.case_id, recording_id)
    must_be_logged(request)
    clip_id, data = actor.new_id("clip"), doors.runtime.settings.data
    attempt = f"{clip_id}-{secrets.token_hex(4)}"
    title = wanted.title.strip() or f"{recording_id} {wanted.start_s:.3f}-{wanted.end_s:.3f} s"
    note = f"OnRecord clip; recording {recording_id}; approval {approval.approval_id}; made by {actor.by}"
    make = partial(
        making.cut, data, attempt, doors.playback, folder_of(data, recording), wanted.start_s, wanted.end_s, note
    )
    cut = await anyio.to_thread.run_sync(make, limiter=_LIMIT)
    told = ClipWanted(
        clip_id=clip_id, case_id=case.case_id, recording_id=recording_id, start_s=wanted.start_s, end_s=wanted.end_s,
        title=title, purpose=wanted.purpose,
    )  # fmt: skip
    try:
        clip: Clip = await record.appender.change(partial(register, actor=actor, wanted=told, cut=cut))
    except OnRecordError:
        async with record.store.reading() as connection:
            is_kept = await is_told(connection, cut.sha256)
        if not is_kept:
            await anyio.to_thread.run_sync(kept.forget, data, cut.sha256)
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(making.settle, data, attempt)
    return clip_out(clip)
