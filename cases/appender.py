"""The one writer of the record: state changes and their facts, in groups, each group one transaction.

What is acknowledged is on the medium, in the log's tiles, and at its place. Knows no kind of event.
"""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import anyio
from sqlalchemy import bindparam, delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.custody.merkle import LogWriter
from cases.custody.second import second_tree
from cases.facts import Fact, microseconds
from cases.store.engine import Store
from cases.store.tables import case_events, events, tiles
from cases.store.words import fts5_text, tsvector
from pipeline.clock import Clock
from pipeline.errors import OnRecordError, StoreUnavailable

T = TypeVar("T")

_QUEUE = 1024  # commands that wait; whoever brings one more waits with it
_GROUP_FACTS = 4096
_GROUP_COMMANDS = 256
_ASK = 500  # ids in one question
_ROUNDS = 4  # of facts that follow from facts
_CLOSED = "the record is being closed; try again"


@dataclass(frozen=True, slots=True)
class Stored:
    """A fact at its place."""

    seq: int
    learned_at_us: int
    fact: Fact


class Projection(Protocol):
    """Rows that follow from facts, written in the transaction of these."""

    async def apply(self, connection: AsyncConnection, stored: Sequence[Stored]) -> Sequence[Fact]:
        """Facts that follow from these, if any; they go into the same transaction."""
        ...


class _Command(Protocol):
    """Something to write, and somebody who waits for it."""

    def failed(self, error: OnRecordError) -> None: ...

    def done(self) -> None: ...


@dataclass(slots=True)
class _Waiting:
    """What every command has. Exactly one of `failed` and `done` is called."""

    finished: anyio.Event = field(default_factory=anyio.Event)
    error: OnRecordError | None = None

    def failed(self, error: OnRecordError) -> None:
        if not self.finished.is_set():
            self.error = error
            self.finished.set()

    def done(self) -> None:
        self.finished.set()

    async def wait(self) -> None:
        await self.finished.wait()
        if self.error is not None:
            raise self.error


@dataclass(slots=True)
class _Append(_Waiting):
    facts: Sequence[Fact] = ()
    after: Callable[[AsyncConnection], Awaitable[None]] | None = None
    stored: list[Stored] = field(default_factory=list)


@dataclass(slots=True)
class _Change(_Waiting, Generic[T]):
    act: Callable[[AsyncConnection], Awaitable[tuple[T, Sequence[Fact]]]] | None = None
    result: list[T] = field(default_factory=list)
    refusal: OnRecordError | None = None


class Appender:
    """Owned by the event loop's thread; `run` must run. Bounds: 1,024 commands wait, a group has 4,096 facts."""

    def __init__(
        self, store: Store, clock: Clock, logs: Sequence[LogWriter], projections: Sequence[Projection] = ()
    ) -> None:
        """logs: as `load` makes them, the first with SHA-256."""
        self._store = store
        self._clock = clock
        self._logs = logs
        self._projections = projections
        self._to, self._from = anyio.create_memory_object_stream[_Append | _Change[object]](_QUEUE)
        self._grown = anyio.Event()
        self._is_closed = False
        self._size = logs[0].size
        self.commits = 0

    @classmethod
    async def load(
        cls, store: Store, clock: Clock, projections: Sequence[Projection] = (), *, sm3: bool = False
    ) -> "Appender":
        """Raises: StoreUnavailable. EvidenceError: the log's tiles do not fit its events."""
        async with store.reading() as connection:
            size = await store.size(connection)
            logs = [await LogWriter.load(size, store.tile_reader(connection))]
        if sm3:
            logs.append(await second_tree(store))
        return cls(store, clock, logs, projections)

    @property
    def size(self) -> int:
        """How many facts are committed: the size of the log."""
        return self._size

    async def append(
        self, facts: Sequence[Fact], after: Callable[[AsyncConnection], Awaitable[None]] | None = None
    ) -> list[Stored]:
        """Those of `facts` that were not known, once they are committed. after: runs in the same transaction.

        Raises: StoreUnavailable: they are not known to be written; the same call may be made again.
        """
        command = _Append(facts=facts, after=after)
        await self._bring(command)
        return command.stored

    async def change(self, act: Callable[[AsyncConnection], Awaitable[tuple[T, Sequence[Fact]]]]) -> T:
        """What `act` returns, once its rows and its facts are committed in one transaction.

        Raises: what `act` raises (an OnRecordError; nothing of it is written). StoreUnavailable.
        """
        command: _Change[T] = _Change(act=act)
        await self._bring(command)  # type: ignore[arg-type]  # T is the caller's: it only passes through
        return command.result[0]

    def close(self) -> None:
        """After `run`: whoever waits is told, and nobody waits any more."""
        self._is_closed = True
        with contextlib.suppress(anyio.WouldBlock):
            while True:
                self._from.receive_nowait().failed(StoreUnavailable(_CLOSED))

    async def _bring(self, command: "_Append | _Change[object]") -> None:
        if self._is_closed:
            raise StoreUnavailable(_CLOSED)
        await self._to.send(command)
        if self._is_closed:
            self.close()
        await command.wait()

    async def wait_beyond(self, seq: int) -> None:
        """Until a fact after `seq` is committed."""
        while self._size <= seq + 1:
            await self._grown.wait()

    async def run(self) -> None:
        """Write until cancelled. Where the database goes away, those who wait are told, and the next ones try anew.

        A commit whose answer was lost may be in the database: the trees are then read from it again.
        Raises: EvidenceError: its tiles do not fit its events.
        """
        is_sure = True
        while True:
            group = await self._group()
            try:
                async with self._store.writing() as connection:
                    if not is_sure:
                        with anyio.CancelScope(shield=True):
                            await self._read_again(connection)
                        is_sure = True
                    while True:
                        with anyio.CancelScope(shield=True):
                            await self._commit(connection, group)
                        group = await self._group()
            except StoreUnavailable as error:
                is_sure = False
                for command in group:
                    command.failed(error)
            finally:
                for command in group:
                    command.failed(StoreUnavailable(_CLOSED))

    async def _read_again(self, connection: AsyncConnection) -> None:
        async with connection.begin():
            size = await self._store.size(connection)
            self._logs = [
                await LogWriter.load(size, self._store.tile_reader(connection, log.name), log.name)
                for log in self._logs
            ]
        self._tell_size()

    def _tell_size(self) -> None:
        if self._size != self._logs[0].size:
            self._size = self._logs[0].size
            self._grown.set()
            self._grown = anyio.Event()

    async def _group(self) -> list[_Append | _Change[object]]:
        """What waits now, in its order; waits for the first."""
        group = [await self._from.receive()]
        facts = 0
        while len(group) < _GROUP_COMMANDS and facts < _GROUP_FACTS:
            last = group[-1]
            facts += len(last.facts) if isinstance(last, _Append) else 1
            try:
                group.append(self._from.receive_nowait())
            except anyio.WouldBlock:
                break
        return group

    async def _commit(self, connection: AsyncConnection, group: Sequence[_Append | _Change[object]]) -> None:
        async with connection.begin():
            pending: list[Fact] = []
            owners: list[_Append] = []
            for command in group:
                if isinstance(command, _Change):
                    await self._write(connection, pending, owners)
                    pending, owners = list(await self._act(connection, command)), []
                    await self._write(connection, pending, owners)
                    pending = []
                    continue
                pending += command.facts
                owners.append(command)
                if command.after is not None:
                    await self._write(connection, pending, owners)
                    pending, owners = [], []
                    await command.after(connection)
            await self._write(connection, pending, owners)
        for log in self._logs:
            log.committed()
        self.commits += 1
        self._tell_size()
        for command in group:
            refusal = command.refusal if isinstance(command, _Change) else None
            if refusal is None:
                command.done()
            else:
                command.failed(refusal)

    async def _act(self, connection: AsyncConnection, command: _Change[object]) -> Sequence[Fact]:
        """The facts of a change; none, and no row, where it refuses."""
        assert command.act is not None  # noqa: S101 - `change` gives one
        point = await connection.begin_nested()
        try:
            result, facts = await command.act(connection)
        except StoreUnavailable:
            raise
        except OnRecordError as error:
            await point.rollback()
            command.refusal = error
            return ()
        await point.commit()
        command.result.append(result)
        return facts

    async def _write(self, connection: AsyncConnection, facts: Sequence[Fact], owners: Sequence[_Append]) -> None:
        wanted = {fact.event_id: owner for owner in reversed(owners) for fact in owner.facts}
        for _ in range(_ROUNDS):
            stored = await self._insert(connection, facts)
            for each in stored:
                if each.fact.event_id in wanted:
                    wanted[each.fact.event_id].stored.append(each)
            if not stored:
                return
            facts = [fact for each in self._projections for fact in await each.apply(connection, stored)]
            if not facts:
                return

    async def _insert(self, connection: AsyncConnection, facts: Sequence[Fact]) -> list[Stored]:
        """The new ones among `facts`, each at its place, in the tables and in the trees."""
        fresh: dict[str, Fact] = {}
        for fact in facts:
            fresh.setdefault(fact.event_id, fact)
        ids = list(fresh)
        for at in range(0, len(ids), _ASK):
            known = await connection.execute(_KNOWN, {"ids": ids[at : at + _ASK]})
            for (event_id,) in known:
                del fresh[event_id]
        if not fresh:
            return []
        learned_at_us = microseconds(self._clock.utc_s())
        first = self._logs[0].size
        stored = [Stored(first + at, learned_at_us, fact) for at, fact in enumerate(fresh.values())]
        entries = [each.fact.entry(learned_at_us) for each in stored]
        await connection.execute(
            insert(events), [_row(each, entry) for each, entry in zip(stored, entries, strict=True)]
        )
        words = [each for each in stored if each.fact.words]
        if words:
            await self._index(connection, words)
        shown = [
            {"case_id": each.fact.case_id, "at_us": each.fact.at_us, "seq": each.seq}
            for each in stored
            if each.fact.case_id is not None
        ]
        if shown:
            await connection.execute(insert(case_events), shown)
        for log in self._logs:
            changes = log.extend(entries)
            keys = [{"hash_": log.name, "level_": each.level, "place_": each.place} for each in changes]
            await connection.execute(_FORGET_TILE, keys)
            rows = [
                {"hash": log.name, "level": each.level, "place": each.place, "hashes": each.hashes} for each in changes
            ]
            await connection.execute(insert(tiles), rows)
        return stored

    async def _index(self, connection: AsyncConnection, stored: Sequence[Stored]) -> None:
        form = fts5_text if self._store.is_sqlite else tsvector
        statement = _INDEX_SQLITE if self._store.is_sqlite else _INDEX_POSTGRESQL
        await connection.execute(statement, [{"seq": each.seq, "tokens": form(each.fact.words)} for each in stored])


_KNOWN = select(events.c.event_id).where(events.c.event_id.in_(bindparam("ids", expanding=True)))
_FORGET_TILE = delete(tiles).where(
    tiles.c.hash == bindparam("hash_"), tiles.c.level == bindparam("level_"), tiles.c.place == bindparam("place_")
)
_INDEX_SQLITE = text("INSERT INTO texts (rowid, tokens) VALUES (:seq, :tokens)")
_INDEX_POSTGRESQL = text("INSERT INTO texts (seq, tokens) VALUES (:seq, CAST(:tokens AS tsvector))")


def _row(stored: Stored, entry: bytes) -> dict[str, str | int | None]:
    fact = stored.fact
    return {
        "seq": stored.seq,
        "event_id": fact.event_id,
        "kind": fact.kind,
        "at_us": fact.at_us,
        "ends_at_us": fact.ends_at_us,
        "learned_at_us": stored.learned_at_us,
        "stream_id": fact.stream_id,
        "case_id": fact.case_id,
        "entry": entry.decode(),
    }
