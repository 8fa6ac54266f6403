"""The vocabulary of media: what flows from a device to its readers. Knows no protocol, file or socket.

Times are ticks of the track's timescale on the *stream's* own axis, which starts at 0 with the first packet and goes on
over interruptions; `captured_at` is the arrival at this server (UTC seconds). They are never mixed.

Packet and Fragment are made 15,000 times a second by a full server, so they are named tuples: as immutable as the
frozen dataclasses beside them, at a quarter of the cost (0.5 µs against 2.1).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

TrackKind: TypeAlias = Literal["video", "audio"]

VIDEO_TRACK = 1
AUDIO_TRACK = 2


@dataclass(frozen=True, slots=True)
class Track:
    """One elementary stream and what a player must know to decode it.

    config: the decoder configuration record, by codec:
        avc1 avcC (ISO/IEC 14496-15 5.3.3.1), hvc1 hvcC (8.3.3.1), av01 av1C (AV1 in ISOBMFF 2.3),
        mp4a AudioSpecificConfig (14496-3 1.6.2.1), opus the body of dOps (Opus in ISOBMFF 4.3.2),
        flac STREAMINFO (RFC 9639 8.2).
    codec: the RFC 6381 string ("avc1.64001f", "hvc1.1.6.L93.B0", "mp4a.40.2", "opus").
    """

    track_id: int
    kind: TrackKind
    codec: str
    config: bytes
    timescale: int
    width: int = 0
    height: int = 0
    rate_hz: int = 0
    channels: int = 0
    frame_duration: int = 0
    """Expected ticks between two access units; a first guess until two have been seen."""
    origin: str = ""
    """How we changed what the device sent ("pcm_alaw → flac, lossless"); empty where we carry its own bytes."""


class Packet(NamedTuple):
    """One access unit as it came in: a whole picture or a whole sound frame.

    data: H.264 and H.265 as length-prefixed NAL units (4 bytes each), AV1 as OBUs, sound as one raw frame.
    """

    track_id: int
    dts: int
    pts: int
    is_key: bool
    data: bytes
    captured_at: float


class Fragment(NamedTuple):
    """One access unit as CMAF bytes (moof + mdat), made once and shared by every reader.

    dts, pts, duration: ticks of its track; pts_s, duration_s: the same in seconds on the stream's axis.
    is_key: a player may start here (always False for sound when the stream has video).
    """

    sequence: int
    track_id: int
    is_key: bool
    dts: int
    pts: int
    duration: int
    pts_s: float
    duration_s: float
    captured_at: float
    data: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    @property
    def end_s(self) -> float:
        return self.pts_s + self.duration_s

    @property
    def fragments(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class TracksChanged:
    """From here on the stream has these tracks; `init` is the CMAF init segment (ftyp + moov) for them."""

    tracks: tuple[Track, ...]
    init: bytes
    mime: str


class GapCause(StrEnum):
    """Why media is missing. The words are part of the recording format."""

    PUBLISHER_LOST = "publisher_lost"
    """The device's connection was lost and came back."""
    PUBLISHER_SILENT = "publisher_silent"
    """The device stayed connected and sent nothing."""
    READER_SLOW = "reader_slow"
    """This reader did not keep up; others are whole."""
    DISK_FULL = "disk_full"
    DISK_ERROR = "disk_error"
    CRASH = "crash"
    """The program or machine stopped; recovery found the end."""
    TIMESTAMP_JUMP = "timestamp_jump"
    """The device's time stamps jumped; nothing is known to be lost but time."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Media between two moments of the stream is missing for this reader. fragments: how many, 0 where unknown."""

    start_s: float
    end_s: float
    cause: GapCause
    fragments: int = 0

    @property
    def lost_s(self) -> float:
        return max(0.0, self.end_s - self.start_s)


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream is over; nothing follows."""


Item: TypeAlias = TracksChanged | Fragment | Gap | Ended


class StreamState(StrEnum):
    LIVE = "live"
    RECONNECTING = "reconnecting"
    LOST = "lost"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Device:
    """A camera known to the bureau. `officer` and `unit` are what lists show; empty where not assigned."""

    device_id: str
    name: str
    officer: str = ""
    unit: str = ""
