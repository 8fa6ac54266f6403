"""The signing key of this server (Ed25519): made at the first start, rotated by a statement of the old key.

`{data}/keys/` holds `signing.pem` (the private key, mode 600), `{key_id}.pub.pem` for every key there ever was, and
`rotations.jsonl`: one statement a rotation, signed by the old key. Knows no recording.
"""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from pipeline.errors import EvidenceError, StorageError
from pipeline.ids import KeyId
from pipeline.record import lines
from pipeline.record.lines import KeyChange

_PRIVATE = "signing.pem"
_ROTATIONS = "rotations.jsonl"
_PEM_END = b"-----END PUBLIC KEY-----"


def key_id_of(public_key: bytes) -> KeyId:
    """SHA-256 of the 32 raw bytes, lower-case hex."""
    return KeyId(hashlib.sha256(public_key).hexdigest())


def is_signed(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Whether `signature` (64 bytes) over `data` was made by the owner of `public_key` (32 raw bytes)."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key, its public half, and the statements that lead to it from older keys, oldest first."""

    _key: Ed25519PrivateKey
    public_key: bytes
    key_id: KeyId
    changes: tuple[KeyChange, ...] = ()

    @classmethod
    def of(cls, key: Ed25519PrivateKey, changes: tuple[KeyChange, ...] = ()) -> "Signer":
        public_key = key.public_key().public_bytes_raw()
        return cls(key, public_key, key_id_of(public_key), changes)

    @classmethod
    def load(cls, folder: Path) -> "Signer":
        """The key in `folder`, made there if there is none.

        Raises: StorageError: the folder cannot be written. EvidenceError: the key there cannot be read.
        """
        path = folder / _PRIVATE
        try:
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                _save_key(folder, Ed25519PrivateKey.generate())
            pem = path.read_bytes()
            statements = (folder / _ROTATIONS).read_bytes() if (folder / _ROTATIONS).exists() else b""
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}; make the data folder writable for this user") from error
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError) as error:
            raise EvidenceError(f"{path} is not a private key ({error}); restore it from the backup") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise EvidenceError(f"{path} is not an Ed25519 key; restore it from the backup")
        changes = [lines.parse(line) for line in statements.splitlines(keepends=True)]
        return cls.of(key, tuple(change for change in changes if isinstance(change, KeyChange)))

    def sign(self, data: bytes) -> bytes:
        """64 bytes; the same for the same data."""
        return self._key.sign(data)

    def way_from(self, key_id: str) -> tuple[KeyChange, ...]:
        """The statements that lead from the key `key_id` to this one; empty if there are none."""
        for number, change in enumerate(self.changes):
            if key_id_of(change.old_public_key) == key_id:
                return self.changes[number:]
        return ()


def rotate(folder: Path, at: str) -> Signer:
    """A new key from now on (`at`: RFC 3339), announced by a statement signed with the old one; a restart takes it up.

    Raises: StorageError, EvidenceError: as `Signer.load`.
    """
    old, new = Signer.load(folder), Ed25519PrivateKey.generate()
    unsigned = KeyChange(old.public_key, new.public_key().public_bytes_raw(), at, b"")
    change = KeyChange(old.public_key, unsigned.new_public_key, at, old.sign(unsigned.signed_bytes()))
    try:
        with (folder / _ROTATIONS).open("ab") as file:
            file.write(lines.encode(change))
            file.flush()
            os.fsync(file.fileno())
        _save_key(folder, new)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}; make the data folder writable for this user") from error
    return Signer.of(new, (*old.changes, change))


def read_public_keys(path: Path) -> tuple[bytes, ...]:
    """The raw Ed25519 keys in a file of one or more PEM public keys.

    Raises: EvidenceError: there is none, or it cannot be read.
    """
    keys = []
    try:
        blocks = path.read_bytes().split(_PEM_END)[:-1]
        for block in blocks:
            key = load_pem_public_key(block + _PEM_END)
            if isinstance(key, Ed25519PublicKey):
                keys.append(key.public_bytes_raw())
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path}: no public key can be read ({error}); give a PEM file") from error
    if not keys:
        raise EvidenceError(f"{path}: holds no Ed25519 public key; give a PEM file")
    return tuple(keys)


def read_rotations(folder: Path) -> list[KeyChange]:
    """The statements in the folder of keys, oldest first; a line that is none is passed over. Raises: EvidenceError."""
    try:
        raw = (folder / _ROTATIONS).read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise EvidenceError(f"{folder / _ROTATIONS} cannot be read ({error.strerror})") from error
    changes = []
    for line in raw.splitlines(keepends=True):
        with contextlib.suppress(EvidenceError):
            change = lines.parse(line)
            if isinstance(change, KeyChange):
                changes.append(change)
    return changes


def announced(keys: Sequence[bytes], changes: Sequence[KeyChange]) -> tuple[bytes, ...]:
    """`keys`, and each that follows from one of them by a statement that it signed."""
    found = list(keys)
    for change in changes:
        if (
            change.old_public_key in found
            and change.new_public_key not in found
            and is_signed(change.old_public_key, change.signature, change.signed_bytes())
        ):
            found.append(change.new_public_key)
    return tuple(found)


def _save_key(folder: Path, key: Ed25519PrivateKey) -> None:
    """Both halves; the private one replaces the one before in one step, so that a crash leaves one whole key."""
    public = key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{key_id_of(public.public_bytes_raw())}.pub.pem").write_bytes(pem)
    fresh = folder / f"{_PRIVATE}.new"
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(folder / _PRIVATE)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
