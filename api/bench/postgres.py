"""A PostgreSQL server of its own for a bench or a test: Debian's program, a folder, a socket, no port."""

import os
import shutil
import subprocess
import uuid
from pathlib import Path

import anyio
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from pipeline.errors import WorkerFailed
from pipeline.settings import StoreSettings

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def is_installed() -> bool:
    return bool(_BINARIES)


class Postgres:
    """A server without a port: whoever may enter its folder may connect."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._user = "nobody" if os.getuid() == 0 else None  # PostgreSQL refuses to run as root
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises: WorkerFailed: it does not come up."""
        if not (self._folder / "data").exists():
            if self._user is not None:
                shutil.chown(self._folder, self._user)
            self._run("initdb", "-D", str(self._folder / "data"), "-U", "onrecord", "-A", "trust", "-E", "UTF8", "-N")
        options = ["-D", str(self._folder / "data"), "-k", str(self._folder), "-c", "listen_addresses="]
        self._process = subprocess.Popen(
            [str(_BINARIES[-1] / "postgres"), *options], stderr=subprocess.DEVNULL, user=self._user
        )
        self._run("pg_isready", "-h", str(self._folder), "-t", "20", tries=200)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()  # SIGTERM waits for sessions; the tests' are closed by then
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def kill(self) -> None:
        """As in a power cut, but for the disk's caches."""
        if self._process is None:
            return
        self._process.send_signal(3)  # SIGQUIT: at once, recovery at the next start
        self._process.wait()

    def settings(self) -> StoreSettings:
        """A new, empty database."""
        name = f"t{uuid.uuid4().hex}"

        async def create() -> None:
            engine = create_async_engine(f"postgresql+asyncpg://onrecord@/postgres?host={self._folder}")
            async with engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(text(f"CREATE DATABASE {name}"))
            await engine.dispose()

        anyio.run(create)
        return StoreSettings(url=SecretStr(f"postgresql://onrecord@/{name}?host={self._folder}"))

    def _run(self, name: str, *arguments: str, tries: int = 1) -> None:
        for _ in range(tries):
            command = [str(_BINARIES[-1] / name), *arguments]
            done = subprocess.run(
                command, capture_output=True, text=True, cwd="/", timeout=60, user=self._user, check=False
            )
            if done.returncode == 0:
                return
        raise WorkerFailed(f"{name}: {done.stderr}")
