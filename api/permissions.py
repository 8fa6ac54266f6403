"""The door of every route: who asks, and how far the policy lets them reach; a route without a permission is refused.

The table is configs/rules/permissions.yaml; `check_declared` and `check_below` hold all doors to it at start.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from api.doors import Doors
from cases.access import Principal
from cases.reach import Within
from cases.rights import reach_of, table
from pipeline.errors import AccessDenied, SettingsInvalid

log = structlog.get_logger(__name__)

PUBLIC = "public"
"""Reason-bearing mark of the few routes a stranger may call: health, metrics, the sign-in itself, the page's files."""
BY_STREAM_KEY = "by stream key"
"""Mark of the routes that devices call: the stream key in the path or the bearer opens them, and nothing else does."""
BEFORE_ENROLMENT = frozenset({"session.own"})
"""What a person may do who has not chosen a password, or set the second factor, that the policy asks for."""
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and what the permission of this route reaches for them."""

    principal: Principal
    within: Within


@dataclass(frozen=True, slots=True)
class DoorBelow:
    """A way in that FastAPI never sees. route: as docs/permissions.md shows it. permission: what it asks for."""

    route: str
    permission: str


class Below:
    """What answers requests before FastAPI does: it says which doors it opens, and asks for their permissions."""

    opens: ClassVar[tuple[DoorBelow, ...]] = ()


Dependency: TypeAlias = Callable[[Request], Awaitable[Asker]]


def require(permission: str) -> Dependency:
    """A dependency that lets in who has `permission`: 401 without a login, 403 without the right."""
    table()[permission]  # KeyError: it is in no table

    async def check(request: Request) -> Asker:
        principal = principal_of(request)
        return Asker(principal, within(request.app.state.doors, principal, permission))

    check.permission = permission  # type: ignore[attr-defined]  # read by check_declared
    return check


def within(doors: Doors, principal: Principal, permission: str) -> Within:
    """Raises: HTTPException 403: the policy gives this one none of it, or the account must be set up first."""
    if principal.needs and permission not in BEFORE_ENROLMENT:
        raise HTTPException(403, f"set your {principal.needs} first: open the page and sign in")
    reach = reach_of(principal, permission)
    if reach is None:
        log.warning("refused", permission=permission, role=principal.role, principal_id=principal.principal_id)
        raise HTTPException(403, f"the role {principal.role} may not do this ({permission})")
    return Within.of(principal, reach, doors.access.units)


def principal_of(request: Request) -> Principal:
    """Who asks.

    Raises: AccessDenied: nobody we know. HTTPException 403: a cookie sent by another site.
    """
    doors: Doors = request.app.state.doors
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer:
        principal = doors.access.who(bearer.strip(), kind="token")
    else:
        principal = doors.access.who(request.cookies.get(session_cookie(request), ""), kind="session")
        if principal is not None and request.method not in ("GET", "HEAD") and not is_same_origin(request):
            raise HTTPException(403, "a signed-in browser may only send this from our own page")
    if principal is None:
        raise AccessDenied("not signed in")
    return principal


def is_trustworthy(request: HTTPConnection) -> bool:
    """Whether browsers keep `Secure` cookies for this address. Source: W3C Secure Contexts, 3.1."""
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return request.url.scheme in ("https", "wss") or name in _LOOPBACK


def session_cookie(request: HTTPConnection) -> str:
    """Where the address allows it, a name that no other host and no plain HTTP can set (RFC 6265bis, 4.1.3.2)."""
    return "__Host-onrecord_session" if is_trustworthy(request) else "onrecord_session"


def client_cookie(request: HTTPConnection) -> str:
    return "__Host-onrecord_client" if is_trustworthy(request) else "onrecord_client"


def directory_cookie(request: HTTPConnection) -> str:
    return "__Host-onrecord_directory" if is_trustworthy(request) else "onrecord_directory"


def is_same_origin(request: Request) -> bool:
    """Whether a browser says that the request comes from our own page. Source: Fetch Metadata; RFC 6454."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] == request.headers.get("host")


def check_declared(routes: Sequence[BaseRoute]) -> None:
    """Hold every route to this table, those of included routers too; call it before pages and files are mounted.

    Raises: SettingsInvalid: a route declares no permission and is not public or opened by a stream key, or cannot say.
    """
    for route in iter_route_contexts(routes):
        if not isinstance(route.original_route, APIRoute):
            raise SettingsInvalid(
                f"route {route.path} is of a kind that cannot declare a permission; make it an APIRoute"
            )
        if permission_of(route.dependant.dependencies) is None and not {PUBLIC, BY_STREAM_KEY}.intersection(
            route.tags or []
        ):
            raise SettingsInvalid(f"route {route.path} declares no permission; add Depends(require(…))")


def check_below(served: ASGIApp, socket: type[object], declared: Sequence[type[Below]]) -> None:
    """Hold what the web server is given, layer by layer down to FastAPI, and its protocol of WebSockets to `declared`.

    Raises: SettingsInvalid: one of them is not among them, names no door, or asks for a permission that no table has.
    """
    layer: object = served
    found = [socket]
    while not isinstance(layer, FastAPI):
        found.append(type(layer))
        layer = getattr(layer, "app", None)
        if layer is None:
            raise SettingsInvalid(f"{found[-1].__name__} answers below FastAPI and does not say what lies behind it")
    for each in found:
        if not issubclass(each, tuple(declared)):
            raise SettingsInvalid(f"{each.__name__} answers below FastAPI and is not declared; add it to DOORS_BELOW")
    for each in declared:
        if not each.opens:
            raise SettingsInvalid(f"{each.__name__} answers below FastAPI and names no door that it opens")
        for door in each.opens:
            if door.permission not in table():
                raise SettingsInvalid(f"{door.route} asks for {door.permission!r}, which is in no table")


def permission_of(dependencies: Sequence[object]) -> str | None:
    """What a route with these dependencies asks for."""
    for each in dependencies:
        permission = getattr(getattr(each, "call", None), "permission", None)
        if permission is not None:
            return str(permission)
    return None
