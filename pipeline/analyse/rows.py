"""What was measured, on the disk: one file a recording, `{data}/analysis/measures/{recording_id}.jsonl`, only longer.

A line: [kind, form, seconds of the stream's axis, numbers…]. kind: picture or sound; form: which numbers stand there,
so that rows of an older release are told from today's. Judging anew reads them instead of media. Called in threads.
"""

import dataclasses
import functools
import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import StorageError

_DIGITS: Final = 5  # significant ones: more is noise


@functools.cache
def form_of(meter: type) -> str:
    """The name of what stands in the rows of this class (a dataclass): another one where its fields change."""
    names = ",".join(field.name for field in dataclasses.fields(meter))
    return hashlib.sha256(names.encode()).hexdigest()[:6]


@dataclass(frozen=True, slots=True)
class Row:
    """numbers: as the meter of this kind and form gives them."""

    kind: str
    form: str
    at_s: float
    numbers: tuple[float, ...]

    def line(self) -> str:
        return json.dumps([self.kind, self.form, round(self.at_s, 3), *map(_short, self.numbers)])


class Rows:
    """folder: made with the first row."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, recording_id: str, lines: str) -> None:
        """Raises: StorageError: some may be written; writing all of them again does no harm, a row counts once."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._path(recording_id).open("ab") as file:
                file.write(lines.encode())
        except OSError as error:
            raise StorageError(f"{self._folder}: measurements cannot be written ({error})") from error

    def of(self, recording_id: str) -> Sequence[Row]:
        """In the order of the axis, each moment of a kind once, as it was measured last. Raises: StorageError."""
        found = {(row.kind, row.at_s): row for row in _rows(self.raw(recording_id))}
        return sorted(found.values(), key=lambda row: (row.at_s, row.kind))

    def raw(self, recording_id: str) -> bytes:
        """Its file as it is; empty: there is none. Raises: StorageError."""
        try:
            return self._path(recording_id).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StorageError(f"{self._folder}: measurements cannot be read ({error})") from error

    def size(self, recording_id: str) -> int:
        """In bytes; it only grows. 0: there are none. Raises: StorageError."""
        try:
            return self._path(recording_id).stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StorageError(f"{self._folder}: measurements cannot be read ({error})") from error

    def _path(self, recording_id: str) -> Path:
        if os.sep in recording_id or recording_id.startswith("."):
            raise StorageError("a recording's id that is no file name")
        return self._folder / f"{recording_id}.jsonl"


def _rows(raw: bytes) -> Iterator[Row]:
    """What is torn, or none of ours, is passed over."""
    for line in raw.split(b"\n"):
        try:
            kind, form, at_s, *numbers = json.loads(line)
            row = Row(str(kind), str(form), float(at_s), tuple(map(float, numbers)))
        except (ValueError, TypeError):
            continue
        if all(map(math.isfinite, (row.at_s, *row.numbers))):
            yield row


def _short(number: float) -> float:
    return float(f"{number:.{_DIGITS}g}")
