"""The search of galleries beyond some 100,000 rows: a graph (HNSW, by usearch) proposes, and that is compared exactly.

It may miss the best: how often is measured by `measured_recall`, never assumed. In memory alone, saved nowhere. The
graph holds no vector: it reads them in rows that lie here, so a removed one is overwritten here and nowhere else. Its
node stays, empty, until a new row takes its place. Source: arXiv:1603.09320; usearch, Index.add, copy=False.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.face.base import Vector
from models.face.search import Doubles, FaceGallery, Gallery, Near, best_of, checked, checked_size, similarities

if TYPE_CHECKING:
    from usearch.index import Index

MOST_EXACT: Final = 100_000
"""Rows that are searched exactly: 3 ms on one core at 512 numbers."""
_ROWS_IN_BLOCK: Final = 16_384
"""That are allocated together and never move, since the graph points to them."""
_NEIGHBOURS: Final = 24
_BREADTH: Final = 256
"""Of the search in the graph, when adding and when asking: more finds more and takes longer."""
_PROPOSED: Final = 64
"""Rows that are compared exactly, or four times as many as are asked for."""


def opened(size: int, rows: int) -> FaceGallery:
    """An empty gallery, exact where no more than MOST_EXACT rows are expected. Raises: ValueError: as Gallery."""
    return Gallery(size) if rows <= MOST_EXACT else IndexedGallery(size)


class IndexedGallery:
    """As models.face.search.Gallery, but that the best may be missed. The similarities that are told are exact."""

    def __init__(self, size: int) -> None:
        """size: numbers in a vector. Raises: ValueError: as Gallery."""
        self._size = checked_size(size)
        self._blocks: list[NDArray[np.float32]] = []
        self._free: list[int] = []
        self._row_of: dict[str, int] = {}
        self._named: dict[int, tuple[str, str]] = {}
        self._begin()

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, key: str) -> bool:
        return key in self._row_of

    def add(self, key: str, vector: Vector, person: str | None = None) -> None:
        """Raises: ValueError: as Gallery.add."""
        if key in self._row_of:
            raise ValueError(f"{key} is in the gallery; remove it first")
        fitting = checked(vector, self._size)
        if not self._free:
            self._blocks.append(np.zeros((_ROWS_IN_BLOCK, self._size), np.float32))
            first = (len(self._blocks) - 1) * _ROWS_IN_BLOCK
            self._free = list(range(first + _ROWS_IN_BLOCK - 1, first - 1, -1))
        row = self._free.pop()
        place = self._place(row)
        place[:] = fitting
        self._index.add(row, place, copy=False, threads=1)
        self._row_of[key] = row
        self._named[row] = key, key if person is None else person

    def remove(self, key: str) -> None:
        """Raises: KeyError: it is not here."""
        row = self._row_of.pop(key)
        del self._named[row]
        self._index.remove(row, threads=1)
        self._place(row).fill(0)
        self._free.append(row)

    def clear(self) -> None:
        """All gone, and overwritten."""
        self._begin()
        for block in self._blocks:
            block.fill(0)
        self._blocks.clear()
        self._free.clear()
        self._row_of.clear()
        self._named.clear()

    def nearest(self, vector: Vector, top: int) -> list[Near]:
        """The best of what the graph proposed, as Gallery.nearest. Raises: ValueError: as there."""
        proposed = self._proposed(vector, top)
        return best_of([Near(self._named[row][0], value) for row, value in proposed.items()], top)

    def nearest_persons(self, vector: Vector, top: int) -> list[Near]:
        """As `nearest`, each person's best row alone, under the person's name.

        Fewer than `top` where the graph proposed rows of fewer persons. Raises: ValueError: as `nearest`.
        """
        best: dict[str, float] = {}
        for row, value in self._proposed(vector, top).items():
            person = self._named[row][1]
            best[person] = max(value, best.get(person, value))
        return best_of([Near(*each) for each in best.items()], top)

    def _proposed(self, vector: Vector, top: int) -> dict[int, float]:
        """Row and exact similarity."""
        if top < 1:
            raise ValueError(f"the {top} nearest cannot be told; at least 1")
        fitting = checked(vector, self._size)
        if not self._row_of:
            return {}
        count = min(len(self._row_of), max(_PROPOSED, 4 * top))
        rows = [int(key) for key in self._index.search(fitting, count, threads=1).keys]
        compared = np.stack([self._place(row) for row in rows])
        scratch: Doubles = np.empty(compared.shape, np.float64)
        values = similarities(compared, fitting, scratch)
        compared.fill(0)
        scratch.fill(0)
        return dict(zip(rows, (float(value) for value in values), strict=True))

    def _place(self, row: int) -> NDArray[np.float32]:
        placed: NDArray[np.float32] = self._blocks[row // _ROWS_IN_BLOCK][row % _ROWS_IN_BLOCK]
        return placed

    def _begin(self) -> None:
        self._index = _graph(self._size)


def _graph(size: int) -> "Index":
    """usearch 2.26 carries a C++ library of its own: where it is loaded first, onnxruntime 1.32 crashes on import."""
    import_module("onnxruntime")
    from usearch.index import Index

    return Index(
        ndim=size,
        metric="ip",
        dtype="f32",
        connectivity=_NEIGHBOURS,
        expansion_add=_BREADTH,
        expansion_search=_BREADTH,
    )


def measured_recall(gallery: FaceGallery, exact: FaceGallery, queries: Sequence[Vector]) -> float:
    """In how many of the queries `gallery` gives the nearest that `exact` gives; both hold the same rows.

    queries: not empty, and such as will be asked: looks at persons who are in it are found more surely than at random.
    """
    hits = sum(gallery.nearest(query, 1) == exact.nearest(query, 1) for query in queries)
    return hits / len(queries)
