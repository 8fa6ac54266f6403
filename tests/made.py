"""Media and clocks made in memory for tests."""

from dataclasses import dataclass

from pipeline import fmp4
from pipeline.media import AUDIO_TRACK, VIDEO_TRACK, Device, Fragment, Packet, Track
from pipeline.simulate.synthetic import make_avcc

AVCC = make_avcc()
VIDEO = Track(VIDEO_TRACK, "video", "avc1." + AVCC[1:4].hex(), AVCC, 90000, width=1280, height=720, frame_duration=3600)
AUDIO = Track(AUDIO_TRACK, "audio", "mp4a.40.2", b"\x11\x88", 48000, rate_hz=48000, channels=1, frame_duration=1024)
DEVICE = Device("dev_test", "camera", "officer", "unit")


@dataclass
class ManualClock:
    """A clock that moves when told."""

    now_s: float = 1000.0
    utc_offset_s: float = 1_700_000_000.0

    def utc_s(self) -> float:
        return self.now_s + self.utc_offset_s

    def monotonic_s(self) -> float:
        return self.now_s


def packet(dts: int, *, track: Track = VIDEO, is_key: bool = False, composition: int = 0, size: int = 100) -> Packet:
    """A packet whose bytes are one length-prefixed NAL unit of zeros."""
    data = (size - 4).to_bytes(4, "big") + bytes(size - 4)
    return Packet(track.track_id, dts, dts + composition, is_key, data, 1_700_000_000.0 + dts / track.timescale)


def fragment(sequence: int, pts_s: float, *, is_key: bool, size: int = 100, duration_s: float = 0.04) -> Fragment:
    """A video fragment at `pts_s`."""
    dts, duration = round(pts_s * 90000), round(duration_s * 90000)
    data = fmp4.fragment(sequence, VIDEO_TRACK, dts, 0, duration, is_key, bytes(size))
    return Fragment(sequence, VIDEO_TRACK, is_key, dts, dts, duration, pts_s, duration_s, 0.0, data)
