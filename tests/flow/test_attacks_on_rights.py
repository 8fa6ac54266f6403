"""What is put into questions to get at more: SQL, headers, lines of the log, other hosts, other types, used keys."""

import base64
import http.client
import json
import socket
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serving import Answer, Server, onrecord

pytestmark = pytest.mark.slow

EAST, WEST, HIDDEN = "东城所", "西城所", "不得外传的案名"
SQL = [
    "' OR '1'='1", "x' OR 1=1 --", "'; DROP TABLE cases; --", "' UNION SELECT title FROM cases --", '" OR ""="',
    "\\' OR 1=1", "1) OR (1=1", "%", "_", "*", '"', "a* OR b", "NEAR(a b)", "title:案", "^a", "-案", "{a b}",
    "' || (SELECT title FROM cases) || '",
    "'; SELECT pg_sleep(9); --", "x' AND randomblob(999999999) --", "%27%20OR%201=1", "\ufeff'", "𠮷' OR '1",
]  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A server with a case of either unit, and the tokens of a commander of one and of the auditor."""

    server: Server
    commander: str
    audit: str
    own_case: str
    other_case: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Server(tmp_path_factory.mktemp("rights") / "data") as server:
        with server.access() as access:
            for unit in (EAST, WEST):
                access.units.put(unit, None)
            account = access.accounts.add("east", "东", "commander", unit=EAST)
            commander = server.keep(access.create_token("commander", account_id=account.account_id))
            audit = server.keep(access.create_token("audit_admin", "auditor"))
        made = [
            server.ask("/api/v1/cases", "POST", {"number": unit, "title": title, "unit": unit}).tree()["case_id"]
            for unit, title in ((EAST, "食品"), (WEST, HIDDEN))
        ]
        yield Site(server, commander, audit, str(made[0]), str(made[1]))


ASKED = [
    "/api/v1/search?q={}", "/api/v1/cases?cursor={}", "/api/v1/cases/{}", "/api/v1/cases/{}/timeline",
    "/api/v1/cases/{}/items", "/api/v1/cases/{own}/timeline?q={}", "/api/v1/cases/{own}/timeline?kinds={}",
    "/api/v1/cases/{own}/timeline?cursor={}",
    "/api/v1/cases/{own}/items/{}/file", "/api/v1/recordings?stream_id={}", "/api/v1/recordings?cursor={}",
    "/api/v1/recordings/{}", "/api/v1/recordings/{}/map", "/api/v1/recordings/{}/media?end=1",
    "/api/v1/events/{}/proof",
    "/api/v1/approvals?cursor={}", "/api/v1/approvals?state={}", "/api/v1/uploads/{}", "/api/v1/uploads?cursor={}",
    "/api/v1/exports/{}", "/api/v1/streams?cursor={}", "/api/v1/officers?cursor={}",
]  # fmt: skip
WRITTEN: list[tuple[str, dict[str, object]]] = [
    ("/api/v1/cases", {"number": "{}", "title": "{}", "unit": EAST}),
    ("/api/v1/cases/{own}/notes", {"text": "{}"}),
    ("/api/v1/cases/{own}/steps", {"kind": "{}"}),
    ("/api/v1/cases/{own}/items", {"kind": "paper", "title": "{}", "shelf_mark": "{}"}),
    ("/api/v1/cases/{own}/recordings", {"recording_id": "{}"}),
    ("/api/v1/approvals", {"what": "copy", "purpose": "{}", "case_id": "{}"}),
    ("/api/v1/approvals/{}/decision", {"verdict": "approved"}),
    ("/api/v1/officers", {"name": "{}", "certificate_number": "{}", "unit": EAST}),
    ("/api/v1/session", {"login": "{}", "password": "{}"}),
    ("/api/v1/session", {"code": "{}"}),
]


def put_in(text: str, words: str, site: Site) -> str:
    return text.replace("{own}", site.own_case).replace("{}", words)


@pytest.mark.parametrize("words", SQL)
def test_sql_in_a_question_or_a_body_is_text_and_reaches_nothing_more(site: Site, words: str) -> None:
    answers: list[tuple[str, Answer]] = []
    for path in ASKED:
        token = site.commander
        answers.append((path, site.server.ask(put_in(path, urllib.parse.quote(words, safe=""), site), token=token)))
    for path, body in WRITTEN:
        filled = {key: put_in(text, words, site) if isinstance(text, str) else text for key, text in body.items()}
        where = put_in(path, urllib.parse.quote(words, safe=""), site)
        answers.append((path, site.server.ask(where, "POST", filled, token=site.commander)))
    told = site.server.ask(f"/api/v1/audit?kinds={urllib.parse.quote(words, safe='')}", token=site.audit)
    answers.append(("audit", told))
    for path, answer in answers:
        assert answer.status in (200, 201, 400, 401, 404, 409, 422, 429), (path, answer.status, answer.body)
        assert HIDDEN not in json.dumps(json.loads(answer.body), ensure_ascii=False), path
    assert told.status == 422 or told.items() == []
    seen = {each["case_id"] for each in site.server.ask("/api/v1/cases?limit=500", token=site.commander).items()}
    assert site.own_case in seen
    assert site.other_case not in seen
    notes = site.server.ask(f"/api/v1/cases/{site.own_case}/timeline?kinds=NoteAdded&limit=500", token=site.commander)
    assert words in [each["text"] for each in notes.items()], "what was written stands there as it was written"
    assert site.server.ask(f"/api/v1/cases/{site.other_case}").tree()["title"] == HIDDEN


NAMES = [
    'a"; filename="evil.exe',
    "a\r\nSet-Cookie: owned=1\r\n.png",
    "a\nX: b",
    "a;b.png",
    "..\\..\\a.png",
    "a\0.png",
    "文件\u2028名.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_file_puts_no_header_into_the_answer(site: Site, name: str) -> None:
    png = b"\x89PNG\r\n\x1a\n" + name.encode()
    told = ",".join(
        f"{key} {base64.b64encode(text.encode()).decode()}"
        for key, text in {"filename": name, "case": site.own_case}.items()
    )
    begun = site.server.ask(
        "/api/v1/uploads", "POST", token=site.commander, Upload_Length=str(len(png)), Upload_Metadata=told,
        Tus_Resumable="1.0.0",
    )  # fmt: skip
    assert begun.status in (201, 422), begun.body
    if begun.status == 422:
        return
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=20)
    headers = {
        "Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream",
        "Authorization": f"Bearer {site.commander}",
    }  # fmt: skip
    where = begun.headers["location"]
    connection.request("PATCH", where, png, headers)
    assert connection.getresponse().status == 204
    connection.close()
    state: dict[str, object] = {"state": "taking"}
    for _ in range(200):
        state = site.server.ask(where, token=site.commander).tree()
        if state["state"] not in ("open", "taking"):
            break
    assert state["state"] == "taken", state
    fetched = site.server.ask(f"/api/v1/cases/{site.own_case}/items/{state['item_id']}/file", token=site.commander)
    assert fetched.body == png
    assert "set-cookie" not in fetched.headers
    assert "x" not in fetched.headers
    said = str(fetched.headers["content-disposition"])
    assert said.startswith("attachment; filename")
    assert "evil.exe" not in urllib.parse.unquote(said).partition("filename*=utf-8''")[0]
    assert fetched.headers["x-content-type-options"] == "nosniff"


FORGED = '{"event": "forged", "level": "info"}'


def test_nothing_a_stranger_sends_makes_a_line_of_the_log(site: Site) -> None:
    server = site.server
    for words in (f"x\n{FORGED}", f"x\r{FORGED}", f"x\u2028{FORGED}", f"\x1b[2J{FORGED}", f'x", {FORGED[1:]}'):
        quoted = urllib.parse.quote(words, safe="")
        for _ in range(2):
            server.ask("/api/v1/session", "POST", {"login": words, "password": words}, token="")
        server.ask("/api/v1/session", "POST", {"code": words}, token="", User_Agent="\x1b[31mred")
        server.ask(f"/ingest/{quoted}", "POST", {}, token="")
        server.ask(f"/live/{quoted}/index.m3u8?ticket={quoted}", token="")
        server.ask(f"/api/v1/users/{quoted}", token=site.commander)
        server.ask(f"/{quoted}", token="")
        server.ask("/api/v1/cases", "POST", {"number": words, "title": words, "unit": words}, token=site.commander)
    for line in server.log.split("\n"):
        if not line:
            continue
        assert "\x1b" not in line
        assert "\r" not in line
        entry = json.loads(line)
        assert entry["event"] != "forged", line


def test_a_link_leads_to_the_page_of_the_settings_whatever_host_a_request_names(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    page = f"http://onrecord.example:{port}"
    with Server(tmp_path / "data", {"ONRECORD_API__PUBLIC_URL": page, "ONRECORD_API__PORT": str(port)}) as server:
        with server.access() as access:
            admin = server.keep(access.create_token("system_admin", "admin"))
        for number, headers in enumerate(
            ({"Host": "evil.example"}, {"X_Forwarded_Host": "evil.example"}, {"Forwarded": "host=evil.example"})
        ):
            body = {"login": f"new.{number}", "name": "新"}
            made = server.ask("/api/v1/users", "POST", body, token=admin, **headers)
            assert str(made.tree()["link"]).startswith(f"{page}/#code="), headers
        made = server.ask("/api/v1/devices", "POST", {"name": "cam"}, token=admin, Host="evil.example")
        assert "evil.example" not in str(made.tree()["url"])


def test_without_a_page_in_the_settings_no_forwarding_header_makes_one(site: Site) -> None:
    with site.server.access() as access:
        admin = site.server.keep(access.create_token("system_admin", "admin"))
    forwarded = {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "https", "Forwarded": "host=evil.example"}
    made = site.server.ask("/api/v1/users", "POST", {"login": "new", "name": "新"}, token=admin, **forwarded)
    assert str(made.tree()["link"]).startswith(f"http://127.0.0.1:{site.server.port}/#code=")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/xml", ""]
)
def test_a_body_of_another_type_is_no_json_and_changes_nothing(site: Site, kind: str) -> None:
    """What a form of another site may send without asking (CORS) is refused by its type already."""
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=20)
    body = json.dumps({"number": f"type {kind}", "title": "t", "unit": EAST}).encode()
    headers = {"Authorization": f"Bearer {site.commander}", **({"Content-Type": kind} if kind else {})}
    connection.request("POST", "/api/v1/cases", body, headers)
    assert connection.getresponse().status in (415, 422)
    connection.close()
    listed = site.server.ask("/api/v1/cases?limit=500").items()
    assert f"type {kind}" not in [each["number"] for each in listed]


def test_a_used_idempotency_key_makes_nothing_twice_and_shows_nobody_anothers_answer(site: Site) -> None:
    key = {"Idempotency_Key": "replayed"}
    body = {"number": "键 1", "title": "甲", "unit": EAST}
    first, second = (site.server.ask("/api/v1/cases", "POST", body, token=site.commander, **key) for _ in range(2))
    assert first.tree()["case_id"] == second.tree()["case_id"]
    changed = {**body, "number": "键 2"}
    assert site.server.ask("/api/v1/cases", "POST", changed, token=site.commander, **key).status == 409
    with site.server.access() as access:
        account = access.accounts.add("west", "西", "commander", unit=WEST)
        other = site.server.keep(access.create_token("commander", account_id=account.account_id))
    answer = site.server.ask("/api/v1/cases", "POST", {"number": "键 3", "title": "乙"}, token=other, **key)
    assert answer.status == 201
    assert answer.tree()["case_id"] != first.tree()["case_id"]
    for bad in ("", " ", "k" * 201, "键"):
        raw = {"Idempotency_Key": bad.encode().decode("latin-1")}
        status = site.server.ask("/api/v1/cases", "POST", {**body, "number": f"键 {bad!r}"}, token=other, **raw).status
        assert status in (201, 403, 422), bad


def test_after_all_of_it_the_record_is_whole(site: Site) -> None:
    done = onrecord(site.server.data, "verify", str(site.server.data))
    assert (done.returncode, done.stdout) == (0, "")
