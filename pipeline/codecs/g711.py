"""G.711 to FLAC without a loss, for players that know no telephone sound: one class, bytes in, FLAC frames out.

Every byte of G.711 stands for one 16-bit value, and FLAC gives that value back, so the device's bytes can be had again
(of µ-law's two bytes for silence, 0x7F comes back as 0xFF).
Source: ITU-T G.711 (11/88), tables 1 and 2.
"""

from typing import Literal, TypeAlias

from pipeline.codec_strings import codec_string
from pipeline.codecs.flac import FlacEncoder, streaminfo
from pipeline.media import AUDIO_TRACK, Track

Law: TypeAlias = Literal["pcm_alaw", "pcm_mulaw"]
RATE_HZ = 8000
_BLOCK = 320  # samples of a frame: 40 ms, the length of a picture; devices send tags of 20, 40 or 128 ms


def _alaw(byte: int) -> int:
    byte ^= 0x55
    exponent, mantissa = byte >> 4 & 7, byte & 15
    size = mantissa << 4 | 8 if exponent == 0 else (mantissa << 4 | 0x108) << (exponent - 1)
    return size if byte & 0x80 else -size


def _mulaw(byte: int) -> int:
    byte = ~byte & 0xFF
    size = ((byte & 15) << 3 | 0x84) << (byte >> 4 & 7)
    return 0x84 - size if byte & 0x80 else size - 0x84


VALUES: dict[Law, tuple[int, ...]] = {
    "pcm_alaw": tuple(_alaw(byte) for byte in range(256)),
    "pcm_mulaw": tuple(_mulaw(byte) for byte in range(256)),
}
"""The 16-bit value of each byte."""
_WASTED_BITS: dict[Law, int] = {"pcm_alaw": 3, "pcm_mulaw": 2}  # A-law has 13 bits, µ-law 14
_SHORT_VALUES = {law: [value >> _WASTED_BITS[law] for value in values] for law, values in VALUES.items()}


class FlacFromG711:
    """One stream's sound in blocks of 40 ms, however the device cuts it. `track` describes what comes out."""

    def __init__(self, law: Law, channels: int) -> None:
        """channels: 1 or 2, interleaved."""
        self._law = law
        self._channels = channels
        self._encoder = FlacEncoder(RATE_HZ, channels)
        self._held = b""  # less than a block
        self._held_at = 0
        config = streaminfo(RATE_HZ, channels, _BLOCK)
        self.track = Track(
            track_id=AUDIO_TRACK,
            kind="audio",
            codec=codec_string("fLaC", config),
            config=config,
            timescale=RATE_HZ,
            rate_hz=RATE_HZ,
            channels=channels,
            frame_duration=_BLOCK,
            origin=f"{law} → flac, lossless",
        )

    def fits(self, law: Law, channels: int) -> bool:
        return self._law == law and self._channels == channels

    def feed(self, data: bytes, at: int) -> list[tuple[int, bytes]]:
        """The whole blocks up to now as (time, FLAC frame). at: 8 kHz ticks of the first sample in `data`."""
        size = _BLOCK * self._channels
        at -= len(self._held) // self._channels
        data = self._held + data
        whole = len(data) - len(data) % size
        frames = [
            (at + start // self._channels, self._frame(data[start : start + size])) for start in range(0, whole, size)
        ]
        self._held, self._held_at = data[whole:], at + whole // self._channels
        return frames

    def finish(self) -> list[tuple[int, bytes]]:
        """What was held for a whole block, as a last, shorter one."""
        data, self._held = self._held[: len(self._held) - len(self._held) % self._channels], b""
        return [(self._held_at, self._frame(data))] if data else []

    def _frame(self, data: bytes) -> bytes:
        values, channels = _SHORT_VALUES[self._law], self._channels
        samples = [list(map(values.__getitem__, data[channel::channels])) for channel in range(channels)]
        return self._encoder.frame(samples, _WASTED_BITS[self._law])
