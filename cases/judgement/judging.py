"""What of judgement outlives a database that goes away: the rules, the media side as it needs it, and its numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cases.judgement.heard import Source
from cases.judgement.rulebook import Rulebook
from pipeline.clock import Clock
from pipeline.events import FindingRaised


class MediaSide(Protocol):
    """Of the process that judgement runs in."""

    def behind_s(self) -> Mapping[str, float]:
        """By stream: how late its words come."""
        ...

    def raised(self, event: FindingRaised, show_s: float | None) -> None:
        """For whoever watches the stream. show_s: it is over, and shown so long; None: until `gone`."""
        ...

    def gone(self, stream_id: str, finding_id: str) -> None: ...

    def read_text(self, source: Source, start_s: float, end_s: float, duty: str) -> None:
        """Have the pictures of a span read for text; seconds of the recording's axis."""
        ...


class NoMediaSide:
    """Nobody watches, and nothing is behind."""

    def behind_s(self) -> Mapping[str, float]:
        return {}

    def raised(self, event: FindingRaised, show_s: float | None) -> None:
        pass

    def gone(self, stream_id: str, finding_id: str) -> None:
        pass

    def read_text(self, source: Source, start_s: float, end_s: float, duty: str) -> None:
        pass


@dataclass(slots=True)
class Counts:
    """raised: by kind, since the start. open: by kind, some seconds old. severe: of the last hour, as old."""

    raised: Counter[str] = field(default_factory=Counter)
    open: Mapping[str, int] = field(default_factory=dict)
    severe: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    steps: int = 0

    def alarms_per_10_min(self, seats: int) -> float:
        """Findings of high or critical severity in ten minutes of the last hour, for each of `seats`, at least one."""
        return self.severe / 6 / max(1, seats)


class Judging:
    """Made with the server; `Desk` runs with each open record."""

    def __init__(self, rulebook: Rulebook, clock: Clock, side: MediaSide | None = None) -> None:
        self.rulebook = rulebook
        self.clock = clock
        self.side: MediaSide = side or NoMediaSide()
        self.counts = Counts()
