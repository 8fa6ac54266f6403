"""Pictures and sound to H.264 and AAC, live, and on to an RTMP server. Knows the key, and tells it nobody."""

import os
import socket
import stat
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.errors import WorkerFailed
from pipeline.simulate.picture import HEIGHT, WIDTH, Picture

FRAMES_PER_S: Final = 25
RATE_HZ: Final = 48_000
SOUND_FRAME: Final = 1024
"""Samples in one AAC frame."""

_GOP: Final = 25
"""A key frame a second: what looks at key frames sees a fault within two."""
_VIDEO_BITS_PER_S: Final = 700_000
_AUDIO_BITS_PER_S: Final = 64_000
X264: Final = {
    "preset": "ultrafast",
    "tune": "zerolatency",
    "threads": "1",
    "g": str(_GOP),
    "maxrate": "800000",
    "bufsize": "400000",
    "x264-params": "scenecut=0:bframes=0:sliced-threads=0",
    "colorspace": "smpte170m",
    "color_range": "tv",
}


class Publisher:
    """One connection to the server, from its first to its last picture. Owns its encoders."""

    def __init__(self, url: str) -> None:
        """Raises: WorkerFailed: the server cannot be reached or refuses."""
        self._container = av.open(url, "w", format="flv", options={"flush_packets": "1"})
        self._video = _add_video(self._container)
        self._audio = _add_audio(self._container)
        self._frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        self._sound_frame = av.AudioFrame("fltp", "mono", SOUND_FRAME)
        self._sound_frame.rate = RATE_HZ
        self._sound_frame.time_base = Fraction(1, RATE_HZ)
        self._sound_sent_s = -1.0
        self._samples = SOUND_FRAME
        """The encoder starts one frame early; counting from here keeps every time stamp at or above zero."""
        try:
            self._container.start_encoding()
        except av.FFmpegError as error:
            raise _failed(error) from None
        _send_at_once()

    def needs_sound(self, pts_s: float) -> bool:
        """Whether sound must be sent before the picture of `pts_s`.

        libavformat holds a picture back until it has sound that is as late; with the sound first, nothing waits.
        """
        return self._sound_sent_s <= pts_s

    def send_sound(self, samples: NDArray[np.float32]) -> None:
        """The next SOUND_FRAME samples, -1..1. Raises: WorkerFailed: the connection is lost."""
        self._sound_frame.planes[0].update(samples.tobytes())
        self._sound_frame.pts = self._samples
        self._samples += SOUND_FRAME
        for packet in self._audio.encode(self._sound_frame):
            if packet.dts is not None and packet.time_base is not None:
                self._sound_sent_s = float(packet.dts * packet.time_base)
            self._send(packet)

    def send_picture(self, picture: Picture, number: int) -> None:
        """The picture `number` / FRAMES_PER_S seconds after the first. Raises: WorkerFailed: the connection is lost."""
        for plane, samples in zip(self._frame.planes, (picture.y, picture.u, picture.v), strict=True):
            _plane_view(plane)[:, : samples.shape[1]] = samples
        self._frame.pts = number
        self._frame.time_base = Fraction(1, FRAMES_PER_S)
        for packet in self._video.encode(self._frame):
            self._send(packet)

    def close(self) -> None:
        """Says goodbye where the connection still stands."""
        try:
            self._container.close()
        except av.FFmpegError:
            return  # the connection was lost before; there is nobody to say goodbye to

    def _send(self, packet: "Packet[VideoStream] | Packet[AudioStream]") -> None:
        try:
            self._container.mux_one(packet)
        except av.FFmpegError as error:
            raise _failed(error) from None


def _add_video(container: OutputContainer) -> VideoStream:
    stream = container.add_stream("libx264", rate=FRAMES_PER_S, options=X264)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    stream.bit_rate = _VIDEO_BITS_PER_S
    return stream


def _add_audio(container: OutputContainer) -> AudioStream:
    stream = container.add_stream("aac", rate=RATE_HZ, layout="mono", options={"aac_coder": "fast"})
    stream.bit_rate = _AUDIO_BITS_PER_S
    return stream


def _plane_view(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    samples: NDArray[np.uint8] = np.asarray(memoryview(plane), np.uint8)
    return samples.reshape(plane.height, plane.line_size)


def _failed(error: av.FFmpegError) -> WorkerFailed:
    """Without the foreign error behind it: its text holds the URL, and the URL holds the key."""
    return WorkerFailed(f"the server cannot be reached or refused ({error.strerror})")


def _send_at_once() -> None:
    """Switches Nagle's algorithm off on this process's sockets.

    PyAV opens the output without options, so RTMP's own `tcp_nodelay` cannot be set; a picture would wait for the
    acknowledgement of the one before. This process has no other sockets.
    """
    for number in range(3, 256):
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as connection:
                if connection.family in (socket.AF_INET, socket.AF_INET6):
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            continue  # no such file, or no such option: nothing to switch off
