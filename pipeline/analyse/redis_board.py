"""The board of several machines: work, leases and reports in Redis Streams. What a step does there: `redis_scripts.py`.

One server is the desk; its workers may be anywhere. Redis needs no disk: what it loses, the desk offers again.
"""

import contextlib
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from pipeline.analyse import redis_scripts
from pipeline.analyse.board import MOST_TAKEN, Ended, Lease, Report, Work
from pipeline.analyse.local_board import MOST_REPORTS, MOST_WORKS
from pipeline.analyse.wire import line_of, told, told_from, tree_from
from pipeline.errors import BoardUnavailable, LeaseLost, SettingsInvalid, WorkerFailed

log = structlog.get_logger(__name__)

_MOST_CONNECTIONS = 64
_LONGEST_WAIT_S = 1.0  # between two looks for leases that ran out; what is told or offered wakes at once


class RedisBoard:
    """Both sides of the board. See `board.py` for what each call promises; `take` and `taken` are one desk's.

    timeout_s: of every answer; a server that is gone is told after it.
    """

    def __init__(self, url: str, prefix: str, lease_s: float, most_tries: int, timeout_s: float = 2.0) -> None:
        self._redis = _client(url, timeout_s)
        self._prefix = prefix
        self._keys = [f"{prefix}:{name}" for name in redis_scripts.KEYS]
        self._scripts = {each: self._redis.register_script(each) for each in redis_scripts.ALL}
        most_told = MOST_REPORTS + MOST_WORKS * most_tries  # as many as there can be: MAXLEN cuts nothing untaken
        self._always: list[str | int] = [round(lease_s * 1000), most_tries, most_told]
        self._wait_s = min(_LONGEST_WAIT_S, lease_s / 4, timeout_s / 2)
        self._given: list[tuple[Report | Ended, str]] = []  # by the last `take`, each with its entry

    async def aclose(self) -> None:
        await self._redis.aclose()

    async def claim(self, worker_id: str) -> Lease:
        while True:
            match await self._claimed(worker_id):
                case ["given", str(token), str(work)]:
                    return Lease(told_from(Work, tree_from(work)), int(token))
                case ["none", str(seen)]:
                    await self._heard("bell:work", seen)
                case answer:
                    raise _nonsense(answer)

    async def _claimed(self, worker_id: str) -> object:
        """One look. A lease that is given while we are cancelled goes back: nobody would know of it."""
        with anyio.CancelScope(shield=True):
            answer = await self._run(redis_scripts.CLAIM, worker_id)
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            if isinstance(answer, list) and answer[0] == "given":
                with anyio.CancelScope(shield=True), contextlib.suppress(BoardUnavailable):
                    work = told_from(Work, tree_from(answer[2]))
                    await self.give_back(Lease(work, int(answer[1])))
            raise
        return answer

    async def renew(self, leases: Sequence[Lease]) -> list[Lease]:
        pairs = [part for lease in leases for part in (lease.work.work_id, lease.token)]
        lost = await self._run(redis_scripts.RENEW, *pairs)
        if not isinstance(lost, list):
            raise _nonsense(lost)
        return [leases[place] for place in lost]

    async def report(self, report: Report) -> None:
        line = line_of(told(report)).decode()
        told_as = (report.work_id, report.token, report.number, line, report.state, report.reason, MOST_REPORTS)
        while True:
            match await self._run(redis_scripts.REPORT, *told_as):
                case ["kept"]:
                    return
                case ["lost"]:
                    raise LeaseLost(f"the lease {report.token} of work {report.work_id} has ended")
                case ["out of order"]:
                    raise WorkerFailed(f"report {report.number} of work {report.work_id} does not follow the last one")
                case ["full", str(seen)]:
                    await self._heard("bell:room", seen)
                case answer:
                    raise _nonsense(answer)

    async def give_back(self, lease: Lease) -> None:
        await self._run(redis_scripts.GIVE_BACK, lease.work.work_id, lease.token)

    async def offer(self, work: Work) -> None:
        answer = await self._run(redis_scripts.OFFER, work.work_id, line_of(told(work)).decode(), MOST_WORKS)
        if answer == "full":
            raise BoardUnavailable(f"the board is full: {MOST_WORKS} works")

    async def withdraw(self, work_id: str) -> None:
        await self._run(redis_scripts.WITHDRAW, work_id)

    async def take(self) -> Sequence[Report | Ended]:
        while True:
            match await self._run(redis_scripts.TAKE, MOST_TAKEN):
                case ["none", str(seen)]:
                    await self._heard("bell:told", seen)
                case ["told", *entries]:
                    self._given = await self._readable(entries)
                    if self._given:
                        return tuple(item for item, _ in self._given)
                case answer:
                    raise _nonsense(answer)

    async def taken(self, items: Sequence[Report | Ended]) -> None:
        given = self._given[: len(items)]
        if not items or [item for item, _ in given] != list(items):
            return
        entries: list[str | int] = []
        for item, entry in given:
            is_done = isinstance(item, Report) and item.state == "done"
            entries += [entry, *((item.work_id, item.token) if is_done and isinstance(item, Report) else ("", ""))]
        await self._run(redis_scripts.TAKEN, 0, *entries)
        self._given = self._given[len(items) :]

    async def _readable(self, entries: list[object]) -> list[tuple[Report | Ended, str]]:
        """Each with its entry. What is of another release, or not ours, is put aside: it must not stop the rest."""
        given: list[tuple[Report | Ended, str]] = []
        for each in entries:
            match each:
                case [str(entry), list(fields)]:
                    try:
                        given.append((_item_in(fields), entry))
                    except WorkerFailed as error:
                        log.error("report not readable", entry=entry, error=str(error))
                        await self._run(redis_scripts.TAKEN, 1, entry, "", "")
                case _:
                    raise _nonsense(each)
        return given

    async def _run(self, script: str, *arguments: str | int) -> object:
        """Raises: BoardUnavailable: Redis does not answer in time, or refuses."""
        try:
            answer: object = await self._scripts[script](keys=self._keys, args=[*self._always, *arguments])
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return answer

    async def _heard(self, bell: str, seen: str) -> None:
        """Returns when the bell was rung after `seen`, or after a while, in which a lease may have run out."""
        try:
            await self._redis.xread({f"{self._prefix}:{bell}": seen}, block=round(self._wait_s * 1000))
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error


def _client(url: str, timeout_s: float) -> Redis:
    try:
        return Redis.from_url(
            url,
            decode_responses=True,
            encoding_errors="surrogateescape",  # bytes that are no text are refused where the line is read
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            max_connections=_MOST_CONNECTIONS,
            retry=Retry(NoBackoff(), 0),  # whoever calls decides whether to call again
        )
    except ValueError:
        # not `from`: what it could not read may be the password
        raise SettingsInvalid(
            "redis.url: must be redis://, rediss:// or unix://, with host, port and database"
        ) from None


def _unavailable(error: Exception) -> BoardUnavailable:
    """Names the kind alone: what Redis says may quote what it was told."""
    return BoardUnavailable(f"Redis does not answer, or refuses ({type(error).__name__}); the call may be made again")


def _nonsense(answer: object) -> BoardUnavailable:
    return BoardUnavailable(f"Redis answered a {type(answer).__name__} that the board does not know")


def _item_in(fields: list[object]) -> Report | Ended:
    """Raises: WorkerFailed: it is neither."""
    match fields:
        case ["kind", "report", "line", str(line)]:
            return told_from(Report, tree_from(line))
        case ["kind", "ended", "work", str(work), "tries", str(tries), "aside", str(aside), "reason", str(reason)] if (
            tries.isdecimal()
        ):
            return Ended(told_from(Work, tree_from(work)), int(tries), aside == "1", reason)
    raise WorkerFailed("neither a report nor the end of a try")
