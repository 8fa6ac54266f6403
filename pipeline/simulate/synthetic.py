"""A stream made from code alone: H.264 and AAC of the right structure, sizes and pace, whose pictures mean nothing.

For load: what carries and records media does not look into it. A decoder would only find noise.
"""

import random
from dataclasses import dataclass

WIDTH, HEIGHT = 1280, 720
FRAMES_PER_S = 25
GOP_FRAMES = 50
AUDIO_RATE_HZ = 48_000
AUDIO_CONFIG = bytes.fromhex("1190")  # AAC-LC, 48 kHz, stereo
LOOP_S = 8  # the shortest whole number of seconds with a whole number of sound frames
_AUDIO_FRAMES = LOOP_S * AUDIO_RATE_HZ // 1024
_AUDIO_BYTES_PER_S = 16_000
_KEY_WEIGHT = 8  # a key frame is this many times larger than another
_PPS = bytes.fromhex("68ce3c80")
_IDR_SLICE, _SLICE = 0x65, 0x41


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One picture (length-prefixed NAL units) or one raw AAC frame. time_ms: from the beginning of the loop."""

    is_video: bool
    is_key: bool
    time_ms: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SyntheticStream:
    """Access units in the order they are sent; they repeat after duration_ms."""

    avcc: bytes
    audio_config: bytes
    duration_ms: int
    access_units: tuple[AccessUnit, ...]


def synthetic_stream(bits_per_s: int = 2_000_000, seed: int = 1) -> SyntheticStream:
    """1280x720, 25 pictures a second, a key frame every 2 s, 48 kHz stereo sound; the same bytes for the same seed."""
    noise = _noise(seed)
    video_bytes_per_gop = (bits_per_s // 8 - _AUDIO_BYTES_PER_S) * GOP_FRAMES // FRAMES_PER_S
    picture_bytes = max(16, video_bytes_per_gop // (GOP_FRAMES - 1 + _KEY_WEIGHT))
    units = [_picture(index, picture_bytes, noise) for index in range(LOOP_S * FRAMES_PER_S)]
    units += [_sound(index, noise) for index in range(_AUDIO_FRAMES)]
    units.sort(key=lambda unit: (unit.time_ms, not unit.is_video))
    return SyntheticStream(make_avcc(), AUDIO_CONFIG, LOOP_S * 1000, tuple(units))


def make_avcc() -> bytes:
    """The avcC of the synthetic pictures."""
    sps = make_sps()
    return b"".join(
        [
            bytes([1, sps[1], sps[2], sps[3], 0xFF, 0xE1]),
            len(sps).to_bytes(2, "big"),
            sps,
            b"\x01",
            len(_PPS).to_bytes(2, "big"),
            _PPS,
        ]
    )


def _picture(index: int, size: int, noise: bytes) -> AccessUnit:
    is_key = index % GOP_FRAMES == 0
    size *= _KEY_WEIGHT if is_key else 1
    nal = bytes([_IDR_SLICE if is_key else _SLICE]) + _cut(noise, index, size - 5)
    return AccessUnit(True, is_key, index * 1000 // FRAMES_PER_S, len(nal).to_bytes(4, "big") + nal)


def _sound(index: int, noise: bytes) -> AccessUnit:
    size = _AUDIO_BYTES_PER_S * 1024 // AUDIO_RATE_HZ
    return AccessUnit(False, False, round(index * 1024 * 1000 / AUDIO_RATE_HZ), _cut(noise, index, size))


def _cut(noise: bytes, index: int, size: int) -> bytes:
    repeated = noise * (size // len(noise) + 2)
    start = index * 37 % len(noise)
    return repeated[start : start + size]


def _noise(seed: int) -> bytes:
    """Bytes without a zero, so that no start code or emulation prevention can be in them."""
    return random.Random(seed).randbytes(65_536).replace(b"\0", b"\x5a")


class _BitWriter:
    def __init__(self) -> None:
        self._bits = ""

    def u(self, value: int, size: int) -> None:
        self._bits += f"{value:0{size}b}"

    def ue(self, value: int) -> None:
        code = f"{value + 1:b}"
        self._bits += "0" * (len(code) - 1) + code

    def rbsp(self) -> bytes:
        """With the stop bit, and with emulation prevention."""
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        raw = int(bits, 2).to_bytes(len(bits) // 8, "big")
        escaped = bytearray()
        zeros = 0
        for byte in raw:
            if zeros == 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return bytes(escaped)


def make_sps(width: int = WIDTH, height: int = HEIGHT, frames_per_s: int = FRAMES_PER_S) -> bytes:
    """A Main profile SPS, level 3.1, with timing. width: a multiple of 16; height: even."""
    bits = _BitWriter()
    bits.u(0x4D401F, 24)
    bits.ue(0)  # id
    bits.ue(0)  # log2_max_frame_num_minus4
    bits.ue(2)  # pic_order_cnt_type: output order is decoding order
    bits.ue(1)  # max_num_ref_frames
    bits.u(0, 1)  # gaps_in_frame_num_value_allowed_flag
    bits.ue(width // 16 - 1)
    rows = -(-height // 16)
    bits.ue(rows - 1)
    bits.u(0b11, 2)  # frame_mbs_only_flag, direct_8x8_inference_flag
    cropped = rows * 16 - height
    bits.u(1 if cropped else 0, 1)
    if cropped:
        for side in (0, 0, 0, cropped // 2):
            bits.ue(side)
    bits.u(1, 1)  # VUI
    bits.u(0b0000, 4)  # no aspect ratio, overscan, video signal type, chroma location
    bits.u(1, 1)  # timing
    bits.u(1, 32)
    bits.u(2 * frames_per_s, 32)
    bits.u(1, 1)  # fixed_frame_rate_flag
    bits.u(0b0000, 4)  # no HRD twice, no pic_struct, no bitstream restriction
    return b"\x67" + bits.rbsp()
