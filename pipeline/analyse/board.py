"""Where analysis is handed out: work, leases with a fencing token, reports. Protocols and data; knows no transport.

The desk (the server) offers work and takes reports. A worker claims work, renews its lease while it lives, reports
what it found. A lease that is not renewed for `lease_s` ends, and the next claim of that work gets a greater token;
a report with an older token is refused, so a worker that was frozen and wakes up tells nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from pipeline.events import Event

MOST_TAKEN: Final = 64
"""Reports and ends that a desk takes at once: one sync of the disk is for all of them."""


@dataclass(frozen=True, slots=True)
class Work:
    """One stage over one stream that is live, or over a span of a recording.

    start_s, end_s: the span on the stream's axis; a live stream has end_s 0. started_at: UTC of its second 0.
    model: name in the registry; "": the default. hot_words: names of the case. reason: why a span is looked at, a
    GapCause of analysis or "asked". asked: what asked for it, a duty.
    """

    work_id: str
    kind: Literal["live", "span"]
    stage: str
    stream_id: str
    recording_id: str
    started_at: float
    start_s: float = 0.0
    end_s: float = 0.0
    model: str = ""
    hot_words: tuple[str, ...] = ()
    reason: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """Work that is ours until we stop renewing. token: greater with every claim of this work."""

    work: Work
    token: int


@dataclass(frozen=True, slots=True)
class Caption:
    """Words on their way to the screen; never stored. utterance: counts within the stream.

    settled: how many signs of text will not change any more. is_final: nothing of this utterance will.
    late_s: from the end of what was said to the words.
    """

    stream_id: str
    utterance: int
    start_s: float
    end_s: float
    text: str
    settled: int
    is_final: bool
    late_s: float = 0.0
    speaker: str = "unknown"


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker found under one lease. number: counts up from 1 within the lease, so that none is taken twice.

    One report of a lease is told at a time: the next one once the board has this one.

    covered_from_s, covered_to_s: the stage has seen this span whole, and all it found is in this and earlier reports;
    equal: nothing is claimed. state: "done" ends the work; "failed" ends this try, with reason.
    model: name@version. behind_s: how long the oldest utterance that is over waits for its words. rows: what was
    measured in the span, a line each (pipeline/analyse/rows.py).
    """

    work_id: str
    token: int
    number: int
    events: tuple[Event, ...] = ()
    captions: tuple[Caption, ...] = ()
    covered_from_s: float = 0.0
    covered_to_s: float = 0.0
    model: str = ""
    state: Literal["running", "done", "failed"] = "running"
    reason: str = ""
    behind_s: float = 0.0
    rows: str = ""


class WorkerBoard(Protocol):
    """The worker's side. Every call may raise BoardUnavailable; the same call may be made again."""

    async def claim(self, worker_id: str) -> Lease:
        """The next work that nobody has; waits for it. One that was lost by another worker comes first."""
        ...

    async def renew(self, leases: Sequence[Lease]) -> list[Lease]:
        """Say that we live. Those of `leases` that are no longer ours, or whose work was withdrawn."""
        ...

    async def report(self, report: Report) -> None:
        """Returns when the report is kept; waits while the desk is too far behind. One that is repeated is kept once.

        Raises: LeaseLost: it was not taken, and must not be told again. WorkerFailed: its number does not follow the
        last one's, or it is longer than a line of the board may be (`wire.MOST_LINE_BYTES`).
        """
        ...

    async def give_back(self, lease: Lease) -> None:
        """The work is offered to others at once; no try is counted. Nothing where it is no longer ours."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """A claim of this work that ended without "done": the lease ran out, or the worker said "failed".

    tries: how many so far. is_laid_aside: it is offered to nobody any more.
    """

    work: Work
    tries: int
    is_laid_aside: bool
    reason: str


class DeskBoard(Protocol):
    """The server's side. Every call may raise BoardUnavailable."""

    async def offer(self, work: Work) -> None:
        """Nothing where this work_id is on the board already: waiting, claimed, laid aside, or done and not yet taken.

        A desk repeats its offers: the board may have lost its memory. BoardUnavailable where the board is full, too.
        """
        ...

    async def withdraw(self, work_id: str) -> None:
        """Off the board, laid aside or not. Whoever has it is told at the next renewal, and tells nothing any more.

        No `Ended` comes of it. Nothing where it is not on the board.
        """
        ...

    async def take(self) -> Sequence[Report | Ended]:
        """What is told, in the order in which each lease told it, at most MOST_TAKEN; waits for the first.

        The same come again until they are `taken`. One task takes. A "failed" comes as the report and then as `Ended`.
        """
        ...

    async def taken(self, items: Sequence[Report | Ended]) -> None:
        """What `take` gave is kept; it does not come again."""
        ...
