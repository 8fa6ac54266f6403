"""What the sizes of pictures tell on whole streams, coded with the rate control of a camera."""

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np

from api.bench.analysis_pictures_coded import Luma, Unit, stream
from api.bench.analysis_pictures_scenes import KINDS, Footage
from models.signal.bounds import Bounds
from models.signal.flow_watch import FlowWatch
from models.signal.noticed import Noticed

_WIDTH, _HEIGHT = 320, 180
_RATE: Final = 12
_BITS_PER_S: Final = (
    150_000  # 0.2 bits a pixel: as 1080p with 25 pictures has at 10 Mbit/s; small pictures need more each
)
_FAULT_AT_S, _FAULT_S, _WHOLE_S = 14.0, 6.0, 26
_FINEST: Final = {"qmin": "18"}  # as cameras have one; without it x264 refines a frozen picture with all of its bits


def told(finding: str, count: int, seed: int, bounds: Bounds) -> dict[str, object]:
    """Of `frozen` or `stream_thin`: recall within 2 s over places in turn, delays, and other alarms on the same streams."""
    delays, strays, ended = [], 0, 0
    for number in range(count):
        start_s = _FAULT_AT_S + float(np.random.default_rng([seed, number]).uniform(0, 1))
        end_s = start_s + _FAULT_S
        units = _stream(KINDS[number % len(KINDS)], seed + number, start_s if finding == "frozen" else None, end_s)
        if finding == "stream_thin":
            units = (each for index, each in enumerate(units) if not start_s <= each.at_s < end_s or index % 6 == 0)
        alarms = [(each.finding, each.is_end, at_s) for at_s, each in _watched(units, bounds)]
        begun = [at_s for name, is_end, at_s in alarms if name == finding and not is_end and start_s <= at_s < end_s]
        delays.append(begun[0] - start_s if begun else np.inf)
        strays += sum(
            1 for name, is_end, at_s in alarms if not is_end and not (name == finding and start_s <= at_s < end_s)
        )
        ended += any(is_end and end_s <= at_s <= end_s + 3 for name, is_end, at_s in alarms if name == finding)
    known = [each for each in delays if np.isfinite(each)]
    return {
        "trials": count, "recall": round(sum(each <= 2 for each in delays) / max(count, 1), 4),
        "delay_s_p95": round(float(np.quantile(known, 0.95)), 2) if known else None,
        "ended_within_3_s": round(ended / max(len(known), 1), 4), "other_alarms": strays,
    }  # fmt: skip


def quiet(minutes: float, seed: int, bounds: Bounds) -> dict[str, object]:
    """False alarms on streams without fault; a third of them on a tripod, where a frozen picture is nearest."""
    alarms: dict[str, int] = dict.fromkeys(FlowWatch.WANTED, 0)
    streams = max(1, round(minutes))
    for number in range(streams):
        place = "tripod" if number % 3 == 0 else KINDS[number % len(KINDS)]
        for _, each in _watched(_stream(place, seed + 7_000 + number, None, 0, whole_s=60), bounds):
            alarms[each.finding] += not each.is_end
    return {"hours": round(streams / 60, 3), "false_alarms": alarms}


def _stream(place: str, seed: int, freezes_s: float | None, end_s: float, whole_s: int = _WHOLE_S) -> Iterator[Unit]:
    def pictures() -> Iterator[Luma]:
        footage, held = Footage(place, seed), None
        for number in range(whole_s * _RATE):
            t = number / _RATE
            if freezes_s is None or not freezes_s <= t < end_s or held is None:
                held = cv2.resize(footage.picture(t), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
            yield np.asarray(held, np.uint8)

    return stream(pictures(), _RATE, _BITS_PER_S, _RATE, _FINEST)


def _watched(units: Iterator[Unit], bounds: Bounds) -> Iterator[tuple[float, Noticed]]:
    watch, at_s = FlowWatch(bounds), 0.0
    for unit in units:
        at_s = unit.at_s
        for each in watch.feed(unit.at_s, unit.size_bytes, unit.is_key, True):
            yield at_s, each
