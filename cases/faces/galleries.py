"""Galleries: whose faces may be searched for. The officers of the roster, or the parties of one open case.

Closing one destroys its keys first, so that its templates are gone even where a copy of the database lies, and then
its rows, in the transaction that tells it.
Sources: 人脸识别技术应用安全管理办法 (2025) art. 4, 8; 个人信息保护法 art. 6, 19, 47.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import anyio.to_thread
from sqlalchemy import ColumnElement, and_, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.access.principal import ADMINISTRATORS
from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.case_acts import the_open_case
from cases.casework.rows import all_of, find
from cases.faces import switch
from cases.faces.rows import MOST_TEXT, Gallery
from cases.faces.vault import Vault
from cases.facts import Fact, JsonValue
from cases.reach import Within
from cases.store.tables import cases, face_galleries, face_persons, face_suggestions, face_templates
from pipeline.errors import StateConflict, ThingUnknown, ValueRefused
from pipeline.ids import derived_event_id

ROSTER, CASE = "roster", "case"
_LEAST_US = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryWanted:
    """As it was typed."""

    kind: str
    case_id: str | None
    legal_basis: str
    notice: str
    expires_us: int


async def open_gallery(
    connection: AsyncConnection, actor: Actor, wanted: GalleryWanted
) -> tuple[Gallery, Sequence[Fact]]:
    """The caller has checked that the case is within reach.

    Raises: ValueRefused. ThingUnknown. StateConflict: faces are off, the case is closed, or there is one already.
    """
    on = await switch.in_force(connection, actor.now_us)
    if wanted.kind not in (ROSTER, CASE):
        raise ValueRefused("kind", "a gallery is of the roster, or of one case; there is no other")
    if (wanted.kind == CASE) != bool(wanted.case_id):
        raise ValueRefused("case_id", "a gallery of a case names it; the roster's names none")
    if not actor.now_us + _LEAST_US <= wanted.expires_us <= on.expires_us:
        raise ValueRefused("expires_at", "it must lie ahead, and not after the end of the switch")
    gallery = Gallery(
        actor.new_id("fgal"), wanted.kind, wanted.case_id or None, on.switch_id,
        values.paragraph("legal_basis", wanted.legal_basis, MOST_TEXT),
        values.paragraph("notice", wanted.notice, MOST_TEXT), wanted.expires_us, "open", actor.by, actor.name,
        actor.now_us, None, "",
    )  # fmt: skip
    known = await find(connection, Gallery, face_galleries, gallery.gallery_id)
    if known is not None:
        if (known.kind, known.case_id) != (gallery.kind, gallery.case_id):
            raise StateConflict("this Idempotency-Key opened something else")
        return known, ()
    if gallery.case_id is not None:
        await the_open_case(connection, gallery.case_id)
    same = select(face_galleries.c.gallery_id).where(
        face_galleries.c.state == "open", face_galleries.c.kind == gallery.kind,
        face_galleries.c.case_id.is_(None) if gallery.case_id is None else face_galleries.c.case_id == gallery.case_id,
    )  # fmt: skip
    if (await connection.execute(same)).first():
        raise StateConflict("there is one already; close it, or enrol into it")
    await connection.execute(
        insert(face_galleries).values({name: getattr(gallery, name) for name in gallery.__slots__})
    )  # fmt: skip
    body: dict[str, JsonValue] = {
        "gallery_id": gallery.gallery_id, "gallery_kind": gallery.kind, "switch_id": gallery.switch_id,
        "legal_basis": gallery.legal_basis, "notice": gallery.notice, "expires_us": gallery.expires_us,
    }  # fmt: skip
    return gallery, (of_gallery("GalleryOpened", actor, gallery, (gallery.gallery_id,), body),)


async def close(
    connection: AsyncConnection, actor: Actor, vault: Vault, gallery_id: str, how: str, why: str = ""
) -> tuple[Gallery, Sequence[Fact]]:
    """Its keys are destroyed, its templates and pictures deleted. how: by_person, expired, case_closed, switched_off.

    Raises: ThingUnknown. StateConflict: it is closed. StorageError: its keys cannot be destroyed; nothing is told.
    """
    gallery = await the_gallery(connection, gallery_id)
    if gallery.state == "closed":
        raise StateConflict("it is closed already")
    of_it = face_templates.c.gallery_id == gallery_id
    templates = int((await connection.execute(select(func.count()).where(of_it))).scalar() or 0)
    persons = await connection.execute(select(func.count(face_templates.c.person_id.distinct())).where(of_it))
    count = int(persons.scalar() or 0)
    await anyio.to_thread.run_sync(vault.shred_gallery, gallery_id)
    await forget(connection, of_it, face_suggestions.c.gallery_id == gallery_id)
    await connection.execute(
        update(face_galleries)
        .where(face_galleries.c.gallery_id == gallery_id)
        .values(state="closed", closed_us=actor.now_us, end_reason=how)
    )
    await connection.execute(
        update(face_persons)
        .where(face_persons.c.gallery_id == gallery_id, face_persons.c.state.in_(("proposed", "enrolled")))
        .values(state="gone")
    )
    await connection.execute(
        update(face_suggestions)
        .where(face_suggestions.c.gallery_id == gallery_id, face_suggestions.c.state.in_(("open", "split")))
        .values(state="withdrawn", decided_us=actor.now_us)
    )
    body: dict[str, JsonValue] = {
        "gallery_id": gallery_id, "reason": how, "why": why, "templates": templates, "persons": count,
    }  # fmt: skip
    return await the_gallery(connection, gallery_id), (
        of_gallery("GalleryClosed", actor, gallery, (gallery_id,), body),
    )


async def forget(connection: AsyncConnection, templates: ColumnElement[bool], suggestions: ColumnElement[bool]) -> None:
    """Delete sealed rows of `face_templates`, and the pictures of `face_suggestions`; SQLite writes zeros over them."""
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        await connection.execute(text("PRAGMA secure_delete=ON"))
    await connection.execute(face_templates.delete().where(templates))
    await connection.execute(
        update(face_suggestions)
        .where(suggestions, face_suggestions.c.sealed_shot.is_not(None))
        .values(sealed_shot=None)
    )
    if is_sqlite:
        await connection.execute(text("PRAGMA secure_delete=OFF"))


async def the_gallery(
    connection: AsyncConnection, gallery_id: str, reached: ColumnElement[bool] | None = None
) -> Gallery:
    """Raises: ThingUnknown: there is none, or it is out of reach; nobody learns which."""
    asked = select(face_galleries).where(face_galleries.c.gallery_id == gallery_id)
    found = await all_of(connection, Gallery, asked if reached is None else asked.where(reached))
    if not found:
        raise ThingUnknown("no such gallery")
    return found[0]


def reached_galleries(within: Within) -> ColumnElement[bool]:
    """Of `face_galleries`: the roster's, and those of cases within reach; an administrator reaches no case's."""
    roster = face_galleries.c.kind == ROSTER
    if within.principal.role in ADMINISTRATORS:
        return roster
    return or_(roster, and_(face_galleries.c.kind == CASE, of_reached_case(within, face_galleries.c.case_id)))


def of_reached_case(within: Within, case_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a column's case is within reach."""
    return select(cases.c.case_id).where(cases.c.case_id == case_id, within.cases()).exists()


def of_gallery(
    kind: str, actor: Actor, gallery: Gallery, ids: Sequence[str | int], body: dict[str, JsonValue]
) -> Fact:  # fmt: skip
    """A fact of the case, where the gallery has one."""
    return Fact(
        event_id=derived_event_id(kind, *ids), kind=kind, at_us=actor.now_us, case_id=gallery.case_id, by=actor.by,
        body={**body, "by_name": actor.name},
    )  # fmt: skip
