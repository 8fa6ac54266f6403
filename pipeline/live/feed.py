"""The WebSocket feed: a stream's fragments, grouped a picture at a time and framed once for all its viewers.

Knows frames and buffers, but no socket: a viewer's `Wire` is whoever owns the transport. Sound waits for the next
picture (at most 0.1 s), so that there is one message, one write and one wake-up a picture.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from pipeline.clock import Clock, rfc3339
from pipeline.hub import Stream
from pipeline.live.frames import binary_frame, text_frame
from pipeline.live.viewer import Header, Message, Viewer
from pipeline.media import VIDEO_TRACK, Ended, Fragment, Gap, Item, TracksChanged

_SOUND_GROUP_S = 0.1  # sound without a picture is sent at least this often
_TIME_EVERY_S = 1.0  # how often viewers are told which arrival belongs to which media time
_BURST_BYTES = 64 * 1024  # a newcomer's media comes in pieces, so that one that takes none is paused after a few


class Selection(Protocol):
    """What of a stream a feed carries."""

    def tracks(self, item: TracksChanged) -> TracksChanged | None:
        """The tracks that are carried; None: none of these."""
        ...

    def pick(self, fragment: Fragment) -> Fragment | None:
        """The fragment as it is carried; None: it is left out."""
        ...


class Feed:
    """One stream's messages, made while somebody watches. A Reader of the hub.

    selection: what of the stream this feed carries; None: everything.
    """

    def __init__(self, stream: Stream, clock: Clock, selection: Selection | None = None) -> None:
        self.stream = stream
        self.selection = selection
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
            if self.selection is not None:
                picked = self.selection.pick(item)
                if picked is None:
                    return
                item = picked
            pending = self._pending
            pending.append(item)
            if item.track_id == VIDEO_TRACK or item.end_s - pending[0].pts_s >= _SOUND_GROUP_S:
                self._flush()
        elif type(item) is TracksChanged:
            self._flush()
            if self.selection is not None:
                selected = self.selection.tracks(item)
                if selected is None:
                    return
                item = selected
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
        if self.selection is not None:
            cached = [picked for each in cached if (picked := self.selection.pick(each)) is not None]
        if cached:
            viewer.begin_back(self.stream.position_s - cached[0].pts_s)
        for number, piece in enumerate(_pieces(cached)):
            frame = binary_frame(b"".join([fragment.data for fragment in piece]))
            if number == 0:
                frame = self._time_frame(piece[-1]) + frame
            viewer.offer(self._message(piece, frame, is_key=number == 0))
        self._viewers = [*self._viewers, viewer]
        self.stream.viewers += viewer.watcher.is_person

    def remove(self, viewer: Viewer) -> bool:
        """Whether `viewer` was watching."""
        left = [each for each in self._viewers if each is not viewer]
        was_here = len(left) < len(self._viewers)
        self._viewers = left
        self.stream.viewers -= was_here and viewer.watcher.is_person
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
        message = self._message(pending, frame, is_key=is_key)
        self._pending = []
        self.messages += 1
        for viewer in self._viewers:
            viewer.offer(message)

    def _message(self, fragments: list[Fragment], frame: bytes, *, is_key: bool) -> Message:
        return Message(
            frame,
            self._header,
            is_key,
            min(fragment.pts_s for fragment in fragments),
            max(fragment.end_s for fragment in fragments),
            len(fragments),
        )

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


def _pieces(fragments: Iterable[Fragment]) -> Iterator[list[Fragment]]:
    """`fragments` in runs of about `_BURST_BYTES`."""
    piece: list[Fragment] = []
    size_bytes = 0
    for fragment in fragments:
        piece.append(fragment)
        size_bytes += fragment.size_bytes
        if size_bytes >= _BURST_BYTES:
            yield piece
            piece, size_bytes = [], 0
    if piece:
        yield piece
