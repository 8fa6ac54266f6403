"""Files of keys: written whole or not at all, and overwritten before they are gone. Knows nothing of what they open."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import StorageError


def made_folder(path: Path) -> None:
    """For its owner alone."""
    with mapped(path):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)


def write(path: Path, raw: bytes) -> None:
    """In place of what stands there, whose bytes are overwritten on their own blocks."""
    with mapped(path):
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        before = None
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            before = os.open(path, os.O_WRONLY) if path.exists() else None
            draft.replace(path)
        except OSError:  # a full disk: half a key is left nowhere
            if before is not None:
                os.close(before)
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        sync(path.parent)
        if before is not None:
            try:
                _overwrite(before)
            finally:
                os.close(before)


def shred(path: Path) -> bool:
    """Overwritten, synced, unlinked, and the folder synced. Whether it was there, or part of it was left.

    First it gets another name: where this breaks off, there is no key, and never half of one (see `left_over`).
    """
    gone = path.with_name(f".{path.name}.gone")
    with mapped(path):
        was_left = _destroyed(gone)
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        try:
            path.rename(gone)
        except FileNotFoundError:
            return was_left
        sync(path.parent)
        return _destroyed(gone)


def left_over(folder: Path) -> list[Path]:
    """Drafts, and keys whose destruction broke off: `shred` them."""
    with mapped(folder):
        return sorted(path for path in folder.rglob(".*") if path.is_file())


def shred_folder(folder: Path) -> None:
    """Gone with all that lies in it, not synced file by file: the key that wrapped it was destroyed before."""
    with mapped(folder):
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
                continue
            if not path.is_symlink():
                with path.open("r+b", buffering=0) as file:
                    file.write(os.urandom(path.stat().st_size))
            path.unlink()
        if folder.is_dir():
            folder.rmdir()
            sync(folder.parent)


def sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _destroyed(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        _overwrite(descriptor)
    finally:
        os.close(descriptor)
    path.unlink()
    sync(path.parent)
    return True


def _overwrite(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    os.pwrite(descriptor, os.urandom(size), 0)
    os.fsync(descriptor)


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Raises: StorageError in place of OSError."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; check owner, mount and free space") from error
