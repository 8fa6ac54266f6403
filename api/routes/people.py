"""Officers, the devices they carry, what they are at; and the recordings of their devices."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import AwareDatetime
from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.asking import actor_of, cursor_of, named_place_of, paged, record_of
from api.doors import Doors
from api.permissions import Asker, require
from api.schemas.record import (
    BindingIn,
    BindingOut,
    OfficerIn,
    OfficerOut,
    OfficersOut,
    RecordingOut,
    RecordingsOut,
    TaskIn,
    TaskOut,
    officer_out,
    recording_out,
    us_of,
)
from cases.casework import people
from cases.casework.rows import OFFICERS, Officer, Recording, all_of
from cases.facts import Fact
from cases.reach import reached_case, reached_recording
from cases.store.tables import officers, recordings
from pipeline.errors import ThingUnknown

router = APIRouter(prefix="/api/v1")
Reader = Annotated[Asker, Depends(require("cases.read"))]
Finder = Annotated[Asker, Depends(require("recordings.list"))]
Staff = Annotated[Asker, Depends(require("people.manage"))]


@router.get("/officers")
async def list_officers(
    request: Request,
    _: Reader,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    cursor: Annotated[str, Query(max_length=4000)] = "",
) -> OfficersOut:
    """By the numbers of their certificates."""
    async with record_of(request).store.reading() as connection:
        found = await all_of(connection, Officer, OFFICERS.order_by(officers.c.certificate_number))
    page, more = paged(found, lambda each: f"{each.certificate_number} {each.officer_id}", limit, cursor)
    return OfficersOut(items=[officer_out(each) for each in page], next_cursor=more)


@router.post("/officers", status_code=201)
async def add_officer(request: Request, asker: Staff, wanted: OfficerIn) -> OfficerOut:
    """One who is known by this certificate number, name and unit is the same one."""
    _of_own_unit(request, asker, wanted.unit)
    actor = actor_of(request, asker.principal)
    officer = await record_of(request).appender.change(
        lambda connection: people.add_officer(connection, actor, wanted.name, wanted.certificate_number, wanted.unit)
    )
    return officer_out(officer)


@router.post("/devices/{device_id}/bindings", status_code=201)
async def bind_device(request: Request, asker: Staff, device_id: str, wanted: BindingIn) -> BindingOut:
    """From now on the officer carries the device."""
    doors: Doors = request.app.state.doors
    device = next((each.device for each in doors.access.devices() if each.device.device_id == device_id), None)
    if device is None or not doors.access.is_valid(device_id):
        raise ThingUnknown("no such device")
    _of_own_unit(request, asker, device.unit)
    actor = actor_of(request, asker.principal)
    binding_id = await record_of(request).appender.change(
        lambda connection: people.bind(connection, actor, device_id, wanted.officer_id)
    )
    return BindingOut(binding_id=binding_id)


@router.delete("/devices/{device_id}/bindings", status_code=204)
async def unbind_device(request: Request, asker: Staff, device_id: str) -> None:
    """Nobody carries the device from now on."""
    doors: Doors = request.app.state.doors
    for each in doors.access.devices():
        if each.device.device_id == device_id:
            _of_own_unit(request, asker, each.device.unit)
    actor = actor_of(request, asker.principal)
    await record_of(request).appender.change(lambda connection: people.unbind(connection, actor, device_id))


@router.post("/officers/{officer_id}/task", status_code=201)
async def start_task(
    request: Request, asker: Annotated[Asker, Depends(require("cases.handle"))], officer_id: str, wanted: TaskIn
) -> TaskOut:
    """What the officer's devices record from now on, and are recording now, belongs to the case."""
    actor = actor_of(request, asker.principal)

    async def act(connection: AsyncConnection) -> tuple[str, Sequence[Fact]]:
        await reached_case(connection, asker.within, wanted.case_id)
        return await people.start_task(connection, actor, officer_id, wanted.case_id, wanted.step_id)

    task_id = await record_of(request).appender.change(act)
    return TaskOut(task_id=task_id)


@router.delete("/officers/{officer_id}/task", status_code=204)
async def end_task(
    request: Request, asker: Annotated[Asker, Depends(require("cases.handle"))], officer_id: str
) -> None:
    actor = actor_of(request, asker.principal)
    await record_of(request).appender.change(lambda connection: people.end_task(connection, actor, officer_id))


@router.get("/recordings")
async def list_recordings(
    request: Request,
    asker: Finder,
    from_: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    to: AwareDatetime | None = None,
    stream_id: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> RecordingsOut:
    """Recordings that began within a time, the newest first."""
    order = (recordings.c.started_us.desc(), recordings.c.recording_id.desc())
    asked = select(recordings).where(asker.within.recordings()).order_by(*order).limit(limit + 1)
    if from_ is not None:
        asked = asked.where(recordings.c.started_us >= us_of(from_))
    if to is not None:
        asked = asked.where(recordings.c.started_us < us_of(to))
    if stream_id:
        asked = asked.where(recordings.c.stream_id == stream_id)
    if cursor:
        started_us, recording_id = named_place_of(cursor)
        same = and_(recordings.c.started_us == started_us, recordings.c.recording_id < recording_id)
        asked = asked.where(or_(recordings.c.started_us < started_us, same))
    async with record_of(request).store.reading() as connection:
        found = await all_of(connection, Recording, asked)
    more, found, names = len(found) > limit, found[:limit], _names(request)
    return RecordingsOut(
        items=[recording_out(each, names) for each in found],
        next_cursor=cursor_of(found[-1].started_us, found[-1].recording_id) if more else None,
    )


@router.get("/recordings/{recording_id}")
async def read_recording(request: Request, asker: Finder, recording_id: str) -> RecordingOut:
    async with record_of(request).store.reading() as connection:
        return recording_out(await reached_recording(connection, asker.within, recording_id), _names(request))


def _names(request: Request) -> dict[str, str]:
    doors: Doors = request.app.state.doors
    return {each.device.device_id: each.device.name for each in doors.access.devices()}


def _of_own_unit(request: Request, asker: Asker, unit: str) -> None:
    """Raises: HTTPException 403."""
    doors: Doors = request.app.state.doors
    if asker.within.units is not None and not doors.access.units.covers(asker.principal.unit, unit):
        raise HTTPException(403, "this belongs to another unit")
