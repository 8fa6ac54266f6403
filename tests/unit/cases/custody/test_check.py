"""What an insider can do to database, heads and media, each done and each named (attacks of the domain's list)."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from cases.appender import Appender
from cases.custody.check import check
from cases.custody.checkpoint import SignedHead
from cases.custody.heads import Heads
from cases.custody.heads_file import FILE
from cases.custody.merkle import LogWriter
from cases.facts import Fact
from cases.store.engine import url_of
from pipeline.record.signing import Signer
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened

EVENTS = 600  # more than two tiles


def made(where: StoreSettings, data: Path) -> list[SignedHead]:
    """A log with heads at 5, 300 and 600 events."""

    async def act() -> list[SignedHead]:
        signed = []
        async with opened(where, data) as store:
            appender = await Appender.load(store, ManualClock())
            log = Heads(store, appender, Signer.load(data / "keys"), ManualClock(), data, 60)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                for low, high in ((0, 5), (5, 300), (300, EVENTS)):
                    await appender.append(
                        [Fact(event_id=f"ev_{n}", kind="Told", at_us=n, stream_id="st_1") for n in range(low, high)]
                    )
                    signed.append(await log.sign_now())
                tasks.cancel_scope.cancel()
        return signed

    return anyio.run(act)


def named(where: StoreSettings, data: Path, *older: SignedHead, trusted: tuple[bytes, ...] = ()) -> set[str]:
    async def act() -> set[str]:
        return {each.defect async for each in check(data, where, older, trusted)}

    return anyio.run(act)


def harm(where: StoreSettings, data: Path, act: Callable[[AsyncConnection], Awaitable[object]]) -> None:
    async def run() -> None:
        engine = create_async_engine(url_of(where, data))
        async with engine.begin() as connection:
            await act(connection)
        await engine.dispose()

    anyio.run(run)


def statement(*lines: str) -> Callable[[AsyncConnection], Awaitable[object]]:
    async def act(connection: AsyncConnection) -> None:
        for line in lines:
            await connection.execute(text(line))

    return act


async def rebuild(connection: AsyncConnection) -> None:
    """All tiles anew, so that they fit the events as they are."""
    entries = [row[0].encode() for row in await connection.execute(text("SELECT entry FROM events ORDER BY seq"))]
    await connection.execute(text("DELETE FROM tiles"))
    for change in LogWriter().extend(entries):
        await connection.execute(
            text("INSERT INTO tiles (hash, level, place, hashes) VALUES ('sha256', :level, :place, :hashes)"),
            {"level": change.level, "place": change.place, "hashes": change.hashes},
        )


def test_a_record_that_nobody_touched_has_no_defect(where: StoreSettings, tmp_path: Path) -> None:
    signed = made(where, tmp_path)
    assert named(where, tmp_path, *signed) == set()


TILE = "UPDATE tiles SET hashes = (SELECT hashes FROM tiles WHERE level = 0 AND place = 0) WHERE place = 1"
ENTRY = "UPDATE events SET entry = replace(entry, 'Told', 'Lied') WHERE seq = 7"


@pytest.mark.parametrize(
    ("lines", "defects"),
    [
        pytest.param((ENTRY,), {"column_differs", "tile_differs", "head_differs"}, id="an entry edited"),
        pytest.param(
            (ENTRY, "UPDATE events SET kind = 'Lied' WHERE seq = 7"), {"tile_differs", "head_differs"},
            id="an entry and its column edited",
        ),
        pytest.param(("UPDATE events SET at_us = 1 WHERE seq = 7",), {"column_differs"}, id="a column edited"),
        pytest.param(
            ("UPDATE events SET entry = replace(entry, ':', ': ') WHERE seq = 7",),
            {"entry_malformed", "tile_differs", "head_differs"},
            id="an entry in another form",
        ),
        pytest.param(
            ("DELETE FROM events WHERE seq = 7",), {"event_missing", "tile_differs", "head_differs", "log_rolled_back"},
            id="an event deleted",
        ),
        pytest.param(
            ("DELETE FROM events WHERE seq >= 300",), {"log_rolled_back", "tile_differs"}, id="rolled back",
        ),
        pytest.param(
            (
                "UPDATE events SET seq = 9999 WHERE seq = 7", "UPDATE events SET seq = 7 WHERE seq = 8",
                "UPDATE events SET seq = 8 WHERE seq = 9999",
            ),
            {"tile_differs", "head_differs"},
            id="two events exchanged",
        ),
        pytest.param((TILE,), {"tile_differs"}, id="a tile"),
        pytest.param((TILE.replace("place = 1", "place = 2"),), {"tile_differs"}, id="the tile that still grows"),
        pytest.param(("DELETE FROM heads WHERE size = 5",), {"head_missing"}, id="a head deleted in the database"),
    ],
)  # fmt: skip
def test_what_an_insider_does_to_the_database_is_named(
    where: StoreSettings, tmp_path: Path, lines: tuple[str, ...], defects: set[str]
) -> None:
    made(where, tmp_path)
    harm(where, tmp_path, statement(*lines))
    assert named(where, tmp_path) == defects


def test_a_log_that_was_rebuilt_and_signed_anew_is_found_by_one_head_that_was_kept_elsewhere(
    where: StoreSettings, tmp_path: Path
) -> None:
    first = made(where, tmp_path)[0]
    kept = first.note()
    harm(where, tmp_path, statement(ENTRY, "UPDATE events SET kind = 'Lied' WHERE seq = 7"))
    harm(where, tmp_path, rebuild)
    harm(where, tmp_path, statement("DELETE FROM heads"))
    (tmp_path / "custody" / FILE).unlink()

    async def sign() -> None:
        async with opened(where, tmp_path) as store:
            appender = await Appender.load(store, ManualClock())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                await Heads(store, appender, Signer.load(tmp_path / "keys"), ManualClock(), tmp_path, 60).sign_now()
                tasks.cancel_scope.cancel()

    anyio.run(sign)
    assert named(where, tmp_path) == set()  # who holds the database and the key makes another history
    assert named(where, tmp_path, made_of(kept, 300, tmp_path)) == {"head_differs"}


def made_of(kept: str, size: int, data: Path) -> SignedHead:
    """An older head over 300 events: the one of an untouched log, made anew from the same facts and key."""
    other = data / "other"
    (other / "keys").mkdir(parents=True)
    for path in (data / "keys").iterdir():
        (other / "keys" / path.name).write_bytes(path.read_bytes())
    signed = made(StoreSettings(), other)
    assert signed[0].note() == kept
    return next(each for each in signed if each.head.size == size)


def test_a_heads_file_that_is_gone_cut_or_signed_by_another_is_named(tmp_path: Path) -> None:
    made(StoreSettings(), tmp_path)
    file = tmp_path / "custody" / FILE
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + lines[2])
    assert named(StoreSettings(), tmp_path) == {"head_missing"}
    file.write_bytes(lines[1] + lines[0] + lines[2])
    assert named(StoreSettings(), tmp_path) == {"head_order"}
    file.write_bytes(lines[0] + b"{}\n")
    assert "head_malformed" in named(StoreSettings(), tmp_path)
    file.write_bytes(b"".join(lines))
    other = Signer.load(tmp_path / "other")
    assert named(StoreSettings(), tmp_path, trusted=(other.public_key,)) == {"head_unsigned"}
