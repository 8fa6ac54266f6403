"""Slips that a console leaves in a folder for the server, this one or the next: a small file each, whole or not there.

Called in threads. Knows nothing of what a slip says.
"""

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StorageError


@dataclass(frozen=True, slots=True)
class Slips:
    """suffix: of the slips' names, with its dot; what else lies in the folder is none."""

    folder: Path
    suffix: str

    def leave(self, content: bytes, name: str = "") -> None:
        """On the medium when it returns. name: one slip of this name; "": another each time. Raises: StorageError."""
        draft = self.folder / f".{secrets.token_hex(8)}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self.folder / f"{name or draft.name[1:]}{self.suffix}")
            _sync(self.folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise StorageError(f"{self.folder}: a slip cannot be written ({error.strerror})") from error

    def left(self) -> list[tuple[Path, bytes]]:
        """Raises: StorageError."""
        try:
            return [
                (path, path.read_bytes())
                for path in sorted(self.folder.glob(f"*{self.suffix}"))
                if not path.name.startswith(".")
            ]
        except OSError as error:
            raise StorageError(f"{self.folder}: slips cannot be read ({error.strerror})") from error


def done(slip: Path) -> None:
    """Raises: StorageError."""
    try:
        slip.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{slip} cannot be deleted ({error.strerror})") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
