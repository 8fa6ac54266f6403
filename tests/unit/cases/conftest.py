"""Both databases, for every test that asks for `where`."""

from collections.abc import Iterator

import pytest

from api.bench.postgres import Postgres
from pipeline.settings import StoreSettings
from tests.stores import postgres


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest) -> StoreSettings:
    """Settings of a new, empty database."""
    if request.param == "sqlite":
        return StoreSettings()
    server: Postgres = request.getfixturevalue("postgresql")
    return server.settings()
