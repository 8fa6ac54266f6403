"""Keys of templates, and what is sealed with them. Keys lie in a folder of their own, which no backup takes.

A master key wraps the key of each gallery, that one the keys of its persons, a person's key those of his templates and
of the pictures of suggestions, and these seal, all with AES-256-GCM, bound to what they belong to. A key that is
destroyed takes with it whatever it sealed and wrapped, wherever copies of that lie: so one template or picture can go
alone. Called in threads; a lock file keeps two processes apart.

Files: `master-{id}.key`, `current`, `{gallery_id}/gallery.key`, `{gallery_id}/{person_id}.key` and, beside it,
`{gallery_id}/{person_id}/{template or suggestion}.key`; folders 700, files 600.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cases.faces.key_files import left_over, made_folder, mapped, shred, shred_folder, write
from pipeline.errors import EvidenceError, StorageError, ThingUnknown

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_ID: Final = re.compile(r"[A-Za-z0-9_]{1,80}")
_CURRENT: Final = "current"
_GALLERY: Final = "gallery"
_PERSON: Final = "person"
_ROTATED: Final = "rotated"


@dataclass(frozen=True, slots=True)
class Rotated:
    """A new master key took the place of another. galleries: whose keys were wrapped anew."""

    note: Path
    before: str
    after: str
    galleries: int
    at_us: int


class Vault:
    """Raises from every method: StorageError: the folder cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make_key(self, gallery_id: str, person_id: str) -> None:
        """Where there is none yet."""
        with self._locked():
            self._person_key(gallery_id, person_id, makes=True)

    def seal(self, gallery_id: str, person_id: str, name: str, plain: bytes) -> bytes:
        """name: what it is and, behind a space, the id of whose key seals it, made with the first that it seals.

        Bytes sealed as one thing do not open as another. Raises: ThingUnknown: the person has no key.
        """
        with self._locked():
            key = self._own_key(gallery_id, person_id, name, makes=True)
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, plain, _bound(person_id, name))

    def open(self, gallery_id: str, person_id: str, name: str, sealed: bytes) -> bytes:
        """Raises: ThingUnknown: its key was destroyed. EvidenceError: it is not what was sealed."""
        with self._locked():
            key = self._own_key(gallery_id, person_id, name, makes=False)
        return _opened(key, sealed, _bound(person_id, name))

    def open_many(self, gallery_id: str, sealed: Sequence[tuple[str, str, bytes]]) -> list[bytes | None]:
        """Each of (person_id, name, sealed), in order; None where its key was destroyed. Raises: EvidenceError."""
        found: list[bytes | None] = []
        with self._locked():
            above = self._gallery_key(gallery_id, makes=False)
            for person_id, name, raw in sealed:
                path, own = self._person_path(gallery_id, person_id), self._own_path(gallery_id, person_id, name)
                if not path.exists() or not own.exists():
                    found.append(None)
                    continue
                key = _unwrapped(path, {_GALLERY: above}, person_id.encode())
                found.append(_opened(_unwrapped(own, {_PERSON: key}, own.stem.encode()), raw, _bound(person_id, name)))
        return found

    def shred_one(self, gallery_id: str, person_id: str, own_id: str) -> bool:
        """One template or picture, by its id: whether it had a key; afterwards nothing opens what it sealed."""
        with self._locked():
            return shred(self._own_path(gallery_id, person_id, own_id))

    def shred_person(self, gallery_id: str, person_id: str) -> bool:
        """Whether there was a key; afterwards nothing opens what was sealed for this person."""
        with self._locked():
            path = self._person_path(gallery_id, person_id)
            was_there = shred(path)
            shred_folder(path.with_suffix(""))
        return was_there

    def shred_gallery(self, gallery_id: str) -> bool:
        """Whether there was a key. The gallery's goes first: with it, those of all its persons."""
        with self._locked():
            folder = self._folder / _checked(gallery_id)
            was_there = shred(folder / f"{_GALLERY}.key")
            shred_folder(folder)
        return was_there

    def tidy(self) -> None:
        """What a crash left half written or half destroyed is destroyed."""
        with self._locked():
            for path in left_over(self._folder):
                shred(path)

    def galleries(self) -> list[str]:
        """Those that have a folder of keys here."""
        with mapped(self._folder):
            if not self._folder.is_dir():
                return []
            return sorted(path.name for path in self._folder.iterdir() if path.is_dir() and path.name != _ROTATED)

    def persons(self, gallery_id: str) -> list[str]:
        """Those of a gallery that have a key here."""
        folder = self._folder / _checked(gallery_id)
        with mapped(folder):
            return sorted(path.stem for path in folder.glob("*.key") if path.stem != _GALLERY)

    def owned(self, gallery_id: str) -> list[tuple[str, str]]:
        """Templates and pictures of a gallery that have a key here, each behind its person."""
        folder = self._folder / _checked(gallery_id)
        with mapped(folder):
            return sorted((path.parent.name, path.stem) for path in folder.glob("*/*.key"))

    def rotate(self) -> Rotated:
        """A new master key wraps what the old one wrapped, and the old one is destroyed. Beside a running server too.

        A crash in between leaves both masters, and every file opens with the one that it names. Raises: EvidenceError:
        the key of a gallery does not open; nothing is changed.
        """
        with self._locked():
            before = self._current()
            keys = {
                gallery_id: self._gallery_key(gallery_id, makes=False)
                for gallery_id in self.galleries()
                if (self._folder / gallery_id / f"{_GALLERY}.key").exists()
            }
            after = self._new_master()
            for gallery_id, key in keys.items():
                path = self._folder / gallery_id / f"{_GALLERY}.key"
                write(path, _wrapped(self._master(after), after, key, gallery_id.encode()))
            write(self._folder / _CURRENT, after.encode())
            for path in sorted(self._folder.glob("master-*.key")):
                if path.name != f"master-{after}.key":
                    shred(path)
            note = self._folder / _ROTATED / f"{after}.json"
            at_us = time.time_ns() // 1000
            made_folder(note.parent)
            tree = {"before": before, "after": after, "galleries": len(keys), "at_us": at_us}
            write(note, json.dumps(tree).encode())
        return Rotated(note, before, after, len(keys), at_us)

    def rotations(self) -> list[Rotated]:
        """What is not in the log yet; unlink the note once it is."""
        found = []
        with mapped(self._folder):
            for path in sorted((self._folder / _ROTATED).glob("*.json")):
                try:
                    tree = json.loads(path.read_bytes())
                    found.append(Rotated(path, tree["before"], tree["after"], tree["galleries"], tree["at_us"]))
                except (ValueError, KeyError, TypeError) as error:
                    raise StorageError(f"{path}: is no note of a rotation; look at it and take it away") from error
        return found

    def _own_key(self, gallery_id: str, person_id: str, name: str, *, makes: bool) -> bytes:
        """Of one template or picture."""
        above = self._person_key(gallery_id, person_id, makes=False)
        path = self._own_path(gallery_id, person_id, name)
        if not path.exists():
            if not makes:
                raise ThingUnknown("the key of this template or picture was destroyed")
            key = os.urandom(_KEY_BYTES)
            made_folder(path.parent)
            write(path, _wrapped(above, _PERSON, key, path.stem.encode()))
            return key
        return _unwrapped(path, {_PERSON: above}, path.stem.encode())

    def _own_path(self, gallery_id: str, person_id: str, name: str) -> Path:
        return self._person_path(gallery_id, person_id).with_suffix("") / f"{_checked(name.rpartition(' ')[2])}.key"

    def _person_path(self, gallery_id: str, person_id: str) -> Path:
        return self._folder / _checked(gallery_id) / f"{_checked(person_id)}.key"

    def _person_key(self, gallery_id: str, person_id: str, *, makes: bool) -> bytes:
        path = self._person_path(gallery_id, person_id)
        above = self._gallery_key(gallery_id, makes=makes)
        if not path.exists():
            if not makes:
                raise ThingUnknown("the key of this person was destroyed")
            key = os.urandom(_KEY_BYTES)
            write(path, _wrapped(above, _GALLERY, key, person_id.encode()))
            return key
        return _unwrapped(path, {_GALLERY: above}, person_id.encode())

    def _gallery_key(self, gallery_id: str, *, makes: bool) -> bytes:
        path = self._folder / _checked(gallery_id) / f"{_GALLERY}.key"
        if not path.exists():
            if not makes:
                raise ThingUnknown("the keys of this gallery were destroyed")
            current = self._current()
            key = os.urandom(_KEY_BYTES)
            made_folder(path.parent)
            write(path, _wrapped(self._master(current), current, key, gallery_id.encode()))
            return key
        masters = {path.stem.removeprefix("master-"): path.read_bytes() for path in self._folder.glob("master-*.key")}
        return _unwrapped(path, masters, gallery_id.encode())

    def _current(self) -> str:
        path = self._folder / _CURRENT
        with mapped(path):
            if path.exists():
                return _checked(path.read_text(encoding="ascii").strip())
        made = self._new_master()
        write(path, made.encode())
        return made

    def _new_master(self) -> str:
        name = secrets.token_hex(8)
        write(self._folder / f"master-{name}.key", os.urandom(_KEY_BYTES))
        return name

    def _master(self, name: str) -> bytes:
        path = self._folder / f"master-{name}.key"
        with mapped(path):
            key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise StorageError(f"{path}: is no key; what it wrapped cannot be opened, enrol those persons again")
        return key

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        made_folder(self._folder)
        path = self._folder / "lock"
        with mapped(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)


def _bound(person_id: str, name: str) -> bytes:
    return f"onrecord face 1\x1f{person_id}\x1f{name}".encode()


def _wrapped(above: bytes, above_name: str, key: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(above).encrypt(nonce, key, b"onrecord face key 1\x1f" + bound)
    return json.dumps({"by": above_name, "nonce": nonce.hex(), "key": sealed.hex()}).encode()


def _unwrapped(path: Path, above: dict[str, bytes], bound: bytes) -> bytes:
    with mapped(path):
        raw = path.read_bytes()
    try:
        tree = json.loads(raw)
        by, nonce, sealed = tree["by"], bytes.fromhex(tree["nonce"]), bytes.fromhex(tree["key"])
        return AESGCM(above[by]).decrypt(nonce, sealed, b"onrecord face key 1\x1f" + bound)
    except (ValueError, KeyError, TypeError, InvalidTag) as error:
        raise EvidenceError(f"{path}: does not open; what it sealed must be enrolled again") from error


def _opened(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (ValueError, InvalidTag) as error:
        raise EvidenceError("a sealed face does not open: it was changed, or belongs to somebody else") from error


def _checked(name: str) -> str:
    """A name that leads nowhere else."""
    if not _ID.fullmatch(name):
        raise StorageError("a key cannot have this name")
    return name
