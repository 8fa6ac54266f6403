"""Whether a file is the one that the registry names: its size and SHA-256. Remembers those of large files."""

import hashlib
import json
import os
from pathlib import Path
from typing import Final

from models.entries import ModelFile

_CHUNK_BYTES: Final = 1 << 20
_REMEMBERED_FROM_BYTES: Final = 64 << 20
"""Smaller files are read at every check: a tenth of a second at most."""
_KEY_PARTS: Final = 4


def sha256_of(path: Path) -> str:
    """Raises: OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class Checks:
    """Hashes of large files, kept in a JSON file by size, times and inode, so that 3 GB are not read at every start.

    Who can write that file can write the models too; `onrecord models verify` reads everything and does not use it.
    Where it cannot be read or written, everything is hashed each time. writes: whether anything new is kept.
    """

    def __init__(self, path: Path, *, writes: bool) -> None:
        self._path = path
        self._writes = writes

    def defect(self, folder: Path, file: ModelFile, *, fresh: bool = False) -> str:
        """What is wrong with this file; empty: nothing. fresh: nothing that is remembered counts."""
        path = folder / file.path
        if path.is_symlink() or not path.is_file():
            return f"{file.path} is not there" if not path.exists() else f"{file.path} is not a plain file"
        if file.sha256 is None:
            return f"{file.path} has no hash in the registry and is not pinned"
        try:
            size_bytes = path.stat().st_size
            if file.size_bytes is not None and size_bytes != file.size_bytes:
                return f"{file.path} has {size_bytes} bytes, not {file.size_bytes}"
            sha256 = self._sha256(path, fresh=fresh)
        except OSError as error:
            return f"{file.path} cannot be read ({error.strerror})"
        if sha256 != file.sha256:
            return f"{file.path} has the SHA-256 {sha256[:12]}…, not {file.sha256[:12]}…"
        return ""

    def _sha256(self, path: Path, *, fresh: bool) -> str:
        key = _key(path)
        if key[0] < _REMEMBERED_FROM_BYTES:
            return sha256_of(path)
        kept = self._kept()
        known = kept.get(str(path.resolve()))
        if not fresh and known is not None and known[:-1] == [*map(str, key)]:
            return known[-1]
        sha256 = sha256_of(path)
        if self._writes and key == _key(path):  # else: changed while it was read: not remembered
            self._keep({**kept, str(path.resolve()): [*map(str, key), sha256]})
        return sha256

    def _kept(self) -> dict[str, list[str]]:
        try:
            tree = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(tree, dict):
            return {}
        return {str(path): each for path, each in tree.items() if _is_row(each)}

    def _keep(self, rows: dict[str, list[str]]) -> None:
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            part.write_text(
                json.dumps({path: row for path, row in rows.items() if Path(path).exists()}), encoding="utf-8"
            )
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)


def _key(path: Path) -> tuple[int, int, int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _is_row(row: object) -> bool:
    return isinstance(row, list) and len(row) == _KEY_PARTS + 1 and all(isinstance(each, str) for each in row)
