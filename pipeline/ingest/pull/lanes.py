"""RTP media to tracks and packets: decode order from the reorder depth, one axis for picture and sound. Plain code.

Source: RFC 3550 6.4.1 (sender reports); RFC 2326 12.33 (RTP-Info); ITU-T H.264 E.2.1, H.265 7.4.3.2.1.
"""

import heapq
import struct
from dataclasses import replace

from pipeline.codecs.g711 import RATE_HZ as G711_HZ
from pipeline.codecs.g711 import FlacFromG711, Law
from pipeline.codecs.h264 import read_avcc, read_sps
from pipeline.codecs.h265 import read_hevc_sps, read_hvcc
from pipeline.codecs.opus import packet_duration
from pipeline.codecs.picture import VIDEO_TIMESCALE
from pipeline.errors import CodecUnsupported, ProtocolError
from pipeline.ingest.annexb import AvcSets, HevcSets, ParameterSets
from pipeline.ingest.records import Codec, track_of
from pipeline.media import AUDIO_TRACK, VIDEO_TRACK, Packet, Track
from pipeline.rtsp.payloads import Aac, Depacketiser, Pictures, Unit, Whole, audio_config, parameter_sets
from pipeline.rtsp.rtp import Order, RtpPacket, SenderReport, Unwrapped
from pipeline.rtsp.sdp import Media

_LAWS: dict[str, Law] = {"PCMA": "pcm_alaw", "PCMU": "pcm_mulaw"}
_H265_KEYS = range(16, 22)
_MAX_DEPTH = 16
_JUMP_S = 10  # further than this the source counts anew
_ALIGNED_S = 0.005  # reports that differ less than this change nothing
_BELIEVED_S = 60.0  # reports that would move sound further than this are wrong


class DecodeOrder:
    """Decode times of pictures that come in decode order with presentation times only; nothing is delayed for it.

    With at most `depth` pictures before one that is shown earlier, the n-th decode time is the (n-depth)-th
    presentation time. A stream that says too little depth is given more.
    """

    def __init__(self, depth: int, step: int) -> None:
        self._depth = depth
        self._step = step
        self._times: list[int] = []
        self._last: int | None = None
        self._first = 0
        self._highest = 0

    def feed(self, pts: int) -> int:
        """The decode time; it grows strictly, but for a new count of the source."""
        if self._last is None or abs(pts - self._highest) > _JUMP_S * VIDEO_TIMESCALE:
            self._times, self._last, self._highest, self._first = [], None, pts, pts
        self._highest = max(self._highest, pts)
        heapq.heappush(self._times, pts)
        if len(self._times) <= self._depth:
            dts = self._first - (self._depth + 1 - len(self._times)) * self._step
        else:
            dts = heapq.heappop(self._times)
        if self._last is not None and dts <= self._last:
            if self._depth < _MAX_DEPTH:
                self._depth += 1
                heapq.heappush(self._times, dts)
            dts = self._last + 1
        self._last = dts
        return dts


class Lane:
    """One media of a source: packets of RTP in, packets of ours out. `track` is None until its form is known."""

    def __init__(self, media: Media, window_s: float) -> None:
        self.media = media
        self.track: Track | None = None
        self.order = Order(window_s)
        self.ssrc = 0
        self.offset = 0
        """Where the lane's own zero lies on the common axis, in 1/90,000 s."""
        self.zero_ntp_s: float | None = None
        """The sender's wall clock at the lane's zero, from its reports."""
        self.depacketiser: Depacketiser
        self._unwrapped = Unwrapped()
        self._base: int | None = None
        self._start: int | None = None

    def start_at(self, timestamp: int) -> None:
        """RTP-Info: this time of RTP is the zero. To be called before the first packet."""
        self._start = timestamp

    def feed(self, packet: RtpPacket, is_broken: bool, captured_at: float, since_s: float) -> list[Packet]:
        """since_s: from the first packet of the source to now; where the lane begins when nothing else tells.

        Raises: ProtocolError, CodecUnsupported.
        """
        self.ssrc = packet.ssrc
        time = self._unwrapped(packet.timestamp)
        if self._base is None:
            told = None if self._start is None else self._unwrapped.near(self._start)
            is_told = told is not None and abs(time - told) < _JUMP_S * self.media.clock_hz
            self._base = told if is_told else time
            if not is_told:
                self.offset = round(since_s * VIDEO_TIMESCALE)
        units = self.depacketiser.feed(packet, is_broken)
        return [each for unit in units for each in self._convert(unit, captured_at)] if units else []

    def report(self, report: SenderReport) -> None:
        time = self._unwrapped.near(report.timestamp)
        if time is not None and self._base is not None and report.ssrc == self.ssrc:
            self.zero_ntp_s = report.ntp_s - (time - self._base) / self.media.clock_hz

    def finish(self, captured_at: float) -> list[Packet]:
        """What was held back."""
        del captured_at
        return []

    def _time(self, timestamp: int, timescale: int) -> int:
        clock_hz = self.media.clock_hz
        ticks = (self._unwrapped.near(timestamp) or 0) - (self._base or 0)
        whole = clock_hz * VIDEO_TIMESCALE
        return ((ticks * VIDEO_TIMESCALE + self.offset * clock_hz) * timescale + whole // 2) // whole

    def _convert(self, unit: Unit, captured_at: float) -> list[Packet]:
        raise NotImplementedError


class PictureLane(Lane):
    """H.264 or H.265; begins with a key frame."""

    def __init__(self, media: Media, window_s: float, max_width: int, max_height: int, max_bytes: int) -> None:
        super().__init__(media, window_s)
        self._is_hevc = media.encoding == "H265"
        self._sets: ParameterSets = HevcSets() if self._is_hevc else AvcSets()
        self._limits = (max_width, max_height)
        self._order = DecodeOrder(0, 1)
        self._has_begun = False
        self.pictures = Pictures(self._is_hevc, max_bytes)
        self.depacketiser = self.pictures
        for nal in parameter_sets(media):
            self._sets.learn(nal)
        self._settle()

    def _settle(self) -> None:
        if not self._sets.settle():
            return
        config = self._sets.config
        self.track = track_of(self._sets.codec, config, *self._limits)
        if self._is_hevc:
            depth = read_hevc_sps(read_hvcc(config).sps[0]).reorder
        else:
            depth = read_sps(read_avcc(config).sps[0]).reorder
        if not self._has_begun:
            self._order = DecodeOrder(depth or 0, self.track.frame_duration)

    def _convert(self, unit: Unit, captured_at: float) -> list[Packet]:
        parts: list[bytes] = []
        is_key = False
        for nal in unit.parts:
            kind = self._sets.kind(nal)
            if self._sets.learn(nal) or kind == self._sets.delimiter:
                continue
            is_key |= kind in _H265_KEYS if self._is_hevc else kind == 5
            parts += [len(nal).to_bytes(4, "big"), nal]
        self._settle()
        self._has_begun |= is_key and self.track is not None
        if not parts or not self._has_begun:
            return []
        pts = self._time(unit.timestamp, VIDEO_TIMESCALE)
        return [Packet(VIDEO_TRACK, self._order.feed(pts), pts, is_key, b"".join(parts), captured_at)]


class SoundLane(Lane):
    """AAC or Opus."""

    def __init__(self, media: Media, window_s: float, max_bytes: int) -> None:
        super().__init__(media, window_s)
        self._is_opus = media.encoding == "OPUS"
        if self._is_opus:
            channels = 2 if media.format.get("sprop-stereo") == "1" else 1
            head = b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 0, 48_000, 0, 0)
            self._found = track_of(Codec.OPUS, head, 0, 0)
            self.depacketiser = Whole()
        else:
            self._found = track_of(Codec.AAC, audio_config(media), 0, 0)
            ticks = self._found.frame_duration * media.clock_hz // self._found.timescale
            self.depacketiser = Aac(media, ticks, max_bytes)
            self.track = self._found

    def _convert(self, unit: Unit, captured_at: float) -> list[Packet]:
        data = unit.parts[0]
        if self.track is None:
            self.track = replace(self._found, frame_duration=packet_duration(data))
        time = self._time(unit.timestamp, self.track.timescale)
        return [Packet(AUDIO_TRACK, time, time, False, data, captured_at)]


class TelephoneLane(Lane):
    """G.711, as FLAC."""

    def __init__(self, media: Media, window_s: float) -> None:
        super().__init__(media, window_s)
        if media.clock_hz != G711_HZ or media.channels not in (1, 2):
            raise CodecUnsupported(f"G.711 of {media.clock_hz} Hz and {media.channels} channels")
        self._flac = FlacFromG711(_LAWS[media.encoding], media.channels)
        self.track = self._flac.track
        self.depacketiser = Whole()

    def _convert(self, unit: Unit, captured_at: float) -> list[Packet]:
        blocks = self._flac.feed(unit.parts[0], self._time(unit.timestamp, G711_HZ))
        return [Packet(AUDIO_TRACK, time, time, False, frame, captured_at) for time, frame in blocks]

    def finish(self, captured_at: float) -> list[Packet]:
        return [Packet(AUDIO_TRACK, time, time, False, frame, captured_at) for time, frame in self._flac.finish()]


def lane_of(media: Media, window_s: float, max_width: int, max_height: int, max_bytes: int) -> Lane | None:
    """None where nobody here can carry it. Raises: CodecUnsupported, ProtocolError."""
    match media.encoding:
        case "H264" | "H265":
            return PictureLane(media, window_s, max_width, max_height, max_bytes)
        case "MPEG4-GENERIC" | "OPUS":
            return SoundLane(media, window_s, max_bytes)
        case "PCMA" | "PCMU":
            return TelephoneLane(media, window_s)
        case _:
            return None


def align(lanes: list[Lane]) -> None:
    """Put sound where its sender's reports say it belongs beside the picture; the picture never moves."""
    if len(lanes) != 2:
        return
    picture, sound = lanes
    if picture.zero_ntp_s is None or sound.zero_ntp_s is None:
        return
    offset = picture.offset + round((sound.zero_ntp_s - picture.zero_ntp_s) * VIDEO_TIMESCALE)
    if _ALIGNED_S < abs(offset - sound.offset) / VIDEO_TIMESCALE < _BELIEVED_S:
        sound.offset = offset


def check_channel(channel: int, lanes: list[Lane]) -> Lane:
    """The lane of an interleaved channel, media or control. Raises: ProtocolError: no such channel was set up."""
    if channel >= 2 * len(lanes):
        raise ProtocolError(f"a packet on channel {channel}, which was not set up")
    return lanes[channel // 2]
