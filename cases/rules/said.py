"""One utterance, as rules see it. Knows no store and no model."""

from dataclasses import dataclass
from typing import Literal

Speaker = Literal["officer", "other", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """start_s, end_s: seconds on one axis that all streams of a step share. is_doubtful: the model was unsure of it."""

    start_s: float
    end_s: float
    speaker: Speaker
    text: str
    event_id: str = ""
    stream_id: str = ""
    is_doubtful: bool = False
