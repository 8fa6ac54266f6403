"""How the database is opened: by its release, on both kinds; and that migrations give the tables of the code."""

from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import Connection, text

from cases.store import schema
from cases.store.engine import FILE, migrate, open_store
from cases.store.tables import metadata
from pipeline.errors import SchemaOutdated, StoreUnavailable
from pipeline.settings import StoreSettings
from tests.stores import opened


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
