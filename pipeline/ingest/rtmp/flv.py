"""FLV tag bodies, as RTMP carries them, to tracks and packets. Refuses by name what we cannot carry.

Source: Adobe Flash Video 10.1, E.4; Veovera Enhanced RTMP v2.
"""

import struct

from pipeline.codecs import (
    VIDEO_TIMESCALE,
    check_nal_lengths,
    read_avcc,
    track_from_audio_config,
    track_from_avcc,
    with_long_nal_lengths,
)
from pipeline.errors import CodecUnsupported, ProtocolError
from pipeline.media import AUDIO_TRACK, VIDEO_TRACK, Packet, Track

_TICKS_PER_MS = VIDEO_TIMESCALE // 1000
_WRAP = 1 << 32

_AVC_KEY, _AVC_INTER, _AAC = 0x17, 0x27, 0xA0
_KEY_FRAME, _COMMAND_FRAME = 1, 5
_SEQUENCE_START, _CODED_FRAMES, _SEQUENCE_END, _CODED_FRAMES_X = 0, 1, 2, 3
_METADATA, _MULTITRACK_VIDEO, _MULTITRACK_AUDIO, _MOD_EX = 4, 6, 5, 7
_AUDIO_EX_HEADER = 9

_VIDEO_CODECS = {2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 5: "VP6 with alpha", 6: "Screen video 2", 12: "HEVC"}
_AUDIO_CODECS = {0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser"}
_AUDIO_CODECS |= {7: "G.711 A-law", 8: "G.711 mu-law", 11: "Speex", 13: "Opus", 14: "MP3"}
_FOUR_CCS = {b"hvc1": "HEVC", b"vvc1": "VVC", b"av01": "AV1", b"vp08": "VP8", b"vp09": "VP9"}
_FOUR_CCS |= {b"Opus": "Opus", b"fLaC": "FLAC", b"ac-3": "AC-3", b"ec-3": "E-AC-3", b".mp3": "MP3"}
_REMEDY = "set the device to H.264 video and AAC sound"

_COMPOSITION = struct.Struct(">i")


class FlvReader:
    """One publisher's tags in the order they came. Time stamps are unwrapped, and nothing else is done to them."""

    def __init__(self, max_width: int, max_height: int) -> None:
        """max_width, max_height: of the largest picture accepted, pixels."""
        self._max_width = max_width
        self._max_height = max_height
        self._video: Track | None = None
        self._audio: Track | None = None
        self._nal_length_bytes = 4
        self._video_config = b""
        self._audio_rate_hz = 0
        self._last_ms = -1  # as it came, 32 bits
        self._time_ms = 0  # unwrapped
        self.has_new_tracks = False

    def take_tracks(self) -> tuple[Track, ...]:
        """The tracks from here on; clears `has_new_tracks`."""
        self.has_new_tracks = False
        return tuple(track for track in (self._video, self._audio) if track is not None)

    def video(self, timestamp_ms: int, buffer: bytes, start: int, end: int, captured_at: float) -> Packet | None:
        """The picture in the video tag buffer[start:end], or None where it holds none.

        Raises: CodecUnsupported, ProtocolError.
        """
        if end - start < 5:
            return None  # an empty tag or a command frame: encoders send them at the end
        first = buffer[start]
        if (first != _AVC_KEY and first != _AVC_INTER) or buffer[start + 1] != _CODED_FRAMES or self._video is None:
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
        if end - start < 3:
            return None
        if buffer[start] & 0xF0 != _AAC or buffer[start + 1] != _CODED_FRAMES or self._audio is None:
            return self._rare_audio(timestamp_ms, buffer[start:end], captured_at)
        return self._sound(timestamp_ms, buffer[start + 2 : end], captured_at)

    def _picture(
        self, timestamp_ms: int, offset_ms: int, is_key: bool, data: bytes, captured_at: float
    ) -> Packet | None:
        if not data:
            return None
        if self._nal_length_bytes != 4:
            data = with_long_nal_lengths(data, self._nal_length_bytes)
        elif is_key:
            check_nal_lengths(data)
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
        """Everything but a plain H.264 picture: configurations, Enhanced RTMP, what we must refuse."""
        kind = tag[0] >> 4 & 7
        if tag[0] & 0x80:
            return self._enhanced_video(timestamp_ms, kind, tag, captured_at)
        codec = tag[0] & 15
        if kind == _COMMAND_FRAME:
            return None
        if codec != 7:
            raise _unsupported(_VIDEO_CODECS.get(codec, "unknown"), f"FLV video codec {codec}")
        if tag[1] == _SEQUENCE_START:
            self._configure_video(tag[5:])
            return None
        if tag[1] != _CODED_FRAMES or self._video is None:
            return None
        offset_ms = int.from_bytes(tag[2:5], "big", signed=True)
        return self._picture(timestamp_ms, offset_ms, kind == _KEY_FRAME, tag[5:], captured_at)

    def _enhanced_video(self, timestamp_ms: int, kind: int, tag: bytes, captured_at: float) -> Packet | None:
        packet_type, at = _skip_modifiers(tag)
        if packet_type == _MULTITRACK_VIDEO:
            raise _unsupported("several video tracks", "Enhanced RTMP multitrack")
        if packet_type == _METADATA or kind == _COMMAND_FRAME:
            return None
        four_cc = tag[at : at + 4]
        at += 4
        if four_cc != b"avc1":
            raise _unsupported(_FOUR_CCS.get(four_cc, "unknown"), f"fourCC {_printable(four_cc)}")
        if packet_type == _SEQUENCE_START:
            self._configure_video(tag[at:])
        offset_ms = 0
        if packet_type == _CODED_FRAMES:
            offset_ms = int.from_bytes(tag[at : at + 3], "big", signed=True)
            at += 3
        if packet_type not in (_CODED_FRAMES, _CODED_FRAMES_X) or self._video is None:
            return None
        return self._picture(timestamp_ms, offset_ms, kind == _KEY_FRAME, tag[at:], captured_at)

    def _rare_audio(self, timestamp_ms: int, tag: bytes, captured_at: float) -> Packet | None:
        codec = tag[0] >> 4
        if codec == _AUDIO_EX_HEADER:
            return self._enhanced_audio(timestamp_ms, tag, captured_at)
        if codec != 10:
            raise _unsupported(_AUDIO_CODECS.get(codec, "unknown"), f"FLV sound format {codec}")
        if tag[1] == _SEQUENCE_START:
            self._configure_audio(tag[2:])
        return None

    def _enhanced_audio(self, timestamp_ms: int, tag: bytes, captured_at: float) -> Packet | None:
        packet_type, at = _skip_modifiers(tag)
        if packet_type == _MULTITRACK_AUDIO:
            raise _unsupported("several sound tracks", "Enhanced RTMP multitrack")
        four_cc = tag[at : at + 4]
        at += 4
        if four_cc != b"mp4a":
            raise _unsupported(_FOUR_CCS.get(four_cc, "unknown"), f"fourCC {_printable(four_cc)}")
        if packet_type == _SEQUENCE_START:
            self._configure_audio(tag[at:])
        if packet_type != _CODED_FRAMES or self._audio is None:
            return None
        return self._sound(timestamp_ms, tag[at:], captured_at)

    def _configure_video(self, avcc: bytes) -> None:
        if avcc == self._video_config:
            return  # many encoders send it before every key frame
        track = track_from_avcc(avcc, max_width=self._max_width, max_height=self._max_height)
        self._nal_length_bytes = read_avcc(avcc).nal_length_bytes
        self._video_config = avcc
        if track != self._video:
            self._video = track
            self.has_new_tracks = True

    def _configure_audio(self, config: bytes) -> None:
        if self._audio is not None and config == self._audio.config:
            return
        self._audio = track_from_audio_config(config)
        self._audio_rate_hz = self._audio.timescale
        self.has_new_tracks = True


def _skip_modifiers(tag: bytes) -> tuple[int, int]:
    """Packet type of an Enhanced RTMP tag and where its fourCC begins, after any ModEx."""
    packet_type, at = tag[0] & 15, 1
    while packet_type == _MOD_EX:
        size = tag[at] + 1 if at < len(tag) else 0
        at += 1
        if size == 256:
            size = int.from_bytes(tag[at : at + 2], "big") + 1
            at += 2
        at += size + 1
        if at > len(tag):
            raise ProtocolError("an Enhanced RTMP tag ends within its modifiers")
        packet_type = tag[at - 1] & 15
    return packet_type, at


def _unsupported(name: str, found: str) -> CodecUnsupported:
    return CodecUnsupported(f"{name} ({found}) cannot be carried; {_REMEDY}")


def _printable(four_cc: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in four_cc)
