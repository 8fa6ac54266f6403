"""What a worker asks about faces, over a real connection: kept, begun anew where it broke, and nothing guessed."""

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.analyse.probing import Probe, Prober, Watched
from pipeline.analyse.source import Server
from pipeline.errors import SourceError

PROBE = Probe(
    "st_1", "rec_1", "live:st_1:faces", 7, True, 1.0004, 2.5, 3, "made@1", "finds@1", 0.81234, b"\0\0\x80?" * 2, b"\xff"
)


@dataclass
class Desk:
    """answers: (status, body), one after the other; the last one stays. closes: after each answer, unsaid."""

    answers: list[tuple[int, bytes]] = field(default_factory=list)
    closes: bool = False
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @contextlib.contextmanager
    def running(self) -> Iterator["Desk"]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                self.answer()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                outer.asked.append((self.path, self.headers.get("Authorization", ""), body))
                status, raw = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)
                self.close_connection = outer.closes

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def prober(self) -> Prober:
        return Prober(Server(f"http://127.0.0.1:{self.port}", "secret"))


def test_both_questions_are_asked_over_one_connection_with_the_token() -> None:
    with Desk(
        [(200, b'{"watching": true, "revision": 4, "why": ""}'), (200, b'{"answer": "near", "until": ""}')]
    ).running() as desk:
        prober = desk.prober
        assert prober.watching("st 1/x", "made@1") == Watched(True, 4)
        assert prober.probe(PROBE) == "near"
        prober.close()
        assert desk.connections == 1
        assert [path for path, _, _ in desk.asked] == [
            "/api/v1/faces/watching?stream_id=st+1%2Fx&model=made%401", "/api/v1/faces/probes",
        ]  # fmt: skip
        assert {bearer for _, bearer, _ in desk.asked} == {"Bearer secret"}
        tree = json.loads(desk.asked[1][2])
        assert base64.b64decode(tree["vector"]) == PROBE.vector
        assert base64.b64decode(tree["shot"]) == b"\xff"
        assert (tree["track"], tree["first"], tree["start_s"], tree["quality"]) == (7, True, 1.0, 0.8123)


def test_a_connection_that_was_closed_meanwhile_is_begun_anew() -> None:
    with Desk([(200, b'{"watching": false, "revision": 1}')], closes=True).running() as desk:
        prober = desk.prober
        for _ in range(3):
            assert prober.watching("st_1", "made@1") == Watched(False, 1)
        assert desk.connections == 3


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b"{}"), (503, b"{}"), (422, b'{"answer": "near"}'), (200, b"nonsense"), (200, b"[]"),
        (200, b'{"watching": "yes", "revision": 1}'), (200, b'{"watching": true}'), (200, b"x" * 100_000),
    ],
)  # fmt: skip
def test_whatever_is_no_clear_answer_is_none(status: int, body: bytes) -> None:
    with Desk([(status, body)]).running() as desk:
        prober = desk.prober
        with pytest.raises(SourceError):
            prober.watching("st_1", "made@1")
        with pytest.raises(SourceError):
            prober.probe(PROBE)
        prober.close()


def test_an_answer_of_another_release_is_none() -> None:
    with Desk([(200, b'{"answer": "certainly"}')]).running() as desk, pytest.raises(SourceError):
        desk.prober.probe(PROBE)


def test_nobody_there_is_said_without_anything_of_the_face() -> None:
    with pytest.raises(SourceError) as told:
        Prober(Server("http://127.0.0.1:1", "secret")).probe(PROBE)
    assert "secret" not in str(told.value)
    assert "vector" not in repr(PROBE)
    assert "shot" not in repr(PROBE)
