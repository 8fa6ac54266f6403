"""The outbox: what was told is read once, in order, whatever stops when; and what the disk refuses is told later."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import UnionType
from typing import get_args, get_type_hints

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import EvidenceError, StorageError, StorageFull, StorageSyncFailed
from pipeline.event_codec import event_from
from pipeline.events import Event, PublisherRefused, SegmentClosed, StreamEnded, StreamStarted
from pipeline.outbox import Outbox, OutboxReader, Place, decode, encode, look_back, writer
from pipeline.record.disk import SystemDisk
from tests.unit.record.material import BrokenDisk

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
_VALUES: dict[type | UnionType, st.SearchStrategy[str | float | None]] = {
    str: _TEXT, float: _NUMBER, int: st.integers(0, 2**53), bool: st.booleans(),
    str | None: _TEXT | st.none(), float | None: _NUMBER | st.none(),
}  # fmt: skip
FIRST = Place(0, 0)
_KINDS: list[Callable[..., Event]] = list(get_args(Event))


def of_kind(kind: Callable[..., Event]) -> st.SearchStrategy[Event]:
    return st.builds(kind, **{name: _VALUES[each] for name, each in get_type_hints(kind).items()})


def started(number: int) -> StreamStarted:
    return StreamStarted(at=float(number), stream_id=f"st_{number}", device_id="dev_1")


def read_all(folder: Path, box: Outbox, after: Place = FIRST) -> list[Event]:
    """In small bites."""
    reader, found, place = OutboxReader(folder), list[Event](), after
    while place < box.durable:
        events, place = reader.read(place, box.durable, 3)
        found += events
    return found


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: str(kind.__name__))
def test_a_line_gives_its_fact_back_and_a_changed_one_nothing(kind: Callable[..., Event]) -> None:
    @given(of_kind(kind))
    @settings(max_examples=25)
    def law(event: Event) -> None:
        line = encode(event)
        assert line.count(b"\n") == 1
        assert decode(line) == event
        assert decode(line).event_id == event.event_id
        for broken in (line[:-1], line[:20], line.replace(b'"at"', b'"At"'), b"\n", b""):
            with pytest.raises(EvidenceError):
                decode(broken)

    law()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "SomethingNew"},
        {"kind": None},
        {"at": "1"},
        {"at": True},
        {"at": float("nan")},
        {"stream_id": 1},
        {"more": 1},
        {"device_id": ["dev"]},
    ],
    ids=str,
)
def test_a_tree_that_is_no_fact_of_this_program_is_refused(change: dict[str, object]) -> None:
    tree: dict[str, object] = {"kind": "StreamStarted", "at": 1.0, "stream_id": "st", "device_id": "dev"}
    assert event_from(tree) == StreamStarted(at=1.0, stream_id="st", device_id="dev"), "a default may be left out"
    with pytest.raises(EvidenceError):
        event_from({**tree, **change})
    del tree["device_id"]
    with pytest.raises(EvidenceError, match="lacks"):
        event_from(tree)


def test_what_a_fact_does_not_say_is_left_out_and_a_line_of_an_older_release_is_the_same_fact() -> None:
    ours = SegmentClosed(
        at=1.0, stream_id="st", recording_id="rec", file="0000.mp4", sha256="ab", size_bytes=1, start_s=0.0, end_s=1.0
    )
    older = (
        b'{"at":1.0,"by":"onrecord","end_s":1.0,"file":"0000.mp4","kind":"SegmentClosed","recording_id":"rec",'
        b'"sha256":"ab","size_bytes":1,"start_s":0.0,"stream_id":"st"}'
    )
    assert encode(ours)[9:-1] == older
    assert event_from(json.loads(older)) == ours
    said = replace(ours, device_at="2026-11-18T11:06:41.200Z", device_offset_s=-3.25)
    assert decode(encode(said)) == said
    assert said.event_id == ours.event_id
    for change in ({"device_at": None}, {"device_offset_s": "3"}):
        with pytest.raises(EvidenceError):
            event_from({**json.loads(older), **change})


def test_what_cannot_be_written_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    async def act() -> None:
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        box.tell(StreamEnded(at=float("nan"), stream_id="st_0", pts_s=0.0, reason=""))
        box.tell(StreamEnded(at=1.0, stream_id="st_1", pts_s=0.0, reason="half of a sign: \ud83d"))
        await box.flush()
        assert box.lost == 1
        (event,) = read_all(tmp_path, box)
        assert event == StreamEnded(at=1.0, stream_id="st_1", pts_s=0.0, reason="half of a sign: ?")

    anyio.run(act)


def test_what_is_told_is_read_in_order_over_restarts_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_ROTATE_BYTES", 300)
    told: list[Event] = []

    async def act() -> None:
        for run in range(4):
            box = Outbox(tmp_path, SystemDisk(), 0.5)
            for number in range(10):
                told.append(started(run * 10 + number))
                box.tell(told[-1])
                if number % 4 == 0:
                    await box.flush()
            assert read_all(tmp_path, box) == told[: len(told) - box.pending]
            del told[len(told) - box.pending :]  # a kill: what was not flushed was not told
        assert len(list(tmp_path.glob("*.jsonl"))) > 4
        place = box.durable
        OutboxReader(tmp_path).forget(place)
        assert len(list(tmp_path.glob("*.jsonl"))) == 1
        told_last = started(39)  # waited
        box.tell(started(99))
        await box.flush()
        assert read_all(tmp_path, box, place) == [told_last, started(99)]

    anyio.run(act)


def test_places_grow_over_a_start_at_which_nothing_was_told(tmp_path: Path) -> None:
    """Else a reader would wait for ever at a place that this run never reaches."""

    async def act() -> None:
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        box.tell(started(1))
        await box.close()
        reader = OutboxReader(tmp_path)
        for _ in range(3):
            quiet = Outbox(tmp_path, SystemDisk(), 0.5)
            _, place = reader.read(FIRST, quiet.durable, 100)
            reader.forget(place)
            await quiet.close()
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        box.tell(started(2))
        await box.flush()
        assert read_all(tmp_path, box, place) == [started(2)]

    anyio.run(act)


def test_a_minute_without_the_store_arrives_afterwards_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_ROTATE_BYTES", 4000)
    told = [started(number) for number in range(1200)]

    async def act() -> None:
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        for turn in range(120):  # a minute, twice a second
            for event in told[turn * 10 : turn * 10 + 10]:
                box.tell(event)
            await box.flush()
        assert len(list(tmp_path.glob("*.jsonl"))) > 10
        found, place = list[Event](), FIRST
        while place < box.durable:
            reader = OutboxReader(tmp_path)  # the store's side is killed after every commit
            events, place = reader.read(place, box.durable, 50)
            reader.forget(place)
            found += events
        assert found == told
        assert len(list(tmp_path.glob("*.jsonl"))) == 1

    anyio.run(act)


def test_a_reader_that_waits_is_woken_by_the_flush(tmp_path: Path) -> None:
    async def act() -> None:
        box = Outbox(tmp_path, SystemDisk(), 0.01)
        found: list[Event] = []

        async def follow() -> None:
            place = box.durable
            for _ in range(3):
                await box.wait_beyond(place)
                events, place = OutboxReader(tmp_path).read(place, box.durable, 100)
                found.extend(events)
                box.tell(started(len(found)))
            tasks.cancel_scope.cancel()

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(box.run)
                tasks.start_soon(follow)
                box.tell(started(0))
        assert found == [started(0), started(1), started(2)]

    anyio.run(act)


def test_whoever_was_turned_away_writes_nothing(tmp_path: Path) -> None:
    async def act() -> None:
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        box.tell(PublisherRefused(at=0.0, address="198.51.100.7", reason="key_unknown"))
        await box.flush()

    anyio.run(act)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [StorageFull("no"), StorageError("no"), StorageSyncFailed("no")], ids=repr)
@pytest.mark.parametrize("call", ["make_folder", "create", "write", "sync", "sync_folder"])
def test_facts_wait_for_a_disk_that_refuses_and_none_is_lost(tmp_path: Path, call: str, error: StorageError) -> None:
    async def act() -> None:
        refuses = False
        disk = BrokenDisk(lambda each, _: error if refuses and each == call else None)
        box = Outbox(tmp_path, disk, 0.5)
        if call in ("write", "sync"):
            box.tell(started(0))
            await box.flush()
        refuses = True
        box.tell(started(1))
        for _ in range(5):
            await box.flush()
            assert box.is_failed
            assert box.pending == 1
        assert len(list(tmp_path.glob("*.jsonl"))) <= 1, "a disk that refuses is not filled with tries"
        assert started(1) not in read_all(tmp_path, box)
        box.tell(started(2))
        refuses = False
        await box.flush()
        assert not box.is_failed
        assert read_all(tmp_path, box)[-2:] == [started(1), started(2)]
        assert (box.pending, box.lost) == (0, 0)

    anyio.run(act)


@pytest.mark.parametrize(("name", "most"), [("_MOST_PENDING", 5), ("_MOST_PENDING_BYTES", 5 * len(encode(started(1))))])
def test_facts_beyond_the_bound_are_counted_and_the_mark_stays_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(writer, name, most)

    async def act() -> None:
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        for number in range(8):
            box.tell(started(number))
        assert (box.pending, box.lost) == (5, 3)
        await box.flush()
        assert read_all(tmp_path, box) == [started(number) for number in range(5)]
        assert look_back(tmp_path).since_s == 0.0, "what was lost is told again from the manifests"
        box.tell(started(9))
        await box.flush()
        assert read_all(tmp_path, box)[-1] == started(9), "the bound is given back"

    anyio.run(act)


def test_the_mark_says_since_when_all_is_told(tmp_path: Path) -> None:
    async def act() -> None:
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        box.tell(started(1))
        await box.flush(is_whole=False)
        assert look_back(tmp_path).since_s == 0.0
        box.tell(started(2))
        await box.flush()
        assert look_back(tmp_path).since_s > 0
        os.utime(tmp_path / "told", (5, 5))
        await box.flush()
        assert look_back(tmp_path).since_s == 5, "nothing was told"

    anyio.run(act)


def test_streams_that_began_and_did_not_end_are_seen(tmp_path: Path) -> None:
    async def act() -> None:
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        for number in range(3):
            box.tell(started(number))
        box.tell(StreamEnded(at=3.0, stream_id="st_1", pts_s=1.0, reason="ended"))
        await box.close()
        assert look_back(tmp_path).begun == {"st_0": started(0), "st_2": started(2)}

    anyio.run(act)


def test_a_damaged_line_is_kept_beside_and_told_and_the_rest_is_read(tmp_path: Path) -> None:
    async def act() -> None:
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        for number in range(3):
            box.tell(started(number))
        await box.flush()
        (path,) = tmp_path.glob("*.jsonl")
        lines = path.read_bytes().splitlines(keepends=True)
        damaged = lines[0] + lines[1].replace(b"st_1", b"st_7") + lines[2]
        path.write_bytes(damaged)
        reader = OutboxReader(tmp_path)
        events, place = reader.read(FIRST, box.durable, 100)
        assert events == [started(0), started(2)]
        assert (reader.damaged, place) == (1, box.durable)
        assert reader.read(FIRST, box.durable, 100)[0] == events, "and again after a kill"
        await box.close()
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        box.tell(started(4))
        await box.flush()
        reader.forget(box.durable)
        assert not path.exists()
        assert path.with_suffix(".damaged").read_bytes() == damaged

    anyio.run(act)


@pytest.mark.parametrize("tail", [b"", b"0", bytes(700), b"0badc0de {}\n"], ids=["none", "short", "zeros", "other"])
def test_a_torn_end_is_no_damage(tmp_path: Path, tail: bytes) -> None:
    async def act() -> None:
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        box.tell(started(1))
        await box.flush()
        (path,) = tmp_path.glob("*.jsonl")
        path.write_bytes(path.read_bytes() + tail)  # a power cut
        box = Outbox(tmp_path, SystemDisk(), 0.5)
        box.tell(started(2))
        await box.flush()
        reader = OutboxReader(tmp_path)
        assert reader.read(FIRST, box.durable, 100) == ([started(1), started(2)], box.durable)
        assert reader.damaged == 0
        assert not list(tmp_path.glob("*.damaged"))

    anyio.run(act)
