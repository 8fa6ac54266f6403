"""A demuxer in a process of its own: MPEG-TS or MP4 in, records out. The only place of ingest that holds libav.

Run as `python -m pipeline.ingest.demux FORMAT MEMORY_BYTES`: the body on stdin, records (`records.py`) on stdout. It
never sees a path, a URL or a key, opens no decoder, and may be killed at any moment. stdin may be a file, and is then
sought in; a pipe is read as it comes.
"""

from __future__ import annotations  # PyAV's Packet takes a type argument in its stubs only

import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from io import SEEK_SET
from typing import Protocol

import av
import av.audio.codeccontext
import av.audio.stream
import av.error
import av.logging
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream  # PyAV would import these when it meets such a stream, and the cage opens no file
from av.packet import Packet
from av.stream import Stream

from pipeline.errors import CodecUnsupported, MediaError, ProtocolError
from pipeline.ingest.annexb import AnnexB, AvcSets, HevcSets
from pipeline.ingest.elementary import AdtsAac, AsItIs, Av1, Converter, PrefixedAvc, PrefixedHevc
from pipeline.ingest.records import (
    MAX_COMPOSITION,
    MAX_TIME,
    Codec,
    Kind,
    track_of,
    write_packet,
    write_text,
    write_tracks,
)
from pipeline.jail import confine, limit

_READ_BYTES = 32 * 1024
_HOLD_S = 0.5  # a track that has told no configuration after so much media is not waited for
_HOLD_PACKETS = 200
_ANY_SIZE = 1 << 16  # the parent holds pictures to its settings

_OPTIONS = {
    # libav wants to look at seconds of media before it gives any; all we need is told by the headers or by ourselves.
    # Not `nobuffer`: with it, what was looked at is lost.
    "analyzeduration": "1",
    "fpsprobesize": "0",
    "codec_whitelist": "none",
    "protocol_whitelist": "none",
    "max_streams": "16",
    "merge_pmt_versions": "1",
}


class Source(Protocol):
    """Where the body comes from."""

    def read(self, size: int) -> bytes: ...


class Clamped:
    """A body for libav's buffer: a read never gives more than was asked for, whatever lies below.

    PyAV copies all it is given into a buffer of the size asked for. Source: av/container/pyio.py, pyio_read_gil.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def read(self, size: int) -> bytes:
        return self._read(size)[: max(0, size)]


class ClampedFile(Clamped):
    """The same over a file, where libav may look for what stands at its end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(lambda size: os.read(descriptor, size))
        self._descriptor = descriptor

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)


@dataclass(slots=True)
class _Lane:
    """One stream that is carried, and how its times become ticks of our track."""

    converter: Converter
    time_base: Fraction
    config: bytes = b""
    track_id: int = 0
    ticks: Fraction = Fraction(1)
    step: int = 0
    next_dts: int = 0

    def refresh(self) -> bool:
        """Whether the configuration changed.

        Raises: CodecUnsupported.
        """
        if self.converter.config == self.config:
            return False
        track = track_of(self.converter.codec, self.converter.config, _ANY_SIZE, _ANY_SIZE)
        self.config = self.converter.config
        self.track_id, self.step = track.track_id, track.frame_duration
        self.ticks = self.time_base * track.timescale
        return True

    def times(self, packet: Packet[Stream]) -> tuple[int, int]:
        """(dts, pts) in ticks of the track; where the container tells none or nonsense, next to the one before."""
        dts = packet.dts if packet.dts is not None else packet.pts
        pts = packet.pts if packet.pts is not None else dts
        if dts is None or pts is None:
            own = self.next_dts
            self.next_dts += self.step
            return own, own
        if self.ticks != 1:
            up, down = self.ticks.numerator, self.ticks.denominator
            dts, pts = (2 * dts * up + down) // (2 * down), (2 * pts * up + down) // (2 * down)
        if abs(dts) >= MAX_TIME:
            dts = pts = self.next_dts
        self.next_dts = dts + self.step
        return dts, pts if abs(pts - dts) <= MAX_COMPOSITION else dts


def demux(source: Source, container: str, emit: Callable[[bytes], None]) -> None:
    """Tell all that is in `source` as records, the last an ENDED or a FAILED.

    Raises: OSError: `source` or `emit` did; what the media does wrong is told.
    """
    try:
        with av.open(source, mode="r", format=container, container_options=_OPTIONS, buffer_size=_READ_BYTES) as box:
            lanes = _choose(list(box.streams), container == "mpegts", emit)
            for record in _carry(box.demux(), lanes):
                emit(record)
        emit(write_text(Kind.ENDED))
    except (MediaError, ProtocolError) as error:
        emit(write_text(Kind.FAILED, str(error)))
    except (av.error.FFmpegError, ValueError) as error:
        emit(write_text(Kind.FAILED, f"the body breaks its format or is not {container} ({type(error).__name__})"))
    except MemoryError:
        emit(write_text(Kind.FAILED, "the body asks for more memory than push.child_memory_bytes"))


def _choose(streams: list[Stream], is_transport: bool, emit: Callable[[bytes], None]) -> dict[int, _Lane]:
    """The first picture and the first sound that can be carried, by stream index; the rest is named and left.

    Raises: CodecUnsupported: there is none.
    """
    lanes: dict[int, _Lane] = {}
    names: list[str] = []
    taken: set[str] = set()
    for stream in streams:
        name, extra = "unknown", b""
        if stream.codec_context is not None:  # None where libav knows no such codec
            name, extra = stream.codec_context.name, stream.codec_context.extradata or b""
        converter = None if stream.type in taken else _converter(name, extra, is_transport)
        if converter is None or stream.time_base is None:
            names.append(f"{stream.type} {name}")
            continue
        taken.add(stream.type)
        lanes[stream.index] = _Lane(converter, stream.time_base)
    if not lanes:
        raise CodecUnsupported(f"no track that can be carried among: {', '.join(names) or 'none'}; use H.264 and AAC")
    for name in names:
        emit(write_text(Kind.SKIPPED, name))
    return lanes


def _converter(name: str, extra: bytes, is_transport: bool) -> Converter | None:
    match name:
        case "h264":
            return AnnexB(AvcSets()) if is_transport else PrefixedAvc(extra)
        case "aac":
            return AdtsAac() if is_transport else _as_it_is(Codec.AAC, extra)
        case "hevc":
            return AnnexB(HevcSets()) if is_transport else PrefixedHevc(extra)
        case "opus":
            return _as_it_is(Codec.OPUS, extra)
        case "flac":
            return _as_it_is(Codec.FLAC, extra)
        case "av1" | "libdav1d" | "libaom-av1":  # libav names the decoder it would take
            return Av1(extra) if extra and not is_transport else None
        case _:
            return None


def _as_it_is(codec: Codec, config: bytes) -> Converter | None:
    return AsItIs(codec, config) if config else None


def _carry(packets: Iterator[Packet[Stream]], lanes: dict[int, _Lane]) -> Iterator[bytes]:
    """Records of the lanes' packets. They are held back until every lane has told its configuration, or too long."""
    held: list[bytes] = []
    is_opening = True
    first_s: float | None = None
    has_news = sum(lane.refresh() for lane in lanes.values()) > 0
    for packet in packets:
        lane = lanes.get(packet.stream_index)
        if lane is None or not packet.size:
            continue
        data = lane.converter.convert(bytes(packet))
        if lane.converter.config is not lane.config:
            has_news |= lane.refresh()
        if not data or not lane.config:
            continue
        dts, pts = lane.times(packet)
        record = write_packet(lane.track_id, dts, pts, packet.is_keyframe, data)
        if is_opening:
            now_s = float(dts * lane.time_base / lane.ticks)
            first_s = now_s if first_s is None else first_s
            is_whole = all(each.config for each in lanes.values())
            if not is_whole and abs(now_s - first_s) < _HOLD_S and len(held) < _HOLD_PACKETS:
                held.append(record)
                continue
            is_opening = False
        if has_news:
            has_news = False
            yield _tracks(lanes)
        if held:
            yield from held
            held.clear()
        yield record
    if held:
        yield _tracks(lanes)
        yield from held


def _tracks(lanes: dict[int, _Lane]) -> bytes:
    told = sorted((lane for lane in lanes.values() if lane.config), key=lambda lane: lane.track_id)
    return write_tracks([(lane.converter.codec, lane.config) for lane in told])


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def main() -> None:
    container, memory_bytes = sys.argv[1], int(sys.argv[2])
    limit(memory_bytes)
    av.logging.set_level(av.logging.PANIC)
    source = ClampedFile(0) if stat.S_ISREG(os.fstat(0).st_mode) else Clamped(lambda size: os.read(0, size))
    demux(Clamped(lambda _: b""), container, lambda _: None)  # whatever is imported late is imported now
    _write(write_text(Kind.JAILED, confine()))
    demux(source, container, _write)


if __name__ == "__main__":
    main()
