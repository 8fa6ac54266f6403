"""Cases, their steps, items, recordings and notes."""

from typing import Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy import and_, or_, select

from api.asking import actor_of, cursor_of, must_be_logged, named_place_of, page_of, record_of, version_of, within_case
from api.doors import Doors
from api.permissions import Asker, require, within
from api.schemas.record import (
    AttachRuleIn,
    AttachRuleOut,
    AttachRulesOut,
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
    MemberOut,
    MembersOut,
    NoteIn,
    NoteOut,
    ReasonIn,
    StepIn,
    StepKindOut,
    StepKindsOut,
    StepOut,
    StepsOut,
    attach_rule_out,
    case_out,
    item_out,
    link_out,
    step_out,
    us_of,
)
from cases.casework import attach_rules, case_acts, recordings
from cases.casework.attach_rules import RuleWanted
from cases.casework.case_acts import CaseWanted, ItemWanted, NoteWanted
from cases.casework.kinds import StepKinds
from cases.casework.rows import AttachRule, Case, Item, Link, Step, all_of
from cases.reach import reached_case, reached_recording
from cases.store.tables import attach_rules as attach_rules_table
from cases.store.tables import cases, items, links, members, steps
from cases.uploads import kept, register
from pipeline.clock import rfc3339
from pipeline.errors import ThingUnknown

router = APIRouter(prefix="/api/v1")
Reader = Annotated[Asker, Depends(require("cases.read"))]
Handler = Annotated[Asker, Depends(require("cases.handle"))]
Noter = Annotated[Asker, Depends(require("cases.note"))]
Limit = Annotated[int, Query(ge=1, le=500)]
Long = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str, Query(max_length=200)]


@router.get("/cases", response_model_by_alias=True)
async def list_cases(
    request: Request,
    asker: Reader,
    state: Literal["open", "closed"] | None = None,
    limit: Limit = 100,
    cursor: Cursor = "",
) -> CasesOut:
    """The newest first."""
    asked = select(cases).where(asker.within.cases())
    asked = asked.order_by(cases.c.opened_us.desc(), cases.c.case_id.desc()).limit(limit + 1)
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
async def open_case(request: Request, response: Response, asker: Handler, wanted: CaseIn) -> CaseOut:
    """A new case, of one's own unit where no other within reach is named. The same Idempotency-Key opens it once."""
    actor = actor_of(request, asker.principal)
    unit = asker.principal.unit if wanted.unit is None else wanted.unit
    doors: Doors = request.app.state.doors
    if not doors.access.units.covers(asker.principal.unit, unit):
        raise HTTPException(403, "a case is opened for one's own unit, or one below it")
    case = await record_of(request).appender.change(
        lambda connection: case_acts.open_case(
            connection,
            actor,
            CaseWanted(
                number=wanted.number,
                kind=wanted.kind,
                class_=wanted.class_,
                title=wanted.title,
                party=wanted.party,
                unit=unit,
            ),
        )
    )
    return _tagged(response, case)


@router.get("/cases/{case_id}")
async def read_case(request: Request, response: Response, asker: Reader, case_id: str) -> CaseOut:
    async with record_of(request).store.reading() as connection:
        return _tagged(response, await reached_case(connection, asker.within, case_id))


@router.patch("/cases/{case_id}")
async def change_case(
    request: Request, response: Response, asker: Handler, case_id: str, wanted: CaseChangeIn
) -> CaseOut:
    """Changes what is given. If-Match must hold the ETag that was read."""
    actor, version = actor_of(request, asker.principal), version_of(request)
    fields = {name: str(value) for name, value in wanted.model_dump(by_alias=True, exclude_none=True).items()}
    case = await record_of(request).appender.change(
        within_case(asker, case_acts.change_case, actor, case_id, version, fields)
    )
    return _tagged(response, case)


@router.post("/cases/{case_id}/notes", status_code=201)
async def add_note(request: Request, asker: Noter, case_id: str, wanted: NoteIn) -> NoteOut:
    """What somebody saw, heard or wants others to know."""
    actor, media = actor_of(request, asker.principal), wanted.media
    if media is not None:
        await _reach_recording(request, asker, media.recording_id)
    note = NoteWanted(
        text=wanted.text,
        at_us=None if wanted.at is None else us_of(wanted.at),
        media=None if media is None else (media.recording_id, media.start_s, media.end_s),
    )
    event_id = await record_of(request).appender.change(within_case(asker, case_acts.add_note, actor, case_id, note))
    return NoteOut(event_id=event_id)


@router.get("/step-kinds")
async def list_step_kinds(request: Request, _: Reader) -> StepKindsOut:
    """The kinds of steps that this bureau knows, in the order of the procedure; as many as its settings name."""
    kinds = _kinds(request)
    return StepKindsOut(
        items=[
            StepKindOut(kind=each.kind, stage=kinds.stages[each.kind], zh=each.zh, en=each.en, recording=each.recording)
            for each in kinds.by_kind.values()
        ]
    )


@router.get("/cases/{case_id}/steps")
async def list_steps(
    request: Request, asker: Reader, case_id: str, limit: Long = 500, cursor: Cursor = ""
) -> StepsOut:  # fmt: skip
    """In the order in which they began. Some dozen a case; more only where people begin the same ones again."""
    async with record_of(request).store.reading() as connection:
        await reached_case(connection, asker.within, case_id)
        asked, by = select(steps).where(steps.c.case_id == case_id), (steps.c.started_us, steps.c.step_id)
        found, more = await page_of(connection, Step, asked, by, limit, cursor)
    return StepsOut(items=[step_out(each, _kinds(request)) for each in found], next_cursor=more)


@router.post("/cases/{case_id}/steps", status_code=201)
async def start_step(request: Request, asker: Handler, case_id: str, wanted: StepIn) -> StepOut:
    actor, kinds = actor_of(request, asker.principal), _kinds(request)
    step = await record_of(request).appender.change(
        within_case(asker, case_acts.start_step, actor, case_id, wanted.kind, kinds)
    )
    return step_out(step, kinds)


@router.post("/cases/{case_id}/steps/{step_id}/end")
async def end_step(request: Request, asker: Handler, case_id: str, step_id: str) -> StepOut:
    actor = actor_of(request, asker.principal)
    step = await record_of(request).appender.change(within_case(asker, case_acts.end_step, actor, case_id, step_id))
    return step_out(step, _kinds(request))


@router.get("/cases/{case_id}/recordings")
async def list_links(
    request: Request, asker: Reader, case_id: str, limit: Long = 500, cursor: Cursor = ""
) -> LinksOut:  # fmt: skip
    """Recordings that are attached, and those that were, in the order in which they were attached."""
    async with record_of(request).store.reading() as connection:
        await reached_case(connection, asker.within, case_id)
        asked, by = select(links).where(links.c.case_id == case_id), (links.c.made_us, links.c.link_id)
        found, more = await page_of(connection, Link, asked, by, limit, cursor)
    return LinksOut(items=[link_out(each) for each in found], next_cursor=more)


@router.post("/cases/{case_id}/recordings", status_code=201)
async def attach_recording(request: Request, asker: Handler, case_id: str, wanted: LinkIn) -> LinkOut:
    actor = actor_of(request, asker.principal)
    await _reach_recording(request, asker, wanted.recording_id)
    link = await record_of(request).appender.change(
        within_case(asker, recordings.attach, actor, case_id, wanted.recording_id, wanted.step_id)
    )
    return link_out(link)


@router.delete("/cases/{case_id}/recordings/{link_id}")
async def detach_recording(request: Request, asker: Handler, case_id: str, link_id: str) -> LinkOut:
    """Takes the recording from the case, not from the record; both acts stay on the timeline."""
    actor = actor_of(request, asker.principal)
    link = await record_of(request).appender.change(within_case(asker, recordings.detach, actor, case_id, link_id))
    return link_out(link)


@router.get("/cases/{case_id}/attach-rules")
async def list_attach_rules(
    request: Request, asker: Reader, case_id: str, limit: Long = 500, cursor: Cursor = ""
) -> AttachRulesOut:
    """By which recordings of devices belong to the case, and those that were undone."""
    async with record_of(request).store.reading() as connection:
        await reached_case(connection, asker.within, case_id)
        asked = select(attach_rules_table).where(attach_rules_table.c.case_id == case_id)
        by = (attach_rules_table.c.made_us, attach_rules_table.c.rule_id)
        found, more = await page_of(connection, AttachRule, asked, by, limit, cursor)
    return AttachRulesOut(items=[attach_rule_out(each) for each in found], next_cursor=more)


@router.post("/cases/{case_id}/attach-rules", status_code=201)
async def set_attach_rule(request: Request, asker: Handler, case_id: str, wanted: AttachRuleIn) -> AttachRuleOut:
    """What the device recorded, and will record, in a time belongs to the case; the place is told with it."""
    doors: Doors = request.app.state.doors
    device = next((each.device for each in doors.access.devices() if each.device.device_id == wanted.device_id), None)
    if device is None or not within(doors, asker.principal, "recordings.list").holds_unit(device.unit):
        raise ThingUnknown("no such device whose recordings you reach")
    actor = actor_of(request, asker.principal)
    rule = RuleWanted(
        device_id=device.device_id, device_name=device.name, unit=device.unit,
        from_us=us_of(wanted.from_), until_us=us_of(wanted.to), place=wanted.place, step_id=wanted.step_id,
    )  # fmt: skip
    return attach_rule_out(
        await record_of(request).appender.change(within_case(asker, attach_rules.set_rule, actor, case_id, rule))
    )


@router.delete("/cases/{case_id}/attach-rules/{rule_id}")
async def undo_attach_rule(request: Request, asker: Handler, case_id: str, rule_id: str) -> AttachRuleOut:
    """It attaches nothing more, and what it attached is detached; all of it stays on the timeline."""
    actor = actor_of(request, asker.principal)
    return attach_rule_out(
        await record_of(request).appender.change(within_case(asker, attach_rules.undo_rule, actor, case_id, rule_id))
    )


@router.get("/cases/{case_id}/items")
async def list_items(
    request: Request, asker: Reader, case_id: str, limit: Long = 500, cursor: Cursor = ""
) -> ItemsOut:  # fmt: skip
    """In the order in which they were added, those that were withdrawn too."""
    async with record_of(request).store.reading() as connection:
        await reached_case(connection, asker.within, case_id)
        asked, by = select(items).where(items.c.case_id == case_id), (items.c.added_us, items.c.item_id)
        found, more = await page_of(connection, Item, asked, by, limit, cursor)
        files = await register.files_of(connection, case_id)
    types = {item_id: each.type for item_id, each in files.items()}
    return ItemsOut(items=[item_out(each, types.get(each.item_id)) for each in found], next_cursor=more)


@router.get("/cases/{case_id}/items/{item_id}/file")
async def fetch_item(request: Request, asker: Reader, case_id: str, item_id: str) -> FileResponse:
    """A photo or a document as it was sent in. Video and sound are played, or copied, with an approval only."""
    record, doors = record_of(request), request.app.state.doors
    async with record.store.reading() as connection:
        await reached_case(connection, asker.within, case_id)
        file = (await register.files_of(connection, case_id)).get(item_id)
    if file is None:
        raise ThingUnknown("no file of this item")
    if file.recording_id is not None or file.type.startswith(("video/", "audio/")):
        raise HTTPException(403, "video and sound need an approval: ask to play the recording, or to copy the case")
    must_be_logged(request)
    path = await anyio.to_thread.run_sync(kept.checked, doors.runtime.settings.data, file.sha256)
    await record.appender.append([register.fetched(actor_of(request, asker.principal), file)])
    return FileResponse(path, media_type=file.type, filename=file.name, content_disposition_type="attachment")


@router.post("/cases/{case_id}/items", status_code=201)
async def add_item(request: Request, asker: Handler, case_id: str, wanted: ItemIn) -> ItemOut:
    """What belongs to the case beside recordings; a paper by its shelf mark."""
    actor = actor_of(request, asker.principal)
    item = await record_of(request).appender.change(
        within_case(asker, case_acts.add_item, actor, case_id, ItemWanted(**wanted.model_dump()))
    )
    return item_out(item)


@router.post("/cases/{case_id}/items/{item_id}/withdraw")
async def withdraw_item(request: Request, asker: Handler, case_id: str, item_id: str, wanted: ReasonIn) -> ItemOut:
    actor = actor_of(request, asker.principal)
    item = await record_of(request).appender.change(
        within_case(asker, case_acts.withdraw_item, actor, case_id, item_id, wanted.reason)
    )
    return item_out(item)


@router.get("/cases/{case_id}/members")
async def list_members(request: Request, asker: Reader, case_id: str) -> MembersOut:
    """Who works on the case, and so reaches it; never more than there are accounts."""
    async with record_of(request).store.reading() as connection:
        await reached_case(connection, asker.within, case_id)
        asked = select(members.c.who, members.c.name, members.c.added_us).where(members.c.case_id == case_id)
        rows = (await connection.execute(asked.order_by(members.c.added_us, members.c.who))).all()
    return MembersOut(items=[MemberOut(who=row[0], name=row[1], added_at=rfc3339(row[2] / 1e6)) for row in rows])


@router.put("/cases/{case_id}/members/{account_id}", status_code=204)
async def add_member(request: Request, asker: Handler, case_id: str, account_id: str) -> None:
    """The account works on the case from now on."""
    doors: Doors = request.app.state.doors
    account = doors.access.accounts.find(account_id)
    actor = actor_of(request, asker.principal)
    await record_of(request).appender.change(
        within_case(asker, case_acts.add_member, actor, case_id, account.account_id, account.name)
    )


@router.delete("/cases/{case_id}/members/{account_id}", status_code=204)
async def remove_member(request: Request, asker: Handler, case_id: str, account_id: str) -> None:
    """It no longer does; what it did stays."""
    actor = actor_of(request, asker.principal)
    await record_of(request).appender.change(within_case(asker, case_acts.remove_member, actor, case_id, account_id))


async def _reach_recording(request: Request, asker: Asker, recording_id: str) -> None:
    """Raises: ThingUnknown: there is none within this one's reach."""
    doors: Doors = request.app.state.doors
    async with record_of(request).store.reading() as connection:
        await reached_recording(connection, within(doors, asker.principal, "recordings.list"), recording_id)


def _kinds(request: Request) -> StepKinds:
    doors: Doors = request.app.state.doors
    return doors.step_kinds


def _tagged(response: Response, case: Case) -> CaseOut:
    response.headers["etag"] = f'"{case.version}"'
    return case_out(case)
