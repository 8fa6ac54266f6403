"""Which units of a track are new, and what was missed, when a feed breaks and is begun anew. Plain code."""

from typing import Final

from pipeline.analyse.units import Unit

_JUMP_S: Final = 0.1


class Continuity:
    """Of one track, over all feeds of one lease."""

    def __init__(self) -> None:
        self._end_s: float | None = None
        self._known_to_s: float | None = None  # what feeds before this one gave
        self._is_first = True

    def begun(self) -> None:
        """A feed begins: it may tell again what is known, and may leave out what passed meanwhile."""
        self._known_to_s = self._end_s
        self._is_first = True

    def missed(self, unit: Unit) -> tuple[float, float] | None:
        """The span before `unit` that the feeds left out between them; asked before `is_new`, None: nothing."""
        end_s = self._end_s
        if self._is_first and end_s is not None and unit.pts_s > end_s + _JUMP_S:
            return end_s, unit.pts_s
        return None

    def is_new(self, unit: Unit) -> bool:
        """Whether no feed before gave it; it counts as given then. Within a feed pictures may come before others that
        are shown earlier (B-frames): all are new.
        """
        if self._known_to_s is not None and unit.pts_s + unit.duration_s / 2 < self._known_to_s:
            self._is_first = False  # it begins with what is known, so nothing lies between
            return False
        end_s = unit.pts_s + unit.duration_s
        self._end_s = end_s if self._end_s is None else max(self._end_s, end_s)
        self._is_first = False
        return True
