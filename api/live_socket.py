"""The WebSocket door for live feeds, below ASGI: shared frames go straight to the transport.

A general ASGI send costs about 20 µs a message; a pre-framed message written to the transport about a third of it.
The `websockets` library reads what viewers send (handshake, ping, close); we only write.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qs, urlsplit

from uvicorn import Config
from uvicorn.server import ServerState
from websockets.datastructures import MultipleValuesError
from websockets.frames import CloseCode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from api.doors import Doors
from api.permissions import Below, DoorBelow
from cases.access import Principal
from cases.rights import reach_of
from pipeline.errors import AccessDenied, StorageError
from pipeline.hub import Stream
from pipeline.live.viewer import Viewer, Watcher
from pipeline.live.views import FOR_WORKERS, Tracks

_MAX_INCOMING_BYTES = 1024  # viewers have nothing to say but pong and close
_HIGH_WATER_BYTES = 256 * 1024  # about a second of a 2 Mbit/s stream; more waits in the viewer's Subscription
_SEND_BUFFER_BYTES = 256 * 1024  # the kernel's share for one viewer, so that one that never reads stays small
_WORKER_BYTES = 32 * 1024
"""Each of both for a worker, who plays nothing: of a thin stream 512 KiB are half a minute, in which nobody would know
that it is behind. So it waits in the Subscription, which has a bound in seconds."""
_CLOSE_DEADLINE_S = 2.0
_FEED = DoorBelow("`GET /live/{stream_id}/ws` (WebSocket)", "streams.watch")
_SOUND = DoorBelow("`GET /live/{stream_id}/ws?tracks=sound` (WebSocket, for workers)", "analysis.work")
_WORK = DoorBelow("`GET /live/{stream_id}/ws?tracks=work` (WebSocket, for workers)", "analysis.work")

_silent = logging.Logger("websockets")  # a path holds a ticket: nothing is logged
_silent.disabled = True


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a viewer asked for and may have."""

    stream: Stream
    watcher: Watcher
    tracks: Tracks


class _Refused(Exception):
    """Raised when a request may not have the feed it asks for."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class LiveSocket(asyncio.Protocol, Below):
    """One WebSocket connection. Made by uvicorn when a request asks for an upgrade; owned by the event loop."""

    doors: Doors
    opens = (_FEED, _SOUND, _WORK)

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, object]) -> None:
        del config, app_state
        self._connections = server_state.connections
        self._protocol = ServerProtocol(max_size=_MAX_INCOMING_BYTES, logger=_silent)
        self._transport: asyncio.Transport | None = None
        self._viewer: Viewer | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_protocol(self)  # uvicorn does it after the handshake: too late to be told of a full buffer
        self._connections.add(self)  # type: ignore[arg-type]  # uvicorn only calls its shutdown()
        _bound(self._transport, _HIGH_WATER_BYTES, _SEND_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request) and not self._protocol.eof_sent:  # bytes right behind it may have broken it
                self._begin(event)
        self._send_pending()
        if self._viewer is not None and self._protocol.state is not State.OPEN:
            self._leave("the viewer left")

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._send_pending()
        self._leave("the viewer left")

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._viewer is not None:
            self._viewer.closed("the viewer left" if error is None else "the connection broke")
        self._transport = None

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()  # who reads nothing gets no pongs either: they would pile up
        if self._viewer is not None:
            self._viewer.pause()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()
        if self._viewer is not None:
            self._viewer.resume()

    def shutdown(self) -> None:
        """uvicorn stops."""
        if self._viewer is not None:
            self._viewer.closed("the server stops")
        self.close(CloseCode.GOING_AWAY, "the server stops")

    def write(self, data: bytes) -> None:
        """Of `Wire`: queue whole frames."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self, code: int, reason: str) -> None:
        """Of `Wire`: a close frame behind what is queued; a viewer that does not answer it is cut after a moment.

        The socket stays open for the answer: closed with the peer's bytes unread, it would be reset, and what the
        peer had not read yet lost. Source: RFC 6455, section 7.1.1.
        """
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._send_pending()
        self._abort_soon()

    def _leave(self, reason: str) -> None:
        """The peer said goodbye or broke the rules: no media after the close frame, and not for ever to read it."""
        if self._viewer is not None:
            self._viewer.closed(reason)
        self._abort_soon()

    def _abort_soon(self) -> None:
        if self._transport is not None and self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(_CLOSE_DEADLINE_S, self._transport.abort)

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
            try:
                wish = self._judge(request)
            except _Refused as refusal:
                response = self._protocol.reject(refusal.status, f"{refusal}\n")
            except (ValueError, MultipleValuesError):
                response = self._protocol.reject(HTTPStatus.BAD_REQUEST, "the address or a header is malformed\n")
            except StorageError:
                response = self._protocol.reject(HTTPStatus.SERVICE_UNAVAILABLE, "rights cannot be read now\n")
            else:
                self._protocol.send_response(response)
                self._send_pending()
                if wish.tracks in FOR_WORKERS and self._transport is not None:
                    _bound(self._transport, _WORKER_BYTES, _WORKER_BYTES)
                live = self.doors.runtime.live
                self._viewer = live.watch(wish.stream, self, wish.watcher, tracks=wish.tracks)
                self._viewer.begin()
                return
        self._protocol.send_response(response)

    def _judge(self, request: Request) -> "_Wish":
        """What this request may have. Who has no right to know a stream learns nothing about it.

        Raises: _Refused. ValueError, MultipleValuesError: malformed. StorageError: the rights cannot be read.
        """
        parts = urlsplit(request.path)
        words = parts.path.strip("/").split("/")
        if len(words) != 3 or (words[0], words[2]) != ("live", "ws"):
            raise _Refused(HTTPStatus.NOT_FOUND, "no such feed")
        origin, host = request.headers.get("Origin"), request.headers.get("Host")
        if origin is not None and origin.partition("://")[2] != host:
            raise _Refused(HTTPStatus.FORBIDDEN, "only our own page may open this feed from a browser")
        query = parse_qs(parts.query)
        principal, why = self._principal(request, words[1], query.get("ticket", [""])[0])
        if principal is None:
            raise _Refused(HTTPStatus.UNAUTHORIZED, "the ticket is unknown, expired, used or for another stream")
        tracks = cast("Tracks", query.get("tracks", ["all"])[0])
        if tracks not in ("all", "key", *FOR_WORKERS):
            raise _Refused(HTTPStatus.BAD_REQUEST, "tracks is 'all', 'key' or, for workers, 'sound' or 'work'")
        permission = {"sound": _SOUND, "work": _WORK}.get(tracks, _FEED).permission
        if principal.needs or reach_of(principal, permission) is None:
            raise _Refused(HTTPStatus.FORBIDDEN, "this role may not watch")
        stream = self.doors.runtime.stream(words[1])
        if (
            stream is None
            or stream.ended_monotonic_s is not None
            or not self.doors.live_rights.may(principal, permission, stream)
        ):
            raise _Refused(HTTPStatus.NOT_FOUND, "no such stream is live")
        if tracks in FOR_WORKERS:
            return _Wish(stream, Watcher(principal.principal_id, principal.by, is_person=False), tracks)
        if self.doors.runtime.outbox.is_failed:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "views cannot be logged now, so none begins")
        if self.doors.runtime.live.is_full:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "as many viewers as live.max_viewers allows")
        watcher = Watcher(principal.principal_id, principal.by, principal.name, why)
        return _Wish(stream, watcher, tracks)

    def _principal(self, request: Request, stream_id: str, ticket: str) -> tuple[Principal | None, str]:
        """Who asks, and what for."""
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.doors.access.who(bearer.strip(), kind="token"), "duty"
        try:
            found = self.doors.tickets.redeem(ticket, stream_id)
        except AccessDenied:
            return None, ""
        return self.doors.access.named(found.principal_id), found.why


def live_socket(doors: Doors) -> type[LiveSocket]:
    """The protocol class uvicorn makes one of for each upgrade."""
    return type("BoundLiveSocket", (LiveSocket,), {"doors": doors})


def _bound(transport: asyncio.Transport, high_water_bytes: int, kernel_bytes: int) -> None:
    """What may be under way to a viewer, ours and the kernel's."""
    transport.set_write_buffer_limits(high=high_water_bytes)
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel_bytes)
