"""A zip written as a stream; every file hashed while it is written. Runs in a thread."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

from cases.export.stored_zip import StoredZip
from cases.facts import JsonValue, canonical
from pipeline.errors import StorageError

_CHUNK = 1 << 20


class Spool:
    """A list of a JSON file that grows on the disk: its text, without the brackets."""

    def __init__(self, file: IO[bytes], mapped: Callable[[], AbstractContextManager[None]]) -> None:
        self.count = 0
        self._file = file
        self._mapped = mapped

    def add(self, tree: Mapping[str, JsonValue]) -> None:
        """Raises: StorageError."""
        with self._mapped():
            self._file.write((b"," if self.count else b"") + canonical(tree))
        self.count += 1

    def chunks(self) -> Iterator[bytes]:
        """What was added, from the beginning. Raises: StorageError."""
        with self._mapped():
            self._file.seek(0)
            while data := self._file.read(_CHUNK):
                yield data


class Pack:
    """Writes `{target}.part`, and renames it when it is whole. files: path, size and SHA-256 of what is in it.

    Its lists lie in files without a name beside the target: in memory is a chunk, however much is in it.
    """

    def __init__(self, target: Path) -> None:
        """Raises: StorageError."""
        self.size_bytes = 0
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        self._opened = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.callback(self._opened.close)
            with self._mapped():
                self._file = self._opened.enter_context(self._part.open("wb"))
                self._zip = StoredZip(self._file, self._unnamed())
            self.files = self.spool()
            undo.pop_all()

    def spool(self) -> Spool:
        """One more list, which lives as long as the pack. Raises: StorageError."""
        with self._mapped():
            return Spool(self._unnamed(), self._mapped)

    def write(self, path: str, chunks: Iterable[bytes], *, is_listed: bool = True) -> tuple[str, int]:
        """SHA-256 and size. Raises: StorageError: the zip cannot be written. OSError: of `chunks`."""
        digest, size_bytes = hashlib.sha256(), 0
        with self._mapped():
            self._zip.begin(path)
        for data in chunks:
            digest.update(data)
            size_bytes += len(data)
            with self._mapped():
                self._zip.add(data)
        with self._mapped():
            self._zip.end()
        self.size_bytes += size_bytes
        if is_listed:
            self.files.add({"path": path, "size_bytes": size_bytes, "sha256": digest.hexdigest()})
        return digest.hexdigest(), size_bytes

    def finish(self) -> None:
        """The zip is on the medium, under its name. Raises: StorageError."""
        with self._mapped():
            self._zip.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._opened.close()
            self._part.rename(self._target)

    def abandon(self) -> None:
        """Nothing of it stays."""
        with contextlib.suppress(OSError):  # what a full disk did not take cannot be written when it is closed either
            self._opened.close()
        self._part.unlink(missing_ok=True)

    def _unnamed(self) -> IO[bytes]:
        return self._opened.enter_context(tempfile.TemporaryFile(dir=self._target.parent))

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self._part} cannot be written ({error.strerror}); choose another place, or make room"
            ) from error


def chunks_of(path: Path, most_bytes: int | None = None) -> Iterator[bytes]:
    """Its first `most_bytes`; None: all. Raises: OSError."""
    left = most_bytes
    with path.open("rb") as file:
        while data := file.read(_CHUNK if left is None else min(_CHUNK, left)):
            yield data
            left = None if left is None else left - len(data)


def lines_of(path: Path, most_bytes: int) -> Iterator[bytes]:
    """The lines of its first `most_bytes`, with their ends; the last one may have none. Raises: OSError."""
    left = most_bytes
    with path.open("rb") as file:
        while left and (line := file.readline(left)):
            yield line
            left -= len(line)


def index(tree: Mapping[str, JsonValue], lists: Mapping[str, Spool]) -> Iterator[bytes]:
    """Canonical JSON of `tree` and `lists` together, piece by piece. Raises: StorageError."""
    opening = b"{"
    for name in sorted([*tree, *lists]):
        if name in lists:
            yield opening + canonical({name: []})[1:-2]
            yield from lists[name].chunks()
            yield b"]"
        else:
            yield opening + canonical({name: tree[name]})[1:-1]
        opening = b","
    yield b"}"
