"""The shapes of accounts, units and devices."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cases.access import DeviceRecord
from cases.access.accounts import Account
from pipeline.clock import rfc3339

Name = Annotated[str, Field(min_length=1, max_length=80)]
Unit = Annotated[str, Field(max_length=200)]
Role = Literal[
    "viewer", "commander", "officer", "handler", "reviewer", "archivist", "analyst", "system_admin", "security_admin",
    "audit_admin",
]  # fmt: skip


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UserIn(_In):
    login: Name
    name: Name
    role: Role = "viewer"


class UserChangeIn(_In):
    name: Name | None = None
    role: Role | None = None
    unit: Unit | None = None
    officer_id: Annotated[str, Field(max_length=64)] | None = None


class UserDevicesIn(_In):
    device_ids: Annotated[list[str], Field(max_length=1000)]


class UserOut(BaseModel):
    account_id: str
    login: str
    name: str
    role: str
    unit: str
    officer_id: str
    has_password: bool
    has_totp: bool
    created_at: str
    disabled_at: str | None
    device_ids: list[str]
    version: int


class UsersOut(BaseModel):
    items: list[UserOut]
    next_cursor: str | None = None


class UserMadeOut(BaseModel):
    """link: with it the person signs in once and chooses a password; shown this once."""

    user: UserOut
    link: str


class LinkMadeOut(BaseModel):
    link: str
    expires_at: str


class UnitIn(_In):
    """parent: the unit above; none for the top."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    parent: Annotated[str, Field(max_length=200)] | None = None


class UnitOut(BaseModel):
    name: str
    parent: str | None


class UnitsOut(BaseModel):
    items: list[UnitOut]
    next_cursor: str | None = None


class DeviceIn(_In):
    name: Name
    officer: Annotated[str, Field(max_length=80)] = ""
    unit: Unit = ""


class DeviceOut(BaseModel):
    device_id: str
    name: str
    officer: str
    unit: str
    created_at: str
    revoked_at: str | None
    source: str | None


class DevicesOut(BaseModel):
    items: list[DeviceOut]
    next_cursor: str | None = None


class DeviceMadeOut(BaseModel):
    """stream_key: shown this once. url: what the encoder is set to. qr: the url as an SVG picture."""

    device_id: str
    name: str
    stream_key: str
    url: str
    qr: str


def user_out(account: Account, device_ids: list[str]) -> UserOut:
    return UserOut(
        account_id=account.account_id, login=account.login, name=account.name, role=account.role, unit=account.unit,
        officer_id=account.officer_id, has_password=account.has_password, has_totp=account.has_totp,
        created_at=rfc3339(account.created_at),
        disabled_at=None if account.disabled_at is None else rfc3339(account.disabled_at),
        device_ids=device_ids, version=account.version,
    )  # fmt: skip


def device_out(record: DeviceRecord) -> DeviceOut:
    return DeviceOut(
        device_id=record.device.device_id, name=record.device.name, officer=record.device.officer,
        unit=record.device.unit, created_at=rfc3339(record.created_at),
        revoked_at=None if record.revoked_at is None else rfc3339(record.revoked_at), source=record.source or None,
    )  # fmt: skip
