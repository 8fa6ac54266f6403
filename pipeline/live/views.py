"""Who watches live over WebSocket: feeds are made on demand, views are told, slow viewers are cut off."""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from pipeline.clock import Clock
from pipeline.events import EventSink, ViewEnded, ViewStarted
from pipeline.hub import Stream
from pipeline.live.feed import Feed, Selection
from pipeline.live.key_frames import KeyFrames
from pipeline.live.sound_only import SoundOnly
from pipeline.live.viewer import CLOSE_GOING_AWAY, CLOSE_REVOKED, CLOSE_TOO_SLOW, Viewer, Watcher, Wire
from pipeline.settings import LiveSettings

Tracks: TypeAlias = Literal["all", "key", "sound", "work"]
FOR_WORKERS: Final[tuple[Tracks, ...]] = ("sound", "work")
"""What no person watches: sound alone, and all there is for a stage that looks."""
_SELECTIONS: Final[dict[Tracks, Callable[[], Selection | None]]] = {
    "all": lambda: None, "key": KeyFrames, "sound": SoundOnly, "work": lambda: None,
}  # fmt: skip


class Live:
    """All feeds. A stream that nobody watches has none and costs nothing."""

    def __init__(self, settings: LiveSettings, clock: Clock, emit: EventSink) -> None:
        self.feeds: dict[tuple[str, Tracks], Feed] = {}
        """By stream and what it carries."""
        self.views = 0
        self.cut_off = 0
        self._settings = settings
        self._clock = clock
        self._emit = emit

    def now_s(self) -> float:
        return self._clock.monotonic_s()

    @property
    def viewers(self) -> int:
        return sum(len(feed.viewers) for (_, tracks), feed in self.feeds.items() if tracks not in FOR_WORKERS)

    @property
    def is_full(self) -> bool:
        return self.viewers >= self._settings.max_viewers

    def gaps_of(self, stream: Stream) -> int:
        """Jumps so far of the viewers that watch `stream` now."""
        return sum(viewer.gaps for feed in self.feeds.values() if feed.stream is stream for viewer in feed.viewers)

    def watch(self, stream: Stream, wire: Wire, watcher: Watcher, *, tracks: Tracks = "all") -> Viewer:
        """A view of `stream` for `wire` for `watcher`; it starts with the viewer's begin()."""
        feed = self.feeds.get((stream.stream_id, tracks))
        if feed is None:
            feed = Feed(stream, self._clock, _SELECTIONS[tracks]())
            self.feeds[stream.stream_id, tracks] = feed
            stream.attach(feed)
        return Viewer(self, feed, wire, watcher, self._settings, self.now_s())

    def join(self, viewer: Viewer) -> None:
        """See `Viewer.begin`."""
        stream = viewer.feed.stream
        viewer.feed.add(viewer)
        if not viewer.watcher.is_person:
            return
        self.views += 1
        self._emit(
            ViewStarted(
                at=self._clock.utc_s(),
                stream_id=stream.stream_id,
                view_id=viewer.view_id,
                by=viewer.watcher.by,
                by_name=viewer.watcher.name,
                why=viewer.watcher.why,
            )
        )

    def leave(self, viewer: Viewer, reason: str) -> None:
        """`viewer` watches no more. Idempotent."""
        feed = viewer.feed
        if not feed.remove(viewer):
            return
        feed.stream.counts.viewer_gaps += viewer.gaps
        if viewer.watcher.is_person:
            self._tell_end(viewer, reason)
        if not feed.viewers:
            feed.stream.detach(feed)
            self.feeds = {key: each for key, each in self.feeds.items() if each is not feed}

    def _tell_end(self, viewer: Viewer, reason: str) -> None:
        self._emit(
            ViewEnded(
                at=self._clock.utc_s(),
                stream_id=viewer.feed.stream.stream_id,
                view_id=viewer.view_id,
                by=viewer.watcher.by,
                by_name=viewer.watcher.name,
                watched_s=round(self.now_s() - viewer.started_s, 3),
                reason=reason,
            )
        )

    def sweep(self) -> None:
        """Cut off viewers that take nothing. Called a few times a second."""
        now_s = self.now_s()
        for feed in list(self.feeds.values()):
            for viewer in feed.viewers:
                if viewer.paused_s is not None and now_s - viewer.paused_s > self._settings.cut_off_s:
                    self.cut_off += 1
                    viewer.cut(CLOSE_TOO_SLOW, "took nothing for too long")

    def watched(self) -> set[tuple[str, str, bool]]:
        """By which rights which streams are watched, and whether by a person."""
        return {
            (viewer.watcher.right_id, feed.stream.stream_id, viewer.watcher.is_person)
            for feed in self.feeds.values()
            for viewer in feed.viewers
        }

    def cut_all(self, reason: str) -> None:
        """Close every viewer: nobody may watch now."""
        for feed in list(self.feeds.values()):
            for viewer in list(feed.viewers):
                viewer.cut(CLOSE_GOING_AWAY, reason)

    def cut_off_from(self, right_id: str, stream_id: str) -> None:
        """Close the views of one stream by this right: it is gone."""
        for feed in list(self.feeds.values()):
            for viewer in list(feed.viewers):
                if viewer.watcher.right_id == right_id and feed.stream.stream_id == stream_id:
                    viewer.cut(CLOSE_REVOKED, "the right to watch was withdrawn")

    def close(self) -> None:
        """The program stops."""
        self.cut_all("the server stops")
