"""What is loud in the rows of a stream: raised voices, a blow, an alarm, many at once. Knows no media.

Each judges the last rows. Its answer is whether it is on (None: neither), how far beyond its bound (0..1), and the
numbers that decided.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from math import log2
from statistics import fmean, median
from typing import Final, Protocol, TypeAlias

from models.signal.noticed import Measures
from models.signal.sounds import SoundRow

Answer: TypeAlias = tuple[bool | None, float, Measures]
OFF: Final[Answer] = (False, 0.0, ())


def between(value: float, enter: float, leave: float) -> bool | None:
    """On from `enter` up, off below `leave`."""
    return True if value >= enter else False if value < leave else None


def beyond(value: float, bound: float, wide: float) -> float:
    """0.5 at the bound, 1 where it is exceeded by `wide`."""
    return min(max(0.5 + 0.5 * (value - bound) / wide, 0.0), 1.0)


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
            "tonal_max", "usual_level_min", "usual_tilt_min",
        }
    )  # fmt: skip
    _KEPT: Final = 240  # two minutes of speech
    _PRIOR: Final = 12
    _USUAL: Final = (-22.0, -8.0, 7.0)
    """Level (dB), tilt (dB), pitch (log2 Hz) of calm talk, until this stream's own is known."""
    _ROWS: Final = 3

    def __init__(self, bounds: Mapping[str, float]) -> None:
        self._bounds = bounds
        self._usual: deque[tuple[float, float, float]] = deque([self._USUAL] * self._PRIOR, maxlen=self._KEPT)

    def judge(self, rows: Sequence[SoundRow]) -> Answer:
        """rows: the last ones, oldest first."""
        bounds = self._bounds
        last = rows[-self._ROWS :]
        voiced = sum(row.voiced for row in last)
        if len(last) < self._ROWS or voiced < bounds["voiced_min"] * self._ROWS:
            return OFF
        level, tilt, pitch = (
            sum(value * row.voiced for value, row in zip(values, last, strict=True)) / voiced
            for values in (
                [row.voice_db for row in last],
                [row.tilt_db for row in last],
                [log2(max(row.pitch_hz, 1.0)) for row in last],
            )
        )
        usual_level, usual_tilt, usual_pitch = (median(values) for values in zip(*self._usual, strict=True))
        usual_level, usual_tilt = max(usual_level, bounds["usual_level_min"]), max(usual_tilt, bounds["usual_tilt_min"])
        effort = (
            bounds["level_weight"] * (level - usual_level)
            + bounds["tilt_weight"] * (tilt - usual_tilt)
            + bounds["pitch_weight"] * 12 * (pitch - usual_pitch)
        )
        is_tone = fmean(row.tonal for row in last) > bounds["tonal_max"]
        if effort < bounds["effort_min_leave"] and not is_tone:
            self._usual.append((level, tilt, pitch))
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


class Blow:
    """A bang: loud, there within hundredths of a second, over many octaves or (glass) high ones, and soon gone."""

    WANTED: Final = frozenset({"burst_min", "rise_min", "even_min", "high_min", "low_max", "fall_min"})

    def __init__(self, bounds: Mapping[str, float]) -> None:
        self._bounds = bounds

    def judge(self, rows: Sequence[SoundRow]) -> Answer:
        """Of the row before the last, since only the one after it tells that it was soon gone."""
        if len(rows) < 2:
            return OFF
        hit, after = rows[-2:]
        bounds = self._bounds
        fall_db = max(hit.fall_db, hit.burst_db - after.level_db)
        is_on = (
            hit.burst_db >= bounds["burst_min"]
            and hit.rise_db >= bounds["rise_min"]
            and (hit.burst_even >= bounds["even_min"] or hit.burst_high >= bounds["high_min"])
            and hit.burst_low <= bounds["low_max"]
            and fall_db >= bounds["fall_min"]
        )
        measures = (("burst_db", hit.burst_db), ("rise_db", hit.rise_db), ("fall_db", round(fall_db, 1)))
        return is_on, beyond(hit.rise_db, bounds["rise_min"], 20), measures


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
        measures = (("tonal", round(tonal, 2)), ("tone_hz", round(tone_hz)))
        return is_on or None, beyond(tonal, bounds["tonal_min"], 0.5), measures

    def _is_same(self, rows: Sequence[SoundRow]) -> bool:
        """All that sounds is one of two tones, near each other; or each row has mostly the same high one."""
        low, high = min(row.tone_low_hz for row in rows), max(row.tone_high_hz for row in rows)
        if high > low * self._bounds["ratio_max"]:
            return False
        near = 1 + self._bounds["same_max"]
        middle = median(row.tone_hz for row in rows)
        if middle >= self._bounds["high_min"] and all(middle / near <= row.tone_hz <= middle * near for row in rows):
            return True
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
        self._floors: deque[float] = deque([self._USUAL_DB] * self._PRIOR, maxlen=self._KEPT)

    def judge(self, rows: Sequence[SoundRow]) -> Answer:
        """rows: the last ones, oldest first."""
        bounds = self._bounds
        last = rows[-self._ROWS :]
        usual_db = median(self._floors)
        self._floors.append(last[-1].floor_db)
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
