"""No route without a permission, no permission without a known role; the paths below FastAPI are held too."""

import re
from typing import Annotated, ClassVar, cast

import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

import api.app
from api.app import DOORS_BELOW, ROUTERS
from api.doors import Doors
from api.live_socket import LiveSocket
from api.permissions import PUBLIC, Asker, Below, DoorBelow, check_below, check_declared, require
from cases import rights
from cases.access import ROLES
from cases.access.principal import ADMINISTRATORS
from cases.rights import Reach, table
from pipeline.errors import SettingsInvalid
from scripts import permissions_doc


def application(router: APIRouter) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(router)
    return app


def test_every_route_of_the_program_declares_its_permission() -> None:
    for router in ROUTERS:
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
    async def held(_: Annotated[Asker, Depends(require("streams.list"))]) -> None: ...

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


class _Layer(Below):
    """Something in front of the application."""

    opens: ClassVar[tuple[DoorBelow, ...]] = (DoorBelow("`GET /shortcut`", "streams.watch"),)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class _Undeclared(_Layer):
    opens = ()


class _Mistaken(_Layer):
    opens = (DoorBelow("`GET /shortcut`", "streams.wach"),)


class _Blind:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


def test_a_door_below_fastapi_that_nobody_declared_keeps_the_program_from_starting() -> None:
    app = FastAPI()
    check_below(app, LiveSocket, DOORS_BELOW)
    check_below(_Layer(_Layer(app)), LiveSocket, (*DOORS_BELOW, _Layer))
    with pytest.raises(SettingsInvalid, match=r"_Layer .* is not declared"):
        check_below(_Layer(app), LiveSocket, DOORS_BELOW)
    with pytest.raises(SettingsInvalid, match=r"_Layer .* is not declared"):
        check_below(_Undeclared(_Layer(app)), LiveSocket, (*DOORS_BELOW, _Undeclared))
    with pytest.raises(SettingsInvalid, match=r"_Blind .* is not declared"):
        check_below(app, _Blind, DOORS_BELOW)
    with pytest.raises(SettingsInvalid, match="does not say what lies behind"):
        check_below(_Blind(), LiveSocket, DOORS_BELOW)
    with pytest.raises(SettingsInvalid, match="names no door"):
        check_below(_Undeclared(app), LiveSocket, (*DOORS_BELOW, _Undeclared))
    with pytest.raises(SettingsInvalid, match=r"'streams\.wach', which is in no table"):
        check_below(_Mistaken(app), LiveSocket, (*DOORS_BELOW, _Mistaken))


def test_the_program_holds_what_it_gives_the_web_server_to_the_declared_doors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api.app, "create_app", lambda _: FastAPI())
    doors = cast("Doors", None)
    api.app.served(doors)
    monkeypatch.setattr(api.app, "DOORS_BELOW", (LiveSocket,))
    with pytest.raises(SettingsInvalid, match="LiveFiles"):
        api.app.served(doors)


def test_only_these_few_routes_are_public() -> None:
    page = permissions_doc.page()
    public = set(re.findall(r"^\| `(\S+ \S+)` \| public \|$", page, re.MULTILINE))
    directory = {"GET /api/v1/session/directory", "GET /api/v1/session/directory/callback"}  # 404 where none is set
    assert public == {"GET /livez", "GET /readyz", "GET /metrics", "POST /api/v1/session", *directory}


def test_every_permission_is_given_to_known_roles_only_to_somebody_and_said_in_both_languages() -> None:
    for permission in table().values():
        assert permission.roles, permission.name
        assert permission.roles.keys() <= set(ROLES), permission.name
        assert permission.en
        assert re.search(r"[\u4e00-\u9fff]", permission.zh), permission.name


def test_every_permission_of_the_table_is_asked_for_by_a_route() -> None:
    page = permissions_doc.page().partition("## Routes")[2]
    assert {name for name in table() if f"`{name}`" not in page} == set()


def test_a_table_with_an_unknown_role_or_reach_is_refused(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    row = "x:\n  zh: 一\n  en: one\n  roles: {{{}}}\n"
    for roles in ("king: bureau", "viewer: everywhere"):
        path = tmp_path / "table.yaml"
        path.write_text(row.format(roles))
        monkeypatch.setattr(rights, "TABLE", path)
        table.cache_clear()
        with pytest.raises(SettingsInvalid):
            table()
    monkeypatch.undo()
    table.cache_clear()


def test_administrators_see_no_pictures_and_hold_no_right_of_one_another() -> None:
    for name in ("streams.watch", "recordings.play", "cases.read", "cases.export", "approvals.decide"):
        assert not table()[name].roles.keys() & ADMINISTRATORS, name
    assert table()["users.manage"].roles.keys() == {"system_admin"}
    assert table()["users.rights"].roles.keys() == {"security_admin"}
    assert table()["audit.read"].roles.keys() == {"audit_admin"}


def test_raw_recordings_are_reached_by_an_approval_and_by_nothing_else() -> None:
    assert set(table()["recordings.play"].roles.values()) == {Reach.APPROVED}


def test_a_permission_that_is_not_in_the_table_cannot_be_asked_for() -> None:
    with pytest.raises(KeyError):
        require("streams.lisst")


def test_the_page_of_permissions_is_todays() -> None:
    assert permissions_doc.PAGE.read_text(encoding="utf-8") == permissions_doc.page(), (
        "run python -m scripts.permissions_doc --write"
    )
