"""What the desk took in, on its way to the disk: facts first, then what was measured, then the marks behind them.

Beside the desk's own work, so that a disk that is slow, full or read-only delays marks and never what is shown. What it
refuses waits here and is tried again. Bounds: 20,000 marks, 32 MiB of rows; beyond, the oldest go: that span is looked
at again after the next start. Owned by the event loop's thread; `run` must run.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import anyio
import anyio.to_thread
import structlog

from pipeline.analyse.marks import Mark, Marks
from pipeline.analyse.rows import Rows
from pipeline.analyse.subjects import Outlet
from pipeline.errors import StorageError

log = structlog.get_logger(__name__)

_MOST_MARKS: Final = 20_000
_MOST_ROW_BYTES: Final = 32 * 1024 * 1024
_RETRY_S: Final = 1.0
_CLOSE_S: Final = 2.0


class Keeping:
    """waiting: spans whose mark is not on the disk. dropped: those there was no room for."""

    def __init__(self, outlet: Outlet, marks: Marks, rows: Rows) -> None:
        self.dropped = 0
        self._outlet = outlet
        self._marks = marks
        self._rows = rows
        self._waiting: deque[tuple[Mark, str]] = deque()
        self._row_bytes = 0
        self._news = anyio.Event()
        self._is_failed = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def add(self, mark: Mark, rows: str) -> None:
        """rows: what was measured in its span. The facts of the span are told already."""
        self._waiting.append((mark, rows))
        self._row_bytes += len(rows)
        while len(self._waiting) > _MOST_MARKS or self._row_bytes > _MOST_ROW_BYTES:
            self._row_bytes -= len(self._waiting.popleft()[1])
            self.dropped += 1
        self._news.set()

    async def run(self) -> None:
        """Until cancelled; then what waits is tried once more."""
        try:
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                while not await self._write():
                    await anyio.sleep(_RETRY_S)
        finally:
            with anyio.move_on_after(_CLOSE_S, shield=True):
                await self._write()

    async def _write(self) -> bool:
        """Whether all that was added before is on the medium now."""
        taken = tuple(self._waiting)
        if not taken:
            return True
        refused = "the outbox cannot be written"
        await self._outlet.flush(is_whole=False)
        if not self._outlet.is_failed:
            try:
                await anyio.to_thread.run_sync(self._put, taken)
            except StorageError as error:
                refused = str(error)
            else:
                self._let_go_of(taken)
                return True
        if not self._is_failed:
            log.error("what was analysed is not marked yet; it is tried again", reason=refused, spans=len(taken))
        self._is_failed = True
        return False

    def _put(self, taken: Sequence[tuple[Mark, str]]) -> None:
        """In a thread. Raises: StorageError: some may be written; writing all of them again does no harm."""
        rows: dict[str, list[str]] = {}
        for mark, lines in taken:
            if lines:
                rows.setdefault(mark.recording_id, []).append(lines)
        for recording_id, each in rows.items():
            self._rows.write(recording_id, "".join(each))
        self._marks.write(mark for mark, _ in taken)

    def _let_go_of(self, taken: Sequence[tuple[Mark, str]]) -> None:
        """Those of them that were not dropped meanwhile."""
        written = {id(each) for each in taken}
        while self._waiting and id(self._waiting[0]) in written:
            self._row_bytes -= len(self._waiting.popleft()[1])
        if self._is_failed:
            self._is_failed = False
            log.info("what was analysed is marked again", dropped=self.dropped)
