"""The shapes of the sign-in routes."""

from pydantic import BaseModel, Field


class SignIn(BaseModel):
    """A one-time code from a sign-in link, or a bearer token."""

    code: str = Field("", max_length=200)
    token: str = Field("", max_length=200)


class SessionOut(BaseModel):
    name: str
    role: str
    expires_at: str | None
