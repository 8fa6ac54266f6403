"""A worker's pipe: what closes it, what spoils it, and what then becomes of its leases."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from pipeline.analyse.board import Ended
from pipeline.analyse.local_board import LocalBoard
from pipeline.analyse.pipe_board import MOST_CALLS, PipeBoard
from pipeline.analyse.pipe_desk import serve_pipe
from pipeline.analyse.stdio import PipeReader, PipeWriter
from pipeline.analyse.wire import MOST_LINE_BYTES, told
from pipeline.clock import SystemClock
from pipeline.errors import BoardUnavailable, LeaseLost, OnRecordError, WorkerFailed
from tests.boards import drained, report, work

LONG_LEASE_S = 60.0


def board() -> LocalBoard:
    made = LocalBoard(LONG_LEASE_S, 3, SystemClock())
    made.offer_nowait(work("a"))
    return made


@asynccontextmanager
async def served(board: LocalBoard) -> AsyncIterator[tuple[PipeReader, PipeWriter, list[OnRecordError]]]:
    """A worker's raw ends, and what the server's end raised."""
    (calls, calls_in), (answers, answers_in) = os.pipe(), os.pipe()
    raised: list[OnRecordError] = []
    reader, writer = PipeReader(answers), PipeWriter(calls_in)

    async def serve() -> None:
        async with PipeReader(calls) as receive, PipeWriter(answers_in) as send:
            try:
                await serve_pipe(board, "w", receive, send)
            except OnRecordError as error:
                raised.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        yield reader, writer, raised
        await reader.aclose()
        await writer.aclose()


def test_a_worker_that_is_killed_loses_its_work_at_once() -> None:
    async def act() -> None:
        shared = board()
        async with await anyio.open_process(
            [sys.executable, "-m", "tests.board_child"], stderr=subprocess.PIPE
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stderr is not None
            async with anyio.create_task_group() as group:
                group.start_soon(serve_pipe, shared, "child", child.stdout, child.stdin)
                said = await child.stderr.receive()
                assert b"spoils no line" in said
                child.kill()
                with anyio.fail_after(2):
                    lease = await shared.claim("other")
        assert (lease.work, lease.token) == (work("a"), 2)
        assert await drained(shared, 1) == [Ended(work("a"), 1, False, "the worker is gone")]

    anyio.run(act)


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b"[]\n",
        b"\xff\xfe\n",
        b"[" * 200_000 + b"\n",
        b'{"id":1}\n',
        b'{"call":"claim"}\n',
        b'{"id":"1","call":"claim"}\n',
        b'{"id":1,"call":"claim","more":1}\n',
        b'{"id":1,"call":"delete"}\n',
        b'{"id":1,"call":"renew","leases":[{"work":{},"token":1}]}\n',
        b'{"id":1,"call":"renew","leases":[{"work":"a","token":1}]}\n',
        b'{"id":1,"call":"give_back","lease":null}\n',
        b'{"id":1,"call":"report","report":{"work_id":"a","token":true,"number":1}}\n',
        b'{"id":1,"call":"report","report":{"work_id":"a","token":1,"number":1,"covered_to_s":NaN}}\n',
        b'{"id":1,"call":"report","report":{"work_id":"a","token":1,"number":1,"covered_to_s":1e999}}\n',
        b'{"id":1,"call":"report","report":{"work_id":"a","token":1,"number":' + b"9" * 5000 + b"}}\n",
        b'{"id":1,"call":"report","report":{"work_id":"a","token":9007199254740993,"number":1}}\n',
        b'{"id":1,"call":"report","report":{"work_id":"a","token":1,"number":1,"state":"over"}}\n',
        b'{"id":1,"call":"report","report":{"work_id":"a","token":1,"number":1,"model":"\xed\xa0\xbd"}}\n',
        '{"id":1,"call":"claim"}\n'.encode("utf-16-le").replace(b"\n\0", b"\n"),
        b'{"id":1,"call":"report","report":{"work_id":"a","token":1,"number":1,"model":"\\u0000"}}\n',
        b'{"id":1,"call":"report","report":{"work_id":"a","token":1,"number":1,"model":"\\ud83d"}}\n',
        b'{"id":1,"call":"report","report":{"work_id":"a","token":1,"number":1,"events":[{"kind":"Nothing"}]}}\n',
        b'{"id":1,"call":"claim"}\n{"id":1,"call":"claim"}\n',
        b"".join(b'{"id":%d,"call":"claim"}\n' % number for number in range(MOST_CALLS + 2)),
        b"x" * (MOST_LINE_BYTES + 1),
    ],
    ids=range(26),
)
def test_a_line_that_is_no_call_ends_the_worker_and_not_the_server(line: bytes) -> None:
    async def act() -> None:
        shared = board()
        async with served(shared) as (reader, writer, raised):
            await writer.send(b'{"id":100,"call":"claim"}\n')
            assert b'"token":1' in await reader.receive()
            with anyio.fail_after(10):
                try:
                    await writer.send(line)
                    while True:
                        await reader.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass
            assert [type(error) for error in raised] == [WorkerFailed]
            assert "9999" not in str(raised[0])
        assert shared.take_nowait() == (Ended(work("a"), 1, False, "the worker is gone"),)

    anyio.run(act)


def test_a_pipe_that_closes_is_told_to_all_who_wait_and_all_who_call() -> None:
    async def act() -> None:
        (calls, calls_in), (answers, answers_in) = os.pipe(), os.pipe()
        worker, refused = PipeBoard(PipeReader(answers), PipeWriter(calls_in)), 0

        async def claim() -> None:
            nonlocal refused
            with pytest.raises(BoardUnavailable):
                await worker.claim("w")
            refused += 1

        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            for _ in range(MOST_CALLS + 3):
                group.start_soon(claim)
            await anyio.wait_all_tasks_blocked()
            os.close(answers_in)
            with anyio.fail_after(10):
                while refused < MOST_CALLS + 3:
                    await anyio.sleep(0.01)
        with pytest.raises(BoardUnavailable):
            await worker.renew([])
        os.close(calls)

    anyio.run(act)


def test_an_answer_without_sense_is_a_board_that_is_gone() -> None:
    async def act() -> None:
        (calls, calls_in), (answers, answers_in) = os.pipe(), os.pipe()
        worker = PipeBoard(PipeReader(answers), PipeWriter(calls_in))
        os.write(answers_in, b"Traceback (most recent call last):\n")
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run)
            with pytest.raises(BoardUnavailable):
                await worker.claim("w")
        os.close(calls)
        os.close(answers_in)

    anyio.run(act)


def test_a_report_that_is_too_long_is_refused_before_it_is_sent() -> None:
    async def act() -> None:
        shared = board()
        async with served(shared) as (reader, writer, raised), anyio.create_task_group() as group:
            worker = PipeBoard(reader, writer)
            group.start_soon(worker.run)
            lease = await worker.claim("w")
            heard = report("a", lease.token, 1)
            words = "字" * (MOST_LINE_BYTES // 3)
            with pytest.raises(WorkerFailed) as refused:
                await worker.report(type(heard)("a", lease.token, 1, model=words))
            assert "字" not in str(refused.value)
            await worker.report(heard)
            assert shared.take_nowait() == (heard,)
            assert raised == []
            group.cancel_scope.cancel()

    anyio.run(act)


def test_another_workers_lease_does_not_open_with_an_old_token() -> None:
    async def act() -> None:
        shared = board()
        async with served(shared) as (reader, writer, _):
            other = await shared.claim("other")
            stale = {"id": 1, "call": "report", "report": told(report("a", other.token + 1, 1))}
            await writer.send(json.dumps(stale).encode() + b"\n")
            assert json.loads(await reader.receive())["error"] == LeaseLost.__name__

    anyio.run(act)


def test_the_media_process_gets_neither_numpy_nor_av_nor_redis_from_its_board() -> None:
    program = (
        "import sys, pipeline.analyse.local_board, pipeline.analyse.pipe_desk, pipeline.analyse.wire\n"
        "sys.exit(bool({'numpy', 'av', 'redis'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
