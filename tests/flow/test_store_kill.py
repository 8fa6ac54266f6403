"""SIGKILL while facts are appended and heads are signed: what was acknowledged is there, once, and the log is whole."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from cases import timeline
from cases.custody.check import check
from cases.store.engine import migrate, open_store
from pipeline.settings import StoreSettings
from tests.store_child import AT_ONCE, STEPS, STOP_AT, STOPPED, Step

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("ONRECORD_TEST_KILLS", "8"))


def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    anyio.run(migrate, StoreSettings(), tmp_path)
    chance = random.Random(5)
    acknowledged = 0
    for _ in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.store_child", str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.random() * 0.25)  # somewhere between any two steps
        child.kill()
        said = [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        child.wait()
        acknowledged = max([acknowledged, *said])
        size, defects = anyio.run(looked_at, tmp_path)
        assert size >= acknowledged
        assert defects == []
    assert acknowledged > 7 * KILLS


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_each_step_of_an_append_leaves_all_of_it_or_nothing_and_doubles_nothing(
    tmp_path: Path, step: Step
) -> None:
    anyio.run(migrate, StoreSettings(), tmp_path)
    said = killed(tmp_path, 0, STOPPED, {STOP_AT: step})
    acknowledged = 2 * AT_ONCE
    assert said == [str(AT_ONCE), str(acknowledged), STOPPED]
    size, defects = anyio.run(looked_at, tmp_path)
    assert size == acknowledged + (AT_ONCE if step == "after the commit" else 0)
    assert defects == []
    wanted = str(acknowledged + 2 * AT_ONCE)
    assert killed(tmp_path, acknowledged, wanted, {})[-1] == wanted  # who got no answer says the same again
    size, defects = anyio.run(looked_at, tmp_path)
    assert size >= acknowledged + 2 * AT_ONCE
    assert defects == []


def killed(data: Path, first: int, last: str, environment: dict[str, str]) -> list[str]:
    """What the child said, up to the line `last`, upon which it is killed."""
    command = [sys.executable, "-m", "tests.store_child", str(data), str(first)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as child:  # fmt: skip
        assert child.stdout is not None
        said = []
        for line in child.stdout:
            said.append(line.strip())
            if said[-1] == last:
                break
        child.kill()
    return said


async def looked_at(data: Path) -> tuple[int, list[str]]:
    """How many facts there are, each once and in its place, and what `onrecord verify` says."""
    async with open_store(StoreSettings(), data) as store, store.reading() as connection:
        stored = await timeline.after(connection, -1, 1_000_000)
    assert [each.fact.event_id for each in stored] == [f"ev_{n}" for n in range(len(stored))]
    return len(stored), [each.defect async for each in check(data, StoreSettings())]
