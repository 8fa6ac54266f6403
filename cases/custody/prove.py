"""Proofs of single events against the newest signed head, for whoever does not trust this server."""

from dataclasses import dataclass

from sqlalchemy import select

from cases.custody import proofs
from cases.custody.checkpoint import SignedHead
from cases.custody.merkle import leaf_hash
from cases.store.engine import Store
from cases.store.tables import events
from pipeline.errors import ThingUnknown, ValueRefused


@dataclass(frozen=True, slots=True)
class Proof:
    """entry: the bytes that the leaf hashes. path: the audit path against `signed`; None, and empty: not signed yet."""

    seq: int
    entry: bytes
    leaf: bytes
    signed: SignedHead | None
    path: list[bytes]


async def proof_of(store: Store, signed: SignedHead | None, event_id: str) -> Proof:
    """Raises: ThingUnknown. EvidenceError: the tiles of the log are not whole."""
    async with store.reading() as connection:
        asked = select(events.c.seq, events.c.entry).where(events.c.event_id == event_id)
        row = (await connection.execute(asked)).one_or_none()
        if row is None:
            raise ThingUnknown("no such event")
        entry = row.entry.encode()
        if signed is None or row.seq >= signed.head.size:
            return Proof(row.seq, entry, leaf_hash(entry), None, [])
        path = await proofs.inclusion(row.seq, signed.head.size, store.tile_reader(connection))
    return Proof(row.seq, entry, leaf_hash(entry), signed, path)


async def consistency_of(store: Store, old: int, new: int) -> list[bytes]:
    """That the log of `new` events begins with the one of `old`.

    Raises: ValueRefused: there are no such sizes; nothing can be said of an empty log. EvidenceError: as `proof_of`.
    """
    async with store.reading() as connection:
        if not 0 < old <= new <= await store.size(connection):
            raise ValueRefused("from", "1 <= from <= to <= the size of the log")
        return await proofs.consistency(old, new, store.tile_reader(connection))
