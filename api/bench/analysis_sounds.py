"""What is noticed in sound, how soon and how often in vain: events put into the sound of places, through AAC; and what it costs."""

import argparse
import functools
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from time import process_time
from typing import Final

import numpy as np

from api.bench.analysis_sounds_events import EVENTS, Event, through_aac
from api.bench.analysis_sounds_places import (
    HELD_OUT,
    MUTING,
    PLACES,
    TUNING,
    Random,
    Voices,
    Waves,
    heard,
    microphone,
    voices,
)
from models.signal.bounds import Bounds, load
from models.signal.noticed import Lasting
from models.signal.sound_watch import SoundWatch
from models.signal.sounds import ROW_S, SoundMeter, SoundRow
from pipeline.analyse.sound import SoundDecoder
from pipeline.analyse.units import Unit
from pipeline.media import Track
from pipeline.simulate.sound import FRAME, voice
from pipeline.simulate.sound import RATE_HZ as CODED_HZ
from pipeline.simulate.spoken import aac_of

RULES: Final = Path(__file__).resolve().parents[2] / "configs" / "rules" / "signal" / "sounds.yaml"
_SEED: Final = 20_261_203
"""With HELD_OUT nobody saw a figure of this seed before bounds were chosen."""
_CALM: Final = "calm"
_KINDS: Final = (_CALM, *EVENTS)
_PIECE_S: Final = 0.25
_CALM_S: Final = 120.0
"""A piece without an event; places come in turn."""
_EVENT_S: Final = 12.0
"""When an event begins, at the earliest."""
_WITHIN_S: Final = 2.0
_BITS: Final = (32_000, 48_000, 64_000)
_MAIN: Final[Mapping[str, tuple[str, tuple[float, ...]]]] = {
    "sound_missing": ("level_max", (-100, -92, -85, -75, -60)),
    "sound_clipped": ("flat_min", (0.1, 0.06, 0.053, 0.045, 0.04)),
    "sound_cut": ("drops_min", (4, 3, 2, 1.5, 1)),
    "shouting": ("effort_min", (9, 7, 6.3, 5, 4)),
    "bang": ("over_min", (17, 12, 8.5, 6, 3)),
    "alarm": ("tonal_min", (0.6, 0.4, 0.28, 0.2, 0.1)),
    "crowd": ("over_min", (14, 11, 9, 6, 3)),
}
"""The bound by which a kind's curve is drawn, from strict to lax; the third is the one in use."""
_IN_USE: Final = 2
_NAIVE_DB: Final = {"sound_missing": -60.0}
_NAIVE_LOUD_DB: Final = -16.0


@dataclass(frozen=True, slots=True)
class Scale:
    """events: of each kind. hours: of sound in which nothing is to be noticed. With curve: every kind's bound is moved.

    is_tuning: of the half with which bounds are chosen. More events and hours begin with those of fewer.
    """

    events: int = 40
    hours: float = 1.0
    has_curve: bool = False
    is_tuning: bool = False
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class _Case:
    place: str
    variant: str
    event: Event | None
    rows: tuple[SoundRow, ...]
    length_s: float


def run(scale: Scale | None = None) -> dict[str, object]:
    """The report. Raises: SettingsInvalid: bounds or voices do not hold. WorkerFailed: libav has no AAC encoder."""
    scale = scale or Scale()
    bounds = load(RULES, SoundWatch.WANTED)
    orders = [(scale.is_tuning, _CALM, number) for number in range(round(scale.hours * 3600 / _CALM_S))]
    orders += [(scale.is_tuning, kind, number) for kind in EVENTS for number in range(scale.events)]
    with ProcessPoolExecutor(scale.jobs) as pool:
        pieces = list(pool.map(made, orders, chunksize=8))
    calm = [case for case in pieces if case.event is None]
    cases = {kind: [case for case in pieces if case.event and case.event.finding == kind] for kind in EVENTS}
    kinds = _judged(bounds, calm, cases)
    report: dict[str, object] = {
        "recall": min(float(str(kind["recall"])) for kind in kinds.values()),
        "false_alarms_per_hour": max(float(str(kind["false_alarms_per_hour"])) for kind in kinds.values()),
        "delay_s_p95": max(float(str(kind["delay_s_p95"])) for kind in kinds.values()),
        "kinds": kinds,
        "hours_without_event": round(sum(case.length_s for case in calm) / 3600, 2),
        "sound_core_share_per_stream": core_share(),
        "rules": bounds.version,
    }
    if scale.has_curve:
        report["curve"] = _curve(bounds, calm, cases)
    return report


def core_share(rounds: int = 2) -> float:
    """CPU time (process_time, the least of the rounds) for a second of AAC-LC, 64 kbit/s, 48 kHz mono, decoded, resampled, measured
    and judged in pieces of 0.25 s by the parts that a worker runs.
    """
    coded = aac_of(voice("scene"))
    frame_s = FRAME / CODED_HZ
    track = Track(2, "audio", "mp4a.40.2", coded.config, CODED_HZ, rate_hz=CODED_HZ, channels=1)
    units = [Unit(2, number * frame_s, frame_s, True, data) for number, data in enumerate(coded.frames)]
    step, costs = int(_PIECE_S / frame_s) + 1, []
    bounds = load(RULES, SoundWatch.WANTED)
    for _ in range(rounds):
        began_s = process_time()
        decoder, meter, watch = SoundDecoder(track), SoundMeter(), SoundWatch(bounds)
        for first in range(0, len(units), step):
            for sound in decoder.decode_all(units[first : first + step]):
                for row in meter.feed(sound.start_s, sound.samples):
                    watch.feed(row)
        costs.append(process_time() - began_s)
    return round(min(costs) / (len(units) * frame_s), 5)


def made(order: tuple[bool, str, int]) -> _Case:
    """A piece by half, kind and number alone, whatever else is made."""
    is_tuning, kind, number = order
    random, said = np.random.default_rng([_SEED, is_tuning, _KINDS.index(kind), number]), _said(is_tuning)
    if kind == _CALM:
        return _calm(random, list(PLACES)[number % len(PLACES)], said)
    return _with_event(random, kind, said)


@functools.cache
def _said(is_tuning: bool) -> Voices:
    return voices(TUNING, (0.0, 40.0)) if is_tuning else voices(HELD_OUT, (40.0, 77.0))


def _calm(random: Random, place: str, said: Voices) -> _Case:
    sound = microphone(heard(random, place, _CALM_S, said))
    return _Case(place, "", None, _rows(random, sound), _CALM_S)


def _with_event(random: Random, kind: str, said: Voices) -> _Case:
    """A device that mutes cannot be told soon from one that failed: sound_missing is measured with those that do not."""
    place = list(PLACES)[int(random.integers(len(PLACES)))]
    sound = heard(random, place, 32, said, 0.0 if kind == "sound_missing" else MUTING)
    mixed = EVENTS[kind](random, sound, said, _EVENT_S + random.uniform(0, 3))
    return _Case(place, mixed.variant, mixed.event, _rows(random, mixed.sound), 32)


def _rows(random: Random, sound: Waves) -> tuple[SoundRow, ...]:
    return tuple(SoundMeter().feed(0.0, through_aac(sound, int(random.choice(_BITS)))))


def _known_s(row: SoundRow) -> float:
    """When a worker that is fed by the piece has this row."""
    return float(np.ceil((row.at_s + ROW_S) / _PIECE_S) * _PIECE_S)


def _noticed(bounds: Bounds, case: _Case) -> list[tuple[str, float]]:
    watch = SoundWatch(bounds)
    return [
        (told.finding, _known_s(row))
        for row in case.rows
        for told in watch.feed(row)
        if not told.is_end
    ]  # fmt: skip


def _naive(case: _Case, kind: str) -> list[tuple[str, float]]:
    """A bound of RMS alone: a second below -60 dBFS for sound_missing, a row over -16 dBFS for all else."""
    least_db = _NAIVE_DB.get(kind)
    lasting = Lasting(kind, 0.5 if least_db is not None else 0.0, 2.0)
    found = []
    for row in case.rows:
        is_on = row.level_db < least_db if least_db is not None else row.level_db > _NAIVE_LOUD_DB
        told = lasting.feed(row.at_s, is_on)
        if told is not None and not told.is_end:
            found.append((kind, _known_s(row)))
    return found


def _delay(found: Iterable[tuple[str, float]], event: Event) -> float:
    """Seconds from its start until it was told; infinite: never while it lasted, nor within 2 s after."""
    times = [at_s - event.start_s for finding, at_s in found if finding == event.finding]
    return min((each for each in times if 0 <= each <= event.end_s - event.start_s + _WITHIN_S), default=float("inf"))


def _delays(bounds: Bounds, cases: Sequence[_Case], kind: str) -> list[float]:
    return [_delay(_noticed(bounds, case), case.event) for case in cases if case.event and case.event.finding == kind]


def _p95(delays: Sequence[float]) -> float:
    """Of those that were told at all."""
    told = [each for each in delays if np.isfinite(each)]
    return round(float(np.percentile(told, 95)), 2) if told else 0.0


def _judged(
    bounds: Bounds, calm: Sequence[_Case], cases: Mapping[str, Sequence[_Case]]
) -> dict[str, dict[str, object]]:
    hours = sum(case.length_s for case in calm) / 3600
    false = [(finding, case.place) for case in calm for finding, _ in _noticed(bounds, case)]
    kinds: dict[str, dict[str, object]] = {}
    for kind, each in cases.items():
        delays = _delays(bounds, each, kind)
        naive = [_delay(_naive(case, kind), case.event) for case in each if case.event]
        places = [place for finding, place in false if finding == kind]
        naive_false = sum(len(_naive(case, kind)) for case in calm)
        kinds[kind] = {
            **_figures(delays, len(places), hours),
            "false_alarms_in": {place: places.count(place) for place in sorted(set(places))},
            "missed": sorted(
                f"{case.place}: {case.variant}"
                for case, delay in zip(each, delays, strict=True)
                if delay > _WITHIN_S
            ),
            "naive": _figures(naive, naive_false, hours),
        }  # fmt: skip
    return kinds


def _figures(delays: Sequence[float], false: int, hours: float) -> dict[str, object]:
    """Intervals of 95 %: Wilson for recall, Byar's approximation of Poisson for false alarms."""
    count, hits = len(delays), sum(delay <= _WITHIN_S for delay in delays)
    share, z2 = hits / count, 1.96**2
    middle, half = share + z2 / 2 / count, 1.96 * sqrt(share * (1 - share) / count + z2 / 4 / count**2)
    at_most = (false + 1) * (1 - 1 / 9 / (false + 1) + 1.96 / 3 / sqrt(false + 1)) ** 3
    return {
        "recall": round(share, 3),
        "recall_interval": [round((middle - half) / (1 + z2 / count), 3), round((middle + half) / (1 + z2 / count), 3)],
        "recall_at_all": round(sum(bool(np.isfinite(delay)) for delay in delays) / count, 3),
        "events": count,
        "delay_s_p95": _p95(delays),
        "false_alarms_per_hour": round(false / hours, 3),
        "false_alarms_per_hour_at_most": round(at_most / hours, 3),
    }


def _curve(
    bounds: Bounds, calm: Sequence[_Case], cases: Mapping[str, Sequence[_Case]]
) -> dict[str, list[dict[str, float]]]:
    """Each kind's main bound from strict to lax, all else as it is."""
    hours = sum(case.length_s for case in calm) / 3600
    curve: dict[str, list[dict[str, float]]] = {kind: [] for kind in cases}
    for step in range(_IN_USE * 2 + 1):
        moved = {
            kind: replace(bounds.kinds[kind], bounds={**bounds.kinds[kind].bounds, **_moved(bounds, kind, step)})
            for kind in cases
        }
        there = replace(bounds, kinds={**bounds.kinds, **moved})
        false = [finding for case in calm for finding, _ in _noticed(there, case)]
        for kind, each in cases.items():
            hits = sum(delay <= _WITHIN_S for delay in _delays(there, each, kind))
            curve[kind].append(
                {
                    "bound": _MAIN[kind][1][step],
                    "recall": round(hits / len(each), 3),
                    "false_alarms_per_hour": round(false.count(kind) / hours, 3),
                }
            )
    return curve


def _moved(bounds: Bounds, kind: str, step: int) -> dict[str, float]:
    """The main bound; what ends a finding goes along, where it would be passed by."""
    name, values = _MAIN[kind]
    leave = bounds.kinds[kind].bounds.get(f"{name}_leave")
    moved = {name: values[step]}
    if leave is not None:
        moved[f"{name}_leave"] = max(leave, values[step]) if name.endswith("_max") else min(leave, values[step])
    return moved


def main() -> None:
    """`python -m api.bench.analysis_sounds --hours 30 --events 200 --curve --jobs 2`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    told = parser.parse_args()
    json.dump(run(Scale(told.events, told.hours, told.curve, told.tuning, told.jobs)), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
