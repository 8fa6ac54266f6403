"""A worker process's root: what one lease does wrong ends no other."""

from pathlib import Path

import anyio
import pytest

from pipeline.analyse.board import Ended, Lease, Work
from pipeline.analyse.local_board import LocalBoard
from pipeline.analyse.looking import Looking
from pipeline.analyse.order import Order
from pipeline.clock import SystemClock
from pipeline.worker import Worker

pytestmark = pytest.mark.anyio
LEASE_S = 1.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Breaking(Worker):
    """Cannot do what is called `poison`; all else waits until it is ended."""

    def has(self, names: set[str]) -> bool:
        return {lease.work.work_id for lease in self._scopes} == names

    async def _looking(self, lease: Lease) -> Looking:
        if lease.work.work_id == "poison":
            raise ValueError("a picture of (8, 8)")
        await anyio.sleep_forever()
        raise AssertionError


def work(name: str) -> Work:
    return Work(name, "live", "signal", f"st_{name}", f"rec_{name}", 0.0)


async def test_a_worker_that_is_told_to_end_gives_back_what_it_has(tmp_path: Path) -> None:
    board = LocalBoard(60.0, 2, SystemClock())
    worker = Breaking(Order("one", "http://127.0.0.1:1", "token", data=str(tmp_path), lease_s=60.0), board)
    names = {"a", "b", "c"}
    for name in names:
        await board.offer(work(name))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        with anyio.fail_after(30):
            while not worker.has(names):
                await anyio.sleep(0.01)
        await worker.stop()
        tasks.cancel_scope.cancel()
    free = [board.claim_nowait("other") for _ in names]
    assert {lease.work.work_id for lease in free if lease is not None} == names
    assert board.take_nowait() is None, "nobody failed"


async def test_work_that_breaks_its_worker_loses_its_own_lease_alone(tmp_path: Path) -> None:
    board = LocalBoard(LEASE_S, 2, SystemClock())
    worker = Breaking(Order("one", "http://127.0.0.1:1", "token", data=str(tmp_path), lease_s=LEASE_S), board)
    await board.offer(work("sound"))
    await board.offer(work("poison"))
    ends: list[object] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        with anyio.fail_after(30):
            while len(ends) < 2:
                told = await board.take()
                await board.taken(told)
                ends += told
        tasks.cancel_scope.cancel()
    assert ends == [
        Ended(work("poison"), tries, tries == 2, "the lease was not renewed") for tries in (1, 2)
    ]  # fmt: skip
