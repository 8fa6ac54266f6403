"""Who plays which recording, to the second: views that last while media is asked for, and end in the log.

A player asks for a recording piece by piece; the pieces of one person under one approval are one view. What is told in
the end is what was sent, not what was asked for. A clock set back makes no approval last longer.
"""

import secrets
from dataclasses import dataclass, field

from cases.access import Principal
from cases.casework.rows import Approval, Recording
from pipeline.clock import Clock
from pipeline.events import EventSink, PlaybackEnded, PlaybackStarted

_IDLE_S = 15.0  # a player that is paused keeps what it has; it asks again, and a new view begins
_MOST_VIEWS = 5_000
_MOST_SPANS = 500  # of one view; further apart ones are told as one, from the first to the last
_JOINED_S = 0.25
_MOST_ENDS = 20_000


@dataclass(slots=True)
class View:
    """One person's playing of one recording under one approval. spans: what was sent, in order, without overlap.

    is_over: it was told; nothing more is sent under it.
    """

    view_id: str
    principal: Principal
    recording: Recording
    approval: Approval
    asked_s: float
    sending: int = 0
    is_over: bool = False
    spans: list[tuple[float, float]] = field(default_factory=list)

    def sent(self, start_s: float, end_s: float) -> None:
        if end_s <= start_s:
            return
        merged = []
        for low, high in self.spans:
            if low <= end_s + _JOINED_S and high >= start_s - _JOINED_S:
                start_s, end_s = min(low, start_s), max(high, end_s)
            else:
                merged.append((low, high))
        self.spans = sorted([*merged, (start_s, end_s)])
        if len(self.spans) > _MOST_SPANS:
            self.spans = [(self.spans[0][0], self.spans[-1][1])]


class Playbacks:
    """All views of recordings. Owned by the event loop's thread."""

    def __init__(self, clock: Clock, emit: EventSink) -> None:
        self._clock = clock
        self._emit = emit
        self._open: dict[tuple[str, str], View] = {}
        self._ends_s: dict[str, float] = {}  # of approvals, monotonic; bound: _MOST_ENDS

    def is_over(self, approval: Approval) -> bool:
        """Whether no time is left of it, by what was left when this process saw it first."""
        if approval.expires_us is None:
            return True
        now_s = self._clock.monotonic_s()
        left_s = approval.expires_us / 1e6 - self._clock.utc_s()
        end_s = self._ends_s.setdefault(approval.approval_id, now_s + left_s)
        if len(self._ends_s) > _MOST_ENDS:
            del self._ends_s[next(iter(self._ends_s))]
        return min(end_s, now_s + left_s) <= now_s

    def view(self, principal: Principal, recording: Recording, approval: Approval) -> View:
        """The running view of this person under this approval, or a new one."""
        key = (principal.principal_id, approval.approval_id)
        found = self._open.get(key)
        if found is None:
            found = View("play_" + secrets.token_hex(10), principal, recording, approval, self._clock.monotonic_s())
            self._open[key] = found
            self._emit(
                PlaybackStarted(
                    at=self._clock.utc_s(), stream_id=recording.stream_id, recording_id=recording.recording_id,
                    view_id=found.view_id, approval_id=approval.approval_id, why=approval.purpose, by=principal.by,
                    by_name=principal.name,
                )
            )  # fmt: skip
            if len(self._open) > _MOST_VIEWS:
                self._end(next(iter(self._open)), "too many views")
        found.asked_s = self._clock.monotonic_s()
        return found

    def sweep(self) -> None:
        """End the views nobody asks for. Called a few times a second."""
        now_s = self._clock.monotonic_s()
        for key, view in list(self._open.items()):
            if not view.sending and now_s - view.asked_s > _IDLE_S:
                self._end(key, "asked no more")

    def close(self) -> None:
        for key in list(self._open):
            self._end(key, "the server stops")

    def cut(self, view: View, reason: str) -> None:
        self._end((view.principal.principal_id, view.approval.approval_id), reason)

    def _end(self, key: tuple[str, str], reason: str) -> None:
        view = self._open.pop(key, None)
        if view is None:
            return
        view.is_over = True
        self._emit(
            PlaybackEnded(
                at=self._clock.utc_s(), stream_id=view.recording.stream_id, recording_id=view.recording.recording_id,
                view_id=view.view_id, approval_id=view.approval.approval_id,
                spans=",".join(f"{low:.3f}-{high:.3f}" for low, high in view.spans),
                watched_s=round(sum(high - low for low, high in view.spans), 3), reason=reason, by=view.principal.by,
                by_name=view.principal.name,
            )
        )  # fmt: skip
