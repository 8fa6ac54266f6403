"""The FastAPI application: routes, problems, security headers, and the web pages when they were built."""

from collections.abc import Awaitable, Callable, MutableMapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from api import face_probes, problems
from api.doors import Doors
from api.live_files import LiveFiles
from api.live_socket import LiveSocket, live_socket
from api.permissions import Below, check_below, check_declared
from api.routes import (
    accounts,
    analysis,
    approvals,
    audit,
    cases,
    clips,
    custody,
    exports,
    faces,
    findings,
    health,
    ingest,
    people,
    procedure,
    recordings,
    redactions,
    session,
    streams,
    timeline,
    uploads,
    words,
)

_Message: TypeAlias = MutableMapping[str, Any]  # ASGI's own type: its messages are untyped dicts
_App: TypeAlias = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]

WEB_DIST = Path(__file__).resolve().parent.parent / "web" / "dist"

ROUTERS = (
    health.router,
    session.router,
    streams.router,
    ingest.router,
    cases.router,
    people.router,
    timeline.router,
    custody.router,
    exports.router,
    accounts.router,
    approvals.router,
    recordings.router,
    clips.router,
    faces.router,
    face_probes.router,
    redactions.router,
    audit.router,
    uploads.router,
    analysis.router,
    words.router,
    findings.router,
    procedure.router,
)

DOORS_BELOW: tuple[type[Below], ...] = (LiveSocket, LiveFiles)
"""What answers before FastAPI does; `check_below` lets nothing else."""

_POLICY = (
    "default-src 'self'; media-src 'self' blob:; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_ONLY_TLS = (b"strict-transport-security", b"max-age=31536000")  # a year, as OWASP ASVS 5.0, 3.4.1 asks
_NO_STORE = (b"cache-control", b"no-store")


def create_app(doors: Doors) -> FastAPI:
    """The application over a running media side.

    Raises: SettingsInvalid: a route declares no permission.
    """
    app = FastAPI(
        title="OnRecord", version=version("onrecord"), openapi_url=None, docs_url=None, redoc_url=None,
        responses=problems.RESPONSES,
    )  # fmt: skip
    app.state.doors = doors
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    check_declared(app.routes)
    app.add_middleware(SecurityHeaders)
    if WEB_DIST.is_dir():
        app.mount("/", StaticFiles(directory=WEB_DIST, html=True), name="web")
    else:
        app.add_api_route("/", _not_built, include_in_schema=False)
    return app


async def _not_built() -> PlainTextResponse:
    return PlainTextResponse("The web pages are not built yet: run 'make setup'.\n", 503)


def served(doors: Doors) -> tuple[ASGIApp, type[LiveSocket]]:
    """What the web server serves, the LL-HLS door in front of the application, and what it makes of an upgrade.

    A viewer asks seven times a second, and each layer of the application's own costs some microseconds.
    Raises: SettingsInvalid: one of the doors declares no permission.
    """
    app, socket = LiveFiles(create_app(doors), doors, _live_headers), live_socket(doors)
    check_below(app, socket, DOORS_BELOW)
    return app, socket


def _security_headers(scope: _Message) -> list[tuple[bytes, bytes]]:
    return [*_HEADERS, _ONLY_TLS] if scope["scheme"] == "https" else _HEADERS


def _live_headers(scope: _Message) -> list[tuple[bytes, bytes]]:
    return [*_security_headers(scope), _NO_STORE]


class SecurityHeaders:
    """Adds the same headers to every answer; media and API answers are never stored by a cache."""

    def __init__(self, app: _App) -> None:
        self._app = app

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        no_store = scope["path"].startswith(("/api", "/live"))

        async def with_headers(message: _Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *_security_headers(scope)]
                if no_store and not any(name == b"cache-control" for name, _ in headers):
                    headers.append(_NO_STORE)
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, with_headers)
