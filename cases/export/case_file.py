"""What of the record belongs to a case's export: one state of the database, up to a signed head. Reads only."""

import dataclasses
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases import words
from cases.appender import Stored
from cases.casework.case_acts import case_named
from cases.casework.rows import Case, Item, Recording, Step, all_of
from cases.custody import proofs
from cases.custody.checkpoint import SignedHead
from cases.custody.merkle import HashName, ReadTile
from cases.facts import Fact, JsonValue, parse_entry
from cases.store.engine import Store
from cases.store.tables import case_events, events, items, links, recordings, steps
from cases.words import Correction
from pipeline.clock import rfc3339

_PAGE = 500
_TILES = 512  # of 8 KiB each, kept for the next proof


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the case. path, path_sm3: from its leaf to the head's roots; None where there is no second root."""

    seq: int
    raw: bytes
    fact: Fact
    learned_at_us: int
    path: list[bytes]
    path_sm3: list[bytes] | None


class CaseFile:
    """One case, as far as `signed` covers it. Lives as long as the snapshot that `connection` is."""

    def __init__(self, store: Store, connection: AsyncConnection, case: Case, signed: SignedHead) -> None:
        self.case = case
        self.signed = signed
        self._connection = connection
        self._read: dict[HashName, ReadTile] = {
            name: _cached(store.tile_reader(connection, name)) for name in ("sha256", "sm3")
        }

    @classmethod
    async def find(cls, store: Store, connection: AsyncConnection, wanted: str, signed: SignedHead) -> "CaseFile":
        """wanted: the case's id, or its number. Raises: ThingUnknown."""
        return cls(store, connection, await case_named(connection, wanted), signed)

    async def counts(self) -> tuple[int, int]:
        """Events that the head covers, and those that came later."""
        is_covered = case_events.c.seq < self.signed.head.size
        asked = select(func.count()).where(case_events.c.case_id == self.case.case_id)
        covered = (await self._connection.execute(asked.where(is_covered))).scalar() or 0
        return covered, ((await self._connection.execute(asked)).scalar() or 0) - covered

    async def entries(self, *, with_proofs: bool) -> AsyncIterator[list[Entry]]:
        """In the order of the timeline, some hundred at a time. Raises: EvidenceError: the log is not whole."""
        after = (-(1 << 63), -1)
        while True:
            at, seq = case_events.c.at_us, case_events.c.seq
            asked = (
                select(at, seq, events.c.entry)
                .join(events, events.c.seq == seq)
                .where(case_events.c.case_id == self.case.case_id, seq < self.signed.head.size)
                .where(or_(at > after[0], (at == after[0]) & (seq > after[1])))
                .order_by(at, seq)
                .limit(_PAGE)
            )
            rows = (await self._connection.execute(asked)).all()
            if not rows:
                return
            yield [await self._entry(row.seq, row.entry.encode(), with_proofs=with_proofs) for row in rows]
            after = (rows[-1].at_us, rows[-1].seq)

    async def _entry(self, seq: int, raw: bytes, *, with_proofs: bool) -> Entry:
        fact, learned_at_us = parse_entry(raw)
        head = self.signed.head
        path = await proofs.inclusion(seq, head.size, self._read["sha256"]) if with_proofs else []
        second = None
        if with_proofs and head.root_sm3 is not None:
            second = await proofs.inclusion(seq, head.size, self._read["sm3"], "sm3")
        return Entry(seq, raw, fact, learned_at_us, path, second)

    async def corrections(self) -> dict[str, Correction]:
        """What people of this case said was said, the newest each, by the event whose words it corrects."""
        asked = (
            select(events.c.seq, events.c.entry)
            .join(case_events, case_events.c.seq == events.c.seq)
            .where(case_events.c.case_id == self.case.case_id, events.c.kind == words.CORRECTED)
            .where(events.c.seq < self.signed.head.size)
            .order_by(events.c.seq)
        )
        rows = await self._connection.execute(asked)
        return words.corrections_of([_stored(seq, entry) for seq, entry in rows])

    async def recordings(self) -> AsyncIterator[Recording]:
        """Those that are attached, each once, in the order of their start."""
        attached = select(links.c.recording_id).where(links.c.case_id == self.case.case_id, links.c.undone_us.is_(None))
        started, recording_id = recordings.c.started_us, recordings.c.recording_id
        asked = (
            select(recordings).where(recording_id.in_(attached)).order_by(started, recording_id).limit(_PAGE)
        )  # fmt: skip
        after = (-(1 << 63), "")
        while True:
            is_next = or_(started > after[0], (started == after[0]) & (recording_id > after[1]))
            page = await all_of(self._connection, Recording, asked.where(is_next))
            for each in page:
                yield each
            if len(page) < _PAGE:
                return
            after = (page[-1].started_us, page[-1].recording_id)

    async def about(self) -> dict[str, JsonValue]:
        """The case, its steps and its items, for the index."""
        of_case = await all_of(
            self._connection, Step,
            select(steps).where(steps.c.case_id == self.case.case_id).order_by(steps.c.started_us, steps.c.step_id),
        )  # fmt: skip
        kept = await all_of(
            self._connection, Item,
            select(items).where(items.c.case_id == self.case.case_id).order_by(items.c.added_us, items.c.item_id),
        )  # fmt: skip
        return {"case": _tree(self.case), "steps": [_tree(each) for each in of_case], "items": [_tree(i) for i in kept]}


def _stored(seq: int, entry: str) -> Stored:
    fact, learned_at_us = parse_entry(entry.encode())
    return Stored(seq, learned_at_us, fact)


def folder_of(data: Path, recording: Recording) -> Path:
    """Where the recorder put it."""
    day = datetime.fromtimestamp(recording.started_us / 1e6, UTC)
    return data / "recordings" / f"{day:%Y}" / f"{day:%m}" / f"{day:%d}" / recording.recording_id


def _tree(thing: Case | Step | Item) -> dict[str, JsonValue]:
    """Times of day as text."""
    found: dict[str, JsonValue] = {}
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        if field.name.endswith("_us"):
            found[f"{field.name[:-3]}_at"] = None if value is None else rfc3339(value / 1e6)
        else:
            found[field.name.rstrip("_")] = value
    return found


def _cached(read: ReadTile) -> ReadTile:
    kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    async def read_kept(level: int, place: int) -> bytes:
        if (level, place) in kept:
            kept.move_to_end((level, place))
            return kept[level, place]
        found = kept[level, place] = await read(level, place)
        if len(kept) > _TILES:
            kept.popitem(last=False)
        return found

    return read_kept
