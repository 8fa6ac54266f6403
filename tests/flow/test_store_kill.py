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


async def looked_at(data: Path) -> tuple[int, list[str]]:
    """How many facts there are, each once and in its place, and what `onrecord verify` says."""
    async with open_store(StoreSettings(), data) as store, store.reading() as connection:
        stored = await timeline.after(connection, -1, 1_000_000)
    assert [each.fact.event_id for each in stored] == [f"ev_{n}" for n in range(len(stored))]
    return len(stored), [each.defect async for each in check(data, StoreSettings())]
