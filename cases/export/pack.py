"""A zip written as a stream: stored, not packed; every file hashed while it is written. Runs in a thread."""

import hashlib
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import StorageError

_CHUNK = 1 << 20
_DATE = (1980, 1, 1, 0, 0, 0)  # so that the same case gives the same bytes
_MODE = 0o100644


class Pack:
    """Writes `{target}.part`, and renames it when it is whole. files: path, size and SHA-256 of what is in it."""

    def __init__(self, target: Path) -> None:
        """Raises: StorageError."""
        self.files: list[tuple[str, int, str]] = []
        self.size_bytes = 0
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        try:
            self._file = self._part.open("wb")
        except OSError as error:
            raise self._refused(error) from error
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_STORED, allowZip64=True)

    def write(self, path: str, chunks: Iterable[bytes], *, is_listed: bool = True) -> tuple[str, int]:
        """SHA-256 and size. Raises: StorageError: the zip cannot be written. OSError: of `chunks`."""
        info = zipfile.ZipInfo(path, _DATE)
        info.external_attr = _MODE << 16
        info.create_system = 3  # Unix, wherever it is made
        digest, size_bytes = hashlib.sha256(), 0
        with self._zip.open(info, "w", force_zip64=True) as out:
            for data in chunks:
                digest.update(data)
                size_bytes += len(data)
                try:
                    out.write(data)
                except OSError as error:
                    raise self._refused(error) from error
        self.size_bytes += size_bytes
        if is_listed:
            self.files.append((path, size_bytes, digest.hexdigest()))
        return digest.hexdigest(), size_bytes

    def finish(self) -> None:
        """The zip is on the medium, under its name. Raises: StorageError."""
        try:
            self._zip.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.rename(self._target)
        except OSError as error:
            raise self._refused(error) from error

    def abandon(self) -> None:
        """Nothing of it stays."""
        self._zip.fp = None  # so that it does not write its end, when it is forgotten, to a file that is closed
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(f"{self._part} cannot be written ({error.strerror}); choose another place, or make room")


def chunks_of(path: Path) -> Iterable[bytes]:
    """Raises: OSError."""
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            yield data
