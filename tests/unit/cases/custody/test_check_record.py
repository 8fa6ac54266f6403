"""What an insider can do to tables and recordings, each done and each named, with a log that is left alone."""

import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.custody import checkpoint
from cases.custody.checkpoint import SignedHead
from cases.custody.heads_file import FILE
from pipeline.events import RecordingStarted
from pipeline.outbox import Outbox
from pipeline.record import lines
from pipeline.record.chain import Chain
from pipeline.record.disk import SystemDisk
from pipeline.record.lines import HeadLine, RecordingLine, SegmentLine
from pipeline.record.manifest import NAME
from pipeline.record.signing import Signer, rotate
from pipeline.settings import StoreSettings
from tests.record_made import record
from tests.unit.cases.custody.test_check import harm, named, statement
from tests.unit.cases.custody.test_check import made as made_log
from tests.unit.record.material import BrokenDisk, Site, fragments

HERE = StoreSettings()


def made(where: StoreSettings, data: Path, *, sm3: bool = False) -> list[SignedHead]:
    async def act() -> list[SignedHead]:
        return (await record(where, data, sm3=sm3))[1]

    return anyio.run(act)


def folders(data: Path) -> list[Path]:
    return sorted(path.parent for path in data.glob("recordings/*/*/*/*/manifest.jsonl"))


def test_a_whole_record_has_no_defect_and_no_byte_of_it_is_changed_by_looking(
    where: StoreSettings, tmp_path: Path
) -> None:
    signed = made(where, tmp_path)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    assert named(where, tmp_path, *signed) == set()
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


SHOWN = (
    "INSERT INTO case_events (case_id, at_us, seq) SELECT (SELECT case_id FROM cases WHERE number = '2'), at_us, seq "
    "FROM events WHERE kind = 'SegmentClosed'"
)
ROWS = [
    ("UPDATE cases SET title = '小事' WHERE title = '惠民超市案'", "row_differs"),
    ("UPDATE cases SET version = 7 WHERE number = '2'", "row_differs"),
    ("UPDATE steps SET ended_us = NULL", "row_differs"),
    ("UPDATE items SET withdrawn_us = NULL", "row_differs"),
    ("DELETE FROM items WHERE kind = 'paper'", "row_missing"),
    ("DELETE FROM uploads", "row_missing"),
    ("UPDATE uploads SET size_bytes = 1", "row_differs"),
    ("UPDATE links SET undone_us = 1, undone_by = 'x'", "row_differs"),
    ("UPDATE attach_rules SET until_us = 3", "row_differs"),
    ("DELETE FROM attach_rules", "row_missing"),
    ("UPDATE links SET rule_id = 'x'", "row_differs"),
    ("UPDATE officers SET name = '王五'", "row_differs"),
    ("UPDATE units SET name = '执法九队'", "row_differs"),
    ("INSERT INTO units (unit_id, name) VALUES ('unit_x', '新队')", "row_added"),
    ("UPDATE bindings SET from_us = from_us + 1", "row_differs"),
    ("UPDATE tasks SET until_us = NULL", "row_differs"),
    ("UPDATE recordings SET officer_id = NULL", "row_differs"),
    ("UPDATE recordings SET ended_us = 1", "row_differs"),
    ("DELETE FROM case_events WHERE seq IN (SELECT seq FROM events WHERE kind = 'NoteAdded')", "row_missing"),
    ("DELETE FROM case_events WHERE seq IN (SELECT seq FROM events WHERE kind = 'SegmentClosed')", "row_missing"),
    ("INSERT INTO steps (step_id, case_id, kind, started_us) SELECT number, case_id, 'x', 1 FROM cases", "row_added"),
    (SHOWN, "row_added"),
    ("INSERT INTO tiles (hash, level, place, hashes) VALUES ('sha256', 3, 0, 'x')", "tile_differs"),
]


@pytest.mark.parametrize(("line", "defect"), ROWS)
def test_a_row_that_no_event_made_so_is_named(where: StoreSettings, tmp_path: Path, line: str, defect: str) -> None:
    made(where, tmp_path)
    harm(where, tmp_path, statement(line))
    assert defect in named(where, tmp_path)


def test_words_that_the_index_lost_are_named(where: StoreSettings, tmp_path: Path) -> None:
    made(where, tmp_path)
    lines = {
        True: ["INSERT INTO texts (texts) VALUES ('delete-all')"],
        False: ["UPDATE texts SET tokens = CAST('x' AS tsvector)"],
    }[not where.url.get_secret_value()]
    harm(where, tmp_path, statement(*lines))
    assert named(where, tmp_path) == {"words_differ"}


def gone(data: Path) -> None:
    shutil.rmtree(folders(data)[0])


def segment_gone(data: Path) -> None:
    (folders(data)[0] / "0001.mp4").unlink()


def bit(data: Path) -> None:
    file = folders(data)[0] / "0001.mp4"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)


def exchanged(data: Path) -> None:
    """The folder of one recording holds the other one, whole."""
    one, other = folders(data)
    shutil.rmtree(one)
    shutil.copytree(other, one)


def made_anew(data: Path, signer: Signer) -> None:
    """The same recording, an other picture: everything signed as it should be."""
    folder = folders(data)[0]
    stream_id = json.loads(folder.joinpath("manifest.jsonl").open().readline())["stream_id"]
    shutil.rmtree(folder)
    slipped_in(data, signer, stream_id, folder)


def by_the_key(data: Path) -> None:
    made_anew(data, Signer.load(data / "keys"))


def of_another_stream(data: Path) -> None:
    """The manifest written anew with the key: the same files, another stream."""
    written_anew(data, "st_z")


def with_one_more(data: Path) -> None:
    """The manifest written anew with the key, and a file more."""
    folder = folders(data)[0]
    shutil.copy(folder / "0002.mp4", folder / "0003.mp4")
    written_anew(data, "", {"0002.mp4": "0003.mp4"})


def written_anew(data: Path, stream_id: str, copies: dict[str, str] | None = None) -> None:
    manifest = folders(data)[0] / NAME
    parsed = [lines.parse(line) for line in manifest.read_bytes().splitlines(keepends=True)]
    first, last = parsed[0], parsed[-1]
    assert isinstance(first, RecordingLine)
    assert isinstance(last, HeadLine)
    chain = Chain(first.recording_id, Signer.load(data / "keys"))
    raw = chain.begin(dataclasses.replace(first, stream_id=stream_id or first.stream_id), first.started_at)
    for line in parsed:
        if isinstance(line, SegmentLine):
            raw += chain.add(line, last.at)
            if copies and line.file in copies:
                raw += chain.add(dataclasses.replace(line, file=copies[line.file]), last.at)
    manifest.write_bytes(raw + chain.end("ended", (), last.at))


def slipped_in(data: Path, signer: Signer, stream_id: str = "st_x", to: Path | None = None) -> None:
    site = Site(data / "elsewhere", disk=BrokenDisk(), signer=signer)

    async def act() -> None:
        recording = site.open_as(stream_id)
        for each in fragments(2.0):
            recording.offer(each)
        await site.finish(recording)

    anyio.run(act)
    target = to if to is not None else folders(data)[0].with_name(site.folder.name)
    shutil.move(site.folder, target)
    shutil.rmtree(data / "elsewhere")


def another_one(data: Path) -> None:
    slipped_in(data, Signer.load(data / "keys"))


def cut(data: Path) -> None:
    """The end of a recording that ended long ago, cut off with its last file."""
    manifest = folders(data)[0] / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(lines[:-3]))
    max(manifest.parent.glob("*.mp4")).unlink()


def own_key(data: Path) -> None:
    """A key of the attacker, laid beside ours, and a recording signed with it."""
    stranger = Signer.load(data / "stranger")
    shutil.copy(data / "stranger" / f"{stranger.key_id}.pub.pem", data / "keys")
    made_anew(data, stranger)


def forged_change(data: Path) -> None:
    """As `own_key`, with a statement that our key announces the attacker's, which our key did not sign."""
    ours, stranger = Signer.load(data / "keys"), Signer.load(data / "stranger")
    change = lines.KeyChange(ours.public_key, stranger.public_key, "2026-11-24T09:00:00.000Z", b"")
    forged = dataclasses.replace(change, signature=stranger.sign(change.signed_bytes()))
    (data / "keys" / "rotations.jsonl").write_bytes(lines.encode(forged))
    own_key(data)


MEDIA: list[tuple[Callable[[Path], None], set[str]]] = [
    (gone, {"recording_missing"}),
    (segment_gone, {"file_missing"}),
    (bit, {"hash_differs"}),
    (exchanged, {"recording_differs", "segment_differs"}),
    (by_the_key, {"segment_differs", "recording_differs"}),
    (of_another_stream, {"recording_differs"}),
    (with_one_more, {"segment_untold"}),
    (another_one, {"recording_untold"}),
    (cut, {"not_ended", "segment_missing"}),
    (forged_change, {"key_unannounced", "key_untrusted", "segment_differs"}),
    (own_key, {"key_unannounced", "key_untrusted", "segment_differs"}),
]


@pytest.mark.parametrize(("act", "defects"), MEDIA)
@pytest.mark.parametrize("is_running", [False, True])
def test_what_an_insider_does_to_recordings_is_named(
    tmp_path: Path, act: Callable[[Path], None], defects: set[str], is_running: bool
) -> None:
    made(HERE, tmp_path)
    act(tmp_path)
    for manifest in tmp_path.glob("recordings/**/manifest.jsonl"):
        os.utime(manifest, (1_795_000_000, 1_795_000_000))
    with (tmp_path / "server.lock").open("w") as lock:
        if is_running:
            fcntl.flock(lock, fcntl.LOCK_EX)
        assert defects <= named(HERE, tmp_path)


def test_a_recording_deleted_with_its_rows_is_named(where: StoreSettings, tmp_path: Path) -> None:
    made(where, tmp_path)
    gone(tmp_path)
    harm(where, tmp_path, statement("DELETE FROM links", "DELETE FROM recordings"))
    assert {"recording_missing", "row_missing"} <= named(where, tmp_path)


def test_a_recording_whose_facts_wait_in_the_outbox_is_not_held_against_anybody(tmp_path: Path) -> None:
    made(HERE, tmp_path)
    site = Site(tmp_path / "recordings", disk=BrokenDisk(), signer=Signer.load(tmp_path / "keys"))

    async def act(*, is_told: bool) -> None:
        outbox = Outbox(tmp_path / "outbox", SystemDisk(), 0.1)
        recording = site.open_as("st_c")
        for each in fragments(2.0):
            recording.offer(each)
        await site.finish(recording)
        for event in site.events if is_told else ():
            outbox.tell(event)
        await outbox.flush()

    anyio.run(lambda: act(is_told=False))
    assert named(HERE, tmp_path) == {"recording_untold"}
    shutil.rmtree(next(folder for folder in folders(tmp_path) if '"st_c"' in (folder / NAME).read_text()))
    site.events.clear()
    anyio.run(lambda: act(is_told=True))
    assert any(isinstance(event, RecordingStarted) for event in site.events)
    assert named(HERE, tmp_path) == set()


def test_heads_deleted_on_disk_and_in_the_database_leave_events_that_nobody_signed(tmp_path: Path) -> None:
    made(HERE, tmp_path)
    (tmp_path / "custody" / FILE).unlink()
    harm(HERE, tmp_path, statement("DELETE FROM heads"))
    assert named(HERE, tmp_path) == set()  # a minute's facts: the server may have been killed before it signed
    other = tmp_path / "other"
    other.mkdir()
    made_log(HERE, other)
    (other / "custody" / FILE).unlink()
    later = "replace(entry, 'learned_at_us\"\\:', 'learned_at_us\"\\:9')"
    harm(
        HERE,
        other,
        statement(
            "DELETE FROM heads",
            f"UPDATE events SET learned_at_us = CAST('9' || learned_at_us AS INTEGER), entry = {later} WHERE seq > 300",
        ),
    )
    assert "unsigned" in named(HERE, other)


def exchange_newest(where: StoreSettings, data: Path, newest: SignedHead) -> None:
    """Another head in the place of the newest, in the file and in the table."""
    file = data / "custody" / FILE
    kept = file.read_bytes().splitlines(keepends=True)[:-1]
    file.write_bytes(b"".join(kept) + json.dumps({"note": newest.note()}, ensure_ascii=False).encode() + b"\n")

    async def keep(connection: AsyncConnection) -> None:
        await connection.execute(
            text("UPDATE heads SET note = :note WHERE size = :size"), {"note": newest.note(), "size": newest.head.size}
        )

    harm(where, data, keep)


def test_after_the_key_was_changed_the_old_key_alone_is_enough_to_trust_all(tmp_path: Path) -> None:
    signed = made(HERE, tmp_path)
    first = Signer.load(tmp_path / "keys")
    second = rotate(tmp_path / "keys", "2026-11-24T09:00:00.000Z")
    newest = checkpoint.sign(signed[-1].head, second)
    exchange_newest(HERE, tmp_path, newest)
    assert named(HERE, tmp_path) == set()
    assert named(HERE, tmp_path, trusted=(first.public_key,)) == set()
    assert "head_unsigned" in named(HERE, tmp_path, trusted=(second.public_key,))
    (tmp_path / "keys" / "rotations.jsonl").unlink()
    assert {"key_unannounced", "head_unsigned"} <= named(HERE, tmp_path)


def test_the_second_root_of_a_head_is_checked_too(where: StoreSettings, tmp_path: Path) -> None:
    made(where, tmp_path, sm3=True)
    assert named(where, tmp_path) == set()
    harm(where, tmp_path, statement("UPDATE tiles SET hashes = (SELECT hashes FROM tiles WHERE hash = 'sha256')"
                                    " WHERE hash = 'sm3'"))  # fmt: skip
    assert named(where, tmp_path) == {"tile_differs"}


def test_a_head_whose_second_root_is_another_is_named(tmp_path: Path) -> None:
    signed = made(HERE, tmp_path, sm3=True)
    other = dataclasses.replace(signed[-1].head, root_sm3=bytes(32))
    exchange_newest(HERE, tmp_path, checkpoint.sign(other, Signer.load(tmp_path / "keys")))
    assert named(HERE, tmp_path) == {"head_differs"}


def test_a_damaged_page_of_the_database_is_named(tmp_path: Path) -> None:
    made(HERE, tmp_path)
    file = tmp_path / "record.db"
    raw = bytearray(file.read_bytes())
    raw[4096 * 2 : 4096 * 6] = bytes(4096 * 4)
    file.write_bytes(raw)
    assert "database_damaged" in named(HERE, tmp_path)
