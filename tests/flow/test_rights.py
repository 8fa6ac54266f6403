"""Every route × every role × every relation to what it names: own unit, another unit's, one's own, the filmed officer.

What is expected is written here by hand, apart from the program's own table; a route that stands in none of the lists
below fails a test.
"""

import base64
import http.client
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cases.access import ROLES
from scripts import permissions_doc
from tests.serving import Server, onrecord, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]

PEOPLE = [each for each in ROLES if each != "service"]
EVERYONE = " ".join(PEOPLE)
EAST, WEST = "东城所", "西城所"


@dataclass(frozen=True)
class Door:
    """roles: who may at all; others get 403. unit, mine: who reaches what is their unit's, or theirs; others get 404.

    body: what is sent. once: the act changes things, so a right one is tried by nobody here.
    """

    method: str
    path: str
    roles: str
    unit: str = ""
    mine: str = ""
    body: dict[str, object] | None = None
    ok: tuple[int, ...] = (200, 201, 202, 204)
    headers: dict[str, str] = field(default_factory=dict)


READ = "commander officer handler reviewer archivist"
NOTE = "commander officer handler reviewer"
HANDLE = "commander handler"
JUDGE = "commander handler reviewer"
FACES_SEEN = "commander officer handler reviewer archivist system_admin security_admin audit_admin"
FACES = "commander handler reviewer system_admin"
ENROL = "commander handler system_admin"
UNIT_READ = "commander reviewer archivist"
RECORD = "commander officer handler reviewer archivist analyst"
ASK = RECORD
SEND = "commander officer handler archivist"
TUS = {"Tus_Resumable": "1.0.0"}
CASE = [
    Door("GET", "/api/v1/cases/{case}", READ, UNIT_READ, READ),
    Door("GET", "/api/v1/cases/{case}/timeline", READ, UNIT_READ, READ),
    Door("GET", "/api/v1/cases/{case}/steps", READ, UNIT_READ, READ),
    Door("GET", "/api/v1/cases/{case}/recordings", READ, UNIT_READ, READ),
    Door("GET", "/api/v1/cases/{case}/items", READ, UNIT_READ, READ),
    Door("GET", "/api/v1/cases/{case}/items/item_none/file", READ, UNIT_READ, READ, ok=(404,)),
    Door("GET", "/api/v1/cases/{case}/members", READ, UNIT_READ, READ),
    Door("GET", "/api/v1/events/{event}/proof", READ, UNIT_READ, READ),
    Door("GET", "/api/v1/cases/{case}/attach-rules", READ, UNIT_READ, READ),
    Door("POST", "/api/v1/cases/{case}/attach-rules", HANDLE, "commander", "commander",
         {"device_id": "{device}", "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}),
    Door("DELETE", "/api/v1/cases/{case}/attach-rules/rule_none", HANDLE, "commander", HANDLE, ok=(404,)),
    Door("GET", "/api/v1/cases/{case}/procedure", READ, UNIT_READ, READ),
    Door("POST", "/api/v1/cases/{case}/judgements", JUDGE, "commander reviewer", JUDGE, ok=(200, 409)),
    Door("POST", "/api/v1/cases/{case}/notes", NOTE, "commander reviewer", NOTE, {"text": "n"}),
    Door("POST", "/api/v1/cases/{case}/corrections", NOTE, "commander reviewer", NOTE,
         {"event_id": "ev_none", "text": "t"}, ok=(404,)),
    Door("PATCH", "/api/v1/cases/{case}", HANDLE, "commander", HANDLE, {"title": "t"}, (412,), {"If_Match": '"999"'}),
    Door("POST", "/api/v1/cases/{case}/steps", HANDLE, "commander", HANDLE, {"kind": "filing"}),
    Door("POST", "/api/v1/cases/{case}/items", HANDLE, "commander", HANDLE, {"kind": "text", "title": "t"}),
    Door("POST", "/api/v1/cases/{case}/exports", HANDLE + " archivist", "commander archivist", HANDLE + " archivist",
         ok=(403,)),
]  # fmt: skip
"""That nobody may export without an approval is 403; those who do not reach the case get 404."""
RECORDING = [
    Door("GET", "/api/v1/recordings/{recording}", RECORD, UNIT_READ + " analyst", RECORD),
    Door("GET", "/api/v1/recordings/{recording}/map", RECORD, UNIT_READ + " analyst", RECORD),
    Door("GET", "/api/v1/recordings/{recording}/media?end=1", RECORD, UNIT_READ + " analyst", RECORD, ok=(403,)),
    Door("HEAD", "/api/v1/recordings/{recording}/media?end=1", RECORD, UNIT_READ + " analyst", RECORD, ok=(403,)),
    Door("GET", "/api/v1/recordings/{recording}/still.jpg?at=1", RECORD, UNIT_READ + " analyst", RECORD, ok=(403,)),
    Door("GET", "/api/v1/recordings/{recording}/words", RECORD, UNIT_READ + " analyst", RECORD, ok=(403,)),
    Door("GET", "/api/v1/recordings/{recording}/subtitles.vtt", RECORD, UNIT_READ + " analyst", RECORD, ok=(403,)),
    Door("GET", "/api/v1/recordings/{recording}/subtitles.srt", RECORD, UNIT_READ + " analyst", RECORD, ok=(403,)),
    Door("POST", "/api/v1/approvals", ASK, UNIT_READ + " analyst", ASK,
         {"what": "play", "purpose": "p", "recording_id": "{recording}", "start_s": 0, "end_s": 1}),
]  # fmt: skip
"""Without an approval nobody plays: 403 for who knows of the recording, 404 for who does not."""
ANALYSES = [
    Door("POST", "/api/v1/recordings/{recording}/analyses", "commander handler archivist", "commander archivist",
         "commander handler archivist", {}, ok=(409,)),
]  # fmt: skip
STREAM = [
    Door("POST", "/api/v1/streams/{stream}/ticket", "viewer commander officer handler reviewer", "commander",
         "viewer commander officer handler reviewer"),
    Door("GET", "/live/{stream}/snapshot.jpg", "viewer commander officer handler reviewer", "commander",
         "viewer commander officer handler reviewer"),
    Door("GET", "/live/{stream}/index.m3u8", "viewer commander officer handler reviewer", "commander",
         "viewer commander officer handler reviewer"),
    Door("GET", "/live/{stream}/ws", "viewer commander officer handler reviewer", "commander",
         "viewer commander officer handler reviewer", ok=(101,)),
]  # fmt: skip
PLAIN = [
    Door("GET", "/api/v1/session", EVERYONE),
    Door("GET", "/api/v1/session/held", EVERYONE),
    Door("POST", "/api/v1/session/totp", EVERYONE),
    Door("PUT", "/api/v1/session/totp", EVERYONE, body={"secret": "A" * 32, "code": "000000"}, ok=(422,)),
    Door("PUT", "/api/v1/session/password", EVERYONE, body={"new": "x"}, ok=(422,)),
    Door("DELETE", "/api/v1/session/held/tok_none", EVERYONE, ok=(404,)),
    Door("POST", "/api/v1/session/tokens", EVERYONE, body={"name": "t", "scopes": ["no.such"]}, ok=(422,)),
    Door("GET", "/api/v1/streams", "viewer commander officer handler reviewer system_admin"),
    Door("GET", "/api/v1/analysis", "viewer commander officer handler reviewer system_admin"),
    Door("GET", "/api/v1/recordings/rec_none/units", "service", ok=(404,)),
    Door("GET", "/api/openapi.json", EVERYONE),
    Door("GET", "/api/docs", EVERYONE),
    Door("GET", "/api/v1/cases", READ),
    Door("POST", "/api/v1/cases", HANDLE, body={"number": "", "title": "t"}, ok=(422,)),
    Door("GET", "/api/v1/step-kinds", READ),
    Door("GET", "/api/v1/findings", "viewer commander officer handler reviewer archivist analyst"),
    Door("GET", "/api/v1/rules", RECORD),
    Door("POST", "/api/v1/findings/f_none/review", JUDGE, body={"verdict": "confirmed", "reason": "r"}, ok=(404,)),
    Door("GET", "/api/v1/faces", FACES_SEEN),
    Door("POST", "/api/v1/faces/switch", "security_admin", body={}, ok=(422,)),
    Door("POST", "/api/v1/faces/switch/fsw_none/approve", "reviewer", ok=(404,)),
    Door("DELETE", "/api/v1/faces/switch", "security_admin reviewer", body={"reason": "r"}, ok=(409,)),
    Door("GET", "/api/v1/faces/galleries", FACES),
    Door("POST", "/api/v1/faces/galleries", ENROL, body={}, ok=(422,)),
    Door("POST", "/api/v1/faces/galleries/fgal_none/renew", ENROL, body={}, ok=(404,)),
    Door("DELETE", "/api/v1/faces/galleries/fgal_none", ENROL, body={"reason": "r"}, ok=(404,)),
    Door("GET", "/api/v1/faces/galleries/fgal_none/persons", FACES, ok=(404,)),
    Door("POST", "/api/v1/faces/galleries/fgal_none/persons", ENROL, ok=(404,)),
    Door("GET", "/api/v1/faces/officers", "system_admin"),
    Door("POST", "/api/v1/faces/persons/fper_none/confirm", JUDGE, ok=(404,)),
    Door("POST", "/api/v1/faces/persons/fper_none/refuse", JUDGE, body={"reason": "r"}, ok=(404,)),
    Door("DELETE", "/api/v1/faces/persons/fper_none", ENROL, body={"reason": "r"}, ok=(404,)),
    Door("GET", "/api/v1/faces/persons/fper_none/picture.jpg", FACES, ok=(404,)),
    Door("GET", "/api/v1/faces/suggestions", FACES),
    Door("POST", "/api/v1/faces/suggestions/fsug_none/opinion", JUDGE, body={"verdict": "same", "reason": "r"},
         ok=(404,)),
    Door("GET", "/api/v1/faces/suggestions/fsug_none/shot.jpg", JUDGE, ok=(404,)),
    Door("GET", "/api/v1/faces/suggestions/fsug_none/person.jpg", JUDGE, ok=(404,)),
    Door("GET", "/api/v1/faces/watching?stream_id=st_none", "service"),
    Door("POST", "/api/v1/faces/probes", "service", body={}, ok=(422,)),
    Door("GET", "/api/v1/officers", READ),
    Door("POST", "/api/v1/officers", "commander system_admin", body={}, ok=(422,)),
    Door("GET", "/api/v1/recordings", RECORD),
    Door("GET", "/api/v1/search?q=%E6%A1%88%E4%BB%B6", READ),
    Door("GET", "/api/v1/log/head", READ + " audit_admin", ok=(200, 404)),
    Door("GET", "/api/v1/log/consistency?from=1&to=1", READ + " audit_admin", ok=(200, 404, 422)),
    Door("GET", "/api/v1/approvals", ASK),
    Door("DELETE", "/api/v1/approvals/appr_none", ASK, ok=(404,)),
    Door("POST", "/api/v1/approvals/appr_none/decision", "commander archivist", body={"verdict": "refused"}, ok=(404,)),
    Door("POST", "/api/v1/recordings/rec_none/withheld", "archivist security_admin",
         body={"officer_id": "x", "reason": "r"}, ok=(404,)),
    Door("POST", "/api/v1/recordings/rec_none/released", "archivist security_admin",
         body={"officer_id": "x", "reason": "r"}, ok=(404,)),
    Door("POST", "/api/v1/recordings/rec_none/clips", "commander handler archivist",
         body={"case_id": "case_none", "start_s": 0, "end_s": 1}, ok=(404,)),
    Door("POST", "/api/v1/clips/clip_none/redactions", "commander handler archivist", body={"detect": False},
         ok=(404,)),
    Door("GET", "/api/v1/clips/clip_none/redactions", "commander handler archivist", ok=(404,)),
    Door("GET", "/api/v1/redactions/red_none", "commander handler archivist", ok=(404,)),
    Door("PUT", "/api/v1/redactions/red_none/tracks", "commander handler archivist", body={"drawn": []}, ok=(404,),
         headers={"If_Match": '"1"'}),
    Door("POST", "/api/v1/redactions/red_none/make", "commander handler archivist", body={"title": "t"}, ok=(404,),
         headers={"If_Match": '"1"'}),
    Door("GET", "/api/v1/redactions/red_none/file", "commander handler archivist", ok=(404,)),
    Door("GET", "/api/v1/exports/exp_none", "commander handler archivist", ok=(404,)),
    Door("GET", "/api/v1/exports/exp_none/file", "commander handler archivist", ok=(404,)),
    Door("GET", "/api/v1/audit", "audit_admin"),
    Door("GET", "/api/v1/users", "system_admin security_admin audit_admin"),
    Door("GET", "/api/v1/users/usr_none", "system_admin security_admin audit_admin", ok=(404,)),
    Door("POST", "/api/v1/users", "system_admin", body={}, ok=(422,)),
    Door("PATCH", "/api/v1/users/usr_none", "security_admin", body={}, ok=(404, 428)),
    Door("PUT", "/api/v1/users/usr_none/devices", "security_admin", body={"device_ids": []}, ok=(404,)),
    Door("POST", "/api/v1/users/usr_none/disable", "system_admin security_admin", ok=(404,)),
    Door("POST", "/api/v1/users/usr_none/enable", "system_admin", ok=(404,)),
    Door("POST", "/api/v1/users/usr_none/link", "system_admin", ok=(404,)),
    Door("DELETE", "/api/v1/users/usr_none/totp", "security_admin", ok=(404,)),
    Door("GET", "/api/v1/units", "commander handler archivist analyst system_admin security_admin audit_admin"),
    Door("PUT", "/api/v1/units", "security_admin", body={}, ok=(422,)),
    Door("GET", "/api/v1/devices", "system_admin"),
    Door("POST", "/api/v1/devices", "system_admin", body={}, ok=(422,)),
    Door("POST", "/api/v1/devices/dev_none/key", "system_admin", ok=(404,)),
    Door("DELETE", "/api/v1/devices/dev_none", "system_admin", ok=(404,)),
    Door("POST", "/api/v1/devices/dev_none/bindings", "commander system_admin", body={"officer_id": "x"}, ok=(404,)),
    Door("DELETE", "/api/v1/devices/dev_none/bindings", "commander system_admin", ok=(204,)),
    Door("OPTIONS", "/api/v1/uploads", SEND),
    Door("POST", "/api/v1/uploads", SEND, ok=(422,), headers=TUS),
    Door("GET", "/api/v1/uploads", SEND),
    Door("GET", "/api/v1/uploads/upl_none", SEND, ok=(404,)),
    Door("HEAD", "/api/v1/uploads/upl_none", SEND, ok=(404,), headers=TUS),
    Door("PATCH", "/api/v1/uploads/upl_none", SEND, ok=(404,), headers=TUS),
    Door("DELETE", "/api/v1/uploads/upl_none", SEND, ok=(404,), headers=TUS),
    Door("POST", "/api/v1/officers/off_none/task", HANDLE, body={"case_id": "x"}, ok=(404,)),
    Door("DELETE", "/api/v1/officers/off_none/task", HANDLE, ok=(404,)),
]  # fmt: skip
ELSEWHERE = {
    "DELETE /api/v1/session": "test_accounts: signing out",
    "GET /api/v1/session/directory": "test_directory",
    "GET /api/v1/session/directory/callback": "test_directory",
    "GET /api/v1/events": "below: what a tail tells",
    "GET /live/{stream_id}/ws?tracks=sound": "test_hearing: the door of workers",
    "GET /live/{stream_id}/ws?tracks=work": "test_hearing: the door of workers",
    "GET /api/v1/captions": "test_hearing: who watches hears",
    "POST /api/v1/cases/{case_id}/recordings": "below: attaching what is out of reach",
    "DELETE /api/v1/cases/{case_id}/recordings/{link_id}": "as the other acts on a case",
    "POST /api/v1/cases/{case_id}/steps/{step_id}/end": "as the other acts on a case",
    "POST /api/v1/cases/{case_id}/items/{item_id}/withdraw": "as the other acts on a case",
    "PUT /api/v1/cases/{case_id}/members/{account_id}": "below: a member is added",
    "DELETE /api/v1/cases/{case_id}/members/{account_id}": "below: a member is removed",
}


@dataclass
class Site:
    """A server with two units, an account of every role in one of them, and things of every relation."""

    server: Server
    tokens: dict[str, str]
    accounts: dict[str, str]
    places: dict[str, dict[str, str]]  # by relation: case, recording, stream, event

    def path(self, door: Door, relation: str) -> str:
        names = self.places.get(relation, {})
        return re.sub(r"\{(\w+)\}", lambda found: names[found[1]], door.path)

    def ask(self, role: str, door: Door, relation: str = "") -> int:
        names, path = self.places.get(relation, {}), self.path(door, relation)
        body = door.body and {
            key: names[value[1:-1]] if isinstance(value, str) and value.startswith("{") else value
            for key, value in door.body.items()
        }
        if path.endswith("/ws"):
            return self.upgrade(path, self.tokens[role])
        return self.server.ask(path, door.method, body, token=self.tokens[role], **door.headers).status

    def upgrade(self, path: str, token: str) -> int:
        """The answer to a WebSocket; its view ends at once."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        wanted = {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
        }  # fmt: skip
        connection.request("GET", path, headers={**wanted, **({"Authorization": f"Bearer {token}"} if token else {})})
        status = connection.getresponse().status
        connection.close()
        return status


def clip(path: Path, hue: int) -> Path:
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size=160x120:rate=10,hue=h={hue}",
         "-t", "6", "-c:v", "libx264", "-preset", "ultrafast", "-g", "10", str(path)],
        check=True, timeout=60,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("rights")
    with Server(folder / "data") as server:
        tokens, accounts, devices = {}, {}, {}
        with server.access() as access:
            for unit in (EAST, WEST):
                access.units.put(unit, None)
            for name, unit in (("east", EAST), ("west", WEST), ("own", WEST)):
                device, key = access.add_device(name, "officer", unit)
                devices[name] = (device.device_id, key)
        officer = server.ask(
            "/api/v1/officers", "POST", {"name": "林晓岚", "certificate_number": "A1", "unit": WEST}
        ).tree()
        own_device = devices["own"][0]
        binding = {"officer_id": officer["officer_id"]}
        assert server.ask(f"/api/v1/devices/{own_device}/bindings", "POST", binding).status == 201
        with server.access() as access:
            tokens["service"] = server.keep(access.create_token("service"))
            for role in PEOPLE:
                is_bureau = role.endswith("_admin")
                account = access.accounts.add(
                    role.replace("_", "."), role, role, unit="" if is_bureau else EAST,
                    officer_id=str(officer["officer_id"]) if role == "officer" else "",
                )  # fmt: skip
                accounts[role] = account.account_id
                tokens[role] = server.keep(access.create_token(role, account_id=account.account_id))
            access.accounts.assign(accounts["viewer"], [own_device], "test")
        cases = {}
        for relation, unit in (("unit", EAST), ("other", WEST), ("mine", WEST)):
            made = server.ask("/api/v1/cases", "POST", {"number": relation, "title": f"{relation} 案件", "unit": unit})
            assert made.status == 201, made.body
            cases[relation] = str(made.tree()["case_id"])
        for account_id in accounts.values():
            where = f"/api/v1/cases/{cases['mine']}/members/{account_id}"
            assert server.ask(where, "PUT").status == 204
        recordings: dict[str, str] = {}
        for relation, name in (("unit", "east"), ("other", "west"), ("mine", "own"), ("withheld", "own")):
            clip(folder / f"{relation}.mp4", len(recordings) * 60)
            done = onrecord(server.data, "ingest", str(folder / f"{relation}.mp4"), "--device", name, "--json")
            assert done.returncode == 0, done.stderr
            recordings[relation] = re.search(r'"recording_id": "(\w+)"', done.stdout)[1]  # type: ignore[index]
        known = [f"/api/v1/recordings/{each}" for each in recordings.values()]
        until(lambda: all(server.ask(each).status == 200 for each in known), "the recordings in the store")
        link = {"recording_id": recordings["mine"]}
        assert server.ask(f"/api/v1/cases/{cases['mine']}/recordings", "POST", link).status == 201
        body = {"officer_id": officer["officer_id"], "reason": "投诉"}
        token = tokens["security_admin"]
        where = f"/api/v1/recordings/{recordings['withheld']}/withheld"
        assert server.ask(where, "POST", body, token=token).status == 204
        for name in ("east", "west", "own"):
            server.publish(devices[name][1], "160x120")
        streams = {"unit": server.live_id("east"), "other": server.live_id("west"), "mine": server.live_id("own")}
        live = server.stream_of("own")
        assert live is not None
        until(
            lambda: len(server.ask(f"/api/v1/recordings?stream_id={streams['mine']}").items()) == 1,
            "the live recording in the store",
        )
        running = server.ask(f"/api/v1/recordings?stream_id={streams['mine']}").items()[0]["recording_id"]
        link = {"recording_id": str(running)}
        assert server.ask(f"/api/v1/cases/{cases['mine']}/recordings", "POST", link).status == 201
        places = {}
        for relation in ("unit", "other", "mine"):
            first = server.ask(f"/api/v1/cases/{cases[relation]}/timeline").items()[0]
            places[relation] = {
                "case": cases[relation], "recording": recordings[relation], "stream": streams[relation],
                "event": str(first["event_id"]), "device": devices["east"][0],
            }  # fmt: skip
        places["withheld"] = {"recording": recordings["withheld"]}
        own = f"/api/v1/streams/{streams['mine']}/ticket"
        until(lambda: server.ask(own, "POST", token=tokens["handler"]).status == 201, "who works on it is known")
        yield Site(server, tokens, accounts, places)


@pytest.mark.parametrize("door", PLAIN, ids=lambda door: f"{door.method} {door.path}")
def test_a_route_opens_for_its_roles_and_for_no_other(site: Site, door: Door) -> None:
    said = {role: site.ask(role, door) for role in ROLES}
    for role, status in said.items():
        assert status in door.ok if role in door.roles.split() else status == 403, said
    assert site.server.ask(door.path, door.method, door.body, token="").status == 401


@pytest.mark.parametrize("door", CASE + RECORDING + ANALYSES + STREAM, ids=lambda door: f"{door.method} {door.path}")
def test_what_a_route_names_is_reached_by_unit_or_by_being_ones_own_and_does_not_exist_for_others(
    site: Site, door: Door
) -> None:
    for relation, reaching in (("unit", door.unit), ("other", ""), ("mine", door.mine)):
        said = {role: site.ask(role, door, relation) for role in ROLES}
        for role, status in said.items():
            if role not in door.roles.split():
                assert status == 403, (relation, said)
            elif role in reaching.split():
                assert status in door.ok, (relation, said)
            else:
                assert status == 404, (relation, role, said)
        path = site.path(door, relation)
        stranger = (
            site.upgrade(path, "") if path.endswith("/ws")
            else site.server.ask(path, door.method, door.body, token="").status
        )  # fmt: skip
        assert stranger == 401


def test_the_filmed_officer_under_complaint_reaches_nothing_of_the_recording(site: Site) -> None:
    for door in RECORDING:
        assert site.ask("officer", door, "withheld") == 404, door
        assert site.ask("officer", door, "mine") in door.ok, door
    listed = site.server.ask("/api/v1/recordings", token=site.tokens["officer"]).items()
    assert site.places["withheld"]["recording"] not in [each["recording_id"] for each in listed]


def test_the_filmed_officer_under_complaint_no_longer_sees_what_is_being_filmed(site: Site) -> None:
    stream = site.places["mine"]["stream"]
    running = site.server.ask(f"/api/v1/recordings?stream_id={stream}").items()[0]["recording_id"]
    officer_id = site.server.ask("/api/v1/officers").items()[0]["officer_id"]
    body, ticket = {"officer_id": officer_id, "reason": "投诉"}, f"/api/v1/streams/{stream}/ticket"
    token = site.tokens["security_admin"]
    assert site.server.ask(ticket, "POST", token=site.tokens["officer"]).status == 201
    assert site.server.ask(f"/api/v1/recordings/{running}/withheld", "POST", body, token=token).status == 204
    until(lambda: site.server.ask(ticket, "POST", token=site.tokens["officer"]).status == 404, "it is out of reach")
    assert site.server.ask(f"/api/v1/recordings/{running}/released", "POST", body, token=token).status == 204
    until(lambda: site.server.ask(ticket, "POST", token=site.tokens["officer"]).status == 201, "it is back")


def test_every_route_has_its_expected_answer() -> None:
    routes = set(
        re.findall(r"^\| `([A-Z]+ /\S+)`[^|]*\|", permissions_doc.page().partition("## Routes")[2], re.MULTILINE)
    )
    routes = {route for route in routes if not route.startswith(("GET /livez", "GET /readyz", "GET /metrics"))}
    routes -= {"POST /api/v1/session"}
    routes = {route for route in routes if " /ingest/" not in route and not route.endswith("/ingest")}

    def pattern(route: str) -> str:
        return re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(route))

    said = [f"{door.method} {door.path.partition('?')[0]}" for door in PLAIN + CASE + RECORDING + ANALYSES + STREAM]
    missing = [
        route for route in sorted(routes)
        if route not in ELSEWHERE and not any(re.fullmatch(pattern(route), each) for each in said)
    ]  # fmt: skip
    assert missing == []


def test_lists_hold_what_is_within_reach_and_nothing_else(site: Site) -> None:
    def seen(path: str, role: str, key: str) -> set[object]:
        return {each[key] for each in site.server.ask(path, token=site.tokens[role]).items()}

    cases = {relation: names.get("case") for relation, names in site.places.items()}
    assert seen("/api/v1/cases", "commander", "case_id") == {cases["unit"], cases["mine"]}
    assert seen("/api/v1/cases", "handler", "case_id") == {cases["mine"]}
    streams = {relation: names.get("stream") for relation, names in site.places.items()}
    assert seen("/api/v1/streams", "commander", "stream_id") == {streams["unit"], streams["mine"]}
    for role in ("officer", "viewer", "handler"):
        assert seen("/api/v1/streams", role, "stream_id") == {streams["mine"]}, role
    assert seen("/api/v1/streams", "system_admin", "stream_id") == {streams["unit"], streams["other"], streams["mine"]}
    found = site.server.ask("/api/v1/search?q=%E6%A1%88%E4%BB%B6", token=site.tokens["handler"]).items()
    assert {each["case_id"] for each in found} == {cases["mine"]}


def test_nobody_attaches_a_recording_that_is_out_of_his_reach(site: Site) -> None:
    where = f"/api/v1/cases/{site.places['mine']['case']}/recordings"
    body = {"recording_id": site.places["other"]["recording"]}
    assert site.server.ask(where, "POST", body, token=site.tokens["handler"]).status == 404


def test_nobody_claims_what_a_device_records_that_is_out_of_his_reach(site: Site) -> None:
    """Who works on a case does not reach a unit's devices by that, not even the one that he carries himself."""
    where = f"/api/v1/cases/{site.places['mine']['case']}/attach-rules"
    found = {each["device_name"]: each["device_id"] for each in site.server.streams()}
    for role, name in (("commander", "west"), ("commander", "own"), ("handler", "east"), ("handler", "own")):
        body = {"device_id": found[name], "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}
        assert site.server.ask(where, "POST", body, token=site.tokens[role]).status == 404, (role, name)


def test_a_rule_of_a_device_and_a_time_is_set_shown_and_undone_with_all_that_it_attached(site: Site) -> None:
    case, token = site.places["unit"]["case"], site.tokens["commander"]
    where = f"/api/v1/cases/{case}/attach-rules"
    body = {
        "device_id": site.places["unit"]["device"], "from": "2020-01-01T00:00:00Z", "to": "2020-12-31T00:00:00Z",
        "place": "市场东门",
    }  # fmt: skip
    assert site.server.ask(where, "POST", {**body, "to": body["from"]}, token=token).status == 422
    assert site.server.ask(where, "POST", {**body, "step_id": "step_none"}, token=token).status == 404
    now = datetime.now(UTC)
    span = {"from": (now - timedelta(hours=1)).isoformat(), "to": (now + timedelta(hours=1)).isoformat()}
    rule = site.server.ask(where, "POST", {**body, **span}, token=token)
    assert rule.status == 201, rule.body
    rule_id = rule.tree()["rule_id"]
    links = site.server.ask(f"/api/v1/cases/{case}/recordings", token=token).items()
    made = [each for each in links if each["rule_id"] == rule_id]
    assert site.places["unit"]["stream"] in {each["stream_id"] for each in made}
    assert {each["how"] for each in made} == {"rule"}
    assert [each["place"] for each in site.server.ask(where, token=token).items() if each["rule_id"] == rule_id] == [
        "市场东门"
    ]
    undone = site.server.ask(f"{where}/{rule_id}", "DELETE", token=token).tree()
    assert undone["undone_by"]
    links = site.server.ask(f"/api/v1/cases/{case}/recordings", token=token).items()
    assert all(each["undone_at"] for each in links if each["rule_id"] == rule_id)


def test_a_case_is_opened_for_ones_own_unit_only(site: Site) -> None:
    body = {"number": "越权", "title": "t", "unit": WEST}
    assert site.server.ask("/api/v1/cases", "POST", body, token=site.tokens["commander"]).status == 403


def test_who_is_taken_from_a_case_no_longer_reaches_it_nor_its_live_streams(site: Site) -> None:
    case, stream = site.places["mine"]["case"], site.places["mine"]["stream"]
    with site.server.access() as access:
        account = access.accounts.add("temp", "temp", "handler", unit=EAST)
        token = site.server.keep(access.create_token("handler", account_id=account.account_id))
    where = f"/api/v1/cases/{case}/members/{account.account_id}"
    ticket = f"/api/v1/streams/{stream}/ticket"
    assert site.server.ask(f"/api/v1/cases/{case}", token=token).status == 404
    assert site.server.ask(where, "PUT", token=site.tokens["handler"]).status == 204
    assert site.server.ask(f"/api/v1/cases/{case}", token=token).status == 200
    until(lambda: site.server.ask(ticket, "POST", token=token).status == 201, "the stream is reached")
    assert site.server.ask(where, "DELETE", token=site.tokens["handler"]).status == 204
    assert site.server.ask(f"/api/v1/cases/{case}", token=token).status == 404
    until(lambda: site.server.ask(ticket, "POST", token=token).status == 404, "the stream is out of reach")


def test_files_are_sent_in_for_cases_and_devices_within_reach_and_no_others(site: Site) -> None:
    with site.server.access() as access:
        devices = {each.device.name: each.device.device_id for each in access.devices()}
    names = {"unit": "east", "other": "west", "mine": "own"}

    def said(role: str, **about: str) -> int:
        told = ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in about.items())
        headers = {**TUS, "Upload_Length": "9", "Upload_Metadata": told}
        return site.server.ask("/api/v1/uploads", "POST", None, token=site.tokens[role], **headers).status

    for relation, name in names.items():
        of_case = {role: said(role, filename="a", case=site.places[relation]["case"]) for role in SEND.split()}
        of_device = {role: said(role, filename="a", device=devices[name]) for role in SEND.split()}
        for role in SEND.split():
            reaches = relation == "mine" or (relation == "unit" and role in ("commander", "archivist"))
            assert of_case[role] == (201 if reaches else 404), (relation, of_case)
            carries = role == "officer" and relation == "mine"
            has_unit = relation == "unit" and role in ("commander", "archivist")
            assert of_device[role] == (201 if carries or has_unit else 404), (relation, of_device)
