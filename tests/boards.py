"""Boards of every kind behind one face, for tests that hold all of them to one contract."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal

import anyio
from anyio.abc import TaskGroup

from pipeline.analyse.board import Caption, DeskBoard, Ended, Report, Work, WorkerBoard
from pipeline.analyse.local_board import LocalBoard
from pipeline.analyse.pipe_board import PipeBoard
from pipeline.analyse.pipe_desk import serve_pipe
from pipeline.analyse.redis_board import RedisBoard
from pipeline.analyse.stdio import PipeReader, PipeWriter
from pipeline.clock import SystemClock
from pipeline.events import WordsHeard

Kind = Literal["local", "pipe", "redis"]
LEASE_S = 0.5
MOST_TRIES = 2


@dataclass(frozen=True, slots=True)
class Table:
    """A board as its users see it. worker: by its id, each with a connection of its own. desk_again: a server anew."""

    desk: DeskBoard
    worker: Callable[[str], WorkerBoard]
    desk_again: Callable[[], DeskBoard]


@contextlib.asynccontextmanager
async def laid(kind: Kind, url: str, prefix: str, lease_s: float = LEASE_S) -> AsyncIterator[Table]:
    """An empty board. url, prefix: of Redis."""
    if kind == "redis":
        async with over_redis(url, prefix, lease_s) as table:
            yield table
        return
    board = LocalBoard(lease_s, MOST_TRIES, SystemClock())
    if kind == "local":
        yield Table(board, lambda _: board, lambda: board)
        return
    async with anyio.create_task_group() as group:
        yield Table(board, lambda worker_id: piped(board, worker_id, group), lambda: board)
        group.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def over_redis(url: str, prefix: str, lease_s: float = LEASE_S) -> AsyncIterator[Table]:
    made: list[RedisBoard] = []

    def board() -> RedisBoard:
        made.append(RedisBoard(url, prefix, lease_s, MOST_TRIES, timeout_s=1.0))
        return made[-1]

    try:
        yield Table(board(), lambda _: board(), board)
    finally:
        for each in made:
            await each.aclose()


def piped(board: LocalBoard, worker_id: str, group: TaskGroup) -> PipeBoard:
    """A worker's side over two pipes of the system."""
    calls, calls_in = os.pipe()
    answers, answers_in = os.pipe()
    group.start_soon(serve_pipe, board, worker_id, PipeReader(calls), PipeWriter(answers_in))
    worker = PipeBoard(PipeReader(answers), PipeWriter(calls_in))
    group.start_soon(worker.run)
    return worker


def work(name: str) -> Work:
    return Work(name, "live", "speech", f"st_{name}", f"rec_{name}", 1_700_000_000.25, hot_words=("执法", "记录仪"))


def report(work_id: str, token: int, number: int, state: Literal["running", "done", "failed"] = "running") -> Report:
    """With words, a caption and a span, as a worker tells them."""
    heard = WordsHeard(
        at=1_700_000_000.5,
        stream_id=f"st_{work_id}",
        recording_id=f"rec_{work_id}",
        start_s=float(number),
        end_s=number + 0.9,
        text="请出示营业执照。",
        normal="",
        word_times="0-300 请\n300-900 出示",
        language="zh",
        confidence=0.83,
        is_doubtful=False,
        speaker="wearer",
        model="made@1",
    )
    caption = Caption(f"st_{work_id}", number, float(number), number + 0.9, "请出示", 2, False, 0.4)
    return Report(
        work_id, token, number, (heard,), (caption,), number - 1.0, float(number), "made@1", state, f"is {state}"
    )


async def drained(desk: DeskBoard, count: int) -> list[Report | Ended]:
    """The next `count`, each taken. Raises: TimeoutError: there are not as many."""
    items: list[Report | Ended] = []
    with anyio.fail_after(10):
        while len(items) < count:
            told = await desk.take()
            await desk.taken(told)
            items += told
    return items


async def is_quiet(desk: DeskBoard, quiet_s: float = 0.1) -> bool:
    """Nothing is told for a while."""
    with anyio.move_on_after(quiet_s):
        await desk.take()
        return False
    return True


async def is_idle(worker: WorkerBoard, idle_s: float = 0.1) -> bool:
    """There is nothing to claim for a while."""
    with anyio.move_on_after(idle_s):
        await worker.claim("idle")
        return False
    return True
