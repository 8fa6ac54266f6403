"""Files of cases as they came, under their SHA-256: `{data}/files/{its first two digits}/…`. Runs in a thread."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from cases.uploads.parts import sync_folder
from pipeline.errors import EvidenceError
from pipeline.record.disk import mapped

FOLDER = "files"
_CHUNK = 1 << 20


def path_of(data: Path, sha256: str) -> Path:
    return data / FOLDER / sha256[:2] / sha256


def sha256_of(path: Path) -> str:
    """Raises: StorageError."""
    digest = hashlib.sha256()
    with mapped(path), path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def keep(data: Path, part: Path, sha256: str) -> Path:
    """The part, under its name, on the medium. Raises: StorageError."""
    path = path_of(data, sha256)
    with mapped(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        with suppress(FileExistsError):  # the same file is kept already, or by another one at this moment
            os.link(part, path)
            path.chmod(0o440)
        sync_folder(path.parent)
        sync_folder(path.parent.parent)
    return path


def forget(data: Path, sha256: str) -> None:
    """Raises: StorageError."""
    path = path_of(data, sha256)
    with mapped(path):
        path.unlink(missing_ok=True)


def checked(data: Path, sha256: str) -> Path:
    """Where it is, once it is sure that it is what it was. Raises: EvidenceError, StorageError."""
    path = path_of(data, sha256)
    if not path.is_file() or sha256_of(path) != sha256:
        raise EvidenceError("the file is not what was sent in; run 'onrecord verify'")
    return path
