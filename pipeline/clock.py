"""Time, as a thing that can be passed in: UTC for what people read, monotonic for every duration."""

import time
from datetime import UTC, datetime
from typing import Protocol


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


def rfc3339(utc_s: float) -> str:
    """`utc_s` as RFC 3339 in UTC with milliseconds: 2026-11-23T08:00:00.000Z."""
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def step_s(clock: Clock, offset_s: float) -> float:
    """How far UTC moved against the monotonic clock since `offset_s` (= utc - monotonic) was taken."""
    return clock.utc_s() - clock.monotonic_s() - offset_s
