"""What one lease has to tell, numbered and one at a time, for as long as the board is there to take it."""

from typing import Final, Literal

import anyio

from pipeline.analyse.board import Caption, Lease, Report, WorkerBoard
from pipeline.analyse.progress import Covered
from pipeline.errors import BoardUnavailable
from pipeline.events import Event

_RETRY_S: Final = 0.5
_FAILED_S: Final = 1.0


class Reporter:
    """model: name@version of what the lease is done with. reports: how many were kept."""

    def __init__(self, lease: Lease, board: WorkerBoard, model: str) -> None:
        self.reports = 0
        self._lease = lease
        self._board = board
        self._model = model
        self._number = 0

    async def send(
        self, covered: Covered, events: tuple[Event, ...], *, captions: tuple[Caption, ...] = (), rows: str = "",
        state: Literal["running", "done", "failed"] = "running", reason: str = "", behind_s: float = 0.0,
    ) -> None:  # fmt: skip
        """Returns when it is kept. Raises: LeaseLost: it is not, and never will be.

        "failed" is told after a pause: whoever tries next would find the same door shut.
        """
        if state == "failed":
            await anyio.sleep(_FAILED_S)
        self._number += 1
        report = Report(
            self._lease.work.work_id, self._lease.token, self._number, events, captions, covered.start_s,
            covered.end_s, covered.model or self._model, state, reason or covered.reason, behind_s, rows,
        )  # fmt: skip
        while True:
            try:
                await self._board.report(report)
            except BoardUnavailable:
                await anyio.sleep(_RETRY_S)
            else:
                self.reports += 1
                return
