"""What was analysed, on the disk: one small file a recording, `{data}/analysis/{recording_id}.jsonl`, only ever longer.

A mark is written when the facts of its span are on the medium, so a crash between the two has a span looked at again,
and never one that nobody looked at. A torn last line is passed over. Called in a thread.
"""

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StorageError


@dataclass(frozen=True, slots=True)
class Mark:
    """The stage has seen this span of the recording whole, with this model (name@version)."""

    recording_id: str
    stage: str
    model: str
    start_s: float
    end_s: float


class Marks:
    """folder: made with the first mark."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, marks: Iterable[Mark]) -> None:
        """Raises: StorageError: some may be written; writing all of them again does no harm."""
        lines: dict[str, list[str]] = {}
        for mark in marks:
            line = json.dumps([mark.stage, mark.model, round(mark.start_s, 3), round(mark.end_s, 3)])
            lines.setdefault(mark.recording_id, []).append(f"{line}\n")
        try:
            if lines:
                self._folder.mkdir(parents=True, exist_ok=True)
            for recording_id, each in lines.items():
                with self._path(recording_id).open("ab") as file:
                    file.write("".join(each).encode())
        except OSError as error:
            raise StorageError(f"{self._folder}: marks of analysis cannot be written ({error})") from error

    def of(self, recording_id: str) -> list[Mark]:
        """Raises: StorageError."""
        try:
            raw = self._path(recording_id).read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"{self._folder}: marks of analysis cannot be read ({error})") from error
        return [mark for line in raw.split(b"\n") if (mark := _mark(recording_id, line)) is not None]

    def _path(self, recording_id: str) -> Path:
        if os.sep in recording_id or recording_id.startswith("."):
            raise StorageError("a recording's id that is no file name")
        return self._folder / f"{recording_id}.jsonl"


def _mark(recording_id: str, line: bytes) -> Mark | None:
    """None: the line is torn."""
    try:
        stage, model, start_s, end_s = json.loads(line)
        start, end = float(start_s), float(end_s)
    except (ValueError, TypeError):
        return None
    if not isinstance(stage, str) or not isinstance(model, str) or not (math.isfinite(start) and math.isfinite(end)):
        return None
    return Mark(recording_id, stage, model, start, end)
