"""Accounts, units and devices: who makes them, who gives them rights, who ends them.

The administrator of the system makes and ends accounts; the one of security gives them role, unit and devices; neither
does both, and none of them sees a picture.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response

from api.asking import keyed_id, paged, version_of
from api.doors import Doors
from api.permissions import Asker, require
from api.qr import svg_of
from api.schemas.accounts import (
    DeviceIn,
    DeviceMadeOut,
    DevicesOut,
    LinkMadeOut,
    UnitIn,
    UnitOut,
    UnitsOut,
    UserChangeIn,
    UserDevicesIn,
    UserIn,
    UserMadeOut,
    UserOut,
    UsersOut,
    device_out,
    user_out,
)
from cases.access.accounts import Account
from cases.access.principal import ADMINISTRATORS
from pipeline.clock import rfc3339
from pipeline.errors import StateConflict, ThingUnknown

router = APIRouter(prefix="/api/v1")
Lister = Annotated[Asker, Depends(require("users.list"))]
SystemAdmin = Annotated[Asker, Depends(require("users.manage"))]
SecurityAdmin = Annotated[Asker, Depends(require("users.rights"))]
DeviceAdmin = Annotated[Asker, Depends(require("devices.manage"))]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str, Query(max_length=4000)]


@router.get("/users")
async def list_users(request: Request, _: Lister, limit: Limit = 500, cursor: Cursor = "") -> UsersOut:
    """By their sign-in names."""
    doors: Doors = request.app.state.doors
    page, more = paged(doors.access.accounts.all(), lambda each: each.login, limit, cursor)
    return UsersOut(items=[_out(doors, each) for each in page], next_cursor=more)


@router.post("/users", status_code=201)
async def add_user(request: Request, asker: SystemAdmin, wanted: UserIn) -> UserMadeOut:
    """An account that reaches nothing yet: the administrator of security gives it role, unit and devices.

    The first account ever of another administrator gets its role at once, for nobody else could give it. The link is
    shown this once; the same Idempotency-Key is answered 409.
    """
    doors: Doors = request.app.state.doors
    if wanted.role != "viewer" and not _is_first(doors, wanted.role):
        raise HTTPException(403, "the role is given by the administrator of security")
    keyed = keyed_id(request, asker.principal, "usr")
    account = doors.access.accounts.add(wanted.login, wanted.name, wanted.role, by=asker.principal.by, account_id=keyed)
    return UserMadeOut(user=_out(doors, account), link=_link(request, doors, account, asker.principal.by))


@router.get("/users/{account_id}")
async def read_user(request: Request, response: Response, _: Lister, account_id: str) -> UserOut:
    doors: Doors = request.app.state.doors
    return _tagged(response, _out(doors, doors.access.accounts.find(account_id)))


@router.patch("/users/{account_id}")
async def change_user(
    request: Request, response: Response, asker: SecurityAdmin, account_id: str, wanted: UserChangeIn
) -> UserOut:
    """Role, unit and officer. If-Match must hold the ETag that was read. Nobody changes their own."""
    doors: Doors = request.app.state.doors
    if account_id == asker.principal.account_id:
        raise StateConflict("nobody gives rights to himself")
    account = doors.access.accounts.change(
        account_id, version_of(request), name=wanted.name, role=wanted.role, unit=wanted.unit,
        officer_id=wanted.officer_id, by=asker.principal.by,
    )  # fmt: skip
    return _tagged(response, _out(doors, account))


@router.put("/users/{account_id}/devices")
async def assign_devices(
    request: Request, asker: SecurityAdmin, account_id: str, wanted: UserDevicesIn
) -> UserOut:  # fmt: skip
    """The devices that a viewer is to watch, instead of those before."""
    doors: Doors = request.app.state.doors
    doors.access.accounts.assign(account_id, wanted.device_ids, asker.principal.by)
    return _out(doors, doors.access.accounts.find(account_id))


@router.post("/users/{account_id}/disable")
async def disable_user(
    request: Request, asker: Annotated[Asker, Depends(require("users.disable"))], account_id: str
) -> UserOut:
    """Sessions, tokens and tickets end at once, open views and downloads within 2 s."""
    doors: Doors = request.app.state.doors
    if account_id == asker.principal.account_id:
        raise StateConflict("nobody disables the account he is signed in with")
    held = doors.access.of_account(account_id)
    account = doors.access.accounts.disable(account_id, asker.principal.by)
    for each in held:
        doors.tickets.revoke(each.token_id)
    return _out(doors, account)


@router.post("/users/{account_id}/enable")
async def enable_user(request: Request, asker: SystemAdmin, account_id: str) -> UserOut:
    doors: Doors = request.app.state.doors
    return _out(doors, doors.access.accounts.enable(account_id, asker.principal.by))


@router.post("/users/{account_id}/link", status_code=201)
async def make_link(request: Request, asker: SystemAdmin, account_id: str) -> LinkMadeOut:
    """For who forgot the password. A second factor that was set is asked for all the same."""
    doors: Doors = request.app.state.doors
    account = doors.access.accounts.find(account_id)
    link = _link(request, doors, account, asker.principal.by)
    expires_at = doors.runtime.clock.utc_s() + doors.runtime.settings.access.link_s
    return LinkMadeOut(link=link, expires_at=rfc3339(expires_at))


@router.delete("/users/{account_id}/totp", status_code=204)
async def forget_totp(request: Request, asker: SecurityAdmin, account_id: str) -> None:
    """For who lost the authenticator and the recovery codes. The sessions of the account end."""
    doors: Doors = request.app.state.doors
    if account_id == asker.principal.account_id:
        raise StateConflict("ask another administrator of security")
    doors.access.accounts.forget_totp(account_id, asker.principal.by)


@router.get("/units")
async def list_units(
    request: Request, _: Annotated[Asker, Depends(require("units.list"))], limit: Limit = 500, cursor: Cursor = ""
) -> UnitsOut:
    """By their names."""
    doors: Doors = request.app.state.doors
    page, more = paged(doors.access.units.all(), lambda each: each[0], limit, cursor)
    return UnitsOut(items=[UnitOut(name=name, parent=parent) for name, parent in page], next_cursor=more)


@router.put("/units", status_code=204)
async def put_unit(request: Request, asker: SecurityAdmin, wanted: UnitIn) -> None:
    """Enter a unit, or hang it below another one."""
    doors: Doors = request.app.state.doors
    doors.access.units.put(wanted.name, wanted.parent, asker.principal.by)


@router.get("/devices")
async def list_devices(request: Request, _: DeviceAdmin, limit: Limit = 500, cursor: Cursor = "") -> DevicesOut:
    """By their names."""
    doors: Doors = request.app.state.doors
    found = doors.access.devices()
    page, more = paged(found, lambda each: f"{each.device.name} {each.device.device_id}", limit, cursor)
    return DevicesOut(items=[device_out(each) for each in page], next_cursor=more)


@router.post("/devices", status_code=201)
async def add_device(request: Request, asker: DeviceAdmin, wanted: DeviceIn) -> DeviceMadeOut:
    """Its stream key is shown this once (the same Idempotency-Key is answered 409); the QR code is for the encoder."""
    doors: Doors = request.app.state.doors
    keyed = keyed_id(request, asker.principal, "dev")
    device, key = doors.access.add_device(
        wanted.name, wanted.officer, wanted.unit, by=asker.principal.by, device_id=keyed
    )
    return _made(request, device.device_id, device.name, key)


@router.post("/devices/{device_id}/key", status_code=201)
async def replace_key(request: Request, asker: DeviceAdmin, device_id: str) -> DeviceMadeOut:
    """A new stream key; what publishes with the old one goes on until it disconnects."""
    doors: Doors = request.app.state.doors
    key = doors.access.replace_key(device_id, asker.principal.by)
    if key is None:
        raise ThingUnknown("no such active device")
    name = next(each.device.name for each in doors.access.devices() if each.device.device_id == device_id)
    return _made(request, device_id, name, key)


@router.delete("/devices/{device_id}", status_code=204)
async def revoke_device(request: Request, asker: DeviceAdmin, device_id: str) -> None:
    """A stream it publishes ends within 2 s; its recordings stay."""
    doors: Doors = request.app.state.doors
    if device_id not in [each.device.device_id for each in doors.access.devices() if each.revoked_at is None]:
        raise ThingUnknown("no such active device")
    doors.access.revoke_device(device_id, asker.principal.by)


def _is_first(doors: Doors, role: str) -> bool:
    """Whether it is an administrator's, and nobody ever had it: one who was disabled is replaced on the console."""
    return role in ADMINISTRATORS and all(each.role != role for each in doors.access.accounts.all())


def _link(request: Request, doors: Doors, account: Account, by: str) -> str:
    code = doors.access.accounts.link(account.account_id, doors.runtime.settings.access.link_s, by)
    return f"{_page(request, doors)}/#code={code}"


def _page(request: Request, doors: Doors) -> str:
    """The address of the page, as the settings say it; else as this request came. Never from a forwarding header."""
    return doors.runtime.settings.api.public_url.rstrip("/") or f"{request.url.scheme}://{request.headers['host']}"


def _made(request: Request, device_id: str, name: str, key: str) -> DeviceMadeOut:
    doors: Doors = request.app.state.doors
    host = _page(request, doors).partition("://")[2].rpartition(":")[0] or request.headers["host"]
    url = f"rtmp://{host}:{doors.runtime.rtmp.port}/live/{key}"
    return DeviceMadeOut(device_id=device_id, name=name, stream_key=key, url=url, qr=svg_of(url))


def _out(doors: Doors, account: Account) -> UserOut:
    return user_out(account, doors.access.accounts.assigned(account.account_id))


def _tagged(response: Response, user: UserOut) -> UserOut:
    response.headers["etag"] = f'"{user.version}"'
    return user
