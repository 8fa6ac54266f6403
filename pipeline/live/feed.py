"""The WebSocket feed: a stream's fragments, grouped a picture at a time and framed once for all its viewers.

Knows frames and buffers, but no socket: a viewer's `Wire` is whoever owns the transport. Sound waits for the next
picture (at most 0.1 s), so that there is one message, one write and one wake-up a picture.
"""

import secrets
from dataclasses import dataclass
from typing import Protocol

from pipeline.clock import Clock, rfc3339
from pipeline.events import EventSink, ViewEnded, ViewStarted
from pipeline.hub import Stream, Subscription
from pipeline.live.frames import binary_frame, text_frame
from pipeline.media import VIDEO_TRACK, Ended, Fragment, Gap, Item, TracksChanged
from pipeline.settings import LiveSettings

_SOUND_GROUP_S = 0.1  # sound without a picture is sent at least this often
_TIME_EVERY_S = 1.0  # how often viewers are told which arrival belongs to which media time

CLOSE_NORMAL = 1000
CLOSE_GOING_AWAY = 1001
CLOSE_REVOKED = 4401
CLOSE_TOO_SLOW = 4408


class Wire(Protocol):
    """A viewer's connection."""

    def write(self, data: bytes) -> None:
        """Queue bytes for sending; must not block."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and close."""
        ...


@dataclass(frozen=True, slots=True)
class Header:
    """What a player needs before media: the `tracks` text and the init segment, framed."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """Some fragments as one framed binary message, shared by every viewer."""

    frame: bytes
    header: Header
    is_key: bool
    pts_s: float
    end_s: float
    fragments: int

    @property
    def size_bytes(self) -> int:
        return len(self.frame)


class Viewer:
    """One viewer of one stream. What its connection does not take waits in a bounded Subscription.

    The owner of the transport calls pause() when its buffer is full, resume() when it has room, closed() at the end.
    """

    __slots__ = ("_header", "_held", "_live", "_paused", "_wire", "by", "feed", "paused_s", "started_s", "view_id")

    def __init__(self, live: "Live", feed: "Feed", wire: Wire, by: str, settings: LiveSettings, now_s: float) -> None:
        self.view_id = "view_" + secrets.token_hex(10)
        self.by = by
        self.feed = feed
        self.started_s = now_s
        self.paused_s: float | None = None
        self._live = live
        self._wire = wire
        self._header: Header | None = None
        self._paused = False
        self._held: Subscription[Message] = Subscription(
            max_s=settings.viewer_buffer_s, max_bytes=settings.viewer_buffer_bytes
        )

    @property
    def gaps(self) -> int:
        return self._held.overflows

    @property
    def held_bytes(self) -> int:
        return self._held.size_bytes

    def start(self, burst: bytes, header: Header) -> None:
        """The first bytes: header and everything since the newest key frame, in one write."""
        self._header = header
        self._wire.write(burst)

    def offer(self, message: Message) -> None:
        if self._paused or self._held:
            self._held.offer(message)
        elif message.header is self._header:
            self._wire.write(message.frame)
        elif self._header is not None or message.is_key:
            self._header = message.header
            self._wire.write(message.header.frame + message.frame)

    def offer_gap(self, gap: Gap) -> None:
        if self._paused or self._held:
            self._held.offer_gap(gap)
        elif self._header is not None:
            self._wire.write(_gap_frame(gap))

    def end(self) -> None:
        """The stream is over."""
        self._held.finish()
        self._paused = False
        self._drain()
        self._wire.write(text_frame({"type": "ended"}))
        self._wire.close(CLOSE_NORMAL, "the stream ended")

    def cut(self, code: int, reason: str) -> None:
        """Close this viewer from our side."""
        self._live.leave(self, reason)
        self._wire.close(code, reason)

    def pause(self) -> None:
        self._paused = True
        self.paused_s = self._live.now_s()

    def resume(self) -> None:
        self._paused = False
        self.paused_s = None
        self._drain()

    def closed(self, reason: str) -> None:
        """The connection is gone. Idempotent."""
        self._live.leave(self, reason)

    def _drain(self) -> None:
        while not self._paused:
            item = self._held.take()
            if item is None:
                return
            if isinstance(item, Gap):
                self._wire.write(_gap_frame(item))
            elif item.header is self._header:
                self._wire.write(item.frame)
            else:
                self._header = item.header
                self._wire.write(item.header.frame + item.frame)


def _gap_frame(gap: Gap) -> bytes:
    return text_frame(
        {
            "type": "gap",
            "lost_s": round(gap.lost_s, 3),
            "reason": gap.cause.value,
            "start_s": round(gap.start_s, 3),
            "end_s": round(gap.end_s, 3),
        }
    )


class Feed:
    """One stream's messages, made while somebody watches. A Reader of the hub."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self.stream = stream
        self.messages = 0
        self.is_over = False
        self._clock = clock
        self._viewers: list[Viewer] = []
        self._pending: list[Fragment] = []
        self._header = Header(b"")
        self._has_video = False
        self._time_told_s = -_TIME_EVERY_S

    @property
    def viewers(self) -> list[Viewer]:
        return self._viewers

    def offer(self, item: Item) -> None:
        """From the hub; called in the event loop's thread."""
        if type(item) is Fragment:
            pending = self._pending
            pending.append(item)
            if item.track_id == VIDEO_TRACK or item.end_s - pending[0].pts_s >= _SOUND_GROUP_S:
                self._flush()
        elif type(item) is TracksChanged:
            self._flush()
            self._header = self._frame_header(item)
            self._has_video = any(track.kind == "video" for track in item.tracks)
        elif type(item) is Gap:
            self._flush()
            for viewer in self._viewers:
                viewer.offer_gap(item)
        elif type(item) is Ended:
            self._flush()
            self.is_over = True
            for viewer in list(self._viewers):
                viewer.end()

    def add(self, viewer: Viewer) -> None:
        """`viewer` gets everything since the newest key frame at once, and every message from now on."""
        self._flush()
        cached = list(self.stream.cached())
        if cached:
            media = binary_frame(b"".join(fragment.data for fragment in cached))
            viewer.start(self._header.frame + self._time_frame(cached[-1]) + media, self._header)
        self._viewers = [*self._viewers, viewer]
        self.stream.viewers = len(self._viewers)

    def remove(self, viewer: Viewer) -> bool:
        """Whether `viewer` was watching."""
        left = [each for each in self._viewers if each is not viewer]
        was_here = len(left) < len(self._viewers)
        self._viewers = left
        self.stream.viewers = len(left)
        return was_here

    def _flush(self) -> None:
        pending = self._pending
        if not pending:
            return
        last = pending[-1]
        is_key = last.is_key or (not self._has_video and pending[0].is_key)
        frame = binary_frame(b"".join([fragment.data for fragment in pending]))
        if last.end_s - self._time_told_s >= _TIME_EVERY_S:
            self._time_told_s = last.end_s
            frame = self._time_frame(last) + frame
        message = Message(
            frame,
            self._header,
            is_key,
            min(fragment.pts_s for fragment in pending),
            max(fragment.end_s for fragment in pending),
            len(pending),
        )
        self._pending = []
        self.messages += 1
        for viewer in self._viewers:
            viewer.offer(message)

    def _frame_header(self, tracks: TracksChanged) -> Header:
        text = text_frame(
            {
                "type": "tracks",
                "mime": tracks.mime,
                "stream_id": self.stream.stream_id,
                "started_at": rfc3339(self.stream.started_at),
            }
        )
        return Header(text + binary_frame(tracks.init))

    def _time_frame(self, fragment: Fragment) -> bytes:
        return text_frame(
            {
                "type": "time",
                "pts_s": round(fragment.pts_s, 4),
                "captured_at": rfc3339(fragment.captured_at),
                "sent_at": rfc3339(self._clock.utc_s()),
            }
        )


class Live:
    """All feeds. A stream that nobody watches has none and costs nothing."""

    def __init__(self, settings: LiveSettings, clock: Clock, emit: EventSink) -> None:
        self.feeds: dict[str, Feed] = {}
        self.views = 0
        self.cut_off = 0
        self.viewer_gaps = 0
        self._settings = settings
        self._clock = clock
        self._emit = emit

    def now_s(self) -> float:
        return self._clock.monotonic_s()

    @property
    def viewers(self) -> int:
        return sum(len(feed.viewers) for feed in self.feeds.values())

    @property
    def is_full(self) -> bool:
        return self.viewers >= self._settings.max_viewers

    def watch(self, stream: Stream, wire: Wire, by: str) -> Viewer:
        """`wire` watches `stream` from now on, on behalf of `by`."""
        feed = self.feeds.get(stream.stream_id)
        if feed is None:
            feed = self.feeds[stream.stream_id] = Feed(stream, self._clock)
            stream.attach(feed)
        viewer = Viewer(self, feed, wire, by, self._settings, self.now_s())
        feed.add(viewer)
        self.views += 1
        self._emit(ViewStarted(at=self._clock.utc_s(), stream_id=stream.stream_id, view_id=viewer.view_id, by=by))
        return viewer

    def leave(self, viewer: Viewer, reason: str) -> None:
        """`viewer` watches no more. Idempotent."""
        feed = viewer.feed
        if not feed.remove(viewer):
            return
        self.viewer_gaps += viewer.gaps
        self._emit(
            ViewEnded(
                at=self._clock.utc_s(),
                stream_id=feed.stream.stream_id,
                view_id=viewer.view_id,
                by=viewer.by,
                watched_s=round(self.now_s() - viewer.started_s, 3),
                reason=reason,
            )
        )
        if not feed.viewers:
            feed.stream.detach(feed)
            self.feeds.pop(feed.stream.stream_id, None)

    def sweep(self) -> None:
        """Cut off viewers that take nothing. Called a few times a second."""
        now_s = self.now_s()
        for feed in list(self.feeds.values()):
            for viewer in feed.viewers:
                if viewer.paused_s is not None and now_s - viewer.paused_s > self._settings.cut_off_s:
                    self.cut_off += 1
                    viewer.cut(CLOSE_TOO_SLOW, "took nothing for too long")

    def cut_all_of(self, by: str) -> None:
        """Close every view of `by`: their right to watch is gone."""
        for feed in list(self.feeds.values()):
            for viewer in feed.viewers:
                if viewer.by == by:
                    viewer.cut(CLOSE_REVOKED, "the right to watch was withdrawn")

    def close(self) -> None:
        """Close every viewer: the program stops."""
        for feed in list(self.feeds.values()):
            for viewer in list(feed.viewers):
                viewer.cut(CLOSE_GOING_AWAY, "the server stops")
