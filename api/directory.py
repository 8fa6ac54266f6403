"""Signing in by a directory: OpenID Connect, the code flow with PKCE. It says who somebody is, never what they may do.

Sources: OpenID Connect Core 1.0, 3.1; Discovery 1.0; RFC 7636 (PKCE); RFC 9700 (OAuth 2.0 security).
"""

import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import requests
import structlog
from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]  # it has no types
from authlib.integrations.requests_client import OAuth2Session  # type: ignore[import-untyped]  # as above
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]  # as above
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from cases.access.secret import hashed
from pipeline.clock import Clock
from pipeline.errors import AccessDenied, SettingsInvalid, WorkerFailed
from pipeline.settings import AccessSettings

log = structlog.get_logger(__name__)

CALLBACK = "/api/v1/session/directory/callback"
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")  # none that a client's secret signs
_BEGUN_S = 600.0
_MOST_BEGUN = 1_000
_KNOWN_S = 3_600.0
_ANSWER_S = 10.0
_LEEWAY_S = 60
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class _Begun:
    """A sign-in on its way. browser: hash of the secret that the browser which began it holds."""

    nonce: str
    verifier: str
    browser: str
    at_s: float


class Directory:
    """Owned by the event loop's thread; the directory is asked in others. Bound: 1,000 sign-ins on their way."""

    def __init__(self, settings: AccessSettings, public_url: str, clock: Clock) -> None:
        """Raises: SettingsInvalid: nobody could come back from the directory."""
        if settings.oidc_issuer and not public_url:
            raise SettingsInvalid("access.oidc_issuer needs api.public_url: the address that people come back to")
        self._settings = settings
        self._redirect = public_url.rstrip("/") + CALLBACK
        self._clock = clock
        self._begun: OrderedDict[str, _Begun] = OrderedDict()
        self._known: tuple[float, dict[str, Any]] | None = None  # what the directory says of itself
        self._keys: KeySet | None = None

    @property
    def is_on(self) -> bool:
        return bool(self._settings.oidc_issuer)

    async def begin(self) -> tuple[str, str]:
        """Where to send the browser, and a secret for it to keep meanwhile. Raises: WorkerFailed."""
        about = await anyio.to_thread.run_sync(self._about)
        state, nonce, verifier, browser = (secrets.token_urlsafe(32) for _ in range(4))
        session = self._session()
        url, _ = session.create_authorization_url(
            about["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
        )
        session.close()
        self._begun[state] = _Begun(nonce, verifier, hashed(browser), self._clock.monotonic_s())
        while len(self._begun) > _MOST_BEGUN:
            self._begun.popitem(last=False)
        return str(url), browser

    async def finish(self, state: str, browser: str, query: str) -> str:
        """The login that the directory vouches for. query: of the address that it sent the browser back to.

        Raises: AccessDenied: another browser began it, it is over, or the directory says otherwise. WorkerFailed.
        """
        begun = self._begun.pop(state, None)
        if begun is None or not hmac.compare_digest(begun.browser, hashed(browser)):
            raise AccessDenied("this sign-in was not begun in this browser, or is over; begin again")
        if self._clock.monotonic_s() - begun.at_s > _BEGUN_S:
            raise AccessDenied("this sign-in took too long; begin again")
        try:
            claims = await anyio.to_thread.run_sync(self._claims, f"{self._redirect}?{query}", state, begun)
        except (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError) as error:
            log.warning("the directory does not vouch for somebody", kind=type(error).__name__)
            raise AccessDenied("the directory does not vouch for you") from error
        login = claims.get(self._settings.oidc_claim)
        if not isinstance(login, str) or not login:
            raise AccessDenied(f"the directory says no {self._settings.oidc_claim}")
        return login

    def _claims(self, answer: str, state: str, begun: _Begun) -> dict[str, Any]:
        about = self._about()
        session = self._session()
        try:
            token = session.fetch_token(
                about["token_endpoint"], authorization_response=answer, state=state, code_verifier=begun.verifier,
                timeout=_ANSWER_S, allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException as error:
            raise _away(error) from error
        finally:
            session.close()
        decoded = self._decoded(token["id_token"], about)
        wanted = {
            "iss": {"essential": True, "value": self._settings.oidc_issuer},
            "aud": {"essential": True, "value": self._settings.oidc_client_id},
            "nonce": {"essential": True, "value": begun.nonce},
        }
        params = {"nonce": begun.nonce, "client_id": self._settings.oidc_client_id}
        if "access_token" in token:
            params["access_token"] = token["access_token"]
        claims = CodeIDToken(decoded.claims, decoded.header, wanted, params)
        claims.validate(now=round(self._clock.utc_s()), leeway=_LEEWAY_S)
        return dict(claims)

    def _decoded(self, token: str, about: dict[str, Any]) -> jwt.Token:
        """Its signature is the directory's; keys that we do not know are asked for once."""
        for is_last in (False, True):
            if self._keys is None or is_last:
                self._keys = KeySet.import_key_set({"keys": list(self._asked(about["jwks_uri"])["keys"])})
            try:
                return jwt.decode(token, self._keys, algorithms=_ALGORITHMS)
            except (JoseError, ValueError):
                if is_last:
                    raise
        raise AssertionError

    def _about(self) -> dict[str, Any]:
        """Raises: WorkerFailed: it is away, or says of itself what cannot be."""
        now_s = self._clock.monotonic_s()
        if self._known is None or now_s - self._known[0] > _KNOWN_S:
            about = self._asked(self._settings.oidc_issuer.rstrip("/") + "/.well-known/openid-configuration")
            if about.get("issuer") != self._settings.oidc_issuer:
                raise WorkerFailed("the directory calls itself something else than access.oidc_issuer")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                parts = urlsplit(str(about.get(name, "")))
                if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
                    raise WorkerFailed(f"the directory's {name} is not under https://")
            self._known = (now_s, about)
        return self._known[1]

    def _asked(self, url: str) -> dict[str, Any]:
        """Raises: WorkerFailed."""
        try:
            answer = requests.get(url, timeout=_ANSWER_S, verify=self._trust(), allow_redirects=False)
            answer.raise_for_status()
            tree = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise _away(error) from error
        if not isinstance(tree, dict):
            raise WorkerFailed("the directory answers nonsense")
        return tree

    def _session(self) -> OAuth2Session:
        session = OAuth2Session(
            self._settings.oidc_client_id, self._settings.oidc_client_secret.get_secret_value(), scope="openid profile",
            redirect_uri=self._redirect, code_challenge_method="S256",
        )  # fmt: skip
        session.verify = self._trust()
        return session

    def _trust(self) -> bool | str:
        return True if self._settings.oidc_ca is None else str(self._settings.oidc_ca)


def _away(error: Exception) -> WorkerFailed:
    log.error("the directory does not answer", kind=type(error).__name__)
    return WorkerFailed("the directory does not answer; sign in with a password or a link")
