"""Backup and restore of a data folder: the database as it stands at one moment, its log, accounts, keys, recordings.

A backup can be made beside a running server and holds one state: the database is copied first, and what it refers to
after it. The signing key and the access file (it holds the secrets of authenticators) are sealed with a passphrase.
Recordings are copied, or named with their hashes and left where they are. Keys of faces are left out: a backup would
outlive what the law lets us keep, so its templates open nowhere; who is still needed is enrolled again (docs/faces.md).
"""

import base64
import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cases.custody.checkpoint import parse
from cases.store.engine import FILE
from pipeline.errors import EvidenceError, StateConflict, StorageError, ValueRefused

FORMAT = "onrecord-backup"
VERSION = 1
_INDEX = "backup.json"
_MEDIA = ("recordings", "files")
_ACCESS = "access.sqlite"
_HEADS = "custody/heads.jsonl"
_KEY = "keys/signing.pem"
_SEALED = ".sealed"
_LEAST_PASSPHRASE = 12
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Made:
    """What a backup holds. log_size: events of the custody log."""

    files: int
    recordings: int
    size_bytes: int
    log_size: int


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Index:
    files: list[_File]
    media: list[_File]
    copies_media: bool


def backup(data: Path, out: Path, passphrase: str, *, copies_media: bool) -> Made:
    """Write everything of `data` to the new folder `out`; a server may run meanwhile.

    Raises: ValueRefused: the passphrase is too short. StateConflict: `out` is there already. StorageError.
    """
    if len(passphrase) < _LEAST_PASSPHRASE:
        raise ValueRefused("passphrase", f"it must have {_LEAST_PASSPHRASE} signs at least")
    if not (data / FILE).exists():
        raise StateConflict(f"{data}: holds no {FILE}; a record in PostgreSQL is backed up with pg_dump, beside this")
    with _mapped(out):
        if out.exists():
            raise StateConflict(f"{out}: is there already; name a new folder")
        out.mkdir(parents=True, mode=0o700)
        _copy_tree(data / "untold", out / "untold")
        _copy_tree(data / "outbox", out / "outbox")  # what the store took since is in the database then
        _snapshot(data / FILE, out / FILE)
        _copy_tree(data / "outbox", out / "outbox")  # what it had not taken yet, and what came since
        _copy_tree(data / "untold", out / "untold")  # told twice is told once
        _copy_tree(data / "custody", out / "custody")
        log_size, newest = _log_of(out / FILE)
        _cut_heads(out / _HEADS, newest)
        _copy_tree(data / "keys", out / "keys")
        _snapshot(data / _ACCESS, out / _ACCESS)
        for name in (_KEY, _ACCESS):
            _seal(out / name, passphrase)
        media = list(_media(data, out if copies_media else None))
        files = [_entry(path, out) for path in _files(out) if path.relative_to(out).parts[0] not in _MEDIA]
        index = {
            "format": FORMAT, "version": VERSION, "log_size": log_size, "copies_media": copies_media,
            "files": [asdict(each) for each in files], "media": [asdict(each) for each in media],
        }  # fmt: skip
        (out / _INDEX).write_text(json.dumps(index, ensure_ascii=False, sort_keys=True, indent=0), encoding="utf-8")
        size = sum(path.stat().st_size for path in _files(out))
    folders = {Path(each.path).parent for each in media if each.path.startswith("recordings/")}
    return Made(len(files), len(folders), size, log_size)


def restore(source: Path, data: Path, passphrase: str, media: Path | None = None) -> int:
    """Make `data` anew of a backup; how many files of recordings. `onrecord verify DATA` then says whether it is whole.

    media: the data folder that holds the recordings and files, for a backup that only names them; they are linked where
    that can be, else copied.
    Raises: EvidenceError: the backup is not what it was. StateConflict: `data` holds something already, or the
    recordings are not there. ValueRefused: the passphrase is another one. StorageError.
    """
    with _mapped(data):
        if data.exists() and any(data.iterdir()):
            raise StateConflict(f"{data}: is not empty; restore into a new folder")
        index = _index_of(source)
        for entry in index.files:
            _check(source / entry.path, entry)
        data.mkdir(parents=True, exist_ok=True, mode=0o750)
        for entry in index.files:
            path = _inside(data, entry.path)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path.suffix == _SEALED:
                _write_private(path.with_suffix(""), _opened((source / entry.path).read_bytes(), passphrase))
            else:
                shutil.copy2(source / entry.path, path)
        (data / "keys").chmod(0o700)
        root = source if index.copies_media else media
        for entry in index.media:
            if Path(entry.path).parts[0] not in _MEDIA:
                raise EvidenceError(f"{entry.path!r}: is no recording and no file of a case")
            if root is None or not (root / entry.path).exists():
                raise StateConflict(f"{entry.path}: is not there; name the old data folder with --media")
            _check(root / entry.path, entry)
            path = _inside(data, entry.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(root / entry.path, path)
            except OSError:
                shutil.copy2(root / entry.path, path)
        return len(index.media)


@contextlib.contextmanager
def _mapped(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{folder}: {error}; check owner, mount and free space") from error


def _snapshot(source: Path, target: Path) -> None:
    """One state of a SQLite database, whoever writes meanwhile."""
    with (
        contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as before,
        contextlib.closing(sqlite3.connect(target)) as after,
    ):
        before.backup(after)
        after.execute("PRAGMA journal_mode=DELETE")


def _log_of(path: Path) -> tuple[int, int]:
    """How many events the database has, and the size of the newest head in it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        size: int = connection.execute("SELECT coalesce(max(seq) + 1, 0) FROM events").fetchone()[0]
        newest: int = connection.execute("SELECT coalesce(max(size), 0) FROM heads").fetchone()[0]
    return size, newest


def _cut_heads(path: Path, newest: int) -> None:
    """Heads that were signed after the database was copied speak of events that are not in the backup."""
    if path.exists():
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith(b"\n") and parse(json.loads(line)["note"]).head.size <= newest]
        path.write_bytes(b"".join(kept))


def _media(data: Path, out: Path | None) -> Iterator[_File]:
    """Recordings and sent files, copied to `out` where there is one; what is being written, as far as it is."""
    for path in (path for name in _MEDIA for path in _files(data / name)):
        if out is None:
            yield _entry(path, data)
            continue
        target = out / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
        yield _entry(target, out)


def _entry(path: Path, root: Path) -> _File:
    return _File(str(path.relative_to(root)), *_digest(path))


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def _check(path: Path, entry: _File) -> None:
    """Raises: EvidenceError."""
    if not path.is_file() or _digest(path) != (entry.sha256, entry.size_bytes):
        raise EvidenceError(f"{path}: is not what was backed up")


def _index_of(source: Path) -> _Index:
    """Raises: EvidenceError."""
    try:
        tree = json.loads((source / _INDEX).read_text(encoding="utf-8"))
        if (tree["format"], tree["version"]) != (FORMAT, VERSION):
            raise ValueError("another format")
        files, media = ([_File(**each) for each in tree[name]] for name in ("files", "media"))
        for each in (*files, *media):
            if not isinstance(each.path, str) or not isinstance(each.size_bytes, int):
                raise ValueError("a file without a path or a size")
        return _Index(files, media, bool(tree["copies_media"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvidenceError(f"{source}: is no backup of version {VERSION} ({error})") from error


def _inside(root: Path, name: str) -> Path:
    """Raises: EvidenceError: the name leads elsewhere."""
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise EvidenceError(f"{name!r}: leads out of the folder")
    return path


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink())


def _copy_tree(source: Path, target: Path) -> None:
    for path in _files(source):
        with contextlib.suppress(FileNotFoundError):  # taken, and deleted, meanwhile
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copy2(path, target / path.relative_to(source))


def _seal(path: Path, passphrase: str) -> None:
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, path.read_bytes(), b"onrecord backup 1")
    path.unlink()
    tree = {name: base64.b64encode(raw).decode() for name, raw in (("salt", salt), ("nonce", nonce), ("data", sealed))}
    _write_private(path.with_name(path.name + _SEALED), json.dumps(tree).encode())


def _opened(raw: bytes, passphrase: str) -> bytes:
    """Raises: ValueRefused: another passphrase. EvidenceError: it is no sealed file."""
    try:
        tree = {name: base64.b64decode(text, validate=True) for name, text in json.loads(raw).items()}
        return AESGCM(_key(passphrase, tree["salt"])).decrypt(tree["nonce"], tree["data"], b"onrecord backup 1")
    except InvalidTag as error:
        raise ValueRefused("passphrase", "it does not open this backup") from error
    except (ValueError, KeyError, AttributeError) as error:
        raise EvidenceError("a sealed file of the backup cannot be read") from error


def _key(passphrase: str, salt: bytes) -> bytes:
    """Argon2id, RFC 9106, 4: the second recommended option, 64 MiB."""
    return hash_secret_raw(passphrase.encode(), salt, 3, 65_536, 4, 32, Type.ID)


def _write_private(path: Path, raw: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
