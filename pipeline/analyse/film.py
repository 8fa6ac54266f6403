"""A film that somebody sent, or a moment of a recording, becomes some of its pictures. Only in the child for that.

Knows no model. What it decodes is bounded: in pictures, in pixels, and by the limits that the child set itself.
"""

import io
from collections.abc import Iterator
from itertools import islice
from typing import Final

import av
import av.audio.codeccontext
import av.audio.stream
import av.error
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream  # PyAV would import these when it meets such a stream, and the child opens no file any more
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame

from models.face.base import Picture
from pipeline.analyse.enrol_order import Refused

MOST_PICTURES: Final = 40
"""That are looked at, over the whole length: a face is known well from ten."""
_DECODED_WHOLE_S: Final = 15.0
"""Of a longer film only key frames are decoded."""
_MOST_DECODED: Final = 1_800
_MOST_PIXELS: Final = 4096 * 2304
_MOST_WIDTH: Final = 1920
"""Of what is kept: forty pictures of this size are 250 MB."""
_DECODERS: Final = frozenset({"h264", "hevc", "libdav1d", "av1", "vp8", "vp9", "mjpeg", "mpeg4"})
_ALONE: Final = {"format_whitelist": "mov,matroska,avi,mpegts", "protocol_whitelist": ""}
"""Containers that hold what they show. Others (concat, HLS, SDP) are lists of what libav goes and opens: files of this
machine, which nobody approved to look at, or addresses of its network."""


def read(data: bytes) -> list[tuple[float, Picture]] | Refused:
    """(second of the film, picture) in their order, at most MOST_PICTURES, spread over its length."""
    if not data:
        return Refused("empty", "the file is empty")
    try:
        with av.open(io.BytesIO(data), "r", metadata_errors="ignore", options=_ALONE) as box:
            found = _chosen(box)
    except (av.error.FFmpegError, ValueError, IndexError, MemoryError, OSError):
        return Refused("unreadable", "this is no film we can read; send MP4 with H.264 or H.265")
    if not isinstance(found, Refused) and not found:
        return Refused("unreadable", "no picture of it can be decoded")
    return found


def _chosen(box: InputContainer) -> list[tuple[float, Picture]] | Refused:
    """Raises: what libav raises before the first picture; later, what was decoded by then is taken."""
    video = box.streams.video[0]
    context = video.codec_context
    if not context or context.name not in _DECODERS:
        return Refused("unreadable", "its pictures are in a form that is not read here; send H.264 or H.265")
    if video.width * video.height > _MOST_PIXELS:
        return Refused("too_large", f"its pictures are {video.width} x {video.height}; 4096 x 2304 at most are read")
    length_s = (box.duration or 0) / 1_000_000
    context.thread_count = 1
    if length_s > _DECODED_WHOLE_S:
        context.skip_frame = "NONKEY"
    step_s, next_s, found = length_s / MOST_PICTURES, float("-inf"), list[tuple[float, Picture]]()
    for at_s, frame in islice(_decoded(box), _MOST_DECODED):
        if at_s < next_s or frame.width * frame.height > _MOST_PIXELS:
            continue
        next_s = at_s + step_s
        found.append((at_s, _picture(frame)))
        if len(found) >= MOST_PICTURES:
            break
    return found


def _picture(frame: VideoFrame) -> Picture:
    width = min(frame.width, _MOST_WIDTH)
    height = max(1, frame.height * width // frame.width)
    return np.asarray(frame.to_ndarray(format="bgr24", width=width, height=height), np.uint8)


def _decoded(box: InputContainer) -> Iterator[tuple[float, VideoFrame]]:
    """Raises: av.error.FFmpegError: nothing can be decoded."""
    begun_s: float | None = None
    try:
        for frame in box.decode(box.streams.video[0]):
            at_s = float(frame.time or 0.0)
            begun_s = at_s if begun_s is None else begun_s
            yield at_s - begun_s, frame
    except av.error.FFmpegError:
        if begun_s is None:
            raise
