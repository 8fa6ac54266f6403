"""The access file: one SQLite database that the command line and the running server share at once.

What changes in it is told by facts that are written in the same transaction (`AccessFile.tell`); the server takes them
to the log of the record, now or at its next start.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cases.facts import Fact, JsonValue, microseconds
from pipeline.clock import Clock
from pipeline.errors import StorageError
from pipeline.ids import derived_event_id

_RELEASE = 2
_SCHEMA_1 = """
CREATE TABLE IF NOT EXISTS device (
    device_id TEXT PRIMARY KEY, name TEXT NOT NULL, officer TEXT NOT NULL, unit TEXT NOT NULL,
    key_hash TEXT NOT NULL UNIQUE, created_at REAL NOT NULL, revoked_at REAL
) STRICT;
CREATE TABLE IF NOT EXISTS source (
    device_id TEXT PRIMARY KEY REFERENCES device, url TEXT NOT NULL, transport TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS token (
    token_id TEXT PRIMARY KEY, kind TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE, created_at REAL NOT NULL, expires_at REAL, revoked_at REAL
) STRICT;
"""
_SCHEMA_2 = """
ALTER TABLE token ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
ALTER TABLE token ADD COLUMN unit TEXT NOT NULL DEFAULT '';
ALTER TABLE token ADD COLUMN device_ids TEXT NOT NULL DEFAULT '';
ALTER TABLE token ADD COLUMN scopes TEXT NOT NULL DEFAULT '';
ALTER TABLE token ADD COLUMN must_enrol INTEGER NOT NULL DEFAULT 0;
ALTER TABLE token ADD COLUMN seen_at REAL;
ALTER TABLE token ADD COLUMN agent TEXT NOT NULL DEFAULT '';
CREATE INDEX token_account ON token (account_id, kind);
CREATE TABLE unit (name TEXT PRIMARY KEY, parent TEXT REFERENCES unit) STRICT;
CREATE TABLE account (
    account_id TEXT PRIMARY KEY, login TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL,
    unit TEXT NOT NULL, officer_id TEXT NOT NULL, password_hash TEXT NOT NULL, password_at REAL,
    totp_secret TEXT NOT NULL, totp_step INTEGER NOT NULL, created_at REAL NOT NULL, disabled_at REAL,
    version INTEGER NOT NULL
) STRICT;
CREATE TABLE recovery (hash TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES account, used_at REAL) STRICT;
CREATE TABLE client (
    hash TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES account, made_at REAL NOT NULL
) STRICT;
CREATE TABLE failure (key TEXT PRIMARY KEY, count INTEGER NOT NULL, first_at REAL NOT NULL) STRICT;
CREATE TABLE assignment (
    account_id TEXT NOT NULL REFERENCES account, device_id TEXT NOT NULL REFERENCES device,
    PRIMARY KEY (account_id, device_id)
) STRICT;
CREATE TABLE told (place INTEGER PRIMARY KEY AUTOINCREMENT, fact TEXT NOT NULL) STRICT;
"""


class AccessFile:
    """Every use is one short transaction; safe from several processes at once. Owned by the thread that opened it.

    Raises: StorageError: it cannot be opened, or is of a later release.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.clock = clock
        self._path = path
        self._writes = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._db = sqlite3.connect(path, timeout=5.0, isolation_level=None)
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._bring_forward()
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"{path}: cannot be opened ({error}); check the folder's owner, mount and free space"
            ) from error

    def _bring_forward(self) -> None:
        if self._release() >= _RELEASE:
            if self._release() > _RELEASE:
                raise StorageError(f"{self._path}: it was written by a later release of the program; use that one")
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if self._release() < _RELEASE:  # nobody else did it meanwhile
                for statement in (_SCHEMA_1 + _SCHEMA_2).split(";")[:-1]:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {_RELEASE}")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _release(self) -> int:
        release: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        return release

    @property
    def version(self) -> tuple[int, int]:
        """Another one after anybody wrote the file. Raises: StorageError."""
        return self._writes, self.rows("PRAGMA data_version")[0][0]  # data_version does not count our own writes

    def close(self) -> None:
        self._db.close()

    def rows(self, query: str, *values: str | float | None) -> list[Any]:
        """Raises: StorageError."""
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: cannot be read ({error}); check the disk") from error

    def write(self, query: str, *values: str | float | None) -> int:
        """How many rows it changed. Only within `writing`."""
        return self._db.execute(query, values).rowcount

    @contextmanager
    def writing(self, *, is_lasting: bool = True) -> Iterator[None]:
        """One transaction. is_lasting: outlives a power cut; else nobody waits for the disk. Raises: StorageError."""
        try:
            self._db.execute(f"PRAGMA synchronous={'FULL' if is_lasting else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            self._writes += 1
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: cannot be written ({error}); check owner and free space") from error

    def tell(self, kind: str, by: str, ids: Sequence[str | float], body: Mapping[str, JsonValue]) -> None:
        """A fact, within `writing`. ids: what tells it from others of its kind."""
        now_us = microseconds(self.clock.utc_s())
        fact = Fact(event_id=derived_event_id(kind, *ids), kind=kind, at_us=now_us, by=by, body=dict(body))
        self.write("INSERT INTO told (fact) VALUES (?)", json.dumps(asdict(fact), ensure_ascii=False))

    def untaken(self, most: int) -> list[tuple[int, Fact]]:
        """Facts that the log has not, oldest first, each with its place."""
        rows = self.rows("SELECT place, fact FROM told ORDER BY place LIMIT ?", most)
        return [(place, Fact(**json.loads(text))) for place, text in rows]

    def taken(self, place: int) -> None:
        """The log has all up to this place."""
        with self.writing(is_lasting=False):  # taken twice is taken once
            self.write("DELETE FROM told WHERE place <= ?", place)
