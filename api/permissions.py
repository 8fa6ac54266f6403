"""Who may do what: one table, and the dependency that holds each route to it.

A route without a permission makes the program refuse to start (`check_declared`).
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute

from api.doors import Doors
from cases.access import ROLES, Principal
from pipeline.errors import AccessDenied, SettingsInvalid

SESSION_COOKIE = "onrecord_session"
_ALL = frozenset(ROLES)
_WATCHERS = frozenset({"viewer", "commander", "officer", "handler", "reviewer"})

PERMISSIONS: dict[str, frozenset[str]] = {
    "session.own": _ALL,
    "schema.read": _ALL,
    "streams.list": _WATCHERS | {"system_admin"},
    "streams.watch": _WATCHERS,
    "cases.read": frozenset({"commander", "officer", "handler", "reviewer", "archivist"}),
    "cases.note": frozenset({"commander", "officer", "handler", "reviewer"}),
    "cases.handle": frozenset({"commander", "handler"}),
    "cases.export": frozenset({"commander", "handler", "archivist"}),
    "log.read": frozenset({"commander", "officer", "handler", "reviewer", "archivist", "audit_admin"}),
    "people.manage": frozenset({"commander", "system_admin"}),
}
PUBLIC = "public"
"""Reason-bearing mark of the few routes a stranger may call: health, metrics, the sign-in itself, the page's files."""
BY_STREAM_KEY = "by stream key"
"""Mark of the routes that devices call: the stream key in the path or the bearer opens them, and nothing else does."""

Dependency: TypeAlias = Callable[[Request], Awaitable[Principal]]


def require(permission: str) -> Dependency:
    """A dependency that lets in who has `permission`: 401 without a login, 403 without the right."""
    allowed = PERMISSIONS[permission]

    async def check(request: Request) -> Principal:
        principal = principal_of(request)
        if principal.role not in allowed:
            raise HTTPException(403, f"the role {principal.role} may not do this ({permission})")
        return principal

    check.permission = permission  # type: ignore[attr-defined]  # read by check_declared
    return check


def principal_of(request: Request) -> Principal:
    """Who asks.

    Raises: AccessDenied: nobody we know. HTTPException 403: a cookie sent by another site.
    """
    doors: Doors = request.app.state.doors
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer:
        principal = doors.access.who(bearer.strip(), kind="token")
    else:
        principal = doors.access.who(request.cookies.get(SESSION_COOKIE, ""), kind="session")
        if principal is not None and request.method not in ("GET", "HEAD") and not is_same_origin(request):
            raise HTTPException(403, "a signed-in browser may only send this from our own page")
    if principal is None:
        raise AccessDenied("not signed in")
    return principal


def is_same_origin(request: Request) -> bool:
    """Whether a browser says that the request comes from our own page. Source: Fetch Metadata; RFC 6454."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def check_declared(routes: Sequence[BaseRoute]) -> None:
    """Hold every route to this table, those of included routers too; call it before pages and files are mounted.

    Raises: SettingsInvalid: a route declares no permission and is not public or opened by a stream key, or cannot say.
    """
    for route in iter_route_contexts(routes):
        if not isinstance(route.original_route, APIRoute):
            raise SettingsInvalid(
                f"route {route.path} is of a kind that cannot declare a permission; make it an APIRoute"
            )
        declared = any(hasattr(dependency.call, "permission") for dependency in route.dependant.dependencies)
        if not declared and not {PUBLIC, BY_STREAM_KEY}.intersection(route.tags or []):
            raise SettingsInvalid(f"route {route.path} declares no permission; add Depends(require(…))")
