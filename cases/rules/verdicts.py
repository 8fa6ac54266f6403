"""What is found of one duty in one step. Three answers only: no fourth, no percentage."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LATE: Final = "late"
OUT_OF_ORDER: Final = "out_of_order"
BY_UNKNOWN_SPEAKER: Final = "by_unknown_speaker"


class Verdict(StrEnum):
    """`not_observed` only where the whole window was heard well; else it is `cannot_tell`."""

    OBSERVED = "observed"
    NOT_OBSERVED = "not_observed"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """confidence: 0..1, of this verdict; no probability. start_s, end_s: of the evidence, else of the window.

    coverage: 0..1 of the window that was heard; 1 for what was observed. why: one Chinese sentence.
    notes: `late`, `out_of_order`, `by_unknown_speaker`.
    """

    duty: str
    verdict: Verdict
    rule: str
    confidence: float
    start_s: float
    end_s: float
    event_ids: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    coverage: float
    why: str
    notes: tuple[str, ...] = ()
