"""How fast past cases are judged again: made cases of an hour of speech each, through store, rules and processes."""

import os
import random
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from cases.appender import Appender
from cases.casework import case_acts, kinds, recordings
from cases.casework.actor import Actor
from cases.casework.attaching import Attaching
from cases.casework.case_acts import CaseWanted
from cases.facts import fact_of
from cases.judgement.book import Book
from cases.judgement.findings import Findings
from cases.judgement.many import all_cases, judge_many
from cases.judgement.rejudge import Kept, judged, kept_of
from cases.rules.ruleset import load
from cases.store.engine import Store, migrate, open_store
from pipeline.clock import SystemClock
from pipeline.events import Event, RecordingStarted, StreamEnded, StreamStarted, WordsHeard
from pipeline.settings import StoreSettings

HOURS: Final = 60
UTTERANCES: Final = 300
"""Of an hour of an inspection."""
_AT: Final = 1_790_000_000.0
_HOUR_S: Final = 3600.0
_SAID: Final = (
    "您好，我们是市场监督管理局的执法人员", "这是我们的执法证件，请您过目", "今天来主要是检查一下你们店的经营情况",
    "你们的营业执照和许可证在哪里", "进货的票据有没有", "这个批次的酸奶已经过期两天了", "我们现在全程录音录像",
    "你对我们两个人要不要申请回避", "老板不在，我给他打个电话", "这个是昨天刚到的货", "冷柜的温度记录看一下",
    "你们多久做一次自查", "好的", "对，没有错", "这些先放在旁边", "请你如实回答", "标签上的生产日期看不清楚",
    "我们去仓库看看", "你有权进行陈述和申辩", "最后请你核对一下清单，没有问题就签字",
)  # fmt: skip


def run(hours: int = HOURS, processes: int | None = None) -> dict[str, object]:
    """case_hours_per_minute: with all processes, from the second case on, when each has its rules; of this machine.

    cpu_s_per_case_hour: of one process, rules and reading of facts apart; speed on a machine that is busy follows from it.
    """
    with tempfile.TemporaryDirectory(prefix="onrecord-bench-") as folder:
        return anyio.run(_run, Path(folder), hours, processes or os.cpu_count() or 1)


async def _run(folder: Path, hours: int, processes: int) -> dict[str, object]:
    settings = StoreSettings()
    await migrate(settings, folder)
    async with open_store(settings, folder) as store:
        await _fill(store, hours)
        case_ids = await all_cases(store)
        began_s = first_s = 0.0
        began_s = time.perf_counter()
        async for _ in judge_many(store, folder, case_ids, _AT + 10 * _HOUR_S, processes):
            first_s = first_s or time.perf_counter()
        took_s = time.perf_counter() - first_s
        cpu_s, told = await _alone(store, case_ids[: min(10, hours)])
    return {
        "case_hours": hours, "utterances_per_hour": UTTERANCES, "processes": processes,
        "start_s": round(first_s - began_s, 2), "seconds": round(took_s, 2),
        "case_hours_per_minute": round((hours - 1) / took_s * 60), "cpu_s_per_case_hour": round(cpu_s, 4),
        "case_hours_per_minute_and_core": round(60 / cpu_s), "facts_told_per_case": told,
    }  # fmt: skip


async def _alone(store: Store, case_ids: list[str]) -> tuple[float, int]:
    book, kept = Book.of(load()), list[Kept]()
    began_s = time.process_time()
    for case_id in case_ids:
        async with store.reading() as connection:
            kept.append(await kept_of(connection, case_id))
    told = [len(judged(book, each, _AT + 10 * _HOUR_S).told) for each in kept]
    return (time.process_time() - began_s) / len(case_ids), round(sum(told) / len(told))


async def _fill(store: Store, hours: int) -> None:
    drawn = random.Random(1)  # the same cases every time
    appender = await Appender.load(store, SystemClock(), [Attaching(), Findings()])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(appender.run)
        for number in range(hours):
            await _case(appender, number, drawn)
        tasks.cancel_scope.cancel()


async def _case(appender: Appender, number: int, drawn: random.Random) -> None:
    """An inspection of one hour, recorded by one device from beginning to end."""
    stream, recording = f"st_{number}", f"rec_{number}"
    actor = Actor("bench", "bench", round(_AT * 1e6), str(number))
    wanted = CaseWanted(number=str(number), kind="food", class_="ordinary", title="x", party="")
    case = await appender.change(partial(case_acts.open_case, actor=actor, wanted=wanted))
    step = await appender.change(
        partial(case_acts.start_step, actor=actor, case_id=case.case_id, kind="inspection", kinds=kinds.load())
    )
    words = [
        WordsHeard(
            at=_AT + start_s, stream_id=stream, recording_id=recording, start_s=start_s, end_s=start_s + 3.0,
            text=f"{drawn.choice(_SAID)}，{drawn.choice(_SAID)}", normal="", word_times="0-3000 x\n" * 20,
            language="zh", confidence=0.9, is_doubtful=drawn.random() < 0.1, speaker=drawn.choice(("wearer", "other")),
            model="bench@1",
        )
        for start_s in (_HOUR_S / UTTERANCES * each for each in range(UTTERANCES))
    ]  # fmt: skip
    told: tuple[Event, ...] = (
        StreamStarted(at=_AT, stream_id=stream, device_id="dev"),
        RecordingStarted(at=_AT, stream_id=stream, recording_id=recording, device_id="dev"),
        *words,
        StreamEnded(at=_AT + _HOUR_S, stream_id=stream, pts_s=_HOUR_S, reason="ended"),
    )
    await appender.append([fact_of(event) for event in told])
    attach = partial(recordings.attach, actor=actor, case_id=case.case_id, recording_id=recording, step_id=step.step_id)
    await appender.change(attach)
    over = Actor("bench", "bench", round((_AT + _HOUR_S) * 1e6))
    await appender.change(partial(case_acts.end_step, actor=over, case_id=case.case_id, step_id=step.step_id))
