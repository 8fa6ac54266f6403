"""Pictures of a stream, decoded. libav lives here, in the worker only: a crash costs that worker.

As a rule only key frames are decoded, each by itself (`KeyFrameDecoder`), to brightness, and a few of them in colour.
Where a moment must be seen closer, all pictures of a group are decoded and some of them converted (`GroupDecoder`).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import av.error
import numpy as np
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipeline.analyse.units import Unit
from pipeline.errors import CodecUnsupported
from pipeline.media import Track

_DECODERS: Final = {"avc1": "h264", "avc3": "h264", "hvc1": "hevc", "hev1": "hevc", "av01": "libdav1d"}
_MOST_PIXELS: Final = 4096 * 2304
_SHORTEST_SIDE: Final = 16
"""In less nothing can be seen, and no measure is made for it: such a picture counts as none."""
_SLACK_S: Final = 0.005
"""Of two times that mean the same picture: rounding, at any rate that cameras have."""
_TICKS: Final = 90_000
"""A second in the times that a decoder carries along: as fine as those of the streams."""


class KeyFrameDecoder:
    """Of one track. Not thread-safe: one thread at a time. broken: key frames that could not be decoded."""

    def __init__(self, track: Track) -> None:
        """Raises: CodecUnsupported."""
        name = _decoder_of(track)
        self.broken = 0
        self._name = name
        self._config = track.config
        self._decoder = _begun(name, track.config)

    def luma(self, unit: Unit) -> NDArray[np.uint8] | None:
        """(height, width) uint8, the brightness as it was encoded, 10 bits cut to 8; None: it cannot be decoded."""
        frame = self._decoded(unit)
        if frame is None:
            return None
        if frame.format.components and frame.format.components[0].bits > 8:
            wide = np.frombuffer(memoryview(frame.planes[0]), np.uint16).reshape(frame.planes[0].height, -1)
            shift = frame.format.components[0].bits - 8
            return np.asarray(wide[:, : frame.width] >> shift, np.uint8)
        rows = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(frame.planes[0].height, -1)
        return np.asarray(rows[: frame.height, : frame.width])

    def colour(self, unit: Unit) -> NDArray[np.uint8] | None:
        """(height, width, 3) uint8, blue first; None: it cannot be decoded."""
        frame = self._decoded(unit)
        return None if frame is None else np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)

    def _decoded(self, unit: Unit) -> VideoFrame | None:
        try:
            packet = av.Packet(unit.data)
            packet.is_keyframe = True
            frames = [*self._decoder.decode(packet), *self._decoder.decode(None)]
            self._decoder.flush_buffers()
        except (av.error.FFmpegError, ValueError, MemoryError):
            frames = []
            self._decoder = _begun(self._name, self._config)
        if not frames or not _is_a_picture(frames[0]):
            self.broken += 1
            return None
        return frames[0]


@dataclass(frozen=True, slots=True)
class Moment:
    """One picture and when it is shown. pts_s: on the stream's axis. picture: (height, width, 3) uint8, blue first."""

    pts_s: float
    picture: NDArray[np.uint8]


class GroupDecoder:
    """All pictures of groups, in the order in which they are shown. Not thread-safe: one thread at a time.

    rate_hz: at most so many pictures a second are converted to colour and given, from `from_s` on; all are decoded, for
    those that follow are made from them.
    """

    def __init__(self, track: Track, rate_hz: float, from_s: float = 0.0) -> None:
        """Raises: CodecUnsupported."""
        self._name = _decoder_of(track)
        self._config = track.config
        self._step_s = 1.0 / rate_hz
        self._decoder: VideoCodecContext | None = None
        self._next_s = from_s

    def feed(self, unit: Unit) -> list[Moment]:
        """What can be shown by now. Until a key frame came, and after a unit that cannot be decoded: nothing."""
        if self._decoder is None:
            if not unit.is_key:
                return []
            self._decoder = _begun(self._name, self._config)
        packet = av.Packet(unit.data)
        packet.pts, packet.time_base = round(unit.pts_s * _TICKS), Fraction(1, _TICKS)
        packet.is_keyframe = unit.is_key
        return self._given(packet)

    def finish(self) -> list[Moment]:
        """What the decoder still holds; the next unit must be a key frame."""
        found = self._given(None) if self._decoder is not None else []
        self._decoder = None
        return found

    def _given(self, packet: "av.Packet[Stream] | None") -> list[Moment]:
        found = []
        try:
            for frame in self._decoder.decode(packet) if self._decoder is not None else []:
                pts_s = self._next_s if frame.pts is None else frame.pts / _TICKS
                if pts_s < self._next_s - _SLACK_S or not _is_a_picture(frame):
                    continue
                self._next_s = pts_s + self._step_s
                found.append(Moment(pts_s, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)))
        except (av.error.FFmpegError, ValueError, MemoryError):
            self._decoder = None
        return found


def _is_a_picture(frame: VideoFrame) -> bool:
    return min(frame.width, frame.height) >= _SHORTEST_SIDE and frame.width * frame.height <= _MOST_PIXELS


def _decoder_of(track: Track) -> str:
    """Raises: CodecUnsupported."""
    name = _DECODERS.get(track.codec.partition(".")[0].lower())
    if name is None or track.kind != "video":
        raise CodecUnsupported(f"{track.codec} is no picture that workers decode")
    return name


def _begun(name: str, config: bytes) -> VideoCodecContext:
    """Raises: CodecUnsupported."""
    decoder = av.CodecContext.create(name, "r")
    if not isinstance(decoder, VideoCodecContext):
        raise CodecUnsupported(f"libav has no decoder for {name}")
    decoder.extradata = config
    decoder.thread_count = 1
    return decoder
