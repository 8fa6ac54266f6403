"""What may be searched for in a stream now, and the search: each is in the log first, with case and reason.

A case's gallery is searched in streams of that case: attached to it, or filmed by an officer who is at it now. The
roster is searched while a step of such a case runs, and for nothing else. Expiry is held against the clock in each
call. What is not suggested is forgotten: it reaches no disk and no log. Owned by the event loop's thread. Bounds: 1,000
streams, 20,000 searches remembered.
"""

import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
from sqlalchemy import and_, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender
from cases.casework.actor import PROGRAM, Actor
from cases.casework.rows import all_of
from cases.faces import switch
from cases.faces.galleries import CASE, ROSTER
from cases.faces.people import vector_name
from cases.faces.rows import Gallery, Switch
from cases.faces.shapes import Answer, AnswerKind, Held, Judged, Probe, Searcher, Watching, checked
from cases.faces.suggestions import Target, moment_of, search_of, suggest
from cases.faces.vault import Vault
from cases.facts import Fact, JsonValue, microseconds
from cases.store.engine import Store
from cases.store.tables import cases, face_galleries, face_templates, links, recordings, steps, tasks
from pipeline.clock import Clock
from pipeline.errors import StateConflict, ThingUnknown, WorkerFailed
from pipeline.ids import derived_event_id

__all__ = ["Answer", "Matching", "Probe", "Watching"]

FRESH_S: Final = 0.5
_STREAMS: Final = 1000
_SEARCHES: Final = 20_000
_RANK: Final[dict[AnswerKind, int]] = {"nothing_to_search": 0, "unknown": 1, "near": 2, "suggested": 3}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the store said of a stream. notices: by gallery."""

    read_s: float
    switch: Switch | None
    targets: tuple[tuple[Target, Gallery], ...]


class Matching:
    """Made with each open record, and forgotten with it."""

    def __init__(self, store: Store, appender: Appender, vault: Vault, searcher: Searcher, clock: Clock) -> None:
        self._store = store
        self._appender = appender
        self._vault = vault
        self._searcher = searcher
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()
        self._logged: OrderedDict[str, None] = OrderedDict()
        self._held: dict[str, int] = {}  # sets that the searcher holds: how many templates
        self._loading = anyio.Lock()
        self._changes = 0

    async def probe(self, probe: Probe) -> Answer:
        """Raises: ValueRefused: no vector, or another size than what is held. StoreUnavailable. WorkerFailed."""
        checked(probe.vector)
        found: AnswerKind = "nothing_to_search"
        for target, gallery in await self._in_force(probe.stream_id, probe.model):
            answer = await self._search(probe, target, gallery)
            if _RANK[answer] > _RANK[found]:
                found = answer
        return Answer(found, "" if found != "nothing_to_search" else await self._why(probe.stream_id, probe.model))

    async def watching(self, stream_id: str, model: str = "") -> Watching:
        """Half a second old at most. What the filmed must be told is told with the first yes.

        model: of who asks, the embedder's label; templates of another one are not searched. Empty: of any model.
        Raises: StoreUnavailable.
        """
        targets = await self._in_force(stream_id, model)
        if not targets:
            return Watching(False, self._changes, await self._why(stream_id, model))
        for target, gallery in targets:
            await self._notice(stream_id, target, gallery)
        told = "|".join(sorted(f"{target.gallery_id}/{target.case_id}/{target.step_id}" for target, _ in targets))
        return Watching(True, zlib.crc32(f"{self._changes}|{told}".encode()))

    async def nearest(self, gallery_id: str, model: str, vector: bytes) -> Judged:
        """Of those enrolled, for who enrols. Raises: ValueRefused. StoreUnavailable. WorkerFailed."""
        await self._hold(gallery_id, model)
        return await self._asked(gallery_id, model, checked(vector))

    async def enrolled(self, gallery_id: str, person_id: str) -> None:
        """New templates of this person are searched from now on. Raises: StoreUnavailable."""
        self._changed()
        async with self._loading, self._store.reading() as connection:
            for set_id in [each for each in self._held if each.startswith(f"{gallery_id}|")]:
                model = set_id.partition("|")[2]
                templates = await self._opened(connection, gallery_id, model, person_id)
                try:
                    await self._searcher.remove(set_id, person_id)
                    await self._searcher.add(set_id, templates)
                except WorkerFailed:
                    self._held.clear()
                    return
                self._held[set_id] += len(templates)

    async def removed(self, gallery_id: str, person_id: str) -> None:
        """Nothing of this person is held any more."""
        self._changed()
        async with self._loading:
            for set_id in [each for each in self._held if each.startswith(f"{gallery_id}|")]:
                try:
                    await self._searcher.remove(set_id, person_id)
                except WorkerFailed:
                    self._held.clear()

    async def closed(self, gallery_id: str) -> None:
        """Nothing of this gallery is held any more."""
        self._changed()
        async with self._loading:
            for set_id in [each for each in self._held if each.startswith(f"{gallery_id}|")]:
                del self._held[set_id]
                try:
                    await self._searcher.drop(set_id)
                except WorkerFailed:
                    self._held.clear()

    async def _search(self, probe: Probe, target: Target, gallery: Gallery) -> AnswerKind:
        if not await self._hold(gallery.gallery_id, probe.model):
            return "nothing_to_search"
        try:
            await self._log(probe, target)
            judged = await self._asked(gallery.gallery_id, probe.model, probe.vector, probe.looks, probe.quality)
            now_us = microseconds(self._clock.utc_s())
            if not gallery.is_in_force(now_us):
                return "nothing_to_search"
            if judged.decision == "suggested":
                actor = Actor(PROGRAM, PROGRAM, now_us)
                await self._appender.change(
                    partial(self._suggest, actor=actor, probe=probe, target=target, judged=judged)
                )  # fmt: skip
        except (StateConflict, ThingUnknown):
            return "nothing_to_search"  # what allowed it ended meanwhile
        return judged.decision

    async def _suggest(
        self, connection: AsyncConnection, actor: Actor, probe: Probe, target: Target, judged: Judged
    ) -> tuple[str, Sequence[Fact]]:
        found = await permitted(connection, probe, target, actor.now_us)
        return await suggest(connection, actor, self._vault, probe, found, judged)

    async def _asked(self, gallery_id: str, model: str, vector: bytes, looks: int = 2, quality: float = 1.0) -> Judged:
        try:
            return await self._searcher.search(f"{gallery_id}|{model}", vector, looks, quality)
        except WorkerFailed:
            self._held.clear()
            raise

    async def _log(self, probe: Probe, target: Target) -> None:
        """Once for each track and gallery (see `search_of`), before anything is searched.

        Raises: StoreUnavailable, StateConflict: it may not be searched any more; then nothing is.
        """
        name = derived_event_id("FaceSearched", *search_of(probe, target))
        if name in self._logged:
            return
        now_us = microseconds(self._clock.utc_s())

        async def act(connection: AsyncConnection) -> tuple[None, Sequence[Fact]]:
            found = await permitted(connection, probe, target, now_us)
            body: dict[str, JsonValue] = {
                "gallery_id": found.gallery_id, "gallery_kind": found.gallery_kind, "step_id": found.step_id,
                "reason": found.reason, "recording_id": probe.recording_id, "track": probe.track,
                "start_s": round(probe.start_s, 3), "model": probe.model,
            }  # fmt: skip
            return None, [
                Fact(
                    event_id=name, kind="FaceSearched", at_us=now_us, stream_id=probe.stream_id, case_id=found.case_id,
                    body=body,
                )
            ]  # fmt: skip

        await self._appender.change(act)
        self._remember(name)

    async def _notice(self, stream_id: str, target: Target, gallery: Gallery) -> None:
        """That the filmed are to be told, and what: once for each stream, gallery and case.

        Raises: StoreUnavailable.
        """
        name = derived_event_id("FaceNoticeDue", stream_id, gallery.gallery_id, target.case_id)
        if name in self._logged:
            return
        fact = Fact(
            event_id=name, kind="FaceNoticeDue", at_us=microseconds(self._clock.utc_s()), stream_id=stream_id,
            case_id=target.case_id,
            body={"gallery_id": gallery.gallery_id, "gallery_kind": gallery.kind, "notice": gallery.notice},
        )  # fmt: skip
        await self._appender.append([fact])
        self._remember(name)

    def _remember(self, name: str) -> None:
        self._logged[name] = None
        while len(self._logged) > _SEARCHES:
            self._logged.popitem(last=False)

    async def _hold(self, gallery_id: str, model: str) -> int:
        """How many templates of this model the searcher holds of the gallery now."""
        set_id = f"{gallery_id}|{model}"
        async with self._loading:
            if set_id not in self._held:
                async with self._store.reading() as connection:
                    templates = await self._opened(connection, gallery_id, model)
                await self._searcher.load(set_id, templates)
                self._held[set_id] = len(templates)
            return self._held[set_id]

    async def _opened(
        self, connection: AsyncConnection, gallery_id: str, model: str, person_id: str = ""
    ) -> list[Held]:
        """Those that are enrolled; what has no key any more is passed over."""
        of_it = face_templates.c
        asked = select(of_it.person_id, of_it.template_id, of_it.sealed_vector).where(
            of_it.gallery_id == gallery_id, of_it.model == model, of_it.state == "enrolled"
        )
        if person_id:
            asked = asked.where(of_it.person_id == person_id)
        rows = [(str(row[0]), str(row[1]), bytes(row[2])) for row in await connection.execute(asked)]
        if not rows:
            return []
        sealed = [(person, vector_name(template), raw) for person, template, raw in rows]
        try:
            plain = await anyio.to_thread.run_sync(self._vault.open_many, gallery_id, sealed)
        except ThingUnknown:
            return []
        return [
            Held(person, template, vector)
            for (person, template, _), vector in zip(rows, plain, strict=True)
            if vector is not None
        ]

    def _changed(self) -> None:
        self._changes += 1
        self._seen.clear()

    async def _in_force(self, stream_id: str, model: str = "") -> list[tuple[Target, Gallery]]:
        """Held against the clock at each call; what the store said is half a second old at most."""
        seen = await self._look(stream_id, model)
        now_us = microseconds(self._clock.utc_s())
        if seen.switch is None or not seen.switch.is_on(now_us):
            return []
        return [(target, gallery) for target, gallery in seen.targets if gallery.is_in_force(now_us)]

    async def _why(self, stream_id: str, model: str) -> str:
        """Why nothing is searched: switched_off, other_model (that made the templates), expired, no_gallery."""
        if model and await self._in_force(stream_id):
            return "other_model"
        seen = await self._look(stream_id, model)
        if seen.switch is None or not seen.switch.is_on(microseconds(self._clock.utc_s())):
            return "switched_off"
        return "expired" if seen.targets and not await self._in_force(stream_id) else "no_gallery"

    async def _look(self, stream_id: str, model: str) -> _Seen:
        now_s = self._clock.monotonic_s()
        key = (stream_id, model)
        known = self._seen.get(key)
        if known is not None and abs(now_s - known.read_s) < FRESH_S:
            return known
        async with self._store.reading() as connection:
            on = await switch.current(connection)
            now_us = microseconds(self._clock.utc_s())
            is_on = on is not None and on.is_on(now_us)
            targets = await targets_of(connection, stream_id, now_us, model) if is_on else []
        seen = self._seen[key] = _Seen(now_s, on, tuple(targets))
        self._seen.move_to_end(key)
        while len(self._seen) > _STREAMS:
            self._seen.popitem(last=False)
        return seen


async def targets_of(
    connection: AsyncConnection, stream_id: str, now_us: int, model: str = ""
) -> list[tuple[Target, Gallery]]:
    """Galleries that may be searched in this stream now, each for a case; those without anybody enrolled are none.

    model: of whose templates; empty: of any.
    """
    case_ids = await _cases_of(connection, stream_id, now_us)
    if not case_ids:
        return []
    has_faces = (
        select(face_templates.c.template_id)
        .where(face_templates.c.gallery_id == face_galleries.c.gallery_id, face_templates.c.state == "enrolled")
        .where(face_templates.c.model == model if model else true())
        .exists()
    )
    asked = select(face_galleries).where(
        face_galleries.c.state == "open", face_galleries.c.expires_us > now_us, has_faces,
        or_(
            face_galleries.c.kind == ROSTER,
            and_(face_galleries.c.kind == CASE, face_galleries.c.case_id.in_(case_ids)),
        ),
    )  # fmt: skip
    running = await _running_steps(connection, case_ids)
    found = []
    for gallery in await all_of(connection, Gallery, asked.order_by(face_galleries.c.gallery_id)):
        if gallery.kind == CASE:
            case_id = str(gallery.case_id)
            step_id, kind = running.get(case_id, (None, ""))
            found.append((_target(gallery, case_id, step_id, kind), gallery))
            continue
        found += [(_target(gallery, case_id, *step), gallery) for case_id, step in running.items()]
    return found


async def permitted(connection: AsyncConnection, probe: Probe, target: Target, now_us: int) -> Target:
    """`target` as it stands in this transaction: what was read before may have ended since.

    The roster answers for its step alone: what was filmed before the step began says nothing of who was there.
    Raises: StateConflict: faces are off, gallery, case or step is over, or the stream is no longer of the case.
    """
    await switch.in_force(connection, now_us)
    for found, _ in await targets_of(connection, probe.stream_id, now_us):
        is_same = (found.gallery_id, found.case_id) == (target.gallery_id, target.case_id)
        if not is_same or (found.gallery_kind == ROSTER and found.step_id != target.step_id):
            continue
        if found.gallery_kind == ROSTER:
            asked = select(steps.c.started_us).where(steps.c.step_id == found.step_id)
            if await moment_of(connection, probe, now_us) < int((await connection.execute(asked)).scalar() or 0):
                break
        return found
    raise StateConflict("this may not be searched for here any more")


def _target(gallery: Gallery, case_id: str, step_id: str | None, step_kind: str) -> Target:
    reason = gallery.legal_basis if not step_kind else f"{gallery.legal_basis} ({step_kind})"
    return Target(gallery.gallery_id, gallery.kind, case_id, step_id, reason)


async def _cases_of(connection: AsyncConnection, stream_id: str, now_us: int) -> Sequence[str]:
    """Open cases that the stream is attached to, or that its officer is at now."""
    attached = select(links.c.case_id).where(links.c.stream_id == stream_id, links.c.undone_us.is_(None))
    at_work = (
        select(tasks.c.case_id)
        .join(recordings, recordings.c.officer_id == tasks.c.officer_id)
        .where(
            recordings.c.stream_id == stream_id, tasks.c.from_us <= now_us,
            or_(tasks.c.until_us.is_(None), tasks.c.until_us > now_us), recordings.c.ended_us.is_(None),
        )
    )  # fmt: skip
    asked = select(cases.c.case_id).where(
        cases.c.state == "open", or_(cases.c.case_id.in_(attached), cases.c.case_id.in_(at_work))
    )
    return [row[0] for row in await connection.execute(asked.order_by(cases.c.case_id))]


async def _running_steps(connection: AsyncConnection, case_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """By case: the id and kind of the step that began last and has not ended."""
    asked = (
        select(steps.c.case_id, steps.c.step_id, steps.c.kind)
        .where(steps.c.case_id.in_(case_ids), steps.c.ended_us.is_(None))
        .order_by(steps.c.started_us)
    )
    return {row[0]: (row[1], row[2]) for row in await connection.execute(asked)}
