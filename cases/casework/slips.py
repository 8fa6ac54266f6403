"""Recordings that `onrecord ingest --case` made: a slip each, until the server has attached them. Runs in a thread."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.slips import Slips


@dataclass(frozen=True, slots=True)
class AttachSlip:
    """name: who sat at the console."""

    case_id: str
    recording_id: str
    name: str


def leave(data: Path, slip: AttachSlip) -> None:
    """On the medium when it returns. Raises: StorageError: attach the recording by hand."""
    _slips(data).leave(json.dumps(asdict(slip), ensure_ascii=False).encode(), slip.recording_id)


def left(data: Path) -> list[tuple[Path, AttachSlip | None]]:
    """None: a file that is no slip. Raises: StorageError."""
    return [(path, _read(raw)) for path, raw in _slips(data).left()]


def _read(raw: bytes) -> AttachSlip | None:
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(tree, dict) or tree.keys() != set(AttachSlip.__slots__):
        return None
    return AttachSlip(**tree) if all(isinstance(each, str) for each in tree.values()) else None


def _slips(data: Path) -> Slips:
    return Slips(data / "untold", ".attach")
