"""Signing in by a directory: a minimal provider of OpenID Connect on loopback, honest and otherwise."""

import base64
import hashlib
import http.client
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.serving import Server, until

pytestmark = pytest.mark.slow

CLIENT, SECRET = "onrecord", "the client's secret"


@dataclass
class Provider:
    """What it answers next. claims: over the honest ones; forge: how the ID token is signed, where not honestly."""

    port: int = 0
    login: str = "lin"
    claims: dict[str, object] = field(default_factory=dict)
    forge: str = ""
    is_away: bool = False
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "1"}, private=True))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def about(self) -> dict[str, object]:
        return {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
        }  # fmt: skip

    def authorize(self, query: dict[str, str]) -> str:
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, object]]:
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        known = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if (
            asked is None
            or asked["code_challenge"] != challenge.decode().rstrip("=")
            or form.get("redirect_uri") != asked["redirect_uri"]
            or authorization != f"Basic {known}"
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self.issuer, "sub": "7", "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": asked["nonce"],
            "preferred_username": self.login, **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.signed(claims)}

    def signed(self, claims: dict[str, object]) -> str:
        if self.forge == "none":
            parts = [json.dumps(each).encode() for each in ({"alg": "none"}, claims)]
            return ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts) + "."
        if self.forge == "secret":
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET), algorithms=["HS256"])
        key = RSAKey.generate_key(2048, {"kid": "1"}) if self.forge == "key" else self.key
        return jwt.encode({"alg": "RS256", "kid": "1"}, claims, key)


def handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if provider.is_away:
                self.answer(503, {})
            elif parts.path == "/authorize":
                self.send_response(302)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_header("Location", provider.authorize(query))
                self.end_headers()
            elif parts.path == "/keys":
                self.answer(200, {"keys": [provider.key.as_dict(private=False)]})
            else:
                self.answer(200, provider.about())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self.answer(*provider.token(form, self.headers.get("Authorization", "")))

        def answer(self, status: int, tree: dict[str, object]) -> None:
            raw = json.dumps(tree).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Handler


@dataclass
class Browser:
    """Follows redirects and keeps the cookies of each host, as a browser does."""

    cookies: dict[int, dict[str, str]] = field(default_factory=dict)

    def get(self, url: str) -> tuple[int, str, str]:
        """(status, where it leads to, body) of one request."""
        parts = urlsplit(url)
        assert parts.port is not None
        jar = self.cookies.setdefault(parts.port, {})
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=20)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"Cookie": "; ".join(f"{name}={text}" for name, text in jar.items())})
        answer = connection.getresponse()
        for line in answer.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                jar.pop(name, None)
                if morsel.value and morsel["max-age"] != "0":
                    jar[name] = morsel.value
        body = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, answer.headers.get("Location", ""), body


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Provider]]:
    provider = Provider()
    door = ThreadingHTTPServer(("127.0.0.1", 0), handler(provider))
    provider.port = door.server_address[1]
    threading.Thread(target=door.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "ONRECORD_ACCESS__OIDC_ISSUER": provider.issuer, "ONRECORD_ACCESS__OIDC_CLIENT_ID": CLIENT,
        "ONRECORD_ACCESS__OIDC_CLIENT_SECRET": SECRET, "ONRECORD_API__PORT": str(port),
        "ONRECORD_API__PUBLIC_URL": f"http://127.0.0.1:{port}",
    }  # fmt: skip
    with Server(tmp_path_factory.mktemp("directory") / "data", settings=settings) as server:
        with server.access() as access:
            access.accounts.add("lin", "林晓岚", "handler", unit="东城所")
            access.accounts.add("root", "管理员", "security_admin")
            gone = access.accounts.add("gone", "离职", "handler")
            access.accounts.disable(gone.account_id, "test")
        yield server, provider
    door.shutdown()


@pytest.fixture(autouse=True)
def honest(site: tuple[Server, Provider]) -> None:
    provider = site[1]
    provider.login, provider.claims, provider.forge, provider.is_away = "lin", {}, "", False


def begun(server: Server, browser: Browser) -> str:
    """Where the directory sends the browser back to."""
    status, to_provider, _ = browser.get(f"http://127.0.0.1:{server.port}/api/v1/session/directory")
    assert status == 303
    status, back, _ = browser.get(to_provider)
    assert status == 302
    return back


def signed_in(server: Server, browser: Browser) -> dict[str, object] | None:
    status, _, body = browser.get(f"http://127.0.0.1:{server.port}/api/v1/session")
    return json.loads(body) if status == 200 else None


def test_whom_the_directory_vouches_for_comes_in_with_the_rights_of_the_account(site: tuple[Server, Provider]) -> None:
    server, _ = site
    browser = Browser()
    status, leads_to, _ = browser.get(begun(server, browser))
    assert (status, leads_to) == (303, "/")
    session = signed_in(server, browser)
    assert session is not None
    assert (session["login"], session["role"], session["unit"], session["needs"]) == ("lin", "handler", "东城所", "")
    with server.access() as access:
        audit = server.keep(access.create_token("audit_admin", "auditor"))

    def is_told() -> bool:
        told = server.ask("/api/v1/audit?kinds=SignedIn", token=audit).items()
        return "directory" in [each.get("how") for each in told]

    until(is_told, "the sign-in in the audit")
    assert SECRET not in server.log


@pytest.mark.parametrize(
    "change",
    [
        {"login": "root"}, {"login": "nobody"}, {"login": "gone"}, {"login": ""},
        {"forge": "none"}, {"forge": "secret"}, {"forge": "key"},
        {"claims": {"nonce": "another"}}, {"claims": {"nonce": None}}, {"claims": {"aud": "another"}},
        {"claims": {"iss": "http://127.0.0.1:1"}}, {"claims": {"exp": 1}}, {"claims": {"aud": [CLIENT, "x"]}},
        {"claims": {"preferred_username": 7}},
    ],
    ids=str,
)  # fmt: skip
def test_nobody_else_comes_in(site: tuple[Server, Provider], change: dict[str, object]) -> None:
    server, provider = site
    for name, value in change.items():
        setattr(provider, name, value)
    browser = Browser()
    status, leads_to, _ = browser.get(begun(server, browser))
    assert (status, leads_to) == (303, "/#directory=refused")
    assert signed_in(server, browser) is None


def test_an_answer_opens_one_browser_once(site: tuple[Server, Provider]) -> None:
    server, _ = site
    victim, attacker = Browser(), Browser()
    back = begun(server, attacker)
    assert victim.get(back)[1] == "/#directory=refused", "begun in another browser: sign-in CSRF"
    back = begun(server, attacker)
    assert attacker.get(back)[1] == "/"
    assert attacker.get(back)[1] == "/#directory=refused", "its cookie is gone with it"
    keeper = Browser()
    _, to_provider, _ = keeper.get(f"http://127.0.0.1:{server.port}/api/v1/session/directory")
    first, second = (keeper.get(to_provider)[1] for _ in range(2))  # two codes of one state
    kept = dict(keeper.cookies[server.port])
    assert keeper.get(first)[1] == "/"
    keeper.cookies[server.port] = kept
    assert keeper.get(second)[1] == "/#directory=refused", "a state is used once"
    forged = f"http://127.0.0.1:{server.port}/api/v1/session/directory/callback?code=x&state=y"
    assert attacker.get(forged)[1] == "/#directory=refused"


def test_a_directory_that_is_away_says_so_and_keeps_nobody_else_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, nobodys = free.getsockname()[1], other.getsockname()[1]
    settings = {
        "ONRECORD_ACCESS__OIDC_ISSUER": f"http://127.0.0.1:{nobodys}", "ONRECORD_ACCESS__OIDC_CLIENT_ID": CLIENT,
        "ONRECORD_API__PORT": str(port), "ONRECORD_API__PUBLIC_URL": f"http://127.0.0.1:{port}",
    }  # fmt: skip
    with Server(tmp_path / "data", settings=settings) as server:
        answer = server.ask("/api/v1/session/directory", token="")
        assert answer.status == 503
        assert "password" in str(answer.tree()["detail"])
        assert server.ask("/api/v1/cases").status == 200
    with Server(tmp_path / "other") as server:
        assert server.ask("/api/v1/session/directory", token="").status == 404
