"""The models folder, while it is changed: one program at a time, and with room for what comes."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline.errors import ModelError, StorageError, StorageFull

_LOCK: Final = ".lock"


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Makes the folder where it is not there. Raises: ModelError: another pull or import is at work. StorageError."""
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ModelError(f"{folder}: another pull or import is at work; wait for it") from error
        yield
    finally:
        os.close(handle)


@contextmanager
def storage(folder: Path) -> Iterator[None]:
    """What the disk says inside becomes an error of ours. Raises: StorageFull, StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"{folder}: no room left; free some or set models.folder to another disk") from error
        raise StorageError(f"{folder}: cannot be written ({error.strerror})") from error


def check_room(folder: Path, needed_bytes: int) -> None:
    """Raises: StorageFull: what is to come does not fit."""
    with storage(folder):
        free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes:
        raise StorageFull(
            f"{folder}: {needed_bytes} bytes are needed and {free_bytes} are free; "
            "free some or set models.folder to another disk"
        )
