"""How fast past cases are judged again, through store, rules, kept rows and processes; on cases that are made here.

Each is an hour with two steps, recorded by one device or two, at the density of words and rows that an inspection has,
with holes, doubtful words and a loud event. What is counted is the CPU time of all processes together, so that it holds
on a busy machine too, and the wall's time beside it.
"""

import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import numpy as np

from api.bench.analysis_pictures import sound_footage
from api.bench.analysis_rules import utterances
from api.bench.analysis_sounds_events import EVENTS
from api.bench.analysis_sounds_places import HELD_OUT, PLACES, heard, microphone, voices
from cases.appender import Appender
from cases.casework import case_acts, kinds, recordings
from cases.casework.actor import Actor
from cases.casework.attaching import Attaching
from cases.casework.case_acts import CaseWanted
from cases.facts import Fact, fact_of
from cases.judgement.findings import Findings
from cases.judgement.many import all_cases, judge_many
from cases.judgement.rejudge import Again
from cases.rules.ruleset import FOLDER
from cases.store.engine import Store, migrate, open_store
from models.signal.pictures import PictureRow
from models.signal.sounds import ROW_S, SoundMeter, SoundRow
from pipeline.analyse.rows import Row, Rows, form_of
from pipeline.analyse.signal_label import FOLDER as BOUNDS
from pipeline.analyse.signal_label import adopt
from pipeline.clock import SystemClock
from pipeline.events import (
    AnalysisGap,
    Event,
    MediaLost,
    RecordingStarted,
    StreamEnded,
    StreamInterrupted,
    StreamResumed,
    StreamStarted,
    WordsHeard,
)
from pipeline.settings import StoreSettings

CASES: Final = 30
WORDS_A_MINUTE: Final = 3.5
"""Utterances, of one device."""
_AT: Final = 1_790_000_000.0
_NOW: Final = _AT + 36_000
_HOUR_S: Final = 3600.0
_FIRST_STEP_S: Final = 2400.0
_DOUBTFUL: Final = 0.1
_PIECE_S: Final = 60
_EVENT_S: Final = 32


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Rows that were really measured, in the sound of places and in pictures of a street."""

    calm: tuple[tuple[SoundRow, ...], ...]
    events: tuple[tuple[SoundRow, ...], ...]
    pictures: tuple[PictureRow, ...]


def run(cases: int = CASES, processes: int = 1) -> dict[str, object]:
    """case_hours_per_minute: on one core, by CPU time, when a rule of words was changed; an hour of a recording is one.

    by: `first`: rows that nobody judged before; `changed_rules`: again, by another set; `changed_bounds`: by other
    bounds of pictures and sound, so that all rows are judged anew.
    """
    with tempfile.TemporaryDirectory(prefix="onrecord-bench-") as folder:
        by = anyio.run(_run, Path(folder), cases, processes)
    return {"case_hours_per_minute": by["changed_rules"]["case_hours_per_minute"], **_material(cases), "by": by}


def _material(cases: int) -> dict[str, object]:
    return {
        "cases": cases, "case_hours": sum(map(_devices, range(cases))), "processes_nice": 10,
        "utterances_a_minute": WORDS_A_MINUTE, "rows_a_second": 1 + 1 / ROW_S,
    }  # fmt: skip


async def _run(folder: Path, cases: int, processes: int) -> dict[str, dict[str, float]]:
    settings = StoreSettings()
    await migrate(settings, folder)
    async with open_store(settings, folder) as store:
        appender = await Appender.load(store, SystemClock(), [Attaching(), Findings()])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            pieces, drawn = _pieces(), random.Random(1)  # the same cases every time
            for number in range(cases):
                await _case(appender, folder, pieces, number, drawn)
            adopt(folder)
            by = {"first": await _judged(store, appender, folder, FOLDER, processes)}
            by["changed_rules"] = await _judged(store, appender, folder, _changed_rules(folder), processes)
            adopt(folder, _changed_bounds(folder))
            by["changed_bounds"] = await _judged(store, appender, folder, _changed_rules(folder), processes)
            tasks.cancel_scope.cancel()
    return by


async def _judged(
    store: Store, appender: Appender, data: Path, rules: Path, processes: int
) -> dict[str, float]:  # fmt: skip
    """All cases, and what came of it told. The last case alone is judged before: what a start costs is told apart."""
    case_ids = await all_cases(store)
    start_s, _ = await _spent(store, appender, data, case_ids[-1:], rules, processes)
    began_s = time.perf_counter()
    spent_s, again = await _spent(store, appender, data, case_ids[:-1], rules, processes)
    wall_s, hours = time.perf_counter() - began_s, sum(each.seconds for each in again) / _HOUR_S
    per_hour_s = max(spent_s - start_s, 1e-9) / hours  # the start holds a case too: that much too little is counted
    per_hour_s += per_hour_s / max(1, len(again))
    return {
        "case_hours_per_minute": round(60 / per_hour_s), "cpu_ms_per_case_hour": round(per_hour_s * 1000, 1),
        "start_cpu_s": round(start_s, 2), "wall_s": round(wall_s, 2),
        "case_hours_per_minute_by_the_wall_with_start": round(hours / wall_s * 60),
        "verdicts_changed": sum(len(each.changed) for each in again), "raised": sum(each.raised for each in again),
        "unchanged": sum(each.unchanged for each in again),
        "not_raised_now": sum(each.not_raised_now for each in again),
    }  # fmt: skip


async def _spent(
    store: Store, appender: Appender, data: Path, case_ids: Sequence[str], rules: Path, processes: int
) -> tuple[float, list[Again]]:
    """CPU time of this process and of all that it started."""
    began_s, found = _cpu_s(), list[Again]()
    async for _, again in judge_many(store, data, case_ids, _NOW, processes, rules):
        found.append(again)
        await appender.append([each if isinstance(each, Fact) else fact_of(each) for each in again.told])
    return _cpu_s() - began_s, found


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _changed_rules(folder: Path) -> Path:
    """The rules in force but for one number of the first duty that has a deadline."""
    place = folder / "rules"
    if not place.is_dir():
        shutil.copytree(FOLDER, place)
        for path in sorted((place / "procedure").glob("*.yaml")):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            at = next((number for number, line in enumerate(lines) if line.strip().startswith("within_s:")), None)
            if at is not None:
                lines[at] = lines[at].rstrip() + "1\n"
                path.write_text("".join(lines), encoding="utf-8")
                break
    return place


def _changed_bounds(folder: Path) -> Path:
    place = Path(shutil.copytree(BOUNDS, folder / "bounds"))
    path = place / "sounds.yaml"
    said = path.read_text(encoding="utf-8")
    path.write_text(said.replace("leave_s: 3", "leave_s: 4", 1), encoding="utf-8")
    return place


def _pieces() -> _Pieces:
    draw, said = np.random.default_rng(1), voices(HELD_OUT, (40.0, 77.0))

    def measured(sound: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> tuple[SoundRow, ...]:
        return tuple(SoundMeter().feed(0.0, sound))

    calm = tuple(measured(microphone(heard(draw, place, _PIECE_S, said))) for place in PLACES)
    events = tuple(
        measured(make(draw, heard(draw, "office", _EVENT_S, said, 0.0), said, _EVENT_S / 2).sound)
        for make in EVENTS.values()
    )
    _, seen = sound_footage(1, 1)
    return _Pieces(calm, events, tuple(each.row for each in seen))


def _rows(pieces: _Pieces, drawn: random.Random) -> Iterator[Row]:
    """Of an hour, in which something is loud or lost about once."""
    form, at = form_of(PictureRow), 0
    for second in range(round(_HOUR_S)):
        yield Row("picture", form, second + 0.04, pieces.pictures[second % len(pieces.pictures)].values())
    while at < _HOUR_S / ROW_S:
        piece = drawn.choice(pieces.events if drawn.random() < _PIECE_S / _HOUR_S else pieces.calm)
        for row in piece[: round(_HOUR_S / ROW_S) - at]:
            yield Row("sound", form_of(SoundRow), at * ROW_S, astuple(replace(row, at_s=at * ROW_S)))
            at += 1


def _devices(number: int) -> int:
    return 1 + number % 2


def _words(number: int, device: int, drawn: random.Random) -> Iterator[WordsHeard]:
    count = round(WORDS_A_MINUTE * _HOUR_S / 60)
    names = {"officer": "wearer", "other": "other", "unknown": "unknown"}
    stream, recording = f"st_{number}_{device}", f"rec_{number}_{device}"
    said = utterances(count * (number + 2))[-count:]  # no case says what another one says
    for at, each in enumerate(said):
        start_s = round(at * _HOUR_S / count + device * 5 + drawn.random() * 4, 3)
        yield WordsHeard(
            at=_AT + start_s, stream_id=stream, recording_id=recording, start_s=start_s, end_s=start_s + 4.0,
            text=each.text, normal="", word_times="0-3000 x\n" * 20, language="zh", confidence=0.9,
            is_doubtful=drawn.random() < _DOUBTFUL, speaker=names[each.speaker], model="bench@1",
        )  # fmt: skip


def _holes(number: int, device: int, drawn: random.Random) -> Iterator[Event]:
    stream, recording = f"st_{number}_{device}", f"rec_{number}_{device}"
    for at_s in sorted(drawn.sample(range(60, 3500, 60), 3)):
        yield AnalysisGap(
            at=_AT + at_s, stream_id=stream, recording_id=recording, start_s=float(at_s), end_s=at_s + 2.0,
            stage="speech", cause="behind",
        )  # fmt: skip
    lost_s = float(drawn.randrange(100, 3400))
    yield StreamInterrupted(at=_AT + lost_s, stream_id=stream, pts_s=lost_s, reason="closed")
    yield StreamResumed(at=_AT + lost_s + 6, stream_id=stream, start_s=lost_s, end_s=lost_s + 6)
    yield MediaLost(
        at=_AT + lost_s, stream_id=stream, recording_id=recording, start_s=lost_s, end_s=lost_s + 6, cause="network"
    )


async def _case(appender: Appender, data: Path, pieces: _Pieces, number: int, drawn: random.Random) -> None:
    """An hour: an inspection, then a questioning."""

    def actor(at_s: float) -> Actor:
        return Actor("bench", "bench", round((_AT + at_s) * 1e6), f"{number} {at_s}")

    wanted = CaseWanted(number=str(number), kind="food", class_="ordinary", title="x", party="")
    case = await appender.change(partial(case_acts.open_case, actor=actor(0), wanted=wanted))
    step_kinds = kinds.load()
    first, second = [
        await appender.change(
            partial(case_acts.start_step, actor=actor(at_s), case_id=case.case_id, kind=kind, kinds=step_kinds)
        )
        for at_s, kind in ((0.0, "inspection"), (_FIRST_STEP_S, "questioning"))
    ]
    rows = Rows(data / "analysis" / "measures")
    for device in range(_devices(number)):
        stream, recording = f"st_{number}_{device}", f"rec_{number}_{device}"
        told: tuple[Event, ...] = (
            StreamStarted(at=_AT, stream_id=stream, device_id=f"dev_{device}"),
            RecordingStarted(at=_AT, stream_id=stream, recording_id=recording, device_id=f"dev_{device}"),
            *_words(number, device, drawn), *_holes(number, device, drawn),
            StreamEnded(at=_AT + _HOUR_S, stream_id=stream, pts_s=_HOUR_S, reason="ended"),
        )  # fmt: skip
        await appender.append([fact_of(event) for event in told])
        await appender.change(
            partial(
                recordings.attach, actor=actor(1), case_id=case.case_id, recording_id=recording,
                step_id=(first, second)[device].step_id if device else None,
            )
        )  # fmt: skip
        rows.write(recording, "".join(f"{row.line()}\n" for row in _rows(pieces, drawn)))
    for step, at_s in ((first, _FIRST_STEP_S), (second, _HOUR_S)):
        act = partial(case_acts.end_step, actor=actor(at_s), case_id=case.case_id, step_id=step.step_id)
        await appender.change(act)


def main() -> None:
    """`python -m api.bench.rejudge [cases] [processes]`"""
    numbers = [int(each) for each in sys.argv[1:]]
    load = os.getloadavg()[0]
    report = run(*numbers)
    told = json.dumps({**report, "load": [round(load, 1), round(os.getloadavg()[0], 1)]}, indent=2)
    sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    main()
