"""A decoder in a process of its own: media in, JPEG pictures out. The only place that may crash on bad media.

Run as `python -m pipeline.analyse.decode`. On stdin, repeated: a head (`HEAD`: size, the moment of the picture in
seconds of the file or below 0 for the first one, its greatest width), then init segment + fragments from a key frame
on. On stdout: u32 size, then a JPEG; size 0 means that it cannot be decoded. Big-endian. The process limits itself:
address space, no files written, no core dump (it may hold a picture), low priority.
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

HEAD = struct.Struct(">IdI")
MAX_REQUEST_BYTES = 32 * 1024 * 1024  # ten seconds at 25 Mbit/s
_ADDRESS_SPACE_BYTES = 1024 * 1024 * 1024
_MAX_PIXELS = 4096 * 2304
_SLACK_S = 0.001
_DECODERS = frozenset({"h264", "hevc", "libdav1d", "av1"})


def picture(media: bytes, at_s: float, most_width: int) -> bytes:
    """The picture of `media` (a fragmented MP4 from a key frame on) that is shown at `at_s`; below 0: the first one.

    Raises: av.error.FFmpegError, ValueError: it cannot be decoded, or is larger than 4096x2304.
    """
    with av.open(io.BytesIO(media), mode="r", format="mp4") as box:
        video = box.streams.video[0]
        decoder = video.codec_context  # None, whatever its type says, where libav knows no decoder
        if not decoder or decoder.name not in _DECODERS or video.width * video.height > _MAX_PIXELS:
            raise ValueError("codec or picture size not allowed")
        decoder.thread_count = 1
        shown: VideoFrame | None = None
        for frame in box.decode(video):
            if shown is not None and (frame.time is None or frame.time > at_s + _SLACK_S):
                break
            shown = frame
            if at_s < 0:
                break
    if shown is None:
        raise ValueError("no picture")
    return _jpeg(shown, most_width)


def _jpeg(frame: VideoFrame, most_width: int) -> bytes:
    width = min(frame.width, most_width) & ~1
    height = (frame.height * width // frame.width) & ~1
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qscale": "4" if width < frame.width else "2"}
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
    while len(head := source.read(HEAD.size)) == HEAD.size:
        size, at_s, most_width = HEAD.unpack(head)
        media = source.read(size) if size <= MAX_REQUEST_BYTES else b""
        if len(media) < size:
            return
        try:
            answer = picture(media, at_s, most_width)
        except (av.error.FFmpegError, ValueError, IndexError, MemoryError):
            answer = b""
        sink.write(struct.pack(">I", len(answer)) + answer)
        sink.flush()


if __name__ == "__main__":
    main()
