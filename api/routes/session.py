"""Signing in and out; one's own password, second factor, sessions and tokens."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.asking import keyed_id, paged
from api.doors import Doors
from api.permissions import (
    PUBLIC,
    Asker,
    client_cookie,
    directory_cookie,
    is_same_origin,
    is_trustworthy,
    require,
    session_cookie,
)
from api.qr import svg_of
from api.schemas.session import (
    HeldsOut,
    OwnTokenIn,
    OwnTokenOut,
    PasswordIn,
    RecoveryOut,
    SessionOut,
    SignIn,
    TotpIn,
    TotpOut,
    held_out,
)
from cases.access import Principal
from cases.access.passwords import PROFILES, check
from cases.rights import reach_of, table
from pipeline.clock import rfc3339
from pipeline.errors import AccessDenied, StateConflict, ThingUnknown, TooManyTries, ValueRefused, WorkerFailed

router = APIRouter(prefix="/api/v1/session")
Own = Annotated[Asker, Depends(require("session.own"))]

_CLIENT_S = 365 * 86_400
_FAR_S = 9e9  # less a time of ours it has ten digits, and rises where time falls


@router.post("", tags=[PUBLIC])
async def sign_in(body: SignIn, request: Request, response: Response) -> SessionOut:
    """A session cookie for name, password and second factor, for a one-time code, or for a bearer token.

    401 when it opens nothing; the same, and after the same time, for a name that nobody has. 401 with the title
    "Second factor needed" when only that is missing. A session that the browser had before ends.
    """
    if ("origin" in request.headers or "sec-fetch-site" in request.headers) and not is_same_origin(request):
        raise HTTPException(403, "sign-in must come from our own page")
    doors: Doors = request.app.state.doors
    session_s, agent = doors.runtime.settings.api.session_s, request.headers.get("user-agent", "")
    if body.login:
        principal, secret = await _by_password(doors, body, request, response, agent)
    else:
        principal, secret = doors.access.sign_in(body.code or body.token, session_s, agent, body.second)
    before = doors.access.who(request.cookies.get(session_cookie(request), ""), kind="session")
    if before is not None:
        _end(doors, before)
    _set(response, request, session_cookie(request), secret, int(session_s))
    return _session_out(doors, principal)


@router.get("")
async def own_session(request: Request, asker: Own) -> SessionOut:
    """Who is signed in, and what they may do."""
    return _session_out(request.app.state.doors, asker.principal)


@router.delete("", status_code=204)
async def sign_out(request: Request, response: Response, asker: Own) -> None:
    """End this session; its tickets and open views end with it."""
    _end(request.app.state.doors, asker.principal)
    response.delete_cookie(session_cookie(request), secure=is_trustworthy(request), httponly=True, samesite="strict")


@router.get("/directory", tags=[PUBLIC], include_in_schema=False)
async def to_directory(request: Request, *, look: bool = False) -> Response:
    """Send the browser to the directory (OpenID Connect). look: only whether there is one."""
    doors: Doors = request.app.state.doors
    if not doors.directory.is_on:
        raise ThingUnknown("no directory is set (access.oidc_issuer)")
    if look:
        return Response(status_code=204)
    url, secret = await doors.directory.begin()
    response = RedirectResponse(url, 303)
    response.set_cookie(
        directory_cookie(request), secret, max_age=600, httponly=True, samesite="lax", secure=is_trustworthy(request),
        path="/",
    )  # fmt: skip
    return response


@router.get("/directory/callback", tags=[PUBLIC], include_in_schema=False)
async def from_directory(request: Request, state: Annotated[str, Query(max_length=200)] = "") -> Response:
    """The browser comes back. Whoever has an account here and is no administrator is signed in."""
    doors: Doors = request.app.state.doors
    session_s = doors.runtime.settings.api.session_s
    response = RedirectResponse("/", 303)
    try:
        login = await doors.directory.finish(
            state, request.cookies.get(directory_cookie(request), ""), request.url.query
        )
        _, secret = doors.access.accounts.enter_vouched(
            login, session_s=session_s, agent=request.headers.get("user-agent", ""),
            address=request.client.host if request.client else "",
        )  # fmt: skip
        _set(response, request, session_cookie(request), secret, int(session_s))
    except (AccessDenied, WorkerFailed):
        response = RedirectResponse("/#directory=refused", 303)
    response.delete_cookie(directory_cookie(request), secure=is_trustworthy(request), httponly=True, samesite="lax")
    return response


@router.put("/password", status_code=204)
async def set_password(body: PasswordIn, request: Request, asker: Own) -> None:
    """A new password of one's own. All other sessions of the account end. 422 says what the password lacks."""
    doors: Doors = request.app.state.doors
    account_id = _account_of(asker)
    account = doors.access.accounts.find(account_id)
    if not doors.access.must_enrol(asker.principal.principal_id):
        await _prove(doors, account.login, body.old)
    profile = PROFILES[doors.runtime.settings.access.profile]
    check(body.new, profile, (account.login, account.name, "onrecord"))
    if account.has_password and await doors.passwords.fits(body.new, doors.access.accounts.sought(account.login)[1]):
        raise ValueRefused("new", "it is the one you have; choose another")
    password_hash = await doors.passwords.hash(body.new)
    doors.access.accounts.set_password(account_id, password_hash, asker.principal.principal_id)


@router.post("/totp")
async def new_totp(request: Request, asker: Own) -> TotpOut:
    """A new secret for an authenticator; nothing changes before it was confirmed by a code."""
    doors: Doors = request.app.state.doors
    secret, uri = doors.access.accounts.new_totp(_account_of(asker))
    return TotpOut(secret=secret, uri=uri, qr=svg_of(uri))


@router.put("/totp")
async def set_totp(body: TotpIn, request: Request, asker: Own) -> RecoveryOut:
    """The second factor from now on; recovery codes, shown this once. To replace one, the password is asked for."""
    doors: Doors = request.app.state.doors
    account = doors.access.accounts.find(_account_of(asker))
    if account.has_totp:
        await _prove(doors, account.login, body.password)
    return RecoveryOut(codes=doors.access.accounts.set_totp(account.account_id, body.secret, body.code))


@router.get("/held")
async def list_held(
    request: Request, asker: Own, limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> HeldsOut:  # fmt: skip
    """One's own sessions and tokens that live, the newest first."""
    doors: Doors = request.app.state.doors
    found = doors.access.of_account(_account_of(asker))
    page, more = paged(found, lambda each: f"{_FAR_S - each.created_at:.6f} {each.token_id}", limit, cursor)
    return HeldsOut(items=[held_out(each, asker.principal.principal_id) for each in page], next_cursor=more)


@router.delete("/held/{token_id}", status_code=204)
async def end_held(request: Request, asker: Own, token_id: str) -> None:
    """End a session or token of one's own."""
    doors: Doors = request.app.state.doors
    if token_id not in [each.token_id for each in doors.access.of_account(_account_of(asker))]:
        raise ThingUnknown("no such session or token of yours")
    doors.access.end(token_id, asker.principal.by)
    doors.tickets.revoke(token_id)


@router.post("/tokens", status_code=201)
async def make_token(body: OwnTokenIn, request: Request, asker: Own) -> OwnTokenOut:
    """A bearer token that may do what is named, as far as its owner may.

    It is shown this once: the same Idempotency-Key is answered 409.
    """
    doors: Doors = request.app.state.doors
    if asker.principal.needs:
        raise HTTPException(403, f"set your {asker.principal.needs} first")
    if asker.principal.scopes:
        raise HTTPException(403, "a token makes no tokens")
    if strange := set(body.scopes) - table().keys():
        raise ValueRefused("scopes", f"no such permission: {', '.join(sorted(strange))}; see docs/permissions.md")
    account = doors.access.accounts.find(_account_of(asker))
    token = doors.access.create_token(
        account.role, body.name, body.days * 86_400, scopes=body.scopes, account_id=account.account_id,
        by=asker.principal.by, token_id=keyed_id(request, asker.principal, "tok"),
    )  # fmt: skip
    return OwnTokenOut(token=token)


async def _by_password(
    doors: Doors, body: SignIn, request: Request, response: Response, agent: str
) -> tuple[Principal, str]:
    """Raises: AccessDenied, CodeNeeded, TooManyTries."""
    accounts, client = doors.access.accounts, request.cookies.get(client_cookie(request), "")
    address = request.client.host if request.client else ""
    account_id, known = accounts.sought(body.login)
    if doors.passwords.is_crowded or accounts.throttle.is_closed(
        accounts.throttle.keys(body.login, account_id, client, address)
    ):
        raise TooManyTries("too many wrong tries; wait, or ask an administrator for a sign-in link")
    fits = await doors.passwords.fits(body.password, known)
    entry = accounts.enter(
        body.login, fits=fits, code=body.second, client=client, address=address,
        session_s=doors.runtime.settings.api.session_s, agent=agent,
    )  # fmt: skip
    principal = doors.access.named(entry.principal_id)
    if principal is None:
        raise AccessDenied("the account was disabled meanwhile")
    _set(response, request, client_cookie(request), entry.client, _CLIENT_S)
    return principal, entry.session


async def _prove(doors: Doors, login: str, password: str) -> None:
    """Raises: ValueRefused: it is not the account's password. TooManyTries."""
    accounts = doors.access.accounts
    account_id, known = accounts.sought(login)
    keys = (f"proof {account_id}",)
    if doors.passwords.is_crowded or accounts.throttle.is_closed(keys):
        raise TooManyTries("too many wrong tries; wait")
    if not await doors.passwords.fits(password, known):
        with doors.access.file.writing():
            accounts.throttle.failed(keys)
        raise ValueRefused("old", "it is not your password")


def _account_of(asker: Asker) -> str:
    """Raises: StateConflict: a token of nobody."""
    if not asker.principal.account_id:
        raise StateConflict("this session belongs to no account")
    return asker.principal.account_id


def _end(doors: Doors, principal: Principal) -> None:
    doors.access.end(principal.principal_id, principal.by)
    doors.tickets.revoke(principal.principal_id)


def _set(response: Response, request: Request, name: str, secret: str, lasts_s: int) -> None:
    response.set_cookie(
        name, secret, max_age=lasts_s, httponly=True, samesite="strict", secure=is_trustworthy(request), path="/"
    )


def _session_out(doors: Doors, principal: Principal) -> SessionOut:
    account = doors.access.accounts.find(principal.account_id) if principal.account_id else None
    reaches = {name: reach_of(principal, name) for name in table()}
    return SessionOut(
        name=principal.name,
        role=principal.role,
        expires_at=None if principal.expires_at is None else rfc3339(principal.expires_at),
        account_id=principal.account_id,
        login="" if account is None else account.login,
        unit=principal.unit,
        needs=principal.needs,
        has_password=account is not None and account.has_password,
        has_totp=account is not None and account.has_totp,
        asks_old_password=account is not None and not doors.access.must_enrol(principal.principal_id),
        permissions={name: reach.value for name, reach in reaches.items() if reach is not None},
    )
