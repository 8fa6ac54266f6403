"""The way to the database: SQLite in the data folder, or PostgreSQL. SQLAlchemy's errors end here."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import anyio
from sqlalchemy import Connection, Engine, event, func, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from cases.custody.merkle import HashName, ReadTile
from cases.store import schema
from cases.store.tables import events, tiles
from pipeline.errors import SchemaOutdated, StoreUnavailable
from pipeline.settings import StoreSettings

FILE = "record.db"
_BUSY_MS = 10_000
_CONNECT_S = 5.0
_COMMAND_S = 30.0  # a server that does not answer for so long is away
_CACHE_KIB = 65_536  # what a connection to SQLite keeps of the file
_READERS = 8  # connections that only read; also the most PostgreSQL connections beside the writer


@contextlib.contextmanager
def mapped(doing: str) -> Iterator[None]:
    """Raises: StoreUnavailable in place of what SQLAlchemy or the driver raises."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(f"{doing}: the database refused ({_short(error)}); see `onrecord doctor`") from error


def _short(error: Exception) -> str:
    """The kind of error, without statement and values: these hold what people said."""
    cause = getattr(error, "orig", None) or error
    return type(cause).__name__


def url_of(settings: StoreSettings, data: Path) -> str:
    """SQLAlchemy's URL, with the driver."""
    url = settings.url.get_secret_value()
    if not url:
        return f"sqlite+aiosqlite:///{data / FILE}"
    scheme, _, rest = url.partition("://")
    driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}[scheme]
    return f"{driver}://{rest}"


class Store:
    """An open database. Reading takes any of its connections; writing is the appender's alone."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader
        self.is_sqlite = writer.dialect.name == "sqlite"

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One state of the database, as it is now; not cut short by a cancellation. Raises: StoreUnavailable."""
        with mapped("reading"), anyio.CancelScope(shield=True):
            async with self._reader.connect() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """The database as it is now, however long it takes; may be cut short. Raises: StoreUnavailable."""
        with mapped("reading"):
            async with self._reader.connect() as connection:
                if not self.is_sqlite:
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                await self.size(connection)  # the first question fixes what is seen
                yield connection

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """The one connection that writes; without a transaction yet. Shield what is done with it: a driver that is cut
        short leaves its connection broken. Raises: StoreUnavailable.
        """
        with mapped("writing"):
            with anyio.CancelScope(shield=True):
                connection = await self._writer.connect()
            try:
                yield connection
            finally:
                with anyio.CancelScope(shield=True):
                    await connection.close()

    async def size(self, connection: AsyncConnection) -> int:
        """How many events there are."""
        last: int | None = (await connection.execute(select(func.max(events.c.seq)))).scalar()
        return 0 if last is None else last + 1

    def tile_reader(self, connection: AsyncConnection, name: HashName = "sha256") -> ReadTile:
        async def read(level: int, place: int) -> bytes:
            row = await connection.execute(
                select(tiles.c.hashes).where(tiles.c.hash == name, tiles.c.level == level, tiles.c.place == place)
            )
            found: bytes | None = row.scalar()
            return b"" if found is None else found

        return read

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._reader.dispose()
            await self._writer.dispose()


@contextlib.asynccontextmanager
async def open_store(settings: StoreSettings, data: Path) -> AsyncIterator[Store]:
    """The database with today's tables.

    Raises: SchemaOutdated: its tables are of another release. StoreUnavailable: it does not answer.
    """
    url = url_of(settings, data)
    async with _opened(Store(_engine(url, is_writer=True), _engine(url, is_writer=False))) as store:
        yield store


@contextlib.asynccontextmanager
async def open_for_check(
    settings: StoreSettings, data: Path, *, is_running: bool, cache_kib: int = _CACHE_KIB
) -> AsyncIterator[Store]:
    """The database for one who must not change a byte of it: no file is made, nothing is checkpointed, no call is cut.

    is_running: a server writes to it meanwhile. cache_kib: what SQLite may keep in memory. Raises: as `open_store`.
    """
    url = url_of(settings, data)
    if url.startswith("sqlite"):
        path = Path(url.partition(":///")[2])
        wal = path.with_name(f"{path.name}-wal")
        is_still = not is_running and not (wal.exists() and wal.stat().st_size)
        url = f"sqlite+aiosqlite:///file:{quote(str(path))}?mode=ro{'&immutable=1' if is_still else ''}&uri=true"
    engine = _engine(url, is_writer=False, command_s=None, cache_kib=cache_kib)
    async with _opened(Store(engine, engine)) as store:
        yield store


@contextlib.asynccontextmanager
async def _opened(store: Store) -> AsyncIterator[Store]:
    try:
        async with store.reading() as connection:
            found = await connection.run_sync(schema.revision)
        if found != schema.head():
            raise SchemaOutdated(
                f"the database is of release {found or 'none'}, this program wants {schema.head()}; "
                "run `onrecord migrate`, or start the newer program"
            )
        yield store
    finally:
        await store.close()


async def migrate(settings: StoreSettings, data: Path) -> tuple[str, str]:
    """Bring the tables to today's form; what stands in them stays. (release before, release now).

    Raises: SchemaOutdated: they are newer than this program. StoreUnavailable.
    """
    engine = _engine(url_of(settings, data), is_writer=True, command_s=None)
    try:
        with mapped("migrating"):
            async with engine.connect() as connection, connection.begin():
                before: str = await connection.run_sync(schema.revision)
                if before and not schema.is_known(before):
                    raise SchemaOutdated(f"the database is of release {before}, newer than this program; update it")
                await connection.run_sync(schema.upgrade)
    finally:
        await engine.dispose()
    return before, schema.head()


def _engine(
    url: str, *, is_writer: bool, command_s: float | None = _COMMAND_S, cache_kib: int = _CACHE_KIB
) -> AsyncEngine:
    if not url.startswith("sqlite"):
        return create_async_engine(
            url,
            pool_size=1 if is_writer else _READERS,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"timeout": _CONNECT_S, "command_timeout": command_s},
        )
    engine = create_async_engine(url, pool_size=1 if is_writer else _READERS, max_overflow=0)
    _prepare(engine.sync_engine, is_writer, cache_kib)
    return engine


def _prepare(engine: Engine, is_writer: bool, cache_kib: int) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # sqlite3: we say BEGIN ourselves
        cursor = connection.cursor()
        for line in (
            *(("journal_mode=WAL",) if is_writer else ()),
            "synchronous=FULL",  # a commit is on the medium: these rows are evidence
            f"busy_timeout={_BUSY_MS}",
            "foreign_keys=ON",
            f"cache_size=-{cache_kib}",
            f"query_only={'OFF' if is_writer else 'ON'}",
        ):
            cursor.execute(f"PRAGMA {line}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.execute(text("BEGIN IMMEDIATE" if is_writer else "BEGIN"))
