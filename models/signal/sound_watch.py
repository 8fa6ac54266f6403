"""What is wrong with the sound of a stream and what is loud in it: judged from its rows. Knows no media."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.signal.blow import Blow
from models.signal.bounds import Bounds
from models.signal.loud import (
    OFF,
    Alarm,
    Answer,
    Crowd,
    Judge,
    RaisedVoice,
    SoundTable,
    Voices,
    between,
    beyond,
    lately,
)
from models.signal.noticed import Lasting, Noticed
from models.signal.sounds import ROW_S, Samples, SoundRow

_ROWS: Final = 4
_FEW: Final = 16
"""Rows that are judged sooner one by one than as columns."""
_FOLLOWS_S: Final = ROW_S * 1.5
"""Between two rows: what is further off does not follow."""
_LONG_GAP_S: Final = 10.0
"""A finding that is open may go on behind a gap of this length."""


class SoundModel(Protocol):
    """A model that tags sounds. What it says of a second would be one more judge beside those of loud.py."""

    def tags(self, samples: Samples) -> Mapping[str, float]:
        """Probability, by kind of finding, that it is in these samples: 16 kHz mono."""
        ...


class SoundWatch:
    """Of one stream. A row's kinds do not exclude one another; what is silent is judged for nothing else."""

    WANTED: Final[Mapping[str, frozenset[str]]] = {
        "sound_missing": frozenset(
            {"level_max", "level_max_leave", "edge_min", "settled_s", "mute_max_s", "muting_s", "muting_for_s"}
        ),
        "sound_clipped": frozenset(
            {"flat_min", "flat_min_leave", "sure_flat_min", "peak_min", "tonal_max", "rows_min"}
        ),
        "sound_cut": frozenset({"drops_min", "drops_min_leave", "level_min", "rows_min"}),
        "sound_drowned": frozenset({"floor_min", "floor_min_leave", "voiced_max"}),
        "shouting": RaisedVoice.WANTED,
        "bang": Blow.WANTED,
        "alarm": Alarm.WANTED,
        "crowd": Crowd.WANTED,
    }

    def __init__(self, bounds: Bounds) -> None:
        self._kinds = {finding: bounds.kinds[finding] for finding in self.WANTED}
        self._lasting = {name: Lasting(name, kind.enter_s, kind.leave_s) for name, kind in self._kinds.items()}
        limits = {name: kind.bounds for name, kind in self._kinds.items()}
        self._missing = _Missing(limits["sound_missing"])
        self._clipped = limits["sound_clipped"]
        self._cut = limits["sound_cut"]
        self._drowned = limits["sound_drowned"]
        self._voice, self._blow = RaisedVoice(limits["shouting"]), Blow(limits["bang"])
        self._alarm, self._crowd = Alarm(limits["alarm"]), Crowd(limits["crowd"])
        self._loud: dict[str, Judge] = {
            "shouting": self._voice, "bang": self._blow, "alarm": self._alarm, "crowd": self._crowd,
        }  # fmt: skip
        self._rows: deque[SoundRow] = deque(maxlen=_ROWS)

    def feed(self, row: SoundRow) -> list[Noticed]:
        """What began or ended by now. row: not before the last one; one that does not follow it begins anew."""
        found: list[Noticed] = []
        if self._rows and row.at_s - self._rows[-1].at_s > _FOLLOWS_S:
            found += self.gap(self._rows[-1].at_s + ROW_S, row.at_s)
        self._rows.append(row)
        rows = list(self._rows)
        answers: dict[str, Answer] = {
            "sound_missing": self._missing.judge(row),
            "sound_clipped": self._is_clipped(rows),
            "sound_cut": self._is_cut(rows),
            "sound_drowned": self._is_drowned(row),
            **{name: judge.judge(rows) for name, judge in self._loud.items()},
        }
        if answers["sound_cut"][0] or self._lasting["sound_cut"].is_open:
            answers["bang"] = answers["sound_drowned"] = OFF
        for finding, (is_on, confidence, measures) in answers.items():
            if (told := self._lasting[finding].feed(row.at_s, is_on, confidence, measures)) is not None:
                found.append(told)
        return found

    @property
    def is_calm(self) -> bool:
        """Whether nothing lasts and nothing is about to begin."""
        return all(each.is_calm for each in self._lasting.values())

    def past(self, rows: NDArray[np.float64]) -> "Past":
        """Of a whole recording's rows (n, 33), as `SoundRow.values` gives them: what need not be fed one by one."""
        table: SoundTable = dict(zip(SoundRow.names(), rows.T, strict=True))
        follows = np.concatenate([[False], np.diff(rows[:, 0]) <= _FOLLOWS_S])
        voices = self._voice.voices(table, follows & np.concatenate([[False], follows[:-1]]))
        silent = np.asarray(-table["level_db"] >= -self._kinds["sound_missing"].bounds["level_max_leave"], np.bool_)
        restless = ~follows | voices.is_odd | self._faulty(table)
        missing, begins = _Missing(self._kinds["sound_missing"].bounds), np.flatnonzero(~follows).tolist()
        for first, last in pairwise([*begins, len(rows)]):
            missing.gap()
            restless[missing.pass_over(table, silent, first, last)] = True
        for judge in (self._blow, self._alarm, self._crowd):
            restless |= judge.restless(table)
        return Past(rows, table, voices, silent, restless)

    def pass_over(self, past: "Past", first: int, last: int) -> None:
        """As feeding rows `first` up to before `last`, none of them restless, where it `is_calm`."""
        self._rows.extend(SoundRow.from_values(row) for row in past.rows[first:last][-_ROWS:].tolist())
        self._missing.pass_over(past.table, past.silent, first, last)
        self._voice.pass_over(past.voices, first, last)
        self._crowd.pass_over(past.table, first, last)

    def _faulty(self, rows: SoundTable) -> NDArray[np.bool_]:
        """All rows with which sound may be clipped, cut or drowned."""
        clipped, cut, drowned = self._clipped, self._cut, self._drowned
        is_loud = (rows["peak"] >= clipped["peak_min"]) & (rows["tonal"] <= clipped["tonal_max"])
        is_flat = is_loud & (rows["flat"] >= clipped["flat_min"])
        is_sure = is_flat & (rows["flat"] >= clipped["sure_flat_min"])
        is_clipped = (lately(is_flat, _ROWS).sum(axis=0) >= clipped["rows_min"]) | lately(is_sure, _ROWS).any(axis=0)
        drops = np.where(rows["level_db"] >= cut["level_min"], np.maximum(rows["drops"], 0), 0)
        is_cut = lately(drops, _ROWS).sum(axis=0) >= cut["drops_min"]
        is_drowned = (rows["floor_db"] >= drowned["floor_min"]) & (rows["voiced"] <= drowned["voiced_max"])
        return np.asarray(is_clipped | is_cut | is_drowned, np.bool_)

    def gap(self, at_s: float, until_s: float | None = None) -> list[Noticed]:
        """What comes next does not follow what came before at_s. What is open stays so behind a gap that is short."""
        self._rows.clear()
        self._missing.gap()
        if until_s is not None and until_s - at_s > _LONG_GAP_S:
            return self.finish(at_s)
        for each in self._lasting.values():
            each.forget()
        return []

    def finish(self, at_s: float) -> list[Noticed]:
        """The source is over: what is open ends."""
        return [told for each in self._lasting.values() if (told := each.finish(at_s)) is not None]

    def _is_clipped(self, rows: Sequence[SoundRow]) -> Answer:
        """Tones have flat tops by nature, so that rows of them are passed over."""
        bounds = self._clipped
        loud = [row for row in rows if row.peak >= bounds["peak_min"] and row.tonal <= bounds["tonal_max"]]
        over = [row.flat for row in loud if row.flat >= bounds["flat_min"]]
        if len(over) >= bounds["rows_min"] or any(flat >= bounds["sure_flat_min"] for flat in over):
            flat = fmean(over)
            return True, beyond(flat, bounds["flat_min"], 0.2), (("flat", round(flat, 3)), ("peak", rows[-1].peak))
        return (False if not any(row.flat >= bounds["flat_min_leave"] for row in loud) else None), 0.0, ()

    def _is_drowned(self, row: SoundRow) -> Answer:
        """Noise in which nobody two steps away would be understood; a voice that is over all else has a clear pitch."""
        bounds = self._drowned
        if row.floor_db >= bounds["floor_min"] and row.voiced <= bounds["voiced_max"]:
            return True, beyond(row.floor_db, bounds["floor_min"], 10), (("floor_db", row.floor_db),)
        is_off = row.floor_db < bounds["floor_min_leave"] or row.voiced > bounds["voiced_max"]
        return (False if is_off else None), 0.0, ()

    def _is_cut(self, rows: Sequence[SoundRow]) -> Answer:
        bounds = self._cut
        broken = [row.drops for row in rows if row.drops and row.level_db >= bounds["level_min"]]
        drops = sum(broken)
        if drops >= bounds["drops_min"] and len(broken) >= bounds["rows_min"]:
            return True, beyond(drops, bounds["drops_min"], 6), (("drops", drops), ("seconds", len(rows) * ROW_S))
        return (False if drops < bounds["drops_min_leave"] else None), 0.0, ()


@dataclass(frozen=True, slots=True)
class Past:
    """Rows of a whole recording. silent: those that may be. restless: with these something may begin; the others
    change only what is usual."""

    rows: NDArray[np.float64]
    table: SoundTable
    voices: Voices
    silent: NDArray[np.bool_]
    restless: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Silence:
    """What `_Missing` wants of a row."""

    at_s: float
    level_db: float
    edge_db: float
    zero: float

    @classmethod
    def of(cls, rows: SoundTable, at: int) -> "_Silence":
        return cls(*(float(rows[name][at]) for name in ("at_s", "level_db", "edge_db", "zero")))


class _Missing:
    """Digital silence. A device that mutes what is quiet fades into it, and is given longer."""

    def __init__(self, bounds: Mapping[str, float]) -> None:
        self._bounds = bounds
        self._heard_s = 0.0
        self._silent_since_s: float | None = None
        self._is_muted = False
        self._is_abrupt = False
        self._muting_until_s = -1.0

    def judge(self, row: "SoundRow | _Silence") -> Answer:
        bounds = self._bounds
        is_on = between(-row.level_db, -bounds["level_max"], -bounds["level_max_leave"])
        is_abrupt = row.edge_db >= bounds["edge_min"]
        if not is_on:
            lasted_s = row.at_s - self._silent_since_s if self._silent_since_s is not None else 0.0
            if self._is_muted or 0 < lasted_s <= bounds["mute_max_s"]:
                self._muting_until_s = row.at_s + bounds["muting_for_s"]
            self._is_muted = lasted_s == 0 and row.zero > 0 and not is_abrupt
            self._is_abrupt = is_abrupt
            self._silent_since_s = None
            self._heard_s += ROW_S
            return is_on, 0.0, ()
        self._is_muted = False
        if self._silent_since_s is None:
            self._silent_since_s = row.at_s
            self._is_abrupt = self._is_abrupt or is_abrupt
        measures = (("level_db", row.level_db), ("zero", row.zero))
        is_sure = self._is_abrupt and self._heard_s >= bounds["settled_s"] and row.at_s >= self._muting_until_s
        if not is_sure and row.at_s - self._silent_since_s < bounds["muting_s"]:
            return None, 0.0, ()
        return True, 1.0 if row.level_db < -100 else 0.8, measures

    def pass_over(self, rows: SoundTable, silent: NDArray[np.bool_], first: int, last: int) -> list[int]:
        """As judging rows `first` up to before `last`. Returns those with which it is on: of the `silent` ones some."""
        is_on: list[int] = []
        at = first
        for place in [*(np.flatnonzero(silent[first:last]) + first).tolist(), last]:
            while at < place and (self._silent_since_s is not None or place - at < _FEW):
                self.judge(_Silence.of(rows, at))
                at += 1
            if at < place:
                self._pass_over_heard(rows, at, place)
            if place < last and self.judge(_Silence.of(rows, place))[0]:
                is_on.append(place)
            at = place + 1
        return is_on

    def _pass_over_heard(self, rows: SoundTable, first: int, last: int) -> None:
        """Rows behind one that was heard too."""
        is_abrupt = rows["edge_db"][first:last] >= self._bounds["edge_min"]
        is_muted = (rows["zero"][first:last] > 0) & ~is_abrupt
        behind = np.flatnonzero(np.concatenate([[self._is_muted], is_muted[:-1]]))
        if len(behind):
            self._muting_until_s = float(rows["at_s"][first + behind[-1]]) + self._bounds["muting_for_s"]
        self._is_muted, self._is_abrupt = bool(is_muted[-1]), bool(is_abrupt[-1])
        self._heard_s += ROW_S * (last - first)

    def gap(self) -> None:
        """What comes next does not follow."""
        self._silent_since_s, self._is_muted, self._is_abrupt = None, False, False
