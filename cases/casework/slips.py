"""Recordings that `onrecord ingest --case` made: a slip each, until the server has attached them. Runs in a thread."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import StorageError

_FOLDER = "untold"


@dataclass(frozen=True, slots=True)
class AttachSlip:
    """name: who sat at the console."""

    case_id: str
    recording_id: str
    name: str


def leave(data: Path, slip: AttachSlip) -> None:
    """On the medium when it returns. Raises: StorageError."""
    path = data / _FOLDER / f"{slip.recording_id}.attach"
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(asdict(slip), file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror}); attach the recording by hand") from error


def left(data: Path) -> list[tuple[Path, AttachSlip | None]]:
    """None: a file that is no slip. Raises: StorageError."""
    try:
        return [(path, _read(path)) for path in sorted((data / _FOLDER).glob("*.attach"))]
    except OSError as error:
        raise StorageError(f"{data / _FOLDER} cannot be read ({error.strerror})") from error


def done(path: Path) -> None:
    """Raises: StorageError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be deleted ({error.strerror})") from error


def _read(path: Path) -> AttachSlip | None:
    try:
        tree = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(tree, dict) or tree.keys() != set(AttachSlip.__slots__):
        return None
    return AttachSlip(**tree) if all(isinstance(each, str) for each in tree.values()) else None
