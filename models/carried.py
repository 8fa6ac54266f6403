"""A folder or a zip that somebody carried here, and the files of one model in it. Trusts neither.

Links are not followed. A zip with links, encryption or names that lead out of it is refused whole.
"""

import errno
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Protocol

from models.entries import Entry
from pipeline.errors import ModelMissing, ModelUnverified

_MOST_MEMBERS: Final = 10_000


class Source(Protocol):
    """Where files are taken from."""

    def size_bytes(self, path: str) -> int:
        """As the source says. Raises: ModelMissing: it is not there. ModelUnverified: it is not one that is taken."""
        ...

    def open(self, path: str) -> IO[bytes]:
        """Raises: as size_bytes."""
        ...


@contextmanager
def opened(path: Path, entry: Entry) -> Iterator[Source]:
    if path.is_dir():
        yield _Folder(path, entry)
    elif path.is_file():
        try:
            with zipfile.ZipFile(path) as archive:
                yield _Zip(archive, path, entry)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise ModelUnverified(
                f"{path}: not a zip that can be read whole ({error}); nothing of it was taken"
            ) from error
    else:
        raise ModelMissing(f"{path}: neither a folder nor a zip; name where the model's files are")


class _Folder:
    """A folder, or the one in it that is named like the model. Links are not followed."""

    def __init__(self, path: Path, entry: Entry) -> None:
        inside = path / entry.name
        self._folder = inside if inside.is_dir() and not inside.is_symlink() else path

    def size_bytes(self, path: str) -> int:
        with self.open(path) as file:
            return os.fstat(file.fileno()).st_size

    def open(self, path: str) -> IO[bytes]:
        at = self._folder / path
        try:
            handle = os.open(at, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise ModelMissing(f"{at} is not there; nothing was taken") from error
        except OSError as error:
            why = "a link" if error.errno == errno.ELOOP else error.strerror
            raise ModelUnverified(f"{at}: cannot be taken ({why}); nothing was taken") from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise ModelUnverified(f"{at}: not a plain file; nothing was taken")
        return os.fdopen(handle, "rb")


class _Zip:
    """A zip with the files at its top, or in a folder that is named like the model."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, entry: Entry) -> None:
        """Raises: ModelUnverified: something in it has no business in a zip of ours."""
        self._archive = archive
        self._path = path
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise ModelUnverified(f"{path}: {len(members)} files are in it, a model has a few; nothing of it was taken")
        for member in members:
            _check_member(member, path)
        self._by_name = {member.filename.removeprefix(f"{entry.name}/"): member for member in members}
        if len(self._by_name) < len(members):
            raise ModelUnverified(f"{path}: a file is in it twice; nothing of it was taken")

    def size_bytes(self, path: str) -> int:
        return self._member(path).file_size

    def open(self, path: str) -> IO[bytes]:
        return self._archive.open(self._member(path))

    def _member(self, path: str) -> zipfile.ZipInfo:
        if path not in self._by_name:
            raise ModelMissing(f"{path} is not in {self._path}; nothing of it was taken")
        return self._by_name[path]


def _check_member(member: zipfile.ZipInfo, path: Path) -> None:
    parts = member.filename.split("/")
    mode = member.external_attr >> 16
    why = ""
    if ".." in parts or parts[0] == "" or "\\" in member.orig_filename or ":" in parts[0]:
        why = "leads out of the folder"
    elif stat.S_ISLNK(mode) or (mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR)):
        why = "is a link or no plain file"
    elif member.flag_bits & 1:
        why = "is encrypted"
    if why:
        raise ModelUnverified(f"{path}: {member.filename!r} in it {why}; nothing of it was taken")
