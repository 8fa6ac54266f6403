"""Accounts over HTTP, as a browser sees them: the set-up link, a password, an authenticator, and what attackers try."""

import http.client
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path

import pyotp
import pytest

from tests.serving import BUSY_S, Server, onrecord, until
from tests.tools import needs

pytestmark = pytest.mark.slow

GOOD = "Riverside-7-lanterns"


@dataclass
class Browser:
    """A browser's cookies and the headers it sends from our own page."""

    server: Server
    cookies: dict[str, str] = field(default_factory=dict)
    site: str = "same-origin"

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        sent = {
            "Content-Type": "application/json", "Sec-Fetch-Site": self.site,
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }  # fmt: skip
        connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        for line in answer.headers.get_all("set-cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                assert morsel["httponly"]
                assert morsel["secure"]
                assert morsel["samesite"].lower() == "strict"
                assert morsel["path"] == "/"
                assert not morsel["domain"]
                assert name.startswith("__Host-")
                self.cookies[name] = morsel.value
        raw = answer.read()
        connection.close()
        return answer.status, json.loads(raw) if raw else {}

    def sign_in(self, login: str, password: str, second: str = "") -> tuple[int, dict[str, object]]:
        return self.ask("POST", "/session", {"login": login, "password": password, "second": second})


@dataclass
class Person:
    """An account with everything set."""

    login: str
    account_id: str
    secret: str
    recovery: list[str]

    def code(self) -> str:
        """One that was not used to set the authenticator up: of the next step, which counts already."""
        return pyotp.TOTP(self.secret).at(int(time.time()) + 30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("accounts") / "data") as running:
        yield running


def enrol(server: Server, code: str) -> tuple[Browser, Person]:
    """What a person does with a link: choose a password, set an authenticator up."""
    browser = Browser(server)
    status, session = browser.ask("POST", "/session", {"code": code})
    assert (status, session["needs"]) == (200, "password")
    assert browser.ask("GET", "/streams")[0] == 403
    assert browser.ask("PUT", "/session/password", {"new": GOOD})[0] == 204
    assert browser.ask("GET", "/session")[1]["needs"] == "totp"
    assert browser.ask("GET", "/streams")[0] == 403
    status, made = browser.ask("POST", "/session/totp")
    assert str(made["qr"]).startswith("<svg")
    secret = str(made["secret"])
    assert browser.ask("PUT", "/session/totp", {"secret": secret, "code": "000000"})[0] == 422
    code = pyotp.TOTP(secret).now()
    status, recovery = browser.ask("PUT", "/session/totp", {"secret": secret, "code": code})
    assert status == 200
    session = browser.ask("GET", "/session")[1]
    assert session["needs"] == ""
    codes = recovery["codes"]
    assert isinstance(codes, list)
    return browser, Person(str(session["login"]), str(session["account_id"]), secret, [str(each) for each in codes])


def person(server: Server, login: str, role: str = "commander") -> tuple[Browser, Person]:
    made = onrecord(server.data, "user", "add", login, "--role", role, "--json")
    assert made.returncode == 0, made.stderr
    return enrol(server, server.keep(json.loads(made.stdout)["link"].partition("#code=")[2]))


def test_the_first_start_leaves_one_link_in_a_file_of_its_owner_and_no_password(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        path = server.data / "setup-link.txt"
        assert path.stat().st_mode & 0o777 == 0o600
        code = path.read_text().strip().partition("#code=")[2]
        assert code not in server.log
        browser, _ = enrol(server, code)
        assert browser.ask("POST", "/session", {"code": code})[0] == 401
        assert browser.ask("GET", "/session")[1]["role"] == "system_admin"
        status, made = browser.ask("POST", "/users", {"login": "sec", "name": "安全", "role": "security_admin"})
        assert status == 201, made
        assert browser.ask("POST", "/users", {"login": "sec2", "name": "二", "role": "security_admin"})[0] == 403
        assert browser.ask("POST", "/users", {"login": "cmd", "name": "三", "role": "commander"})[0] == 403
        status, made = browser.ask("POST", "/users", {"login": "cmd", "name": "指挥"})
        assert status == 201
        user = made["user"]
        assert isinstance(user, dict)
        assert (user["role"], user["device_ids"]) == ("viewer", [])
        assert browser.ask("PATCH", f"/users/{user['account_id']}", {"role": "commander"}, If_Match='"1"')[0] == 403
        link = str(server.keep(str(onrecord(server.data, "user", "link", "sec").stdout.strip())))
        security, _ = enrol(server, link.partition("#code=")[2])
        where = f"/users/{user['account_id']}"
        status, changed = security.ask("PATCH", where, {"role": "commander"}, If_Match='"1"')
        assert (status, changed["role"]) == (200, "commander")
        assert security.ask("PATCH", where, {"role": "viewer"}, If_Match='"1"')[0] == 412
        assert security.ask("PATCH", where, {"role": "audit_admin"}, If_Match='"2"')[0] == 200
        for role in ("system_admin", "commander"):
            assert security.ask("PATCH", where, {"role": role}, If_Match='"3"')[0] == 409
        own = security.ask("GET", "/session")[1]["account_id"]
        assert browser.ask("POST", f"/users/{own}/disable")[0] == 200
        again = {"login": "sec3", "name": "三", "role": "security_admin"}
        assert browser.ask("POST", "/users", again)[0] == 403, "who ends an administrator does not make the next one"
    with Server(tmp_path / "data") as server:
        assert not (server.data / "setup-link.txt").exists()


def test_a_person_comes_in_with_password_and_code_and_each_code_once(server: Server) -> None:
    _, who = person(server, "lin")
    browser = Browser(server)
    status, said = browser.sign_in("lin", GOOD)
    assert (status, said["title"]) == (401, "Second factor needed")
    code = who.code()
    status, session = browser.sign_in("LIN", GOOD, code)
    assert (status, session["login"]) == (200, "lin")
    assert Browser(server).sign_in("lin", GOOD, code)[0] == 401, "a code is used once (RFC 6238, 5.2)"
    assert Browser(server).sign_in("lin", GOOD, who.recovery[0])[0] == 200
    assert Browser(server).sign_in("lin", GOOD, who.recovery[0])[0] == 401
    assert browser.ask("DELETE", "/session")[0] == 204
    assert browser.ask("GET", "/session")[0] == 401


def test_a_password_must_hold_what_the_profile_asks(server: Server) -> None:
    made = onrecord(server.data, "user", "add", "weak", "--role", "viewer", "--json")
    browser = Browser(server)
    browser.ask("POST", "/session", {"code": json.loads(made.stdout)["link"].partition("#code=")[2]})
    for bad in ("short1A", "alllowercaseletters", "weak-Account-1", "Password123", "A1" * 200, ""):
        status, said = browser.ask("PUT", "/session/password", {"new": bad})
        assert status == 422, bad
        assert not bad or bad not in json.dumps(said)


def test_wrong_passwords_close_an_account_to_strangers_and_not_to_its_own_browser(server: Server) -> None:
    known, who = person(server, "target")
    assert known.sign_in("target", GOOD, who.code())[0] == 200
    stranger = [Browser(server).sign_in("target", "Wrong-guess-123")[0] for _ in range(7)]
    assert stranger[:5] == [401] * 5
    assert stranger[5:] == [429] * 2
    assert Browser(server).sign_in("target", GOOD, who.recovery[0])[0] == 429, "a stranger with the right one waits too"
    assert known.sign_in("target", GOOD, who.recovery[1])[0] == 200, "the owner's browser does not"


def test_an_unknown_name_and_a_wrong_password_say_the_same_after_the_same_time(server: Server) -> None:
    person(server, "timed")
    took: dict[str, list[float]] = {"timed": [], "nobody": []}
    said = set()
    for number in range(4):
        for login, times in took.items():
            began_s = time.perf_counter()
            status, answer = Browser(server).sign_in(login, f"Wrong-guess-{number}")
            times.append(time.perf_counter() - began_s)
            said.add((status, json.dumps(answer, sort_keys=True)))
    assert len(said) == 1
    ratio = statistics.median(took["timed"]) / statistics.median(took["nobody"])
    assert 0.5 < ratio < 2.0, took  # Argon2 is some 50 ms; without it the answer would come in 2


def test_a_cookie_sent_by_another_site_changes_nothing_and_a_session_before_ends_with_a_sign_in(server: Server) -> None:
    browser, who = person(server, "csrf")
    for site in ("cross-site", "same-site", "none"):
        browser.site = site
        assert browser.ask("POST", "/session/totp")[0] == 403
        assert browser.sign_in("csrf", GOOD)[0] == 403
    browser.site = "same-origin"
    before = dict(browser.cookies)
    assert browser.sign_in("csrf", GOOD, who.code())[0] == 200
    assert browser.cookies["__Host-onrecord_session"] != before["__Host-onrecord_session"]
    assert Browser(server, before).ask("GET", "/session")[0] == 401
    fixed = Browser(server, {"__Host-onrecord_session": "sfixedbyattacker"})
    assert fixed.sign_in("csrf", GOOD, who.recovery[0])[0] == 200
    assert fixed.cookies["__Host-onrecord_session"] != "sfixedbyattacker"


def test_a_link_for_a_forgotten_password_still_asks_for_the_authenticator(server: Server) -> None:
    _, who = person(server, "forgot")
    link = onrecord(server.data, "user", "link", "forgot").stdout.strip().partition("#code=")[2]
    browser = Browser(server)
    status, said = browser.ask("POST", "/session", {"code": link})
    assert (status, said["title"]) == (401, "Second factor needed")
    assert browser.ask("POST", "/session", {"code": link, "second": "000000"})[0] == 401
    assert browser.ask("POST", "/session", {"code": link, "second": who.code()})[0] == 401, "a wrong code used it up"
    link = onrecord(server.data, "user", "link", "forgot").stdout.strip().partition("#code=")[2]
    assert browser.ask("POST", "/session", {"code": link, "second": who.code()})[0] == 200
    assert browser.ask("PUT", "/session/password", {"new": "Another-9-password"})[0] == 204
    assert Browser(server).sign_in("forgot", GOOD, who.recovery[0])[0] == 401


def test_ones_own_tokens_do_what_they_name_and_no_more_and_end_with_the_account(server: Server) -> None:
    browser, who = person(server, "scripts")
    status, made = browser.ask("POST", "/session/tokens", {"name": "wall", "scopes": ["streams.list"], "days": 1})
    assert status == 201
    token = server.keep(str(made["token"]))
    assert server.ask("/api/v1/streams", token=token).status == 200
    assert server.ask("/api/v1/cases", token=token).status == 403
    assert (
        server.ask("/api/v1/session/tokens", "POST", {"name": "x", "scopes": ["cases.read"]}, token=token).status == 403
    )
    held = browser.ask("GET", "/session/held")[1]["items"]
    assert isinstance(held, list)
    assert sorted(each["kind"] for each in held) == ["session", "token"]
    assert server.ask("/api/v1/streams?token=" + token, token="").status == 401, "a secret in an address opens nothing"
    assert onrecord(server.data, "user", "disable", "scripts").returncode == 0
    assert server.ask("/api/v1/streams", token=token).status == 401
    assert browser.ask("GET", "/session")[0] == 401
    assert browser.sign_in("scripts", GOOD, who.recovery[0])[0] == 401


@needs("ffmpeg")
def test_a_lost_phone_is_cut_off_within_2_s(server: Server) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    browser, who = person(server, "phone")
    server.publish(server.add_device("cam"))
    stream_id = server.live_id("cam")
    status, ticket = browser.ask("POST", f"/streams/{stream_id}/ticket", {"why": "指导现场"})
    assert status == 201
    status, kept = browser.ask("POST", f"/streams/{stream_id}/ticket")
    with connect(server.watch_url(stream_id, str(ticket["ticket"])), max_size=None) as socket:
        for _ in range(5):
            socket.recv(timeout=5)
        assert onrecord(server.data, "user", "disable", "phone").returncode == 0
        began_s = time.monotonic()

        def watch() -> None:
            while time.monotonic() - began_s < 20:
                socket.recv(timeout=5)

        with pytest.raises(ConnectionClosed):
            watch()
        assert time.monotonic() - began_s < 2.0 + BUSY_S
        assert socket.protocol.close_rcvd is not None
        assert socket.protocol.close_rcvd.code == 4401
    with pytest.raises(Exception, match="401"), connect(server.watch_url(stream_id, str(kept["ticket"]))):
        pass
    with server.access() as access:
        audit = server.keep(access.create_token("audit_admin", "auditor"))

    def told() -> list[dict[str, object]]:
        return server.ask("/api/v1/audit?kinds=ViewStarted,ViewEnded,UserDisabled", token=audit).items()

    until(
        lambda: any(each["kind"] == "ViewEnded" and each["by"] == who.account_id for each in told()), "the view's end"
    )
    started = next(each for each in told() if each["kind"] == "ViewStarted" and each["by"] == who.account_id)
    assert (started["by_name"], started["why"]) == ("phone", "指导现场")
    assert any(each["kind"] == "UserDisabled" for each in told())


def test_what_happens_to_accounts_stands_in_the_log_and_no_secret_does(server: Server) -> None:
    with server.access() as access:
        audit = server.keep(access.create_token("audit_admin", "auditor"))
    person(server, "logged")

    def told() -> list[dict[str, object]]:
        return server.ask("/api/v1/audit?limit=1000", token=audit).items()

    def kinds() -> set[object]:
        return {each["kind"] for each in told() if "logged" in json.dumps(each)} | {each["kind"] for each in told()}

    wanted = {"UserAdded", "LinkMade", "SignedIn", "PasswordSet", "SecondFactorSet", "SignInRefused", "TokenMade"}
    until(lambda: wanted <= kinds(), "all kinds in the audit")
    everything = json.dumps(told()) + server.log
    assert GOOD not in everything
    for secret in server.secrets:
        assert secret not in everything


def test_long_lists_come_in_pages_that_hold_each_thing_once(server: Server) -> None:
    with server.access() as access:
        admin = server.keep(access.create_token("system_admin", "lists"))
        for number in range(7):
            access.units.put(f"机构 {number}", None)
            access.add_device("the same name", "", "")
            access.accounts.add(f"paged.{number}", "页", "viewer")
    for number in range(7):
        body = {"name": f"警员 {number}", "certificate_number": f"页 {number}", "unit": "机构"}
        assert server.ask("/api/v1/officers", "POST", body).status == 201
    for path, key, token in (
        ("/api/v1/users", "account_id", admin), ("/api/v1/units", "name", admin),
        ("/api/v1/devices", "device_id", admin), ("/api/v1/officers", "officer_id", server.token),
    ):  # fmt: skip
        whole = [each[key] for each in server.ask(path, token=token).items()]
        assert len(whole) >= 7
        seen: list[object] = []
        cursor: object = ""
        while cursor is not None:
            page = server.ask(f"{path}?limit=3&cursor={cursor}", token=token)
            assert len(page.items()) <= 3
            seen += [each[key] for each in page.items()]
            cursor = page.tree()["next_cursor"]
        assert seen == whole
        for bad in ("x", "WzEsMl0", "bnVsbA"):
            assert server.ask(f"{path}?cursor={bad}", token=token).status == 422, bad


def test_the_key_of_a_request_that_shows_a_secret_makes_one_thing_and_shows_it_once(server: Server) -> None:
    with server.access() as access:
        admin = server.keep(access.create_token("system_admin", "keys"))
        other = server.keep(access.create_token("system_admin", "other"))
    owner, _ = person(server, "keyed")

    def asked(path: str, body: dict[str, object], key: str, token: str = admin) -> tuple[int, dict[str, object]]:
        if path == "/session/tokens":
            return owner.ask("POST", path, body, Idempotency_Key=key)
        answer = server.ask(f"/api/v1{path}", "POST", body, token=token, Idempotency_Key=key)
        return answer.status, answer.tree()

    wanted: list[tuple[str, list[dict[str, object]], str, str]] = [
        ("/users", [{"login": "key.1", "name": "甲"}, {"login": "key.2", "name": "乙"}], "login", "link"),
        ("/devices", [{"name": "key cam"}, {"name": "key cam"}], "name", "stream_key"),
        ("/session/tokens", [{"name": "key token", "scopes": ["streams.list"], "days": 1}] * 2, "name", "token"),
    ]
    for path, bodies, listed, secret in wanted:
        status, made = asked(path, bodies[0], "k1")
        assert (status, bool(made[secret])) == (201, True)
        for body in bodies:
            status, problem = asked(path, body, "k1")
            assert status == 409, path
            assert "Idempotency-Key" in str(problem["detail"])
            assert str(made[secret]) not in json.dumps(problem)
        where = "/session/held" if path == "/session/tokens" else path
        is_own = where == "/session/held"
        found = owner.ask("GET", where)[1] if is_own else server.ask(f"/api/v1{where}", token=admin).tree()
        things = found["items"]
        assert isinstance(things, list)
        assert [each[listed] for each in things if str(each[listed]).startswith("key")].count(bodies[0][listed]) == 1
        assert "key.2" not in [each.get("login") for each in things]
        assert asked(path, bodies[1], "k2")[0] == 201, "another key makes another thing"
        assert asked(path, bodies[0], "k" * 201)[0] == 422
    assert asked("/devices", {"name": "of another"}, "k1", other)[0] == 201, "another person has keys of his own"
