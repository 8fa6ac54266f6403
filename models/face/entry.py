"""What the registry says of a face model, as plain values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from models.entries import Engine
from models.registry import Ready


@dataclass(frozen=True, slots=True)
class FaceEntry:
    """A model whose one file lies in `folder` and was verified by whoever says so.

    vector_size: d of what it makes of a face; 0 for a detector.
    """

    folder: Path
    name: str
    version: str
    engine: Engine
    file: str
    vector_size: int = 0

    @classmethod
    def of(cls, ready: Ready) -> Self:
        entry = ready.entry
        return cls(ready.folder, entry.name, entry.version, entry.engine, entry.files[0].path, entry.vector_size)

    @property
    def path(self) -> Path:
        return self.folder / self.file

    @property
    def label(self) -> str:
        """As results carry it."""
        return f"{self.name}@{self.version}"
