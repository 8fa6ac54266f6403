"""The outbox's other end: facts of the media side into the record, each once, in their order, whatever stops when."""

from collections.abc import Sequence
from typing import Protocol

import anyio
import anyio.to_thread
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender
from cases.facts import fact_of
from cases.store.engine import Store
from cases.store.tables import inbox
from pipeline.events import Event
from pipeline.outbox import OutboxReader, Place

_AT_ONCE = 500
_NAME = "media"


class Source(Protocol):
    """The writing end, as far as the reader needs it."""

    @property
    def durable(self) -> Place: ...

    async def wait_beyond(self, place: Place) -> None: ...


class Inbox:
    """Reads, appends, and keeps its place in the same transaction. taken: facts since the start; place: where it is."""

    def __init__(self, source: Source, reader: OutboxReader, store: Store, appender: Appender) -> None:
        self.taken = 0
        self.place = Place(0, 0)
        self._source = source
        self._reader = reader
        self._store = store
        self._appender = appender

    async def run(self) -> None:
        """Until cancelled. Raises: StoreUnavailable, StorageError: call it again later, nothing is lost."""
        self.place = await self._kept_place()
        while True:
            events, reached = await anyio.to_thread.run_sync(
                self._reader.read, self.place, self._source.durable, _AT_ONCE
            )
            if reached > self.place:
                await self._take(events, reached)
                if reached.file > self.place.file:
                    await anyio.to_thread.run_sync(self._reader.forget, reached)
                self.place = reached
            else:
                await self._source.wait_beyond(self.place)

    async def _take(self, events: Sequence[Event], reached: Place) -> None:
        async def keep(connection: AsyncConnection) -> None:
            await connection.execute(delete(inbox).where(inbox.c.name == _NAME))
            await connection.execute(insert(inbox).values(name=_NAME, file=reached.file, offset=reached.offset))

        await self._appender.append([fact_of(event) for event in events], after=keep)
        self.taken += len(events)

    async def _kept_place(self) -> Place:
        async with self._store.reading() as connection:
            row = (
                await connection.execute(select(inbox.c.file, inbox.c.offset).where(inbox.c.name == _NAME))
            ).one_or_none()
        return Place(0, 0) if row is None else Place(row.file, row.offset)
