"""Is the record what it claims: log against database against heads against media. Reads; changes nothing.

Streams: a thousand events at a time, one recording at a time. Finds everything it looks for, not the first of it.
"""

import fcntl
import json
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path

import anyio
import anyio.to_thread
from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.custody import checkpoint
from cases.custody.checkpoint import SignedHead
from cases.custody.heads import FILE, HeadsFile
from cases.custody.merkle import HASH_BYTES, TILE_HASHES, LogWriter
from cases.facts import Fact, parse_entry
from cases.store.engine import Store, open_store
from cases.store.tables import events, heads, recordings, tiles
from pipeline.errors import EvidenceError, OnRecordError
from pipeline.record import lines
from pipeline.record.defect import Defect
from pipeline.record.lines import RecordingLine, SegmentLine
from pipeline.record.manifest import NAME
from pipeline.record.signing import read_public_keys
from pipeline.record.verify import verify as verify_recording
from pipeline.settings import StoreSettings

_AT_ONCE = 1000
_UNDER_WAY_US = 600_000_000  # a fact may be on its way into the store for so long
_DAYS = "[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]/*/"
_LOG, _HEADS = "log", f"custody/{FILE}"
_COLUMNS = ("event_id", "kind", "at_us", "ends_at_us", "stream_id", "case_id")


def main(data: Path, settings: StoreSettings, head_files: Sequence[Path], trusted_key: Path | None) -> int:
    """Defects as JSON lines on stdout. 0 whole, 1 tampered or incomplete, 2 cannot tell."""

    async def act() -> int:
        older = [checkpoint.parse(path.read_text(encoding="utf-8")) for path in head_files]
        trusted = () if trusted_key is None else read_public_keys(trusted_key)
        count = 0
        async for defect in check(data, settings, older, trusted):
            count += 1
            sys.stdout.write(
                json.dumps({"file": defect.file, "defect": defect.defect, "detail": defect.detail}, ensure_ascii=False)
                + "\n"
            )
        return 1 if count else 0

    try:
        return anyio.run(act)
    except (OnRecordError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"onrecord: cannot tell: {error}\n")
        return 2


async def check(
    data: Path, settings: StoreSettings, older: Sequence[SignedHead] = (), trusted: Sequence[bytes] = ()
) -> AsyncIterator[Defect]:
    """What is wrong with the record in the folder `data`.

    older: heads that were kept elsewhere. trusted: public keys (32 bytes) that were got elsewhere; without any, those
    in `{data}/keys` are believed, which an insider may have added to.
    Raises: StoreUnavailable, SchemaOutdated, EvidenceError, StorageError: it cannot be read.
    """
    keys = list(trusted) or [
        key for path in sorted((data / "keys").glob("*.pub.pem")) for key in read_public_keys(path)
    ]
    async with open_store(settings, data) as store:
        try:
            on_disk = await anyio.to_thread.run_sync(HeadsFile(data / "custody").read)
        except EvidenceError as error:
            yield Defect(_HEADS, "head_malformed", str(error))
            on_disk = []
        for defect in _of_heads(on_disk, older, keys):
            yield defect
        async with store.reading() as connection:
            async for defect in _of_log(store, connection, [*on_disk, *older]):
                yield defect
            async for defect in _of_kept_heads(connection, on_disk):
                yield defect
        async for defect in _of_media(store, data, trusted):
            yield defect


def _of_heads(on_disk: Sequence[SignedHead], older: Sequence[SignedHead], keys: Sequence[bytes]) -> list[Defect]:
    found: list[Defect] = []
    last: SignedHead | None = None
    for signed in on_disk:
        if last is not None and (signed.head.size <= last.head.size or signed.head.log_id != last.head.log_id):
            found.append(
                Defect(_HEADS, "head_order", f"the head of size {signed.head.size} does not follow the one before")
            )
        last = signed
    found += [
        Defect(_HEADS, "head_unsigned", f"the head of size {each.head.size} is signed by no known key")
        for each in (*on_disk, *older)
        if not any(each.is_signed_by(key) for key in keys)
    ]
    found += [
        Defect(_HEADS, "head_foreign", f"the given head is of the log {each.head.log_id}, not of this one")
        for each in older
        if last is None or each.head.log_id != last.head.log_id
    ]
    return found


async def _of_log(store: Store, connection: AsyncConnection, signed: Sequence[SignedHead]) -> AsyncIterator[Defect]:
    by_size: dict[int, list[SignedHead]] = {}
    for each in signed:
        by_size.setdefault(each.head.size, []).append(each)
    tree = LogWriter()
    grown: dict[tuple[int, int], bytes] = {}
    read_tile = store.tile_reader(connection)
    expected = 0
    while True:
        asked = select(events).where(events.c.seq >= expected).order_by(events.c.seq).limit(_AT_ONCE)
        rows = (await connection.execute(asked)).mappings().all()
        if not rows:
            break
        for row in rows:
            seq = int(row["seq"])
            if seq != expected:
                yield Defect(_LOG, "event_missing", f"events {expected} to {seq - 1} are gone")
            expected = seq + 1
            entry = str(row["entry"]).encode()
            defect = _of_row(row, entry)
            if defect is not None:
                yield defect
            for change in tree.extend([entry]):
                if len(change.hashes) < TILE_HASHES * HASH_BYTES:
                    grown[change.level, change.place] = change.hashes
                    continue
                grown.pop((change.level, change.place), None)
                if await read_tile(change.level, change.place) != change.hashes:
                    yield Defect(_LOG, "tile_differs", f"tile {change.level}/{change.place} does not fit the events")
            tree.committed()
            for each in by_size.get(tree.size, ()):
                if each.head.root != tree.root():
                    yield Defect(
                        _LOG, "head_differs", f"the first {tree.size} events are not what was signed at {each.head.at}"
                    )
    for (level, place), hashes in sorted(grown.items()):
        if await read_tile(level, place) != hashes:
            yield Defect(_LOG, "tile_differs", f"tile {level}/{place} does not fit the events")
    for size in sorted(by_size):
        if size > tree.size:
            yield Defect(
                _LOG,
                "log_rolled_back",
                f"the log has {tree.size} events; {size} were signed at {by_size[size][0].head.at}",
            )
    beyond = select(func.count()).where(
        tiles.c.hash == "sha256", tiles.c.level == 0, tiles.c.place > max(tree.size - 1, 0) // TILE_HASHES
    )
    if (await connection.execute(beyond)).scalar():
        yield Defect(_LOG, "tile_differs", "there are tiles of events that are gone")


def _of_row(row: RowMapping, entry: bytes) -> Defect | None:
    try:
        fact, learned_at_us = parse_entry(entry)
    except EvidenceError as error:
        return Defect(_LOG, "entry_malformed", f"event {row['seq']}: {error}")
    differing = [name for name in _COLUMNS if row[name] != getattr(fact, name)]
    if row["learned_at_us"] != learned_at_us:
        differing.append("learned_at_us")
    if differing:
        return Defect(_LOG, "column_differs", f"event {row['seq']}: {', '.join(differing)} is not what the entry says")
    return None


async def _of_kept_heads(connection: AsyncConnection, on_disk: Sequence[SignedHead]) -> AsyncIterator[Defect]:
    known = {each.head.size: each.note() for each in on_disk}
    kept: set[int] = set()
    for row in await connection.execute(select(heads.c.size, heads.c.note).order_by(heads.c.size)):
        kept.add(row.size)
        if known.get(row.size) != row.note:
            yield Defect(_HEADS, "head_missing", f"the database holds a head of size {row.size} that the file does not")
    newest = max(known, default=0)
    for size in sorted(known):
        if size not in kept and size != newest:  # the newest may be on its way there
            yield Defect("log", "head_missing", f"the database lacks the head of size {size}")


async def _of_media(store: Store, data: Path, trusted: Sequence[bytes]) -> AsyncIterator[Defect]:
    root = data / "recordings"
    is_running = await anyio.to_thread.run_sync(_is_held, data / "server.lock")
    folders = {path.name: path for path in await anyio.to_thread.run_sync(lambda: sorted(root.glob(_DAYS)))}
    async with store.reading() as connection:
        newest_us = (await connection.execute(select(func.max(events.c.learned_at_us)))).scalar() or 0
        for row in await connection.execute(select(recordings.c.recording_id, recordings.c.started_us)):
            if row.recording_id not in folders:
                yield Defect(row.recording_id, "recording_missing", "the log tells of it and there is no such folder")
    for folder in folders.values():
        where = str(folder.relative_to(data))
        try:
            report = await anyio.to_thread.run_sync(verify_recording, folder, tuple(trusted))
        except EvidenceError as error:
            yield Defect(where, "recording_unreadable", str(error))
            continue
        for defect in report.defects:
            if not (is_running and defect.defect == "not_ended"):
                yield Defect(f"{where}/{defect.file}", defect.defect, defect.detail)
        if report.recording is None:
            continue
        async for defect in _of_segments(store, report.recording, folder, where, newest_us):
            yield defect


async def _of_segments(
    store: Store, recording: RecordingLine, folder: Path, where: str, newest_us: int
) -> AsyncIterator[Defect]:
    told: dict[str, Fact] = {}
    async with store.reading() as connection:
        asked = select(events.c.kind, events.c.entry).where(
            events.c.stream_id == recording.stream_id, events.c.kind.in_(("SegmentClosed", "RecordingStarted"))
        )
        is_told = False
        for row in await connection.execute(asked):
            try:
                fact, _ = parse_entry(row.entry.encode())
            except EvidenceError:
                continue  # told above
            if fact.body.get("recording_id") == recording.recording_id:
                is_told = is_told or fact.kind == "RecordingStarted"
                if fact.kind == "SegmentClosed":
                    told[str(fact.body["file"])] = fact
    for line in await anyio.to_thread.run_sync(_segments, folder / NAME):
        fact_of_it = told.pop(line.file, None)
        if fact_of_it is None:
            closed_us = datetime.fromisoformat(line.captured_until).timestamp() * 1e6
            if is_told and closed_us < newest_us - _UNDER_WAY_US:
                yield Defect(
                    f"{where}/{line.file}", "segment_untold", "the manifest holds it and the log does not tell of it"
                )
        elif (fact_of_it.body["sha256"], fact_of_it.body["size_bytes"]) != (line.sha256, line.size_bytes):
            yield Defect(f"{where}/{line.file}", "segment_differs", "it is not the file that the log tells of")
    for file in sorted(told):
        yield Defect(f"{where}/{file}", "segment_missing", "the log tells of it and the manifest does not hold it")


def _segments(manifest: Path) -> list[SegmentLine]:
    try:
        parsed = [lines.parse(line) for line in manifest.read_bytes().splitlines(keepends=True)]
    except (OSError, EvidenceError):
        return []  # told by the recording's own check
    return [line for line in parsed if isinstance(line, SegmentLine)]


def _is_held(lock: Path) -> bool:
    """Whether a server runs on the folder."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
