"""Where a worker's media comes from: the live feed of a stream, or a span of a recording; the same bytes from both.

The live feed is the one that viewers have (WebSocket: sound alone, or all); a recording's comes over HTTP. Both doors
ask for a service token. Knows no stage.
"""

import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from math import inf
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from pipeline.analyse.units import Piece, Unit, Units
from pipeline.errors import BoxMalformed, SourceError

_CHUNK_BYTES: Final = 64 * 1024
_TIMEOUT_S: Final = 10.0
_MOST_MESSAGES: Final = 4
_RECEIVE_BYTES: Final = 32 * 1024
_SILENCE_S: Final = 30.0
_HOLE_S: Final = 0.5
"""As pipeline/hub.py: a longer distance between what was and what comes is a gap, not an uneven frame rate."""
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Server:
    """url: http(s)://HOST:PORT. ca_file: whom to trust beside the system's authorities, or on this machine alone."""

    url: str
    token: str
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"Server({self.url!r})"

    def trust(self) -> ssl.SSLContext | None:
        """None: plain HTTP."""
        parts = urlsplit(self.url)
        if parts.scheme != "https":
            return None
        context = ssl.create_default_context()
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if parts.hostname in _LOOPBACK:  # its certificate names the machine, and nobody stands between
            context.check_hostname = False
        return context


@dataclass(frozen=True, slots=True)
class Missed:
    """The feed skipped this. is_ours: we were too slow, so it is in the recording; else there is no such media."""

    start_s: float
    end_s: float
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Over:
    """The stream ended, or the span is read to its end."""


Given: TypeAlias = Piece | Missed | Over
Tracks: TypeAlias = Literal["sound", "work"]
"""Sound alone, or all there is."""


async def live(server: Server, stream_id: str, tracks: Tracks) -> AsyncIterator[Given]:
    """From the last key frame on, until the stream ends.

    Raises: SourceError: the door is shut, or the connection broke.
    """
    url = f"ws{server.url.removeprefix('http')}/live/{stream_id}/ws?tracks={tracks}"
    units = Units()
    try:
        async with connect(
            url, ssl=server.trust(), additional_headers={"Authorization": f"Bearer {server.token}"}, max_size=None,
            compression=None, open_timeout=_TIMEOUT_S, close_timeout=1.0, proxy=None, max_queue=_MOST_MESSAGES,
        ) as socket:  # fmt: skip
            _bound(socket)
            async for message in socket:
                if isinstance(message, bytes):
                    for piece in units.feed(message):
                        yield piece
                elif (said := _said(message)) is not None:
                    yield said
                    if isinstance(said, Over):
                        return
    except (OSError, WebSocketException, BoxMalformed, TimeoutError, ValueError) as error:
        raise SourceError(f"the feed of {stream_id} broke: {type(error).__name__}") from error
    raise SourceError(f"the feed of {stream_id} was closed")


def _bound(socket: ClientConnection) -> None:
    """So little may lie here unread: who is behind is to learn it from the server, which skips to what is new."""
    if (sock := socket.transport.get_extra_info("socket")) is not None:
        sock.setsockopt(SOL_SOCKET, SO_RCVBUF, _RECEIVE_BYTES)


def _said(text: str) -> Missed | Over | None:
    """Raises: ValueError."""
    tree = json.loads(text)
    match tree.get("type"):
        case "ended":
            return Over()
        case "gap":
            return Missed(float(tree["start_s"]), float(tree["end_s"]), tree["reason"] == "reader_slow")
        case _:
            return None


async def span(server: Server, recording_id: str, start_s: float, end_s: float, tracks: Tracks) -> AsyncIterator[Given]:
    """A recording between two moments. Where it has no media, that is told as a live feed tells it.

    Raises: SourceError.
    """
    units, reached_s = Units(), inf
    path = f"/api/v1/recordings/{recording_id}/units?start={start_s}&end={end_s}&tracks={tracks}"
    try:
        with _asked(server, path) as connection:
            answer = await anyio.to_thread.run_sync(connection.getresponse)
            if answer.status != 200:
                raise SourceError(f"the media of {recording_id} is not given: {answer.status}")
            while data := await anyio.to_thread.run_sync(answer.read1, _CHUNK_BYTES):
                for piece in units.feed(data):
                    if isinstance(piece, Unit):
                        if piece.pts_s - reached_s > _HOLE_S:
                            yield Missed(reached_s, piece.pts_s, is_ours=False)
                        end_s = piece.pts_s + piece.duration_s
                        reached_s = end_s if reached_s == inf else max(reached_s, end_s)
                    yield piece
    except (OSError, HTTPException, BoxMalformed) as error:
        raise SourceError(f"the media of {recording_id} broke off: {type(error).__name__}") from error
    yield Over()


@contextmanager
def _asked(server: Server, path: str) -> Iterator[HTTPConnection]:
    parts = urlsplit(server.url)
    context = server.trust()
    host, port = parts.hostname or "", parts.port
    connection = (
        HTTPConnection(host, port, timeout=_SILENCE_S)
        if context is None
        else HTTPSConnection(host, port, timeout=_SILENCE_S, context=context)
    )
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {server.token}"})
        yield connection
    finally:
        connection.close()
