"""Who watches by LL-HLS: a view begins with a right, goes on while it is asked for, and ends when nobody asks.

HLS viewers have no connection to close, so a view ends after IDLE_S without a request. A stream that nobody watches
this way has no playlist and costs nothing. Knows no HTTP.
"""

import secrets
from dataclasses import dataclass

from pipeline.clock import Clock
from pipeline.events import EventSink, ViewEnded, ViewStarted
from pipeline.hub import Stream
from pipeline.live.hls import Playlist
from pipeline.live.viewer import Watcher

MOST_WAITING = 8  # of a view's requests: a playlist and a part at a time, and again after a broken connection
IDLE_S = 15.0  # a plain HLS player asks every target duration of 6 s, a low-latency one three times a second


@dataclass(slots=True)
class HlsView:
    """One viewer of one stream.

    secret: stands in the URIs of its playlist and opens nothing else. waiting: its requests that are held open for
    media that is to come. Bound: MOST_WAITING.
    """

    view_id: str
    secret: str
    watcher: Watcher
    playlist: Playlist
    started_s: float
    asked_s: float
    waiting: int = 0


class HlsViews:
    """All views by HLS. Bound: max_views."""

    def __init__(self, max_views: int, clock: Clock, emit: EventSink) -> None:
        self.views = 0
        self._max_views = max_views
        self._clock = clock
        self._emit = emit
        self._playlists: dict[str, Playlist] = {}
        self._by_secret: dict[str, HlsView] = {}
        self._by_right: dict[str, HlsView] = {}

    @property
    def viewers(self) -> int:
        return len(self._by_secret)

    @property
    def is_full(self) -> bool:
        return len(self._by_secret) >= self._max_views

    def watched(self) -> set[tuple[str, str]]:
        """By which rights which streams are watched."""
        return {(view.watcher.right_id, view.playlist.stream.stream_id) for view in self._by_secret.values()}

    def begin(self, stream: Stream, watcher: Watcher, right: str) -> HlsView:
        """A view of `stream` for `watcher`. right: the ticket or token it began with; asking again continues it."""
        playlist = self._playlists.get(stream.stream_id)
        if playlist is None:
            playlist = self._playlists[stream.stream_id] = Playlist(stream)
        now_s = self._clock.monotonic_s()
        view = HlsView("view_" + secrets.token_hex(10), secrets.token_urlsafe(18), watcher, playlist, now_s, now_s)
        self._by_secret[view.secret] = self._by_right[right] = view
        self.views += 1
        stream.hls_viewers += 1
        self._emit(
            ViewStarted(
                at=self._clock.utc_s(), stream_id=stream.stream_id, view_id=view.view_id, by=watcher.by,
                by_name=watcher.name, why=watcher.why,
            )
        )  # fmt: skip
        return view

    def by_secret(self, secret: str, stream_id: str) -> HlsView | None:
        """The view whose playlist this secret came from, if it is of this stream."""
        return self._asked(self._by_secret.get(secret), stream_id)

    def by_right(self, right: str, stream_id: str) -> HlsView | None:
        """The view that began with this ticket or token, if it is of this stream."""
        return self._asked(self._by_right.get(right), stream_id)

    def sweep(self) -> None:
        """End the views nobody asks for. Called a few times a second."""
        now_s = self._clock.monotonic_s()
        for view in list(self._by_secret.values()):
            if now_s - view.asked_s > IDLE_S:
                self._end(view, "asked no more")

    def cut_all(self, reason: str) -> None:
        """End every view: nobody may watch now."""
        for view in list(self._by_secret.values()):
            self._end(view, reason)

    def cut_off_from(self, right_id: str, stream_id: str) -> None:
        """End the views of one stream by this right: it is gone."""
        for view in list(self._by_secret.values()):
            if view.watcher.right_id == right_id and view.playlist.stream.stream_id == stream_id:
                self._end(view, "the right to watch was withdrawn")

    def close(self) -> None:
        self.cut_all("the server stops")

    def _asked(self, view: HlsView | None, stream_id: str) -> HlsView | None:
        if view is None or view.playlist.stream.stream_id != stream_id:
            return None
        view.asked_s = self._clock.monotonic_s()
        return view

    def _end(self, view: HlsView, reason: str) -> None:
        del self._by_secret[view.secret]
        self._by_right = {right: each for right, each in self._by_right.items() if each is not view}
        stream = view.playlist.stream
        stream.hls_viewers -= 1
        if not stream.hls_viewers:
            stream.detach(view.playlist)
            self._playlists.pop(stream.stream_id, None)
        self._emit(
            ViewEnded(
                at=self._clock.utc_s(),
                stream_id=stream.stream_id,
                view_id=view.view_id,
                by=view.watcher.by,
                by_name=view.watcher.name,
                watched_s=round(view.asked_s - view.started_s, 3),
                reason=reason,
            )
        )
