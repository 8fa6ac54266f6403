"""The WebSocket door for live feeds, below ASGI: shared frames go straight to the transport.

A general ASGI send costs about 20 µs a message; a pre-framed message written to the transport about a third of it.
The `websockets` library reads what viewers send (handshake, ping, close); we only write.
"""

import asyncio
import logging
import socket
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qs, urlsplit

from uvicorn import Config
from uvicorn.server import ServerState
from websockets.frames import CloseCode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from api.doors import Doors
from api.permissions import PERMISSIONS
from cases.access import Principal
from pipeline.errors import AccessDenied
from pipeline.hub import Stream
from pipeline.live.feed import Viewer

_MAX_INCOMING_BYTES = 1024  # viewers have nothing to say but pong and close
_HIGH_WATER_BYTES = 256 * 1024  # about a second of a 2 Mbit/s stream; more waits in the viewer's Subscription
_SEND_BUFFER_BYTES = 256 * 1024  # the kernel's share for one viewer, so that one that never reads stays small
_CLOSE_DEADLINE_S = 2.0

_silent = logging.Logger("websockets")  # a path holds a ticket: nothing is logged
_silent.disabled = True


class LiveSocket(asyncio.Protocol):
    """One WebSocket connection. Made by uvicorn when a request asks for an upgrade; owned by the event loop."""

    doors: Doors

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, object]) -> None:
        del config, app_state
        self._connections = server_state.connections
        self._protocol = ServerProtocol(max_size=_MAX_INCOMING_BYTES, logger=_silent)
        self._transport: asyncio.Transport | None = None
        self._viewer: Viewer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)  # type: ignore[arg-type]  # uvicorn only calls its shutdown()
        self._transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._begin(event)
        self._send_pending()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._send_pending()

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        if self._viewer is not None:
            self._viewer.closed("the viewer left" if error is None else "the connection broke")
        self._transport = None

    def pause_writing(self) -> None:
        if self._viewer is not None:
            self._viewer.pause()

    def resume_writing(self) -> None:
        if self._viewer is not None:
            self._viewer.resume()

    def shutdown(self) -> None:
        """uvicorn stops."""
        self.close(CloseCode.GOING_AWAY, "the server stops")

    def write(self, data: bytes) -> None:
        """Of `Wire`: queue whole frames."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self, code: int, reason: str) -> None:
        """Of `Wire`: a close frame behind what is queued; a viewer that does not read is cut after a moment."""
        if self._transport is None:
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._send_pending()
        transport = self._transport
        transport.close()
        asyncio.get_running_loop().call_later(_CLOSE_DEADLINE_S, transport.abort)

    def _send_pending(self) -> None:
        if self._transport is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()

    def _begin(self, request: Request) -> None:
        """Answer the handshake: 101 and the feed, or the status that says what is wrong."""
        response = self._protocol.accept(request)
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            refusal, stream, principal = self._judge(request)
            if refusal is None and stream is not None and principal is not None:
                self._protocol.send_response(response)
                self._send_pending()
                live = self.doors.runtime.live
                self._viewer = live.watch(stream, self, principal.principal_id)
                return
            status, text = refusal or (HTTPStatus.NOT_FOUND, "no such feed")
            response = self._protocol.reject(status, text + "\n")
        self._protocol.send_response(response)

    def _judge(self, request: Request) -> tuple[tuple[HTTPStatus, str] | None, Stream | None, Principal | None]:
        """(why not, the stream, who). Who has no right to know a stream learns nothing about it."""
        parts = urlsplit(request.path)
        words = parts.path.strip("/").split("/")
        if len(words) != 3 or (words[0], words[2]) != ("live", "ws"):
            return (HTTPStatus.NOT_FOUND, "no such feed"), None, None
        origin, host = request.headers.get("Origin"), request.headers.get("Host")
        if origin is not None and origin.partition("://")[2] != host:
            return (HTTPStatus.FORBIDDEN, "only our own page may open this feed from a browser"), None, None
        principal = self._principal(request, words[1], parse_qs(parts.query).get("ticket", [""])[0])
        if principal is None:
            return (HTTPStatus.UNAUTHORIZED, "the ticket is unknown, expired, used or for another stream"), None, None
        if principal.role not in PERMISSIONS["streams.watch"]:
            return (HTTPStatus.FORBIDDEN, "this role may not watch"), None, None
        stream = self.doors.runtime.stream(words[1])
        if stream is None or stream.ended_monotonic_s is not None:
            return (HTTPStatus.NOT_FOUND, "no such stream is live"), None, None
        if self.doors.runtime.live.is_full:
            return (HTTPStatus.SERVICE_UNAVAILABLE, "as many viewers as live.max_viewers allows"), None, None
        return None, stream, principal

    def _principal(self, request: Request, stream_id: str, ticket: str) -> Principal | None:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.doors.access.who(bearer.strip(), kind="token")
        try:
            return self.doors.access.named(self.doors.tickets.redeem(ticket, stream_id))
        except AccessDenied:
            return None


def live_socket(doors: Doors) -> type[LiveSocket]:
    """The protocol class uvicorn makes one of for each upgrade."""
    return type("BoundLiveSocket", (LiveSocket,), {"doors": doors})
