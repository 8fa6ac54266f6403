"""Databases for tests: SQLite in a folder, and a real PostgreSQL on a socket of its own, stopped at the end."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from api.bench.postgres import Postgres, is_installed
from cases.store.engine import Store, migrate, open_store
from pipeline.settings import StoreSettings


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server. Skips where PostgreSQL is not installed."""
    if not is_installed():
        pytest.skip("not installed: postgresql (make system)")
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.asynccontextmanager
async def opened(settings: StoreSettings, data: Path) -> AsyncIterator[Store]:
    """With today's tables."""
    await migrate(settings, data)
    async with open_store(settings, data) as store:
        yield store
