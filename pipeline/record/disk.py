"""The disk as the recorder sees it: every write, sync and new file goes through `Disk`, so that tests can break it.

OSError becomes StorageError here and nowhere else. Knows no media.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from pipeline.errors import StorageError, StorageFull, StorageSyncFailed

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Disk(Protocol):
    """What the recorder and its recovery do to a disk. Every call Raises: StorageError, StorageFull."""

    def make_folder(self, path: Path) -> None:
        """Make `path` and every folder above it that is missing."""
        ...

    def create(self, path: Path) -> int:
        """A descriptor of a new, empty file; an existing one is emptied. Every write appends."""
        ...

    def open_append(self, path: Path) -> int:
        """A descriptor of a file that exists; every write appends."""
        ...

    def claim(self, descriptor: int) -> None:
        """The file is ours until it is closed or this process ends; other processes see that with `is_claimed`."""
        ...

    def is_claimed(self, path: Path) -> bool:
        """Whether a living process claims the file."""
        ...

    def write(self, descriptor: int, data: bytes) -> None:
        """Append all of `data`. After an error a part of it may be in the file."""
        ...

    def truncate(self, descriptor: int, size_bytes: int) -> None: ...

    def close(self, descriptor: int) -> None: ...

    def remove(self, path: Path) -> None: ...

    def sync(self, descriptor: int) -> None:
        """What was written is on the medium. Raises: StorageSyncFailed; never call it again for the same bytes."""
        ...

    def sync_folder(self, path: Path) -> None:
        """The names in the folder are on the medium. Raises: StorageSyncFailed."""
        ...

    def sync_all(self) -> None:
        """Start everything towards the medium at once; says nothing about success, `sync` does."""
        ...

    def free_bytes(self, path: Path) -> int:
        """Room left for us where `path` lies. Raises: StorageError: also where nothing may be written at all."""
        ...


class SystemDisk:
    """The disk of this machine. Safe to use from many threads."""

    def __init__(self, write: Callable[[int, bytes], int] = os.write, open_file: Callable[..., int] = os.open) -> None:
        """open_file: as `os.open`; that of `Spare` finds room where others took every descriptor."""
        self._write = write
        self._open_file = open_file

    def make_folder(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _mapped(error, f"folder {path} cannot be made") from error

    def create(self, path: Path) -> int:
        return self._open(path, os.O_CREAT | os.O_TRUNC)

    def open_append(self, path: Path) -> int:
        return self._open(path, 0)

    def claim(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _mapped(error, "another process writes this recording") from error

    def is_claimed(self, path: Path) -> bool:
        descriptor = self._open(path, 0)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            raise _mapped(error, f"{path} cannot be locked") from error
        finally:
            os.close(descriptor)
        return False

    def write(self, descriptor: int, data: bytes) -> None:
        try:
            done = self._write(descriptor, data)
            while done < len(data):
                more = self._write(descriptor, data[done:])
                if more <= 0:
                    raise StorageError(f"the disk took {done} of {len(data)} bytes; check its health and its mount")
                done += more
        except OSError as error:
            raise _mapped(error, "write failed") from error

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        try:
            os.ftruncate(descriptor, size_bytes)
        except OSError as error:
            raise _mapped(error, "truncate failed") from error

    def close(self, descriptor: int) -> None:
        try:
            os.close(descriptor)
        except OSError as error:
            raise _mapped(error, "close failed") from error

    def remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _mapped(error, f"{path} cannot be removed") from error

    def sync(self, descriptor: int) -> None:
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            raise StorageSyncFailed(f"fdatasync failed ({error.strerror}); check the disk's health") from error

    def sync_folder(self, path: Path) -> None:
        try:
            descriptor = self._open_file(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StorageSyncFailed(f"fsync of {path} failed ({error.strerror}); check the disk's health") from error

    def sync_all(self) -> None:
        os.sync()

    def free_bytes(self, path: Path) -> int:
        try:
            room = os.statvfs(path)
        except OSError as error:
            raise _mapped(error, f"{path} cannot be asked for its room") from error
        if room.f_flag & os.ST_RDONLY:
            raise StorageError(f"{path} is mounted read-only; see why ('dmesg'), then mount it for writing")
        return room.f_bavail * room.f_frsize

    def _open(self, path: Path, flags: int) -> int:
        try:
            return self._open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o640)
        except OSError as error:
            raise _mapped(error, f"{path} cannot be opened") from error


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Raises: StorageError: what is done to `path` within could not be done."""
    try:
        yield
    except OSError as error:
        raise _mapped(error, f"{path} cannot be read or written") from error


def _mapped(error: OSError, what: str) -> StorageError:
    if error.errno in _FULL:
        return StorageFull(f"{what}: no room; delete what is not needed or make the disk larger")
    return StorageError(f"{what} ({error.strerror}); check the disk's health and its mount")
