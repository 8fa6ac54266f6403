"""The tree against RFC 6962's own definition, written out; proofs at sizes around powers of two and of 256."""

import hashlib

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases.custody import proofs
from cases.custody.merkle import HASH_BYTES, LogWriter, empty_root, leaf_hash, node_hash
from pipeline.errors import EvidenceError

_EDGES = [1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 511, 512, 513, 1000]


class Kept:
    """Tiles in memory."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.reads = 0

    async def read(self, level: int, place: int) -> bytes:
        self.reads += 1
        return self.tiles.get((level, place), b"")

    def extend(self, log: LogWriter, entries: list[bytes]) -> None:
        for change in log.extend(entries):
            before = self.tiles.get((change.level, change.place), b"")
            assert change.hashes.startswith(before), "a tile only grows"
            self.tiles[change.level, change.place] = change.hashes
        log.committed()


def entries(count: int, first: int = 0) -> list[bytes]:
    return [b"entry %d" % number for number in range(first, first + count)]


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def test_the_known_roots_of_the_reference_implementation() -> None:
    """Source: certificate-transparency's merkle_tree_test, the roots of its eight inputs."""
    inputs = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    }
    assert empty_root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for size, root in roots.items():
        log = LogWriter()
        log.extend(inputs[:size])
        assert log.root().hex() == root


@given(st.lists(st.integers(0, 300), max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_tree_that_grows_in_steps_is_the_tree_of_the_definition(steps: list[int]) -> None:
    log, kept, all_of_them = LogWriter(), Kept(), list[bytes]()
    for step in steps:
        new = entries(step, len(all_of_them))
        kept.extend(log, new)
        all_of_them += new
    assert log.size == len(all_of_them)
    assert log.root() == mth(all_of_them)
    again = anyio.run(LogWriter.load, log.size, kept.read)
    assert again.root() == log.root()
    kept.extend(log, [b"more"])
    again.extend([b"more"])
    assert again.root() == log.root() == mth([*all_of_them, b"more"])


def test_what_was_not_committed_is_forgotten() -> None:
    log, kept = LogWriter(), Kept()
    kept.extend(log, entries(300))
    root = log.root()
    log.extend(entries(700))
    log.extend(entries(5))
    log.rollback()
    assert (log.size, log.root()) == (300, root)


@pytest.mark.parametrize("size", _EDGES)
def test_every_leaf_is_proved_and_nothing_else(size: int) -> None:
    log, kept, leaves = LogWriter(), Kept(), entries(size)
    kept.extend(log, leaves)

    async def act() -> None:
        assert await proofs.root(size, kept.read) == log.root()
        for seq in {0, size // 2, size - 1, min(255, size - 1)}:
            path = await proofs.inclusion(seq, size, kept.read)
            leaf = leaf_hash(leaves[seq])
            assert proofs.is_included(leaf, seq, size, path, log.root())
            assert not proofs.is_included(leaf_hash(b"other"), seq, size, path, log.root())
            assert not proofs.is_included(leaf, seq + 1, size, path, log.root())
            assert not proofs.is_included(leaf, seq, size, [*path, leaf], log.root())
            assert not proofs.is_included(leaf, seq, size, path, leaf_hash(b"other"))
            for at in range(len(path)):
                assert not proofs.is_included(leaf, seq, size, path[:at] + path[at + 1 :], log.root())

    anyio.run(act)


@given(st.sampled_from(_EDGES), st.data())
@settings(max_examples=80, deadline=None)
def test_a_later_tree_is_proved_to_begin_with_an_earlier_one(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, size))
    log, kept, leaves = LogWriter(), Kept(), entries(size)
    kept.extend(log, leaves)

    async def act() -> None:
        before, now = await proofs.root(old, kept.read), log.root()
        assert before == mth(leaves[:old])
        path = await proofs.consistency(old, size, kept.read)
        assert proofs.is_consistent(old, before, size, now, path)
        if 0 < old < size:
            edited = mth([b"edited", *leaves[1:old]])
            assert not proofs.is_consistent(old, edited, size, now, path)
            assert not proofs.is_consistent(old, before, size, edited, path)
            assert not proofs.is_consistent(old, before, size, now, path[:-1])
            assert not proofs.is_consistent(old, before, size, now, [*path, before])

    anyio.run(act)


def test_a_path_that_is_too_long_or_too_short_for_its_size_proves_nothing() -> None:
    """Each path leads to the head that is given with it; only its length tells that the size is another."""
    one, two, three, four = (leaf_hash(entry) for entry in entries(4))
    above = leaf_hash(b"above")
    assert not proofs.is_included(one, 0, 3, [two], node_hash(one, two))
    assert not proofs.is_included(one, 0, 1, [above], node_hash(above, one))
    assert not proofs.is_consistent(1, one, 3, node_hash(one, two), [two])
    before, now = mth(entries(3)), mth(entries(4))
    path = [three, four, node_hash(one, two)]
    assert proofs.is_consistent(3, before, 4, now, path)
    assert not proofs.is_consistent(3, node_hash(above, before), 4, node_hash(above, now), [*path, above])
    assert not proofs.is_consistent(3, before, 4, now, [])


def test_heads_of_one_size_are_one_head_and_a_tree_never_shrinks() -> None:
    before, now = mth(entries(3)), mth(entries(4))
    assert proofs.is_consistent(4, now, 4, now, [])
    assert not proofs.is_consistent(4, mth([*entries(3), b"edited"]), 4, now, [])
    assert not proofs.is_consistent(4, now, 4, now, [now])
    assert proofs.is_consistent(0, empty_root(), 4, now, [])
    assert not proofs.is_consistent(0, empty_root(), 4, now, [now])
    path = [leaf_hash(entries(3)[2]), leaf_hash(entries(4)[3]), mth(entries(2))]
    assert not proofs.is_consistent(4, now, 3, before, path)
    assert not proofs.is_consistent(-1, before, 4, now, path)


@pytest.mark.parametrize(("first", "second"), [(5, 5), (6, 5), (-1, 5)])
def test_what_is_not_in_the_log_is_not_proved(first: int, second: int) -> None:
    log, kept = LogWriter(), Kept()
    kept.extend(log, entries(5))
    with pytest.raises(ValueError, match="is not among 5"):
        anyio.run(proofs.inclusion, first, second, kept.read)
    if first != second:
        with pytest.raises(ValueError, match="are not a beginning of 5"):
            anyio.run(proofs.consistency, first, second, kept.read)


def test_a_proof_reads_few_tiles_and_a_missing_tile_is_named() -> None:
    log, kept = LogWriter(), Kept()
    kept.extend(log, entries(70_000))

    async def act() -> None:
        path = await proofs.inclusion(12_345, 70_000, kept.read)
        assert proofs.is_included(leaf_hash(entries(1, 12_345)[0]), 12_345, 70_000, path, log.root())
        assert kept.reads <= 6
        kept.tiles[0, 48] = kept.tiles[0, 48][:-HASH_BYTES]
        with pytest.raises(EvidenceError, match="tile 0/48 is missing or short"):
            await proofs.inclusion(12_345, 70_000, kept.read)
        kept.tiles.pop((0, 273))
        with pytest.raises(EvidenceError, match="tile 0/273 is missing or short"):
            await LogWriter.load(70_000, kept.read)

    anyio.run(act)


def test_sm3_is_a_tree_of_its_own() -> None:
    """Source of the hash: GB/T 32905-2016, A.1 (the digest of "abc")."""
    assert hashlib.new("sm3", b"abc").hexdigest() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    log, kept = LogWriter("sm3"), Kept()
    kept.extend(log, entries(300))

    async def act() -> None:
        path = await proofs.inclusion(299, 300, kept.read, "sm3")
        assert proofs.is_included(leaf_hash(entries(1, 299)[0], "sm3"), 299, 300, path, log.root(), "sm3")
        assert not proofs.is_included(leaf_hash(entries(1, 299)[0]), 299, 300, path, log.root())

    anyio.run(act)
