"""Who ends what is over: a switch or a gallery past its time, galleries of closed cases, keys that belong to nobody.

Looks twice a second, and at once when it is called; what a crash left half done is done at the next start.
"""

from functools import partial
from typing import Final

import anyio
import anyio.to_thread
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender
from cases.casework.actor import PROGRAM, Actor
from cases.casework.rows import all_of
from cases.faces import galleries, people, switch
from cases.faces.matching import Matching
from cases.faces.rows import Gallery, Switch
from cases.faces.vault import Rotated, Vault
from cases.facts import Fact, microseconds
from cases.store.engine import Store
from cases.store.tables import cases, face_galleries, face_persons, face_suggestions, face_templates
from pipeline.clock import Clock
from pipeline.errors import StateConflict, StorageError
from pipeline.ids import derived_event_id

log = structlog.get_logger(__name__)

EVERY_S: Final = 0.5


class Keeper:
    """`run` must run. Owned by the event loop's thread. count: persons whose faces are stored, half a second old."""

    def __init__(self, store: Store, appender: Appender, vault: Vault, matching: Matching, clock: Clock) -> None:
        self.count = 0
        self._store = store
        self._appender = appender
        self._vault = vault
        self._matching = matching
        self._clock = clock
        self._turn = anyio.Lock()
        self._said: dict[str, str] = {}  # what goes on failing, by gallery: told once, not twice a second

    async def run(self) -> None:
        """Until cancelled. Raises: StoreUnavailable."""
        while True:
            await self.turn()
            await anyio.sleep(EVERY_S)

    async def turn(self) -> None:
        """End what is over by now. Raises: StoreUnavailable."""
        async with self._turn:
            async with self._store.reading() as connection:
                now_us = microseconds(self._clock.utc_s())
                on = await switch.current(connection)
                due = await _due(connection, on, now_us)
                self.count = await people.count(connection)
            if on is not None and on.state != "off" and now_us >= on.expires_us:
                await self._end_switch(now_us)
            for gallery_id, how in due:
                await self._close(gallery_id, how)
            await self._tell_rotations()

    async def _end_switch(self, now_us: int) -> None:
        actor = Actor(PROGRAM, PROGRAM, now_us)
        try:
            await self._appender.change(partial(switch.off, actor=actor, reason="its time is over", how="expired"))
        except StateConflict:
            return  # somebody was quicker

    async def _close(self, gallery_id: str, how: str) -> None:
        actor = Actor(PROGRAM, PROGRAM, microseconds(self._clock.utc_s()))
        await self._matching.closed(gallery_id)
        try:
            await self._appender.change(
                partial(galleries.close, actor=actor, vault=self._vault, gallery_id=gallery_id, how=how)
            )
        except StateConflict:
            return
        except StorageError as error:
            if self._is_news(gallery_id, str(error)):
                log.error("the keys of a gallery cannot be destroyed; it is tried again", reason=str(error))
            return
        self._said.pop(gallery_id, None)
        await self._matching.closed(gallery_id)

    async def _tell_rotations(self) -> None:
        try:
            for each in await anyio.to_thread.run_sync(self._vault.rotations):
                await self._appender.append([_rotated(each)])
                await anyio.to_thread.run_sync(each.note.unlink)
        except (StorageError, OSError) as error:
            if self._is_news("", str(error)):
                log.error("that keys of faces were rotated cannot be told", reason=str(error))

    def _is_news(self, what: str, reason: str) -> bool:
        before, self._said[what] = self._said.get(what), reason
        return before != reason

    async def sweep(self) -> None:
        """Before anything else: keys of galleries that are closed, and of what never came to be; a crash leaves them.

        Raises: StoreUnavailable.
        """
        async with self._store.reading() as connection:
            asked = select(face_galleries.c.gallery_id).where(face_galleries.c.state == "open")
            open_ = {row[0] for row in await connection.execute(asked)}
            standing = select(face_persons.c.person_id).where(face_persons.c.state.in_(people.STANDING))
            persons = {row[0] for row in await connection.execute(standing)}
            owned = {row[0] for row in await connection.execute(select(face_templates.c.template_id))}
            shots = select(face_suggestions.c.suggestion_id).where(face_suggestions.c.sealed_shot.is_not(None))
            owned |= {row[0] for row in await connection.execute(shots)}
        try:
            await anyio.to_thread.run_sync(self._vault.tidy)
            for gallery_id in await anyio.to_thread.run_sync(self._vault.galleries):
                if gallery_id not in open_:
                    await anyio.to_thread.run_sync(self._vault.shred_gallery, gallery_id)
                    continue
                for person_id in await anyio.to_thread.run_sync(self._vault.persons, gallery_id):
                    if person_id not in persons:
                        await anyio.to_thread.run_sync(self._vault.shred_person, gallery_id, person_id)
                for person_id, own_id in await anyio.to_thread.run_sync(self._vault.owned, gallery_id):
                    if own_id not in owned:
                        await anyio.to_thread.run_sync(self._vault.shred_one, gallery_id, person_id, own_id)
        except StorageError as error:
            log.error("keys of faces that are done with cannot be destroyed", reason=str(error))


async def _due(connection: AsyncConnection, on: Switch | None, now_us: int) -> list[tuple[str, str]]:
    """Open galleries that must be closed now, and why."""
    asked = select(face_galleries).where(face_galleries.c.state == "open")
    found = []
    for gallery in await all_of(connection, Gallery, asked):
        how = ""
        if on is None or not on.is_on(now_us) or on.switch_id != gallery.switch_id:
            how = "switched_off"
        elif now_us >= gallery.expires_us:
            how = "expired"
        elif gallery.case_id is not None:
            state = select(cases.c.state).where(cases.c.case_id == gallery.case_id)
            if (await connection.execute(state)).scalar() != "open":
                how = "case_closed"
        if how:
            found.append((gallery.gallery_id, how))
    return found


def _rotated(each: Rotated) -> Fact:
    return Fact(
        event_id=derived_event_id("FaceKeysRotated", each.after), kind="FaceKeysRotated", at_us=each.at_us,
        body={"before": each.before, "after": each.after, "galleries": each.galleries},
    )  # fmt: skip
