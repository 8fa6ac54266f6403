"""The hub: one publisher's packets become fragments, made once, and go to many readers. Knows no socket and no disk.

The law: every fragment offered to a Subscription is taken from it in order, or lies in exactly one Gap that stands in
its place. A slow reader loses only its own data; the publisher never waits.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pipeline import fmp4
from pipeline.clock import Clock
from pipeline.media import (
    VIDEO_TRACK,
    Device,
    Ended,
    Fragment,
    Gap,
    GapCause,
    Item,
    Packet,
    StreamState,
    Track,
    TracksChanged,
)
from pipeline.settings import HubSettings
from pipeline.stamps import Stamps

_HOLE_S = 0.5  # a longer distance between what was and what comes is a gap, not an uneven frame rate


def _no_pressure() -> float:
    return 0.0


class Reader(Protocol):
    """Whoever wants a stream's items. Called from the event loop's thread; must be quick and must not raise."""

    def offer(self, item: Item) -> None: ...


class Timed(Protocol):
    """What a Subscription needs to know of a piece of media to bound it and to jump."""

    @property
    def is_key(self) -> bool: ...
    @property
    def pts_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def fragments(self) -> int: ...


TimedT = TypeVar("TimedT", bound=Timed)


class Subscription(Generic[TimedT]):
    """A bounded queue for one reader: when it runs over, it jumps to the newest key frame and says what was skipped.

    Bound: `max_s` of media and `max_bytes`, whichever comes first. Owned by the event loop's thread.
    """

    __slots__ = ("_gap", "_max_bytes", "_max_s", "_queue", "_size", "lost_s", "overflows")

    def __init__(self, *, max_s: float, max_bytes: int) -> None:
        self._queue: deque[TimedT | Gap] = deque()
        self._size = 0
        self._max_s = max_s
        self._max_bytes = max_bytes
        self._gap: Gap | None = None  # what is being skipped until the next key frame
        self.overflows = 0
        self.lost_s = 0.0

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def size_bytes(self) -> int:
        return self._size

    @property
    def is_skipping(self) -> bool:
        """Whether it ran over and waits for a key frame to go on with."""
        return self._gap is not None

    def widen(self, more_s: float) -> None:
        """Allow `more_s` of media more: a reader that begins far back is not slow for it."""
        self._max_s += more_s

    def offer(self, item: TimedT) -> None:
        """Queue `item`, or count it into the gap that is open."""
        if self._gap is not None:
            if not item.is_key:
                self._gap = _joined(self._gap, item)
                return
            self._close_gap(item.pts_s)
        self._queue.append(item)
        self._size += item.size_bytes
        if self._size > self._max_bytes or item.end_s - _start_s(self._queue[0]) > self._max_s:
            self._jump()

    def offer_gap(self, gap: Gap) -> None:
        """A loss that happened before this reader stands in its place; within an open gap it becomes part of it."""
        if self._gap is not None:
            self._gap = _joined(self._gap, gap)
        else:
            self._queue.append(gap)

    def take(self) -> TimedT | Gap | None:
        """The oldest item, or None when there is none."""
        if not self._queue:
            return None
        item = self._queue.popleft()
        if not isinstance(item, Gap):
            self._size -= item.size_bytes
        return item

    def finish(self) -> None:
        """Nothing more will be offered: an open gap is closed where the media ends."""
        if self._gap is not None:
            self._close_gap(self._gap.end_s)

    def _jump(self) -> None:
        """Skip all before the newest key frame; without one, all there is and what comes until the next."""
        self.overflows += 1
        keep: list[TimedT | Gap] = []
        while self._queue:
            item = self._queue.pop()
            keep.append(item)
            if not isinstance(item, Gap) and item.is_key:
                break
        size = sum(item.size_bytes for item in keep if not isinstance(item, Gap))
        is_too_long = keep[0].end_s - _start_s(keep[-1]) > self._max_s
        if not self._queue or size > self._max_bytes or is_too_long:  # keeping it would not help
            skipped, keep, size = [*self._queue, *reversed(keep)], [], 0
        else:
            skipped = list(self._queue)
        gap = Gap(_start_s(skipped[0]), _start_s(skipped[0]), GapCause.READER_SLOW)
        for item in skipped:
            gap = _joined(gap, item)
        self._gap = gap
        self._queue.clear()
        if keep:
            self._close_gap(_start_s(keep[-1]))
            self._queue.extend(reversed(keep))
        self._size = size

    def _close_gap(self, end_s: float) -> None:
        if self._gap is None:
            return
        gap = Gap(self._gap.start_s, end_s, GapCause.READER_SLOW, self._gap.fragments)
        self.lost_s += gap.lost_s
        self._queue.append(gap)
        self._gap = None


def _start_s(item: Timed | Gap) -> float:
    return item.start_s if isinstance(item, Gap) else item.pts_s


def _joined(gap: Gap, item: Timed | Gap) -> Gap:
    """`gap`, grown over `item`."""
    return Gap(gap.start_s, max(gap.end_s, item.end_s), gap.cause, gap.fragments + item.fragments)


@dataclass(slots=True)
class StreamCounts:
    """What a stream has carried; plain numbers for /metrics."""

    fragments: int = 0
    key_frames: int = 0
    media_bytes: int = 0
    gaps: int = 0
    gap_s: float = 0.0
    interruptions: int = 0
    viewer_gaps: int = 0
    """Jumps of slow viewers, of views that ended."""


class Stream:
    """One device's stream from its first packet to its end, over interruptions. Owned by the event loop's thread."""

    def __init__(
        self, stream_id: str, device: Device, settings: HubSettings, clock: Clock, late_s: float = 0.0
    ) -> None:
        """late_s: how long ago its first packet came, where that was held back."""
        self.stream_id = stream_id
        self.device = device
        self.state = StreamState.LIVE
        self.started_at = clock.utc_s() - late_s
        self.tracks: tuple[Track, ...] = ()
        self.header: TracksChanged | None = None
        self.counts = StreamCounts()
        self.viewers = 0
        self.hls_viewers = 0
        self.position_s = 0.0  # where the media ends
        self.ended_monotonic_s: float | None = None
        self.last_key: Fragment | None = None
        self.last_packet_s = clock.monotonic_s()
        self.device_offset_s: float | None = None
        """The device's wall clock less ours, by its last report; None while its connection has said nothing."""
        self._settings = settings
        self._clock = clock
        self._began_s = clock.monotonic_s() - late_s
        self._stamps = Stamps()
        self._sequence = 0
        self._cache: list[Fragment] = []
        self._cache_bytes = 0
        self._readers: list[Reader] = []
        self.pressure: Callable[[], float] = _no_pressure
        """How full the recorder's hold is, 0 to 1; set by whoever attaches the recorder."""
        self.has_video = False
        self._gap_from: float | None = None
        self._key_marks: list[tuple[float, int]] = []  # (monotonic s, bytes so far) of the last key frames

    @property
    def has_sound(self) -> bool:
        return any(track.kind == "audio" for track in self.tracks)

    @property
    def is_over(self) -> bool:
        return self.ended_monotonic_s is not None

    @property
    def repairs(self) -> int:
        return self._stamps.repairs

    @property
    def slewed_s(self) -> float:
        """How far the device's clock has drifted from ours since the stream began; fast is more than 0."""
        return self._stamps.slewed_s

    @property
    def bitrate_bps(self) -> float:
        """Media bits a second between the last key frames; 0 while there are fewer than two or nothing comes."""
        if self.state is not StreamState.LIVE or len(self._key_marks) < 2:
            return 0.0
        (start_s, before), (end_s, now) = self._key_marks[0], self._key_marks[-1]
        return (now - before) * 8 / (end_s - start_s) if end_s > start_s else 0.0

    def elapsed_s(self) -> float:
        """Seconds since the stream began, by our own clock: where live media belongs on the stream's axis."""
        return self._clock.monotonic_s() - self._began_s

    def set_tracks(self, tracks: tuple[Track, ...]) -> None:
        """From the next packet on the stream has these tracks; readers get a TracksChanged when they differ."""
        if tracks == self.tracks:
            return
        header = TracksChanged(tracks, fmp4.init_segment(tracks), fmp4.mime_type(tracks))
        self._stamps.set_tracks(tracks)
        self.tracks, self.header = tracks, header
        self.has_video = any(track.kind == "video" for track in tracks)
        self._forget_cache()
        self._tell(header)

    def publish(self, packet: Packet) -> None:
        """Make `packet` a fragment and offer it to every reader. No await, one copy.

        Raises: KeyError: the packet's track was never set.
        """
        track_id, packet_dts, packet_pts, is_key, data, captured_at = packet
        now_s = self._clock.monotonic_s()
        self.last_packet_s = now_s
        repairs = self._stamps.repairs
        dts, duration, timescale = self._stamps.stamp(track_id, packet_dts, now_s - self._began_s)
        composition = packet_pts - packet_dts
        self._sequence = sequence = self._sequence + 1
        pts_s = (dts + composition) / timescale
        duration_s = duration / timescale
        fragment = Fragment(
            sequence,
            track_id,
            is_key if track_id == VIDEO_TRACK else not self.has_video,  # all sound is decodable by itself
            dts,
            dts + composition,
            duration,
            pts_s,
            duration_s,
            captured_at,
            fmp4.fragment(sequence, track_id, dts, composition, duration, is_key, data),
        )
        if self._gap_from is not None:
            self._end_gap(pts_s, GapCause.PUBLISHER_LOST)
        elif pts_s - self.position_s > _HOLE_S and sequence > 1:
            self._gap_from = self.position_s
            jumped = self._stamps.repairs > repairs
            self._end_gap(pts_s, GapCause.TIMESTAMP_JUMP if jumped else GapCause.PUBLISHER_SILENT)
        if pts_s + duration_s > self.position_s:
            self.position_s = pts_s + duration_s
        self._keep(fragment, now_s)
        for reader in self._readers:
            reader.offer(fragment)

    def interrupt(self) -> None:
        """The publisher is gone; readers stay."""
        self.state = StreamState.RECONNECTING
        self.device_offset_s = None
        self.counts.interruptions += 1
        self._key_marks.clear()
        if self._gap_from is None and self.counts.fragments:
            self._gap_from = self.position_s

    def resume(self, late_s: float = 0.0) -> float:
        """The publisher is back: its next packet, which came `late_s` ago, lies where our clock says.

        The hole before it is a Gap.

        Returns where the media goes on, in seconds of the stream.
        """
        self.state = StreamState.LIVE
        at_s = max(self.position_s, self.elapsed_s() - late_s)
        self._stamps.begin_epoch(at_s)
        return at_s

    def end(self, state: StreamState) -> None:
        """Nothing follows. Idempotent."""
        if self.ended_monotonic_s is not None:
            return
        self.state = state
        self.ended_monotonic_s = self._clock.monotonic_s()
        self._tell(Ended())
        self._readers.clear()
        self._forget_cache()

    def attach(self, reader: Reader) -> None:
        """`reader` gets the header, if there is one, and every item from now on."""
        self._readers = [*self._readers, reader]
        if self.header is not None:
            reader.offer(self.header)

    def detach(self, reader: Reader) -> None:
        self._readers = [each for each in self._readers if each is not reader]

    def cached(self) -> Iterator[Fragment]:
        """The fragments since the newest key frame, for a reader that comes now; empty while there is none."""
        return iter(tuple(self._cache))

    def _keep(self, fragment: Fragment, now_s: float) -> None:
        size = len(fragment.data)
        counts = self.counts
        counts.fragments += 1
        counts.media_bytes += size
        if fragment.is_key:
            self._cache = [fragment]
            self._cache_bytes = size
            if fragment.track_id == VIDEO_TRACK:
                counts.key_frames += 1
                self.last_key = fragment
                self._key_marks = [*self._key_marks[-2:], (now_s, counts.media_bytes - size)]
        elif self._cache:
            self._cache.append(fragment)
            self._cache_bytes += size
            is_long = fragment.pts_s - self._cache[0].pts_s > self._settings.gop_cache_s
            if is_long or self._cache_bytes > self._settings.gop_cache_bytes:
                self._forget_cache()

    def _end_gap(self, end_s: float, cause: GapCause) -> None:
        gap = Gap(self._gap_from or 0.0, end_s, cause)
        self._gap_from = None
        self.counts.gaps += 1
        self.counts.gap_s += gap.lost_s
        self._forget_cache()
        self._tell(gap)

    def _forget_cache(self) -> None:
        self._cache = []
        self._cache_bytes = 0

    def _tell(self, item: Item) -> None:
        for reader in self._readers:
            reader.offer(item)
