"""What is wrong with the sound of a stream and what is loud in it: judged from its rows. Knows no media."""

from collections import deque
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final, Protocol

from models.signal.bounds import Bounds
from models.signal.loud import OFF, Alarm, Answer, Blow, Crowd, Judge, RaisedVoice, between, beyond
from models.signal.noticed import Lasting, Noticed
from models.signal.sounds import ROW_S, Samples, SoundRow

_ROWS: Final = 4
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
        self._loud: dict[str, Judge] = {
            "shouting": RaisedVoice(limits["shouting"]),
            "bang": Blow(limits["bang"]),
            "alarm": Alarm(limits["alarm"]),
            "crowd": Crowd(limits["crowd"]),
        }
        self._rows: deque[SoundRow] = deque(maxlen=_ROWS)

    def feed(self, row: SoundRow) -> list[Noticed]:
        """What began or ended by now. row: not before the last one; one that does not follow it begins anew."""
        found: list[Noticed] = []
        if self._rows and row.at_s - self._rows[-1].at_s > ROW_S * 1.5:
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
            at_s = rows[-2].at_s if finding == "bang" and len(rows) > 1 else row.at_s
            if (told := self._lasting[finding].feed(at_s, is_on, confidence, measures)) is not None:
                found.append(told)
        return found

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


class _Missing:
    """Digital silence. A device that mutes what is quiet fades into it, and is given longer."""

    def __init__(self, bounds: Mapping[str, float]) -> None:
        self._bounds = bounds
        self._heard_s = 0.0
        self._silent_since_s: float | None = None
        self._is_muted = False
        self._is_abrupt = False
        self._muting_until_s = -1.0

    def judge(self, row: SoundRow) -> Answer:
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

    def gap(self) -> None:
        """What comes next does not follow."""
        self._silent_since_s, self._is_muted, self._is_abrupt = None, False, False
