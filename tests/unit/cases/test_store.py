"""How the database is opened: by its release, on both kinds; and that migrations give the tables of the code."""

import hashlib
from pathlib import Path

import anyio
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from cases import timeline
from cases.appender import Appender
from cases.custody.check import check
from cases.facts import Fact
from cases.store import schema
from cases.store.engine import FILE, Store, migrate, open_store, url_of
from cases.store.tables import metadata
from cases.timeline import Question
from pipeline.errors import SchemaOutdated, StoreUnavailable
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened

RELEASED = {
    "0001_facts.py": "453b595c29fd52fa4ea2b932a416464edc2471ed23f032629258fa6c330e14d7",
    "0002_casework.py": "1b322c70db8a6080057e72ad3e4d3ab55ba85b9de911400acc1970e0f6e46784",
    "0003_heads.py": "98495f72b2ed05fb480077c2e86ab36af1321fd4e6c6eada652bd627efc00ceb",
    "0004_rights.py": "2c14f96a92126946a903ffe0b3d48354120439477068149328ad13a388e995ef",
    "0005_uploads.py": "58a518f65e5bfba9db6a8d68f1bccdbc28929e6daeac30a22ae2a2e98bcfa873",
}
"""The migrations that stand at somebody's site already."""


def test_a_migration_that_was_released_is_never_edited() -> None:
    folder = Path(schema.__file__).parent / "migrations" / "versions"
    assert {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in RELEASED} == RELEASED


def test_the_release_that_is_wanted_is_alembics_newest_and_is_told_without_alembic() -> None:
    assert schema.head() == ScriptDirectory.from_config(schema._config()).get_current_head()


@pytest.mark.parametrize("release", [name[:4] for name in RELEASED])
def test_a_record_of_every_release_comes_to_todays_form_with_all_that_stands_in_it(
    where: StoreSettings, tmp_path: Path, release: str
) -> None:
    def to_release(connection: Connection) -> None:
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, release)

    facts = [
        Fact(event_id=f"ev_{n}", kind="NoteAdded", at_us=n, case_id="case_1", words=f"请出示营业执照 {n}")
        for n in range(300)
    ]

    async def act() -> None:
        engine = create_async_engine(url_of(where, tmp_path))
        async with engine.begin() as connection:
            await connection.run_sync(to_release)
        store = Store(engine, engine)
        appender = await Appender.load(store, ManualClock())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            stored = await appender.append(facts)
            tasks.cancel_scope.cancel()
        await store.close()
        assert (await migrate(where, tmp_path))[0].startswith(release)
        async with open_store(where, tmp_path) as store, store.reading() as connection:
            assert await timeline.after(connection, -1, 1000) == stored
            assert len((await timeline.search(store, connection, "执照 299", 10))[0]) == 1
            question = Question(case_id="case_1", limit=1000)
            assert [each.fact for each in await timeline.page(store, connection, question)] == facts
        assert [defect async for defect in check(tmp_path, where)] == []

    anyio.run(act)


def test_a_database_is_migrated_once_and_opened_only_in_todays_form(where: StoreSettings, tmp_path: Path) -> None:
    async def act() -> None:
        with pytest.raises(SchemaOutdated, match="onrecord migrate"):
            async with open_store(where, tmp_path):
                pass
        assert await migrate(where, tmp_path) == ("", schema.head())
        assert await migrate(where, tmp_path) == (schema.head(), schema.head())
        async with open_store(where, tmp_path) as store:
            async with store.reading() as connection:
                assert await store.size(connection) == 0
            async with store.writing() as connection, connection.begin():
                await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(SchemaOutdated, match="newer than this program"):
            await migrate(where, tmp_path)

    anyio.run(act)


def test_the_migrations_give_the_tables_that_the_code_names(where: StoreSettings, tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        found: list[object] = compare_metadata(MigrationContext.configure(connection), metadata)
        return [each for each in found if "texts" not in str(each)]

    async def act() -> None:
        async with opened(where, tmp_path) as store, store.reading() as connection:
            assert await connection.run_sync(differences) == []

    anyio.run(act)


def test_sqlite_confirms_a_commit_only_when_it_is_on_the_medium(tmp_path: Path) -> None:
    async def act() -> None:
        async with opened(StoreSettings(), tmp_path) as store, store.writing() as connection:
            for name, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
                assert (await connection.execute(text(f"PRAGMA {name}"))).scalar() == value
        async with opened(StoreSettings(), tmp_path) as store, store.reading() as connection:
            with pytest.raises(StoreUnavailable):
                async with store.reading() as reader:
                    await reader.execute(text("DELETE FROM tiles"))

    anyio.run(act)
    assert (tmp_path / FILE).exists()


def test_an_error_of_the_database_tells_no_password_and_no_word(tmp_path: Path) -> None:
    settings = StoreSettings(url=SecretStr("postgresql://onrecord:sesame@127.0.0.1:1/none"))

    async def act() -> None:
        with pytest.raises(StoreUnavailable) as told:
            async with open_store(settings, tmp_path):
                pass
        assert "sesame" not in str(told.value)
        assert "sesame" not in repr(settings)

    anyio.run(act)
