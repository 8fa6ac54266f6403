"""Time, as a thing that can be passed in: UTC for what people read, monotonic for every duration."""

import time
from datetime import UTC, datetime
from typing import Final, Protocol

_MOST_STRETCH_S: Final = 1.0


class Clock(Protocol):
    """Two clocks: `utc_s` may be set by an administrator and jump, `monotonic_s` never goes back."""

    def utc_s(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def utc_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()


class AwakeClock:
    """The time in which this process ran, for what others must not be blamed for while it stood still.

    Stopped, swapped out, or held up by a disk: what others said meanwhile lies there unread. Of a stretch between two
    looks no more than a second counts, so who uses this looks more often than that.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_s = clock.monotonic_s()
        self._still_s = 0.0

    def utc_s(self) -> float:
        return self._clock.utc_s()

    def monotonic_s(self) -> float:
        now_s = self._clock.monotonic_s()
        self._still_s += max(0.0, now_s - self._looked_s - _MOST_STRETCH_S)
        self._looked_s = now_s
        return now_s - self._still_s


def rfc3339(utc_s: float) -> str:
    """`utc_s` as RFC 3339 in UTC with milliseconds: 2026-11-23T08:00:00.000Z."""
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def step_s(clock: Clock, offset_s: float) -> float:
    """How far UTC moved against the monotonic clock since `offset_s` (= utc - monotonic) was taken."""
    return clock.utc_s() - clock.monotonic_s() - offset_s
