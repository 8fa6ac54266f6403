"""Is the record what it claims: keys, heads, log, tables and media, each against the others. Changes nothing.

One state of the database is looked at, however long it takes; of a server that runs meanwhile, what it did not have the
time to tell yet is not held against it. Finds everything it looks for, not the first of it.
"""

import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
from sqlalchemy import text

from cases.custody import checkpoint
from cases.custody.check_files import of_files
from cases.custody.check_log import LogCheck, of_signatures, of_table
from cases.custody.check_media import MediaCheck
from cases.custody.check_rows import Expected, of_rows, of_timelines
from cases.custody.checkpoint import SignedHead, new_log_id
from cases.custody.heads_file import FILE, HeadsFile
from cases.custody.running import is_server_running
from cases.custody.witness import check_stamp, read_roots, stamps
from cases.store.engine import Store, open_for_check
from pipeline.errors import EvidenceError, OnRecordError, StoreUnavailable
from pipeline.record.defect import Defect
from pipeline.record.signing import announced, key_id_of, read_public_keys, read_rotations
from pipeline.settings import StoreSettings

_HEADS = f"custody/{FILE}"
_DATABASE = "database"


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

    older: heads that were kept elsewhere. trusted: public keys (32 bytes) that were got elsewhere; without any, the one
    that the log is named after is believed, and those that it announced.
    Raises: StoreUnavailable, SchemaOutdated, EvidenceError, StorageError: it cannot be read.
    """
    is_running = await anyio.to_thread.run_sync(is_server_running, data)
    file = HeadsFile(data / "custody")
    on_disk, wrong = await anyio.to_thread.run_sync(file.read_what_can_be)  # before the log: so it holds all of them
    for line in wrong:
        yield Defect(_HEADS, "head_malformed", line)
    keys, strangers = await anyio.to_thread.run_sync(_keys, data / "keys", [*on_disk, *older], trusted)
    for defect in (*strangers, *of_signatures(on_disk, older, keys)):
        yield defect
    for defect in await anyio.to_thread.run_sync(_of_stamps, data / "custody", on_disk, settings):
        yield defect
    async with open_for_check(settings, data, is_running=is_running) as store:
        damages = await _of_pages(store)
        for defect in damages:
            yield defect
        try:
            async with store.snapshot() as connection:
                later, _ = await anyio.to_thread.run_sync(file.read_what_can_be)
                expected = Expected()
                log = LogCheck(store, connection, [*on_disk, *older], expected, settings.head_every_s)
                async for defect in log.run():
                    yield defect
                async for defect in of_table(connection, on_disk, later):
                    yield defect
                async for defect in of_rows(connection, expected):
                    yield defect
                async for defect in of_timelines(connection):
                    yield defect
                media = MediaCheck(store, connection, data, keys, expected, is_running=is_running)
                async for defect in media.run():
                    yield defect
                async for defect in of_files(data, expected, is_running=is_running):
                    yield defect
        except StoreUnavailable as error:
            if not damages:
                raise
            yield Defect(_DATABASE, "database_damaged", f"the rest cannot be checked: {error}")


def _keys(
    folder: Path, signed: Sequence[SignedHead], trusted: Sequence[bytes]
) -> tuple[tuple[bytes, ...], list[Defect]]:
    """The public keys to believe, and those beside them that nobody vouches for."""
    there = [key for path in sorted(folder.glob("*.pub.pem")) for key in read_public_keys(path)]
    first = [key for key in there if signed and new_log_id(key) == signed[0].head.log_id]
    keys = announced(trusted or first or there, read_rotations(folder))
    strangers = [
        Defect(
            f"keys/{key_id_of(key)}.pub.pem", "key_unannounced",
            "no statement of a trusted key leads to it; what it signed is not believed",
        )
        for key in there
        if key not in keys and not trusted
    ]  # fmt: skip
    return keys, strangers


def _of_stamps(custody: Path, on_disk: Sequence[SignedHead], settings: StoreSettings) -> list[Defect]:
    """Whether each time stamp is of the head that it is kept for. Raises: EvidenceError: the roots cannot be read."""
    roots = read_roots(settings.stamp_roots)
    notes = {each.head.size: each.note().encode() for each in on_disk}
    found = []
    for path, size in stamps(custody):
        try:
            if size not in notes:
                raise EvidenceError("there is no head that it stamps")
            check_stamp(path.read_bytes(), notes[size], roots)
        except (EvidenceError, OSError) as error:
            found.append(Defect(f"custody/stamps/{path.name}", "stamp_differs", str(error)))
    return found


async def _of_pages(store: Store) -> list[Defect]:
    """What SQLite finds in its own file. PostgreSQL checks its pages as it reads them."""
    if not store.is_sqlite:
        return []
    try:
        async with store.reading() as connection:
            found = [str(row[0]) for row in await connection.execute(text("PRAGMA integrity_check(20)"))]
    except StoreUnavailable as error:
        found = [str(error)]
    return [Defect(_DATABASE, "database_damaged", line) for line in found if line != "ok"]
