"""What consoles want analysed: a slip a recording under `{data}/analysis/orders/`, taken by the server that runs next.

Called in threads. A slip that cannot be read is passed over and stays, for a person to look at.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.slips import Slips


@dataclass(frozen=True, slots=True)
class Order:
    """model: a name in the registry; "": the one that is used live."""

    recording_id: str
    stage: str
    model: str


def place(data: Path, order: Order) -> None:
    """Raises: StorageError."""
    _slips(data).leave(json.dumps([order.recording_id, order.stage, order.model]).encode())


def left(data: Path) -> list[tuple[Path, Order]]:
    """Raises: StorageError."""
    found = ((path, _order(raw)) for path, raw in _slips(data).left())
    return [(path, order) for path, order in found if order is not None]


def _order(raw: bytes) -> Order | None:
    try:
        recording_id, stage, model = json.loads(raw)
    except (ValueError, TypeError):
        return None
    if not all(isinstance(each, str) for each in (recording_id, stage, model)):
        return None
    return Order(recording_id, stage, model)


def _slips(data: Path) -> Slips:
    return Slips(data / "analysis" / "orders", ".json")
