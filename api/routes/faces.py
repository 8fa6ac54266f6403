"""Faces: the switch and its two persons, galleries, enrolment, suggestions and what people say of them.

What is out of reach is not found. Administrators reach the roster alone, and no case. Pictures leave the server only
for who judges them, and are stored by no cache.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final, Literal

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy import ColumnElement, and_, exists, false, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import ClientDisconnect

from api.asking import Acted, actor_of, cursor_of, named_place_of, page_of, paged, record_of
from api.doors import Doors
from api.face_enrol import MOST_MOMENT_S, moment_of
from api.faces import LIMITS_EN, LIMITS_ZH, NOTICE_EN, NOTICE_ZH, FaceModel
from api.form import is_form, parts_of
from api.permissions import Asker, require, within
from api.schemas.faces import (
    ConditionOut,
    FacesOut,
    GalleriesOut,
    GalleryCloseIn,
    GalleryIn,
    GalleryOut,
    ModelOut,
    MomentIn,
    NotRenewedOut,
    OpinionIn,
    PersonOut,
    PersonsOut,
    RecordOut,
    RefuseIn,
    RenewedOut,
    RenewIn,
    SuggestionOut,
    SuggestionsOut,
    SwitchIn,
    SwitchOffIn,
    SwitchOut,
    WhoIn,
    gallery_out,
    person_out,
    suggestion_out,
    switch_out,
)
from api.schemas.record import OfficersOut, officer_out, us_of
from cases.access.principal import ADMINISTRATORS
from cases.casework.actor import Actor
from cases.casework.approvals import in_force
from cases.casework.rows import OFFICERS, Officer, all_of
from cases.export.case_file import folder_of
from cases.faces import galleries, people, suggestions, switch
from cases.faces.enrolling import MOST_PICTURES
from cases.faces.galleries import CASE, GalleryWanted, reached_galleries, the_gallery
from cases.faces.people import Moment, Who, crop_name
from cases.faces.renewing import heir_of, stale_of
from cases.faces.rows import SUGGESTIONS, Gallery, Person, Suggestion, Switch
from cases.faces.suggestions import reached_suggestions, shot_name, the_suggestion
from cases.faces.switch import SwitchWanted
from cases.facts import Fact, microseconds
from cases.judgement.precision import wilson
from cases.reach import reached_case, reached_recording
from cases.rights import reach_of
from cases.store.tables import cases, face_galleries, face_persons, face_suggestions, face_templates, officers
from pipeline.errors import ModelMissing, ProtocolError, StateConflict, ThingUnknown, UploadTooLarge, ValueRefused
from pipeline.ids import derived_event_id

router = APIRouter(prefix="/api/v1/faces")
Viewer = Annotated[Asker, Depends(require("faces.state"))]
Reader = Annotated[Asker, Depends(require("faces.read"))]
Enroller = Annotated[Asker, Depends(require("faces.enrol"))]
Second = Annotated[Asker, Depends(require("faces.confirm"))]
Cursor = Annotated[str, Query(max_length=200)]
CaseId = Annotated[str, Query(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=200)]

MOST_BODY_BYTES: Final = 160 * 1024 * 1024
"""Of an enrolment: a film of half a minute."""
_BODY_S: Final = 120.0
_PICTURE: Final = {"Cache-Control": "no-store", "Content-Disposition": "inline"}
_HOUR_US: Final = 3_600_000_000
_STATES: Final = {"waiting": ("open", "split")}
_MOMENT: Final = {"recording_id": "rec_9e6a3d70b1c84f25", "start_s": 12.0, "end_s": 15.0}
_ENROL_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": MomentIn.model_json_schema(),
                "examples": {
                    "zh": {"summary": "中文示例", "value": {**_MOMENT, "name": "张三", "basis": "本案当事人"}},
                    "en": {"summary": "An example in English", "value": {**_MOMENT, "name": "Z", "basis": "A party."}},
                },
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        **WhoIn.model_json_schema()["properties"],
                        "photos": {
                            "type": "array", "maxItems": MOST_PICTURES, "items": {"type": "string", "format": "binary"},
                        },
                        "video": {"type": "string", "format": "binary"},
                    },
                    "required": ["basis"],
                }
            },
        },
    }
}  # fmt: skip


@router.get("")
async def read_state(request: Request, asker: Viewer) -> FacesOut:
    """Whether faces are matched, why not, and what it would take; how many are stored; how often matches were right."""
    doors: Doors = request.app.state.doors
    faces, now_us = doors.faces, _now_us(doors)
    models = await anyio.to_thread.run_sync(_models, doors)
    async with record_of(request).store.reading() as connection:
        current = await switch.current(connection)
        counted = await suggestions.record(connection)
        count = await people.count(connection)
        label = next((each.label for each in models if each.task == "embedder"), "")
        other = select(func.count()).where(face_templates.c.model != label)
        stale = int((await connection.execute(other)).scalar() or 0)
    conditions = _conditions(models, current, now_us)
    missing = [each for each in conditions if not each.is_met]
    may = {name: reach_of(asker.principal, f"faces.{name}") is not None for name in ("switch", "approve", "stop")}
    return FacesOut(
        is_on=not missing, why_zh="；".join(each.zh for each in missing), why_en=" ".join(each.en for each in missing),
        conditions=conditions,
        switch=None if current is None else switch_out(current, asker.principal.by, may_approve=may["approve"]),
        count=count, alarm=faces.alarm, limit=faces.settings.most_persons, is_alarm=count >= faces.alarm,
        stale=stale if label else 0,
        models=[
            ModelOut(
                task=each.task, label=each.label, license=each.license, note=each.note, is_here=not each.why,
                why=each.why,
            )
            for each in models
        ],
        notice_zh=NOTICE_ZH, notice_en=NOTICE_EN, limits_zh=LIMITS_ZH, limits_en=LIMITS_EN,
        record=[_record_out(each) for each in counted],
        may_ask=may["switch"] and (current is None or current.state == "off"),
        may_approve=may["approve"] and current is not None and current.state == "asked"
        and current.asked_by != asker.principal.by,
        may_stop=may["stop"] and current is not None and current.state != "off",
    )  # fmt: skip


@router.post("/switch", status_code=201)
async def ask_switch(
    request: Request, asker: Annotated[Asker, Depends(require("faces.switch"))], wanted: SwitchIn
) -> SwitchOut:
    """Ask for faces to be matched until a time. Nothing is on until another person, of the legal review, approves."""
    doors: Doors = request.app.state.doors
    actor = actor_of(request, asker.principal)
    told = SwitchWanted(
        legal_basis=wanted.legal_basis, approver=wanted.approver, assessment_id=wanted.assessment_id,
        reason=wanted.reason, expires_us=us_of(wanted.expires_at),
    )  # fmt: skip
    act = partial(switch.ask, actor=actor, wanted=told, most_days=doors.faces.settings.max_switch_days)
    found = await record_of(request).appender.change(act)
    return switch_out(found, actor.by, may_approve=False)


@router.post("/switch/{switch_id}/approve")
async def approve_switch(
    request: Request, asker: Annotated[Asker, Depends(require("faces.approve"))], switch_id: str
) -> SwitchOut:
    """Switch it on. Never by who asked for it."""
    actor = actor_of(request, asker.principal)
    found = await record_of(request).appender.change(partial(switch.approve, actor=actor, switch_id=switch_id))
    return switch_out(found, actor.by, may_approve=True)


@router.delete("/switch")
async def switch_off(
    request: Request, asker: Annotated[Asker, Depends(require("faces.stop"))], wanted: SwitchOffIn
) -> SwitchOut:
    """At once, by either of the two: every gallery is closed, its templates and keys are destroyed."""
    doors: Doors = request.app.state.doors
    actor = actor_of(request, asker.principal)
    found = await record_of(request).appender.change(partial(switch.off, actor=actor, reason=wanted.reason))
    await doors.faces.keeper.turn()
    return switch_out(found, actor.by, may_approve=False)


@router.get("/galleries")
async def list_galleries(
    request: Request, asker: Reader, limit: Limit = 50, cursor: Cursor = "", case_id: CaseId = "",
    state: Literal["open", "closed"] | None = None,
) -> GalleriesOut:  # fmt: skip
    """The roster's, and those of cases within reach; the oldest first."""
    asked = select(face_galleries).where(reached_galleries(asker.within))
    if case_id:
        asked = asked.where(face_galleries.c.case_id == case_id)
    if state is not None:
        asked = asked.where(face_galleries.c.state == state)
    order = (face_galleries.c.opened_us, face_galleries.c.gallery_id)
    async with record_of(request).store.reading() as connection:
        found, following = await page_of(connection, Gallery, asked, order, limit, cursor)
        items = [await _gallery_out(request, connection, asker, each) for each in found]
    return GalleriesOut(items=items, next_cursor=following)


@router.get("/officers")
async def list_officers(
    request: Request, asker: Enroller, limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    cursor: Annotated[str, Query(max_length=4000)] = "",
) -> OfficersOut:  # fmt: skip
    """Whom the roster may take, by the numbers of their certificates; for who keeps it, who may read no case."""
    _check_roster(asker)
    async with record_of(request).store.reading() as connection:
        found = await all_of(connection, Officer, OFFICERS.order_by(officers.c.certificate_number))
    page, more = paged(found, lambda each: f"{each.certificate_number} {each.officer_id}", limit, cursor)
    return OfficersOut(items=[officer_out(each) for each in page], next_cursor=more)


@router.post("/galleries", status_code=201)
async def open_gallery(request: Request, asker: Enroller, wanted: GalleryIn) -> GalleryOut:
    """Of the roster, or of an open case's parties; while faces are switched on, and not for longer."""
    actor, record = actor_of(request, asker.principal), record_of(request)
    told = GalleryWanted(
        kind=wanted.kind, case_id=wanted.case_id, legal_basis=wanted.legal_basis, notice=wanted.notice,
        expires_us=us_of(wanted.expires_at),
    )  # fmt: skip

    if wanted.kind != CASE:
        _check_roster(asker)

    async def act(connection: AsyncConnection) -> Acted[Gallery]:
        if wanted.case_id:
            await _reach_case(connection, asker, wanted.case_id)
        return await galleries.open_gallery(connection, actor, told)

    found = await record.appender.change(act)
    async with record.store.reading() as connection:
        return await _gallery_out(request, connection, asker, found)


@router.delete("/galleries/{gallery_id}")
async def close_gallery(request: Request, asker: Enroller, gallery_id: str, wanted: GalleryCloseIn) -> GalleryOut:
    """At once: its keys are destroyed, its templates and pictures deleted. It does not open again."""
    doors: Doors = request.app.state.doors
    faces, actor, record = doors.faces, actor_of(request, asker.principal), record_of(request)
    async with record.store.reading() as connection:
        await _own_gallery(connection, asker, gallery_id)

    async def act(connection: AsyncConnection) -> Acted[Gallery]:
        await the_gallery(connection, gallery_id, reached_galleries(asker.within))
        return await galleries.close(connection, actor, faces.vault, gallery_id, "by_person", wanted.reason)

    found = await record.appender.change(act)
    await faces.matching.closed(gallery_id)
    async with record.store.reading() as connection:
        return await _gallery_out(request, connection, asker, found)


@router.post("/galleries/{gallery_id}/renew")
async def renew_templates(request: Request, asker: Enroller, gallery_id: str, wanted: RenewIn) -> RenewedOut:
    """Templates of an earlier model are made anew with the one in use, from the pictures that were kept; some a call.

    What cannot be made anew is told by template and reason; it stays, not searched, until the person is enrolled again.
    """
    doors: Doors = request.app.state.doors
    faces, actor = doors.faces, actor_of(request, asker.principal)
    async with record_of(request).store.reading() as connection:
        await _own_gallery(connection, asker, gallery_id)
    label = _embedder(await anyio.to_thread.run_sync(_models, doors))
    if not label:
        raise ModelMissing("no model that compares faces is here; see `onrecord models`")
    done = await faces.renewing.renew(actor, gallery_id, label, wanted.after)
    refused = [
        NotRenewedOut(
            template_id=each.template_id, person_id=each.person_id, name=each.name, reason=each.reason,
            detail=each.detail,
        )
        for each in done.refused
    ]  # fmt: skip
    return RenewedOut(renewed=done.renewed, refused=refused, next_after=done.next_after, left=done.left)


@router.get("/galleries/{gallery_id}/persons")
async def list_persons(
    request: Request, asker: Reader, gallery_id: str, limit: Limit = 100, cursor: Cursor = ""
) -> PersonsOut:
    """The oldest first; those who were refused or deleted by name alone."""
    doors: Doors = request.app.state.doors
    label = _embedder(await anyio.to_thread.run_sync(_models, doors))
    asked = select(face_persons).where(face_persons.c.gallery_id == gallery_id)
    async with record_of(request).store.reading() as connection:
        gallery = await the_gallery(connection, gallery_id, reached_galleries(asker.within))
        order = (face_persons.c.proposed_us, face_persons.c.person_id)
        found, following = await page_of(connection, Person, asked, order, limit, cursor)
        items = [await _person_out(connection, asker, gallery, each, label) for each in found]
    return PersonsOut(items=items, next_cursor=following)


@router.post("/galleries/{gallery_id}/persons", status_code=201, openapi_extra=_ENROL_BODY)
async def enrol(request: Request, asker: Enroller, gallery_id: str) -> PersonOut:
    """From pictures or a film (multipart/form-data: photos or video), or a moment of a recording (JSON).

    Who is not alone in it, not seen well, or looks like another person of the gallery is refused with the reason, and
    nothing is kept. A moment of a recording needs an approval in force to play it. Into a case's gallery a person is
    proposed, and searched once another person confirms.
    """
    doors: Doors = request.app.state.doors
    faces, actor = doors.faces, actor_of(request, asker.principal)
    async with record_of(request).store.reading() as connection:
        gallery = await _own_gallery(connection, asker, gallery_id)
        await switch.in_force(connection, actor.now_us)
    enrolling = faces.enrolling
    async with enrolling.bodies:
        sent = await _sent(request, doors, asker, actor)
        async with record_of(request).store.reading() as connection:
            await _own_gallery(connection, asker, gallery_id)  # it may have taken two minutes to come
        person = await enrolling.enrol(
            actor, gallery.gallery_id, sent.who, sent.kind, sent.field, sent.data, sent.moment
        )  # fmt: skip
    label = _embedder(await anyio.to_thread.run_sync(_models, doors))
    async with record_of(request).store.reading() as connection:
        return await _person_out(connection, asker, gallery, person, label)


@router.post("/persons/{person_id}/confirm")
async def confirm_person(request: Request, asker: Second, person_id: str) -> PersonOut:
    """As the second person, who looked at the picture and the paper: searched from now on. Never by who proposed."""
    doors: Doors = request.app.state.doors
    actor, record = actor_of(request, asker.principal), record_of(request)

    async def act(connection: AsyncConnection) -> Acted[Person]:
        await _reached_person(connection, asker, person_id)
        return await people.confirm(connection, actor, person_id)

    person = await record.appender.change(act)
    await doors.faces.matching.enrolled(person.gallery_id, person_id)
    return await _told_person(request, asker, person)


@router.post("/persons/{person_id}/refuse")
async def refuse_person(request: Request, asker: Second, person_id: str, wanted: RefuseIn) -> PersonOut:
    """What waits of this person is deleted, its key destroyed."""
    doors: Doors = request.app.state.doors
    actor, record = actor_of(request, asker.principal), record_of(request)

    async def act(connection: AsyncConnection) -> Acted[Person]:
        await _reached_person(connection, asker, person_id)
        return await people.refuse(connection, actor, doors.faces.vault, person_id, wanted.reason)

    return await _told_person(request, asker, await record.appender.change(act))


@router.delete("/persons/{person_id}")
async def delete_person(request: Request, asker: Enroller, person_id: str, wanted: RefuseIn) -> PersonOut:
    """Key destroyed, templates and pictures deleted, gone from memory."""
    doors: Doors = request.app.state.doors
    actor, record = actor_of(request, asker.principal), record_of(request)
    async with record.store.reading() as connection:
        await _own_gallery(connection, asker, (await _reached_person(connection, asker, person_id)).gallery_id)

    async def act(connection: AsyncConnection) -> Acted[Person]:
        await _reached_person(connection, asker, person_id)
        return await people.delete(connection, actor, doors.faces.vault, person_id, wanted.reason)

    person = await record.appender.change(act)
    await doors.faces.matching.removed(person.gallery_id, person_id)
    return await _told_person(request, asker, person)


@router.get("/persons/{person_id}/picture.jpg", response_class=Response)
async def person_picture(request: Request, asker: Reader, person_id: str) -> Response:
    """What waits for a second person, else the newest that was enrolled, as it was cut out. 404 once it is gone."""
    order = ((face_templates.c.state == "proposed").desc(), face_templates.c.added_us.desc())
    async with record_of(request).store.reading() as connection:
        person = await _reached_person(connection, asker, person_id)
        return await _crop(request, connection, asker, person, order)


@router.get("/suggestions")
async def list_suggestions(
    request: Request, asker: Reader, limit: Limit = 50, cursor: Cursor = "",
    state: Literal["waiting", "open", "split", "confirmed", "rejected", "withdrawn"] | None = None,
    case_id: CaseId = "",
) -> SuggestionsOut:  # fmt: skip
    """The newest first. waiting: open and split. What others said is shown once it is decided."""
    asked = SUGGESTIONS.where(_of_cases(asker))
    if state is not None:
        asked = asked.where(face_suggestions.c.state.in_(_STATES.get(state, (state,))))
    at_us, key = face_suggestions.c.at_us, face_suggestions.c.suggestion_id
    if cursor:
        before_us, last = named_place_of(cursor)
        asked = asked.where(or_(at_us < before_us, and_(at_us == before_us, key < last)))
    async with record_of(request).store.reading() as connection:
        if case_id:
            await _reach_case(connection, asker, case_id)
            asked = asked.where(face_suggestions.c.case_id == case_id)
        order = asked.order_by(at_us.desc(), key.desc()).limit(limit + 1)
        found = await all_of(connection, Suggestion, order)
        more, found = len(found) > limit, found[:limit]
        items = await _suggestions_out(connection, asker, found)
    last_one = found[-1] if more else None
    following = None if last_one is None else cursor_of(last_one.at_us, last_one.suggestion_id)
    return SuggestionsOut(items=items, next_cursor=following)


@router.post("/suggestions/{suggestion_id}/opinion")
async def give_opinion(request: Request, asker: Second, suggestion_id: str, wanted: OpinionIn) -> SuggestionOut:
    """What one person sees, apart from others and blind to their answer. Two that agree decide; else a third does."""
    doors: Doors = request.app.state.doors
    actor, record, vault = actor_of(request, asker.principal), record_of(request), doors.faces.vault

    async def act(connection: AsyncConnection) -> Acted[Suggestion]:
        await the_suggestion(connection, suggestion_id, _of_cases(asker))
        return await suggestions.give_opinion(connection, actor, vault, suggestion_id, wanted.verdict, wanted.reason)

    found = await record.appender.change(act)
    async with record.store.reading() as connection:
        return (await _suggestions_out(connection, asker, [found]))[0]


@router.get("/suggestions/{suggestion_id}/shot.jpg", response_class=Response)
async def suggestion_shot(request: Request, asker: Second, suggestion_id: str) -> Response:
    """The best look of the track. 404 once it is gone: it was rejected, or its gallery closed."""
    doors: Doors = request.app.state.doors
    async with record_of(request).store.reading() as connection:
        found = await the_suggestion(connection, suggestion_id, _of_cases(asker))
        await _still_shown(request, connection, found.gallery_id)
        asked = select(face_suggestions.c.sealed_shot).where(face_suggestions.c.suggestion_id == suggestion_id)
        sealed = (await connection.execute(asked)).scalar()
    if sealed is None:
        raise ThingUnknown("its picture is not kept any more")
    await _told(request, asker, "shot", suggestion_id, found.gallery_id, "")
    opened = await anyio.to_thread.run_sync(
        doors.faces.vault.open, found.gallery_id, found.person_id, shot_name(suggestion_id), bytes(sealed)
    )
    return Response(opened, 200, _PICTURE, "image/jpeg")


@router.get("/suggestions/{suggestion_id}/person.jpg", response_class=Response)
async def suggestion_person(request: Request, asker: Second, suggestion_id: str) -> Response:
    """The gallery's picture of whom it may be; the one it was compared with, while that is there. 404: gone."""
    async with record_of(request).store.reading() as connection:
        found = await the_suggestion(connection, suggestion_id, _of_cases(asker))
        told = (await suggestions.facts_of(connection, [found]))[suggestion_id]
        compared = await heir_of(connection, str(told.body["template_id"]))
        order = (
            (face_templates.c.state == "enrolled").desc(),
            (face_templates.c.template_id == compared).desc(),
        )
        person = await people.the_person(connection, found.person_id)
        return await _crop(request, connection, asker, person, order)


async def _still_shown(request: Request, connection: AsyncConnection, gallery_id: str) -> None:
    """Held against the clock: keys that cannot be destroyed in time are no reason to go on showing faces.

    Raises: ThingUnknown.
    """
    doors: Doors = request.app.state.doors
    try:
        await people.check_in_force(connection, await the_gallery(connection, gallery_id), _now_us(doors))
    except StateConflict as error:
        raise ThingUnknown("its picture is not kept any more") from error


async def _told(request: Request, asker: Asker, picture: str, of_id: str, gallery_id: str, template_id: str) -> None:
    """That somebody sees a face, committed before it is sent; once an hour for each person and picture."""
    actor = actor_of(request, asker.principal)
    seen = Fact(
        event_id=derived_event_id("FacePictureSeen", picture, of_id, template_id, actor.by, actor.now_us // _HOUR_US),
        kind="FacePictureSeen", at_us=actor.now_us, by=actor.by,
        body={
            "picture": picture, "of": of_id, "template_id": template_id, "gallery_id": gallery_id,
            "by_name": actor.name,
        },
    )  # fmt: skip
    await record_of(request).appender.append([seen])


async def _crop(
    request: Request, connection: AsyncConnection, asker: Asker, person: Person, order: Sequence[ColumnElement[bool]]
) -> Response:
    """order: of `face_templates`, which of them comes first; then the best."""
    doors: Doors = request.app.state.doors
    await _still_shown(request, connection, person.gallery_id)
    asked = (
        select(face_templates.c.template_id, face_templates.c.sealed_crop)
        .where(face_templates.c.person_id == person.person_id)
        .order_by(*order, face_templates.c.quality.desc(), face_templates.c.template_id)
        .limit(1)
    )
    row = (await connection.execute(asked)).first()
    if row is None:
        raise ThingUnknown("its picture is not kept any more")
    await _told(request, asker, "enrolled", person.person_id, person.gallery_id, row[0])
    opened = await anyio.to_thread.run_sync(
        doors.faces.vault.open, person.gallery_id, person.person_id, crop_name(row[0]), bytes(row[1])
    )
    return Response(opened, 200, _PICTURE, "image/jpeg")


@dataclass(frozen=True, slots=True)
class _Sent:
    """What somebody is enrolled from. kind: picture, video. field: that a refusal names."""

    who: Who
    kind: str
    field: str
    data: Sequence[bytes]
    moment: Moment | None = None


async def _sent(request: Request, doors: Doors, asker: Asker, actor: Actor) -> _Sent:
    """Raises: ValueRefused."""
    kind, body = request.headers.get("content-type", ""), await _body(request)
    if is_form(kind):
        return _of_form(kind, body)
    try:
        wanted = MomentIn.model_validate_json(body)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "body"
        raise ValueRefused(place, str(error.errors()[0]["msg"])) from error
    if not wanted.start_s < wanted.end_s <= wanted.start_s + MOST_MOMENT_S:
        raise ValueRefused("end_s", f"it must lie behind start_s, by {MOST_MOMENT_S:.0f} s at most")
    async with record_of(request).store.reading() as connection:
        reach = within(doors, asker.principal, "recordings.list")
        recording = await reached_recording(connection, reach, wanted.recording_id)
        try:
            approval = await in_force(
                connection, actor.by, recording.recording_id, math.floor(wanted.start_s * 1000),
                math.ceil(wanted.end_s * 1000), _now_us(doors),
            )  # fmt: skip
        except ThingUnknown as error:
            raise HTTPException(403, f"{error}; ask for one (POST /api/v1/approvals)") from error
    folder = folder_of(doors.runtime.settings.data, recording)
    media = await anyio.to_thread.run_sync(moment_of, doors.playback, folder, wanted.start_s, wanted.end_s)
    moment = Moment(recording.recording_id, wanted.start_s, wanted.end_s, approval.approval_id)
    return _Sent(_who(wanted), "video", "moment", [media], moment)


def _of_form(kind: str, body: bytes) -> _Sent:
    parts = parts_of(kind, body)
    known = set(WhoIn.model_fields)
    if strange := [each.name for each in parts if each.name not in {*known, "photos", "video"}]:
        raise ValueRefused(strange[0][:60], "the form has no such field")
    try:
        wanted = WhoIn.model_validate(
            {each.name: each.data.decode("utf-8") for each in parts if each.name in known}
        )  # fmt: skip
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "body"
        raise ValueRefused(place, str(error.errors()[0]["msg"])) from error
    except UnicodeDecodeError as error:
        raise ValueRefused("body", "a field is no UTF-8") from error
    photos = [each.data for each in parts if each.name == "photos"]
    films = [each.data for each in parts if each.name == "video"]
    if bool(photos) == bool(films) or len(films) > 1:
        raise ValueRefused("photos", f"send 1 to {MOST_PICTURES} photos, or one video")
    if photos:
        return _Sent(_who(wanted), "picture", "photos", photos)
    return _Sent(_who(wanted), "video", "video", films)


def _who(wanted: WhoIn) -> Who:
    return Who(
        name=wanted.name, party=wanted.party, officer_id=wanted.officer_id, person_id=wanted.person_id,
        basis=wanted.basis,
    )  # fmt: skip


async def _body(request: Request) -> bytes:
    """Read only now that it is known who asks. Raises: UploadTooLarge. ProtocolError: it broke off, or is slow."""
    raw = bytearray()
    try:
        with anyio.fail_after(_BODY_S):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > MOST_BODY_BYTES:
                    raise UploadTooLarge(f"more than {MOST_BODY_BYTES} bytes")
    except ClientDisconnect as error:
        raise ProtocolError("the connection closed before the body ended") from error
    except TimeoutError as error:
        raise ProtocolError(f"the body did not come within {_BODY_S:g} s") from error
    return bytes(raw)


async def _reach_case(connection: AsyncConnection, asker: Asker, case_id: str) -> None:
    """Raises: ThingUnknown: out of reach, as every case is for an administrator."""
    if asker.principal.role in ADMINISTRATORS:
        raise ThingUnknown("no such case")
    await reached_case(connection, asker.within, case_id)


def _check_roster(asker: Asker) -> None:
    """Raises: HTTPException 403: the roster is the bureau's, not a unit's."""
    if not asker.within.is_everything:
        raise HTTPException(403, "the roster of all officers is kept by who reaches the whole bureau")


async def _own_gallery(connection: AsyncConnection, asker: Asker, gallery_id: str) -> Gallery:
    """One that the asker may change. Raises: ThingUnknown. HTTPException 403."""
    gallery = await the_gallery(connection, gallery_id, reached_galleries(asker.within))
    if gallery.kind != CASE:
        _check_roster(asker)
    return gallery


async def _reached_person(connection: AsyncConnection, asker: Asker, person_id: str) -> Person:
    """Raises: ThingUnknown."""
    person = await people.the_person(connection, person_id)
    try:
        await the_gallery(connection, person.gallery_id, reached_galleries(asker.within))
    except ThingUnknown as error:
        raise ThingUnknown("no such person") from error
    return person


def _of_cases(asker: Asker) -> ColumnElement[bool]:
    """Of `face_suggestions`."""
    return false() if asker.principal.role in ADMINISTRATORS else reached_suggestions(asker.within)


async def _told_person(request: Request, asker: Asker, person: Person) -> PersonOut:
    doors: Doors = request.app.state.doors
    label = _embedder(await anyio.to_thread.run_sync(_models, doors))
    async with record_of(request).store.reading() as connection:
        gallery = await the_gallery(connection, person.gallery_id)
        return await _person_out(connection, asker, gallery, person, label)


async def _person_out(
    connection: AsyncConnection, asker: Asker, gallery: Gallery, person: Person, label: str
) -> PersonOut:
    held = await people.templates_of(connection, person.person_id)
    waiting = [each for each in held if each.state == "proposed"]
    may = reach_of(asker.principal, "faces.confirm") is not None
    proposers = {person.proposed_by if person.state == "proposed" else "", *(each.added_by for each in waiting)}
    return person_out(
        person, held, label, may_confirm=may and bool(waiting) and asker.principal.by not in proposers
        and gallery.state == "open",
    )  # fmt: skip


async def _gallery_out(request: Request, connection: AsyncConnection, asker: Asker, gallery: Gallery) -> GalleryOut:
    doors: Doors = request.app.state.doors
    now_us = _now_us(doors)
    asked = (
        select(face_persons.c.state, func.count())
        .where(face_persons.c.gallery_id == gallery.gallery_id)
        .group_by(face_persons.c.state)
    )
    counts = {row[0]: int(row[1]) for row in await connection.execute(asked)}
    waiting = exists().where(
        face_templates.c.person_id == face_persons.c.person_id, face_templates.c.state == "proposed"
    )
    proposed = select(func.count()).select_from(face_persons).where(
        face_persons.c.gallery_id == gallery.gallery_id, waiting
    )  # fmt: skip
    label = _embedder(await anyio.to_thread.run_sync(_models, doors))
    stale = select(func.count()).where(stale_of(gallery.gallery_id, label)) if label else select(literal(0))
    number = select(cases.c.number).where(cases.c.case_id == gallery.case_id)
    may = reach_of(asker.principal, "faces.enrol") is not None
    if gallery.kind != CASE:
        may = may and asker.within.is_everything
    return gallery_out(
        gallery, str((await connection.execute(number)).scalar() or ""), counts.get("enrolled", 0),
        int((await connection.execute(proposed)).scalar() or 0),
        int((await connection.execute(stale)).scalar() or 0), may_enrol=may and gallery.is_in_force(now_us),
        may_close=may and gallery.state == "open",
    )  # fmt: skip


async def _suggestions_out(
    connection: AsyncConnection, asker: Asker, found: Sequence[Suggestion]
) -> list[SuggestionOut]:
    facts = await suggestions.facts_of(connection, found)
    asked = select(cases.c.case_id, cases.c.number).where(cases.c.case_id.in_({each.case_id for each in found}))
    numbers = {row[0]: row[1] for row in await connection.execute(asked)}
    may, by = reach_of(asker.principal, "faces.confirm") is not None, asker.principal.by
    items = []
    for each in found:
        given = await suggestions.opinions_of(connection, each.suggestion_id)
        is_waiting = each.state in ("open", "split") and by not in {opinion.by for opinion in given}
        items.append(
            suggestion_out(
                each, facts[each.suggestion_id], numbers.get(each.case_id, ""), given,
                suggestions.shown_to(by, each, given), by, may_judge=may and is_waiting,
            )
        )  # fmt: skip
    return items


def _models(doors: Doors) -> list[FaceModel]:
    """Called in a thread."""
    return doors.face_models.look()


def _embedder(models: Sequence[FaceModel]) -> str:
    return next((each.label for each in models if each.task == "embedder"), "")


def _conditions(models: Sequence[FaceModel], current: Switch | None, now_us: int) -> list[ConditionOut]:
    is_asked = current is not None and current.state in ("asked", "on")
    is_on = current is not None and current.state == "on"
    rows: tuple[tuple[Literal["models", "assessed", "approved", "in_time"], bool, str, str], ...] = (
        ("models", not any(each.why for each in models), "未安装人脸检测和人脸特征模型",
         "No models that find and compare faces are here."),
        ("assessed", is_asked, "尚未提出启用申请（法律依据、影响评估编号、负责人、期限）",
         "Nobody asked for it, with legal basis, impact assessment, who answers for it, and an end."),
        ("approved", is_on, "尚未经另一人（法制审核）批准", "Nobody else, of the legal review, has approved it."),
        ("in_time", is_on and current is not None and now_us < current.expires_us, "不在批准的期限内",
         "It is not within a time that was approved."),
    )  # fmt: skip
    return [ConditionOut(condition=name, is_met=is_met, zh=zh, en=en) for name, is_met, zh, en in rows]


def _record_out(counted: suggestions.Counted) -> RecordOut:
    judged = counted.confirmed + counted.rejected
    low, high = wilson(counted.confirmed, judged)
    return RecordOut(
        model=counted.model, threshold=counted.threshold, suggested=counted.suggested, confirmed=counted.confirmed,
        rejected=counted.rejected, precision=round(counted.confirmed / judged, 4) if judged else None,
        precision_low=round(low, 4) if judged else None, precision_high=round(high, 4) if judged else None,
    )  # fmt: skip


def _now_us(doors: Doors) -> int:
    return microseconds(doors.runtime.clock.utc_s())
