"""No route without a permission, no permission without a known role; the paths below FastAPI are held too."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route

from api.permissions import PERMISSIONS, PUBLIC, check_declared, require
from api.routes import health, session, streams
from cases.access import ROLES, Principal
from pipeline.errors import SettingsInvalid


def application(router: APIRouter) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(router)
    return app


def test_every_route_of_the_program_declares_its_permission() -> None:
    for router in (health.router, session.router, streams.router):
        assert router.routes
        check_declared(application(router).routes)


def test_an_undeclared_route_is_refused_however_deep_it_is_included() -> None:
    inner, outer = APIRouter(), APIRouter(prefix="/outer")

    @inner.get("/open")
    async def undeclared() -> None: ...

    with pytest.raises(SettingsInvalid, match="/open"):
        check_declared(inner.routes)
    with pytest.raises(SettingsInvalid, match="/open"):
        check_declared(application(inner).routes)
    outer.include_router(inner)
    with pytest.raises(SettingsInvalid, match="/outer/open"):
        check_declared(application(outer).routes)


def test_a_declared_and_a_public_route_are_accepted() -> None:
    router = APIRouter()

    @router.get("/held")
    async def held(_: Annotated[Principal, Depends(require("streams.list"))]) -> None: ...

    @router.get("/public", tags=[PUBLIC])
    async def public() -> None: ...

    check_declared(application(router).routes)


def test_a_route_of_a_kind_that_cannot_declare_is_refused() -> None:
    router = APIRouter()

    @router.websocket("/socket")
    async def socket(_: WebSocket) -> None: ...

    kinds: list[list[BaseRoute]] = [
        [Route("/plain", PlainTextResponse("open"))],
        [Mount("/files", PlainTextResponse("open"))],
        application(router).routes,
    ]
    for routes in kinds:
        with pytest.raises(SettingsInvalid, match="of a kind"):
            check_declared(routes)


def test_every_permission_is_given_to_known_roles_only_and_to_somebody() -> None:
    for permission, roles in PERMISSIONS.items():
        assert roles, permission
        assert roles <= set(ROLES), permission


def test_administrators_of_the_machine_see_no_pictures() -> None:
    assert not PERMISSIONS["streams.watch"] & {"system_admin", "security_admin", "audit_admin", "analyst", "archivist"}


def test_a_permission_that_is_not_in_the_table_cannot_be_asked_for() -> None:
    with pytest.raises(KeyError):
        require("streams.lisst")
