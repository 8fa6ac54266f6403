"""How well faults of the picture are told on footage of worn cameras: drawn, and coded in H.264.

`python -m api.bench.analysis_pictures --hours 32.5 --trials 100` for the figures of docs/evaluation.md.
"""

import argparse
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np

from api.bench import analysis_pictures_flow
from api.bench.analysis_pictures_coded import KeyCoder, Luma
from api.bench.analysis_pictures_faults import AT_ONCE, FAULTS, Fault
from api.bench.analysis_pictures_scenes import HEIGHT, KINDS, WIDTH, Footage
from api.bench.analysis_pictures_turns import HARMLESS_S, harmless
from models.signal.bounds import Bounds, load
from models.signal.flow_watch import FlowWatch
from models.signal.noticed import Lasting
from models.signal.picture_watch import PictureWatch
from models.signal.pictures import PictureMeter, PictureRow

FILE: Final = Path(__file__).resolve().parent.parent.parent / "configs" / "rules" / "signal" / "pictures.yaml"
WITHIN_S: Final = 2.0
STAY_S: Final = 60
TUNING, HELD_OUT = 1_000, 8_000_000
"""First seeds: bounds were chosen on the first, figures are told of the second. A seed decides place, light, motion, noise,
coder and fault."""
_BEFORE_S, _FAULT_S, _AFTER_S = 8, 6, 4
_GRACE_S: Final = 2.0  # after a fault, until which it may still be open
ALONE: Final = frozenset({"tripod", "put_down"})
"""A worn camera does not jump onto a tripod between two key frames: these are streams of their own."""
CANNOT: Final[Mapping[str, frozenset[str]]] = {
    "frozen": frozenset({"tripod", "put_down", "white_wall"}),
    "blurred": frozenset({"white_wall", "dark_corridor", "night", "night_rain", "night_running"}),
    "lens_covered": frozenset(), "black": frozenset(), "over_exposed": frozenset(), "upside_down": frozenset({"white_wall"}),
}  # fmt: skip
"""Places where a kind is not claimed to be told: without motion before, or with next to nothing to be sharp. Told apart."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A key frame. naive: mean luma, mean difference to the one before (-1: none), variance of the Laplacian."""

    at_s: float
    row: PictureRow
    naive: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault over one place. seen: key frames before, during and after."""

    finding: str
    place: str
    start_s: float
    end_s: float
    seen: tuple[Seen, ...]


Told: TypeAlias = tuple[str, bool, float]  # finding, is_end, when it was known
Judge: TypeAlias = Callable[[Sequence[Seen]], Iterator[Told]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One kind at one bound. delays_s: of those told within WITHIN_S and later. ended: share that ended within 2 s."""

    recall: float
    recall_low: float
    recall_high: float
    trials: int
    delay_s_p95: float
    ended_share: float
    false_alarms: int
    hours: float

    @property
    def false_alarms_per_hour(self) -> float:
        return self.false_alarms / self.hours if self.hours else 0.0

    @property
    def false_alarms_high(self) -> float:
        """Upper end of the 95 % interval; three by the hours where there was none."""
        return _poisson_high(self.false_alarms) / self.hours if self.hours else math.inf

    def report(self) -> dict[str, object]:
        return {
            "recall": round(self.recall, 4), "recall_interval": [round(self.recall_low, 4), round(self.recall_high, 4)],
            "trials": self.trials, "delay_s_p95": round(self.delay_s_p95, 2), "ended_within_2_s": round(self.ended_share, 4),
            "false_alarms": self.false_alarms, "false_alarms_per_hour": round(self.false_alarms_per_hour, 3),
            "false_alarms_per_hour_high": round(self.false_alarms_high, 3),
        }  # fmt: skip


def bounds_of(path: Path = FILE) -> Bounds:
    return load(path, {**PictureWatch.WANTED, **FlowWatch.WANTED, "undecodable": frozenset()})


def sound_footage(number: int, seed: int) -> tuple[str, list[Seen]]:
    """A stream without fault of five minutes, and the place it begins at: five stays, or a long one without being worn."""
    place = KINDS[number % len(KINDS)]
    worn = [each for each in KINDS if each not in ALONE]
    names = [place] * 5 if place in ALONE else [place, *(worn[(number * 4 + each) % len(worn)] for each in range(4))]
    coder, meter, seen = KeyCoder(WIDTH, HEIGHT, seed + number), _Meter(), list[Seen]()
    phase = float(np.random.default_rng([seed + number, 3]).uniform(0, 1))
    for stay, name in enumerate(names):
        if stay == 0 or place not in ALONE:
            footage, began_s = Footage(name, seed + number * 5 + stay), stay * STAY_S
        for second in range(STAY_S):
            at_s = stay * STAY_S + second + phase
            seen.append(meter.see(at_s, coder.through(footage.picture(at_s - began_s))))
    return place, seen


def trial(finding: str, number: int, seed: int, every_s: float = 1.0) -> Trial:
    """A fault over a stay; places in turn. every_s: from one key frame to the next."""
    one = seed + number
    start_s = _BEFORE_S + float(np.random.default_rng([one, 9]).uniform(0, every_s))
    place = KINDS[number % len(KINDS)]
    fault = Fault(finding, Footage(place, one), one, start_s, start_s + _FAULT_S)
    coder, meter = KeyCoder(WIDTH, HEIGHT, one), _Meter()
    times = np.arange(0.0, start_s + _FAULT_S + _AFTER_S, every_s)
    seen = tuple(meter.see(float(t), coder.through(fault.picture(float(t)))) for t in times)
    return Trial(finding.removesuffix("_at_once"), place, fault.start_s, fault.end_s, seen)


def leaning(number: int, seed: int) -> list[Seen]:
    """Two minutes of turns and patterns that are no fault."""
    coder, meter = KeyCoder(WIDTH, HEIGHT, seed + number), _Meter()
    return [meter.see(at_s, coder.through(picture)) for at_s, picture in harmless(number, seed)]


class _Meter:
    def __init__(self) -> None:
        self._meter = PictureMeter()
        self._before: Luma | None = None

    def see(self, at_s: float, picture: Luma) -> Seen:
        difference = -1.0 if self._before is None else float(cv2.absdiff(picture, self._before).mean())
        self._before = picture.copy()
        laplacian = float(cv2.Laplacian(picture, cv2.CV_32F).var())
        return Seen(at_s, self._meter.measure(picture), (float(picture.mean()), difference, laplacian))


def ours(bounds: Bounds) -> Judge:
    def judge(seen: Sequence[Seen]) -> Iterator[Told]:
        watch = PictureWatch(bounds)
        for each in seen:
            for noticed in watch.feed(each.at_s, each.row):
                yield noticed.finding, noticed.is_end, each.at_s

    return judge


_NAIVE: Final[Mapping[str, tuple[int, int, float]]] = {  # which number, whether below (1) or above (-1), how long
    "lens_covered": (0, 1, 0.9), "black": (0, 1, 0.0), "over_exposed": (0, -1, 0.9), "frozen": (1, 1, 0.0),
    "blurred": (2, 1, 0.9),
}  # fmt: skip


def naive(finding: str, bound: float) -> Judge:
    """One number against one bound: mean luma, frame difference, variance of the Laplacian."""
    which, sign, enter_s = _NAIVE[finding]

    def judge(seen: Sequence[Seen]) -> Iterator[Told]:
        lasting = Lasting(finding, enter_s, 0.0)
        for each in seen:
            value = each.naive[which]
            is_on = value * sign <= bound * sign and not (finding == "frozen" and value < 0)
            if noticed := lasting.feed(each.at_s, is_on):
                yield noticed.finding, noticed.is_end, each.at_s

    return judge


def figure(finding: str, faults: Sequence[Trial], sound: Sequence[list[Seen]], judge: Judge) -> Figure:
    """Of one kind, by one judge. A fault is told when its kind begins between its start and 2 s later."""
    delays, ended = [], 0
    for trial in faults:
        delay, end = _of_trial(trial, judge)
        delays.append(delay)
        ended += end is not None and end <= _GRACE_S
    hit = sum(delay <= WITHIN_S for delay in delays)
    told = [delay for delay in delays if math.isfinite(delay)]
    alarms = sum(1 for seen in sound for name, is_end, _ in judge(seen) if name == finding and not is_end)
    low, high = _wilson(hit, len(delays))
    return Figure(
        hit / max(len(delays), 1), low, high, len(delays), float(np.quantile(told, 0.95)) if told else math.inf,
        ended / max(len(told), 1), alarms, sum(map(len, sound)) / 3600,
    )  # fmt: skip


def _of_trial(trial: Trial, judge: Judge) -> tuple[float, float | None]:
    """Seconds from its start until it was told (inf: not), and from its end until its end was told."""
    delay, is_open = math.inf, False
    for name, is_end, at_s in judge(trial.seen):
        if name != trial.finding:
            continue
        if not is_end:
            is_open = True
            if trial.start_s <= at_s < trial.end_s and not math.isfinite(delay):
                delay = at_s - trial.start_s
        elif is_open:
            is_open = False
            if at_s >= trial.end_s and math.isfinite(delay):
                return delay, at_s - trial.end_s
    return delay, None


SWEPT: Final[Mapping[str, tuple[str, tuple[float, ...]]]] = {
    "lens_covered": ("structure_max", (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)),
    "black": ("high_max", (16, 17, 18, 19, 20, 22, 26, 32)),
    "over_exposed": ("clipped_min", (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)),
    "frozen": ("motion_max", (1, 2, 3, 4, 5, 6, 8, 12, 20)),
    "blurred": ("sharp_max", (0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.15, 0.2)),
    "upside_down": ("agreed_min", (4, 5, 6, 7, 8, 10, 12, 15, 20)),
}


def with_bound(bounds: Bounds, finding: str, name: str, value: float) -> Bounds:
    kind = bounds.kinds[finding]
    changed = {**kind.bounds, name: value}
    if (leave := f"{name}_leave") in changed:
        outer = max if name.endswith("_max") else min
        changed[leave] = outer(changed[leave], value)
    return replace(bounds, kinds={**bounds.kinds, finding: replace(kind, bounds=changed)})


def curve(
    finding: str, faults: Sequence[Trial], sound: Sequence[list[Seen]], bounds: Bounds
) -> list[dict[str, object]]:
    name, values = SWEPT[finding]
    points: list[dict[str, object]] = []
    for value in values:
        one = figure(finding, faults, sound, ours(with_bound(bounds, finding, name, value)))
        points.append(
            {name: value, "recall": round(one.recall, 4), "false_alarms_per_hour": round(one.false_alarms_per_hour, 3)}
        )
    return points


def baseline(finding: str, faults: Sequence[Trial], sound: Sequence[list[Seen]]) -> dict[str, object]:
    """The best bound of the naive judge, chosen with hindsight on the very set it is told of: it flatters it."""
    if finding not in _NAIVE:
        return {}
    which = _NAIVE[finding][0]
    during = [
        each.naive[which] for trial in faults for each in trial.seen if trial.start_s + 1 <= each.at_s < trial.end_s
    ]
    found = [
        (bound, figure(finding, faults, sound, naive(finding, bound)))
        for bound in sorted({float(np.quantile(during, q)) for q in np.linspace(0, 1, 21)})
    ]
    quiet = [each for each in found if each[1].false_alarms_per_hour <= 0.1]
    bound, best = max(quiet or found, key=lambda each: each[1].recall - (0 if quiet else each[1].false_alarms_per_hour))
    full = min(
        (each for each in found if each[1].recall >= 0.95), key=lambda each: each[1].false_alarms_per_hour, default=None
    )
    return {
        "bound": round(bound, 3), "recall": round(best.recall, 4), "false_alarms_per_hour": round(best.false_alarms_per_hour, 3),
        "false_alarms_per_hour_at_recall_0.95": round(full[1].false_alarms_per_hour, 2) if full else None,
    }  # fmt: skip


def run(hours: float = 3.0, count: int = 40, seed: int = HELD_OUT, jobs: int = 2) -> dict[str, object]:
    """The report. hours: of footage without fault; count: faults of each kind. Some three minutes of CPU at the defaults."""
    numbers = range(math.ceil(hours * 3600 / (5 * STAY_S)))
    with ProcessPoolExecutor(jobs) as pool:
        streams = list(pool.map(sound_footage, numbers, itertools.repeat(seed)))
        by_kind = {
            finding: list(pool.map(trial, itertools.repeat(finding), range(count), itertools.repeat(seed + 100_000)))
            for finding in (*FAULTS, AT_ONCE)
        }
        leant = list(
            pool.map(leaning, range(math.ceil(hours / 10 * 3600 / HARMLESS_S)), itertools.repeat(seed + 200_000))
        )
    bounds = bounds_of()
    flow = flow_figures(count // 6, seed, bounds)
    return {
        "hours": hours, "trials": count, **report(streams, by_kind, bounds), "flow": flow,
        "upside_down_at_once": figure("upside_down", by_kind[AT_ONCE], [], ours(bounds)).report(),
        "upside_down_leaning": figure("upside_down", [], leant, ours(bounds)).report() | {"hours": len(leant) * HARMLESS_S / 3600},
    }  # fmt: skip


def report(
    streams: Sequence[tuple[str, list[Seen]]], by_kind: Mapping[str, Sequence[Trial]], bounds: Bounds
) -> dict[str, object]:
    """What the bounds make of these key frames; the first three figures are the worst of the kinds that are claimed."""
    sound = [seen for place, seen in streams if place != "put_down"]
    put_down = [seen for place, seen in streams if place == "put_down"]
    kinds: dict[str, dict[str, object]] = {}
    claimed: list[Figure] = []
    for finding in FAULTS:
        every = by_kind[finding]
        faults = [each for each in every if each.place not in CANNOT[finding]]
        rest = [each for each in every if each.place in CANNOT[finding]]
        one = figure(finding, faults, sound, ours(bounds))
        kinds[finding] = one.report() | {
            "rule": bounds.rule(finding), "curve": curve(finding, faults, sound, bounds), "baseline": baseline(finding, faults, sound),
        }  # fmt: skip
        if rest:
            kinds[finding]["not_claimed"] = figure(finding, rest, [], ours(bounds)).report()
        claimed += [one] if finding != "upside_down" else []
    put = figure("frozen", [], put_down, ours(bounds))
    kinds["frozen"]["put_down"] = {"streams": len(put_down), "alarms": put.false_alarms}
    return {
        "recall": min(each.recall for each in claimed),
        "false_alarms_per_hour": max(each.false_alarms_per_hour for each in claimed),
        "delay_s_p95": max(each.delay_s_p95 for each in claimed),
        "kinds": kinds,
    }  # fmt: skip


def flow_figures(count: int, seed: int, bounds: Bounds) -> dict[str, object]:
    """What sizes alone tell, on whole coded streams. False alarms: a minute for each fault."""
    told: dict[str, object] = {
        finding: analysis_pictures_flow.told(finding, count, seed, bounds) for finding in FlowWatch.WANTED
    }
    return told | {"quiet": analysis_pictures_flow.quiet(count, seed, bounds)}


def _wilson(hit: int, count: int) -> tuple[float, float]:
    """95 %. Source: Wilson, JASA 22 (1927)."""
    if not count:
        return 0.0, 1.0
    z, share = 1.959964, hit / count
    middle, half = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, (middle - half) / (1 + z * z / count)), min(1.0, (middle + half) / (1 + z * z / count))


def _poisson_high(count: int) -> float:
    """Upper end of the one-sided 95 % interval of a count (3.0 for none), by bisection."""
    low, high = float(count), count * 2.0 + 10
    for _ in range(60):
        rate = (low + high) / 2
        below = (
            sum(math.exp(-rate + k * math.log(rate) - math.lgamma(k + 1)) for k in range(count + 1)) if rate else 1.0
        )
        low, high = (rate, high) if below > 0.05 else (low, rate)
    return high


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tuning", action="store_true", help="the seeds that bounds were chosen on")
    parser.add_argument("--seed", type=int, default=HELD_OUT)
    asked = parser.parse_args()
    json.dump(run(asked.hours, asked.trials, TUNING if asked.tuning else asked.seed, asked.jobs), sys.stdout, indent=1)
