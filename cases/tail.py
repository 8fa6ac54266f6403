"""Facts as they are committed, to whoever listens: each read once from the store, and handed to all.

Owned by the event loop's thread. Bound: the last 4,096 facts; a listener that is further behind reads the store.
"""

from collections import deque
from dataclasses import dataclass
from itertools import islice

import anyio
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases import timeline
from cases.appender import Appender, Stored
from cases.store.engine import Store
from cases.store.tables import case_events

_KEPT = 4096
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Told:
    """case_ids: the cases that showed it when it was read."""

    stored: Stored
    case_ids: frozenset[str]


class Tail:
    """`run` must run. Listeners follow by `after`; listeners: how many do, as they say themselves."""

    def __init__(self, store: Store, appender: Appender) -> None:
        self._store = store
        self._appender = appender
        self._kept: deque[Told] = deque(maxlen=_KEPT)
        self._next = appender.size
        self._grown = anyio.Event()
        self.listeners = 0

    @property
    def last(self) -> int:
        """The place of the newest fact that was handed out; -1: none yet."""
        return self._next - 1

    async def run(self) -> None:
        """Until cancelled. Raises: StoreUnavailable: run it again, nothing is left out."""
        while True:
            await self._appender.wait_beyond(self.last)
            async with self._store.reading() as connection:
                told = await _read(connection, self.last)
            self._kept.extend(told)
            if told:
                self._next = told[-1].stored.seq + 1
                self._grown.set()
                self._grown = anyio.Event()

    async def after(self, seq: int, wait_s: float) -> list[Told]:
        """The next facts behind `seq`, in the order of the log; none where `wait_s` brings none.

        Raises: StoreUnavailable.
        """
        if seq >= self.last:
            grown = self._grown
            with anyio.move_on_after(wait_s):
                await grown.wait()
        first = self._kept[0].stored.seq if self._kept else self._next
        if seq >= self.last:
            return []
        if seq + 1 >= first:
            return list(islice(self._kept, seq + 1 - first, seq + 1 - first + _PAGE))
        async with self._store.reading() as connection:
            return [each for each in await _read(connection, seq) if each.stored.seq < self._next]


async def _read(connection: AsyncConnection, seq: int) -> list[Told]:
    stored = await timeline.after(connection, seq, _PAGE)
    shown: dict[int, set[str]] = {}
    if stored:
        rows = await connection.execute(
            select(case_events.c.seq, case_events.c.case_id).where(
                case_events.c.seq.between(stored[0].seq, stored[-1].seq)
            )
        )
        for place, case_id in rows:
            shown.setdefault(place, set()).add(case_id)
    return [Told(each, frozenset(shown.get(each.seq, ()))) for each in stored]
