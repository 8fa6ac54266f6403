"""The ledger: every second between the first and the last of a recording is in a segment or in a gap with a cause."""

from collections.abc import Iterable
from dataclasses import dataclass

HOLE_S = 0.5  # a picture may stand this long before the record calls it a hole; the hub measures with the same


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of the stream that no segment and no gap speaks for."""

    start_s: float
    end_s: float


def holes(spans: Iterable[tuple[float, float]], start_s: float = 0.0, hole_s: float = HOLE_S) -> list[Hole]:
    """Where nothing covers the stream for more than `hole_s` between `start_s` and the end of the last span.

    spans: (start, end) of segments, fragments and gaps on the stream's axis, in any order.
    """
    found = []
    covered_s = start_s
    for begin_s, end_s in sorted(spans):
        if begin_s > covered_s + hole_s:
            found.append(Hole(covered_s, begin_s))
        covered_s = max(covered_s, end_s)
    return found
