"""The log against its hashes, its heads, its columns and its index of words. Streams a thousand events at a time."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import RowMapping, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import BigInteger, Text

from cases.custody.check_rows import Expected
from cases.custody.checkpoint import SignedHead
from cases.custody.heads_file import FILE
from cases.custody.merkle import HASH_BYTES, TILE_HASHES, HashName, LogWriter, empty_root
from cases.facts import Fact, parse_entry
from cases.store.engine import Store
from cases.store.tables import events, heads, tiles
from cases.store.words import tsvector
from pipeline.errors import EvidenceError
from pipeline.record.defect import Defect

_AT_ONCE = 1000
_LOG, _HEADS = "log", f"custody/{FILE}"
_COLUMNS = ("event_id", "kind", "at_us", "ends_at_us", "stream_id", "case_id")
_LATE_US = 60_000_000  # a head may come so much later than it should


def of_signatures(on_disk: Sequence[SignedHead], older: Sequence[SignedHead], keys: Sequence[bytes]) -> list[Defect]:
    """What the heads say by themselves."""
    found: list[Defect] = []
    last: SignedHead | None = None
    for signed in on_disk:
        if last is not None and (signed.head.size <= last.head.size or signed.head.log_id != last.head.log_id):
            found.append(
                Defect(_HEADS, "head_order", f"the head of size {signed.head.size} does not follow the one before")
            )
        last = signed
    found += [
        Defect(_HEADS, "head_unsigned", f"the head of size {each.head.size} is signed by no trusted key")
        for each in (*on_disk, *older)
        if not any(each.is_signed_by(key) for key in keys)
    ]
    found += [
        Defect(_HEADS, "head_foreign", f"the given head is of the log {each.head.log_id}, not of this one")
        for each in older
        if last is None or each.head.log_id != last.head.log_id
    ]
    return found


async def of_table(
    connection: AsyncConnection, before: Sequence[SignedHead], after: Sequence[SignedHead]
) -> AsyncIterator[Defect]:
    """The heads of the table against those of the file, which was read before and after the table was fixed."""
    known = {each.head.size: each.note() for each in after}
    kept: set[int] = set()
    for row in await connection.execute(select(heads.c.size, heads.c.note).order_by(heads.c.size)):
        kept.add(row.size)
        if known.get(row.size) != row.note:
            yield Defect(_HEADS, "head_missing", f"the database holds a head of size {row.size} that the file does not")
    for signed in before[:-1]:  # the newest may be on its way there
        if signed.head.size not in kept:
            yield Defect(_LOG, "head_missing", f"the database lacks the head of size {signed.head.size}")


class _Tree:
    """One hash's tree, grown again from the entries, beside the tiles that are kept."""

    def __init__(self, store: Store, connection: AsyncConnection, name: HashName) -> None:
        self._read = store.tile_reader(connection, name)
        self._connection = connection
        self._name = name
        self._grown: dict[tuple[int, int], bytes] = {}
        self.log = LogWriter(name)

    async def add(self, entry: bytes) -> AsyncIterator[Defect]:
        for change in self.log.extend([entry]):
            place = (change.level, change.place)
            if len(change.hashes) < TILE_HASHES * HASH_BYTES:
                self._grown[place] = change.hashes
                continue
            self._grown.pop(place, None)
            if await self._read(*place) != change.hashes:
                yield self._differs(*place)
        self.log.committed()

    async def end(self) -> AsyncIterator[Defect]:
        """The tiles that still grow, and that there are no others."""
        for place, hashes in sorted(self._grown.items()):
            if await self._read(*place) != hashes:
                yield self._differs(*place)
        asked = (
            select(tiles.c.level, func.min(tiles.c.place), func.max(tiles.c.place), func.count())
            .where(tiles.c.hash == self._name)
            .group_by(tiles.c.level)
            .order_by(tiles.c.level)
        )
        for level, low, high, count in await self._connection.execute(asked):
            wanted = -(-(self.log.size >> 8 * level) // TILE_HASHES) if level >= 0 else 0
            if count > wanted or low < 0 or high >= wanted:
                yield Defect(_LOG, "tile_differs", f"level {level} has tiles ({self._name}) of events that are gone")

    def _differs(self, level: int, place: int) -> Defect:
        return Defect(_LOG, "tile_differs", f"tile {level}/{place} ({self._name}) does not fit the events")


class LogCheck:
    """Reads every event once. Hands each fact to `expected`. Raises while running: EvidenceError: no SM3 here."""

    def __init__(
        self, store: Store, connection: AsyncConnection, signed: Sequence[SignedHead], expected: Expected,
        head_every_s: float,
    ) -> None:  # fmt: skip
        self._is_sqlite = store.is_sqlite
        self._connection = connection
        self._expected = expected
        self._head_every_us = int(head_every_s * 1_000_000)
        self._tree = _Tree(store, connection, "sha256")
        self._second: _Tree | None = None
        if any(each.head.root_sm3 is not None for each in signed):
            try:
                self._second = _Tree(store, connection, "sm3")
                empty_root("sm3")
            except ValueError as error:
                raise EvidenceError("heads hold SM3 roots, and this machine's OpenSSL knows no SM3") from error
        self._by_size: dict[int, list[SignedHead]] = {}
        for each in signed:
            self._by_size.setdefault(each.head.size, []).append(each)
        self._newest = max(self._by_size, default=0)

    async def run(self) -> AsyncIterator[Defect]:
        for defect in self._of_heads():
            yield defect
        unsigned_us: list[int] = []  # when the first and the last one behind the newest head were learned
        expected_seq = 0
        while True:
            asked = select(events).where(events.c.seq >= expected_seq).order_by(events.c.seq).limit(_AT_ONCE)
            rows = (await self._connection.execute(asked)).mappings().all()
            if not rows:
                break
            worded: dict[int, str] = {}
            first = expected_seq
            for row in rows:
                seq, entry = int(row["seq"]), str(row["entry"]).encode()
                if seq != expected_seq:
                    yield Defect(_LOG, "event_missing", f"events {expected_seq} to {seq - 1} are gone")
                expected_seq = seq + 1
                try:
                    fact, learned_at_us = parse_entry(entry)
                except EvidenceError as error:
                    yield Defect(_LOG, "entry_malformed", f"event {seq}: {error}")
                else:
                    for defect in self._of_fact(row, fact, learned_at_us):
                        yield defect
                    if fact.words:
                        worded[seq] = fact.words
                    if seq >= self._newest:
                        unsigned_us = [(unsigned_us or [learned_at_us])[0], learned_at_us]
                async for defect in self._grow(entry):
                    yield defect
            async for defect in self._of_words(first, expected_seq, worded):
                yield defect
        async for defect in self._end(expected_seq, unsigned_us):
            yield defect

    def _of_fact(self, row: RowMapping, fact: Fact, learned_at_us: int) -> list[Defect]:
        differing = [name for name in _COLUMNS if row[name] != getattr(fact, name)]
        if row["learned_at_us"] != learned_at_us:
            differing.append("learned_at_us")
        found = []
        if differing:
            detail = f"event {row['seq']}: {', '.join(differing)} is not what the entry says"
            found.append(Defect(_LOG, "column_differs", detail))
        try:
            self._expected.take(fact)
        except EvidenceError as error:
            found.append(Defect(_LOG, "entry_malformed", f"event {row['seq']}: {error}"))
        return found

    async def _grow(self, entry: bytes) -> AsyncIterator[Defect]:
        for tree in (self._tree, self._second):
            if tree is not None:
                async for defect in tree.add(entry):
                    yield defect
        for defect in self._of_heads():
            yield defect

    def _of_heads(self) -> list[Defect]:
        """Those over as many events as there are now."""
        size = self._tree.log.size
        found = []
        for each in self._by_size.get(size, ()):
            is_same = each.head.root == self._tree.log.root()
            if self._second is not None and each.head.root_sm3 is not None:
                is_same = is_same and each.head.root_sm3 == self._second.log.root()
            if not is_same:
                detail = f"the first {size} events are not what was signed at {each.head.at}"
                found.append(Defect(_LOG, "head_differs", detail))
        return found

    async def _of_words(self, first: int, end: int, worded: dict[int, str]) -> AsyncIterator[Defect]:
        """Whether search finds what was said, and nothing else. SQLite keeps no words that could be compared."""
        within = {"first": first, "end": end}
        asked = _INDEXED_SQLITE if self._is_sqlite else _INDEXED_POSTGRESQL
        indexed = {int(row[0]) for row in await self._connection.execute(asked, within)}
        wrong = indexed ^ worded.keys()
        if worded and not self._is_sqlite:
            given = {"seqs": list(worded), "vectors": [tsvector(words) for words in worded.values()]}
            wrong |= {int(row[0]) for row in await self._connection.execute(_DIFFERING_POSTGRESQL, given)}
        for seq in sorted(wrong):
            yield Defect(_DATABASE_TEXTS, "words_differ", f"event {seq}: the index of words is not what the entry says")

    async def _end(self, size: int, unsigned_us: Sequence[int]) -> AsyncIterator[Defect]:
        for tree in (self._tree, self._second):
            if tree is not None:
                async for defect in tree.end():
                    yield defect
        for signed_size in sorted(self._by_size):
            if signed_size > self._tree.log.size:
                at = self._by_size[signed_size][0].head.at
                detail = f"the log has {self._tree.log.size} events; {signed_size} were signed at {at}"
                yield Defect(_LOG, "log_rolled_back", detail)
        if unsigned_us and unsigned_us[-1] - unsigned_us[0] > 2 * self._head_every_us + _LATE_US:
            seconds = (unsigned_us[-1] - unsigned_us[0]) // 1_000_000
            yield Defect(_LOG, "unsigned", f"no head covers the events from {self._newest} on, {seconds} s of them")
        where = {"first": size, "end": 1 << 62}
        asked = _INDEXED_SQLITE if self._is_sqlite else _INDEXED_POSTGRESQL
        if (await self._connection.execute(asked, where)).first() is not None:
            yield Defect(_DATABASE_TEXTS, "words_differ", "the index holds words of events that are gone")


_DATABASE_TEXTS = "database/texts"
_INDEXED_SQLITE = text("SELECT rowid FROM texts WHERE rowid >= :first AND rowid < :end")
_INDEXED_POSTGRESQL = text("SELECT seq FROM texts WHERE seq >= :first AND seq < :end")
_DIFFERING_POSTGRESQL = text(
    "SELECT given.seq FROM unnest(:seqs, :vectors) AS given (seq, vector) JOIN texts ON texts.seq = given.seq "
    "WHERE texts.tokens IS DISTINCT FROM CAST(given.vector AS tsvector)"
).bindparams(bindparam("seqs", type_=ARRAY(BigInteger)), bindparam("vectors", type_=ARRAY(Text)))
