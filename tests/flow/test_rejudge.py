"""Many cases judged again by a console that is killed midway: nothing is lost, nothing told twice, no process left."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import anyio
import pytest

from cases.appender import Appender
from cases.casework import attaching, case_acts, kinds, recordings
from cases.casework.actor import Actor
from cases.casework.case_acts import CaseWanted
from cases.facts import fact_of
from cases.judgement.findings import Findings
from pipeline.events import Event, RecordingStarted, StreamEnded, StreamStarted, WordsHeard
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.serving import Server, environment, onrecord, until
from tests.stores import opened

pytestmark = pytest.mark.slow

AT = 1_790_000_000.0
CASES = 24
WORDS = 150
SAID = (
    "您好，我们是市场监督管理局的执法人员", "现在全程录音录像", "冰柜里的牛奶已经过期了", "你有权进行陈述和申辩",
    "票据都在会计那里", "这个红包您务必收下",
)  # fmt: skip
LONG_S = 120.0  # for a machine with much else to do


async def _make(data: Path) -> None:
    """Cases that are alike: an inspection of ten minutes each."""
    clock = ManualClock(AT, 0.0)
    async with opened(StoreSettings(), data) as store, anyio.create_task_group() as tasks:
        appender = await Appender.load(store, clock, [attaching.Attaching(), Findings()])
        tasks.start_soon(appender.run)
        for number in range(CASES):
            await _case(appender, str(number))
        tasks.cancel_scope.cancel()


async def _case(appender: Appender, number: str) -> None:
    def actor(at_s: float) -> Actor:
        return Actor("prin_1", "林晓岚", round((AT + at_s) * 1e6), f"{number} {at_s}")

    wanted = CaseWanted(number=number, kind="food", class_="ordinary", title="超市案", party="")
    case = await appender.change(partial(case_acts.open_case, actor=actor(0), wanted=wanted))
    step = await appender.change(
        partial(case_acts.start_step, actor=actor(0), case_id=case.case_id, kind="inspection", kinds=kinds.load())
    )
    stream, recording = f"st_{number}", f"rec_{number}"
    said = [
        WordsHeard(
            at=AT + 4.0 * at, stream_id=stream, recording_id=recording, start_s=4.0 * at, end_s=4.0 * at + 3,
            text=SAID[at % len(SAID)], normal="", word_times="", language="zh", confidence=0.9, is_doubtful=False,
            speaker="other" if at % len(SAID) == len(SAID) - 1 else "wearer", model="small@1",
        )
        for at in range(WORDS)
    ]  # fmt: skip
    begun: tuple[Event, ...] = (
        StreamStarted(at=AT, stream_id=stream, device_id="dev"),
        RecordingStarted(at=AT, stream_id=stream, recording_id=recording, device_id="dev"),
    )
    over = StreamEnded(at=AT + 600, stream_id=stream, pts_s=600.0, reason="ended")
    await appender.append([fact_of(event) for event in (*begun, *said, over)])
    attach = partial(recordings.attach, actor=actor(1), case_id=case.case_id, recording_id=recording, step_id=None)
    await appender.change(attach)
    await appender.change(partial(case_acts.end_step, actor=actor(600), case_id=case.case_id, step_id=step.step_id))


def judged(server: Server, kind: str) -> list[Counter[str]]:
    """Of each case what was told, and how often."""
    found = []
    for case in server.ask("/api/v1/cases?limit=100").items():
        asked = f"/api/v1/cases/{case['case_id']}/timeline?kinds={kind}&limit=200"
        told = server.ask(asked).items()
        found.append(Counter(f"{each.get('duty') or each.get('finding')} {each.get('verdict')}" for each in told))
    return found


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_console_that_is_killed_midway_loses_nothing_and_the_next_one_tells_each_verdict_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    anyio.run(_make, data)
    slips = data / "analysis" / "judgements"
    command = [sys.executable, "-m", "api.cli", "rules", "rejudge", "--processes", "1"]
    with subprocess.Popen(command, env=environment(data), stdout=subprocess.DEVNULL) as console:
        until(lambda: any(slips.glob("*.jsonl")), "the first case is judged", LONG_S)
        helpers = children_of(console.pid)
        console.send_signal(signal.SIGKILL)
    left = len(list(slips.glob("*.jsonl")))
    assert 0 < left < CASES, "midway"
    assert helpers
    until(lambda: not any(Path(f"/proc/{pid}/fd").is_dir() and _is_alive(pid) for pid in helpers), "its processes end")

    done = subprocess.run([*command, "--json"], env=environment(data), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["cases"]) == CASES
    with Server(data) as server:
        until(lambda: not any(slips.glob("*.jsonl")), "the server told it", LONG_S)
        verdicts, findings = judged(server, "ProcedureJudged"), judged(server, "FindingRaised")
    assert len(verdicts) == CASES
    assert verdicts == [verdicts[0]] * CASES, "those that were judged twice too"
    assert set(verdicts[0].values()) == {1}
    assert verdicts[0]["identity_stated observed"] == 1
    assert findings == [findings[0]] * CASES
    assert findings[0]

    again = onrecord(data, "rules", "rejudge", "--processes", "1", "--case", "1", "--json")
    assert json.loads(again.stdout)["cases"][0]["changed"] == []


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
