"""Persons of a gallery: proposed by one, and, in a case's gallery, confirmed by another before a template is searched.

Their keys, and that of a template that is refused, are destroyed before the rows are deleted.
Sources: 个人信息保护法 art. 13, 29, 47.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import anyio.to_thread
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.rows import all_of, find, the_officer
from cases.faces import galleries, switch
from cases.faces.galleries import ROSTER, of_gallery, the_gallery
from cases.faces.rows import MOST_REASON, MOST_TEXT, TEMPLATES, Gallery, Person, Template
from cases.faces.shapes import Enrolled
from cases.faces.vault import Vault
from cases.facts import Fact, JsonValue
from cases.store.tables import face_persons, face_suggestions, face_templates
from pipeline.errors import StateConflict, ThingUnknown, ValueRefused

MOST_OF_CASE = 500  # persons of one case's gallery: its parties
MOST_TEMPLATES = 20  # of one person
STANDING = ("proposed", "enrolled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """As it was typed. person_id: one of the gallery who gets more templates; empty: a new person."""

    name: str = ""
    party: str = ""
    officer_id: str = ""
    person_id: str = ""
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """Of a recording, seconds of its axis. approval_id: in force, which let it be looked at."""

    recording_id: str
    start_s: float
    end_s: float
    approval_id: str


@dataclass(frozen=True, slots=True)
class Source:
    """What faces were made from; it is not kept. made_of: photos, video, moment. sha256: of each file that was sent."""

    made_of: str
    sha256: tuple[str, ...]
    moment: Moment | None = None


def vector_name(template_id: str) -> str:
    """What a template's vector is sealed as."""
    return f"vector {template_id}"


def crop_name(template_id: str) -> str:
    return f"crop {template_id}"


async def propose(
    connection: AsyncConnection, actor: Actor, vault: Vault, gallery_id: str, who: Who, faces: Sequence[Enrolled],
    source: Source, most_persons: int,
) -> tuple[Person, Sequence[Fact]]:  # fmt: skip
    """Into the roster at once; into a case's gallery once somebody else confirms.

    The caller has compared the faces with those of the gallery. Raises: ThingUnknown, ValueRefused, StorageError.
    StateConflict: faces are off, the gallery is not in force, or full.
    """
    gallery = await the_gallery(connection, gallery_id)
    await check_in_force(connection, gallery, actor.now_us)
    known = await find(connection, Person, face_persons, actor.new_id("fper")) if actor.key else None
    if known is not None:
        return known, ()
    person = await standing(connection, gallery, who)
    is_new = person is None
    if person is None:
        person = await _new(connection, actor, gallery, who)
        await _check_room(connection, gallery, most_persons)
    else:
        values.paragraph("basis", who.basis, MOST_TEXT)
        of_person = select(func.count()).where(face_templates.c.person_id == person.person_id)
        if int((await connection.execute(of_person)).scalar() or 0) + len(faces) > MOST_TEMPLATES:
            raise StateConflict(f"a person has {MOST_TEMPLATES} templates at most; delete the person, and enrol anew")
    made: list[JsonValue] = []
    if is_new:
        await connection.execute(
            insert(face_persons).values({name: getattr(person, name) for name in person.__slots__})
        )  # fmt: skip
    await anyio.to_thread.run_sync(vault.make_key, gallery_id, person.person_id)
    for face in faces:
        template_id = f"ftpl_{secrets.token_hex(12)}"
        key = gallery_id, person.person_id
        vector = await anyio.to_thread.run_sync(vault.seal, *key, vector_name(template_id), face.vector)
        crop = await anyio.to_thread.run_sync(vault.seal, *key, crop_name(template_id), face.crop)
        quality = round(face.quality, 4)
        await connection.execute(
            insert(face_templates).values(
                template_id=template_id, person_id=person.person_id, gallery_id=gallery_id, model=face.model,
                state="proposed", added_by=actor.by, added_us=actor.now_us, quality=quality, sealed_vector=vector,
                sealed_crop=crop,
            )
        )  # fmt: skip
        made.append({"template_id": template_id, "model": face.model, "quality": quality})
    body: dict[str, JsonValue] = {
        "gallery_id": gallery_id, "person_id": person.person_id, "is_new": is_new, "name": person.name,
        "party": person.party, "officer_id": person.officer_id, "templates": made,
        "basis": values.paragraph("basis", who.basis, MOST_TEXT), **_told(source),
    }  # fmt: skip
    ids = (person.person_id, *(str(each["template_id"]) for each in made if isinstance(each, dict)))
    told = [of_gallery("PersonProposed", actor, gallery, ids, body)]
    if gallery.kind == ROSTER:
        person, enrolled = await _enrol(connection, actor, gallery, person)
        told += enrolled
    return person, told


async def confirm(
    connection: AsyncConnection, actor: Actor, person_id: str
) -> tuple[Person, Sequence[Fact]]:  # fmt: skip
    """What others proposed of this person is searched from now on.

    Raises: ThingUnknown. StateConflict: one's own proposal; nothing waits; faces are off or the gallery not in force.
    """
    person = await the_person(connection, person_id)
    gallery = await the_gallery(connection, person.gallery_id)
    await check_in_force(connection, gallery, actor.now_us)
    waiting = [each for each in await templates_of(connection, person_id) if each.state == "proposed"]
    if person.state not in STANDING or not waiting:
        raise StateConflict("nothing of this person waits for a second person")
    if actor.by in {person.proposed_by if person.state == "proposed" else "", *(each.added_by for each in waiting)}:
        raise StateConflict("nobody confirms what he proposed himself; another person must look")
    return await _enrol(connection, actor, gallery, person)


async def refuse(
    connection: AsyncConnection, actor: Actor, vault: Vault, person_id: str, reason: str
) -> tuple[Person, Sequence[Fact]]:
    """What waits of this person is deleted, its keys first; who proposed may take it back so.

    Raises: as `confirm`, StorageError.
    """
    person = await the_person(connection, person_id)
    gallery = await the_gallery(connection, person.gallery_id)
    waiting = [each for each in await templates_of(connection, person_id) if each.state == "proposed"]
    if person.state not in STANDING or not waiting:
        raise StateConflict("nothing of this person waits for a second person")
    why = values.paragraph("reason", reason, MOST_REASON)
    ids = [each.template_id for each in waiting]
    if person.state == "proposed":
        await anyio.to_thread.run_sync(vault.shred_person, gallery.gallery_id, person_id)
        await _decide(connection, actor, person_id, "refused")
    else:
        for template_id in ids:
            await anyio.to_thread.run_sync(vault.shred_one, gallery.gallery_id, person_id, template_id)
    of_them = face_templates.c.template_id.in_(ids)
    await galleries.forget(connection, of_them, face_suggestions.c.person_id == "")
    body: dict[str, JsonValue] = {
        "gallery_id": gallery.gallery_id, "person_id": person_id, "is_whole": person.state == "proposed",
        "template_ids": [*ids], "reason": why,
    }  # fmt: skip
    told = of_gallery("PersonRefused", actor, gallery, (person_id, *ids), body)
    return await the_person(connection, person_id), (told,)


async def delete(
    connection: AsyncConnection, actor: Actor, vault: Vault, person_id: str, reason: str
) -> tuple[Person, Sequence[Fact]]:
    """Key, templates and pictures are gone. Raises: ThingUnknown, ValueRefused, StateConflict, StorageError."""
    person = await the_person(connection, person_id)
    gallery = await the_gallery(connection, person.gallery_id)
    if person.state not in STANDING:
        raise StateConflict(f"it is {person.state} already")
    why = values.paragraph("reason", reason, MOST_REASON)
    count = len(await templates_of(connection, person_id))
    await anyio.to_thread.run_sync(vault.shred_person, gallery.gallery_id, person_id)
    of_person = face_suggestions.c.person_id == person_id
    await galleries.forget(connection, face_templates.c.person_id == person_id, of_person)
    await connection.execute(
        update(face_suggestions)
        .where(of_person, face_suggestions.c.state.in_(("open", "split")))
        .values(state="withdrawn", decided_us=actor.now_us)
    )
    await _decide(connection, actor, person_id, "deleted")
    body: dict[str, JsonValue] = {
        "gallery_id": gallery.gallery_id, "person_id": person_id, "templates": count, "reason": why,
    }  # fmt: skip
    return await the_person(connection, person_id), (of_gallery("PersonDeleted", actor, gallery, (person_id,), body),)


async def standing(connection: AsyncConnection, gallery: Gallery, who: Who) -> Person | None:
    """The one of the gallery who gets more templates: named, or the same officer. Raises: ThingUnknown."""
    asked = select(face_persons).where(
        face_persons.c.gallery_id == gallery.gallery_id, face_persons.c.state.in_(STANDING)
    )
    if who.person_id:
        found = await all_of(connection, Person, asked.where(face_persons.c.person_id == who.person_id))
        if not found:
            raise ThingUnknown("no such person in this gallery")
        return found[0]
    if gallery.kind != ROSTER or not who.officer_id:
        return None
    found = await all_of(connection, Person, asked.where(face_persons.c.officer_id == who.officer_id))
    return found[0] if found else None


async def the_person(connection: AsyncConnection, person_id: str) -> Person:
    """Raises: ThingUnknown."""
    person = await find(connection, Person, face_persons, person_id)
    if person is None:
        raise ThingUnknown("no such person")
    return person


async def templates_of(connection: AsyncConnection, person_id: str) -> list[Template]:
    """The oldest first."""
    asked = TEMPLATES.where(face_templates.c.person_id == person_id)
    return await all_of(connection, Template, asked.order_by(face_templates.c.added_us, face_templates.c.template_id))


async def count(connection: AsyncConnection) -> int:
    """Persons whose templates are stored, proposed ones too. Source: 人脸识别技术应用安全管理办法 (2025) art. 15."""
    found = await connection.execute(select(func.count(face_templates.c.person_id.distinct())))
    return int(found.scalar() or 0)


async def check_in_force(connection: AsyncConnection, gallery: Gallery, now_us: int) -> None:
    """Raises: StateConflict: faces are off, or this gallery is closed or over."""
    await switch.in_force(connection, now_us)
    if not gallery.is_in_force(now_us):
        raise StateConflict("this gallery is closed, or its time is over")


async def _check_room(connection: AsyncConnection, gallery: Gallery, most_persons: int) -> None:
    if await count(connection) >= most_persons:
        raise StateConflict(
            f"faces of {most_persons} persons are stored, which is the limit set (faces.most_persons); "
            "close galleries that are done with"
        )
    if gallery.kind != ROSTER:
        standing_ = select(func.count()).where(
            face_persons.c.gallery_id == gallery.gallery_id, face_persons.c.state.in_(STANDING)
        )
        if int((await connection.execute(standing_)).scalar() or 0) >= MOST_OF_CASE:
            raise StateConflict(f"a gallery of a case has {MOST_OF_CASE} persons at most: its parties, nobody else")


def _told(source: Source) -> dict[str, JsonValue]:
    """As PersonProposed has it."""
    found: dict[str, JsonValue] = {"made_of": source.made_of, "sent": [*source.sha256]}
    if (moment := source.moment) is not None:
        found["approval_id"] = moment.approval_id
        found["media"] = {
            "recording_id": moment.recording_id, "start_s": round(moment.start_s, 3), "end_s": round(moment.end_s, 3)
        }  # fmt: skip
    return found


async def _new(connection: AsyncConnection, actor: Actor, gallery: Gallery, who: Who) -> Person:
    if gallery.kind == ROSTER:
        if not who.officer_id:
            raise ValueRefused("officer_id", "name the officer; only officers are in the roster")
        name = (await the_officer(connection, who.officer_id)).name
    elif who.officer_id:
        raise ValueRefused("officer_id", "officers are enrolled into the roster")
    else:
        name = values.name("name", who.name)
    return Person(
        actor.new_id("fper"), gallery.gallery_id, name, values.optional_name("party", who.party),
        who.officer_id or None, values.paragraph("basis", who.basis, MOST_TEXT), "proposed", actor.by, actor.name,
        actor.now_us, None, "", None,
    )  # fmt: skip


async def _enrol(
    connection: AsyncConnection, actor: Actor, gallery: Gallery, person: Person
) -> tuple[Person, Sequence[Fact]]:
    waiting = [each for each in await templates_of(connection, person.person_id) if each.state == "proposed"]
    ids = [each.template_id for each in waiting]
    await connection.execute(
        update(face_templates).where(face_templates.c.template_id.in_(ids)).values(state="enrolled")
    )
    await _decide(connection, actor, person.person_id, "enrolled")
    body: dict[str, JsonValue] = {
        "gallery_id": gallery.gallery_id, "person_id": person.person_id, "template_ids": [*ids],
    }  # fmt: skip
    told = of_gallery("PersonEnrolled", actor, gallery, (person.person_id, *ids), body)
    return await the_person(connection, person.person_id), (told,)


async def _decide(connection: AsyncConnection, actor: Actor, person_id: str, state: str) -> None:
    await connection.execute(
        update(face_persons).where(face_persons.c.person_id == person_id).values(
            state=state, decided_by=actor.by, decided_name=actor.name, decided_us=actor.now_us,
        )
    )  # fmt: skip
