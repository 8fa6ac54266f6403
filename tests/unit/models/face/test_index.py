"""Beyond what is searched exactly a graph proposes; what it gives is exact in itself, and what is removed is gone."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from models.face.index import MOST_EXACT, IndexedGallery, measured_recall, opened
from models.face.search import FaceGallery, Gallery
from tests.unit.models.face.test_search import REFUSED, strangers, unit

Rows = NDArray[np.float32]


def both(rows: Rows) -> tuple[IndexedGallery, Gallery]:
    indexed, exact = IndexedGallery(rows.shape[1]), Gallery(rows.shape[1])
    for number, row in enumerate(rows):
        for gallery in (indexed, exact):
            gallery.add(str(number), row)
    return indexed, exact


def looks(rows: Rows, count: int) -> list[Rows]:
    """Other looks at persons who are in it: similarity about 0.7."""
    rng = np.random.default_rng(3)
    picked = rows[rng.integers(0, len(rows), count)]
    return list(unit(picked + rng.standard_normal(picked.shape) / np.sqrt(rows.shape[1])))


def test_a_gallery_is_exact_up_to_the_limit_and_indexed_beyond_it() -> None:
    assert isinstance(opened(8, MOST_EXACT), Gallery)
    assert isinstance(opened(8, MOST_EXACT + 1), IndexedGallery)


def test_nearly_all_looks_at_persons_who_are_in_it_find_them() -> None:
    rows = strangers(3_000, 64)
    indexed, exact = both(rows)
    assert measured_recall(indexed, exact, looks(rows, 200)) >= 0.99


def test_recall_is_measured_and_not_assumed() -> None:
    rows = strangers(50, 16)
    indexed, exact = both(rows)
    found = indexed.nearest(rows[7], 1)[0].key
    indexed.remove(found)
    assert measured_recall(indexed, exact, [rows[7], rows[8]]) == 0.5


def test_adding_and_removing_needs_no_rebuilding() -> None:
    rows = strangers(2_000, 32)
    indexed, exact = both(rows)
    for number in range(0, 2_000, 2):
        for gallery in (indexed, exact):
            gallery.remove(str(number))
    fresh = strangers(1_000, 32, 4)
    for number, row in enumerate(fresh):
        for gallery in (indexed, exact):
            gallery.add(f"new {number}", row)
    assert len(indexed) == 2_000
    assert "0" not in indexed
    assert measured_recall(indexed, exact, looks(np.vstack([rows[1::2], fresh]), 200)) >= 0.98
    assert len({near.key for near in indexed.nearest(rows[0], 20)} & {str(each) for each in range(0, 2_000, 2)}) == 0


def test_a_removed_row_is_overwritten_and_never_found_again() -> None:
    rows = strangers(40, 16)
    indexed, _ = both(rows)
    indexed.remove("5")
    assert not any(np.isin(rows[5], block).any() for block in indexed._blocks)
    assert "5" not in [near.key for near in indexed.nearest(rows[5], 40)]
    held = indexed._blocks[0]
    indexed.clear()
    assert not held.any()
    assert indexed.nearest(rows[0], 3) == []
    indexed.add("again", rows[1])
    assert [near.key for near in indexed.nearest(rows[1], 3)] == ["again"]


def test_the_graph_reads_the_rows_where_they_lie_and_keeps_no_copy() -> None:
    rows = strangers(40, 16)
    indexed, _ = both(rows)
    indexed._blocks[0][:40] = rows[::-1]
    assert indexed.nearest(rows[3], 1)[0].key == "36"
    assert np.array_equal(np.asarray(indexed._index.get(3), np.float32).ravel(), rows[36])


def test_a_process_with_an_index_can_still_load_models() -> None:
    """Loaded before onnxruntime, usearch makes its import a segmentation fault."""
    program = "from models.face.index import IndexedGallery; IndexedGallery(8); import onnxruntime"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_person_is_told_once() -> None:
    one, other = strangers(2, 16)
    indexed = IndexedGallery(16)
    for number in range(5):
        indexed.add(f"t{number}", unit(one + np.float32(0.01 * number)), person="p")
    indexed.add("u", other, person="q")
    assert [near.key for near in indexed.nearest_persons(one, 2)] == ["p", "q"]


@pytest.mark.parametrize("make", [Gallery, IndexedGallery])
def test_both_refuse_the_same(make: type[Gallery] | type[IndexedGallery]) -> None:
    gallery: FaceGallery = make(16)
    gallery.add("kept", strangers(1, 16)[0])
    for vector, why in REFUSED:
        with pytest.raises(ValueError, match=why):
            gallery.add("new", np.asarray(vector))
        with pytest.raises(ValueError, match=why):
            gallery.nearest(np.asarray(vector), 1)
    with pytest.raises(ValueError, match="remove it first"):
        gallery.add("kept", strangers(1, 16)[0])
    with pytest.raises(KeyError):
        gallery.remove("new")
    with pytest.raises(ValueError, match="at least 1"):
        gallery.nearest(strangers(1, 16)[0], 0)
    with pytest.raises(ValueError, match="can be searched"):
        make(0)
    assert len(gallery) == 1
