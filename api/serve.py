"""The server process: media side and web server on one event loop, started together and stopped cleanly."""

import contextlib
import errno
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio
import structlog
import uvicorn

from api.app import create_app
from api.doors import Doors
from api.live_socket import live_socket
from api.tickets import Tickets
from cases.access import Access
from pipeline.app import Runtime
from pipeline.clock import SystemClock
from pipeline.errors import AddressInUse
from pipeline.settings import ApiSettings, Settings

log = structlog.get_logger(__name__)

_RIGHTS_EVERY_S = 1.0
_WEB_STOP_S = 1
_GC_THRESHOLDS = (50_000, 20, 50)  # media makes no cycles, so looking for them 20 times a second buys nothing


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is up: where it listens, and what it is made of."""

    doors: Doors
    url: str
    rtmp_port: int


Beside: TypeAlias = Callable[[Running], Coroutine[Any, Any, None]]


async def serve(settings: Settings, beside: Beside | None = None, seconds: float | None = None) -> None:
    """Run until SIGTERM, SIGINT or `seconds`; then close every segment and return.

    beside: runs while the server is up, and is cancelled with it.
    Raises: AddressInUse, StorageError, SettingsInvalid: it cannot start.
    """
    access = Access.of(settings.data)
    clock = SystemClock()
    runtime = Runtime(settings, access, clock)
    doors = Doors(runtime, access, Tickets(settings.live.ticket_s, clock))
    with contextlib.closing(access), _listen(settings.api) as listener:
        server = _WebServer(
            uvicorn.Config(
                create_app(doors),
                http="httptools",
                ws=live_socket(doors),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_WEB_STOP_S,
            )
        )
        await runtime.start()
        gc.freeze()  # what start-up made stays: the collector need not look at it again
        gc.set_threshold(*_GC_THRESHOLDS)
        running = Running(doors, _url(settings.api, listener), runtime.rtmp.port)
        log.info("ready", url=running.url, rtmp_port=running.rtmp_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runtime.run)
            tasks.start_soon(_watch_rights, doors)
            if beside is not None:
                tasks.start_soon(beside, running)
            async with _stopping(tasks.cancel_scope, seconds), anyio.create_task_group() as web:
                web.start_soon(server.serve, [listener])
                await anyio.sleep_forever()
        with anyio.CancelScope(shield=True):
            await runtime.close()
        log.info("stopped")


@contextlib.asynccontextmanager
async def _stopping(scope: anyio.CancelScope, seconds: float | None) -> AsyncIterator[None]:
    """Cancel `scope` at SIGTERM, SIGINT or after `seconds`."""

    async def on_signal() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                log.info("stopping", reason="signal")
                scope.cancel()
                return

    async def on_time(limit_s: float) -> None:
        await anyio.sleep(limit_s)
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(on_signal)
        if seconds is not None:
            tasks.start_soon(on_time, seconds)
        yield
        tasks.cancel_scope.cancel()


async def _watch_rights(doors: Doors) -> None:
    """Close the views of whoever lost the right to watch."""
    live = doors.runtime.live
    while True:
        await anyio.sleep(_RIGHTS_EVERY_S)
        for principal_id in {viewer.by for feed in live.feeds.values() for viewer in feed.viewers}:
            if doors.access.named(principal_id) is None:
                doors.tickets.revoke(principal_id)
                live.cut_all_of(principal_id)


@contextlib.contextmanager
def _listen(settings: ApiSettings) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(
                f"port {settings.port} is taken by another program; stop it or set ONRECORD_API__PORT"
            ) from error
        raise AddressInUse(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error
    with listener:
        yield listener


def _url(settings: ApiSettings, listener: socket.socket) -> str:
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host
    return f"http://{host}:{listener.getsockname()[1]}"


class _WebServer(uvicorn.Server):
    """uvicorn without its own signal handlers: stopping is ours, so that segments are closed first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
