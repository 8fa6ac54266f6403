"""The log's second tree, over SM3 (GB/T 32905): made from the entries where it is asked for and not there yet."""

import structlog
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.custody.merkle import HASH_BYTES, TILE_HASHES, LogWriter, TileChange
from cases.store.engine import Store
from cases.store.tables import events, tiles
from pipeline.errors import EvidenceError

log = structlog.get_logger(__name__)

_AT_ONCE = 1000


async def second_tree(store: Store) -> LogWriter:
    """Its edge. A log that was kept without it, always or for a time, is hashed anew: minutes for millions of events.

    Nobody may write meanwhile. Raises: StoreUnavailable.
    """
    async with store.reading() as connection:
        size = await store.size(connection)
        try:
            return await LogWriter.load(size, store.tile_reader(connection, "sm3"), "sm3")
        except EvidenceError:
            log.warning("the second tree is made from the log's entries", events=size)
    async with store.writing() as connection, connection.begin():
        await connection.execute(delete(tiles).where(tiles.c.hash == "sm3"))
        return await _hashed(connection)


async def _hashed(connection: AsyncConnection) -> LogWriter:
    tree = LogWriter("sm3")
    growing: dict[int, TileChange] = {}  # by level: the tile that is not full yet
    while True:
        asked = select(events.c.entry).where(events.c.seq >= tree.size).order_by(events.c.seq).limit(_AT_ONCE)
        entries = [row.entry.encode() for row in await connection.execute(asked)]
        if not entries:
            break
        changes = tree.extend(entries)
        tree.committed()
        growing |= {each.level: each for each in changes if not _is_full(each)}
        await _keep(connection, [each for each in changes if _is_full(each)])
    edge = {level: (tree.size >> 8 * level) // TILE_HASHES for level in growing}
    await _keep(connection, [each for level, each in growing.items() if each.place == edge[level]])
    return tree


def _is_full(tile: TileChange) -> bool:
    return len(tile.hashes) == TILE_HASHES * HASH_BYTES


async def _keep(connection: AsyncConnection, changes: list[TileChange]) -> None:
    if changes:
        rows = [{"hash": "sm3", "level": e.level, "place": e.place, "hashes": e.hashes} for e in changes]
        await connection.execute(insert(tiles), rows)
