"""A face is compared with a gallery exactly, and what is removed is gone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.face.search import MOST_NUMBERS, Gallery, Near, checked, similarities

Rows = NDArray[np.float32]


def unit(rows: NDArray[np.float64] | Rows) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def strangers(count: int, size: int, seed: int = 1) -> Rows:
    return unit(np.random.default_rng(seed).standard_normal((count, size)))


def filled(rows: Rows) -> Gallery:
    gallery = Gallery(rows.shape[1])
    for number, row in enumerate(rows):
        gallery.add(name(number), row)
    return gallery


def name(number: int) -> str:
    return f"k{number * 7919 % 100_003:06d}"  # the order of keys is not that of rows


def by_hand(rows: Rows, vector: Rows, top: int) -> list[Near]:
    told = [Near(name(number), float(value)) for number, value in enumerate(similarities(rows, vector))]
    return sorted(told, key=lambda near: (-near.similarity, near.key))[:top]


def near_duplicates(count: int, size: int, rng: np.random.Generator) -> Rows:
    return unit(strangers(1, size, 5) + rng.standard_normal((count, size)) * 1e-6)


def clusters(count: int, size: int, rng: np.random.Generator) -> Rows:
    centres = strangers(5, size, 6)[rng.integers(0, 5, count)]
    return unit(centres + rng.standard_normal((count, size)) * 0.01)


def pairs_of_twins(count: int, size: int, rng: np.random.Generator) -> Rows:
    return np.repeat(unit(rng.standard_normal((count // 2 + 1, size))), 2, axis=0)[:count]


def all_equal(count: int, size: int, rng: np.random.Generator) -> Rows:
    return np.repeat(unit(rng.standard_normal((1, size))), count, axis=0)


def spikes(count: int, size: int, rng: np.random.Generator) -> Rows:
    """One number outweighs all others, so whole numbers tell little of them."""
    rows = rng.standard_normal((count, size)) * 1e-3
    rows[:, 0] = 1.0
    return unit(rows)


def opposite(count: int, size: int, rng: np.random.Generator) -> Rows:
    rows = unit(rng.standard_normal((count, size)))
    rows[::2] = -rows[1::2][: len(rows[::2])] if count > 1 and count % 2 == 0 else rows[::2]
    return rows


KINDS = (near_duplicates, clusters, pairs_of_twins, all_equal, spikes, opposite)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
@pytest.mark.parametrize("size", [1, 3, 128])
def test_a_gallery_made_to_deceive_gives_the_exact_answer(kind: object, size: int) -> None:
    assert callable(kind)
    rng = np.random.default_rng(2)
    rows = kind(1500, size, rng)
    gallery = filled(rows)
    for vector in [*strangers(8, size, 3), *rows[:4], *unit(rows[:4] + 1e-4)]:
        for top in (1, 2, 7):
            assert gallery.nearest(vector, top) == by_hand(rows, vector, top)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 70), st.integers(1, 12), st.sampled_from(KINDS))
def test_any_gallery_gives_the_exact_answer(seed: int, count: int, size: int, top: int, kind: object) -> None:
    assert callable(kind)
    rng = np.random.default_rng(seed)
    rows = kind(count, size, rng)
    vector = unit(rng.standard_normal(size))
    assert filled(rows).nearest(vector, top) == by_hand(rows, vector, top)


def test_two_hundred_random_queries_are_answered_exactly_among_ten_thousand() -> None:
    rows = strangers(10_000, 128)
    gallery = filled(rows)
    for vector in strangers(200, 128, 9):
        assert gallery.nearest(vector, 2) == by_hand(rows, vector, 2)


def test_what_rounding_takes_from_the_query_counts_too() -> None:
    """All numbers of the query but one are rounded to nothing, and exactly these are the nearest row."""
    vector = np.full(64, 0.003, np.float32)
    vector[0] = np.sqrt(1 - 63 * 0.003**2)
    rows = np.zeros((2, 64), np.float32)
    rows[0, 1:] = 1 / np.sqrt(63)
    rows[1, 0], rows[1, 1], rows[1, 2] = 0.02, -np.sqrt(0.5), np.sqrt(0.5)
    rows = unit(rows)
    assert filled(rows).nearest(vector, 1) == by_hand(rows, vector, 1)
    assert by_hand(rows, vector, 1)[0].key == name(0)


def test_the_bound_leaves_few_rows_to_compare_in_full() -> None:
    gallery = filled(strangers(10_000, 128))
    compared = [len(gallery._possible(vector, 2)) for vector in strangers(50, 128, 9)]
    assert np.mean(compared) < 50


def test_it_agrees_with_a_float32_product_of_the_whole_matrix() -> None:
    rows, gallery = (made := strangers(3_000, 512)), filled(made)
    for vector in strangers(50, 512, 4):
        (best,) = gallery.nearest(vector, 1)
        whole = rows @ vector
        assert best.key == name(int(whole.argmax()))
        assert best.similarity == pytest.approx(float(whole.max()), abs=1e-6)


def test_equal_similarities_come_in_the_order_of_keys() -> None:
    row = strangers(1, 16)[0]
    gallery = Gallery(16)
    for key in ("b", "c", "a"):
        gallery.add(key, row)
    assert [near.key for near in gallery.nearest(row, 2)] == ["a", "b"]


def test_all_are_told_where_there_are_no_more_than_were_asked_for() -> None:
    rows = strangers(3, 8)
    assert len(filled(rows).nearest(rows[0], 10)) == 3
    assert Gallery(8).nearest(rows[0], 1) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=200))
def test_adding_and_removing_in_any_order_leaves_what_is_there_searchable(steps: list[tuple[bool, int]]) -> None:
    rows = strangers(41, 12)
    gallery, there = Gallery(12), set[int]()
    for is_added, number in steps:
        if is_added and number not in there:
            gallery.add(name(number), rows[number])
            there.add(number)
        elif not is_added and number in there:
            gallery.remove(name(number))
            there.discard(number)
    assert len(gallery) == len(there)
    vector = strangers(1, 12, 8)[0]
    expected = [near for near in by_hand(rows, vector, 41) if near.key in {name(number) for number in there}]
    assert gallery.nearest(vector, 41) == expected


def test_it_grows_without_forgetting() -> None:
    rows = strangers(3_000, 8)
    gallery = filled(rows)
    assert all(gallery.nearest(rows[number], 1)[0].key == name(number) for number in (0, 255, 256, 257, 2_999))


def arrays(gallery: Gallery) -> Iterator[NDArray[np.generic]]:
    yield from (each for each in vars(gallery).values() if isinstance(each, np.ndarray))


def test_a_removed_row_is_overwritten_in_every_array() -> None:
    rows = strangers(2, 64)
    gallery = Gallery(64)
    gallery.add("kept", rows[0])
    alone = [array.copy() for array in arrays(gallery)]
    for first, second in (("kept", "gone"), ("gone", "kept")):
        both = Gallery(64)
        for key in (first, second):
            both.add(key, rows[0] if key == "kept" else rows[1])
        both.nearest(rows[0], 1)
        both.remove("gone")
        assert all(np.array_equal(one, other) for one, other in zip(alone, arrays(both), strict=True))
        assert "gone" not in both
        assert [near.key for near in both.nearest(rows[1], 5)] == ["kept"]


def test_after_a_search_no_copy_of_query_or_rows_is_left_in_scratch_space() -> None:
    rows = strangers(900, 32)
    gallery = filled(rows)
    before = [array.copy() for array in arrays(gallery)]
    gallery.nearest(strangers(1, 32, 2)[0], 700)
    assert all(np.array_equal(one, other) for one, other in zip(before, arrays(gallery), strict=True))


def test_clearing_overwrites_the_rows_and_outgrown_arrays_too() -> None:
    gallery = Gallery(16)
    first = list(arrays(gallery))
    for number, row in enumerate(strangers(600, 16)):
        gallery.add(name(number), row)
    second = list(arrays(gallery))
    gallery.clear()
    assert len(gallery) == 0
    assert not any(array.any() for array in (*first, *second, *arrays(gallery)))
    assert gallery.nearest(strangers(1, 16)[0], 3) == []


_CHILD = """
import sys
import numpy as np
from models.face.calibration import Impostors
from models.face.decide import threshold_for
from models.face.search import Gallery

def made(seed):
    row = np.random.default_rng(seed).random(512, dtype=np.float32)
    row -= np.float32(0.5)
    row /= np.sqrt(np.dot(row, row))
    return row

gallery = Gallery(512)
for seed in range(300):
    row = made(seed)
    gallery.add(str(seed), row)
    row.fill(0)
query = made(1000)
for seed in range(20):
    gallery.nearest(query, 300)
query.fill(0)
threshold_for(1e-4, Impostors("m@1", 0, 0, ()), gallery.vectors())
print("full", flush=True)
sys.stdin.readline()
gallery.remove("7")
print("removed", flush=True)
sys.stdin.readline()
gallery.clear()
print("cleared", flush=True)
sys.stdin.readline()
"""


def _held(pid: int, needles: dict[str, bytes]) -> dict[str, int]:
    """How often each is in what the process may write to. Source: proc(5)."""
    found = dict.fromkeys(needles, 0)
    spans = [line.split() for line in Path(f"/proc/{pid}/maps").read_text(encoding="ascii").splitlines()]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for span in spans:
            if not span[1].startswith("rw") or span[-1] in ("[vvar]", "[vsyscall]"):
                continue
            start, end = (int(each, 16) for each in span[0].split("-"))
            memory.seek(start)
            try:
                held = memory.read(end - start)
            except OSError:
                continue
            for key, needle in needles.items():
                found[key] += held.count(needle)
    return found


def _needles(seed: int) -> dict[str, bytes]:
    row = np.random.default_rng(seed).random(512, dtype=np.float32)
    row -= np.float32(0.5)
    row /= np.sqrt(np.dot(row, row))
    codes = np.rint(row.astype(np.float64) / (float(np.abs(row).max()) / 127)).astype(np.int8)
    middle = slice(100, 140)  # malloc writes into the first bytes of what it was given back
    return {
        "float32": row[middle].tobytes(),
        "float64": row[middle].astype(np.float64).tobytes(),
        "int8": codes[middle].tobytes(),
    }


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="reads another process's memory by /proc")
def test_a_removed_template_is_nowhere_in_the_memory_of_the_process() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "full\n"
        try:
            full = _held(child.pid, _needles(7))
        except PermissionError:
            pytest.skip("this system does not let a process read its child's memory")
        assert full["float32"] == 1
        assert full["int8"] == 1
        assert sum(_held(child.pid, _needles(1000)).values()) == 0, "the query"
        child.stdin.write("\n")
        assert child.stdout.readline() == "removed\n"
        assert sum(_held(child.pid, _needles(7)).values()) == 0
        assert _held(child.pid, _needles(8))["float32"] == 1
        child.stdin.write("\n")
        assert child.stdout.readline() == "cleared\n"
        assert sum(_held(child.pid, _needles(8)).values()) == 0
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def _spoilt(row: Rows, value: float) -> Rows:
    spoilt = row.copy()
    spoilt[3] = value
    return spoilt


_GOOD = strangers(1, 16)[0]
REFUSED: list[tuple[NDArray[np.generic], str]] = [
    (_spoilt(_GOOD, np.nan), "not finite"),
    (_spoilt(_GOOD, np.inf), "not finite"),
    (np.zeros(16, np.float32), r"length 0\.000"),
    (_GOOD * np.float32(2), r"length 2\.000"),
    (strangers(1, 17)[0], "does not fit"),
    (strangers(1, 16), "does not fit"),
    (_GOOD.astype(np.float64), "does not fit"),
]


@pytest.mark.parametrize(("vector", "why"), REFUSED)
def test_what_is_no_vector_is_refused_and_nothing_is_kept(vector: Rows, why: str) -> None:
    gallery = filled(strangers(3, 16, 2))
    with pytest.raises(ValueError, match=why):
        gallery.add("new", vector)
    with pytest.raises(ValueError, match=why):
        gallery.nearest(vector, 1)
    assert len(gallery) == 3
    assert "new" not in gallery


def test_a_refusal_tells_no_number_of_the_vector() -> None:
    with pytest.raises(ValueError, match=r"length 1\.500") as told:
        checked(_GOOD * np.float32(1.5), 16)
    assert not any(f"{value:.3f}" in str(told.value) for value in _GOOD * 1.5)


def test_a_key_is_added_once_and_removed_once() -> None:
    gallery = filled(strangers(2, 16))
    with pytest.raises(ValueError, match="remove it first"):
        gallery.add(name(1), _GOOD)
    gallery.remove(name(1))
    with pytest.raises(KeyError):
        gallery.remove(name(1))
    with pytest.raises(ValueError, match="at least 1"):
        gallery.nearest(_GOOD, 0)


@pytest.mark.parametrize("size", [0, -1, MOST_NUMBERS + 1])
def test_a_gallery_of_no_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="can be searched"):
        Gallery(size)


def test_a_person_with_many_templates_does_not_crowd_out_the_second() -> None:
    one, other = strangers(2, 32)
    gallery = Gallery(32)
    for number in range(40):
        gallery.add(f"t{number:02d}", unit(one + np.float32(0.001 * number)), person="officer-1")
    gallery.add("u", other, person="officer-2")
    found = gallery.nearest_persons(one, 2)
    assert [near.key for near in found] == ["officer-1", "officer-2"]
    assert found[0].similarity == gallery.nearest(one, 1)[0].similarity


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 9), st.integers(1, 5), st.booleans())
def test_the_nearest_persons_are_those_of_all_their_templates(
    seed: int, count: int, persons: int, top: int, is_equal: bool
) -> None:
    rng = np.random.default_rng(seed)
    rows = all_equal(count, 6, rng) if is_equal else clusters(count, 6, rng)
    of = [f"p{each}" for each in rng.integers(0, persons, count)]
    gallery = Gallery(6)
    for number, row in enumerate(rows):
        gallery.add(name(number), row, of[number])
    vector = unit(rng.standard_normal(6))
    best: dict[str, float] = {}
    for person, value in zip(of, similarities(rows, vector), strict=True):
        best[person] = max(best.get(person, -2.0), float(value))
    expected = sorted((Near(*each) for each in best.items()), key=lambda near: (-near.similarity, near.key))[:top]
    assert gallery.nearest_persons(vector, top) == expected
