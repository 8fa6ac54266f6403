"""The Merkle tree of RFC 6962, and its hashes in tiles of 256. Plain code; knows no event and no database.

Level 0 holds leaf hashes; a hash of level n+1 is the root of a full tile of level n. Only the last tile of a level is
ever written again, and only to grow. Source: RFC 6962 2.1, RFC 9162 2.1; tiles as in C2SP tlog-tiles.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipeline.errors import EvidenceError

HashName: TypeAlias = Literal["sha256", "sm3"]
ReadTile: TypeAlias = Callable[[int, int], Awaitable[bytes]]
"""(level, place) → its hashes, 32 bytes each; empty where there is none."""

HASH_BYTES = 32
TILE_HASHES = 256
_TILE_BITS = 8


def leaf_hash(entry: bytes, name: HashName = "sha256") -> bytes:
    return hashlib.new(name, b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes, name: HashName = "sha256") -> bytes:
    return hashlib.new(name, b"\1" + left + right).digest()


def empty_root(name: HashName = "sha256") -> bytes:
    return hashlib.new(name, b"").digest()


def perfect_root(hashes: Sequence[bytes], name: HashName = "sha256") -> bytes:
    """The root over 1, 2, 4, 8 … hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1], name) for at in range(0, len(level), 2)]
    return level[0]


def folded(hashes: Sequence[bytes], name: HashName = "sha256") -> bytes:
    """The root over perfect trees that shrink from left to right."""
    if not hashes:
        return empty_root(name)
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root, name)
    return root


def perfect_parts(low: int, high: int) -> Iterator[tuple[int, int]]:
    """(height, index) of the perfect trees that make up the leaves low … high-1, left to right.

    low must be a multiple of the power of two that is next above high-low, as it is wherever RFC 6962 splits.
    """
    while low < high:
        height = (high - low).bit_length() - 1
        yield height, low >> height
        low += 1 << height


@dataclass(frozen=True, slots=True)
class TileChange:
    """A tile as it is now: all its hashes, one after the other."""

    level: int
    place: int
    hashes: bytes


class LogWriter:
    """The growing edge of one tree. Bound: 256 hashes a level, five levels for 10¹² leaves.

    What `extend` did counts after `committed`; `rollback` forgets it.
    """

    def __init__(self, name: HashName = "sha256") -> None:
        self.name: HashName = name
        self.size = 0
        self._edge: list[list[bytes]] = []
        self._kept: tuple[int, list[list[bytes]]] | None = None

    @classmethod
    async def load(cls, size: int, read_tile: ReadTile, name: HashName = "sha256") -> "LogWriter":
        """The edge of a tree of `size` leaves. Raises: EvidenceError: a tile is missing or short."""
        log = cls(name)
        log.size = size
        count, level = size, 0
        while count:
            tile = await read_tile(level, count >> _TILE_BITS) if count % TILE_HASHES else b""
            wanted = count % TILE_HASHES
            if len(tile) < wanted * HASH_BYTES:
                raise EvidenceError(f"the log's tile {level}/{count >> _TILE_BITS} is missing or short")
            log._edge.append([tile[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in range(wanted)])
            count >>= _TILE_BITS
            level += 1
        return log

    def extend(self, entries: Sequence[bytes]) -> list[TileChange]:
        """Add leaves; the tiles that are new or grew, each once, as they are at the end."""
        if self._kept is None:
            self._kept = (self.size, [list(level) for level in self._edge])
        changed: dict[tuple[int, int], bytes] = {}
        first = self.size
        for entry in entries:
            self._add(0, leaf_hash(entry, self.name), changed)
            self.size += 1
        if self.size != first:
            for level, hashes in enumerate(self._edge):
                count = self.size >> (_TILE_BITS * level)
                if hashes and count != first >> (_TILE_BITS * level):
                    changed[level, count >> _TILE_BITS] = b"".join(hashes)
        return [TileChange(level, place, hashes) for (level, place), hashes in sorted(changed.items())]

    def _add(self, level: int, value: bytes, changed: dict[tuple[int, int], bytes]) -> None:
        if level == len(self._edge):
            self._edge.append([])
        hashes = self._edge[level]
        hashes.append(value)
        if len(hashes) == TILE_HASHES:
            place = self.size >> (_TILE_BITS * (level + 1))
            changed[level, place] = b"".join(hashes)
            self._edge[level] = []
            self._add(level + 1, perfect_root(hashes, self.name), changed)

    def committed(self) -> None:
        self._kept = None

    def rollback(self) -> None:
        """Back to what was committed last."""
        if self._kept is not None:
            self.size, self._edge = self._kept
            self._kept = None

    def root(self) -> bytes:
        """The root over all leaves."""
        parts: list[bytes] = []
        for hashes in reversed(self._edge):
            at = 0
            for bit in range(_TILE_BITS - 1, -1, -1):
                if len(hashes) >> bit & 1:
                    parts.append(perfect_root(hashes[at : at + (1 << bit)], self.name))
                    at += 1 << bit
        return folded(parts, self.name)
