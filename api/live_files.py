"""The LL-HLS door, below FastAPI: playlists, init segments, segments and parts of live streams.

A low-latency viewer asks about six times a second, so this is a plain ASGI layer: path, right, bytes.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias
from urllib.parse import parse_qs

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.doors import Doors
from api.permissions import Below, DoorBelow
from api.problems import problem
from cases.access import Principal
from cases.rights import reach_of
from pipeline.errors import AccessDenied, StorageError, StreamUnknown
from pipeline.hub import Stream
from pipeline.live.hls import TARGET_DURATION_S
from pipeline.live.hls_views import MOST_WAITING, HlsView
from pipeline.live.viewer import Watcher

Headers: TypeAlias = Callable[[Scope], list[tuple[bytes, bytes]]]
"""Header lines for the answer to a request."""

_PATH = re.compile(
    r"/live/([a-z0-9_]{1,64})/"
    r"(?:(index\.m3u8)|init(\d{1,9})\.mp4|segment(\d{1,9})\.m4s|part(\d{1,9})\.(\d{1,4})\.m4s)"
)
_FILES = DoorBelow("`GET /live/{stream_id}/index.m3u8` and its files", "streams.watch")
_FIRST_WAIT_S = 2.0 * TARGET_DURATION_S  # a playlist that just began has no whole segment yet
_BLOCK_S = 3.0 * TARGET_DURATION_S  # 6.2.5.2: a blocked request ends after three target durations at the latest
_PLAYLIST_TYPE = b"application/vnd.apple.mpegurl"


class LiveFiles(Below):
    """Answers what `_PATH` matches and passes everything else on.

    headers: stand on every answer of ours; it lies outside whatever adds them to those of `app`.
    """

    opens = (_FILES,)

    def __init__(self, app: ASGIApp, doors: Doors, headers: Headers) -> None:
        self.app = app
        self._doors = doors
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if found is None or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        status = 200
        try:
            kind, body = await self._answer(scope, found)
            headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        except (AccessDenied, _MayNot, StreamUnknown, StorageError, _BadQuery, _TooManyWaiting, TimeoutError) as error:
            said = _refusal(error)
            status, headers, body = said.status_code, said.raw_headers, bytes(said.body)
        await send({"type": "http.response.start", "status": status, "headers": [*headers, *self._headers(scope)]})
        await send({"type": "http.response.body", "body": body if scope["method"] == "GET" else b""})

    async def _answer(self, scope: Scope, found: re.Match[str]) -> tuple[bytes, bytes]:
        """(content type, body).

        Raises: AccessDenied, _MayNot, StreamUnknown, _BadQuery, _TooManyWaiting, TimeoutError.
        """
        query = parse_qs(scope["query_string"].decode("latin-1"))
        view = self._view(scope, found[1], query)
        playlist = view.playlist
        if found[2]:
            return _PLAYLIST_TYPE, await _playlist(view, query)
        if found[3]:
            return b"video/mp4", playlist.init(int(found[3]))
        if found[4]:
            return b"video/mp4", playlist.segment(int(found[4]))
        number, index = int(found[5]), int(found[6])
        data = playlist.part(number, index)
        if data is None:
            data = await _awaited(view, number, index)
        return b"video/mp4", data

    def _view(self, scope: Scope, stream_id: str, query: dict[str, list[str]]) -> HlsView:
        """The view this request belongs to; a first one with a right begins it.

        Raises: AccessDenied: nobody we know. _MayNot: no right. StreamUnknown: no such stream is live.
        """
        views = self._doors.runtime.hls
        secret = query.get("session", [""])[0]
        if secret:
            view = views.by_secret(secret, stream_id)
            if view is None:
                raise AccessDenied("this view is over; ask for a new ticket")
            return view
        ticket, bearer = query.get("ticket", [""])[0], _bearer(scope)
        right = hashlib.sha256(f"{stream_id} {ticket or bearer}".encode()).hexdigest()
        view = views.by_right(right, stream_id) if ticket or bearer else None
        if view is not None:
            return view
        principal, why = self._principal(stream_id, ticket, bearer)
        stream = self._living(stream_id)
        if not self._doors.live_rights.may(principal, _FILES.permission, stream):
            raise StreamUnknown("no such stream is live")
        if self._doors.runtime.outbox.is_failed:
            raise StorageError("views cannot be logged now, so none begins")
        if views.is_full:
            raise StreamUnknown("as many viewers as live.max_viewers allows")
        watcher = Watcher(principal.principal_id, principal.by, principal.name, why)
        return views.begin(stream, watcher, right)

    def _principal(self, stream_id: str, ticket: str, bearer: str) -> tuple[Principal, str]:
        """Who asks, and what for. Raises: AccessDenied, _MayNot."""
        access, why = self._doors.access, "duty"
        if bearer:
            principal = access.who(bearer, kind="token")
        else:
            found = self._doors.tickets.redeem(ticket, stream_id)
            principal, why = access.named(found.principal_id), found.why
        if principal is None:
            raise AccessDenied("this token or ticket opens nothing")
        if principal.needs or reach_of(principal, _FILES.permission) is None:
            raise _MayNot("this role may not watch, or its account is not set up yet")
        return principal, why

    def _living(self, stream_id: str) -> Stream:
        stream = self._doors.runtime.stream(stream_id)
        if stream is None or stream.ended_monotonic_s is not None:
            raise StreamUnknown("no such stream is live")
        return stream


class _MayNot(Exception):
    """Raised when somebody we know asks for what the role may not do at all."""


class _BadQuery(Exception):
    """Raised when a delivery directive breaks 6.2.5."""


class _TooManyWaiting(Exception):
    """Raised when as many requests of one viewer wait as may."""


@contextmanager
def _waiting(view: HlsView) -> Iterator[None]:
    """One of the viewer's requests is held open in here.

    Raises: _TooManyWaiting.
    """
    if view.waiting >= MOST_WAITING:
        raise _TooManyWaiting(f"{MOST_WAITING} requests of this viewer wait already")
    view.waiting += 1
    try:
        yield
    finally:
        view.waiting -= 1


def _refusal(
    error: AccessDenied | _MayNot | StreamUnknown | StorageError | _BadQuery | _TooManyWaiting | TimeoutError,
) -> Response:
    match error:
        case AccessDenied():
            return problem(401, str(error))
        case _MayNot():
            return problem(403, str(error))
        case StreamUnknown():
            return problem(404, str(error))
        case StorageError():
            return problem(503, str(error), "check the disk of the server")
        case _BadQuery():
            return problem(400, str(error))
        case _TooManyWaiting():
            return problem(429, str(error), "wait for their answers; players that share a token need a ticket each")
        case _:
            return problem(503, "nothing new came in time", "ask for the playlist again")


async def _awaited(view: HlsView, number: int, index: int) -> bytes:
    """A hinted part, once it is whole.

    Raises: StreamUnknown: the stream ended before it. _TooManyWaiting, TimeoutError.
    """
    playlist = view.playlist
    with _waiting(view), anyio.fail_after(_BLOCK_S):
        while (data := playlist.part(number, index)) is None:
            if playlist.is_ended:
                raise StreamUnknown("the stream ended before this part")
            await playlist.wait()
    return data


async def _playlist(view: HlsView, query: dict[str, list[str]]) -> bytes:
    """Raises: _BadQuery, _TooManyWaiting, TimeoutError."""
    playlist = view.playlist
    number, index = _directive(query, "_HLS_msn"), _directive(query, "_HLS_part")
    if index is not None and number is None:
        raise _BadQuery("_HLS_part needs _HLS_msn")
    if number is not None and playlist.is_too_far(number, index):
        raise _BadQuery("_HLS_msn or _HLS_part is too far ahead")

    def is_there() -> bool:
        return playlist.is_ended or (playlist.has_segment if number is None else playlist.has(number, index))

    if not is_there():
        with _waiting(view), anyio.fail_after(_FIRST_WAIT_S if number is None else _BLOCK_S):
            while not is_there():
                await playlist.wait()
    return playlist.text(b"?session=" + view.secret.encode(), skip=query.get("_HLS_skip") in (["YES"], ["v2"]))


def _directive(query: dict[str, list[str]], name: str) -> int | None:
    value = query.get(name)
    if value is None:
        return None
    if len(value) != 1 or not value[0].isascii() or not value[0].isdigit() or len(value[0]) > 9:
        raise _BadQuery(f"{name} must be one whole number")
    return int(value[0])


def _bearer(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return str(value[7:].decode("latin-1")).strip()
    return ""
