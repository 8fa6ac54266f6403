"""What is wrong in the picture of a camera that is worn: judged from the rows of its key frames. Knows no media.

Each kind has two bounds, and what lies between changes nothing. What one key frame cannot tell asks for two.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.signal.bounds import Bounds
from models.signal.flow_watch import FROZEN
from models.signal.hanging import Hanging
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
        "upside_down": frozenset({"turned_min", "turned_min_leave", "agreed_min", "agreed_twice_min"}),
    }  # fmt: skip

    def __init__(self, bounds: Bounds) -> None:
        self._kinds = {finding: bounds.kinds[finding] for finding in self.WANTED}
        self._lasting = {name: Lasting(name, kind.enter_s, kind.leave_s) for name, kind in self._kinds.items()}
        self._before: PictureRow | None = None
        self._before_s = 0.0
        self._moved: deque[float] = deque(maxlen=_PAIRS)
        turned = self._kinds["upside_down"].bounds
        self._hanging = Hanging(turned["agreed_min"], turned["agreed_twice_min"])

    def feed(self, at_s: float, row: PictureRow) -> list[Noticed]:
        """at_s: of the picture; not before the last one."""
        found = [self._black(at_s, row), self._covered(at_s, row), self._over_exposed(at_s, row)]
        is_seen = not (self._is_dark("black") or self._is_dark("lens_covered"))
        found += [self._blurred(at_s, row, is_seen), self._frozen(at_s, row), self._upside_down(at_s, row)]
        if row.changed >= 0:
            self._moved.append(row.changed)
        self._before, self._before_s = row, at_s
        return [each for each in found if each is not None]

    @property
    def is_calm(self) -> bool:
        """Whether nothing lasts and nothing is about to begin."""
        return self._hanging.is_calm and all(each.is_calm for each in self._lasting.values())

    def restless(self, rows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of rows (n, fields), as `PictureRow.values` gives them, must be fed one by one even where it `is_calm`.

        All in which a kind may be on, and maybe more. What is not among them begins nothing: see `pass_over`.
        """
        row = dict(zip(PictureRow.names(), rows.T, strict=True))
        kinds = {name: kind.bounds for name, kind in self._kinds.items()}
        spread = row["high"] - row["low"]
        covered, blurred, frozen = kinds["lens_covered"], kinds["blurred"], kinds["frozen"]
        is_bare = (row["structure"] <= covered["structure_max"]) & (row["sharp"] <= covered["sharp_max"])
        is_covered = (is_bare | (spread <= covered["spread_max"])) & (row["mean"] <= covered["mean_max"])
        is_there = (row["structure"] >= blurred["structure_min"]) & (spread >= blurred["contrast_min"])
        most_sharp = np.minimum(blurred["sharp_max"], row["edged"] * blurred["sharp_of_edged_max"])
        is_blurred = is_there & (row["mean"] >= blurred["mean_min"]) & (row["sharp"] <= most_sharp)
        is_still = (row["motion"] <= frozen["motion_max"]) & _may_have_moved(row["changed"], frozen["moved_min"])
        is_frozen = (
            (row["motion"] >= 0)
            & (row["structure"] >= frozen["structure_min"])
            & ((row["same"] >= frozen["same_min"]) | is_still)
        )
        is_turned = self._hanging.restless(row["turn"], row["agreed"], kinds["upside_down"]["turned_min"])
        is_clipped = row["clipped"] >= kinds["over_exposed"]["clipped_min"]
        is_black = row["high"] <= kinds["black"]["high_max"]
        return np.asarray(is_black | is_covered | is_clipped | is_blurred | is_frozen | is_turned, np.bool_)

    def pass_over(self, at_s: float, rows: NDArray[np.float64]) -> None:
        """As feeding these (n, fields), none of them `restless`, where it `is_calm`. at_s: of the last."""
        names = PictureRow.names()
        for turn, agreed, back in rows[:, [names.index(each) for each in ("turn", "agreed", "back")]].tolist():
            self._hanging.feed(turn, agreed, back, False)
        changed = rows[:, names.index("changed")]
        self._moved.extend(changed[changed >= 0][-_PAIRS:].tolist())
        self._before, self._before_s = PictureRow.from_values(rows[-1].tolist()), at_s

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
        """Key frames are found again in one another, turned: what adds up beyond a bound hangs upside down.

        Which way up a stream is from its beginning cannot be known so; it is taken to be upright.
        """
        bounds = self._kinds["upside_down"].bounds
        lasting = self._lasting["upside_down"]
        degrees = self._hanging.feed(row.turn, row.agreed, row.back, lasting.is_open)
        if degrees is None:
            return None
        turned = abs(degrees)
        is_on = _side(turned >= bounds["turned_min"], turned < bounds["turned_min_leave"])
        sure = _beyond(bounds["agreed_twice_min"], row.agreed)
        return lasting.feed(at_s, is_on, sure, (("turned", turned), ("agreed", row.agreed)))


def _may_have_moved(changed: NDArray[np.float64], least: float) -> NDArray[np.bool_]:
    """Before which rows all but one of `_PAIRS` pairs of pictures may have moved; where too few are known: it may."""
    is_still = np.concatenate([np.zeros(_PAIRS, np.int64), (changed >= 0) & (changed < least)])
    before = np.concatenate([[0], np.cumsum(is_still)])
    return np.asarray(before[_PAIRS:-1] - before[: -_PAIRS - 1] <= 1, np.bool_)


def _side(is_on: bool, is_off: bool) -> bool | None:
    return True if is_on else False if is_off else None


def _beyond(value: float, bound: float) -> float:
    """0.5 at the bound, 1 at nothing."""
    return min(1.0, max(0.5, 1 - value / (2 * bound))) if bound > 0 else 1.0


def _measures(row: PictureRow, *names: str) -> Measures:
    return tuple((name, float(getattr(row, name))) for name in names)
