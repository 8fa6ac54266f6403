"""The web's doors as fuzz targets: HTTP requests, WebSocket frames, addresses of playlists, tickets."""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import uvicorn
from uvicorn.server import ServerState

from api.http_door import http_door
from api.live_files import LiveFiles
from pipeline.errors import AccessDenied
from pipeline.live.viewer import Watcher
from tests.unit.api.test_live_socket import FakeTransport, Hall, close_codes

_Message = MutableMapping[str, object]
REQUESTS = [
    b"GET /livez?a=b HTTP/1.1\r\nHost: here\r\nAccept: */*\r\n\r\n",
    b'POST /api/v1/session HTTP/1.1\r\nHost: here\r\nContent-Length: 12\r\n\r\n{"code":"a"}GET / HTTP/1.0\r\n\r\n',
    b"PUT /ingest/k HTTP/1.1\r\nHost:a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nFLV\1\5\r\n0\r\nTrailer:x\r\n\r\n",
    b"GET /live/st_1/ws HTTP/1.1\r\nHost: here\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nExpect: 100-continue\r\n\r\n",
]
REQUEST_WORDS = [
    b"\r\n",
    b"\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
    b"%00",
    b" ",
]
FRAMES = [
    b"\x89\x83\0\0\0\0abc\x88\x82\0\0\0\0\x03\xe8", b"\x81\x85\1\2\3\4hello\x8a\x80\0\0\0\0",
    b"\1\x81\0\0\0\0a\0\x81\0\0\0\0b\x80\x80\0\0\0\0", b"\x82\xfe\1\0\0\0\0\0" + bytes(256),
]  # fmt: skip
PLAYLISTS = [
    b"/live/st_1/index.m3u8?session=SESSION&_HLS_msn=1&_HLS_part=0&_HLS_skip=YES",
    b"/live/st_1/part0.1.m4s?session=SESSION", b"/live/st_1/segment0.m4s?session=SESSION&tracks=key",
    b"/live/st_1/init0.mp4?session=SESSION", b"/live/st_1/index.m3u8?ticket=TICKET",
]  # fmt: skip
PLAYLIST_WORDS = [b"&_HLS_msn=", b"&_HLS_part=", b"999999999", b"%ff", b"..", b"session=", b"-1", b"\xc2\xb2"]


class _Transport(FakeTransport):
    """A transport that a server protocol can ask what it likes."""

    def get_write_buffer_size(self) -> int:
        return 0


class _Building:
    """A hall with its loop, made once for all inputs."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="onrecord-fuzz-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.loop = asyncio.new_event_loop()
        atexit.register(self.loop.close)
        self.hall = self.run(self._make(folder))
        config = uvicorn.Config(_application, ws="none", lifespan="off", log_config=None, access_log=False)
        config.load()
        self.config = config
        self.door = http_door(self.hall.doors.crowd)
        self.files = LiveFiles(_not_found, self.hall.doors, lambda _: [])
        self.session = ""

    def run(self, work: Awaitable["Hall"]) -> "Hall":
        return self.loop.run_until_complete(work)

    @staticmethod
    async def _make(folder: Path) -> Hall:
        hall = Hall(folder)
        hall.film(100)
        return hall

    def view(self) -> str:
        """The session of a view that goes on, so that good addresses get good answers."""
        hls, hall = self.hall.runtime.hls, self.hall
        if not hls.viewers:
            self.session = hls.begin(hall.stream, Watcher("somebody", "somebody"), "right").secret
            hall.film(120)
        return self.session


@cache
def building() -> _Building:
    return _Building()


async def _application(
    scope: _Message, receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Awaitable[None]]
) -> None:
    """Reads the body and answers."""
    assert isinstance(scope["path"], str)
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def _not_found(
    _scope: _Message, _receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Awaitable[None]]
) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})


def http(data: bytes) -> None:
    """Requests as they lie in a socket; the connection keeps less than a head, and ends in an answer or a close."""
    made = building()

    async def act() -> None:
        state = ServerState()
        door, transport = made.door(made.config, state, {}), _Transport()
        door.connection_made(transport)
        for at in range(0, len(data), 700):
            if not transport.is_closing():
                door.data_received(data[at : at + 700])
                await asyncio.sleep(0)
        door.connection_lost(None)
        await asyncio.sleep(0)
        for task in list(state.tasks):
            await task

    made.loop.run_until_complete(act())
    assert made.hall.doors.crowd.open == 0


def websocket(data: bytes) -> None:
    """What a viewer sends after the handshake: no media follows the goodbye, nobody stays a viewer."""
    made = building()

    async def act() -> None:
        socket, transport = made.hall.enter()
        for at in range(0, len(data), 50):
            if not transport.is_closing():
                socket.data_received(data[at : at + 50])
        made.hall.film(1)
        assert len(close_codes(transport)) <= 1
        socket.connection_lost(None)

    made.loop.run_until_complete(act())
    assert made.hall.runtime.live.viewers == 0


def playlist(data: bytes) -> None:
    """An address and its query, as uvicorn hands them on: an answer with a status, or the wait that ends it."""
    made = building()
    path, _, query = data.replace(b"SESSION", made.view().encode()).partition(b"?")
    statuses: list[object] = []

    async def send(message: _Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> _Message:
        return {"type": "http.disconnect"}

    async def act() -> None:
        place = unquote(path.decode("latin-1"))
        scope: _Message = {"type": "http", "method": "GET", "path": place, "query_string": query, "headers": []}
        answering = asyncio.ensure_future(made.files(scope, receive, send))
        for _ in range(4):
            await asyncio.sleep(0)
        if not answering.done():  # it waits for media that is to come
            answering.cancel()
        await asyncio.wait([answering])
        if not answering.cancelled():
            answering.result()
            assert statuses
            assert set(statuses) <= {200, 400, 401, 404}

    made.loop.run_until_complete(act())


def ticket(data: bytes) -> None:
    """A ticket that is none, told as one, and a token that is none."""
    doors = building().hall.doors
    text = data.decode("utf-8", "surrogateescape")
    assert doors.access.who(text, kind="token") is None
    try:
        doors.tickets.redeem(text, "st_1")
    except AccessDenied:
        return
    raise AssertionError("a made-up ticket opens")
