"""What searching a gallery costs on one core, and whether the answer is the exact one: by counting."""

import functools
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.face.index import IndexedGallery, measured_recall
from models.face.search import Gallery, Near, similarities

Rows = NDArray[np.float32]
METHOD = (
    "search: random unit vectors; wall time of Gallery.nearest with top 2 on one thread, median of 200 queries, half of them "
    "looks at somebody who is in it; exact: the answer is that of comparing with every row in float64, keys and similarities."
)
_QUERIES = 200
_INDEXED = 20_000


def run(queries: int = 10_000) -> dict[str, object]:
    """queries: random ones whose answer is compared with that of brute force among 10,000 rows of 128 numbers."""
    report: dict[str, object] = {}
    for name, rows in (("100k", 100_000), ("10k", 10_000)):
        told = _speed(unit(rows, 512, 1))
        report[f"search_ms_{name}"] = told.pop("ms")
        report[f"search_{name}"] = told
    report |= exactness(queries)
    return report | {"index": index()}


def _speed(vectors: Rows) -> dict[str, object]:
    gallery, add_us = filled(vectors)
    asked = [*unit(_QUERIES // 2, 512, 2), *looks(vectors, _QUERIES // 2)]
    began_s = time.process_time()
    took_ms = [_ms(functools.partial(gallery.nearest, query, 2)) for query in asked]
    cpu_ms = (time.process_time() - began_s) * 1000 / len(asked)
    plain_ms = [_ms(functools.partial(np.dot, vectors, asked[0])) for _ in range(20)]
    remove_ms = [_ms(functools.partial(gallery.remove, str(key))) for key in range(500)]
    return {
        "ms": round(float(np.median(took_ms)), 3), "p95_ms": round(float(np.quantile(took_ms, 0.95)), 3),
        "cpu_ms": round(cpu_ms, 3), "numpy_float32_ms": round(float(np.median(plain_ms)), 3),
        "add_us": add_us, "remove_us": round(float(np.median(remove_ms)) * 1000, 1),
    }  # fmt: skip


def exactness(queries: int, size: int = 128) -> dict[str, object]:
    """Among 10,000 random rows, and among 10,000 in tight clusters, where a bound that is too narrow would show."""
    told: dict[str, object] = {}
    for name, vectors in (("random", unit(10_000, size, 3)), ("clustered", clusters(10_000, size))):
        gallery, _ = filled(vectors)
        asked = [*unit(queries // 2, size, 4), *looks(vectors, queries - queries // 2)]
        told[name] = sum(gallery.nearest(query, 2) == by_hand(vectors, query, 2) for query in asked)
    return {f"exact_of_{queries}": told["random"], "exact_clustered": told["clustered"]}


def by_hand(vectors: Rows, query: Rows, top: int) -> list[Near]:
    """All rows compared; a product of matrices only says which few need looking at for their order."""
    rough = vectors @ query
    floor = np.partition(rough, -top)[-top] - 1e-4  # a float32 product is within 1e-5
    rows = np.flatnonzero(rough >= floor)
    told = [Near(str(row), float(value)) for row, value in zip(rows, similarities(vectors[rows], query), strict=True)]
    return sorted(told, key=lambda near: (-near.similarity, near.key))[:top]


def index(rows: int = _INDEXED, size: int = 128) -> dict[str, object]:
    """The search beyond 100,000 rows, on fewer: its recall, also after half were removed and added anew."""
    vectors = unit(rows, size, 5)
    exact, _ = filled(vectors)
    indexed = IndexedGallery(size)
    began = time.perf_counter()
    for number, row in enumerate(vectors):
        indexed.add(str(number), row)
    add_us = (time.perf_counter() - began) / rows * 1e6
    mated, strange = looks(vectors, _QUERIES), [*unit(_QUERIES, size, 6)]
    told: dict[str, object] = {
        "rows": rows, "add_us": round(add_us, 1),
        "recall": measured_recall(indexed, exact, mated), "recall_of_strangers": measured_recall(indexed, exact, strange),
        "search_ms": round(float(np.median([_ms(functools.partial(indexed.nearest, query, 2)) for query in mated])), 3),
    }  # fmt: skip
    fresh = unit(rows // 2, size, 7)
    for number, row in enumerate(fresh):
        for gallery in (indexed, exact):
            gallery.remove(str(2 * number))
            gallery.add(f"new {number}", row)
    kept = np.vstack([vectors[1::2], fresh])
    return {**told, "recall_after_half_changed": measured_recall(indexed, exact, looks(kept, _QUERIES))}


def unit(rows: int, size: int, seed: int) -> Rows:
    made = np.random.default_rng(seed).standard_normal((rows, size), np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def looks(vectors: Rows, count: int) -> list[Rows]:
    """Of people who are in it: similarity to their row about 0.7."""
    rng = np.random.default_rng(8)
    made = vectors[rng.integers(0, len(vectors), count)]
    made = made + rng.standard_normal(made.shape, np.float32) / np.float32(np.sqrt(made.shape[1]))
    return [*(made / np.linalg.norm(made, axis=1, keepdims=True))]


def clusters(rows: int, size: int) -> Rows:
    rng = np.random.default_rng(9)
    made = unit(20, size, 10)[rng.integers(0, 20, rows)]
    made = made + rng.standard_normal(made.shape, np.float32) * np.float32(0.02)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def filled(vectors: Rows) -> tuple[Gallery, float]:
    """And the microseconds a row took."""
    gallery = Gallery(vectors.shape[1])
    began = time.perf_counter()
    for number, row in enumerate(vectors):
        gallery.add(str(number), row)
    return gallery, round((time.perf_counter() - began) / len(vectors) * 1e6, 1)


def _ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
