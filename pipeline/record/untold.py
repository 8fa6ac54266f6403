"""Recordings that another process than the server made: a slip each, `{data}/untold/{recording_id}.slip`, until the
server has told what their manifests say. Runs in a thread.
"""

import os
from pathlib import Path

from pipeline.errors import StorageError

_FOLDER = "untold"


def leave(data: Path, folder: Path) -> None:
    """A slip for the recording in `folder`; on the medium when it returns. Raises: StorageError."""
    slips = data / _FOLDER
    try:
        slips.mkdir(parents=True, exist_ok=True, mode=0o750)
        (slips / f"{folder.name}.slip").write_text(str(folder.relative_to(data)), encoding="utf-8")
        descriptor = os.open(slips, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"{slips} cannot be written ({error.strerror}); free space or mend it") from error


def left(data: Path) -> list[Path]:
    """The slips, oldest recording first. Raises: StorageError."""
    try:
        return sorted((data / _FOLDER).glob("*.slip"))
    except OSError as error:
        raise StorageError(f"{data / _FOLDER} cannot be read ({error.strerror})") from error


def folder_of(data: Path, slip: Path) -> Path | None:
    """The recording that the slip names; None: it names none."""
    root = (data / "recordings").resolve()
    try:
        folder = (data / slip.read_text(encoding="utf-8")).resolve()
    except (OSError, UnicodeDecodeError, ValueError):
        return None
    return folder if folder.is_relative_to(root) and folder.is_dir() else None


def told(slip: Path) -> None:
    """It is told, and on the medium. Raises: StorageError."""
    try:
        slip.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{slip} cannot be deleted ({error.strerror})") from error
