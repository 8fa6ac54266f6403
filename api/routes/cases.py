"""Cases, their steps, items, recordings and notes."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import and_, or_, select

from api.asking import actor_of, cursor_of, named_place_of, record_of, version_of
from api.doors import Doors
from api.permissions import require
from api.schemas.record import (
    CaseChangeIn,
    CaseIn,
    CaseOut,
    CasesOut,
    ItemIn,
    ItemOut,
    ItemsOut,
    LinkIn,
    LinkOut,
    LinksOut,
    NoteIn,
    NoteOut,
    ReasonIn,
    StepIn,
    StepKindOut,
    StepKindsOut,
    StepOut,
    StepsOut,
    case_out,
    item_out,
    link_out,
    step_out,
    us_of,
)
from cases.access import Principal
from cases.casework import case_acts, recordings
from cases.casework.case_acts import CaseWanted, ItemWanted, NoteWanted
from cases.casework.kinds import StepKinds
from cases.casework.rows import Case, Item, Link, Step, all_of, the_case
from cases.store.tables import cases, items, links, steps

router = APIRouter(prefix="/api/v1")
Reader = Annotated[Principal, Depends(require("cases.read"))]
Handler = Annotated[Principal, Depends(require("cases.handle"))]
Noter = Annotated[Principal, Depends(require("cases.note"))]
Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str, Query(max_length=200)]


@router.get("/cases", response_model_by_alias=True)
async def list_cases(
    request: Request, _: Reader, state: Literal["open", "closed"] | None = None, limit: Limit = 100, cursor: Cursor = ""
) -> CasesOut:
    """The newest first."""
    asked = select(cases).order_by(cases.c.opened_us.desc(), cases.c.case_id.desc()).limit(limit + 1)
    if state is not None:
        asked = asked.where(cases.c.state == state)
    if cursor:
        opened_us, case_id = named_place_of(cursor)
        asked = asked.where(
            or_(cases.c.opened_us < opened_us, and_(cases.c.opened_us == opened_us, cases.c.case_id < case_id))
        )
    async with record_of(request).store.reading() as connection:
        found = await all_of(connection, Case, asked)
    more, found = len(found) > limit, found[:limit]
    return CasesOut(
        items=[case_out(each) for each in found],
        next_cursor=cursor_of(found[-1].opened_us, found[-1].case_id) if more else None,
    )


@router.post("/cases", status_code=201)
async def open_case(request: Request, response: Response, principal: Handler, wanted: CaseIn) -> CaseOut:
    """A new case. The same Idempotency-Key opens it once."""
    actor = actor_of(request, principal)
    case = await record_of(request).appender.change(
        lambda connection: case_acts.open_case(
            connection,
            actor,
            CaseWanted(
                number=wanted.number, kind=wanted.kind, class_=wanted.class_, title=wanted.title, party=wanted.party
            ),
        )
    )
    return _tagged(response, case)


@router.get("/cases/{case_id}")
async def read_case(request: Request, response: Response, _: Reader, case_id: str) -> CaseOut:
    async with record_of(request).store.reading() as connection:
        return _tagged(response, await the_case(connection, case_id))


@router.patch("/cases/{case_id}")
async def change_case(
    request: Request, response: Response, principal: Handler, case_id: str, wanted: CaseChangeIn
) -> CaseOut:
    """Changes what is given. If-Match must hold the ETag that was read."""
    actor, version = actor_of(request, principal), version_of(request)
    fields = {name: str(value) for name, value in wanted.model_dump(by_alias=True, exclude_none=True).items()}
    case = await record_of(request).appender.change(
        lambda connection: case_acts.change_case(connection, actor, case_id, version, fields)
    )
    return _tagged(response, case)


@router.post("/cases/{case_id}/notes", status_code=201)
async def add_note(request: Request, principal: Noter, case_id: str, wanted: NoteIn) -> NoteOut:
    """What somebody saw, heard or wants others to know."""
    actor, media = actor_of(request, principal), wanted.media
    note = NoteWanted(
        text=wanted.text,
        at_us=None if wanted.at is None else us_of(wanted.at),
        media=None if media is None else (media.recording_id, media.start_s, media.end_s),
    )
    event_id = await record_of(request).appender.change(
        lambda connection: case_acts.add_note(connection, actor, case_id, note)
    )
    return NoteOut(event_id=event_id)


@router.get("/step-kinds")
async def list_step_kinds(request: Request, _: Reader) -> StepKindsOut:
    """The kinds of steps that this bureau knows, in the order of the procedure."""
    kinds = _kinds(request)
    return StepKindsOut(
        items=[
            StepKindOut(kind=each.kind, stage=kinds.stages[each.kind], zh=each.zh, en=each.en, recording=each.recording)
            for each in kinds.by_kind.values()
        ]
    )


@router.get("/cases/{case_id}/steps")
async def list_steps(request: Request, _: Reader, case_id: str) -> StepsOut:
    async with record_of(request).store.reading() as connection:
        await the_case(connection, case_id)
        asked = select(steps).where(steps.c.case_id == case_id).order_by(steps.c.started_us, steps.c.step_id)
        found = await all_of(connection, Step, asked)
    return StepsOut(items=[step_out(each, _kinds(request)) for each in found])


@router.post("/cases/{case_id}/steps", status_code=201)
async def start_step(request: Request, principal: Handler, case_id: str, wanted: StepIn) -> StepOut:
    actor, kinds = actor_of(request, principal), _kinds(request)
    step = await record_of(request).appender.change(
        lambda connection: case_acts.start_step(connection, actor, case_id, wanted.kind, kinds)
    )
    return step_out(step, kinds)


@router.post("/cases/{case_id}/steps/{step_id}/end")
async def end_step(request: Request, principal: Handler, case_id: str, step_id: str) -> StepOut:
    actor = actor_of(request, principal)
    step = await record_of(request).appender.change(
        lambda connection: case_acts.end_step(connection, actor, case_id, step_id)
    )
    return step_out(step, _kinds(request))


@router.get("/cases/{case_id}/recordings")
async def list_links(request: Request, _: Reader, case_id: str) -> LinksOut:
    """Recordings that are attached, and those that were."""
    async with record_of(request).store.reading() as connection:
        await the_case(connection, case_id)
        asked = select(links).where(links.c.case_id == case_id).order_by(links.c.made_us, links.c.link_id)
        found = await all_of(connection, Link, asked)
    return LinksOut(items=[link_out(each) for each in found])


@router.post("/cases/{case_id}/recordings", status_code=201)
async def attach_recording(request: Request, principal: Handler, case_id: str, wanted: LinkIn) -> LinkOut:
    actor = actor_of(request, principal)
    link = await record_of(request).appender.change(
        lambda connection: recordings.attach(connection, actor, case_id, wanted.recording_id, wanted.step_id)
    )
    return link_out(link)


@router.delete("/cases/{case_id}/recordings/{link_id}")
async def detach_recording(request: Request, principal: Handler, case_id: str, link_id: str) -> LinkOut:
    """Takes the recording from the case, not from the record; both acts stay on the timeline."""
    actor = actor_of(request, principal)
    link = await record_of(request).appender.change(
        lambda connection: recordings.detach(connection, actor, case_id, link_id)
    )
    return link_out(link)


@router.get("/cases/{case_id}/items")
async def list_items(request: Request, _: Reader, case_id: str) -> ItemsOut:
    async with record_of(request).store.reading() as connection:
        await the_case(connection, case_id)
        asked = select(items).where(items.c.case_id == case_id).order_by(items.c.added_us, items.c.item_id)
        found = await all_of(connection, Item, asked)
    return ItemsOut(items=[item_out(each) for each in found])


@router.post("/cases/{case_id}/items", status_code=201)
async def add_item(request: Request, principal: Handler, case_id: str, wanted: ItemIn) -> ItemOut:
    """What belongs to the case beside recordings; a paper by its shelf mark."""
    actor = actor_of(request, principal)
    item = await record_of(request).appender.change(
        lambda connection: case_acts.add_item(connection, actor, case_id, ItemWanted(**wanted.model_dump()))
    )
    return item_out(item)


@router.post("/cases/{case_id}/items/{item_id}/withdraw")
async def withdraw_item(request: Request, principal: Handler, case_id: str, item_id: str, wanted: ReasonIn) -> ItemOut:
    actor = actor_of(request, principal)
    item = await record_of(request).appender.change(
        lambda connection: case_acts.withdraw_item(connection, actor, case_id, item_id, wanted.reason)
    )
    return item_out(item)


def _kinds(request: Request) -> StepKinds:
    doors: Doors = request.app.state.doors
    return doors.step_kinds


def _tagged(response: Response, case: Case) -> CaseOut:
    response.headers["etag"] = f'"{case.version}"'
    return case_out(case)
