"""What is wrong in the picture of a camera that is worn: judged from the rows of its key frames. Knows no media.

Each kind has two bounds, and what lies between changes nothing. What one key frame cannot tell asks for two.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final

from models.signal.bounds import Bounds
from models.signal.flow_watch import FROZEN
from models.signal.noticed import Lasting, Measures, Noticed
from models.signal.pictures import PictureRow

_PAIRS: Final = 6
"""Of key frames, from which it is told whether the camera moved: somebody who walks through the picture of one that
stands is gone after fewer."""


class PictureWatch:
    """Of one stream. The picture of a black one is not judged for anything else, nor that of a covered one."""

    WANTED: Final[Mapping[str, frozenset[str]]] = {
        "lens_covered": frozenset(
            {
                "structure_max", "structure_max_leave", "sharp_max", "sharp_max_leave", "mean_max", "mean_max_leave",
                "sure_mean_max", "seen_structure_min", "spread_max", "spread_max_leave",
            }
        ),
        "black": frozenset({"high_max", "high_max_leave"}),
        "over_exposed": frozenset({"clipped_min", "clipped_min_leave"}),
        "frozen": FROZEN,
        "blurred": frozenset(
            {"structure_min", "contrast_min", "mean_min", "sharp_max", "sharp_max_leave", "sharp_of_edged_max"}
        ),
        "upside_down": frozenset({"turned_min", "margin_min"}),
    }  # fmt: skip

    def __init__(self, bounds: Bounds) -> None:
        self._kinds = {finding: bounds.kinds[finding] for finding in self.WANTED}
        self._lasting = {name: Lasting(name, kind.enter_s, kind.leave_s) for name, kind in self._kinds.items()}
        self._before: PictureRow | None = None
        self._before_s = 0.0
        self._moved: deque[float] = deque(maxlen=_PAIRS)

    def feed(self, at_s: float, row: PictureRow) -> list[Noticed]:
        """at_s: of the picture; not before the last one."""
        found = [self._black(at_s, row), self._covered(at_s, row), self._over_exposed(at_s, row)]
        is_seen = not (self._is_dark("black") or self._is_dark("lens_covered"))
        found += [self._blurred(at_s, row, is_seen), self._frozen(at_s, row), self._upside_down(at_s, row)]
        if row.changed >= 0:
            self._moved.append(row.changed)
        self._before, self._before_s = row, at_s
        return [each for each in found if each is not None]

    def gap(self, at_s: float) -> None:
        """What comes next does not follow what came before `at_s`."""
        del at_s
        for each in self._lasting.values():
            each.forget()
        self._before = None
        self._moved.clear()

    def finish(self, at_s: float) -> list[Noticed]:
        """The stream is over: what is open ends."""
        ended = [each.finish(at_s) for each in self._lasting.values()]
        return [each for each in ended if each is not None]

    def _is_dark(self, finding: str) -> bool:
        return self._lasting[finding].is_open

    def _black(self, at_s: float, row: PictureRow) -> Noticed | None:
        """No light and no noise of a sensor: a camera in the dark still has noise."""
        bounds = self._kinds["black"].bounds
        is_on = _side(row.high <= bounds["high_max"], row.high > bounds["high_max_leave"])
        return self._lasting["black"].feed(
            at_s, is_on, 1.0, _measures(row, "high", "mean"), is_sure=self._before is not None
        )

    def _covered(self, at_s: float, row: PictureRow) -> Noticed | None:
        """Nothing to be seen in a picture that is not bright: a hand, a pocket; or a place without any light.

        What a device writes into its pictures has edges; so does a covered one whose other points are nearly all alike.
        """
        kind = self._kinds["lens_covered"]
        bounds = kind.bounds
        spread = row.high - row.low
        is_bare = row.structure <= bounds["structure_max"] and row.sharp <= bounds["sharp_max"]
        is_full = row.structure > bounds["structure_max_leave"] or row.sharp > bounds["sharp_max_leave"]
        is_on = _side(
            (is_bare or spread <= bounds["spread_max"])
            and row.mean <= bounds["mean_max"]
            and row.high > self._kinds["black"].bounds["high_max"],
            (is_full and spread > bounds["spread_max_leave"])
            or row.mean > bounds["mean_max_leave"]
            or self._lasting["black"].is_open,
        )
        was_seen = self._before is not None and self._before.structure >= bounds["seen_structure_min"]
        return self._lasting["lens_covered"].feed(
            at_s, is_on, _beyond(row.mean, bounds["mean_max"]), _measures(row, "structure", "sharp", "mean"),
            is_sure=was_seen and row.mean <= bounds["sure_mean_max"],
        )  # fmt: skip

    def _over_exposed(self, at_s: float, row: PictureRow) -> Noticed | None:
        bounds = self._kinds["over_exposed"].bounds
        is_on = _side(row.clipped >= bounds["clipped_min"], row.clipped < bounds["clipped_min_leave"])
        return self._lasting["over_exposed"].feed(at_s, is_on, min(1.0, row.clipped), _measures(row, "clipped", "mean"))

    def _blurred(self, at_s: float, row: PictureRow, is_seen: bool) -> Noticed | None:
        """Something is there, in enough light, and no edge of it is sharp.

        Before a bare wall and in the dark there is too little to judge by; the few edges of a wall are sharp.
        """
        bounds = self._kinds["blurred"].bounds
        is_there = (
            row.structure >= bounds["structure_min"]
            and row.high - row.low >= bounds["contrast_min"]
            and row.mean >= bounds["mean_min"]
        )
        most_sharp = min(bounds["sharp_max"], row.edged * bounds["sharp_of_edged_max"])
        is_blurred = is_there and row.sharp <= most_sharp
        is_on = _side(is_blurred and is_seen, row.sharp > bounds["sharp_max_leave"] or not is_seen)
        return self._lasting["blurred"].feed(at_s, is_on, 1.0, _measures(row, "sharp", "structure"))

    def _frozen(self, at_s: float, row: PictureRow) -> Noticed | None:
        """A camera that moved, and whose pictures are alike at once; or pictures that are the same, point by point.

        Pictures that are coded anew differ by their quantisation as much as those of a camera that stands still, so
        that without motion before, or the same points, nothing is told.
        """
        kind = self._kinds["frozen"]
        bounds = kind.bounds
        if row.motion < 0 or self._before is None:
            return None
        has_something = row.structure >= bounds["structure_min"]
        is_still = row.motion <= bounds["motion_max"] and has_something
        moved = len(self._moved) == _PAIRS and sorted(self._moved)[1] >= bounds["moved_min"]  # but the pair it began in
        is_same = row.same >= bounds["same_min"] and has_something
        is_on = _side(is_same or (is_still and moved), row.motion > bounds["motion_max_leave"])
        return self._lasting["frozen"].feed(
            at_s, is_on, _beyond(row.motion, bounds["motion_max"]), _measures(row, "motion", "same"),
            is_sure=is_still and moved, since_s=self._before_s,
        )  # fmt: skip

    def _upside_down(self, at_s: float, row: PictureRow) -> Noticed | None:
        """The picture before is found again in this one, turned by 180 degrees and not as it was: it was turned over.

        Which way up a stream is from its beginning cannot be known so; it is taken to be upright.
        """
        bounds = self._kinds["upside_down"].bounds
        lasting = self._lasting["upside_down"]
        if row.turned < bounds["turned_min"] or row.turned - row.straight < bounds["margin_min"]:
            return None
        return lasting.feed(at_s, not lasting.is_open, row.turned, _measures(row, "turned", "straight"), is_sure=True)


def _side(is_on: bool, is_off: bool) -> bool | None:
    return True if is_on else False if is_off else None


def _beyond(value: float, bound: float) -> float:
    """0.5 at the bound, 1 at nothing."""
    return min(1.0, max(0.5, 1 - value / (2 * bound))) if bound > 0 else 1.0


def _measures(row: PictureRow, *names: str) -> Measures:
    return tuple((name, float(getattr(row, name))) for name in names)
