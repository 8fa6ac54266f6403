"""Which units of a track are new, and what was missed, when a feed breaks and is begun anew. Plain code."""

from typing import Final

from pipeline.analyse.units import Unit

_JUMP_S: Final = 0.1


class Continuity:
    """Of one track, over all feeds of one lease."""

    def __init__(self) -> None:
        self._end_s: float | None = None
        self._is_first = True

    def begun(self) -> None:
        """A feed begins: it may tell again what is known, and may leave out what passed meanwhile."""
        self._is_first = True

    def missed(self, unit: Unit) -> tuple[float, float] | None:
        """The span before `unit` that the feeds left out between them; asked before `is_new`, None: nothing."""
        end_s = self._end_s
        if self._is_first and end_s is not None and unit.pts_s > end_s + _JUMP_S:
            return end_s, unit.pts_s
        return None

    def is_new(self, unit: Unit) -> bool:
        """Whether it was not given yet; it counts as given then."""
        if self._end_s is not None and unit.pts_s + unit.duration_s / 2 < self._end_s:
            return False
        self._end_s = unit.pts_s + unit.duration_s
        self._is_first = False
        return True
