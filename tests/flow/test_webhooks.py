"""Events to a receiver that fails, lies down and comes back: none is missing, each is signed, none is a replay."""

import base64
import hashlib
import hmac
import json
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.errors import SettingsInvalid
from pipeline.settings import load
from tests.serving import Server, until

pytestmark = pytest.mark.slow

KEY = secrets.token_bytes(32)
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Receiver:
    """What it was sent, and with what it answers the next ones."""

    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    door: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        assert self.door is not None
        return int(self.door.server_address[1])

    def taken(self) -> list[dict[str, object]]:
        """The data of each event once, in the order of their first coming."""
        seen: dict[str, dict[str, object]] = {}
        for headers, body in self.got:
            seen.setdefault(headers["webhook-id"], json.loads(body)["data"])
        return list(seen.values())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = made.answers.pop(0) if made.answers else 204
            if status < 300:
                made.got.append(({name.lower(): text for name, text in self.headers.items()}, body))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"http://127.0.0.1:{made.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    made.door = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.door.serve_forever, daemon=True).start()
    yield made
    made.door.shutdown()


def rules(receiver: Receiver, **more: object) -> dict[str, str]:
    rule = {"name": "office", "url": f"http://127.0.0.1:{receiver.port}/in?key=of-the-url", "secret": SECRET,
            "kinds": ["NoteAdded"], **more}  # fmt: skip
    return {"ONRECORD_WEBHOOKS__RULES": json.dumps([rule])}


def is_genuine(headers: dict[str, str], body: bytes) -> bool:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    return headers["webhook-signature"] == expected and abs(time.time() - int(headers["webhook-timestamp"])) < 30


def test_no_event_is_missing_over_errors_redirects_and_a_kill_and_each_is_signed(
    tmp_path: Path, receiver: Receiver
) -> None:
    with Server(tmp_path / "data", settings=rules(receiver)) as server:
        case_id = server.ask("/api/v1/cases", "POST", {"number": "1", "title": "案"}).tree()["case_id"]
        where = f"/api/v1/cases/{case_id}/notes"

        def note(text: str) -> str:
            return str(server.ask(where, "POST", {"text": text}).tree()["event_id"])

        sent = [note("张三的电话 138")]
        until(lambda: len(receiver.got) == 1, "the first event")
        receiver.answers = [500, 302, 429]
        sent += [note(f"{n}") for n in range(5)]
        until(lambda: len(receiver.taken()) == 6, "those that were refused at first")
        receiver.answers = [503] * 3
        sent.append(note("before the kill"))
        until(lambda: len(receiver.answers) < 3, "a try")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        receiver.answers = []
        token = server.token
        server.start()
        server.token = token
        sent.append(note("after"))
        until(lambda: len(receiver.taken()) == len(sent), "all of them")
        assert [each["event_id"] for each in receiver.taken()] == sent, "in the order of the log"
        assert all(is_genuine(headers, body) for headers, body in receiver.got)
        assert b"138" not in b"".join(body for _, body in receiver.got), "ids and times alone"
        assert set(receiver.taken()[0]) == {
            "event_id", "seq", "kind", "at", "ends_at", "learned_at", "stream_id", "case_id", "by", "media", "case_ids",
        }  # fmt: skip
        assert receiver.taken()[0]["case_ids"] == [case_id]
        for hidden in (SECRET, "of-the-url"):
            assert hidden not in server.log
        assert "a receiver takes events again" in server.log


def test_a_whole_event_is_sent_where_that_is_asked_for_and_other_kinds_are_not(
    tmp_path: Path, receiver: Receiver
) -> None:
    with Server(tmp_path / "data", settings=rules(receiver, is_whole=True)) as server:
        case_id = server.ask("/api/v1/cases", "POST", {"number": "1", "title": "案"}).tree()["case_id"]
        server.ask(f"/api/v1/cases/{case_id}/notes", "POST", {"text": "过期酸奶"})
        until(lambda: len(receiver.got) == 1, "the note")
        assert receiver.taken()[0]["text"] == "过期酸奶"
        assert json.loads(receiver.got[0][1])["type"] == "NoteAdded"


def test_what_was_taken_before_a_kill_does_not_come_again_though_the_next_one_waits(
    tmp_path: Path, receiver: Receiver
) -> None:
    with Server(tmp_path / "data", settings=rules(receiver)) as server:
        case_id = server.ask("/api/v1/cases", "POST", {"number": "1", "title": "案"}).tree()["case_id"]
        where = f"/api/v1/cases/{case_id}/notes"
        server.ask(where, "POST", {"text": "begins"})
        until(lambda: len(receiver.got) == 1, "the rule has begun")
        receiver.answers = [500, 204, 204, *[503] * 50]
        ids = []
        for text in ("refused once", "taken", "waits"):  # the last two are read together
            ids.append(server.ask(where, "POST", {"text": text}).tree()["event_id"])
            until(lambda: len(receiver.answers) < 53, "a try")
        until(lambda: len(receiver.answers) < 50, "a try of the last one")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        receiver.answers = []
        server.start()
        until(lambda: len(receiver.taken()) == 4, "the last one")
        assert [headers["webhook-id"] for headers, _ in receiver.got][1:] == ids


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "short"}, {"secret": "whsec_AAAA"}, {"url": "ftp://x/"}, {"kinds": []}, {"name": "../x"},
        {"unknown": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_rule_that_cannot_hold_is_named_without_its_secret(receiver: Receiver, wrong: dict[str, object]) -> None:
    environment = rules(receiver, **wrong)
    with pytest.raises(SettingsInvalid) as caught:
        load(None, environment)
    assert "webhooks.rules" in str(caught.value) or "WEBHOOKS" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "of-the-url" not in str(caught.value)
