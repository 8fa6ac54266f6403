"""What one lease of the stage `faces` asks the server all the while: whether to look at all, and who its tracks may be.

Owned by the worker's event loop; each question waits in a thread. The server's silence means no.
"""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

import anyio
import anyio.to_thread
import structlog

from pipeline.analyse.probing import Answer, Asked, Probe
from pipeline.errors import SourceError

log = structlog.get_logger(__name__)

POLL_S: Final = 0.7
ANSWER_S: Final = 1.2
"""Without an answer for so long, nothing is looked at: what may have ended must end within two seconds."""
_MOST_PENDING: Final = 64


class Questions:
    """is_watched: whether anything is to be searched in the stream, by the last answer. asked: probes with an answer.

    connect: makes a connection, one for each of two tasks. ended: called when is_watched turns false. answered: called
    with each probe and its answer; None: the server did not take it, or it gave way to others.
    """

    def __init__(
        self, stream_id: str, model: str, connect: Callable[[], Asked], threads: anyio.CapacityLimiter,
        ended: Callable[[], None], answered: Callable[[Probe, Answer | None], None],
    ) -> None:  # fmt: skip
        self.is_watched = False
        self.asked = 0
        self._stream_id = stream_id
        self._model = model
        self._connect = connect
        self._threads = threads
        self._ended = ended
        self._answered = answered
        self._changed = anyio.Event()
        self._pending: OrderedDict[int, Probe] = OrderedDict()  # by track; bound: _MOST_PENDING
        self._has_pending, self._is_idle = anyio.Event(), anyio.Event()

    async def poll(self) -> None:
        """Ask whether to look, until cancelled."""
        asked, answered_s = self._connect(), anyio.current_time()
        try:
            while True:
                is_answered = False
                with anyio.move_on_after(ANSWER_S) as waiting, suppress(SourceError):
                    found = await anyio.to_thread.run_sync(
                        asked.watching, self._stream_id, self._model, abandon_on_cancel=True, limiter=self._threads
                    )
                    is_answered, answered_s = True, anyio.current_time()
                    self._set(is_watched=found.is_watched)
                if waiting.cancelled_caught:
                    asked.close()  # a thread waits in it
                    asked = self._connect()
                if not is_answered and anyio.current_time() - answered_s >= ANSWER_S:
                    self._set(is_watched=False)
                await anyio.sleep(POLL_S)
        finally:
            asked.close()

    async def ask(self) -> None:
        """Ask about tracks, until cancelled."""
        asked = self._connect()
        try:
            while True:
                self._is_idle.set()
                await self._has_pending.wait()
                self._has_pending, self._is_idle = anyio.Event(), anyio.Event()
                while self._pending:
                    _, probe = self._pending.popitem(last=False)
                    await self._send(asked, probe)
        finally:
            asked.close()

    async def until_watched(self, limit_s: float) -> bool:
        """Whether it is, at the end of this time at the latest."""
        with anyio.move_on_after(limit_s):
            while not self.is_watched:
                await self._changed.wait()
        return self.is_watched

    def put(self, probe: Probe) -> None:
        """To be asked; in place of an older question about the same track."""
        if (before := self._pending.pop(probe.track, None)) is not None:
            probe = replace(probe, is_first=before.is_first, shot=probe.shot or before.shot)
        self._pending[probe.track] = probe
        if len(self._pending) > _MOST_PENDING:
            _, lost = self._pending.popitem(last=False)
            self._answered(lost, None)
        self._has_pending.set()

    def clear(self) -> None:
        """Forget what was not asked yet."""
        self._pending.clear()

    async def drained(self, limit_s: float) -> None:
        """Until all is asked, or this time is over."""
        with anyio.move_on_after(limit_s):
            while self._pending or not self._is_idle.is_set():
                await self._is_idle.wait()
                await anyio.sleep(0)

    async def _send(self, asked: Asked, probe: Probe) -> None:
        answer: Answer | None = None
        try:
            answer = await anyio.to_thread.run_sync(asked.probe, probe, abandon_on_cancel=True, limiter=self._threads)
            self.asked += 1
        except SourceError as error:
            log.warning("a question about a face was not answered", reason=str(error))
        self._answered(probe, answer)
        if answer == "nothing_to_search":
            self._set(is_watched=False)

    def _set(self, *, is_watched: bool) -> None:
        if is_watched is self.is_watched:
            return
        self.is_watched = is_watched
        self._changed.set()
        self._changed = anyio.Event()
        if not is_watched:
            self._pending.clear()
            self._ended()
