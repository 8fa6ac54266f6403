"""A server of the case page's routes on loopback whose record a test writes by hand; serves web/dist beside it.

Speaks the shapes of docs/api, so that a page of 50,000 events, a lost tail or a refused note can be had at will. What
the real server does is tested with the demo.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

Json: TypeAlias = str | int | float | bool | list["Json"] | dict[str, "Json"] | None

CASE: dict[str, Json] = {
    "case_id": "case-1",
    "number": "沪市监案〔2026〕17 号",
    "title": "某食品店涉嫌经营超过保质期的食品案",
    "party": "上海某某食品店（个体工商户）",
    "kind": "food",
    "class": "ordinary",
    "state": "open",
    "opened_at": "2026-11-24T01:00:00.000Z",
}
SESSION: dict[str, Json] = {
    "name": "指挥员", "role": "commander", "expires_at": None, "account_id": "usr_1", "login": "commander", "unit": "",
    "needs": "", "has_password": True, "has_totp": True, "asks_old_password": True,
    "permissions": dict.fromkeys(
        ("streams.watch", "cases.read", "cases.note", "cases.export", "words.correct", "recordings.play"), "unit"
    ),
}  # fmt: skip
STEPS: list[Json] = [
    {"step_id": "s1", "kind": "filing", "started_at": CASE["opened_at"], "ended_at": "2026-11-24T01:10:00.000Z"},
    {"step_id": "s2", "kind": "evidence", "started_at": "2026-11-24T01:10:00.000Z", "ended_at": None},
]
STREAMS: list[Json] = [
    {
        "stream_id": f"st-{n}",
        "device_id": f"dev-{n}",
        "device_name": f"记录仪 A-0{n}",
        "officer": "李四",
        "unit": "执法一队",
        "state": "ended",
        "started_at": CASE["opened_at"],
        "video": None,
        "audio": None,
        "viewers": 0,
        "bitrate_bps": 0,
        "last_keyframe_at": None,
    }
    for n in (1, 2)
]
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Record:
    """What the server knows. Every method may be called from any thread."""

    def __init__(self) -> None:
        self.url = ""
        self.has_cases = True
        self.refuses: tuple[int, dict[str, Json]] | None = None  # what the next requests that are no tail get
        self.loses_answers = False  # what is refused is done all the same
        self.exports: list[dict[str, Json]] = []  # what is answered when an export is asked for, one after the other
        self.note_keys: list[str] = []  # as they came, doubles too
        self.resumed_from: list[str] = []
        self._notes: set[str] = set()  # keys of those that are events
        self._events: list[dict[str, Json]] = []
        self._changed = threading.Condition()
        self._tails = 0  # tails of an earlier number end
        self._is_away = False

    def tell(self, kind: str, at_s: float, **body: Json) -> str:
        """Add an event that happened `at_s` (UTC seconds); its id."""
        with self._changed:
            seq = len(self._events)
            event: dict[str, Json] = {
                "event_id": f"e{seq}",
                "seq": seq,
                "kind": kind,
                "at": _rfc3339(at_s),
                "by": "onrecord",
            }
            self._events.append({"ends_at": None, "learned_at": event["at"], "stream_id": "st-1"} | event | body)
            self._changed.notify_all()
        return f"e{seq}"

    def note(self, key: str, text: str, of_event: str | None = None) -> None:
        """Of the case; or of the words of `of_event`, what was really said."""
        if key not in self._notes:
            kind = "NoteAdded" if of_event is None else "WordsCorrected"
            more: dict[str, Json] = {} if of_event is None else {"of_event": of_event, "start_s": 1.0, "end_s": 2.0}
            self.tell(kind, datetime.now(UTC).timestamp(), by="指挥员", text=text, stream_id=None, **more)
        self._notes.add(key)

    def drop_tails(self, *, is_away: bool = False) -> None:
        """End every tail; `is_away`: and refuse new ones until the next call."""
        with self._changed:
            self._tails += 1
            self._is_away = is_away
            self._changed.notify_all()

    def page(self, query: dict[str, list[str]]) -> dict[str, Json]:
        kinds = query["kinds"][0].split(",") if "kinds" in query else None
        words = query.get("q", [""])[0]
        with self._changed:
            found = [
                each
                for each in self._events
                if (kinds is None or each["kind"] in kinds) and words in str(each.get("text", ""))
            ]
        found.sort(
            key=lambda each: (str(each["at"]), -1 if not isinstance(each["seq"], int) else each["seq"]), reverse=True
        )
        start, limit = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        return {
            "items": list(found[start : start + limit]),
            "next_cursor": str(start + limit) if start + limit < len(found) else None,
        }

    def tail(self, last_id: str) -> Iterator[dict[str, Json] | None]:
        """Events as they are told; None: nothing new for a while."""
        with self._changed:
            self.resumed_from.append(last_id)
            mine, place = self._tails, int(last_id) + 1 if last_id else len(self._events)
        while True:
            with self._changed:
                if mine == self._tails and place == len(self._events):
                    self._changed.wait(1.0)
                if mine != self._tails or self._is_away:
                    return
                came = self._events[place:]
            yield from came
            if not came:
                yield None
            place += len(came)

    @property
    def is_away(self) -> bool:
        return self._is_away


@contextmanager
def serve(record: Record, pages: Path) -> Iterator[None]:
    """Answer for `record`, and with the files of `pages`, while the context is open."""

    class Handler(_Handler):
        told = record
        folder = pages

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    record.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        record.drop_tails()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    told: Record
    folder: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/api/v1/events":
            self._tail()
        elif not address.path.startswith("/api/"):
            self._file(address.path)
        elif self.told.refuses is not None and address.path.startswith("/api/v1/cases"):
            self._answer(*self.told.refuses)
        elif address.path == "/api/v1/exports/exp-1":
            self._answer(200, self.told.exports.pop(0))
        elif address.path == "/api/v1/exports/exp-1/file":
            self._send(200, "application/zip", b"PK")
        elif address.path == "/api/v1/cases/case-1/timeline":
            self._answer(200, self.told.page(parse_qs(address.query)))
        else:
            missing: tuple[int, dict[str, Json]] = (
                404,
                {"title": "Not Found", "status": 404, "detail": "no such thing"},
            )
            found = self._found().get(address.path)
            self._answer(*(missing if found is None else (200, found)))

    def _found(self) -> dict[str, dict[str, Json]]:
        cases: list[Json] = [CASE] if self.told.has_cases else []
        return {
            "/api/v1/session": SESSION,
            "/api/v1/streams": {"items": STREAMS, "next_cursor": None, "now": _rfc3339(0)},
            "/api/v1/cases": {"items": cases, "next_cursor": None},
            "/api/v1/cases/case-1": CASE,
            "/api/v1/cases/case-1/steps": {"items": STEPS, "next_cursor": None},
        }

    def do_POST(self) -> None:
        if self.path == "/api/v1/cases/case-1/exports":
            self._answer(*(self.told.refuses or (202, self.told.exports.pop(0))))
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        self.told.note_keys.append(key)
        is_correction = self.path == "/api/v1/cases/case-1/corrections"
        if self.told.refuses is None or self.told.loses_answers:
            self.told.note(key, body["text"], body["event_id"] if is_correction else None)
        self._answer(*(self.told.refuses or (201, {})))

    def _answer(self, status: int, body: dict[str, Json]) -> None:
        self._send(
            status, "application/json" if status < 400 else "application/problem+json", json.dumps(body).encode()
        )

    def _file(self, path: str) -> None:
        file = self.folder / (path.strip("/") or "index.html")
        if file.is_file():
            self._send(200, TYPES.get(file.suffix, "application/octet-stream"), file.read_bytes())
        else:
            self._send(404, "text/plain", b"")

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # the page asks no more
            self.wfile.write(body)

    def _tail(self) -> None:
        if self.told.is_away:
            self._answer(503, {"title": "Service Unavailable", "status": 503})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with suppress(BrokenPipeError, ConnectionResetError):  # the page was closed
            self.wfile.write(b": here\n\n")
            for event in self.told.tail(self.headers.get("Last-Event-ID", "")):
                line = (
                    ": still here\n\n"
                    if event is None
                    else f"id: {event['seq']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
                )
                self.wfile.write(line.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Nothing: a test's output is its own."""


def _rfc3339(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
