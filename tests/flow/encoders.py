"""A publisher made of FFmpeg's encoders and its RTMP muxer. Run in a process of its own: PyAV holds the interpreter's
lock while it connects, and the server under test could not answer.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

WIDTH, HEIGHT, PICTURES = 128, 96, 30
OPTIONS = {
    "libx264": {"preset": "ultrafast", "g": "10"},
    "libx265": {"preset": "ultrafast", "g": "10", "bf": "2", "x265-params": "log-level=none:pools=1"},
    "libsvtav1": {"preset": "12", "g": "10", "svtav1-params": "lp=1"},
}
RATES_HZ = {"libopus": 48000, "flac": 16000, "pcm_alaw": 8000, "pcm_mulaw": 8000, "aac": 48000}


@dataclass
class Published:
    """What was sent: each packet as the encoder made it, and what it says to the decoder of its pictures."""

    pictures: list[bytes] = field(default_factory=list)
    sounds: list[bytes] = field(default_factory=list)
    extradata: bytes | None = None


def draw(number: int) -> VideoFrame:
    frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for index, plane in enumerate(frame.planes):
        plane.update(bytes((at * (index + 1) // 7 + number * 9) % 256 for at in range(plane.buffer_size)))
    frame.pts, frame.time_base = number, Fraction(1, 25)
    return frame


def speak(voice: AudioStream, number: int) -> AudioFrame:
    """A frame of a tone that grows and fades."""
    context = voice.codec_context
    size, rate_hz = context.frame_size or 1024, context.sample_rate
    times_s = [(number * size + at) / rate_hz for at in range(size)]
    values = [math.sin(t * 2 * math.pi * 440) * math.sin(t * 2 * math.pi * 1.5) for t in times_s]
    frame = AudioFrame(context.format.name, "mono", size)
    is_float = context.format.name.startswith("flt")
    raw = struct.pack(f"<{size}f", *values) if is_float else struct.pack(f"<{size}h", *[int(v * 20000) for v in values])
    frame.planes[0].update(raw.ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, number * size, Fraction(1, rate_hz)
    return frame


def publish(url: str, video: str | None, sound: str | None) -> Published:
    """Encode and publish what lasts PICTURES pictures; blocks."""
    done = Published()
    with av.open(url, "w", format="flv") as box:
        picture: VideoStream | None = None
        voice: AudioStream | None = None
        if video is not None:
            made = box.add_stream(video, rate=25, options=OPTIONS[video])
            assert isinstance(made, VideoStream)
            picture = made
            picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if sound is not None:
            added = box.add_stream(sound, rate=RATES_HZ[sound], layout="mono")
            assert isinstance(added, AudioStream)
            voice = added
        spoken = 0
        for number in range(PICTURES):
            if picture is not None:
                done.pictures += _send(box, picture.encode(draw(number)))
            while voice is not None and spoken * (voice.codec_context.frame_size or 1024) * 25 < number * voice.rate:
                done.sounds += _send(box, voice.encode(speak(voice, spoken)))
                spoken += 1
        if picture is not None:
            done.pictures += _send(box, picture.encode(None))
        if voice is not None:
            done.sounds += _send(box, voice.encode(None))
        if picture is not None:
            done.extradata = picture.codec_context.extradata
    return done


def _send(
    box: OutputContainer, packets: "Sequence[Packet[VideoStream]] | Sequence[Packet[AudioStream]]"
) -> list[bytes]:
    raw = [bytes(packet) for packet in packets if packet.size]  # before the muxer takes them
    box.mux(packets)
    return raw
