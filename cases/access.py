"""Who may publish and who may come in: devices, tokens and one-time links, each kept only as a hash.

A small SQLite file, so that the command line and the running server share it at once. Secrets are random (160 bits), so
a plain SHA-256 of them cannot be reversed; passwords, which could, come with the accounts.
"""

import base64
import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.clock import Clock, SystemClock
from pipeline.errors import AccessDenied, StorageError
from pipeline.ids import new_device_id
from pipeline.media import Device
from pipeline.sources import Source, Transport, parse_source

_MAX_ENDS = 20_000  # sessions, links and tokens that end, seen since the start; the oldest is forgotten first
_SET_BACK_S = 86_400.0  # what ended longer ago no clock brings back: nobody sets one back by more than a day

ROLES = (
    "viewer", "commander", "officer", "handler", "reviewer", "archivist", "analyst",
    "system_admin", "security_admin", "audit_admin",
)  # fmt: skip

_SCHEMA = """
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


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a token or a browser session, with its role."""

    principal_id: str
    name: str
    role: str
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device as the list shows it; its key is not kept.

    source: where it is pulled from, without user, password, path and query; empty where it publishes by itself.
    """

    device: Device
    created_at: float
    revoked_at: float | None
    source: str = ""


class Access:
    """The access file. Every method is one short transaction; safe from several processes at once.

    Ends stand in UTC, for they outlive the process; what was seen to be left of them is held to by the monotonic clock
    too, so that a clock set back gives nobody more time.
    Raises: StorageError: the file cannot be opened or written.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._ends_s: dict[str, float] = {}  # by token id, monotonic; bound: _MAX_ENDS
        self._ends_version = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._db = sqlite3.connect(path, timeout=5.0, isolation_level=None)
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"{path}: cannot be opened ({error}); check the folder's owner, mount and free space"
            ) from error
        self._valid: frozenset[str] = frozenset()
        self._seen_version = -1
        self._sources: tuple[Source, ...] = ()
        self._sources_version = -1

    @classmethod
    def of(cls, data: Path, clock: Clock | None = None) -> "Access":
        """The access file of a data folder; made when absent. clock: None: this machine's."""
        return cls(data / "access.sqlite", clock or SystemClock())

    def close(self) -> None:
        self._db.close()

    def add_device(self, name: str, officer: str = "", unit: str = "") -> tuple[Device, str]:
        """A new device and its stream key, which is shown this once."""
        device = Device(new_device_id(), name, officer, unit)
        key = "k" + _secret()
        with self._writing():
            self._insert(device, key)
        return device, key

    def add_source(self, name: str, url: str, transport: Transport, officer: str = "", unit: str = "") -> Source:
        """A new device that is pulled from `url`; nobody gets a key for it. A running server begins within 2 s.

        Raises: SourceRefused: the URL has a form that is not pulled.
        """
        parsed = parse_source(url)
        device = Device(new_device_id(), name, officer, unit)
        with self._writing():
            self._insert(device, "k" + _secret())  # which is told to nobody
            self._db.execute("INSERT INTO source VALUES (?, ?, ?)", (device.device_id, url, transport.value))
        return Source(device, parsed, transport)

    def sources(self) -> tuple[Source, ...]:
        """The devices to pull now. Cheap, and while the file cannot be read the answer before, as `is_valid`."""
        try:
            version: int = self._rows("PRAGMA data_version")[0][0]
            if version != self._sources_version:
                rows = self._rows(
                    "SELECT device_id, name, officer, unit, url, transport FROM device JOIN source USING (device_id)"
                    " WHERE revoked_at IS NULL ORDER BY created_at"
                )
                self._sources = tuple(Source(Device(*row[:4]), parse_source(row[4]), Transport(row[5])) for row in rows)
                self._sources_version = version
        except StorageError:
            pass
        return self._sources

    def _insert(self, device: Device, key: str) -> None:
        self._db.execute(
            "INSERT INTO device VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (device.device_id, device.name, device.officer, device.unit, _hash(key), self._clock.utc_s()),
        )

    def devices(self) -> list[DeviceRecord]:
        rows = self._rows(
            "SELECT device_id, name, officer, unit, created_at, revoked_at, url FROM device"
            " LEFT JOIN source USING (device_id) ORDER BY created_at"
        )
        return [
            DeviceRecord(Device(*row[:4]), row[4], row[5], str(parse_source(row[6])) if row[6] else "") for row in rows
        ]

    def revoke_device(self, name_or_id: str) -> int:
        """How many devices of this id or name lost their key; a running server ends their streams within 2 s."""
        with self._writing():
            return self._db.execute(
                "UPDATE device SET revoked_at = ? WHERE (device_id = ? OR name = ?) AND revoked_at IS NULL",
                (self._clock.utc_s(), name_or_id, name_or_id),
            ).rowcount

    def find(self, stream_key: str) -> Device | None:
        """The device that holds this key now."""
        rows = self._rows(
            "SELECT device_id, name, officer, unit FROM device WHERE key_hash = ? AND revoked_at IS NULL",
            _hash(stream_key),
        )
        return Device(*rows[0]) if rows else None

    def is_valid(self, device_id: str) -> bool:
        """Whether the device may publish. Cheap: the table is read again only after somebody wrote the file.

        While the file cannot be read, what was known last holds: a broken disk must not end a running record.
        """
        try:
            version: int = self._rows("PRAGMA data_version")[0][0]
            if version != self._seen_version:
                rows = self._rows("SELECT device_id FROM device WHERE revoked_at IS NULL")
                self._valid = frozenset(row[0] for row in rows)
                self._seen_version = version
        except StorageError:
            pass
        return device_id in self._valid

    def create_token(self, role: str, name: str = "", lasts_s: float | None = None) -> str:
        """A bearer token of `role`, shown this once.

        Raises: AccessDenied: there is no such role.
        """
        return self._create("token", role, name or role, "t" + _secret(), lasts_s)

    def create_link(self, role: str, name: str, lasts_s: float) -> str:
        """A code that opens one browser session, once."""
        return self._create("link", role, name, "c" + _secret(), lasts_s)

    def sign_in(self, code: str, session_s: float) -> tuple[Principal, str]:
        """A browser session for a one-time code (used up by this) or a bearer token.

        Raises: AccessDenied: unknown, expired, used or revoked.
        """
        with self._writing():
            now = self._clock.utc_s()
            row = self._db.execute(
                "SELECT token_id, kind, role, name, expires_at FROM token WHERE hash = ? AND kind IN ('link', 'token')"
                " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)",
                (_hash(code), now),
            ).fetchone()
            if row is None or self._is_over(row[0], row[4]):
                raise AccessDenied("this link or token is unknown, expired or was used; ask for a new one")
            if row[1] == "link":
                self._db.execute("UPDATE token SET revoked_at = ? WHERE token_id = ?", (now, row[0]))
                expires_at = now + session_s
            else:
                expires_at = min(now + session_s, row[4] or now + session_s)
            session, session_id = "s" + _secret(), f"ses_{secrets.token_hex(8)}"
            self._db.execute(
                "INSERT INTO token VALUES (?, 'session', ?, ?, ?, ?, ?, NULL)",
                (session_id, row[2], row[3], _hash(session), now, expires_at),
            )
            self._is_over(session_id, expires_at)
        return Principal(session_id, row[3], row[2], expires_at), session

    def who(self, secret: str, *, kind: str) -> Principal | None:
        """Who holds this secret now. kind: 'token' or 'session'."""
        rows = self._rows(
            "SELECT token_id, name, role, expires_at FROM token WHERE hash = ? AND kind = ? AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > ?)",
            _hash(secret), kind, self._clock.utc_s(),
        )  # fmt: skip
        return self._principal(rows)

    def named(self, principal_id: str) -> Principal | None:
        """The principal of this id, while it may come in."""
        rows = self._rows(
            "SELECT token_id, name, role, expires_at FROM token WHERE token_id = ? AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > ?)",
            principal_id, self._clock.utc_s(),
        )  # fmt: skip
        return self._principal(rows)

    def notice(self) -> None:
        """See what is left to everything that ends, used or not. Called every second; reads only what is new."""
        version: int = self._rows("PRAGMA data_version")[0][0]
        if version != self._ends_version:
            since = self._clock.utc_s() - _SET_BACK_S
            rows = self._rows(
                "SELECT token_id, expires_at FROM token WHERE revoked_at IS NULL AND expires_at > ?"
                " ORDER BY created_at DESC LIMIT ?",
                since, _MAX_ENDS,
            )  # fmt: skip
            for token_id, expires_at in reversed(rows):
                self._is_over(token_id, expires_at)
            self._ends_version = version

    def _principal(self, rows: list[Any]) -> Principal | None:
        if not rows or self._is_over(rows[0][0], rows[0][3]):
            return None
        return Principal(*rows[0])

    def _is_over(self, token_id: str, expires_at: float | None) -> bool:
        """Whether no time is left, by what was left when this process saw it first."""
        if expires_at is None:
            return False
        now_s = self._clock.monotonic_s()
        end_s = self._ends_s.setdefault(token_id, now_s + expires_at - self._clock.utc_s())
        if len(self._ends_s) > _MAX_ENDS:
            del self._ends_s[next(iter(self._ends_s))]
        return end_s <= now_s

    def end(self, principal_id: str) -> None:
        """Sign out or revoke."""
        with self._writing():
            self._db.execute("UPDATE token SET revoked_at = ? WHERE token_id = ?", (self._clock.utc_s(), principal_id))

    def _create(self, kind: str, role: str, name: str, secret: str, lasts_s: float | None) -> str:
        if role not in ROLES:
            raise AccessDenied(f"no role {role!r}; one of {', '.join(ROLES)}")
        now = self._clock.utc_s()
        with self._writing():
            self._db.execute(
                "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (
                    f"{kind[:3]}_{secrets.token_hex(8)}", kind, role, name, _hash(secret), now,
                    None if lasts_s is None else now + lasts_s,
                ),
            )  # fmt: skip
        return secret

    def _rows(self, query: str, *values: str | float) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: cannot be read ({error}); check the disk") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            self._seen_version = self._sources_version = -1  # data_version does not count our own writes
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: cannot be written ({error}); check owner and free space") from error


def _secret() -> str:
    return base64.b32hexencode(secrets.token_bytes(20)).decode().lower()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()  # a stranger's bytes are no error
