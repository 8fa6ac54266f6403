"""The shapes of signing in, and of what is one's own: password, second factor, sessions, tokens."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cases.access.tokens import TokenRecord
from pipeline.clock import rfc3339

Secret = Annotated[str, Field(max_length=1024)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignIn(_In):
    """Name and password; or a one-time code from a sign-in link; or a bearer token. second: of the second factor."""

    login: str = Field("", max_length=200)
    password: Secret = ""
    second: str = Field("", max_length=100)
    code: str = Field("", max_length=200)
    token: str = Field("", max_length=200)


class SessionOut(BaseModel):
    """needs: what must be set before anything else, "password" or "totp"; empty: nothing.

    permissions: how far each reaches, by name. asks_old_password: whether a new password needs the one before.
    """

    name: str
    role: str
    expires_at: str | None
    account_id: str
    login: str
    unit: str
    needs: str
    has_password: bool
    has_totp: bool
    asks_old_password: bool
    permissions: dict[str, str]


class PasswordIn(_In):
    """old: the one before; not needed in a session that a link opened."""

    old: Secret = ""
    new: Secret


class TotpOut(BaseModel):
    """secret and uri: for the authenticator (RFC 6238). qr: the uri as an SVG picture."""

    secret: str
    uri: str
    qr: str


class TotpIn(_In):
    """secret: as it was given. code: what the authenticator shows now. password: asked for where a factor stands."""

    secret: str = Field(max_length=64)
    code: str = Field(max_length=20)
    password: Secret = ""


class RecoveryOut(BaseModel):
    """codes: each opens the account once instead of the authenticator; shown this once."""

    codes: list[str]


class OwnTokenIn(_In):
    name: Annotated[str, Field(min_length=1, max_length=80)]
    scopes: Annotated[list[str], Field(min_length=1, max_length=50)]
    days: float = Field(30.0, gt=0, le=366)


class OwnTokenOut(BaseModel):
    """token: shown this once."""

    token: str


class HeldOut(BaseModel):
    """A session or token of one's own. is_this: the one that asks."""

    token_id: str
    kind: str
    name: str
    scopes: list[str]
    created_at: str
    expires_at: str | None
    seen_at: str | None
    agent: str
    is_this: bool


class HeldsOut(BaseModel):
    items: list[HeldOut]
    next_cursor: str | None = None


def held_out(record: TokenRecord, own_id: str) -> HeldOut:
    return HeldOut(
        token_id=record.token_id, kind=record.kind, name=record.name, scopes=sorted(record.scopes),
        created_at=rfc3339(record.created_at),
        expires_at=None if record.expires_at is None else rfc3339(record.expires_at),
        seen_at=None if record.seen_at is None else rfc3339(record.seen_at), agent=record.agent,
        is_this=record.token_id == own_id,
    )  # fmt: skip
