"""Media of a recording as a worker gets it: the same as live, its holes too."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipeline.analyse.source import Given, Missed, Over, Server, span
from pipeline.analyse.units import Unit
from pipeline.fmp4 import init_segment
from tests.made import VIDEO, fragment

pytestmark = pytest.mark.anyio
TIMES_S = (0.0, 0.04, 0.08, 40.0, 40.04, 40.5)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Archive(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(init_segment((VIDEO,)))
        for number, at_s in enumerate(TIMES_S):
            self.wfile.write(fragment(number, at_s, is_key=not number).data)

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@pytest.fixture
def server() -> Iterator[Server]:
    with HTTPServer(("127.0.0.1", 0), Archive) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield Server(f"http://127.0.0.1:{made.server_port}", "token")
        made.shutdown()


async def test_a_hole_of_a_recording_is_told_where_it_lies(server: Server) -> None:
    given: list[Given] = [each async for each in span(server, "rec_1", 0.0, 60.0, "work")]
    moments = [each.pts_s if isinstance(each, Unit) else each for each in given[1:]]
    assert moments == [0.0, 0.04, 0.08, Missed(0.12, 40.0, is_ours=False), 40.0, 40.04, 40.5, Over()]
