"""What consoles want analysed: a slip a recording under `{data}/analysis/orders/`, taken by the server that runs next.

Called in threads. A slip that cannot be read is passed over and stays, for a person to look at.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StorageError


@dataclass(frozen=True, slots=True)
class Order:
    """model: a name in the registry; "": the one that is used live."""

    recording_id: str
    stage: str
    model: str


def place(data: Path, order: Order) -> None:
    """Raises: StorageError."""
    folder = _folder(data)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{secrets.token_hex(8)}"
        draft.write_text(json.dumps([order.recording_id, order.stage, order.model]), encoding="utf-8")
        os.replace(draft, folder / f"{draft.name[1:]}.json")
    except OSError as error:
        raise StorageError(f"{folder}: the order cannot be written ({error})") from error


def left(data: Path) -> list[tuple[Path, Order]]:
    """Raises: StorageError."""
    found = []
    try:
        for path in sorted(_folder(data).glob("*.json")):
            order = _order(path.read_bytes())
            if order is not None:
                found.append((path, order))
    except OSError as error:
        raise StorageError(f"{_folder(data)}: orders cannot be read ({error})") from error
    return found


def done(slip: Path) -> None:
    """Raises: StorageError."""
    try:
        slip.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{slip}: cannot be taken away ({error})") from error


def _order(raw: bytes) -> Order | None:
    try:
        recording_id, stage, model = json.loads(raw)
    except (ValueError, TypeError):
        return None
    if not all(isinstance(each, str) for each in (recording_id, stage, model)):
        return None
    return Order(recording_id, stage, model)


def _folder(data: Path) -> Path:
    return data / "analysis" / "orders"
