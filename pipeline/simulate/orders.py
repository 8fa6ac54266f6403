"""What a fleet tells a device's process on stdin. Apart from the device, so that a fleet needs no libav."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """What the device is. The URL stays out of every repr."""

    url: str
    scene: str
    says: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Order(scene={self.scene!r}, says={self.says})"


@dataclass(frozen=True, slots=True)
class FaultOrder:
    """A fault that begins now. fault: covered, frozen or silent; a drop is done from outside, by killing us."""

    fault: str
    for_s: float


def to_line(order: Order | FaultOrder) -> bytes:
    """The order as it travels on stdin."""
    return json.dumps(asdict(order)).encode() + b"\n"
