"""Faces in a file, and a copy of it that hides them, in a process of its own: found, or covered and encoded anew.

Run as `python -m pipeline.analyse.blur_child`: the order on stdin, a JSON line; JSON lines on stdout: how far it is
(`at_s`), the paths of what was found, at last `end` or `failed`. It opens the one file it is told to read, and for
`blur` the one it is told to write, which is there and empty. It limits itself: address space, size of what it writes,
no core dump (it may hold a picture), low priority; it may be killed at any moment. No vector of a face is ever made.
"""

from __future__ import annotations  # PyAV's Packet takes a type argument in its stubs only

import errno
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path as FilePath
from typing import BinaryIO, Final, TypeAlias

import av
import av.error
import av.logging
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

from models.entries import Engine
from models.face.base import FaceDetector
from models.face.entry import FaceEntry
from pipeline.analyse.covers import Box, Follower, Path, Point
from pipeline.analyse.mosaic import Mosaic, Plane, Values
from pipeline.errors import ModelError

Tell: TypeAlias = Callable[[Mapping[str, object]], None]

EVERY_S: Final = 0.1
"""Between pictures in which faces are sought; a face moves by less than itself meanwhile, and what lies between is
interpolated. The first and the last picture are always looked at."""
_DETECT_PX: Final = 1280
"""Longest side of what is searched: twice what is used to recognise, as faces too small to be recognised by a program
are still known by people."""
_LEAST_SCORE: Final = 0.5
"""Less than recognition asks for: a flag that is hidden costs nothing, a face that is not costs a person."""
_TELL_S: Final = 0.5
_ADDRESS_SPACE_BYTES: Final = 6 * 1024**3
_MOST_ORDER_BYTES: Final = 64 * 1024**2
_MOST_PIXELS: Final = 4096 * 2304
_MOST_PATHS: Final = 5000
_DECODERS: Final = frozenset({"h264", "hevc", "libdav1d", "av1"})
_PLANAR: Final = frozenset({"yuv420p", "yuvj420p"})
_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG
_OPTIONS: Final = {"preset": "veryfast", "crf": "18", "bf": "0"}
"""Without pictures that wait for later ones: times stay as they were. 18: no loss that can be seen."""
_KEY_EVERY_S: Final = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file is. length_s: to the end of its last picture. looked: pictures in which faces were sought.

    added_right, added_below: of the copy, beyond what it is made of: 1 where that has an odd side, else 0.
    """

    width: int
    height: int
    length_s: float
    pictures: int
    looked: int
    broken: int
    added_right: int = 0
    added_below: int = 0


@dataclass(frozen=True, slots=True)
class Cover:
    """A path to hide, by its name."""

    name: str
    path: Path


def find(source: BinaryIO, detector: FaceDetector, tell: Tell, threads: int = 1) -> tuple[Seen, list[Path]]:
    """Raises: av.error.FFmpegError, ValueError: the file cannot be read. ModelFailed."""
    follower, held, looked_s = Follower(), list[VideoFrame](), -EVERY_S
    pictures = looked = 0
    size, length_s = (0, 0), 0.0

    def look(frame: VideoFrame, at_s: float) -> None:
        picture = np.asarray(frame.to_ndarray(format="bgr24", width=size[0], height=size[1]), np.uint8)
        follower.feed(at_s, [Box(*each.box) for each in detector.detect(picture)])
        tell({"at_s": at_s})

    with av.open(source, mode="r", format="mp4") as box:
        video = _video_of(box, threads)
        pictures_of = _Pictures(box, video)
        for frame in pictures_of:
            pictures += 1
            at_s, size = _time_of(frame), size if pictures > 1 else (frame.width, frame.height)
            length_s = at_s + float(pictures_of.step)
            held = [frame]
            if at_s >= looked_s + EVERY_S - 1e-6:
                look(frame, at_s)
                looked, looked_s, held = looked + 1, at_s, []
        for frame in held:
            look(frame, _time_of(frame))
            looked += 1
    if not pictures:
        raise ValueError("no picture")
    return Seen(*size, length_s, pictures, looked, pictures_of.broken), follower.finish()


def blur(source: BinaryIO, target: BinaryIO, covers: Sequence[Cover], note: str, tell: Tell, threads: int = 1) -> Seen:
    """Every picture that can be decoded, at its time, what is covered hidden; sound as it is.

    H.264 as everybody plays it has even sides: where a picture has none, its last column or row stands there twice, and
    the comment says so. target: can be sought in. note: stands in the file as its comment.
    Raises: av.error.FFmpegError, ValueError: the file cannot be read or written.
    """
    mosaic, pictures, length_s = Mosaic(), 0, 0.0
    with (
        av.open(source, mode="r", format="mp4") as box,
        av.open(target, mode="w", format="mp4", options={"fflags": "+bitexact"}) as out,
    ):
        video = _video_of(box, threads)
        coded = _coded(out, video, threads)
        size = (video.width, video.height)
        right, below = coded.width - size[0], coded.height - size[1]
        out.metadata["comment"] = f"{note}{_added(right, below)}"
        sounds: dict[Stream, Stream] = {each: out.add_stream_from_template(each) for each in box.streams.audio}
        pictures_of = _Pictures(box, video, tuple(sounds))
        for frame in pictures_of:
            at_s = _time_of(frame)
            planes = _planes_of(frame, size, (coded.width, coded.height))
            boxes = [(each.name, found) for each in covers if (found := each.path.box_at(at_s)) is not None]
            mosaic.cover(planes, boxes, at_s)
            for packet in coded.encode(_frame_of(planes, (coded.width, coded.height), frame, video)):
                out.mux(packet)
            pictures, length_s = pictures + 1, at_s + float(pictures_of.step)
            tell({"at_s": at_s})
            for sound in pictures_of.taken():
                _carry(sound, sounds, out)
        for packet in coded.encode(None):
            out.mux(packet)
        for sound in pictures_of.taken():
            _carry(sound, sounds, out)
    if not pictures:
        raise ValueError("no picture")
    return Seen(*size, length_s, pictures, 0, pictures_of.broken, right, below)


def _added(right: int, below: int) -> str:
    """In words, for the file's comment."""
    sides = [name for name, count in (("column", right), ("row", below)) if count]
    return f"; last {' and '.join(sides)} doubled, for even sides" if sides else ""


class _Pictures:
    """The pictures of a file as they are shown; packets of other streams are put by. broken: what cannot be decoded."""

    def __init__(self, box: InputContainer, video: VideoStream, others: Sequence[Stream] = ()) -> None:
        self.broken = 0
        self.step = 1 / video.average_rate if video.average_rate else Fraction(1, 25)
        self._box = box
        self._video = video
        self._others = others
        self._put_by: list[Packet[Stream]] = []

    def __iter__(self) -> Iterator[VideoFrame]:
        for packet in self._box.demux(self._video, *self._others):
            if packet.stream is not self._video:
                self._put_by.append(packet)
                continue
            try:
                frames = [each for each in packet.decode() if isinstance(each, VideoFrame)]
            except av.error.InvalidDataError:
                self.broken += 1
                continue
            for frame in frames:
                if frame.pts is None or frame.width * frame.height > _MOST_PIXELS:
                    self.broken += 1
                else:
                    yield frame

    def taken(self) -> list[Packet[Stream]]:
        """Those that were put by since."""
        put_by, self._put_by = self._put_by, []
        return put_by


def _video_of(box: InputContainer, threads: int) -> VideoStream:
    if not box.streams.video:
        raise ValueError("no picture")
    video = box.streams.video[0]
    decoder = video.codec_context  # None, whatever its type says, where libav knows no decoder
    if not decoder or decoder.name not in _DECODERS or video.width * video.height > _MOST_PIXELS:
        raise ValueError("codec or picture size not allowed")
    decoder.thread_count = threads
    return video


def _coded(out: OutputContainer, video: VideoStream, threads: int) -> VideoStream:
    """The stream of the copy: size (made even), shape of pixels, colours and clock as they are in `video`."""
    rate = video.average_rate or Fraction(25)
    coded = out.add_stream("libx264", rate=rate, options=_OPTIONS)
    context, known = coded.codec_context, video.codec_context
    coded.width, coded.height = video.width + video.width % 2, video.height + video.height % 2
    coded.pix_fmt = "yuv420p"
    coded.time_base = context.time_base = video.time_base or Fraction(1, 90_000)
    context.gop_size = max(1, round(rate * _KEY_EVERY_S))
    context.thread_count = threads
    context.color_range = _FULL_RANGE if known.pix_fmt == "yuvj420p" else known.color_range
    context.colorspace = known.colorspace
    context.color_primaries, context.color_trc = known.color_primaries, known.color_trc
    if video.sample_aspect_ratio:
        context.sample_aspect_ratio = video.sample_aspect_ratio
    return coded


def _carry(packet: Packet[Stream], sounds: Mapping[Stream, Stream], out: OutputContainer) -> None:
    if packet.dts is not None:
        packet.stream = sounds[packet.stream]
        out.mux(packet)


def _time_of(frame: VideoFrame) -> float:
    return 0.0 if frame.time is None else float(frame.time)


def _planes_of(frame: VideoFrame, size: tuple[int, int], even: tuple[int, int]) -> list[Plane]:
    """Copies: later pictures are made from the decoder's own. size: of all pictures; even: what it is filled up to."""
    name = frame.format.name
    if name not in _PLANAR or (frame.width, frame.height) != size:
        full = {"src_color_range": frame.color_range, "dst_color_range": frame.color_range}
        frame = frame.reformat(width=size[0], height=size[1], format="yuv420p", **full)
    steps = ((1, 1), (2, 2), (2, 2))
    return [
        Plane(_filled(_values_of(plane, -(-size[0] // wide), -(-size[1] // high)), even[0] // wide, even[1] // high),
              wide, high)
        for plane, (wide, high) in zip(frame.planes, steps, strict=True)
    ]  # fmt: skip


def _filled(values: Values, width: int, height: int) -> Values:
    """A copy, its last column and row again where it is smaller. What is doubled is hidden with what it doubles: a
    value of colour, and so a box (mosaic.py), covers both.
    """
    high, wide = values.shape
    return np.pad(values, ((0, height - high), (0, width - wide)), "edge")


def _values_of(plane: VideoPlane, width: int, height: int) -> Values:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:height, :width]


def _frame_of(planes: Sequence[Plane], size: tuple[int, int], of: VideoFrame, video: VideoStream) -> VideoFrame:
    frame = VideoFrame(*size, "yuv420p")
    for plane, to in zip(planes, frame.planes, strict=True):
        height, width = plane.values.shape
        np.frombuffer(memoryview(to), np.uint8).reshape(-1, to.line_size)[:height, :width] = plane.values
    frame.pts, frame.time_base = of.pts, of.time_base or video.time_base or Fraction(1, 90_000)
    frame.color_range, frame.colorspace = of.color_range, of.colorspace
    return frame


def _limit(most_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)
    av.logging.set_level(av.logging.PANIC)


class _Teller:
    """JSON lines for the parent; how far it is, only so often. A parent that is gone ends this process."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._next_s = 0.0

    def far(self, line: Mapping[str, object]) -> None:
        if time.monotonic() >= self._next_s:
            self.tell(line)
            self._next_s = time.monotonic() + _TELL_S

    def tell(self, line: Mapping[str, object]) -> None:
        self._sink.write(json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        self._sink.flush()


def main() -> None:
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    order = json.loads(sys.stdin.buffer.readline(_MOST_ORDER_BYTES))
    _limit(order.get("most_bytes", 0))
    teller = _Teller(sink)
    try:
        with FilePath(order["source"]).open("rb") as source:
            if order["mode"] == "find":
                _find(order, source, teller)
            else:
                _blur(order, source, teller)
    except ModelError as error:
        teller.tell({"failed": "model", "why": str(error)})
    except (av.error.FFmpegError, ValueError, IndexError, MemoryError) as error:
        teller.tell({"failed": "media", "why": type(error).__name__})
    except OSError as error:  # EINVAL: libav sought before the begin of a file that is none
        kind = "media" if error.errno == errno.EINVAL else "disk"
        teller.tell({"failed": kind, "why": error.strerror or ""})


def _find(order: Mapping[str, object], source: BinaryIO, teller: _Teller) -> None:
    threads = _whole(order["threads"])
    seen, paths = find(source, _detector(order["model"], threads), teller.far, threads)
    if len(paths) > _MOST_PATHS:
        raise ValueError("more faces than anybody could look through")
    for path in paths:
        teller.tell({"path": [_row(point) for point in path.points], "looks": path.looks})
    teller.tell({"end": _told(seen)})


def _blur(order: Mapping[str, object], source: BinaryIO, teller: _Teller) -> None:
    rows = order["covers"]
    if not isinstance(rows, list):
        raise ValueError("no covers")
    covers = [
        Cover(each["name"], Path(tuple(Point(at_s, Box(*sides)) for at_s, *sides in each["path"]))) for each in rows
    ]
    with FilePath(str(order["target"])).open("r+b") as target:
        seen = blur(source, target, covers, str(order["note"]), teller.far, _whole(order["threads"]))
        target.flush()
        os.fsync(target.fileno())
    teller.tell({"end": _told(seen)})


def _row(point: Point) -> list[float]:
    box = point.box
    return [round(point.at_s, 4), *(round(each, 1) for each in (box.left, box.top, box.right, box.bottom))]


def _told(seen: Seen) -> dict[str, object]:
    return {name: getattr(seen, name) for name in seen.__slots__}


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError("not a number")
    return value


def _detector(told: object, threads: int) -> FaceDetector:
    """Raises: ModelError."""
    from models.face.detectors import opened_detector

    if not isinstance(told, dict):
        raise ValueError("no model")
    entry = FaceEntry(FilePath(told["folder"]), told["name"], told["version"], Engine(told["engine"]), told["file"])
    return opened_detector(entry, threads, _DETECT_PX, _LEAST_SCORE)


if __name__ == "__main__":
    main()
