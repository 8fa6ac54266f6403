"""Pictures really coded in H.264 and decoded again, as a stream's key frames or as a whole stream. libav lives here."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import WorkerFailed

Luma = NDArray[np.uint8]
_JITTER: Final = (-2, 0, 2)  # steps of the quantiser, by which rate control moves from one key frame to the next


class KeyCoder:
    """Key frames stand alone: what a stream's rate control would give them is the quantiser, which is drawn."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 77])
        quantiser = int(self._rng.integers(24, 39))
        self._encoders = [_encoder(width, height, quantiser + step) for step in _JITTER]
        self._decoder = decoder()
        self._count = 0

    def through(self, picture: Luma) -> Luma:
        """The picture, coded and decoded."""
        encoder = self._encoders[int(self._rng.integers(len(self._encoders)))]
        frame = frame_of(picture)
        frame.pts = self._count
        self._count += 1
        for packet in encoder.encode(frame):
            for decoded in self._decoder.decode(packet):
                return luma_of(decoded)
        raise WorkerFailed("libav gave no picture for a key frame")


@dataclass(frozen=True, slots=True)
class Unit:
    """A coded picture. payload: Annex B."""

    at_s: float
    size_bytes: int
    is_key: bool
    payload: bytes


def stream(
    pictures: Iterable[Luma], frames_per_s: int, bits_per_s: int, gop: int, options: dict[str, str]
) -> Iterator[Unit]:
    """A whole stream of them, with the rate control of a camera that sends live."""
    box: av.container.OutputContainer | None = None
    track: VideoStream | None = None
    for number, picture in enumerate(pictures):
        if track is None:
            box = av.open(io.BytesIO(), "w", format="h264")
            added = box.add_stream("libx264", rate=frames_per_s)
            if not isinstance(added, VideoStream):
                raise WorkerFailed("libav gave another kind of stream")
            track = added
            track.height, track.width = picture.shape
            track.pix_fmt, track.bit_rate = "yuv420p", bits_per_s
            track.options = {
                "preset": "veryfast", "tune": "zerolatency", "g": str(gop), "threads": "1", "maxrate": str(bits_per_s),
                "bufsize": str(bits_per_s), "x264-params": "scenecut=0:bframes=0", **options,
            }  # fmt: skip
        frame = frame_of(picture)
        frame.pts = number
        for packet in track.encode(frame):
            yield Unit(number / frames_per_s, packet.size, packet.is_keyframe, bytes(packet))
    if box is not None:
        box.close()


def frame_of(picture: Luma) -> VideoFrame:
    height, width = picture.shape
    frame = VideoFrame(width, height, "yuv420p")
    for number, plane in enumerate(frame.planes):
        rows = np.asarray(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        if number:
            rows[:] = 128
        else:
            rows[:, :width] = picture
    return frame


def luma_of(frame: VideoFrame) -> Luma:
    plane = frame.planes[0]
    rows = np.asarray(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return np.asarray(rows[:, : frame.width], np.uint8)


def decoder() -> VideoCodecContext:
    made = av.CodecContext.create("h264", "r")
    if not isinstance(made, VideoCodecContext):
        raise WorkerFailed("libav has no decoder of H.264")
    made.thread_count = 1
    return made


def _encoder(width: int, height: int, quantiser: int) -> VideoCodecContext:
    made = av.CodecContext.create("libx264", "w")
    if not isinstance(made, VideoCodecContext):
        raise WorkerFailed("libav has no encoder of H.264")
    made.width, made.height, made.pix_fmt = width, height, "yuv420p"
    made.time_base = Fraction(1, 1)
    made.framerate = Fraction(1, 1)
    made.options = {
        "preset": "veryfast", "tune": "zerolatency", "g": "1", "threads": "1", "qp": str(quantiser),
    }  # fmt: skip
    return made
