"""The server's end of a worker's pipe: answers its calls from the local board. The other end is `pipe_board.py`."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from pipeline.analyse.board import Lease, Report
from pipeline.analyse.local_board import LocalBoard
from pipeline.analyse.pipe_board import CLOSED, MOST_CALLS
from pipeline.analyse.wire import MOST_LINE_BYTES, Tree, line_of, told, told_from, tree_from
from pipeline.errors import BoardUnavailable, LeaseLost, WorkerFailed

_Asked: TypeAlias = Callable[[], Awaitable[Tree]]


async def serve_pipe(board: LocalBoard, worker_id: str, receive: ByteReceiveStream, send: ByteSendStream) -> None:
    """Answer a worker's calls until its pipe closes. However this ends, the worker's leases are lost then.

    Raises: WorkerFailed: it wrote what is no call, or more than MOST_CALLS at once; its process must be ended.
    """
    failed: WorkerFailed | None = None
    try:
        async with anyio.create_task_group() as group:
            try:
                await _PipeDesk(board, worker_id, send, group).read(receive)
            except WorkerFailed as error:  # kept, to leave the group as itself
                failed = error
            except CLOSED:
                pass
            group.cancel_scope.cancel()
    finally:
        board.lose(worker_id)
    if failed is not None:
        raise failed


class _PipeDesk:
    """One worker's calls. _scopes: of those without an answer yet, by id."""

    def __init__(self, board: LocalBoard, worker_id: str, send: ByteSendStream, group: TaskGroup) -> None:
        self._board = board
        self._worker_id = worker_id
        self._send = send
        self._group = group
        self._writing = anyio.Lock()
        self._scopes: dict[int, anyio.CancelScope] = {}

    async def read(self, receive: ByteReceiveStream) -> None:
        """Start every call that comes, in order. Raises: WorkerFailed, or one of CLOSED."""
        lines = BufferedByteReceiveStream(receive)
        while True:
            try:
                call = tree_from(await lines.receive_until(b"\n", MOST_LINE_BYTES))
            except anyio.DelimiterNotFound as error:
                raise WorkerFailed(f"a line of more than {MOST_LINE_BYTES} bytes from a worker") from error
            number = call.pop("id", None)
            if type(number) is not int:
                raise WorkerFailed("a call of a worker without its id")
            if call == {"call": "cancel"}:
                if number in self._scopes:
                    self._scopes[number].cancel()
                continue
            if number in self._scopes or len(self._scopes) >= MOST_CALLS:
                raise WorkerFailed(f"a worker with more than {MOST_CALLS} calls at once, or two of one id")
            asked = self._asked(call)
            self._scopes[number] = anyio.CancelScope()
            self._group.start_soon(self._answer, number, asked)

    def _asked(self, call: Tree) -> _Asked:
        match call:
            case {"call": "claim", **rest} if not rest:
                return self._claim
            case {"call": "renew", "leases": list(leases), **rest} if not rest:
                return partial(self._renew, [told_from(Lease, each) for each in leases])
            case {"call": "report", "report": report, **rest} if not rest:
                return partial(self._report, told_from(Report, report))
            case {"call": "give_back", "lease": lease, **rest} if not rest:
                return partial(self._give_back, told_from(Lease, lease))
        raise WorkerFailed("a worker asked for what the board does not do")

    async def _claim(self) -> Tree:
        return {"lease": told(await self._board.claim(self._worker_id))}

    async def _renew(self, leases: list[Lease]) -> Tree:
        return {"lost": [told(lease) for lease in await self._board.renew(leases)]}

    async def _report(self, report: Report) -> Tree:
        await self._board.report(report)
        return {}

    async def _give_back(self, lease: Lease) -> Tree:
        await self._board.give_back(lease)
        return {}

    async def _answer(self, number: int, asked: _Asked) -> None:
        answer: Tree = {"error": "BoardUnavailable", "says": "the call was cancelled"}
        try:
            with self._scopes[number]:
                answer = await asked()
        except (LeaseLost, WorkerFailed, BoardUnavailable) as error:
            answer = {"error": type(error).__name__, "says": str(error)}
        finally:
            del self._scopes[number]
        async with self._writing:
            try:
                await self._send.send(line_of({"id": number, **answer}))
            except CLOSED:
                self._group.cancel_scope.cancel()  # it hears nothing any more
