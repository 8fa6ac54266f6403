"""The files of an outbox: their names, their order, their lines."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import StorageError

_NAME = re.compile(r"(\d{8})\.jsonl")


class Place(NamedTuple):
    """Where in the outbox: a file's number and a byte in it. Places grow."""

    file: int
    offset: int


def path_of(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.jsonl"


def files(folder: Path) -> list[tuple[int, Path]]:
    """Number and path of each, oldest first. Raises: StorageError."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(folder, error) from error
    numbers = sorted(int(match.group(1)) for match in map(_NAME.fullmatch, names) if match is not None)
    return [(number, path_of(folder, number)) for number in numbers]


def lines(path: Path, start: int) -> Iterator[tuple[bytes, int, bool]]:
    """Each line from byte `start` on, where it ends, and whether the file ends there. Raises: StorageError."""
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            offset = file.seek(start)
            for line in file:
                offset += len(line)
                yield line, offset, offset >= size_bytes
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be read ({error.strerror}); check the disk's health")
