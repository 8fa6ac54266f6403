"""Key frames of a stream, decoded to brightness. libav lives here, in the worker only: a crash costs that worker.

Only key frames are decoded, each by itself; the rest is none of this module's business. The colour planes are not
converted: what judges pictures asks for brightness, and reading text for a few of them in colour.
"""

from typing import Final

import av
import av.error
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipeline.analyse.units import Unit
from pipeline.errors import CodecUnsupported
from pipeline.media import Track

_DECODERS: Final = {"avc1": "h264", "avc3": "h264", "hvc1": "hevc", "hev1": "hevc", "av01": "libdav1d"}
_MOST_PIXELS: Final = 4096 * 2304


class KeyFrameDecoder:
    """Of one track. Not thread-safe: one thread at a time. broken: key frames that could not be decoded."""

    def __init__(self, track: Track) -> None:
        """Raises: CodecUnsupported."""
        name = _DECODERS.get(track.codec.partition(".")[0].lower())
        if name is None or track.kind != "video":
            raise CodecUnsupported(f"{track.codec} is no picture that workers decode")
        self.broken = 0
        self._name = name
        self._config = track.config
        self._decoder = self._begun()

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
            self._decoder = self._begun()
        if not frames or frames[0].width * frames[0].height > _MOST_PIXELS:
            self.broken += 1
            return None
        return frames[0]

    def _begun(self) -> VideoCodecContext:
        decoder = av.CodecContext.create(self._name, "r")
        if not isinstance(decoder, VideoCodecContext):
            raise CodecUnsupported(f"libav has no decoder for {self._name}")
        decoder.extradata = self._config
        decoder.thread_count = 1
        return decoder
