"""Faces over HTTP on a real server with the real search process: two persons each time, reach, pictures, the end.

No model is needed: templates are enrolled before the server starts, by the code of cases/faces with made vectors.
"""

import base64
import contextlib
import http.client
import resource
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from cases.faces.enrolling import MOST_BODIES
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.serving import BUSY_S, Answer, Server, onrecord, until
from tests.unit.cases.faces.made import face, site

pytestmark = pytest.mark.slow

UNIT = "东"
FACES = "/api/v1/faces"


def ahead(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


@dataclass
class Hall:
    """A server; tokens by name, each of an account of its own. case_id: of the first case; a stream of it is st_1."""

    server: Server
    case_id: str
    gallery_id: str
    waiting_id: str
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(self, who: str, path: str, method: str = "GET", body: dict[str, object] | None = None) -> Answer:
        return self.server.ask(f"{FACES}{path}", method, body, token=self.tokens[who])

    def add(self, name: str, role: str, unit: str = UNIT) -> None:
        with self.server.access() as access:
            account = access.accounts.add(name, name, role, unit=unit)
            self.tokens[name] = self.server.keep(access.create_token(role, account_id=account.account_id))

    def probe(self, picture: str, track: int = 1) -> str:
        who, _, noise = picture.partition("~")
        vector = base64.b64encode(face(who, float(noise or 0))).decode()
        body: dict[str, object] = {
            "stream_id": "st_1", "recording_id": "rec_1", "work_id": "work_1", "track": track, "first": True,
            "start_s": 1.0, "at_s": 2.0, "looks": 5, "model": "sface@1", "detector": "yunet@1", "quality": 0.8,
            "vector": vector, "shot": base64.b64encode(b"\xff\xd8\xffshot").decode(),
        }  # fmt: skip
        answer = self.ask("worker", "/probes", "POST", body)
        assert answer.status == 200, answer.body
        return str(answer.tree()["answer"])


async def _made(data: Path) -> tuple[str, str, str]:
    """Faces are on, the first case has a gallery with one person confirmed, of whom more waits, and one who waits."""
    now_s = time.time()
    async with site(StoreSettings(), data, ManualClock(0.0, now_s)) as made:
        await made.on()
        gallery = await made.gallery(made.cases[0])
        zhang = await made.confirm(await made.enrol(gallery, "zhang"))
        await made.enrol(gallery, "zhang~0.2", "usr_zhao", person_id=zhang.person_id)
        waiting = await made.enrol(gallery, "li", "usr_zhao", name="李四")
        return made.cases[0].case_id, gallery.gallery_id, waiting.person_id


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    data = tmp_path / "data"
    data.mkdir()
    case_id, gallery_id, waiting_id = anyio.run(_made, data)
    with Server(data, {"ONRECORD_MODELS__FOLDER": str(tmp_path / "no-models")}) as server:
        made = Hall(server, case_id, gallery_id, waiting_id)
        for name, role, unit in (
            ("lin", "handler", UNIT), ("wang", "commander", UNIT), ("zhou", "reviewer", UNIT), ("wu", "reviewer", UNIT),
            ("far", "commander", "西"), ("sec", "security_admin", ""), ("sys", "system_admin", ""),
            ("audit", "audit_admin", ""),
        ):  # fmt: skip
            made.add(name, role, unit)
        with server.access() as access:
            made.tokens["worker"] = server.keep(access.create_token("service"))
            for unit in (UNIT, "西"):
                access.units.put(unit, None)
        until(lambda: made.ask("worker", "/watching?stream_id=st_2").status == 200, "faces are served", 20)
        yield made


def items(answer: Answer) -> list[dict[str, object]]:
    assert answer.status == 200, answer.body
    return answer.items()


def test_a_match_is_suggested_confirmed_by_two_who_are_blind_and_gone_with_its_case(hall: Hall) -> None:
    assert hall.ask("worker", "/watching?stream_id=st_1").tree()["watching"] is True
    assert hall.ask("worker", "/watching?stream_id=st_2").tree()["watching"] is False
    assert hall.probe("stranger", 1) == "unknown"
    assert hall.probe("li", 2) == "unknown", "nobody confirmed him"
    assert hall.probe("zhang~0.1", 3) == "suggested"
    found = items(hall.ask("wang", f"/suggestions?state=waiting&case_id={hall.case_id}"))
    assert [each["name"] for each in found] == ["张三"]
    name = str(found[0]["suggestion_id"])
    assert items(hall.ask("sys", "/suggestions")) == []
    for other in ("far", "lin"):
        assert items(hall.ask(other, "/suggestions")) == []
        verdict: dict[str, object] = {"verdict": "same", "reason": "x"}
        assert hall.ask(other, f"/suggestions/{name}/opinion", "POST", verdict).status == 404
        assert hall.ask(other, f"/suggestions/{name}/shot.jpg").status == 404
    shot = hall.ask("zhou", f"/suggestions/{name}/shot.jpg")
    assert (shot.body, shot.headers["cache-control"]) == (b"\xff\xd8\xffshot", "no-store")
    for _ in range(2):
        assert hall.ask("zhou", f"/suggestions/{name}/person.jpg").body.startswith(b"\xff\xd8crop")
    audit = items(hall.server.ask("/api/v1/audit?kinds=FacePictureSeen", token=hall.tokens["audit"]))
    assert [each["by_name"] for each in audit] == ["zhou"] * 2, "each picture is told, once an hour"

    def say(who: str, verdict: str) -> Answer:
        return hall.ask(who, f"/suggestions/{name}/opinion", "POST", {"verdict": verdict, "reason": f"看过 {who}"})

    assert say("wang", "same").tree()["state"] == "open"
    assert say("wang", "same").status == 409
    seen = items(hall.ask("zhou", "/suggestions"))[0]
    assert (seen["given"], seen["opinions"], seen["may_judge"]) == (1, [], True)
    timeline = hall.server.ask(f"/api/v1/cases/{hall.case_id}/timeline?limit=200", token=hall.tokens["zhou"])
    assert "看过 wang".encode() not in timeline.body
    assert say("zhou", "same").tree()["state"] == "confirmed"
    kinds = [each["kind"] for each in items(
        hall.server.ask(f"/api/v1/cases/{hall.case_id}/timeline?limit=200", token=hall.tokens["zhou"])
    )]  # fmt: skip
    for kind in ("GalleryOpened", "PersonEnrolled", "FaceNoticeDue", "FaceSearched", "FaceSuggested", "FaceConfirmed"):
        assert kind in kinds, kind
    record = hall.ask("zhou", "").tree()["record"]
    assert isinstance(record, list)
    assert (record[0]["confirmed"], record[0]["rejected"]) == (1, 0)
    token = hall.tokens["wang"]
    etag = hall.server.ask(f"/api/v1/cases/{hall.case_id}", token=token).headers["etag"]
    closing = hall.server.ask(
        f"/api/v1/cases/{hall.case_id}", "PATCH", {"state": "closed"}, token=token, If_Match=etag
    )  # fmt: skip
    assert closing.status == 200, closing.body
    took_s = until(lambda: hall.probe("zhang", 9) == "nothing_to_search", "matching stops")
    assert took_s < 2 + BUSY_S
    until(lambda: items(hall.ask("wang", "/galleries"))[0]["state"] == "closed", "the gallery closes")
    gallery = items(hall.ask("wang", "/galleries"))[0]
    assert gallery["end_reason"] == "case_closed"
    assert hall.ask("zhou", f"/suggestions/{name}/shot.jpg").status == 404
    assert not list((hall.server.data / "faces-keys" / hall.gallery_id).glob("*"))
    assert hall.ask("zhou", "").tree()["count"] == 0
    assert hall.server.stop() < 10
    done = onrecord(hall.server.data, "verify", str(hall.server.data))
    assert "face_" not in done.stdout, done.stdout[-2000:]


def test_who_proposed_does_not_confirm_and_administrators_reach_no_case(hall: Hall) -> None:
    where = f"/persons/{hall.waiting_id}"
    assert hall.ask("sys", f"/galleries/{hall.gallery_id}/persons").status == 404
    assert items(hall.ask("sys", "/galleries")) == []
    assert hall.ask("far", f"/galleries/{hall.gallery_id}/persons").status == 404
    assert hall.ask("far", f"{where}/confirm", "POST").status == 404
    assert hall.ask("sys", where, "DELETE", {"reason": "r"}).status == 404
    assert hall.ask("far", f"/galleries/{hall.gallery_id}", "DELETE", {"reason": "r"}).status == 404
    renew = f"/galleries/{hall.gallery_id}/renew"
    told = {who: hall.ask(who, renew, "POST", {}).status for who in ("far", "sys", "zhou", "wang")}
    assert told == {"far": 404, "sys": 404, "zhou": 403, "wang": 503}, "no models are here"
    people = {each["name"]: each for each in items(hall.ask("zhou", f"/galleries/{hall.gallery_id}/persons"))}
    assert people["李四"]["may_confirm"] is True
    assert hall.ask("zhou", f"{where}/picture.jpg").body.startswith(b"\xff\xd8crop")
    assert hall.ask("zhou", f"{where}/confirm", "POST").tree()["state"] == "enrolled"
    assert hall.probe("li~0.1") == "suggested"
    assert hall.ask("wang", where, "DELETE", {"reason": "误录"}).tree()["state"] == "deleted"
    assert hall.probe("li~0.1", 2) == "unknown"
    assert hall.ask("zhou", f"{where}/picture.jpg").status == 404


def test_who_judges_is_shown_the_picture_that_is_judged(hall: Hall) -> None:
    """Whoever confirms sees what waits, not what was confirmed before; a match is shown with what it was of."""
    assert hall.probe("zhang~0.1") == "suggested"
    name = str(items(hall.ask("zhou", "/suggestions"))[0]["suggestion_id"])
    people = {each["name"]: each for each in items(hall.ask("zhou", f"/galleries/{hall.gallery_id}/persons"))}
    where = f"/persons/{people['张三']['person_id']}"
    assert people["张三"]["may_confirm"] is True
    assert hall.ask("zhou", f"{where}/picture.jpg").body == b"\xff\xd8crop of zhang~0.2"
    assert hall.ask("zhou", f"/suggestions/{name}/person.jpg").body == b"\xff\xd8crop of zhang"
    audit = items(hall.server.ask("/api/v1/audit?kinds=FacePictureSeen", token=hall.tokens["audit"]))
    assert len({str(each["template_id"]) for each in audit}) == 2, "which picture it was is told"
    assert hall.ask("zhou", f"{where}/confirm", "POST").status == 200
    assert hall.ask("zhou", f"/suggestions/{name}/person.jpg").body == b"\xff\xd8crop of zhang"


def test_no_face_is_shown_once_its_time_is_over_even_where_keys_cannot_be_destroyed(hall: Hall) -> None:
    assert hall.probe("zhang") == "suggested"
    name = str(items(hall.ask("zhou", "/suggestions"))[0]["suggestion_id"])
    pictures = [f"/suggestions/{name}/shot.jpg", f"/suggestions/{name}/person.jpg"]
    pictures.append(f"/persons/{hall.waiting_id}/picture.jpg")
    key = hall.server.data / "faces-keys" / hall.gallery_id / "gallery.key"
    moved = key.rename(hall.server.data / "gallery.key")
    key.symlink_to(moved)  # it still opens; what destroys keys follows no link
    assert [hall.ask("zhou", each).status for each in pictures] == [200] * 3
    assert hall.ask("sec", "/switch", "DELETE", {"reason": "评估复核"}).status == 200
    assert [hall.ask("zhou", each).status for each in pictures] == [404] * 3
    key.unlink()
    moved.rename(key)
    until(lambda: not key.exists(), "it is destroyed as soon as it can be")


def test_the_switch_takes_two_and_either_ends_it_at_once(hall: Hall) -> None:
    state = hall.ask("audit", "").tree()
    assert state["is_on"] is False, "no models are here"
    assert "模型" in str(state["why_zh"])
    assert hall.ask("sec", "/switch", "DELETE", {"reason": "评估复核"}).tree()["end_reason"] == "by_person"
    assert hall.probe("zhang") == "nothing_to_search"
    assert items(hall.ask("wang", "/galleries"))[0]["end_reason"] == "switched_off"
    wanted: dict[str, object] = {
        "legal_basis": "法", "approver": "周科长", "assessment_id": "PIA-1", "expires_at": ahead(30), "reason": "专项",
    }  # fmt: skip
    for wrong in ({"assessment_id": ""}, {"expires_at": ahead(-1)}, {"expires_at": ahead(400)}, {"legal_basis": " "}):
        answer = hall.ask("sec", "/switch", "POST", {**wanted, **wrong})
        assert answer.status == 422, wrong
        assert answer.headers["content-type"] == "application/problem+json"
    asked = hall.ask("sec", "/switch", "POST", wanted)
    assert asked.status == 201
    switch_id = asked.tree()["switch_id"]
    gallery: dict[str, object] = {
        "kind": "case", "case_id": hall.case_id, "legal_basis": "法", "notice": "告知", "expires_at": ahead(10),
    }  # fmt: skip
    assert hall.ask("wang", "/galleries", "POST", gallery).status == 409
    assert hall.ask("sec", f"/switch/{switch_id}/approve", "POST").status == 403
    assert hall.ask("zhou", f"/switch/{switch_id}/approve", "POST").tree()["state"] == "on"
    assert hall.ask("wang", "/galleries", "POST", {**gallery, "expires_at": ahead(31)}).status == 422
    assert hall.ask("wang", "/galleries", "POST", {**gallery, "kind": "watch_list"}).status == 422
    assert hall.ask("far", "/galleries", "POST", gallery).status == 404
    assert hall.ask("sys", "/galleries", "POST", gallery).status == 404
    roster: dict[str, object] = {**gallery, "kind": "roster", "case_id": None}
    assert hall.ask("wang", "/galleries", "POST", roster).status == 403, "the roster is the bureau's"
    assert hall.ask("sys", "/galleries", "POST", roster).status == 201
    assert hall.ask("wang", "/officers").status == 403, "of his unit alone"
    assert hall.ask("zhou", "/officers").status == 403
    assert [each["certificate_number"] for each in items(hall.ask("sys", "/officers"))] == ["1", "2"]
    made = hall.ask("wang", "/galleries", "POST", gallery)
    assert made.status == 201
    assert hall.ask("zhou", "/switch", "DELETE", {"reason": "投诉"}).status == 200
    until(lambda: {each["state"] for each in items(hall.ask("wang", "/galleries"))} == {"closed"}, "all closed")


def send(hall: Hall, kind: str, body: bytes, who: str = "wang") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", hall.server.port, timeout=60)
    headers = {"Content-Type": kind, "Authorization": f"Bearer {hall.tokens[who]}" if who else ""}
    connection.putrequest("POST", f"{FACES}/galleries/{hall.gallery_id}/persons")
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who is refused is not read to the end
        connection.send(body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_what_is_sent_to_enrol_is_checked_before_anything_reads_it(hall: Hall) -> None:
    form = "multipart/form-data; boundary=xx"
    good = b'--xx\r\nContent-Disposition: form-data; name="basis"\r\n\r\nlaw\r\n'
    photo = b'--xx\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n\xff\xd8\r\n'
    tries = [
        ("application/json", b"{}"), ("application/json", b"no"), ("text/plain", b""), (form, b""), (form, good),
        (form, good + b"--xx--\r\n"), ("multipart/form-data", good + photo + b"--xx--\r\n"),
        (form, good + photo.replace(b"photos", b"strange") + b"--xx--\r\n"), (form, photo * 40 + b"--xx--\r\n"),
    ]  # fmt: skip
    for kind, body in tries:
        status, said = send(hall, kind, body)
        assert status == 422, (kind, body[:60], said)
    status, said = send(hall, form, good + photo + b"--xx--\r\n")
    assert status == 503, said
    assert b"onrecord models" in said
    moment = b'{"recording_id": "rec_1", "start_s": 1, "end_s": 2, "basis": "law", "name": "x"}'
    status, said = send(hall, "application/json", moment)
    assert status == 403, said
    assert send(hall, form, b"x" * 2_000_000, "")[0] == 401
    assert hall.ask("zhou", "").tree()["count"] == 2


def test_only_so_many_films_lie_in_memory_at_once(hall: Hall) -> None:
    """Or some who enrol at the same time would take the memory that recordings need. Who comes later waits."""
    head = (
        f"POST {FACES}/galleries/{hall.gallery_id}/persons HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
        f"Content-Type: multipart/form-data; boundary=xx\r\nAuthorization: Bearer {hall.tokens['wang']}\r\n\r\n--xx"
    )  # fmt: skip
    slow = [socket.create_connection(("127.0.0.1", hall.server.port), 30) for _ in range(MOST_BODIES)]
    for each in slow:
        each.sendall(head.encode())
    time.sleep(1.0)
    with socket.create_connection(("127.0.0.1", hall.server.port), 30) as later:
        later.sendall(head.replace("100000", "4").encode())
        later.settimeout(2.0)
        with pytest.raises(TimeoutError):
            later.recv(1)
        for each in slow:
            each.close()
        later.settimeout(30)
        assert later.recv(12) == b"HTTP/1.1 422"


def test_who_is_taken_off_a_case_while_he_sends_enrols_nobody(hall: Hall) -> None:
    with hall.server.access() as access:
        account_id = access.accounts.named("lin").account_id
    member = f"/api/v1/cases/{hall.case_id}/members/{account_id}"
    assert hall.server.ask(member, "PUT", token=hall.tokens["wang"]).status == 204
    body = (
        b'--xx\r\nContent-Disposition: form-data; name="basis"\r\n\r\nlaw\r\n'
        b'--xx\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n\xff\xd8\r\n--xx--\r\n'
    )
    head = (
        f"POST {FACES}/galleries/{hall.gallery_id}/persons HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Length: {len(body)}\r\nContent-Type: multipart/form-data; boundary=xx\r\n"
        f"Authorization: Bearer {hall.tokens['lin']}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", hall.server.port), 60) as sender:
        sender.sendall(head.encode() + body[:40])
        time.sleep(1.0)  # it is known by now who asks
        assert hall.server.ask(member, "DELETE", token=hall.tokens["wang"]).status == 204
        sender.sendall(body[40:])
        assert sender.recv(12) == b"HTTP/1.1 404"


def test_the_master_key_is_rotated_beside_the_running_server(hall: Hall) -> None:
    assert hall.probe("zhang") == "suggested"
    done = onrecord(hall.server.data, "faces", "rotate-key")
    assert done.returncode == 0, done.stderr
    assert "1 galleries" in done.stdout
    name = items(hall.ask("zhou", "/suggestions"))[0]["suggestion_id"]
    assert hall.ask("zhou", f"/suggestions/{name}/shot.jpg").status == 200
    audit = "/api/v1/audit?kinds=FaceKeysRotated"
    token = hall.tokens["audit"]
    until(lambda: b"FaceKeysRotated" in hall.server.ask(audit, token=token).body, "it is in the log")


@pytest.fixture
def dumps() -> Iterator[None]:
    """Processes that are begun here would leave a core behind."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.usefixtures("dumps")  # first: the server inherits it
def test_no_process_that_holds_a_face_leaves_its_memory_behind(hall: Hall) -> None:
    assert hall.probe("zhang") == "suggested"
    server = hall.server.process.pid
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    assert any("face_search_child" in Path(f"/proc/{each}/cmdline").read_text() for each in children)
    for each in (str(server), *children):
        limits = Path(f"/proc/{each}/limits").read_text().splitlines()
        core = next(line.split() for line in limits if line.startswith("Max core"))
        assert core[4:6] == ["0", "0"], Path(f"/proc/{each}/cmdline").read_text()
