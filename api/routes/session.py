"""Signing in with a one-time link or a token, and out again, until accounts exist."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response

from api.doors import Doors
from api.permissions import PUBLIC, SESSION_COOKIE, is_same_origin, require
from api.schemas.session import SessionOut, SignIn
from cases.access import Principal
from pipeline.clock import rfc3339

router = APIRouter(prefix="/api/v1/session")


@router.post("", tags=[PUBLIC])
async def sign_in(body: SignIn, request: Request, response: Response) -> SessionOut:
    """Exchange a one-time code or a bearer token for a session cookie. 401 when it opens nothing."""
    if not is_same_origin(request):
        raise HTTPException(403, "sign-in must come from our own page")
    doors: Doors = request.app.state.doors
    settings = doors.runtime.settings.api
    principal, secret = doors.access.sign_in(body.code or body.token, settings.session_s)
    response.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=int(settings.session_s),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return _session_out(principal)


@router.get("")
async def own_session(principal: Annotated[Principal, Depends(require("session.own"))]) -> SessionOut:
    """Who is signed in."""
    return _session_out(principal)


@router.delete("", status_code=204)
async def sign_out(
    request: Request, response: Response, principal: Annotated[Principal, Depends(require("session.own"))]
) -> None:
    """End this session; its tickets and open views end with it."""
    doors: Doors = request.app.state.doors
    doors.access.end(principal.principal_id)
    doors.tickets.revoke(principal.principal_id)
    response.delete_cookie(SESSION_COOKIE)


def _session_out(principal: Principal) -> SessionOut:
    expires_at = None if principal.expires_at is None else rfc3339(principal.expires_at)
    return SessionOut(name=principal.name, role=principal.role, expires_at=expires_at)
