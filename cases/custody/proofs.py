"""Inclusion and consistency proofs out of tiles, and their checking.

Source: RFC 6962 2.1.1, 2.1.2; RFC 9162 2.1.3, 2.1.4.
"""

from collections.abc import Sequence

from cases.custody.merkle import (
    HASH_BYTES,
    TILE_HASHES,
    HashName,
    ReadTile,
    folded,
    node_hash,
    perfect_parts,
    perfect_root,
)
from pipeline.errors import EvidenceError


class Tiles:
    """Hashes of whole ranges, from tiles that are read once each. For one proof; keeps what it read."""

    def __init__(self, read_tile: ReadTile, name: HashName = "sha256") -> None:
        self._read_tile = read_tile
        self._name: HashName = name
        self._read: dict[tuple[int, int], bytes] = {}

    async def perfect(self, height: int, index: int) -> bytes:
        """The root over leaves index·2^height … (index+1)·2^height - 1. Raises: EvidenceError: a tile lacks them."""
        level, rest = divmod(height, 8)
        place, first = divmod(index << rest, TILE_HASHES)
        if (level, place) not in self._read:
            self._read[level, place] = await self._read_tile(level, place)
        count = 1 << rest
        hashes = self._read[level, place][first * HASH_BYTES : (first + count) * HASH_BYTES]
        if len(hashes) != count * HASH_BYTES:
            raise EvidenceError(f"the log's tile {level}/{place} is missing or short")
        return perfect_root([hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)], self._name)

    async def range(self, low: int, high: int) -> bytes:
        """The root over leaves low … high-1, where RFC 6962 makes such a tree."""
        return folded([await self.perfect(*part) for part in perfect_parts(low, high)], self._name)


async def root(size: int, read_tile: ReadTile, name: HashName = "sha256") -> bytes:
    """The root over the first `size` leaves. Raises: EvidenceError: tiles are missing."""
    return await Tiles(read_tile, name).range(0, size)


async def inclusion(seq: int, size: int, read_tile: ReadTile, name: HashName = "sha256") -> list[bytes]:
    """The audit path of leaf `seq` in the tree of `size` leaves, from the leaf up.

    Raises: ValueError: there is no such leaf. EvidenceError: tiles are missing.
    """
    if not 0 <= seq < size:
        raise ValueError(f"leaf {seq} is not among {size}")
    tiles = Tiles(read_tile, name)
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if seq < middle:
            path.append(await tiles.range(middle, high))
            high = middle
        else:
            path.append(await tiles.range(low, middle))
            low = middle
    return path[::-1]


async def consistency(old: int, new: int, read_tile: ReadTile, name: HashName = "sha256") -> list[bytes]:
    """Proof that the first `old` of `new` leaves are the tree that was signed at `old`; empty where old is 0 or new.

    Raises: ValueError: old > new, or negative. EvidenceError: tiles are missing.
    """
    if not 0 <= old <= new:
        raise ValueError(f"{old} leaves are not a beginning of {new}")
    if old in (0, new):
        return []
    tiles = Tiles(read_tile, name)
    path: list[bytes] = []
    low, high, is_whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(await tiles.range(middle, high))
            high = middle
        else:
            path.append(await tiles.range(low, middle))
            low, is_whole = middle, False
    if not is_whole:
        path.append(await tiles.range(low, high))
    return path[::-1]


def is_included(
    leaf: bytes, seq: int, size: int, path: Sequence[bytes], head: bytes, name: HashName = "sha256"
) -> bool:
    """Whether `path` proves that the leaf hash is number `seq` under root `head` of `size` leaves. RFC 9162 2.1.3.2."""
    if not 0 <= seq < size:
        return False
    at, last, value = seq, size - 1, leaf
    for each in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            value = node_hash(each, value, name)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, each, name)
        at, last = at >> 1, last >> 1
    return last == 0 and value == head


def is_consistent(
    old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes], name: HashName = "sha256"
) -> bool:
    """Whether `path` proves that the tree of `new` leaves begins with the tree of `old`. RFC 9162 2.1.4.2."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path
    nodes = list(path)
    if old & (old - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = nodes[0]
    for each in nodes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            was, now = node_hash(each, was, name), node_hash(each, now, name)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            now = node_hash(now, each, name)
        at, last = at >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1
