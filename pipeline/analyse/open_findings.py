"""What is wrong or happens on the streams now, for whoever looks at them. Facts are told elsewhere; this forgets.

Owned by the event loop's thread. Bound: 100 of a stream, the oldest go first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pipeline.events import FindingEnded, FindingRaised

_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class _Open:
    event: FindingRaised
    owner: str
    until_s: float | None


class OpenFindings:
    """version: grows with every change."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """now_s: a monotonic clock."""
        self.version = 0
        self._now_s = now_s
        self._open: dict[str, dict[str, _Open]] = {}

    def of(self, stream_id: str) -> tuple[FindingRaised, ...]:
        """The oldest first."""
        return tuple(each.event for each in self._open.get(stream_id, {}).values())

    def count(self) -> dict[str, int]:
        """How many are open, by kind."""
        found: dict[str, int] = {}
        for of_stream in self._open.values():
            for each in of_stream.values():
                found[each.event.finding] = found.get(each.event.finding, 0) + 1
        return found

    def raised(self, event: FindingRaised, owner: str, show_s: float | None = None) -> None:
        """owner: who ends it. show_s: it is over already, and is shown this long; None: until it is ended."""
        of_stream = self._open.setdefault(event.stream_id, {})
        until_s = None if show_s is None else self._now_s() + show_s
        of_stream[event.finding_id] = _Open(event, owner, until_s)
        while len(of_stream) > _MOST:
            del of_stream[next(iter(of_stream))]
        self.version += 1

    def gone(self, stream_id: str, finding_id: str) -> None:
        """It ended, or a person settled it. Nothing where it is not open."""
        of_stream = self._open.get(stream_id, {})
        if of_stream.pop(finding_id, None) is not None:
            self.version += 1
        if not of_stream:
            self._open.pop(stream_id, None)

    def close(self, owner: str, end_s: float, started_at: float, reason: str) -> list[FindingEnded]:
        """The ends of what this owner left open. end_s: the last second it saw. started_at: UTC of second 0."""
        left = [each.event for of_stream in self._open.values() for each in of_stream.values() if each.owner == owner]
        found = []
        for event in left:
            self.gone(event.stream_id, event.finding_id)
            last_s = max(end_s, event.start_s)
            found.append(
                FindingEnded(
                    at=started_at + last_s, stream_id=event.stream_id, recording_id=event.recording_id,
                    finding_id=event.finding_id, finding=event.finding, start_s=event.start_s,
                    end_s=round(last_s, 3), reason=reason,
                )
            )  # fmt: skip
        return found

    def sweep(self) -> None:
        """Takes away what was shown long enough."""
        now_s = self._now_s()
        for stream_id, of_stream in list(self._open.items()):
            for finding_id, each in list(of_stream.items()):
                if each.until_s is not None and each.until_s <= now_s:
                    self.gone(stream_id, finding_id)
