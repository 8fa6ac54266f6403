"""What the verifier found wrong."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Defect:
    """file: the name within the folder. defect: one word of docs/recording-format.md. detail: where and what."""

    file: str
    defect: str
    detail: str
