"""The board for a worker that is a child of the server: calls and answers as JSON lines over two pipes.

A call is {"id", "call", …}, its answer {"id", …} or {"id", "error", "says"}; every call gets one, in any order.
{"id", "call": "cancel"} ends a claim of that id, whose answer then is an error. The other end is `pipe_desk.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream
from anyio.streams.buffered import BufferedByteReceiveStream

from pipeline.analyse.board import Lease, Report
from pipeline.analyse.wire import MOST_LINE_BYTES, Tree, line_of, told, told_from, tree_from
from pipeline.errors import BoardUnavailable, LeaseLost, WorkerFailed

MOST_CALLS = 64
"""Without an answer at once, of one worker; it waits with the next, and the server takes no more."""
CLOSED = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
_CANCEL_S = 2.0  # a claim that is cancelled waits this long to hear whether it was given a lease


@dataclass(slots=True)
class _Call:
    answered: anyio.Event = field(default_factory=anyio.Event)
    answer: Tree | None = None


class PipeBoard:
    """The worker's side. `run` must run beside the calls, in a task of the caller's."""

    def __init__(self, receive: ByteReceiveStream, send: ByteSendStream) -> None:
        self._lines = BufferedByteReceiveStream(receive)
        self._send = send
        self._writing = anyio.Lock()
        self._room = anyio.Semaphore(MOST_CALLS)
        self._calls: dict[int, _Call] = {}
        self._last_id = 0
        self._is_closed = False

    async def run(self) -> None:
        """Read answers until the pipe closes or makes no sense; whoever waits then gets BoardUnavailable."""
        try:
            while True:
                answer = tree_from(await self._lines.receive_until(b"\n", MOST_LINE_BYTES))
                number = answer.get("id")
                if isinstance(number, int) and number in self._calls:
                    self._calls[number].answer = answer
                    self._calls[number].answered.set()
        except (*CLOSED, anyio.DelimiterNotFound, WorkerFailed):
            pass
        finally:
            self._is_closed = True
            for call in self._calls.values():
                call.answered.set()

    async def claim(self, worker_id: str) -> Lease:  # noqa: ARG002 - the server knows whose pipe this is
        return _lease_in(await self._ask("claim"))

    async def renew(self, leases: Sequence[Lease]) -> list[Lease]:
        answer = await self._ask("renew", leases=[told(lease) for lease in leases])
        lost = answer.get("lost")
        if not isinstance(lost, list):
            raise BoardUnavailable("the server's answer makes no sense")
        return [told_from(Lease, each) for each in lost]

    async def report(self, report: Report) -> None:
        await self._ask("report", report=told(report))

    async def give_back(self, lease: Lease) -> None:
        await self._ask("give_back", lease=told(lease))

    async def _ask(self, name: str, **fields: object) -> Tree:
        async with self._room:
            self._last_id += 1
            number, call = self._last_id, _Call()
            self._calls[number] = call
            try:
                await self._write({"id": number, "call": name, **fields})
                await self._heard(number, call, name)
            finally:
                del self._calls[number]
        return _checked(call.answer)

    async def _heard(self, number: int, call: _Call, name: str) -> None:
        try:
            await call.answered.wait()
        except anyio.get_cancelled_exc_class():
            if name == "claim":
                with anyio.move_on_after(_CANCEL_S, shield=True):
                    await self._unclaim(number, call)
            raise

    async def _unclaim(self, number: int, call: _Call) -> None:
        """The claim is taken back; a lease that crossed it on its way goes back too."""
        try:
            await self._write({"id": number, "call": "cancel"})
            await call.answered.wait()
            if call.answer is not None and call.answer.get("lease") is not None:
                self._last_id += 1
                await self._write({"id": self._last_id, "call": "give_back", "lease": call.answer["lease"]})
        except BoardUnavailable:
            return  # with the pipe the lease is gone too

    async def _write(self, call: Tree) -> None:
        line = line_of(call)
        with anyio.CancelScope(shield=True):  # half a line would spoil all that follow
            async with self._writing:
                if self._is_closed:
                    raise BoardUnavailable("the server closed the pipe")
                try:
                    await self._send.send(line)
                except CLOSED as error:
                    self._is_closed = True
                    raise BoardUnavailable("the server closed the pipe") from error


def _checked(answer: Tree | None) -> Tree:
    if answer is None:
        raise BoardUnavailable("the server closed the pipe")
    says = str(answer.get("says", ""))
    match answer.get("error"):
        case None:
            return answer
        case "LeaseLost":
            raise LeaseLost(says)
        case "WorkerFailed":
            raise WorkerFailed(says)
        case _:
            raise BoardUnavailable(says)


def _lease_in(answer: Tree) -> Lease:
    return told_from(Lease, answer.get("lease"))
