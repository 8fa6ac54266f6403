"""After another embedder was chosen: templates are made anew from the pictures that were kept, sealed, beside them.

Each alone and whole: the new one in and the old one out in one transaction, then the old key is destroyed. A picture is
open in memory, and in the child that reads it, and nowhere else. Owned by the event loop's thread.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender
from cases.casework.actor import Actor
from cases.casework.rows import all_of, find
from cases.faces import galleries, people
from cases.faces.enrolling import Enrolling
from cases.faces.galleries import of_gallery, the_gallery
from cases.faces.matching import Matching
from cases.faces.people import crop_name, vector_name
from cases.faces.rows import TEMPLATES, Gallery, Person, Template
from cases.faces.shapes import Enrolled
from cases.faces.vault import Vault
from cases.facts import Fact, JsonValue, parse_entry
from cases.store.engine import Store
from cases.store.tables import events, face_persons, face_suggestions, face_templates
from pipeline.errors import EvidenceError, FaceRefused, ThingUnknown, ValueRefused

MOST_AT_ONCE: Final = 4
"""Of one call: each starts a process that loads the models, a second or two."""


@dataclass(frozen=True, slots=True)
class NotRenewed:
    """reason: no_key, damaged, duplicate, no_vector, or as a picture is refused. detail: in words, nothing personal."""

    template_id: str
    person_id: str
    name: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """next_after: where the next call begins; empty: all were tried. left: that come behind it."""

    renewed: int
    refused: tuple[NotRenewed, ...]
    next_after: str
    left: int


class Renewing:
    """Made with each open record."""

    def __init__(
        self, store: Store, appender: Appender, vault: Vault, matching: Matching, enrolling: Enrolling
    ) -> None:  # fmt: skip
        self._store = store
        self._appender = appender
        self._vault = vault
        self._matching = matching
        self._enrolling = enrolling

    async def renew(self, actor: Actor, gallery_id: str, model: str, after: str = "") -> Renewed:
        """At most MOST_AT_ONCE templates of a gallery that are of another model than this label, behind `after`.

        What cannot be made anew stays as it is, not searched, and is told. The caller has checked that the gallery is
        within reach. Raises: ThingUnknown. StateConflict: faces are off, or the gallery not in force. ModelError.
        WorkerFailed. StorageError.
        """
        async with self._store.reading() as connection:
            gallery = await the_gallery(connection, gallery_id)
            await people.check_in_force(connection, gallery, actor.now_us)
            is_stale = stale_of(gallery_id, model) & (face_templates.c.template_id > after)
            asked = TEMPLATES.where(is_stale).order_by(face_templates.c.template_id).limit(MOST_AT_ONCE)
            found = await all_of(connection, Template, asked)
        done = [await self._renew(actor, gallery, old) for old in found]
        refused = tuple(each for each in done if isinstance(each, NotRenewed))
        last = found[-1].template_id if found else ""
        async with self._store.reading() as connection:
            behind = select(func.count()).where(stale_of(gallery_id, model), face_templates.c.template_id > last)
            left = int((await connection.execute(behind)).scalar() or 0) if last else 0
        return Renewed(done.count(True), refused, last if left else "", left)

    async def _renew(self, actor: Actor, gallery: Gallery, old: Template) -> NotRenewed | bool:
        """False: it is of the model of now, or gone meanwhile."""
        async with self._enrolling.one:
            reason, detail = "", ""
            try:
                face = await self._enrolling.face("crop", "template", await self._crop(old), 0)
                await self._enrolling.compare(gallery, old.person_id, "template", [face])
            except FaceRefused as error:
                reason, detail = error.code, error.reason.partition(": ")[2]
            except ThingUnknown:
                reason, detail = "no_key", "its key was destroyed"
            except EvidenceError:
                reason, detail = "damaged", "what is stored of it does not open"
            except ValueRefused as error:
                reason, detail = "no_vector", str(error)
            if reason:
                return await self._told(actor, gallery, old, reason, detail)
            with anyio.CancelScope(shield=True):
                is_done = await self._appender.change(
                    partial(replace, actor=actor, vault=self._vault, old=old, face=face)
                )  # fmt: skip
                if is_done:
                    await anyio.to_thread.run_sync(
                        self._vault.shred_one, old.gallery_id, old.person_id, old.template_id
                    )  # fmt: skip
        await self._matching.enrolled(old.gallery_id, old.person_id)
        return is_done

    async def _crop(self, old: Template) -> bytes:
        """Raises: ThingUnknown: its key, or all of it, is gone. EvidenceError."""
        asked = select(face_templates.c.sealed_crop).where(face_templates.c.template_id == old.template_id)
        async with self._store.reading() as connection:
            sealed = (await connection.execute(asked)).scalar()
        if sealed is None:
            raise ThingUnknown("this template is gone")
        return await anyio.to_thread.run_sync(
            self._vault.open, old.gallery_id, old.person_id, crop_name(old.template_id), bytes(sealed)
        )

    async def _told(self, actor: Actor, gallery: Gallery, old: Template, reason: str, detail: str) -> NotRenewed:
        async with self._store.reading() as connection:
            person = await find(connection, Person, face_persons, old.person_id)
        body: dict[str, JsonValue] = {
            "gallery_id": gallery.gallery_id, "person_id": old.person_id, "template_id": old.template_id,
            "before": old.model, "reason": reason,
        }  # fmt: skip
        ids = (old.template_id, actor.now_us)
        await self._appender.append([of_gallery("TemplateNotRenewed", actor, gallery, ids, body)])
        return NotRenewed(old.template_id, old.person_id, "" if person is None else person.name, reason, detail)


def stale_of(gallery_id: str, model: str) -> ColumnElement[bool]:
    """Of `face_templates`."""
    return (face_templates.c.gallery_id == gallery_id) & (face_templates.c.model != model)


async def heir_of(connection: AsyncConnection, template_id: str) -> str:
    """What this template became by now: the same picture, of another model. Itself, where it was never made anew."""
    of_it = events.c.entry.contains(f'"of":"{template_id}"', autoescape=True)
    asked = select(events.c.entry).where(events.c.kind == "TemplateRenewed", of_it)
    entry = (await connection.execute(asked)).scalar()
    if entry is None:
        return template_id
    return await heir_of(connection, str(parse_entry(entry.encode())[0].body["template_id"]))


async def replace(
    connection: AsyncConnection, actor: Actor, vault: Vault, old: Template, face: Enrolled
) -> tuple[bool, Sequence[Fact]]:
    """Whether it was; not: it is of this model already, or it is gone meanwhile. Who added it, when, and whether it was
    confirmed stay as they are: the picture is the same.

    Raises: ThingUnknown, StateConflict, StorageError.
    """
    gallery = await the_gallery(connection, old.gallery_id)
    await people.check_in_force(connection, gallery, actor.now_us)
    found = await all_of(connection, Template, TEMPLATES.where(face_templates.c.template_id == old.template_id))
    if not found or found[0].model == face.model:
        return False, ()
    still = found[0]
    template_id = f"ftpl_{secrets.token_hex(12)}"
    key = still.gallery_id, still.person_id
    vector = await anyio.to_thread.run_sync(vault.seal, *key, vector_name(template_id), face.vector)
    crop = await anyio.to_thread.run_sync(vault.seal, *key, crop_name(template_id), face.crop)
    await connection.execute(
        insert(face_templates).values(
            template_id=template_id, person_id=still.person_id, gallery_id=still.gallery_id, model=face.model,
            state=still.state, added_by=still.added_by, added_us=still.added_us, quality=still.quality,
            sealed_vector=vector, sealed_crop=crop,
        )
    )  # fmt: skip
    await galleries.forget(
        connection, face_templates.c.template_id == still.template_id, face_suggestions.c.person_id == ""
    )
    body: dict[str, JsonValue] = {
        "gallery_id": still.gallery_id, "person_id": still.person_id, "template_id": template_id, "model": face.model,
        "of": still.template_id, "before": still.model,
    }  # fmt: skip
    return True, (of_gallery("TemplateRenewed", actor, gallery, (template_id,), body),)
