"""Who in a gallery looks most like a face: exact, in memory, written nowhere. Knows no model, no law and no file.

A first pass over one byte a number leaves the few rows that can be among the best; those are compared in full. How
that stays exact: a row is g = s·c + r with whole numbers c of -127..127, and the query is q = t·d + p. Then
q·g - t·s·(d·c) = p·g + t·(d·r), so the product of whole numbers tells the similarity within |p|·|g| + |t·d|·|r|; s and
|r| are kept with the row. What could reach the k-th best of the lower bounds is compared in full, and nothing else can
be among the best k: no guess, whatever the gallery holds. Where all rows are alike, all are compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numkong
import numpy as np
from numpy.typing import NDArray

from models.face.base import Vector

Codes: TypeAlias = NDArray[np.int8]
Doubles: TypeAlias = NDArray[np.float64]

MOST_NUMBERS: Final = 4096
"""In a vector: a product of whole numbers stays far within 32 bits."""
_LENGTH_WITHIN: Final = 1e-3
"""How far from 1 a vector's length may be: float32 as models give it is within 1e-6."""
_LONGEST: Final = 1.002
"""Of a row, in truth: its length was added up in float32, off by less than 1e-3."""
_SLACK: Final = 1e-9
"""Added to the bound: rounding of float64 in sums of MOST_NUMBERS products is under 1e-12."""
_ROWS_AT_ONCE: Final = 512
"""That are compared in full together: 2 MiB of float64 at 512 numbers."""
_BLOCK: Final = 64
"""Rows of which only the best lower bound counts: looking for the k-th best among a 64th takes a tenth of the time."""
_FIRST_ROOM: Final = 256


@dataclass(frozen=True, slots=True)
class Near:
    """A row of the gallery. similarity: cosine, -1..1, of the float32 vectors, added up in float64; no probability."""

    key: str
    similarity: float


class FaceGallery(Protocol):
    """What may be searched. Not thread-safe: one thread calls it."""

    def __len__(self) -> int: ...
    def __contains__(self, key: str) -> bool: ...
    def add(self, key: str, vector: Vector, person: str | None = None) -> None: ...
    def remove(self, key: str) -> None: ...
    def clear(self) -> None: ...
    def nearest(self, vector: Vector, top: int) -> list[Near]: ...
    def nearest_persons(self, vector: Vector, top: int) -> list[Near]: ...


def checked_size(size: int) -> int:
    """Raises: ValueError: not 1..MOST_NUMBERS."""
    if not 1 <= size <= MOST_NUMBERS:
        raise ValueError(f"vectors of {size} numbers; 1 to {MOST_NUMBERS} can be searched")
    return size


def checked(vector: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The vector, contiguous. Raises: ValueError: not `size` numbers of float32, not finite, or not of unit length."""
    if vector.shape != (size,) or vector.dtype != np.float32:
        raise ValueError(f"a vector of {vector.shape} {vector.dtype} does not fit a gallery of ({size},) float32")
    with np.errstate(all="ignore"):
        length = float(np.sqrt(np.dot(vector, vector)))
    if not np.isfinite(length):
        raise ValueError("a vector with numbers that are not finite is not compared")
    if abs(length - 1.0) > _LENGTH_WITHIN:
        raise ValueError(f"a vector of length {length:.3f} is not compared; its length must be 1")
    return np.ascontiguousarray(vector)


def similarities(rows: NDArray[np.float32], vector: Vector, scratch: Doubles | None = None) -> Doubles:
    """(n,) float64: what "exact" means here. Each row's sum is added in the same order wherever the row stands.

    A product of two float32 is exact in float64, so only the adding rounds, by less than 1e-12; a product of matrices
    would round a row differently with its place in the matrix. scratch: (n or more, d).
    """
    exact = np.empty(rows.shape, np.float64) if scratch is None else scratch[: len(rows)]
    query = vector.astype(np.float64)
    exact[:] = rows
    told: Doubles = np.vecdot(exact, query)
    query.fill(0)
    return told


def quantised(vector: Vector, codes: Codes, scratch: Doubles) -> tuple[float, float]:
    """Fills `codes` (d,) with whole numbers of -127..127; what one of them is worth, and the length of what is left.

    scratch: (2, d), zero afterwards. Types are never mixed in one operation: NumPy would convert in buffers of its own
    and leave a face's numbers in them.
    """
    exact, whole = scratch
    worth = max(float(vector.max()), -float(vector.min())) / 127
    exact[:] = vector
    np.divide(exact, worth, out=whole)
    np.rint(whole, out=whole)
    codes[:] = whole
    whole *= worth
    exact -= whole
    left = float(np.sqrt(np.dot(exact, exact)))
    scratch.fill(0)
    return worth, left


class Gallery:
    """The exact search, for some 100,000 rows. A row that is removed is overwritten at once, in every array.

    Rows stand close together: the last one moves where one was removed, and its old place is filled with zeros; arrays
    that were outgrown and scratch space too. Copies that a caller made are the caller's to clear.
    """

    def __init__(self, size: int) -> None:
        """size: numbers in a vector. Raises: ValueError: not 1..MOST_NUMBERS."""
        self._size = checked_size(size)
        self._keys: list[str] = []
        self._persons: list[str] = []
        self._row_of: dict[str, int] = {}
        self._make_room(_FIRST_ROOM)
        self._query: Codes = np.zeros((1, size), np.int8)
        self._rows = np.zeros((_ROWS_AT_ONCE, size), np.float32)
        self._exact: Doubles = np.zeros((_ROWS_AT_ONCE, size))
        self._scratch: Doubles = np.zeros((2, size))

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._row_of

    @property
    def size(self) -> int:
        """Numbers in a vector."""
        return self._size

    def add(self, key: str, vector: Vector, person: str | None = None) -> None:
        """Findable from now on. person: whose template it is, the key itself where a person has but one.

        Raises: ValueError: as `checked` says, or the key is here already.
        """
        if key in self._row_of:
            raise ValueError(f"{key} is in the gallery; remove it first")
        fitting = checked(vector, self._size)
        row = len(self._keys)
        if row == len(self._vectors):
            self._grow()
        self._vectors[row] = fitting
        self._worth[row], self._left[row] = quantised(fitting, self._codes[row], self._scratch)
        self._keys.append(key)
        self._persons.append(key if person is None else person)
        self._row_of[key] = row

    def remove(self, key: str) -> None:
        """Gone from here, and its place overwritten. Raises: KeyError: it is not here."""
        row, last = self._row_of.pop(key), len(self._keys) - 1
        for array in self._arrays():
            array[row] = array[last]
            array[last] = 0
        last_key, last_person = self._keys.pop(), self._persons.pop()
        if row != last:
            self._keys[row], self._persons[row], self._row_of[last_key] = last_key, last_person, row

    def clear(self) -> None:
        """All gone, and overwritten."""
        for array in self._arrays():
            array.fill(0)
        self._keys.clear()
        self._persons.clear()
        self._row_of.clear()
        self._make_room(_FIRST_ROOM)

    def nearest(self, vector: Vector, top: int) -> list[Near]:
        """The `top` rows that are most like `vector`, best first; equal ones by key; all where there are no more.

        The same as comparing with every row by `similarities`. One core; the query is not kept.
        Raises: ValueError: as `checked` says, or top < 1.
        """
        if top < 1:
            raise ValueError(f"the {top} nearest cannot be told; at least 1")
        fitting = checked(vector, self._size)
        rows = self._possible(fitting, top) if len(self._keys) > top else np.arange(len(self._keys))
        found: list[Near] = []
        for some in _in_pieces(rows):
            compared = self._rows[: len(some)]
            np.take(self._vectors, some, axis=0, out=compared, mode="clip")
            values = similarities(compared, fitting, self._exact)
            found += [Near(self._keys[row], float(value)) for row, value in zip(some, values, strict=True)]
            if len(found) > 2 * _ROWS_AT_ONCE + top:
                found = best_of(found, top)
        used = min(len(rows), _ROWS_AT_ONCE)
        self._rows[:used] = 0
        self._exact[:used] = 0
        return best_of(found, top)

    def nearest_persons(self, vector: Vector, top: int) -> list[Near]:
        """As `nearest`, with each person's best row alone, under the person's name.

        Raises: ValueError: as `nearest`.
        """
        rows = 2 * top
        while True:
            found = self.nearest(vector, rows)
            best: dict[str, float] = {}
            for near in found:
                best.setdefault(self._persons[self._row_of[near.key]], near.similarity)
            told = best_of([Near(*each) for each in best.items()], top)
            has_all = len(found) < rows or len(found) == len(self._keys)
            if has_all or (len(told) == top and found[-1].similarity < told[-1].similarity):
                return told
            rows *= 4

    def vectors(self) -> NDArray[np.float32]:
        """(n, d) float32, read only, in no order; a view that does not outlive the next change."""
        view = self._vectors[: len(self._keys)]
        view.flags.writeable = False
        return view

    def _possible(self, vector: Vector, top: int) -> NDArray[np.intp]:
        """Rows that may be among the best `top`; more than that, never fewer."""
        count = len(self._keys)
        worth, left = quantised(vector, self._query[0], self._scratch)
        query_length = worth * float(np.linalg.norm(self._query[0].astype(np.float64)))
        near, within = self._near[:count], self._within[:count]
        numkong.cdist(self._query, self._codes[:count], "dot", threads=1, out=near.reshape(1, count))
        self._query.fill(0)
        near *= self._worth[:count]
        near *= worth
        np.multiply(self._left[:count], query_length, out=within)
        within += _LONGEST * left + _SLACK
        near -= within
        floor = _kth_best(near, top)
        within *= 2
        near += within
        rows = np.flatnonzero(near >= floor)
        near.fill(0)
        within.fill(0)
        return rows

    def _make_room(self, room: int) -> None:
        self._vectors = np.zeros((room, self._size), np.float32)
        self._codes: Codes = np.zeros((room, self._size), np.int8)
        self._worth: Doubles = np.zeros(room)
        self._left: Doubles = np.zeros(room)
        self._near: Doubles = np.zeros(room)
        self._within: Doubles = np.zeros(room)

    def _arrays(self) -> tuple[NDArray[np.float32] | Codes | Doubles, ...]:
        return self._vectors, self._codes, self._worth, self._left

    def _grow(self) -> None:
        outgrown = self._arrays()
        rows = len(self._keys)
        self._make_room(2 * rows)
        for array, old in zip(self._arrays(), outgrown, strict=True):
            array[:rows] = old
            old.fill(0)


def _kth_best(lower: Doubles, top: int) -> float:
    """A bound that at least `top` rows reach. Of some rows only the best counts, where that leaves enough."""
    together = len(lower) // _BLOCK
    if together > 4 * top:
        lower = lower[: together * _BLOCK].reshape(_BLOCK, together).max(axis=0)
    return float(np.partition(lower, -top)[-top])


def best_of(found: Sequence[Near], top: int) -> list[Near]:
    """The first `top`, best first, equal ones by key."""
    return sorted(found, key=lambda near: (-near.similarity, near.key))[:top]


def _in_pieces(rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]
