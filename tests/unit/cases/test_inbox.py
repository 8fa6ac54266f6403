"""From the outbox into the record: each fact once and in order, over kills and a store that is away."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from cases import timeline
from cases.appender import Appender, Stored
from cases.facts import Fact
from cases.inbox import Inbox
from cases.store.engine import Store
from pipeline.errors import StoreUnavailable
from pipeline.events import StreamStarted
from pipeline.outbox import Outbox, OutboxReader
from pipeline.record.disk import SystemDisk
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened


class Stops(Exception):
    """The process is killed here."""


class Killed(Appender):
    """Stops before or after the commit of append number `at`."""

    at = -1
    is_after = False

    async def append(
        self, facts: Sequence[Fact], after: Callable[[AsyncConnection], Awaitable[None]] | None = None
    ) -> list[Stored]:
        self.at -= 1
        if self.at == 0 and not self.is_after:
            raise Stops
        stored = await super().append(facts, after)
        if self.at == 0:
            raise Stops
        return stored


async def told(store: Store) -> list[str | None]:
    async with store.reading() as connection:
        return [each.fact.stream_id for each in await timeline.after(connection, -1, 10_000)]


@pytest.mark.parametrize("is_after", [False, True])
def test_a_kill_around_any_commit_loses_none_and_doubles_none(
    where: StoreSettings, tmp_path: Path, is_after: bool
) -> None:
    async def act() -> None:
        folder = tmp_path / "outbox"
        box = Outbox(folder, SystemDisk(), 0.5)
        for number in range(2400):
            box.tell(StreamStarted(at=float(number), stream_id=f"st_{number}", device_id="dev"))
        await box.flush()
        for at in (1, 2, 2):
            async with opened(where, tmp_path) as store:
                appender = await Killed.load(store, ManualClock())
                assert isinstance(appender, Killed)
                appender.at, appender.is_after = at, is_after
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(appender.run)
                    with anyio.fail_after(20), pytest.raises(Stops):
                        await Inbox(box, OutboxReader(folder), store, appender).run()
                    tasks.cancel_scope.cancel()
        async with opened(where, tmp_path) as store:
            appender = await Appender.load(store, ManualClock())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                tasks.start_soon(Inbox(box, OutboxReader(folder), store, appender).run)
                with anyio.fail_after(20):
                    await appender.wait_beyond(2398)
                box.tell(StreamStarted(at=0.0, stream_id="last", device_id="dev"))
                await box.flush()
                with anyio.fail_after(20):
                    await appender.wait_beyond(2399)
                tasks.cancel_scope.cancel()
            assert await told(store) == [*(f"st_{number}" for number in range(2400)), "last"]

    anyio.run(act)


def test_what_is_told_while_the_database_is_away_arrives_afterwards(tmp_path: Path) -> None:
    from api.bench.postgres import Postgres
    from tests.stores import postgres

    async def act(server: Postgres, settings: StoreSettings) -> None:
        folder = tmp_path / "outbox"
        box = Outbox(folder, SystemDisk(), 0.5)
        async with opened(settings, tmp_path) as store:
            appender = await Appender.load(store, ManualClock())

            async def take() -> None:
                while True:
                    try:
                        await Inbox(box, OutboxReader(folder), store, appender).run()
                    except StoreUnavailable:
                        await anyio.sleep(0.05)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                tasks.start_soon(take)
                for number in range(30):
                    if number == 10:
                        await anyio.to_thread.run_sync(server.kill)
                    if number == 20:
                        await anyio.to_thread.run_sync(server.start)
                    box.tell(StreamStarted(at=float(number), stream_id=f"st_{number}", device_id="dev"))
                    await box.flush()
                    await anyio.sleep(0.01)
                with anyio.fail_after(30):
                    await appender.wait_beyond(28)
                tasks.cancel_scope.cancel()
            assert await told(store) == [f"st_{number}" for number in range(30)]

    with postgres() as server:
        anyio.run(act, server, server.settings())
