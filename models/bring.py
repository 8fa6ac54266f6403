"""Brings a model from a folder or a zip, for machines without Internet: all of its files or none. And pins.

Takes what the registry names and nothing else.
"""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from models import pins
from models.carried import Source, opened
from models.entries import Entry, ModelFile
from models.folder import check_room, exclusive, storage
from models.hashes import sha256_of
from models.registry import Registry
from pipeline.errors import ModelMissing, ModelUnverified

_CHUNK_BYTES: Final = 1 << 20


def bring(registry: Registry, entry: Entry, path: Path, pinned_by: str = "") -> Path:
    """Put the model's files into its folder; the folder. pinned_by: who records hashes that nobody knows; "": nobody.

    Raises: ModelMissing: a file is not there. ModelUnverified: one differs or has no hash, or the zip is not one that
    is taken. In either case nothing has changed. StorageError, StorageFull. ModelError: a pull is at work.
    """
    if entry.package is not None:
        raise ModelMissing(
            f"{entry.name} comes inside the package {entry.package.partition('/')[0]}; install that anew"
        )
    if entry.unpinned and not pinned_by:
        raise ModelUnverified(
            f"{entry.name}: nobody has told us the hash of {', '.join(entry.unpinned)}; look where the files are from, "
            "then --pin records them"
        )
    target = registry.own_folder_of(entry)
    incoming, old = (registry.folder / f".{entry.name}.{word}" for word in ("incoming", "old"))
    with exclusive(registry.folder), opened(path, entry) as source:
        check_room(registry.folder, sum(source.size_bytes(file.path) for file in entry.files))
        try:
            with storage(incoming):
                shutil.rmtree(incoming, ignore_errors=True)
                incoming.mkdir(mode=0o750)
            for file in entry.files:
                _copy(source, path, file, incoming)
            if pinned_by:
                pin(registry, entry, incoming, pinned_by)
            elif found := registry.defects(entry, incoming, fresh=True):
                raise ModelUnverified(f"{entry.name}: in {path}: {'; '.join(found)}; nothing of it was taken")
            with storage(target):
                _swap(incoming, target, old)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    return target


def _swap(incoming: Path, target: Path, old: Path) -> None:
    """What was there before goes only once the new one is in its place."""
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    try:
        incoming.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def pin(registry: Registry, entry: Entry, folder: Path, pinned_by: str) -> pins.Pin | None:
    """Record the hashes of what is in this folder, for files of which the registry has none; None: it has all.

    Raises: ModelMissing, ModelUnverified: a file whose hash the registry has differs. StorageError, SettingsInvalid.
    """
    files = {}
    for file in entry.files:
        path = folder / file.path
        if not path.is_file() or path.is_symlink():
            raise ModelMissing(f"{entry.name}: {path} is not there; --from names the folder with its files")
        if file.sha256 is not None:
            if defect := registry.defect(folder, file):
                raise ModelUnverified(f"{entry.name}: {defect}, as the registry has it; nothing was recorded")
            continue
        with storage(path):
            size_bytes = path.stat().st_size
            if file.size_bytes not in (None, size_bytes):
                raise ModelUnverified(f"{entry.name}: {file.path} has {size_bytes} bytes, not {file.size_bytes}")
            files[file.path] = pins.PinnedFile(size_bytes=size_bytes, sha256=sha256_of(path))
    if not files:
        return None
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    made = pins.Pin(version=entry.version, pinned_at=now, pinned_by=pinned_by, files=files)
    pins.record(registry.folder, entry.name, made)
    return made


def _copy(source: Source, path: Path, file: ModelFile, folder: Path) -> None:
    """Never more bytes than the registry says, or the source announced. Raises: ModelUnverified, StorageError."""
    limit = source.size_bytes(file.path) if file.size_bytes is None else file.size_bytes
    taken = 0
    with source.open(file.path) as read, storage(folder), (folder / file.path).open("xb") as written:
        while chunk := read.read(_CHUNK_BYTES):
            taken += len(chunk)
            if taken > limit:
                raise ModelUnverified(f"{path}: {file.path} has more than {limit} bytes; nothing of it was taken")
            written.write(chunk)
        written.flush()
        os.fsync(written.fileno())
