"""A decoder in a process of its own: key frames in, JPEG pictures out. The only place that may crash on bad media.

Run as `python -m pipeline.analyse.decode`. On stdin, repeated: u32 size, then init segment + one fragment. On stdout:
u32 size, then a JPEG; size 0 means that it cannot be decoded. Big-endian. The process limits itself: address space,
no files written, no core dump (it may hold a picture), low priority.
"""

import io
import os
import resource
import struct
import sys
from fractions import Fraction

import av
import av.error
from av.video.frame import VideoFrame

MAX_REQUEST_BYTES = 8 * 1024 * 1024
_ADDRESS_SPACE_BYTES = 1024 * 1024 * 1024
_MAX_PIXELS = 4096 * 2304
_MAX_JPEG_WIDTH = 1280
_DECODERS = frozenset({"h264", "hevc", "libdav1d", "av1"})


def picture(media: bytes) -> bytes:
    """The first picture in `media` (a fragmented MP4 with one key frame) as JPEG, at most 1280 wide.

    Raises: av.error.FFmpegError, ValueError: it cannot be decoded, or is larger than 4096x2304.
    """
    with av.open(io.BytesIO(media), mode="r", format="mp4") as box:
        video = box.streams.video[0]
        decoder = video.codec_context  # None, whatever its type says, where libav knows no decoder
        if not decoder or decoder.name not in _DECODERS or video.width * video.height > _MAX_PIXELS:
            raise ValueError("codec or picture size not allowed")
        decoder.thread_count = 1
        for frame in box.decode(video):
            return _jpeg(frame)
    raise ValueError("no picture")


def _jpeg(frame: VideoFrame) -> bytes:
    width = min(frame.width, _MAX_JPEG_WIDTH) & ~1
    height = (frame.height * width // frame.width) & ~1
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qscale": "4"}
    small = frame.reformat(width=width, height=height, format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)
    av.logging.set_level(av.logging.PANIC)


def main() -> None:
    _limit()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(4)) == 4:
        size = struct.unpack(">I", head)[0]
        media = source.read(size) if size <= MAX_REQUEST_BYTES else b""
        if len(media) < size:
            return
        try:
            answer = picture(media)
        except (av.error.FFmpegError, ValueError, IndexError, MemoryError):
            answer = b""
        sink.write(struct.pack(">I", len(answer)) + answer)
        sink.flush()


if __name__ == "__main__":
    main()
