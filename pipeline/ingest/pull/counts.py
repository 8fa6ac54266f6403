"""What the pulls count, for the metrics."""

from dataclasses import dataclass


@dataclass(slots=True)
class PullCounts:
    """Plain numbers."""

    attempts: int = 0
    connected: int = 0
    lost_packets: int = 0
    bad_packets: int = 0
    dropped_pictures: int = 0
    missed_segments: int = 0
    mistakes: int = 0
    """Times a pull failed by a mistake of this program and was begun anew."""
