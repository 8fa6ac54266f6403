"""A blow, a slam, breaking glass: judged from the rows of a stream. Knows no media."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.signal.loud import OFF, Answer, SoundTable, beyond, lately
from models.signal.sounds import SoundRow


class Blow:
    """A bang: loud from 500 Hz up to the top, there at once, soon gone, and no tone; or glass, ringing high.

    Each sound of a mouth that shouts may be so too: a bang is far over the second before it.
    """

    WANTED: Final = frozenset(
        {
            "rise_min", "fall_min", "over_min", "middle_min", "top_min", "harmonic_max", "glass_top_min",
            "glass_over_middle_min",
        }
    )  # fmt: skip
    _ROWS: Final = 3

    def __init__(self, bounds: Mapping[str, float]) -> None:
        self._bounds = bounds

    def judge(self, rows: Sequence[SoundRow]) -> Answer:
        """Of the last row: it tells what was soon gone. What comes back after a drop-out is none."""
        *before, hit = rows[-self._ROWS :]
        if not before:
            return OFF
        bounds = self._bounds
        over_db = hit.burst_db - max(row.upper_db for row in before)
        is_blow = (
            hit.burst_middle_db >= bounds["middle_min"]
            and hit.burst_top_db >= bounds["top_min"]
            and hit.burst_harmonic <= bounds["harmonic_max"]
        )
        is_glass = (
            hit.burst_top_db >= bounds["glass_top_min"]
            and hit.burst_db - hit.burst_middle_db >= bounds["glass_over_middle_min"]
        )
        is_on = (
            (is_blow or is_glass)
            and hit.rise_db >= bounds["rise_min"]
            and hit.fall_db >= bounds["fall_min"]
            and over_db >= bounds["over_min"]
            and not (hit.drops or before[-1].drops)
        )
        measures = (("burst_db", hit.burst_db), ("rise_db", hit.rise_db), ("fall_db", hit.fall_db))
        return is_on, beyond(hit.rise_db, bounds["rise_min"], 20), measures

    def restless(self, rows: SoundTable) -> NDArray[np.bool_]:
        """All rows with which it may be on."""
        bounds, burst, middle = self._bounds, rows["burst_db"], rows["burst_middle_db"]
        is_blow = (middle >= bounds["middle_min"]) & (rows["burst_top_db"] >= bounds["top_min"])
        is_blow &= rows["burst_harmonic"] <= bounds["harmonic_max"]
        is_glass = rows["burst_top_db"] >= bounds["glass_top_min"]
        is_glass &= burst - middle >= bounds["glass_over_middle_min"]
        is_on = (is_blow | is_glass) & (burst - lately(rows["upper_db"], 2)[0] >= bounds["over_min"])
        is_on &= (rows["rise_db"] >= bounds["rise_min"]) & (rows["fall_db"] >= bounds["fall_min"])
        return np.asarray(is_on, np.bool_)
