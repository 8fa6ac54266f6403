"""Enrolment: what was sent becomes a template of one person, or is refused with the reason; nothing else is stored.

One at a time: two who enrol the same face at once would not see each other. Owned by the event loop's thread.
"""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
from sqlalchemy import Select, select

from cases.appender import Appender
from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.rows import find
from cases.faces import people
from cases.faces.galleries import of_gallery, the_gallery
from cases.faces.matching import Matching
from cases.faces.people import Moment, Source, Who, vector_name
from cases.faces.rows import MOST_TEXT, Gallery, Person
from cases.faces.shapes import Enrolled, Enrolment, Refused, checked, likeness
from cases.faces.vault import Vault
from cases.facts import JsonValue
from cases.store.engine import Store
from cases.store.tables import face_persons, face_templates
from pipeline.errors import FaceRefused

MOST_PICTURES: Final = 5
MOST_BODIES: Final = 2
"""That lie in memory at once, with what is cut out of them: a gigabyte at most, beside what is being recorded."""


class Enrolling:
    """Made with each open record. one: held by who compares and stores. bodies: while what was sent is in memory."""

    def __init__(
        self, store: Store, appender: Appender, vault: Vault, matching: Matching, enrolment: Enrolment,
        most_persons: int,
    ) -> None:  # fmt: skip
        self._store = store
        self._appender = appender
        self._vault = vault
        self._matching = matching
        self._enrolment = enrolment
        self._most_persons = most_persons
        self.one = anyio.Lock()
        self.bodies = anyio.Semaphore(MOST_BODIES)

    async def enrol(
        self, actor: Actor, gallery_id: str, who: Who, kind: str, field: str, sent: Sequence[bytes],
        moment: Moment | None = None,
    ) -> Person:  # fmt: skip
        """The same Idempotency-Key enrols a new person once.

        kind: picture, video. field: what a refusal names: photos, video, moment. moment: where that is of a recording.
        The caller has checked that the gallery is within reach. Raises: FaceRefused: with a code; a face of another
        person of the gallery is a `duplicate`. ValueRefused. StateConflict: faces are off, the gallery is not in force
        or full. ThingUnknown. ModelError. WorkerFailed.
        """
        if not 1 <= len(sent) <= MOST_PICTURES:
            raise FaceRefused(field, "empty", f"send 1 to {MOST_PICTURES}")
        async with self.one:
            async with self._store.reading() as connection:
                gallery = await the_gallery(connection, gallery_id)
                known = await find(connection, Person, face_persons, actor.new_id("fper")) if actor.key else None
                if known is not None:
                    return known
                same = await people.standing(connection, gallery, who)
            faces = [await self.face(kind, field, data, index) for index, data in enumerate(sent)]
            try:
                await self.compare(gallery, "" if same is None else same.person_id, field, faces)
                if same is not None:
                    await self._check_own(same, field, faces)
            except FaceRefused as error:
                await self._tell(actor, gallery, who, faces[0].model, error)
                raise
            source = Source(field, tuple(hashlib.sha256(each).hexdigest() for each in sent), moment)
            person = await self._appender.change(
                partial(
                    people.propose, actor=actor, vault=self._vault, gallery_id=gallery_id, who=who, faces=faces,
                    source=source, most_persons=self._most_persons,
                )
            )  # fmt: skip
        if person.state == "enrolled":
            await self._matching.enrolled(gallery_id, person.person_id)
        return person

    async def face(self, kind: str, field: str, data: bytes, index: int) -> Enrolled:
        """kind: picture, video, or crop. Raises: FaceRefused, ValueRefused, ModelError, WorkerFailed."""
        found = await self._enrolment.enrol(kind, data)
        if isinstance(found, Refused):
            raise FaceRefused(field, found.reason, found.detail, index)
        checked(found.vector)
        return found

    async def compare(self, gallery: Gallery, own: str, field: str, faces: Sequence[Enrolled]) -> None:
        """One person in all of them, and no other of the gallery. Raises: FaceRefused."""
        first = faces[0]
        for index, face in enumerate(faces):
            nearest = await self._matching.nearest(gallery.gallery_id, face.model, face.vector)
            bound = nearest.bound.similarity
            if face.model != first.model or likeness(face.vector, first.vector) < bound:
                raise FaceRefused(field, "several_persons", "these are not all of one person; send each alone", index)
            other = ""
            if nearest.person_id and nearest.similarity >= bound:
                other = nearest.person_id
                if other == own:
                    other = "another" if nearest.second >= bound else ""
            other = other or await self._proposed(gallery.gallery_id, own, face, bound)
            if other:
                raise FaceRefused(field, "duplicate", f"as near as the bound to {other} of this gallery", index)

    async def _check_own(self, person: Person, field: str, faces: Sequence[Enrolled]) -> None:
        """Who has templates gets more of the same face alone; or a name could come to stand for two people.

        Not where there is none of this model: then nothing can be compared. Raises: FaceRefused.
        """
        of_it, model = face_templates.c, faces[0].model
        asked = select(of_it.person_id, of_it.template_id, of_it.sealed_vector).where(
            of_it.person_id == person.person_id, of_it.model == model
        )
        held = [vector for _, vector in await self._opened(person.gallery_id, asked)]
        for index, face in enumerate(faces):
            bound = (await self._matching.nearest(person.gallery_id, model, face.vector)).bound.similarity
            if held and max(likeness(vector, face.vector) for vector in held) < bound:
                raise FaceRefused(field, "several_persons", f"this is not the face of {person.person_id}", index)

    async def _tell(self, actor: Actor, gallery: Gallery, who: Who, model: str, error: FaceRefused) -> None:
        """Before it is answered: that a face is, or is not, somebody's of the gallery is what a search says, too."""
        body: dict[str, JsonValue] = {
            "gallery_id": gallery.gallery_id, "gallery_kind": gallery.kind, "reason": error.code,
            "detail": error.reason, "basis": values.paragraph("basis", who.basis, MOST_TEXT), "model": model,
        }  # fmt: skip
        ids = (gallery.gallery_id, actor.by, actor.now_us)
        await self._appender.append([of_gallery("EnrolmentRefused", actor, gallery, ids, body)])

    async def _proposed(self, gallery_id: str, own: str, face: Enrolled, bound: float) -> str:
        """Who else, of those that wait for a second person, looks as alike; empty: nobody."""
        of_it = face_templates.c
        asked = select(of_it.person_id, of_it.template_id, of_it.sealed_vector).where(
            of_it.gallery_id == gallery_id, of_it.model == face.model, of_it.state == "proposed",
            of_it.person_id != own,
        )  # fmt: skip
        for person_id, vector in await self._opened(gallery_id, asked):
            if likeness(vector, face.vector) >= bound:
                return person_id
        return ""

    async def _opened(self, gallery_id: str, asked: Select[str, str, bytes]) -> list[tuple[str, bytes]]:
        """Person and vector of each; without those whose key was destroyed."""
        async with self._store.reading() as connection:
            rows = [(str(row[0]), str(row[1]), bytes(row[2])) for row in await connection.execute(asked)]
        if not rows:
            return []
        sealed = [(person, vector_name(template), raw) for person, template, raw in rows]
        plain = await anyio.to_thread.run_sync(self._vault.open_many, gallery_id, sealed)
        return [(row[0], vector) for row, vector in zip(rows, plain, strict=True) if vector is not None]
