"""The board in a real Redis: what happens when Redis stops, hangs, forgets or is given nonsense."""

import os
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping

import anyio
import pytest
from redis.asyncio import Redis

from pipeline.analyse.board import DeskBoard, Ended, Lease
from pipeline.analyse.redis_board import RedisBoard
from pipeline.errors import BoardUnavailable, LeaseLost, SettingsInvalid
from tests.boards import MOST_TRIES, Table, drained, is_idle, is_quiet, over_redis, report, work
from tests.redis_made import RedisServer, redis_server
from tests.serving import BUSY_S

LEASE_S = 1.0
AWAY_S = float(os.environ.get("ONRECORD_TEST_REDIS_AWAY_S", "1.5"))  # longer than a lease


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as made:
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    """For the tests that leave it as they found it."""
    with redis_server() as made:
        yield made


def on_redis(server: RedisServer, case: Callable[[Table, str], Awaitable[None]]) -> None:
    """case: gets the board and the prefix of its keys."""

    async def act() -> None:
        prefix = f"t{uuid.uuid4().hex}"
        with anyio.fail_after(30 + AWAY_S):
            async with over_redis(server.url, prefix, LEASE_S) as table:
                await case(table, prefix)

    anyio.run(act)


async def again(call: Callable[[], Awaitable[None]]) -> int:
    """Repeat `call` until the board answers, as every user of it does. Gives how often it did not."""
    refused = 0
    while True:
        try:
            await call()
        except BoardUnavailable:
            refused += 1
            await anyio.sleep(0.1)
        else:
            return refused


async def dead_in(redis: Redis, prefix: str) -> list[Mapping[str | bytes, str | bytes] | None]:
    return [fields for _, fields in await redis.xrange(f"{prefix}:dead") or []]


def test_redis_that_is_away_with_its_memory_loses_nothing_and_the_lease_goes_on(server: RedisServer) -> None:
    async def case(table: Table, _: str) -> None:
        worker, waiting, desk = table.worker("w"), table.worker("waiting"), table.desk
        for name in ("a", "b"):
            await desk.offer(work(name))
        a, b = await worker.claim("w"), await worker.claim("w")
        await worker.report(report("a", a.token, 1))
        later: list[Lease] = []

        async def claim() -> None:
            async def once() -> None:
                later.append(await waiting.claim("waiting"))

            assert await again(once) > 0

        async with anyio.create_task_group() as group:
            group.start_soon(claim)
            await anyio.sleep(0.1)
            server.stop(is_kept=True)
            with pytest.raises(BoardUnavailable):
                await worker.renew([a, b])
            with pytest.raises(BoardUnavailable):
                await desk.take()
            await anyio.sleep(AWAY_S)
            group.start_soon(anyio.to_thread.run_sync, server.start)

            async def tell() -> None:
                await worker.report(report("a", a.token, 2))

            assert await again(tell) > 0
            assert await worker.renew([a, b]) == []
            assert await drained(desk, 2) == [report("a", a.token, 1), report("a", a.token, 2)]
            await worker.give_back(b)
            with anyio.fail_after(3):
                while not later:
                    await worker.renew([a])
                    await anyio.sleep(0.05)
        assert later[0].work == work("b")
        assert later[0].token > b.token

    on_redis(server, case)


def test_redis_that_comes_back_empty_is_offered_again_and_gives_greater_tokens(server: RedisServer) -> None:
    async def case(table: Table, _: str) -> None:
        worker, desk = table.worker("w"), table.desk
        await desk.offer(work("a"))
        old = await worker.claim("w")
        await worker.report(report("a", old.token, 1))
        assert await drained(desk, 1) == [report("a", old.token, 1)]
        await worker.report(report("a", old.token, 2))
        assert list(await desk.take()) == [report("a", old.token, 2)]  # told, and gone before it is taken
        server.stop()
        server.start()
        await again(lambda: desk.taken([report("a", old.token, 2)]))
        with pytest.raises(BoardUnavailable):  # its connection was to the one before
            await worker.renew([old])
        assert await worker.renew([old]) == [old]
        with pytest.raises(LeaseLost):
            await worker.report(report("a", old.token, 3))
        await desk.offer(work("a"))
        new = await table.worker("other").claim("other")
        assert new.work == work("a")
        assert new.token > old.token
        with pytest.raises(LeaseLost):
            await worker.report(report("a", old.token, 3))
        told = [report("a", new.token, 1), report("a", new.token, 2, "done")]
        for each in told:
            await worker.report(each)
        assert await drained(desk, 2) == told
        assert await is_quiet(desk)

    on_redis(server, case)


def test_those_who_wait_while_redis_forgets_all_find_what_is_offered_then(server: RedisServer) -> None:
    async def case(table: Table, _: str) -> None:
        given: list[Lease] = []

        async def claim() -> None:
            given.append(await table.worker("w").claim("w"))

        async with anyio.create_task_group() as group:
            await table.desk.offer(work("a"))
            first = await table.worker("first").claim("first")
            await table.worker("first").report(report("a", first.token, 1))
            assert await drained(table.desk, 1) == [report("a", first.token, 1)]
            group.start_soon(again, claim)
            await anyio.sleep(0.1)
            server.stop()
            server.start()
            await again(lambda: table.desk.offer(work("a")))
        assert given[0].token > first.token

    on_redis(server, case)


def test_redis_that_hangs_is_told_in_time_and_goes_on_as_it_was(shared: RedisServer) -> None:
    async def case(table: Table, _: str) -> None:
        worker, desk = table.worker("w"), table.desk
        await desk.offer(work("a"))
        lease = await worker.claim("w")
        with shared.frozen():
            began_s = time.monotonic()
            with pytest.raises(BoardUnavailable):
                await worker.report(report("a", lease.token, 1))
            with pytest.raises(BoardUnavailable):
                await desk.take()
            assert time.monotonic() - began_s < 4 + BUSY_S
        await anyio.sleep(LEASE_S)
        with pytest.raises(LeaseLost):  # its time ran on
            await worker.report(report("a", lease.token, 2))
        await desk.offer(work("b"))
        names = {(await worker.claim("w")).work.work_id for _ in range(2)}
        assert names == {"a", "b"}

    shared.wait_until_up_s(2)
    on_redis(shared, case)


def test_a_claim_that_is_cancelled_while_redis_hangs_gives_back_what_it_is_given_later(shared: RedisServer) -> None:
    async def case(table: Table, _: str) -> None:
        worker, scope = table.worker("w"), anyio.CancelScope()
        await worker.renew([])  # it has a connection
        await table.desk.offer(work("a"))

        async def claim() -> None:
            with scope:
                await worker.claim("w")

        async with anyio.create_task_group() as group:
            with shared.frozen():
                group.start_soon(claim)
                await anyio.sleep(0.1)
                scope.cancel()
                await anyio.sleep(0.1)
        assert scope.cancelled_caught
        with anyio.fail_after(LEASE_S / 2):
            assert (await table.worker("other").claim("other")).work == work("a")
        assert await is_quiet(table.desk)

    on_redis(shared, case)


@pytest.mark.parametrize("url", ["redis://:{}@127.0.0.1:{}/0", "redis://somebody:{}@127.0.0.1:{}/0"])
def test_a_wrong_password_is_told_without_it(shared: RedisServer, url: str) -> None:
    async def act() -> None:
        board = RedisBoard(url.format("hunter2secret", shared.port), "t", LEASE_S, MOST_TRIES)
        with pytest.raises(BoardUnavailable) as refused:
            await board.offer(work("a"))
        assert "hunter2secret" not in "".join(traceback.format_exception(refused.value))
        assert "hunter2secret" not in repr(board)
        await board.aclose()

    anyio.run(act)


@pytest.mark.parametrize("url", ["http://:hunter2secret@127.0.0.1/0", "redis://:hunter2secret/a@127.0.0.1:1/0"])
def test_an_address_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        RedisBoard(url, "t", LEASE_S, MOST_TRIES)
    assert "hunter2secret" not in "".join(traceback.format_exception(refused.value))


def test_what_nobody_can_read_is_put_with_the_dead_and_stops_nothing(shared: RedisServer) -> None:
    async def case(table: Table, prefix: str) -> None:
        await table.desk.offer(work("a"))
        worker = table.worker("w")
        lease = await worker.claim("w")
        async with Redis.from_url(shared.url, decode_responses=True, encoding_errors="surrogateescape") as redis:
            await redis.xadd(f"{prefix}:told", {"kind": "report", "line": "{}"})
            await redis.xadd(f"{prefix}:told", {"something": "else"})
            await redis.xadd(f"{prefix}:told", {b"kind": b"\xff\xfe"})
            await worker.report(report("a", lease.token, 1))
            assert await drained(table.desk, 1) == [report("a", lease.token, 1)]
            assert await dead_in(redis, prefix) == [
                {"kind": "report", "line": "{}"},
                {"something": "else"},
                {"kind": "\udcff\udcfe"},
            ]
            assert await redis.xlen(f"{prefix}:told") == 0

    on_redis(shared, case)


def test_redis_keeps_nothing_of_work_that_is_over_but_its_dead_letter(shared: RedisServer) -> None:
    async def case(table: Table, prefix: str) -> None:
        worker, desk = table.worker("w"), table.desk
        for name in ("a", "b", "c"):
            await desk.offer(work(name))
        a, b, c = [await table.worker(name).claim(name) for name in ("x", "y", "z")]
        await worker.report(report("a", a.token, 1, "done"))
        for number in range(MOST_TRIES):
            await worker.report(report("b", b.token, 1, "failed"))
            if number < MOST_TRIES - 1:
                b = await worker.claim("w")
        assert isinstance((await drained(desk, 1 + 2 * MOST_TRIES))[-1], Ended)
        for lease in (b, c):
            await desk.withdraw(lease.work.work_id)
        assert await is_idle(worker)
        async with Redis.from_url(shared.url, decode_responses=True) as redis:
            assert await redis.xlen(f"{prefix}:work") == await redis.xlen(f"{prefix}:told") == 0
            for name in ("places", "tokens", "numbers"):
                assert await redis.hgetall(f"{prefix}:{name}") == {}
            consumers = await redis.xinfo_consumers(f"{prefix}:work", "workers")
            assert [each["name"] for each in consumers] == ["(nobody)"]
            assert [each and each["kind"] for each in await dead_in(redis, prefix)] == ["work"]
            past = [key async for key in redis.scan_iter(f"{prefix}:past:*")]
            assert len(past) == 2 + MOST_TRIES
            assert all([0 < await redis.ttl(key) <= 3600 for key in past])

    on_redis(shared, case)


def test_two_boards_on_one_redis_know_nothing_of_each_other(shared: RedisServer) -> None:
    async def case(table: Table, _: str) -> None:
        async with over_redis(shared.url, f"t{uuid.uuid4().hex}", LEASE_S) as other:
            await table.desk.offer(work("a"))
            assert await is_idle(other.worker("w"))
            desk: DeskBoard = other.desk
            assert await is_quiet(desk)

    on_redis(shared, case)
