"""The rows of a whole recording as columns of numbers, for judging it again at once. In processes that have NumPy.

Made of the rows when they are first judged again, and kept beside them, since reading their lines costs more than
judging them: `{data}/analysis/measures/columns/{recording_id}`. They follow from the rows alone: whoever deletes them
loses time and nothing else, and columns of other rows, torn or of another release, are passed over and made anew.
"""

import contextlib
import json
import os
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.signal.pictures import PictureRow
from models.signal.sounds import SoundRow
from pipeline.analyse.rows import Row, Rows, form_of

Table = NDArray[np.float64]
_KINDS: Final = (("picture", PictureRow), ("sound", SoundRow))
FOLDER: Final = "columns"


@dataclass(frozen=True, slots=True)
class Columns:
    """pictures: (n, 1 + 12), sounds: (n, 1 + 30): seconds of the axis, then the row's numbers; each moment once."""

    pictures: Table
    sounds: Table

    def __len__(self) -> int:
        return len(self.pictures) + len(self.sounds)


def columns_of(folder: Path, recording_id: str) -> Columns | None:
    """folder: of the rows. None: some are of another form, and are to be judged one by one. Raises: StorageError."""
    rows = Rows(folder)
    size = rows.size(recording_id)
    kept = folder / FOLDER / recording_id
    if (found := _read(kept, size)) is not None:
        return found
    if (made_at_once := _at_once(rows.raw(recording_id))) is not None:
        _write(kept, made_at_once, size)
        return made_at_once
    all_ = rows.of(recording_id)
    if any((row.kind, row.form) not in _FORMS for row in all_):
        return None
    made = Columns(*(_table(kind, meter, all_) for kind, meter in _KINDS))
    if len(made) < len(all_):
        return None
    _write(kept, made, size)
    return made


_FORMS: Final = frozenset((kind, form_of(meter)) for kind, meter in _KINDS)
_WIDTHS: Final = tuple(1 + len(meter.names()) for _, meter in _KINDS)


def _at_once(raw: bytes) -> Columns | None:
    """Of rows that are whole, of today's form, each once and in their order, as they nearly always are; else None."""
    try:
        lines = json.loads(b"[" + raw.rstrip(b"\n").replace(b"\n", b",") + b"]")
        if not all((kind, form) in _FORMS for kind, form, *_ in lines):
            return None
        tables = [np.array([line[2:] for line in lines if line[0] == kind], np.float64) for kind, _ in _KINDS]
        made = Columns(*(each.reshape(-1, width) for each, width in zip(tables, _WIDTHS, strict=True)))
    except (ValueError, TypeError):
        return None
    is_sound = all(np.isfinite(each).all() and (np.diff(each[:, 0]) > 0).all() for each in (made.pictures, made.sounds))
    return made if is_sound and len(made) == len(lines) else None


def _table(kind: str, meter: type[PictureRow | SoundRow], rows: Sequence[Row]) -> Table:
    """Rows with too few or too many numbers are left out."""
    count = len(meter.names())
    values = [(row.at_s, *row.numbers) for row in rows if row.kind == kind and len(row.numbers) == count]
    return np.array(values, np.float64).reshape(len(values), 1 + count)


def _header(size: int, counts: Sequence[int], body: bytes) -> bytes:
    told = {"rows": size, "forms": sorted(_FORMS), "counts": list(counts), "crc32": zlib.crc32(body)}
    return json.dumps(told).encode() + b"\n"


def _read(path: Path, size: int) -> Columns | None:
    """None: there are none, or they are not those of the rows of now."""
    try:
        header, _, body = path.read_bytes().partition(b"\n")
        counts = json.loads(header)["counts"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if header + b"\n" != _header(size, counts, body):
        return None
    numbers = np.frombuffer(body, "<f8")
    ends = [count * width for count, width in zip(counts, _WIDTHS, strict=True)]
    if sum(ends) != len(numbers):
        return None
    pictures, sounds = numbers[: ends[0]], numbers[ends[0] :]
    return Columns(pictures.reshape(-1, _WIDTHS[0]), sounds.reshape(-1, _WIDTHS[1]))


def _write(path: Path, columns: Columns, size: int) -> None:
    """Whole or not at all; where the disk is full or may not be written they are made again the next time."""
    body = columns.pictures.astype("<f8").tobytes() + columns.sounds.astype("<f8").tobytes()
    draft = path.with_name(f".{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(exist_ok=True)
        draft.write_bytes(_header(size, (len(columns.pictures), len(columns.sounds)), body) + body)
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
