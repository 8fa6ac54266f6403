"""FLV tag bodies, as RTMP carries them, to tracks and packets, whatever their codec.

Source: Adobe Flash Video 10.1, E.4; Veovera Enhanced RTMP v2.
"""

import struct
from dataclasses import replace

from pipeline.codecs.aac import track_from_audio_config
from pipeline.codecs.av1 import check_obus, track_from_av1c, without_delimiter
from pipeline.codecs.flac import track_from_flac_header
from pipeline.codecs.g711 import FlacFromG711, Law
from pipeline.codecs.h264 import read_avcc, track_from_avcc
from pipeline.codecs.h265 import read_hvcc, track_from_hvcc
from pipeline.codecs.nal import prefixed_nal_units, with_long_nal_lengths
from pipeline.codecs.opus import packet_duration, track_from_opus_head
from pipeline.codecs.picture import VIDEO_TIMESCALE
from pipeline.errors import LimitExceeded, ProtocolError
from pipeline.ingest.annexb import AvcSets, HevcSets, ParameterSets
from pipeline.ingest.records import track_of
from pipeline.ingest.rtmp.tags import Content, Tag, read_audio_tag, read_video_tag
from pipeline.media import AUDIO_TRACK, VIDEO_TRACK, Packet, Track, TrackKind
from pipeline.rtmp import amf0

_TICKS_PER_MS = VIDEO_TIMESCALE // 1000
_WRAP = 1 << 32
_AVC_KEY, _AVC_INTER, _AAC = 0x17, 0x27, 0xA0
_CODED_FRAMES = 1
_MAX_G711_BYTES = 16_384  # of one tag: 2 s; devices send 20 to 128 ms
_HOLD_MS = 1000  # of media, for a track that was promised and has not come; then the stream begins without it
_HOLD_BYTES = 2 * 1024 * 1024
_MAX_SCRIPT_BYTES = 65_536  # encoders send some 500
_PROMISES: dict[str, TrackKind] = {"videocodecid": "video", "audiocodecid": "audio"}
_LAWS: dict[str, Law] = {"pcm_alaw": "pcm_alaw", "pcm_mulaw": "pcm_mulaw"}
_COMPOSITION = struct.Struct(">i")


class FlvReader:
    """One publisher's tags in the order they came. Time stamps are unwrapped, and nothing else is done to them.

    What comes before a track that the publisher promised is held, so that the stream begins with all of its tracks and
    not with a file for each. Bound: 1 s of media and 2 MiB; then the stream begins without it.
    """

    def __init__(self, max_width: int, max_height: int) -> None:
        """max_width, max_height: of the largest picture accepted, pixels."""
        self._max_width = max_width
        self._max_height = max_height
        self._video: Track | None = None
        self._video_codec = ""  # of `_video`, as in Tag.codec
        self._video_config = b""
        self._is_avc = False  # whether `_video` is H.264 and nothing is held: what the quick way asks
        self._nal_length_bytes = 4
        self._sets: ParameterSets | None = None  # what `_video` was made from, where parameter sets say it
        self._audio: Track | None = None
        self._audio_codec = ""
        self._audio_config = b""
        self._is_aac = False
        self._audio_rate_hz = 0
        self._unheard: Track | None = None  # Opus whose first packet has still to say how long it lasts
        self._flac: FlacFromG711 | None = None
        self._missing: set[TrackKind] = set()  # promised, and not come; empty once a packet was given out
        self._held_bytes = 0
        self._held_from_ms = 0
        self._has_begun = False
        self._waiting: list[Packet] = []
        self._last_ms = -1  # as it came, 32 bits
        self._time_ms = 0  # unwrapped
        self.has_new_tracks = False
        """Whether `tracks` changed; the caller clears it once the publication has them."""
        self.has_waiting = False
        """Whether `take_waiting` holds packets that stand before the one returned last."""

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks from here on."""
        return tuple(track for track in (self._video, self._audio) if track is not None)

    def late_s(self, now: float) -> float:
        """How long ago (UTC seconds) the first of the packets that wait came; 0 where none does."""
        return now - self._waiting[0].captured_at if self._waiting else 0.0

    def take_waiting(self) -> list[Packet]:
        """Packets to publish before the one returned last; clears `has_waiting`. Bound: one tag's, or what was held."""
        self.has_waiting = False
        waiting, self._waiting = self._waiting, []
        return waiting

    def promise(self, script: bytes) -> None:
        """Take what a script tag (onMetaData) says will come. It is a claim: nothing else in it is believed."""
        if self._has_begun or len(script) > _MAX_SCRIPT_BYTES:
            return
        try:
            values = amf0.read(script)
        except ProtocolError:
            return
        for value in values:
            if isinstance(value, dict):
                self._missing |= {kind for name, kind in _PROMISES.items() if value.get(name)}

    def finish(self, captured_at: float) -> list[Packet]:
        """What was held back: a stream shorter than the hold, the last part of a block of sound."""
        blocks = self._flac.finish() if self._flac is not None else []
        last = [Packet(AUDIO_TRACK, time, time, False, frame, captured_at) for time, frame in blocks]
        return [*self.take_waiting(), *last]

    def video(self, timestamp_ms: int, buffer: bytes, start: int, end: int, captured_at: float) -> Packet | None:
        """The picture in the video tag buffer[start:end], or None where it holds none.

        Raises: CodecUnsupported, ProtocolError.
        """
        if end - start < 5:
            return None  # an empty tag or a command frame: encoders send them at the end
        first = buffer[start]
        if (first != _AVC_KEY and first != _AVC_INTER) or buffer[start + 1] != _CODED_FRAMES or not self._is_avc:
            return self._rare_video(timestamp_ms, buffer[start:end], captured_at)
        offset_ms = _COMPOSITION.unpack_from(buffer, start + 1)[0] & 0xFFFFFF
        if offset_ms & 0x800000:
            offset_ms -= 0x1000000
        if first == _AVC_KEY or self._nal_length_bytes != 4 or end - start == 5:
            return self._picture(timestamp_ms, offset_ms, first == _AVC_KEY, buffer[start + 5 : end], captured_at)
        dts = self._unwrap(timestamp_ms) * _TICKS_PER_MS
        pts = dts + offset_ms * _TICKS_PER_MS
        return Packet(VIDEO_TRACK, dts, pts, False, buffer[start + 5 : end], captured_at)

    def audio(self, timestamp_ms: int, buffer: bytes, start: int, end: int, captured_at: float) -> Packet | None:
        """The sound frame in the audio tag buffer[start:end], or None where it holds none.

        Raises: CodecUnsupported, ProtocolError.
        """
        if end - start < 2:
            return None
        if buffer[start] & 0xF0 != _AAC or buffer[start + 1] != _CODED_FRAMES or not self._is_aac:
            return self._rare_audio(timestamp_ms, buffer[start:end], captured_at)
        return self._sound(timestamp_ms, buffer[start + 2 : end], captured_at)

    def _picture(
        self, timestamp_ms: int, offset_ms: int, is_key: bool, data: bytes, captured_at: float
    ) -> Packet | None:
        if self._video_codec == "av01":
            data = without_delimiter(data)
            if is_key:
                check_obus(data)
        else:
            if self._nal_length_bytes != 4:
                data = with_long_nal_lengths(data, self._nal_length_bytes)
            if is_key:
                self._learn_in_band(data)
        if not data:
            return None
        dts = self._unwrap(timestamp_ms) * _TICKS_PER_MS
        return Packet(VIDEO_TRACK, dts, dts + offset_ms * _TICKS_PER_MS, is_key, data, captured_at)

    def _sound(self, timestamp_ms: int, data: bytes, captured_at: float) -> Packet | None:
        if not data:
            return None
        time = (self._unwrap(timestamp_ms) * self._audio_rate_hz + 500) // 1000
        return Packet(AUDIO_TRACK, time, time, False, data, captured_at)

    def _unwrap(self, timestamp_ms: int) -> int:
        """Milliseconds on an axis that does not wrap: the moment nearest to the last that fits the 32 bits."""
        if self._last_ms < 0:
            self._time_ms = timestamp_ms
        else:
            step = timestamp_ms - self._last_ms
            if step < -0x80000000:
                step += _WRAP
            elif step >= 0x80000000:
                step -= _WRAP
            self._time_ms += step
        self._last_ms = timestamp_ms
        return self._time_ms

    def _rare_video(self, timestamp_ms: int, tag: bytes, captured_at: float) -> Packet | None:
        """Everything but a plain H.264 picture."""
        head = read_video_tag(tag)
        if head.content is Content.CONFIGURATION:
            self._configure_video(head.codec, tag[head.body_at :])
        if head.content is not Content.FRAME or head.codec != self._video_codec:
            return None
        packet = self._picture(timestamp_ms, head.composition_ms, head.is_key, tag[head.body_at :], captured_at)
        return packet if packet is None or self._has_begun else self._hold(packet)

    def _rare_audio(self, timestamp_ms: int, tag: bytes, captured_at: float) -> Packet | None:
        """Everything but a plain AAC frame."""
        packet = self._other_sound(timestamp_ms, tag, captured_at)
        return packet if packet is None or self._has_begun else self._hold(packet)

    def _hold(self, packet: Packet) -> Packet | None:
        """`packet`, once all that was promised is there or has been waited for; until then it waits."""
        if not self._held_bytes:
            self._held_from_ms = self._time_ms
        self._held_bytes += len(packet.data)
        is_early = self._time_ms - self._held_from_ms < _HOLD_MS and self._held_bytes < _HOLD_BYTES
        if self._missing and is_early:
            self._waiting.append(packet)
            return None
        self._has_begun = True
        self._missing.clear()
        self._is_avc = self._video_codec == "avc1"
        self._is_aac = self._audio_codec == "mp4a"
        self.has_waiting = bool(self._waiting)
        return packet

    def _other_sound(self, timestamp_ms: int, tag: bytes, captured_at: float) -> Packet | None:
        head = read_audio_tag(tag)
        if head.content is Content.NOTHING:
            return None
        body = tag[head.body_at :]
        if head.codec in _LAWS:
            return self._telephone(timestamp_ms, head, body, captured_at)
        if head.content is Content.CONFIGURATION:
            self._configure_audio(head.codec, body)
        if head.content is not Content.FRAME or head.codec != self._audio_codec:
            return None
        if self._unheard is not None and body:
            self._set_audio(replace(self._unheard, frame_duration=packet_duration(body)))
        return self._sound(timestamp_ms, body, captured_at)

    def _telephone(self, timestamp_ms: int, head: Tag, data: bytes, captured_at: float) -> Packet | None:
        """G.711, which no browser plays in MP4, as FLAC."""
        if len(data) > _MAX_G711_BYTES:
            raise LimitExceeded(f"a sound tag of {len(data)} bytes of G.711; at most {_MAX_G711_BYTES}")
        if not data:
            return None
        law = _LAWS[head.codec]
        if self._flac is None or not self._flac.fits(law, head.channels):
            self._flac = FlacFromG711(law, head.channels)
            self._audio_codec, self._audio_config, self._is_aac = head.codec, b"", False
            self._set_audio(self._flac.track)
        time = self._unwrap(timestamp_ms) * self._audio_rate_hz // 1000
        packets = [
            Packet(AUDIO_TRACK, block_time, block_time, False, frame, captured_at)
            for block_time, frame in self._flac.feed(data, time)
        ]
        if not packets:
            return None
        self._waiting += packets[:-1]
        self.has_waiting = bool(self._waiting)
        return packets[-1]

    def _configure_video(self, codec: str, config: bytes) -> None:
        if codec == self._video_codec and config == self._video_config:
            return  # many encoders send it before every key frame
        width, height, nal_length_bytes = self._max_width, self._max_height, 4
        match codec:
            case "avc1":
                track = track_from_avcc(config, max_width=width, max_height=height)
                nal_length_bytes = read_avcc(config).nal_length_bytes
            case "hvc1":
                track = track_from_hvcc(config, max_width=width, max_height=height)
                nal_length_bytes = read_hvcc(config).nal_length_bytes
            case _:
                track = track_from_av1c(config, max_width=width, max_height=height)
        self._video_codec, self._video_config = codec, config
        self._is_avc = codec == "avc1" and self._has_begun
        self._nal_length_bytes = nal_length_bytes
        self._sets = None
        self._set_video(track)

    def _configure_audio(self, codec: str, config: bytes) -> None:
        if codec == self._audio_codec and config == self._audio_config:
            return
        match codec:
            case "mp4a":
                track = track_from_audio_config(config)
            case "Opus":
                track = track_from_opus_head(config)
            case _:
                track = track_from_flac_header(config)
        self._audio_codec, self._audio_config = codec, config
        self._is_aac = codec == "mp4a" and self._has_begun
        self._flac = None
        if codec == "Opus":
            self._unheard = track
        else:
            self._set_audio(track)

    def _learn_in_band(self, data: bytes) -> None:
        """A key frame may bring other parameter sets than the configuration said: then the picture has another form.

        Raises: ProtocolError: the NAL lengths do not add up. CodecUnsupported: the new form is not carried.
        """
        units = prefixed_nal_units(data)
        if self._video is None:
            return
        if self._sets is None:
            self._sets = (AvcSets if self._video_codec == "avc1" else HevcSets)(self._video.config)
        for nal in units:
            self._sets.learn(nal)
        if self._sets.settle():
            self._set_video(track_of(self._sets.codec, self._sets.config, self._max_width, self._max_height))

    def _set_video(self, track: Track) -> None:
        self._missing.discard("video")
        if track != self._video:
            self._video = track
            self.has_new_tracks = True

    def _set_audio(self, track: Track) -> None:
        self._unheard = None
        self._missing.discard("audio")
        self._audio_rate_hz = track.timescale
        if track != self._audio:
            self._audio = track
            self.has_new_tracks = True
