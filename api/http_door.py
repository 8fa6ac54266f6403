"""The HTTP door below ASGI: uvicorn's protocol, held to the deadlines, sizes and numbers that uvicorn does not know.

Whoever keeps us waiting (for a request, for room to write) is closed in time, and makes way where the door is full.
"""

import asyncio
import json
import logging
import re
import socket
import struct
from http import HTTPStatus
from typing import ClassVar

import structlog
from uvicorn import Config
from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from pipeline.clock import Clock
from pipeline.descriptors import is_scarce
from pipeline.settings import ApiSettings

SWEEP_S = 0.5
CUT = "onrecord.cut"
"""Extension of the ASGI scope: a function that ends the connection with all that was not received yet."""
_MAX_HEAD_BYTES = 65_536  # of a request's line and headers, or of anything in a body that is not the body
_MAX_URL_BYTES = 8192
_MAX_WAITING_REQUESTS = 8  # sent before the answer to the first; browsers send none
_LEAST_TAKEN_BYTES = 16_384  # of an answer, in api.write_timeout_s: 13 kbit/s
_SEND_BUFFER_BYTES = 256 * 1024  # the kernel's share, so that what is taken shows soon
_SAID = "the request breaks the rules of HTTP or the limits of this server"
_ENDLESS = ("/ingest/", "/api/v1/uploads/")  # bodies of any length; their routes hold them to deadlines of their own
_PICTURES = re.compile(r"/api/v1/faces/galleries/[^/]+/persons")  # the same; read once it is known who asks

log = structlog.get_logger(__name__)


class _Refused(Exception):
    """Raised within the parser's callbacks; uvicorn then asks for the answer that `status` names."""


class Crowd:
    """All HTTP connections, and those that keep us waiting, the longest first. Owned by the event loop's thread.

    Bounds: api.max_connections.
    """

    def __init__(self, settings: ApiSettings, clock: Clock) -> None:
        self.settings = settings
        self.refused = 0
        """Requests that broke a rule or a limit."""
        self.overdue = 0
        """Connections closed at a deadline."""
        self.gave_way = 0
        """Connections closed because the door was full."""
        self._clock = clock
        self._all: set[HttpDoor] = set()
        self._waiting: dict[HttpDoor, float] = {}
        self._stalled: dict[HttpDoor, tuple[int, float]] = {}
        self._told = 0

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._all)

    def enter(self, door: "HttpDoor", descriptor: int) -> bool:
        """Whether there is room for one more; the one that waits longest makes it."""
        if len(self._all) >= self.settings.max_connections or is_scarce(descriptor):
            self.gave_way += 1
            oldest = next(iter(self._waiting), None)
            if oldest is None:
                return False
            self.leave(oldest)
            oldest.abort()
        self._all.add(door)
        self.wait_for(door)
        return True

    def leave(self, door: "HttpDoor") -> None:
        self._all.discard(door)
        self._waiting.pop(door, None)
        self._stalled.pop(door, None)

    def wait_for(self, door: "HttpDoor") -> None:
        """A request of `door` is on its way, or should be."""
        self._waiting.setdefault(door, self._clock.monotonic_s())

    def served(self, door: "HttpDoor") -> None:
        """Its request is whole, or is one without an end."""
        self._waiting.pop(door, None)

    def stall(self, door: "HttpDoor") -> None:
        """It does not take what it asked for as fast as we have it."""
        self._stalled.setdefault(door, (door.unsent_bytes, self._clock.monotonic_s()))

    def go_on(self, door: "HttpDoor") -> None:
        self._stalled.pop(door, None)

    def sweep(self) -> None:
        """Close whoever missed a deadline. Called a few times a second."""
        now_s = self._clock.monotonic_s()
        while self._waiting:
            door, since_s = next(iter(self._waiting.items()))
            if now_s - since_s <= self.settings.request_timeout_s:
                break
            del self._waiting[door]
            self.overdue += 1
            door.refuse(HTTPStatus.REQUEST_TIMEOUT)
        for door, (before, since_s) in list(self._stalled.items()):
            unsent = door.unsent_bytes
            if unsent <= before - _LEAST_TAKEN_BYTES:
                self._stalled[door] = (unsent, now_s)
            elif now_s - since_s > self.settings.write_timeout_s:
                self.leave(door)
                self.overdue += 1
                door.abort()
        if self.gave_way != self._told:
            log.warning(
                "the web door is full; whoever waits longest gives way",
                closed=self.gave_way - self._told,
                open=self.open,
                remedy="raise api.max_connections and the limit of open files (ulimit -n), or look who crowds it",
            )
            self._told = self.gave_way


class _WholeCycle(RequestResponseCycle):
    """uvicorn's request, which hands out what came of the body before it tells that the peer is gone.

    uvicorn tells only that. An encoder that sends its last pictures and closes would lose them.
    """

    _is_over = False  # the end of the body was handed out

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if message["type"] == "http.request":
            self._is_over = not message["more_body"]
        elif not self.response_complete and (self.body or not (self.more_body or self._is_over)):
            body, self.body = bytes(self.body), bytearray()
            self._is_over = not self.more_body
            return {"type": "http.request", "body": body, "more_body": self.more_body}
        return message


class HttpDoor(HttpToolsProtocol):
    """One HTTP connection; made by uvicorn, see `http_door`."""

    crowd: ClassVar[Crowd]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._loose_bytes = 0  # received since the last whole request or piece of a body
        self._body_bytes = 0
        self._is_endless = False
        self._status = HTTPStatus.BAD_REQUEST
        self._cycles: list[RequestResponseCycle] = []  # answers under way; bound: _MAX_WAITING_REQUESTS

    @property
    def unsent_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def abort(self) -> None:
        """Close at once. What still answers hears of it now: uvloop refuses writes before it says that all is over."""
        self._hang_up()
        self.transport.abort()

    def cut(self) -> None:
        """Close at once, and send nothing of what waits in the kernel either: the peer may have no more of it."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def refuse(self, status: HTTPStatus) -> None:
        """Say why, and close."""
        self._status = status
        self.send_400_response(status.phrase)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if not self.crowd.enter(self, sock.fileno() if sock is not None else 0):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._hang_up()
        self.crowd.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.crowd.wait_for(self)
        self._loose_bytes += len(data)
        super().data_received(data)
        if self._loose_bytes > _MAX_HEAD_BYTES and not self.transport.is_closing():
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._check_head()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.scope.setdefault("extensions", {})[CUT] = self.cut  # type: ignore[assignment]  # our own
            self.cycle.__class__ = _WholeCycle  # uvicorn has no other way to choose it
            self._cycles = [each for each in self._cycles if not each.response_complete] + [self.cycle]
        path = str(self.scope.get("path", ""))
        self._is_endless = path.startswith(_ENDLESS) or _PICTURES.fullmatch(path) is not None
        self._body_bytes = 0
        if self._is_endless:
            self.crowd.served(self)
        if len(self.pipeline) > _MAX_WAITING_REQUESTS:
            raise _Refused

    def on_body(self, body: bytes) -> None:
        self._loose_bytes = 0
        if not self._is_endless:
            self._body_bytes += len(body)
            if self._body_bytes > self.crowd.settings.max_body_bytes:
                self._status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                raise _Refused
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._loose_bytes = 0
        self.crowd.served(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() and self.unsent_bytes:
            self.crowd.stall(self)

    def handle_websocket_upgrade(self) -> None:
        self._loose_bytes = 0
        self.crowd.leave(self)
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.crowd.stall(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.crowd.go_on(self)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        if self.unsent_bytes:
            self.crowd.stall(self)

    def send_400_response(self, msg: str) -> None:
        """Of uvicorn, for every malformed request: with our status, and not in the middle of another answer."""
        del msg
        self.crowd.refused += 1
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            said = {"type": "about:blank", "title": self._status.phrase, "status": self._status, "detail": _SAID}
            text = json.dumps(said).encode()
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%s" % (self._status, self._status.phrase.encode(), len(text), text)
            )
        self._hang_up()
        self.transport.close()
        self.crowd.stall(self)

    def _hang_up(self) -> None:
        """uvicorn tells the newest of several answers only."""
        for cycle in self._cycles:
            cycle.disconnected = True
            cycle.message_event.set()
        self._cycles.clear()

    def _check_head(self) -> None:
        """Raises: _Refused: what servers and proxies may read in two ways (RFC 9112, 3.2 and 6.1), or too large."""
        if len(self.url) > _MAX_URL_BYTES:
            self._status = HTTPStatus.REQUEST_URI_TOO_LONG
            raise _Refused
        if sum(len(name) + len(value) for name, value in self.headers) > _MAX_HEAD_BYTES:
            self._status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _Refused
        names = [name for name, _ in self.headers]
        is_old = self.parser.get_http_version() == "1.0"
        if names.count(b"host") > 1 or (not is_old and b"host" not in names):
            raise _Refused
        if b"transfer-encoding" in names and (is_old or b"content-length" in names):
            raise _Refused


def http_door(crowd: Crowd) -> type[HttpDoor]:
    """The protocol class uvicorn makes one of for each connection."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # a stranger writes no lines: bad requests are counted
    return type("BoundHttpDoor", (HttpDoor,), {"crowd": crowd})
