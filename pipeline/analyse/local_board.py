"""The board of one server: work, leases and reports in this process's memory. No I/O; time is passed in.

Everything belongs to one event loop. What has `_nowait` in its name decides; what waits is made of it.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import anyio
import anyio.lowlevel

from pipeline.analyse.board import MOST_TAKEN, Ended, Lease, Report, Work
from pipeline.clock import Clock
from pipeline.errors import BoardUnavailable, LeaseLost, WorkerFailed

MOST_WORKS = 10_000
"""On the board at once, laid aside ones too; a desk that offers more is refused."""
MOST_REPORTS = 256
"""Told and not taken; a worker that tells more waits."""
_MOST_PAST = 1024  # leases that ended, whose last report may still be repeated
_LOOK_S = 0.5
"""Who waits looks at the clock this often, whatever happens: an AwakeClock knows by that whether this process ran."""


Found = TypeVar("Found")


@dataclass(slots=True)
class _Place:
    """One work on the board. token 0: nobody has it. number: of its last report. ends_s: of its lease, monotonic."""

    work: Work
    tries: int = 0
    token: int = 0
    worker_id: str = ""
    number: int = 0
    ends_s: float = 0.0
    done_token: int = 0  # under which "done" was told; the place stays until that is taken: an offer changes nothing


class LocalBoard:
    """Both sides of the board. See `board.py` for what each call promises."""

    def __init__(self, lease_s: float, most_tries: int, clock: Clock) -> None:
        self._lease_s = lease_s
        self._most_tries = most_tries
        self._clock = clock
        self._places: dict[str, _Place] = {}
        self._running: dict[str, _Place] = {}  # those of them that somebody has
        self._lost: dict[str, None] = {}
        self._fresh: dict[str, None] = {}
        self._told: deque[Report | Ended] = deque()  # MOST_REPORTS and, of each work, most_tries times Ended
        self._past: dict[tuple[str, int], int] = {}
        self._last_token = 0
        self._changed = anyio.Event()

    async def claim(self, worker_id: str) -> Lease:
        await anyio.lowlevel.checkpoint()  # the only place to be cancelled: a lease that was given is returned
        return await self._first(lambda: self.claim_nowait(worker_id))

    def claim_nowait(self, worker_id: str) -> Lease | None:
        """None: there is no work that nobody has."""
        self.sweep()
        queue = self._lost or self._fresh
        if not queue:
            return None
        place = self._places[next(iter(queue))]
        del queue[place.work.work_id]
        self._last_token += 1
        place.token, place.worker_id, place.number = self._last_token, worker_id, 0
        place.ends_s = self._clock.monotonic_s() + self._lease_s
        self._running[place.work.work_id] = place
        self._ring()  # who waits must know when this lease would end
        return Lease(place.work, place.token)

    async def renew(self, leases: Sequence[Lease]) -> list[Lease]:
        await anyio.lowlevel.checkpoint()
        return self.renew_nowait(leases)

    def renew_nowait(self, leases: Sequence[Lease]) -> list[Lease]:
        """As `renew`."""
        self.sweep()
        ends_s = self._clock.monotonic_s() + self._lease_s
        lost = []
        for lease in leases:
            if (place := self._held(lease.work.work_id, lease.token)) is None:
                lost.append(lease)
            else:
                place.ends_s = ends_s
        return lost

    async def report(self, report: Report) -> None:
        await anyio.lowlevel.checkpoint()
        await self._first(lambda: self.report_nowait(report) or None)

    def report_nowait(self, report: Report) -> bool:
        """False: there is no room; it was not taken. Raises: as `report`."""
        self.sweep()
        if report.number <= self._past.get((report.work_id, report.token), 0):
            return True
        place = self._held(report.work_id, report.token)
        if place is None:
            raise LeaseLost(f"the lease {report.token} of work {report.work_id} has ended")
        if report.number <= place.number:
            return True
        if report.number != place.number + 1:
            raise WorkerFailed(f"report {report.number} of work {report.work_id} does not follow {place.number}")
        if len(self._told) >= MOST_REPORTS:
            return False
        place.number = report.number
        self._told.append(report)
        if report.state == "done":
            place.done_token = place.token
            self._free(place)
        elif report.state == "failed":
            self._end_try(place, report.reason)
        self._ring()
        return True

    async def give_back(self, lease: Lease) -> None:
        await anyio.lowlevel.checkpoint()
        self.give_back_nowait(lease)

    def give_back_nowait(self, lease: Lease) -> None:
        """As `give_back`."""
        self.sweep()
        if place := self._held(lease.work.work_id, lease.token):
            self._free(place)
            self._lost[place.work.work_id] = None
            self._ring()

    def lose(self, worker_id: str) -> None:
        """The worker is gone: its leases end now, each as a try."""
        self.sweep()
        for place in list(self._running.values()):
            if place.worker_id == worker_id:
                self._end_try(place, "the worker is gone")
        self._ring()

    def sweep(self) -> None:
        """End the leases that were not renewed in time. Every look at a lease does it first; who waits wakes for it."""
        now_s = self._clock.monotonic_s()
        over = [place for place in self._running.values() if place.ends_s <= now_s]
        for place in over:
            self._end_try(place, "the lease was not renewed")
        if over:
            self._ring()

    async def offer(self, work: Work) -> None:
        await anyio.lowlevel.checkpoint()
        self.offer_nowait(work)

    def offer_nowait(self, work: Work) -> None:
        """As `offer`."""
        if work.work_id in self._places:
            return
        if len(self._places) >= MOST_WORKS:
            raise BoardUnavailable(f"the board is full: {MOST_WORKS} works")
        self._places[work.work_id] = _Place(work)
        self._fresh[work.work_id] = None
        self._ring()

    async def withdraw(self, work_id: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.withdraw_nowait(work_id)

    def withdraw_nowait(self, work_id: str) -> None:
        """As `withdraw`."""
        self.sweep()
        if place := self._places.pop(work_id, None):
            self._free(place)
            self._lost.pop(work_id, None)
            self._fresh.pop(work_id, None)
            self._ring()

    async def take(self) -> Sequence[Report | Ended]:
        await anyio.lowlevel.checkpoint()
        return await self._first(self.take_nowait)

    def take_nowait(self) -> tuple[Report | Ended, ...] | None:
        """None: nothing was told that is not taken."""
        self.sweep()
        return tuple(islice(self._told, MOST_TAKEN)) or None

    async def taken(self, items: Sequence[Report | Ended]) -> None:
        await anyio.lowlevel.checkpoint()
        self.taken_nowait(items)

    def taken_nowait(self, items: Sequence[Report | Ended]) -> None:
        """As `taken`."""
        for item in items:
            if not self._told or self._told[0] != item:
                break
            self._told.popleft()
            if isinstance(item, Report) and item.state == "done":
                place = self._places.get(item.work_id)
                if place is not None and place.done_token == item.token:
                    del self._places[item.work_id]
        self._ring()

    def _held(self, work_id: str, token: int) -> _Place | None:
        place = self._running.get(work_id)
        return place if place is not None and place.token == token else None

    def _end_try(self, place: _Place, reason: str) -> None:
        self._free(place)
        place.tries += 1
        is_laid_aside = place.tries >= self._most_tries
        if not is_laid_aside:
            self._lost[place.work.work_id] = None
        self._told.append(Ended(place.work, place.tries, is_laid_aside, reason))

    def _free(self, place: _Place) -> None:
        """Nobody has it now; a report of the lease that ended may still be repeated."""
        if self._running.pop(place.work.work_id, None) is None:
            return
        self._past[place.work.work_id, place.token] = place.number
        if len(self._past) > _MOST_PAST:
            del self._past[next(iter(self._past))]
        place.token, place.worker_id, place.number = 0, "", 0

    def _ring(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _first(self, look: Callable[[], Found | None]) -> Found:
        """What `look` finds, now or after a change; a lease that runs out is one."""
        while (found := look()) is None:
            changed = self._changed
            with anyio.move_on_after(min(_LOOK_S, self._until_next_end_s())):
                await changed.wait()
        return found

    def _until_next_end_s(self) -> float:
        ends_s = min((place.ends_s for place in self._running.values()), default=math.inf)
        return max(0.0, ends_s - self._clock.monotonic_s())
