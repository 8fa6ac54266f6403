"""The one writer, on both databases: what is acknowledged is there, once, in order, in the log."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender, Stored
from cases.custody import proofs
from cases.custody.merkle import LogWriter, leaf_hash
from cases.facts import Fact, parse_entry
from cases.store.engine import Store
from cases.store.tables import case_events, events, tiles
from pipeline.errors import EvidenceError, OnRecordError, StoreUnavailable
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened


def fact(number: int) -> Fact:
    return Fact(event_id=f"ev_{number}", kind="NoteAdded", at_us=1_000_000 * number, by="u1", body={"n": number})


def facts(count: int, first: int = 0) -> list[Fact]:
    return [fact(number) for number in range(first, first + count)]


def on(where: StoreSettings, data: Path, act: Callable[[Store, Appender], Awaitable[None]]) -> None:
    """Run `act` beside a running appender."""

    async def main() -> None:
        async with opened(where, data) as store:
            appender = await Appender.load(store, ManualClock())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                with anyio.fail_after(30):
                    await act(store, appender)
                tasks.cancel_scope.cancel()

    anyio.run(main)


async def check(store: Store) -> int:
    """That places have no holes, each entry is its row's, and the tiles prove each; how many there are."""
    async with store.reading() as connection:
        rows = (await connection.execute(select(events).order_by(events.c.seq))).all()
        read = store.tile_reader(connection)
        log = LogWriter()
        log.extend([row.entry.encode() for row in rows])
        root = await proofs.root(len(rows), read)
        assert root == log.root()
        for seq, row in enumerate(rows):
            found, learned_at_us = parse_entry(row.entry.encode())
            assert (row.seq, row.event_id, row.kind, row.at_us) == (seq, found.event_id, found.kind, found.at_us)
            assert (row.stream_id, row.case_id, row.learned_at_us) == (found.stream_id, found.case_id, learned_at_us)
        for seq in range(0, len(rows), 97):
            path = await proofs.inclusion(seq, len(rows), read)
            assert proofs.is_included(leaf_hash(rows[seq].entry.encode()), seq, len(rows), path, root)
    return len(rows)


def test_facts_are_rows_leaves_and_proofs_and_a_fact_told_twice_is_one(where: StoreSettings, tmp_path: Path) -> None:
    async def act(store: Store, appender: Appender) -> None:
        first = await appender.append(facts(600))
        assert [each.seq for each in first] == list(range(600))
        again = await appender.append([*facts(3, 599), fact(600)])
        assert [(each.seq, each.fact.event_id) for each in again] == [(600, "ev_600"), (601, "ev_601")]
        assert await appender.append(facts(600)) == []
        assert appender.size == await check(store) == 602

    on(where, tmp_path, act)


def test_many_writers_share_a_commit_and_each_gets_its_own(where: StoreSettings, tmp_path: Path) -> None:
    async def act(store: Store, appender: Appender) -> None:
        answers: dict[int, list[Stored]] = {}

        async def one(number: int) -> None:
            answers[number] = await appender.append([fact(number)])

        async with anyio.create_task_group() as tasks:
            for number in range(300):
                tasks.start_soon(one, number)
        assert {number: stored[0].fact.event_id for number, stored in answers.items()} == {
            number: f"ev_{number}" for number in range(300)
        }
        assert appender.commits < 10
        assert await check(store) == 300

    on(where, tmp_path, act)


def test_a_change_that_refuses_writes_nothing_and_spoils_nobody(where: StoreSettings, tmp_path: Path) -> None:
    async def act(store: Store, appender: Appender) -> None:
        async def good(connection: AsyncConnection) -> tuple[int, Sequence[Fact]]:
            known = (await connection.execute(select(func.count()).select_from(events))).scalar_one()
            return known, [fact(2)]

        async def bad(connection: AsyncConnection) -> tuple[int, Sequence[Fact]]:
            await connection.execute(text("DELETE FROM tiles"))
            raise EvidenceError("not so")

        results: list[int] = []

        async def refused() -> None:
            with pytest.raises(EvidenceError, match="not so"):
                await appender.change(bad)

        async def accepted() -> None:
            results.append(await appender.change(good))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.append, facts(2))
            tasks.start_soon(refused)
            tasks.start_soon(accepted)
        assert results == [2], "a change sees what was appended before it"
        assert await check(store) == 3
        assert appender.commits == 1

    on(where, tmp_path, act)


def test_rows_and_facts_that_follow_go_into_the_same_transaction(where: StoreSettings, tmp_path: Path) -> None:
    class Follows:
        async def apply(self, connection: AsyncConnection, stored: Sequence[Stored]) -> Sequence[Fact]:
            await connection.execute(text("SELECT 1"))
            return [
                Fact(event_id=f"{each.fact.event_id}_follows", kind="Followed", at_us=each.fact.at_us, case_id="c1")
                for each in stored
                if each.fact.kind == "NoteAdded"
            ]

    async def act(store: Store) -> None:
        appender = await Appender.load(store, ManualClock(), [Follows()])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            assert [each.seq for each in await appender.append(facts(2))] == [0, 1]
            tasks.cancel_scope.cancel()
        assert await check(store) == 4
        async with store.reading() as connection:
            shown = (await connection.execute(select(case_events.c.seq).order_by(case_events.c.at_us))).scalars().all()
        assert shown == [2, 3]

    async def main() -> None:
        async with opened(where, tmp_path) as store:
            await act(store)

    anyio.run(main)


def test_a_tail_wakes_after_the_commit(where: StoreSettings, tmp_path: Path) -> None:
    async def act(store: Store, appender: Appender) -> None:
        seen: list[int] = []

        async def tail() -> None:
            await appender.wait_beyond(4)
            seen.append(appender.size)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tail)
            await appender.append(facts(5))
            assert not seen
            await appender.append(facts(1, 5))
        assert seen == [6]

    on(where, tmp_path, act)


def test_a_write_that_breaks_off_leaves_nothing_and_the_next_goes_on(where: StoreSettings, tmp_path: Path) -> None:
    """The database fails in the middle of a group: whoever waits is told, the trees forget it, the next is whole."""

    async def act(store: Store, appender: Appender) -> None:
        await appender.append(facts(10))

        async def breaks(connection: AsyncConnection) -> None:
            await connection.execute(text("SELECT * FROM no_such_table"))

        with pytest.raises(StoreUnavailable):
            await appender.append(facts(500, 10), after=breaks)
        assert appender.size == await check(store) == 10
        await appender.append(facts(500, 10))
        assert appender.size == await check(store) == 510

    on(where, tmp_path, act)


def test_a_commit_whose_answer_was_lost_is_found_in_the_database(where: StoreSettings, tmp_path: Path) -> None:
    """The rows are there, the writer was told otherwise: telling again is telling once, and what comes next goes on."""

    class Lost(Appender):
        loses = True

        async def _commit(self, connection: AsyncConnection, group: Sequence[object]) -> None:
            await super()._commit(connection, group)  # type: ignore[arg-type]  # as it came
            if self.loses:
                self.loses = False
                raise StoreUnavailable("the line broke")

    async def act() -> None:
        async with opened(where, tmp_path) as store:
            appender = await Lost.load(store, ManualClock())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                await appender.append(facts(300))
                again = await appender.append(facts(10, 295))
                assert [each.seq for each in again] == [300, 301, 302, 303, 304]
                tasks.cancel_scope.cancel()
            assert await check(store) == 305

    anyio.run(act)


def test_a_restart_goes_on_where_the_log_ended(where: StoreSettings, tmp_path: Path) -> None:
    async def first(store: Store, appender: Appender) -> None:
        await appender.append(facts(700))

    async def second(store: Store, appender: Appender) -> None:
        assert appender.size == 700
        await appender.append(facts(70, 690))
        assert await check(store) == 760

    on(where, tmp_path, first)
    on(where, tmp_path, second)


def test_a_log_whose_tiles_are_gone_is_not_gone_on_with(where: StoreSettings, tmp_path: Path) -> None:
    async def five(store: Store, appender: Appender) -> None:
        await appender.append(facts(5))

    async def cut() -> None:
        async with opened(where, tmp_path) as store, store.writing() as connection, connection.begin():
            await connection.execute(tiles.delete())

    on(where, tmp_path, five)
    anyio.run(cut)
    with pytest.raises(OnRecordError, match="tile 0/0 is missing"):
        on(where, tmp_path, five)
