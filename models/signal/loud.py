"""What is loud in the rows of a stream: raised voices, an alarm, many at once; a blow is in blow.py. Knows no media.

Each judges the last rows. Its answer is whether it is on (None: neither), how far beyond its bound (0..1), and the
numbers that decided.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from statistics import fmean, median
from typing import Final, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.signal.noticed import Measures
from models.signal.sounds import SoundRow

Answer: TypeAlias = tuple[bool | None, float, Measures]
Number = TypeVar("Number", bound=np.generic)
OFF: Final[Answer] = (False, 0.0, ())
SoundTable: TypeAlias = Mapping[str, NDArray[np.float64]]
"""Rows of a whole recording, by the names of SoundRow: (n,) each."""
_NEARLY: Final = 1e-6
"""A mean of columns is rounded otherwise than `fmean`: so near a bound a row is judged by itself."""


def between(value: float, enter: float, leave: float) -> bool | None:
    """On from `enter` up, off below `leave`."""
    return True if value >= enter else False if value < leave else None


def beyond(value: float, bound: float, wide: float) -> float:
    """0.5 at the bound, 1 where it is exceeded by `wide`."""
    return min(max(0.5 + 0.5 * (value - bound) / wide, 0.0), 1.0)


def added(values: Sequence[float]) -> float:
    """One after the other, as columns are added: `sum` is rounded otherwise from Python 3.12 on."""
    total = 0.0
    for value in values:
        total += value
    return total


def lately(columns: NDArray[Number], rows: int) -> NDArray[Number]:
    """The last `rows` of each place (n, …), oldest first: (rows, n, …). Before the first there is the first."""
    padded = np.concatenate([np.repeat(columns[:1], rows - 1, axis=0), columns])
    return np.stack([padded[at : at + len(columns)] for at in range(rows)])


class Middle:
    """The last `most` values, and the middle one of them."""

    def __init__(self, values: Sequence[float], most: int) -> None:
        self._values = deque(values, maxlen=most)
        self._sorted = sorted(values)

    @property
    def value(self) -> float:
        half, is_odd = divmod(len(self._sorted), 2)
        return self._sorted[half] if is_odd else (self._sorted[half - 1] + self._sorted[half]) / 2

    def add(self, value: float) -> None:
        if len(self._values) == self._values.maxlen:
            del self._sorted[bisect_left(self._sorted, self._values[0])]
        self._values.append(value)
        insort(self._sorted, value)

    def add_all(self, values: Sequence[float]) -> None:
        self._values.extend(values)
        self._sorted = sorted(self._values)


class Judge(Protocol):
    """Of one kind of sound, in one stream."""

    def judge(self, rows: Sequence[SoundRow]) -> Answer:
        """rows: the last ones, oldest first."""
        ...


class RaisedVoice:
    """Vocal effort: level, spectral tilt and pitch over what is usual for the voices of this stream.

    Someone near the microphone is loud, but not flat in spectrum and not high: level alone decides nothing.
    Source: Traunmüller and Eriksson 2000, 10.1121/1.429414; Titze and Sundberg 1992, 10.1121/1.402929.
    """

    WANTED: Final = frozenset(
        {
            "effort_min", "effort_min_leave", "level_weight", "tilt_weight", "pitch_weight", "voice_min", "voiced_min",
            "tonal_max", "usual_level_min", "usual_tilt_min", "wobble_min",
        }
    )  # fmt: skip
    _KEPT: Final = 240  # two minutes of speech
    _PRIOR: Final = 12
    _USUAL: Final = (-22.0, -8.0, 7.0)
    """Level (dB), tilt (dB), pitch (log2 Hz) of calm talk, until this stream's own is known."""
    _ROWS: Final = 3
    _MOSTLY: Final = 0.5
    """Share of frames: a row that is voiced so far and yet does not wobble is a horn."""

    def __init__(self, bounds: Mapping[str, float]) -> None:
        self._bounds = bounds
        self._usual = [Middle([value] * self._PRIOR, self._KEPT) for value in self._USUAL]

    def judge(self, rows: Sequence[SoundRow]) -> Answer:
        """rows: the last ones, oldest first."""
        bounds = self._bounds
        last = rows[-self._ROWS :]
        if len(last) < self._ROWS:
            return OFF
        voiced = [row.voiced for row in last]
        if added(voiced) < bounds["voiced_min"] * self._ROWS:
            return OFF
        level, tilt, pitch = (
            added([value * share for value, share in zip(values, voiced, strict=True)]) / added(voiced)
            for values in (
                [row.voice_db for row in last],
                [row.tilt_db for row in last],
                [log2(max(row.pitch_hz, 1.0)) for row in last],
            )
        )
        usual_level, usual_tilt, usual_pitch = (each.value for each in self._usual)
        usual_level, usual_tilt = max(usual_level, bounds["usual_level_min"]), max(usual_tilt, bounds["usual_tilt_min"])
        effort = (
            bounds["level_weight"] * (level - usual_level)
            + bounds["tilt_weight"] * (tilt - usual_tilt)
            + bounds["pitch_weight"] * 12 * (pitch - usual_pitch)
        )
        is_tone = fmean(row.tonal for row in last) > bounds["tonal_max"] or any(
            row.voiced >= self._MOSTLY and row.wobble_db < bounds["wobble_min"] for row in last
        )
        if effort < bounds["effort_min_leave"] and not is_tone:
            for usual, value in zip(self._usual, (level, tilt, pitch), strict=True):
                usual.add(value)
        if is_tone or level < bounds["voice_min"]:
            return OFF
        is_on = between(effort, bounds["effort_min"], bounds["effort_min_leave"])
        measures = (
            ("effort", round(effort, 1)),
            ("voice_db", round(level, 1)),
            ("usual_voice_db", round(usual_level, 1)),
            ("tilt_db", round(tilt, 1)),
            ("usual_tilt_db", round(usual_tilt, 1)),
            ("pitch_hz", round(2**pitch)),
        )
        return is_on, beyond(effort, bounds["effort_min"], 10), measures

    def voices(self, rows: SoundTable, follows: NDArray[np.bool_]) -> "Voices":
        """What `judge` would make of each row. follows: whether the rows that it looks at follow one another there."""
        bounds = self._bounds
        shares = lately(rows["voiced"], self._ROWS)
        voiced = shares[0] + shares[1] + shares[2]
        is_voiced = follows & (voiced >= bounds["voiced_min"] * self._ROWS) & (voiced > 0)
        pitches = np.array([log2(max(hertz, 1.0)) for hertz in rows["pitch_hz"].tolist()])
        whole = np.where(voiced > 0, voiced, 1.0)
        level, tilt, pitch = (
            (parts[0] + parts[1] + parts[2]) / whole
            for parts in (
                lately(values, self._ROWS) * shares for values in (rows["voice_db"], rows["tilt_db"], pitches)
            )
        )
        lowest = min(self._USUAL[2], float(pitch[is_voiced].min(initial=self._USUAL[2])))
        most_effort = (
            bounds["level_weight"] * (level - bounds["usual_level_min"])
            + bounds["tilt_weight"] * (tilt - bounds["usual_tilt_min"])
            + bounds["pitch_weight"] * 12 * (pitch - lowest)
        )
        tonal = lately(rows["tonal"], self._ROWS).mean(axis=0)
        is_calm = most_effort < bounds["effort_min_leave"]
        if min(bounds["level_weight"], bounds["tilt_weight"], bounds["pitch_weight"]) < 0:
            is_calm[:] = False  # then it is not the most
        is_steady = (rows["voiced"] >= self._MOSTLY) & (rows["wobble_db"] < bounds["wobble_min"])
        is_horn = lately(is_steady, self._ROWS).any(axis=0)
        is_tone = is_horn | (tonal > bounds["tonal_max"] + _NEARLY)
        is_none = ~is_horn & (tonal < bounds["tonal_max"] - _NEARLY)
        is_usual = is_voiced & is_calm & is_none
        is_odd = follows & (voiced >= bounds["voiced_min"] * self._ROWS) & ~is_tone & ~is_usual
        return Voices(is_odd, is_usual, np.stack([level, tilt, pitch], axis=1))

    def pass_over(self, voices: "Voices", first: int, last: int) -> None:
        """As judging these rows of them, of which none is odd."""
        calm = voices.usual[first:last][voices.is_usual[first:last]]
        if not len(calm):
            return
        for usual, values in zip(self._usual, calm.T.tolist(), strict=True):
            usual.add_all(values)


@dataclass(frozen=True, slots=True)
class Voices:
    """Of each row: is_odd: it must be judged. is_usual: it counts as calm talk. usual: (n, 3), as what."""

    is_odd: NDArray[np.bool_]
    is_usual: NDArray[np.bool_]
    usual: NDArray[np.float64]


class Alarm:
    """Tones that are held: one or two again and again, or one that glides. Strings fade, and a voice is no tone."""

    WANTED: Final = frozenset(
        {
            "tonal_min",
            "tonal_min_leave",
            "row_min",
            "tone_min",
            "same_max",
            "ratio_max",
            "fade_max",
            "high_min",
            "beep_min",
            "beeps_min",
            "still_max",
            "glide_min",
            "glide_max",
        }
    )
    _ROWS: Final = 3

    def __init__(self, bounds: Mapping[str, float]) -> None:
        self._bounds = bounds

    def judge(self, rows: Sequence[SoundRow]) -> Answer:
        """rows: the last ones, oldest first."""
        bounds = self._bounds
        last = rows[-self._ROWS :]
        told = [row for row in last if row.tonal >= bounds["row_min"]]
        tonal = fmean(row.tonal for row in last)
        if len(last) < self._ROWS or len(told) < 2 or tonal < bounds["tonal_min_leave"]:
            return OFF
        tone_hz = median(row.tone_hz for row in told)
        if tone_hz < bounds["tone_min"]:
            return OFF
        is_held = median(row.tone_fade_db for row in told) <= bounds["fade_max"] or tone_hz >= bounds["high_min"]
        is_on = is_held and tonal >= bounds["tonal_min"] and (self._is_same(told) or self._is_gliding(told))
        is_on = is_on or self._is_beeping(told)
        measures = (("tonal", round(tonal, 2)), ("tone_hz", round(tone_hz)))
        return is_on or None, beyond(tonal, bounds["tonal_min"], 0.5), measures

    def restless(self, rows: SoundTable) -> NDArray[np.bool_]:
        """All rows with which it may be on."""
        bounds = self._bounds
        last, hertz = lately(rows["tonal"], self._ROWS), lately(rows["tone_hz"], self._ROWS)
        fades_db, told = lately(rows["tone_fade_db"], self._ROWS), last >= bounds["row_min"]
        is_high = (told & (hertz >= bounds["high_min"])).any(axis=0)
        is_held = is_high | (told & (fades_db <= bounds["fade_max"])).any(axis=0)
        is_tone = (told & (hertz >= bounds["tone_min"])).any(axis=0) & is_held
        same, same_hz = lately(rows["tone_same"], self._ROWS), lately(rows["tone_same_hz"], self._ROWS)
        is_still = (same_hz >= bounds["high_min"]) | (fades_db <= bounds["still_max"])
        is_beep = (told & (same_hz >= bounds["beep_min"]) & is_still).any(axis=0)
        is_beep &= (told * same).sum(axis=0) >= bounds["beeps_min"] * self._ROWS - _NEARLY
        tonal = last.mean(axis=0)
        is_on = is_tone & (tonal >= bounds["tonal_min"] - _NEARLY)
        is_on |= is_beep & (tonal >= bounds["tonal_min_leave"] - _NEARLY)
        return np.asarray(is_on & (told.sum(axis=0) >= 2), np.bool_)

    def _is_beeping(self, rows: Sequence[SoundRow]) -> bool:
        """Rows have a tone in common that is high or does not fade, whatever sounds between."""
        bounds = self._bounds
        most = max(rows, key=lambda row: row.tone_same if row.tone_same_hz >= bounds["beep_min"] else 0.0)
        near_hz = bounds["same_max"] * most.tone_same_hz
        same = [row for row in rows if abs(row.tone_same_hz - most.tone_same_hz) <= near_hz]
        return (
            len(same) > 1
            and most.tone_same_hz >= bounds["beep_min"]
            and sum(row.tone_same for row in same) >= bounds["beeps_min"] * self._ROWS
            and (most.tone_same_hz >= bounds["high_min"] or most.tone_fade_db <= bounds["still_max"])
        )

    def _is_same(self, rows: Sequence[SoundRow]) -> bool:
        """All that sounds is one of two tones, near each other."""
        low, high = min(row.tone_low_hz for row in rows), max(row.tone_high_hz for row in rows)
        if high > low * self._bounds["ratio_max"]:
            return False
        near = 1 + self._bounds["same_max"]
        ends = [hertz for row in rows for hertz in (row.tone_low_hz, row.tone_hz, row.tone_high_hz)]
        return all(hertz <= low * near or hertz >= high / near for hertz in ends)

    def _is_gliding(self, rows: Sequence[SoundRow]) -> bool:
        steps = [row.tone_step for row in rows]
        return fmean(steps) >= self._bounds["glide_min"] and max(steps) <= self._bounds["glide_max"]


class Crowd:
    """Many voices at once: as loud as this stream usually is not, periodic but of no pitch, and without a pause."""

    WANTED: Final = frozenset(
        {
            "floor_min", "over_min", "over_min_leave", "harmonic_min", "harmonic_max", "wobble_min", "wobble_max",
            "voiced_max", "low_max", "high_max",
        }
    )  # fmt: skip
    _KEPT: Final = 240
    _PRIOR: Final = 8
    _USUAL_DB: Final = -40.0
    _ROWS: Final = 2

    def __init__(self, bounds: Mapping[str, float]) -> None:
        self._bounds = bounds
        self._floors = Middle([self._USUAL_DB] * self._PRIOR, self._KEPT)

    def judge(self, rows: Sequence[SoundRow]) -> Answer:
        """rows: the last ones, oldest first."""
        bounds = self._bounds
        last = rows[-self._ROWS :]
        usual_db = self._floors.value
        self._floors.add(last[-1].floor_db)
        if len(last) < self._ROWS:
            return OFF
        floor_db = fmean(row.floor_db for row in last)
        harmonic, wobble = fmean(row.harmonic for row in last), fmean(row.wobble_db for row in last)
        over = min(row.floor_db for row in last) - usual_db
        is_babble = (
            min(row.floor_db for row in last) >= bounds["floor_min"]
            and bounds["harmonic_min"] <= harmonic <= bounds["harmonic_max"]
            and bounds["wobble_min"] <= wobble <= bounds["wobble_max"]
            and fmean(row.voiced for row in last) <= bounds["voiced_max"]
            and fmean(row.low_db - row.middle_db for row in last) <= bounds["low_max"]
            and fmean(row.high_db - row.middle_db for row in last) <= bounds["high_max"]
        )
        measures = (
            ("floor_db", round(floor_db, 1)),
            ("usual_db", round(usual_db, 1)),
            ("harmonic", round(harmonic, 2)),
        )
        if over < bounds["over_min_leave"]:
            return OFF
        return (is_babble and over >= bounds["over_min"]) or None, beyond(over, bounds["over_min"], 12), measures

    def restless(self, rows: SoundTable) -> NDArray[np.bool_]:
        """All rows with which it may be on."""
        bounds = self._bounds

        def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
            before, now = lately(values, self._ROWS)
            return np.asarray((before + now) / 2)

        harmonic, wobble = mean(rows["harmonic"]), mean(rows["wobble_db"])
        return np.asarray(
            (lately(rows["floor_db"], self._ROWS).min(axis=0) >= bounds["floor_min"])
            & (harmonic >= bounds["harmonic_min"] - _NEARLY) & (harmonic <= bounds["harmonic_max"] + _NEARLY)
            & (wobble >= bounds["wobble_min"] - _NEARLY) & (wobble <= bounds["wobble_max"] + _NEARLY)
            & (mean(rows["voiced"]) <= bounds["voiced_max"] + _NEARLY)
            & (mean(rows["low_db"] - rows["middle_db"]) <= bounds["low_max"] + _NEARLY)
            & (mean(rows["high_db"] - rows["middle_db"]) <= bounds["high_max"] + _NEARLY),
            np.bool_,
        )  # fmt: skip

    def pass_over(self, rows: SoundTable, first: int, last: int) -> None:
        """As judging these rows of them, none of them `restless`."""
        self._floors.add_all(rows["floor_db"][first:last].tolist())
