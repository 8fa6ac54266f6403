"""Low-Latency HLS of one stream: the hub's fragments grouped into parts and segments, and the playlist over them.

Nothing is stored twice: a part is a list of references to the fragments the WebSocket viewers and the recorder get; its
bytes are joined when somebody asks. Knows no HTTP.
Source: draft-pantos-hls-rfc8216bis (section numbers in the comments are of -17; the newest seen is -20, February 2026).
"""

from collections import deque
from dataclasses import dataclass, field
from math import ceil, floor

import anyio

from pipeline.clock import rfc3339
from pipeline.errors import StreamUnknown
from pipeline.hub import Stream
from pipeline.media import VIDEO_TRACK, Ended, Fragment, Gap, Item, TracksChanged

PART_TARGET_S = 0.34  # eight pictures at 25 a second; the hold-back of three parts keeps a viewer about 1.3 s behind
FULL_PART = 0.85  # 4.4.4.9: of the part target; only a segment's last part may be shorter
_ADVANCE_S = 3.0  # 6.2.5.2: the advance part limit, for parts shorter than a second
SEGMENT_S = 1.9  # a segment ends at the first key frame after this: of the usual 2 s, at the next one
TARGET_DURATION_S = 6  # and without one here; 4.4.3.1: no segment may round to more, and it never changes
_KEEP_SEGMENTS = 7  # of which the parts of the newest three are listed (4.4.4.9: parts near the edge only)
_PARTS_OF_SEGMENTS = 3
_SKIP_UNTIL_S = 6 * TARGET_DURATION_S  # 4.4.3.8: at least six times the target duration
_QUERY = b"\0"  # stands for a viewer's own query where the playlist was written once for all of them
_JOINED_PARTS = 2  # of about 80 KB: the newest, which every viewer asks for at once, and the one before a segment's end


@dataclass(slots=True)
class Part:
    """Some fragments that are sent together. Its times are those of its pictures (its sounds where there are none).

    start_s: None until the first of them. starts_with_key: a player may begin here.
    """

    start_s: float | None = None
    duration_s: float = 0.0
    starts_with_key: bool = False
    fragments: list[Fragment] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        return b"".join([fragment.data for fragment in self.fragments])


@dataclass(slots=True)
class Segment:
    """Whole parts in a row. init_number: which init segment belongs to it."""

    number: int
    init_number: int
    captured_at: float
    is_discontinuous: bool
    parts: list[Part] = field(default_factory=list)
    is_closed: bool = False

    @property
    def duration_s(self) -> float:
        return sum(part.duration_s for part in self.parts)


def part_target_s(picture_s: float) -> float:
    """The part target for pictures of this length, such that whole pictures fill a part as far as 4.4.4.9 asks.

    At 8 pictures a second PART_TARGET_S would hold two of them, which is too little: the target becomes three.
    """
    pictures = floor(PART_TARGET_S / picture_s)
    if pictures * picture_s >= FULL_PART * PART_TARGET_S:
        return PART_TARGET_S
    return ceil((pictures + 1) * picture_s * 1000 + 1) / 1000


class Playlist:
    """The live window of one stream. A Reader of the hub; owned by the event loop's thread.

    Bound: _KEEP_SEGMENTS segments of at most TARGET_DURATION_S each.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.is_ended = False
        self.part_target_s = PART_TARGET_S
        """Set by the pictures that are there at the beginning, then never changed."""
        self._inits: dict[int, bytes] = {}
        self._init_number = -1
        self._segments: deque[Segment] = deque()
        self._part = Part()
        self._next_number = 0
        self._discontinuities = 0  # that left the window
        self._is_discontinuous = False
        self._timescales: dict[int, int] = {}
        self._gop_pictures = self._since_key = 0
        """How many pictures the last whole group had, and this one has so far."""
        self._picture_s = 0.0
        self._changed = anyio.Event()
        self._written: dict[bool, bytes] = {}
        """The playlist of now without and with what a delta update leaves out."""
        self._joined: deque[tuple[Part, bytes]] = deque(maxlen=_JOINED_PARTS)
        for fragment in self._join():
            self._take(fragment)

    def _join(self) -> list[Fragment]:
        cached = list(self.stream.cached())
        shown_s = [fragment.pts_s for fragment in cached if fragment.track_id == VIDEO_TRACK]
        if len(shown_s) > 1:
            self.part_target_s = part_target_s((max(shown_s) - min(shown_s)) / (len(shown_s) - 1))
        self.stream.attach(self)
        return cached

    def offer(self, item: Item) -> None:
        """From the hub."""
        if type(item) is Fragment:
            self._take(item)
        elif type(item) is TracksChanged:
            self._close_segment()
            self._is_discontinuous = self._init_number >= 0
            self._init_number += 1
            self._inits[self._init_number] = item.init
            self._timescales = {track.track_id: track.timescale for track in item.tracks}
        elif type(item) is Gap:
            self._close_segment()
            self._is_discontinuous = True
        elif type(item) is Ended:
            self._close_segment()
            self.is_ended = True
            self._tell()

    def init(self, number: int) -> bytes:
        """Raises: StreamUnknown: it is none of ours."""
        if number not in self._inits:
            raise StreamUnknown("no such init segment")
        return self._inits[number]

    def segment(self, number: int) -> bytes:
        """The bytes of a closed segment.

        Raises: StreamUnknown: it left the window or is not closed.
        """
        for segment in self._segments:
            if segment.number == number and segment.is_closed:
                return b"".join([part.data for part in segment.parts])
        raise StreamUnknown("this segment is not, or no longer, in the playlist")

    def part(self, number: int, index: int) -> bytes | None:
        """The bytes of a part; None when it is the one that comes next (6.2.6: a hinted part is waited for).

        Raises: StreamUnknown: it left the window, or lies beyond the hint.
        """
        for segment in self._segments:
            if segment.number == number:
                if index < len(segment.parts):
                    return self._bytes_of(segment.parts[index])
                if not segment.is_closed and index == len(segment.parts):
                    return None
        if (number, index) == self._hint():
            return None
        raise StreamUnknown("this part is not, or no longer, in the playlist")

    def _bytes_of(self, part: Part) -> bytes:
        for known, data in self._joined:
            if known is part:
                return data
        data = part.data
        self._joined.append((part, data))
        return data

    @property
    def has_segment(self) -> bool:
        """Whether a player that knows no parts could begin."""
        return bool(self._segments) and self._segments[0].is_closed

    def has(self, number: int, index: int | None) -> bool:
        """Whether segment `number` (its part `index` when given) is in the playlist. Source: 6.2.5.2."""
        newest = self._segments[-1] if self._segments else None
        if newest is None:
            return False
        if index is None:
            return number < newest.number or (number == newest.number and newest.is_closed)
        if number == newest.number:
            return index < len(newest.parts)
        if number == newest.number - 1 and not newest.parts and len(self._segments) > 1:
            # 6.2.5.2: beyond the last part of a closed segment means the next segment's first
            return index < len(self._segments[-2].parts)
        return number < newest.number

    def is_too_far(self, number: int, index: int | None) -> bool:
        """6.2.5.2: a client that asks for more than two segments ahead, or three seconds of parts, gets 400."""
        newest = self._next_number - 1
        if index is not None and number == newest and self._open is not None:
            return index >= len(self._segments[-1].parts) + ceil(_ADVANCE_S / self.part_target_s)
        return number > newest + 2

    async def wait(self) -> None:
        """Until something changes."""
        await self._changed.wait()

    def text(self, query: bytes, *, skip: bool) -> bytes:
        """The playlist. query: is appended to every URI (the viewer's session). skip: a delta update is wanted."""
        written = self._written.get(skip)
        if written is None:
            written = self._written[skip] = self._write(_QUERY.decode(), skip=skip).encode()
        return written.replace(_QUERY, query)

    def _write(self, query: str, *, skip: bool) -> str:
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            f"#EXT-X-TARGETDURATION:{TARGET_DURATION_S}",
            self._server_control(),
            f"#EXT-X-PART-INF:PART-TARGET={self.part_target_s:.3f}",
            f"#EXT-X-MEDIA-SEQUENCE:{self._segments[0].number if self._segments else 0}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{self._discontinuities}",
        ]
        skipped = self._skippable() if skip else 0
        if skipped:
            lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
        init_number = -1 if not skipped else self._segments[skipped - 1].init_number
        for place, segment in enumerate(self._segments):
            if place < skipped:
                continue
            if segment.is_discontinuous:
                lines.append("#EXT-X-DISCONTINUITY")
            if segment.init_number != init_number:
                init_number = segment.init_number
                lines.append(f'#EXT-X-MAP:URI="init{init_number}.mp4{query}"')
            if segment.parts:
                lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{rfc3339(segment.captured_at)}")
            if place >= len(self._segments) - _PARTS_OF_SEGMENTS:
                lines += [self._part_line(segment, index, query) for index in range(len(segment.parts))]
            if segment.is_closed:
                lines += [f"#EXTINF:{segment.duration_s:.5f},", f"segment{segment.number}.m4s{query}"]
        if self.is_ended:
            lines.append("#EXT-X-ENDLIST")
        elif self._segments:
            number, index = self._hint()
            lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part{number}.{index}.m4s{query}"')
        return "\n".join(lines) + "\n"

    def _server_control(self) -> str:
        return (
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={3 * self.part_target_s:.3f},"
            f"HOLD-BACK={3 * TARGET_DURATION_S:.1f},CAN-SKIP-UNTIL={_SKIP_UNTIL_S:.1f}"
        )

    def _part_line(self, segment: Segment, index: int, query: str) -> str:
        part = segment.parts[index]
        independent = ",INDEPENDENT=YES" if part.starts_with_key else ""
        uri = f"part{segment.number}.{index}.m4s{query}"
        return f'#EXT-X-PART:DURATION={part.duration_s:.5f},URI="{uri}"{independent}'

    def _skippable(self) -> int:
        """How many of the oldest segments a delta update may leave out: those beyond the skip boundary (6.2.5.1)."""
        total_s = sum(segment.duration_s for segment in self._segments)
        count = 0
        for segment in self._segments:
            total_s -= segment.duration_s
            if total_s < _SKIP_UNTIL_S:
                break
            count += 1
        return count

    def _hint(self) -> tuple[int, int]:
        newest = self._segments[-1] if self._segments else None
        if newest is None or newest.is_closed or self._is_full(newest):
            return self._next_number, 0
        return newest.number, len(newest.parts)

    def _is_full(self, segment: Segment) -> bool:
        """Whether the next picture will begin another segment, as far as the last group of pictures tells.

        A hint that turns out wrong is answered with 404, as 6.2.6 allows; a player only loses the head start.
        """
        if self._part.start_s is not None:
            return False  # its next part is under way
        age_s = segment.duration_s
        is_key_due = self._since_key == self._gop_pictures
        return (is_key_due and age_s >= SEGMENT_S) or age_s + self._picture_s > TARGET_DURATION_S

    def _take(self, fragment: Fragment) -> None:
        if fragment.track_id != VIDEO_TRACK and self.stream.has_video:
            self._part.fragments.append(fragment)  # parts are cut at pictures; sound goes with the next one
            return
        self._count(fragment)
        start_s = fragment.dts / self._timescales[fragment.track_id]
        segment = self._open
        if segment is not None:
            age_s = segment.duration_s + self._part.duration_s
            if (fragment.is_key and age_s >= SEGMENT_S) or age_s + fragment.duration_s > TARGET_DURATION_S:
                self._close_segment()
                segment = None
        if segment is None:
            if not self._segments and not fragment.is_key:
                self._part = Part()
                return  # nobody can begin here
            segment = self._open_segment(fragment)
        part = self._part
        if part.start_s is not None and start_s + fragment.duration_s - part.start_s > self.part_target_s:
            # how long the picture before was is known only now
            part.duration_s = min(start_s - part.start_s, self.part_target_s)
            self._close_part(segment)
            part = self._part
        if part.start_s is None:
            part.start_s, part.starts_with_key = start_s, fragment.is_key
        part.fragments.append(fragment)
        part.duration_s = start_s + fragment.duration_s - part.start_s
        if part.duration_s + fragment.duration_s > self.part_target_s:
            self._close_part(segment)

    def _count(self, fragment: Fragment) -> None:
        self._picture_s = fragment.duration_s
        if fragment.is_key:
            self._gop_pictures, self._since_key = self._since_key, 0
        self._since_key += 1

    @property
    def _open(self) -> Segment | None:
        return self._segments[-1] if self._segments and not self._segments[-1].is_closed else None

    def _open_segment(self, first: Fragment) -> Segment:
        segment = Segment(self._next_number, self._init_number, first.captured_at, self._is_discontinuous)
        self._is_discontinuous = False
        self._next_number += 1
        self._segments.append(segment)
        self._written.clear()
        while len(self._segments) > _KEEP_SEGMENTS:
            gone = self._segments.popleft()
            self._discontinuities += gone.is_discontinuous
        for number in [number for number in self._inits if number < self._segments[0].init_number]:
            del self._inits[number]
        return segment

    def _close_part(self, segment: Segment) -> None:
        segment.parts.append(self._part)
        self._part = Part()
        self._tell()

    def _close_segment(self) -> None:
        """What has no picture yet stays for the next segment's first part: a listed part never changes."""
        segment = self._open
        if segment is None:
            return
        if self._part.start_s is not None:
            self._close_part(segment)
        segment.is_closed = True
        self._tell()

    def _tell(self) -> None:
        self._written.clear()
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
