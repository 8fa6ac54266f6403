"""One contract for every board: in this process, over a worker's pipes, in a real Redis."""

import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, TypeAlias

import anyio
import pytest

from pipeline.analyse.board import Ended, Lease, Report, WorkerBoard
from pipeline.analyse.local_board import MOST_REPORTS
from pipeline.errors import LeaseLost, WorkerFailed
from tests.boards import LEASE_S, MOST_TRIES, Kind, Table, drained, is_idle, is_quiet, laid, report, work
from tests.redis_made import RedisServer, redis_server

SLACK_S = 2.0
LONG_S = 30.0  # where no lease may end, however slow the machine
Case: TypeAlias = Callable[[Table], Awaitable[None]]


class Try(Protocol):
    def __call__(self, case: Case, lease_s: float = LONG_S) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as made:
        made.wait_until_up_s(2)
        yield made


@pytest.fixture(params=["local", "pipe", "redis"])
def on_board(request: pytest.FixtureRequest) -> Try:
    """Runs a case on an empty board of each kind."""
    kind: Kind = request.param
    url = request.getfixturevalue("server").url if kind == "redis" else ""

    def run(case: Case, lease_s: float = LONG_S) -> None:
        async def act() -> None:
            with anyio.fail_after(20):
                async with laid(kind, url, f"t{uuid.uuid4().hex}", lease_s) as table:
                    await case(table)

        anyio.run(act)

    return run


def test_of_twenty_who_claim_at_once_each_work_goes_to_one(on_board: Try) -> None:
    async def case(table: Table) -> None:
        given: list[Lease] = []

        async def claim(worker: WorkerBoard, name: str) -> None:
            given.append(await worker.claim(name))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(claim, table.worker(f"w{number}"), f"w{number}")
            for number in range(7):
                await table.desk.offer(work(f"a{number}"))
            with anyio.fail_after(5):
                while len(given) < 7:
                    await anyio.sleep(0.01)
            await anyio.sleep(0.2)
            group.cancel_scope.cancel()
        assert sorted(lease.work.work_id for lease in given) == [f"a{number}" for number in range(7)]
        assert all(lease.work == work(lease.work.work_id) for lease in given)

    on_board(case)


def test_a_lease_that_is_not_renewed_goes_to_another_with_a_greater_token_and_first(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        silent, other = table.worker("silent"), table.worker("other")
        lost = await silent.claim("silent")
        began_s = time.monotonic()
        assert await is_idle(other)
        with anyio.fail_after(LEASE_S + SLACK_S):
            takeover = await other.claim("other")
        assert time.monotonic() - began_s > 0.9 * LEASE_S
        assert takeover.work == lost.work
        assert takeover.token > lost.token
        assert await drained(table.desk, 1) == [Ended(work("a"), 1, False, "the lease was not renewed")]

    on_board(case, LEASE_S)


def test_work_that_lost_its_worker_comes_before_what_waits_longer(on_board: Try) -> None:
    async def case(table: Table) -> None:
        worker = table.worker("w")
        for name in ("a", "b", "c"):
            await table.desk.offer(work(name))
        first = await worker.claim("w")
        assert first.work.work_id == "a"
        await worker.report(report("a", first.token, 1, "failed"))
        assert (await worker.claim("w")).work.work_id == "a"
        assert (await worker.claim("w")).work.work_id == "b"

    on_board(case)


def test_a_desk_that_waits_hears_of_a_silent_worker_though_nobody_claims(on_board: Try) -> None:
    async def case(table: Table) -> None:
        items: list[Report | Ended] = []

        async def take() -> None:
            items.extend(await table.desk.take())

        async with anyio.create_task_group() as group:
            group.start_soon(take)  # waits since before there was a lease that could end
            await table.desk.offer(work("a"))
            await anyio.sleep(0.05)
            await table.worker("silent").claim("silent")
            with anyio.fail_after(LEASE_S + SLACK_S):
                while not items:
                    await anyio.sleep(0.01)
        assert items == [Ended(work("a"), 1, False, "the lease was not renewed")]

    on_board(case, LEASE_S)


def test_a_lease_that_is_renewed_outlives_its_time(on_board: Try) -> None:
    renewed_s = 0.8

    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        worker, other = table.worker("w"), table.worker("other")
        lease = await worker.claim("w")
        until_s = time.monotonic() + 1.4 * renewed_s
        async with anyio.create_task_group() as group:
            group.start_soon(other.claim, "other")
            while time.monotonic() < until_s:
                assert await worker.renew([lease]) == []
                await anyio.sleep(renewed_s / 5)
            group.cancel_scope.cancel()
        assert await is_quiet(table.desk)
        await worker.report(report("a", lease.token, 1, "failed"))
        assert (await drained(table.desk, 2))[1] == Ended(work("a"), 1, False, "is failed")  # a renewal is no try

    on_board(case, renewed_s)


def test_a_frozen_worker_that_wakes_up_tells_nothing_twice(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        frozen, other = table.worker("frozen"), table.worker("other")
        old = await frozen.claim("frozen")
        await frozen.report(report("a", old.token, 1))
        new = await other.claim("other")
        with pytest.raises(LeaseLost):
            await frozen.report(report("a", old.token, 2))
        with pytest.raises(LeaseLost):
            await frozen.report(report("a", old.token, 2, "done"))
        await frozen.report(report("a", old.token, 1))  # whose answer it never heard: that one was kept
        assert await frozen.renew([old]) == [old]
        await frozen.give_back(old)
        await other.report(report("a", new.token, 1, "done"))
        ended = Ended(work("a"), 1, False, "the lease was not renewed")
        told = [report("a", old.token, 1), ended, report("a", new.token, 1, "done")]
        assert await drained(table.desk, 3) == told
        assert await is_quiet(table.desk)

    on_board(case, LEASE_S)


def test_a_lease_ends_by_itself_also_for_its_holder(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        frozen = table.worker("frozen")
        lease = await frozen.claim("frozen")
        await anyio.sleep(LEASE_S + 0.1)
        with pytest.raises(LeaseLost):
            await frozen.report(report("a", lease.token, 1))

    on_board(case, LEASE_S)


def test_a_report_that_is_repeated_is_told_once(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        worker = table.worker("w")
        lease = await worker.claim("w")
        told = [report("a", lease.token, 1), report("a", lease.token, 2), report("a", lease.token, 3, "done")]
        for each in told:
            await worker.report(each)
            await worker.report(each)
        await worker.report(told[0])
        assert await drained(table.desk, 3) == told
        await worker.report(told[2])
        assert await is_quiet(table.desk)

    on_board(case)


def test_a_report_whose_forerunner_is_missing_is_refused(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        worker = table.worker("w")
        lease = await worker.claim("w")
        with pytest.raises(WorkerFailed):
            await worker.report(report("a", lease.token, 2))
        assert await is_quiet(table.desk)

    on_board(case)


def test_what_is_given_back_is_offered_at_once_and_counts_no_try(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        worker, other = table.worker("w"), table.worker("other")
        tokens = []
        for _ in range(MOST_TRIES + 1):
            lease = await worker.claim("w")
            tokens.append(lease.token)
            await worker.give_back(lease)
        with anyio.fail_after(LONG_S / 10):
            lease = await other.claim("other")
        assert tokens == sorted(set(tokens))
        assert lease.token > tokens[-1]
        assert await is_quiet(table.desk)
        await other.report(report("a", lease.token, 1, "failed"))
        assert (await drained(table.desk, 2))[1] == Ended(work("a"), 1, False, "is failed")

    on_board(case)


def test_work_that_fails_again_and_again_is_laid_aside(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        worker = table.worker("w")
        for tries in range(1, MOST_TRIES + 1):
            lease = await worker.claim("w")
            failed = report("a", lease.token, 1, "failed")
            await worker.report(failed)
            told = await drained(table.desk, 2)
            assert told == [failed, Ended(work("a"), tries, tries == MOST_TRIES, "is failed")]
            await worker.report(failed)  # again, because its answer was lost
        await table.desk.offer(work("a"))
        assert await is_idle(worker)
        await table.desk.withdraw("a")
        await table.desk.offer(work("a"))
        again = await worker.claim("w")
        assert again.token > lease.token

    on_board(case)


def test_work_that_kills_its_workers_is_laid_aside(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        worker = table.worker("w")
        for tries in range(1, MOST_TRIES + 1):
            await worker.claim("w")
            ended = (await drained(table.desk, 1))[0]
            assert ended == Ended(work("a"), tries, tries == MOST_TRIES, "the lease was not renewed")
        assert await is_idle(worker)

    on_board(case, LEASE_S)


def test_work_that_waits_long_after_it_lost_its_worker_has_no_more_tries_for_it(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        worker = table.worker("w")
        await worker.claim("w")
        assert await drained(table.desk, 1) == [Ended(work("a"), 1, False, "the lease was not renewed")]
        assert await is_quiet(table.desk, 1.6 * LEASE_S)
        lease = await worker.claim("w")
        await worker.report(report("a", lease.token, 1, "failed"))
        assert (await drained(table.desk, 2))[1] == Ended(work("a"), 2, True, "is failed")

    on_board(case, LEASE_S)


def test_withdrawn_work_is_felt_at_the_next_renewal(on_board: Try) -> None:
    async def case(table: Table) -> None:
        worker = table.worker("w")
        for name in ("a", "b", "c"):
            await table.desk.offer(work(name))
        a, b = await worker.claim("w"), await worker.claim("w")
        for name in ("a", "c", "unknown"):
            await table.desk.withdraw(name)
        assert await worker.renew([a, b]) == [a]
        with pytest.raises(LeaseLost):
            await worker.report(report("a", a.token, 1))
        await worker.report(report("b", b.token, 1))
        assert await is_idle(worker)
        assert await drained(table.desk, 1) == [report("b", b.token, 1)]
        await table.desk.offer(work("a"))
        assert (await worker.claim("w")).token > b.token

    on_board(case)


def test_work_that_is_done_stays_done_until_the_desk_knows(on_board: Try) -> None:
    async def case(table: Table) -> None:
        worker = table.worker("w")
        await table.desk.offer(work("a"))
        await table.desk.offer(work("a"))
        lease = await worker.claim("w")
        await worker.report(report("a", lease.token, 1, "done"))
        await table.desk.offer(work("a"))
        assert await is_idle(worker)
        assert await worker.renew([lease]) == [lease]
        assert await drained(table.desk, 1) == [report("a", lease.token, 1, "done")]
        await table.desk.offer(work("a"))
        assert (await worker.claim("w")).token > lease.token

    on_board(case)


def test_the_desk_hears_each_lease_in_its_order(on_board: Try) -> None:
    async def case(table: Table) -> None:
        names = [f"a{number}" for number in range(5)]
        for name in names:
            await table.desk.offer(work(name))

        async def tell(worker: WorkerBoard) -> None:
            lease = await worker.claim("w")
            for number in range(1, 21):
                await worker.report(
                    report(lease.work.work_id, lease.token, number, "done" if number == 20 else "running")
                )

        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(tell, table.worker(name))
            items = await drained(table.desk, 100)
        for name in names:
            numbers = [item.number for item in items if isinstance(item, Report) and item.work_id == name]
            assert numbers == list(range(1, 21))

    on_board(case)


def test_what_is_not_taken_comes_again_also_after_the_desk_restarted(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        worker = table.worker("w")
        lease = await worker.claim("w")
        told = [report("a", lease.token, number) for number in (1, 2, 3)]
        for each in told:
            await worker.report(each)
        assert list(await table.desk.take()) == told
        assert list(await table.desk.take()) == told
        await table.desk.taken(told[:1])
        await table.desk.taken(told[:1])
        assert list(await table.desk.take()) == told[1:]
        again = table.desk_again()
        assert await drained(again, 2) == told[1:]
        assert await is_quiet(again)

    on_board(case)


def test_a_worker_that_tells_faster_than_the_desk_takes_waits(on_board: Try) -> None:
    async def case(table: Table) -> None:
        await table.desk.offer(work("a"))
        worker = table.worker("w")
        lease = await worker.claim("w")
        told = 0

        async def tell() -> None:
            nonlocal told
            for number in range(1, MOST_REPORTS + 6):
                await worker.report(report("a", lease.token, number))
                told = number

        async with anyio.create_task_group() as group:
            group.start_soon(tell)
            with anyio.fail_after(10):
                while told < MOST_REPORTS:
                    await anyio.sleep(0.01)
            await anyio.sleep(0.2)
            assert told == MOST_REPORTS
            items = await drained(table.desk, MOST_REPORTS + 5)
        assert items == [report("a", lease.token, number) for number in range(1, MOST_REPORTS + 6)]

    on_board(case)


def test_a_claim_that_is_cancelled_takes_no_work_with_it(on_board: Try) -> None:
    async def case(table: Table) -> None:
        impatient, other = table.worker("impatient"), table.worker("other")
        given: list[Lease] = []

        async def claim() -> None:
            given.append(await impatient.claim("impatient"))

        names = {f"a{number}" for number in range(20)}
        for number, name in enumerate(sorted(names)):
            async with anyio.create_task_group() as group:
                group.start_soon(claim)
                group.start_soon(table.desk.offer, work(name))
                await anyio.sleep(0.0005 * number)  # before, while and after it is given
                group.cancel_scope.cancel()
        for name in names:
            await table.desk.offer(work(name))
        left = names - {lease.work.work_id for lease in given}
        assert left, "no claim was cancelled in time"
        with anyio.fail_after(3):
            assert {(await other.claim("other")).work.work_id for _ in left} == left
        assert await is_quiet(table.desk)

    on_board(case)
