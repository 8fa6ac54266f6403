"""One viewer: what it is sent at once, what waits for it, and what it loses when it is slow. Knows no socket."""

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pipeline.hub import Subscription
from pipeline.live.frames import text_frame
from pipeline.media import Gap
from pipeline.settings import LiveSettings

if TYPE_CHECKING:
    from pipeline.live.feed import Feed

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
class Watcher:
    """Who watches. right_id: the token or session that allows it; by, name: the person, as facts say; why: what for.

    is_person: a view of a person is counted and told; a worker's is neither.
    """

    right_id: str
    by: str
    name: str = ""
    why: str = "duty"
    is_person: bool = True


class Room(Protocol):
    """Who keeps the viewers."""

    def now_s(self) -> float: ...
    def join(self, viewer: "Viewer") -> None: ...
    def leave(self, viewer: "Viewer", reason: str) -> None: ...


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

    __slots__ = (
        "_has_begun",
        "_header",
        "_held",
        "_paused",
        "_room",
        "_wire",
        "feed",
        "paused_s",
        "started_s",
        "view_id",
        "watcher",
    )  # fmt: skip

    def __init__(
        self, room: "Room", feed: "Feed", wire: Wire, watcher: Watcher, settings: LiveSettings, now_s: float
    ) -> None:
        self.view_id = "view_" + secrets.token_hex(10)
        self.watcher = watcher
        self.feed = feed
        self.started_s = now_s
        self.paused_s: float | None = None
        self._room = room
        self._wire = wire
        self._header: Header | None = None
        self._has_begun = False  # a key frame was offered; nothing is sent before one
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

    def begin_back(self, span_s: float) -> None:
        """The first media is `span_s` old by nature: without this a long group of pictures would make a gap at once."""
        self._held.widen(span_s)

    def begin(self) -> None:
        """Take part in the feed from now on. The owner of the transport calls it once it can be paused."""
        self._room.join(self)

    def offer(self, message: Message) -> None:
        if not self._has_begun:
            if not message.is_key:
                return
            self._has_begun = True
        if self._paused or self._held.is_skipping:  # what was skipped is told first, at the key frame that ends it
            self._held.offer(message)
            self._drain()
        else:
            self._send(message)

    def offer_gap(self, gap: Gap) -> None:
        if not self._has_begun:
            return
        if self._paused or self._held.is_skipping:
            self._held.offer_gap(gap)
        else:
            self._send(gap)

    def end(self) -> None:
        """The stream is over: what is held goes out at once, as nothing will follow that could make it more."""
        self._held.finish()
        while (item := self._held.take()) is not None:
            self._send(item)
        self._wire.write(text_frame({"type": "ended"}))
        self._wire.close(CLOSE_NORMAL, "the stream ended")

    def cut(self, code: int, reason: str) -> None:
        """Close this viewer from our side."""
        self._room.leave(self, reason)
        self._wire.close(code, reason)

    def pause(self) -> None:
        self._paused = True
        self.paused_s = self._room.now_s()

    def resume(self) -> None:
        self._paused = False
        self.paused_s = None
        self._drain()

    def closed(self, reason: str) -> None:
        """The connection is gone. Idempotent."""
        self._room.leave(self, reason)

    def _drain(self) -> None:
        while not self._paused and (item := self._held.take()) is not None:
            self._send(item)

    def _send(self, item: Message | Gap) -> None:
        if isinstance(item, Gap):
            if self._header is not None:  # nothing is lost for one that has seen nothing yet
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
