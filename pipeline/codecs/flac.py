"""FLAC: a STREAMINFO to a track, and a small lossless encoder for 16-bit sound at telephone rates.

The encoder tries the fixed predictors of order 0 to 2, one Rice parameter a frame, and takes the shortest; that is what
a voice of 8 kHz needs. Bits are strings looked up a sample: in plain Python nothing else was as quick.
Source: RFC 9639, 8.2 (STREAMINFO), 9 (frames), 9.2.5 (fixed predictors), 9.2.7 (Rice).
"""

from collections.abc import Sequence
from operator import sub

from pipeline.codec_strings import codec_string
from pipeline.errors import CodecUnsupported
from pipeline.media import AUDIO_TRACK, Track

_MAGIC = b"fLaC"
STREAMINFO_BYTES = 34
_BLOCK_HEAD_BYTES = 4
_LEAST_BLOCK = 16
MOST_BLOCK = 65_535
_BITS = 16
_RATE_CODES = {8000: 4, 16000: 5, 24000: 7, 32000: 8, 44100: 9, 48000: 10}
_FIXED_SYNC = b"\xff\xf8"  # every frame has the same number of samples
_SIZE_IN_16_BITS, _SIXTEEN_BITS = 7, 4
_CONSTANT, _VERBATIM, _FIXED = 0, 1, 8
_LARGEST_RICE = 11  # above it nothing is saved against plain samples of 13 or 14 bits
_LONGEST_RUN = 24  # zeros before a Rice code's one; longer codes are not kept in the tables, so that these stay small


def track_from_flac_header(header: bytes) -> Track:
    """The FLAC track; `config` is the STREAMINFO. header: with or without the magic, with or without the block's head.

    Raises: CodecUnsupported: it holds no STREAMINFO, or one that no decoder takes.
    """
    info = header.removeprefix(_MAGIC)
    if len(info) > STREAMINFO_BYTES and info[0] & 0x7F == 0 and info[1:4] == STREAMINFO_BYTES.to_bytes(3, "big"):
        info = info[_BLOCK_HEAD_BYTES : _BLOCK_HEAD_BYTES + STREAMINFO_BYTES]
    if len(info) != STREAMINFO_BYTES:
        raise CodecUnsupported("the FLAC configuration holds no STREAMINFO")
    block = int.from_bytes(info[2:4], "big")
    fields = int.from_bytes(info[10:14], "big")
    rate_hz, channels, bits = fields >> 12, (fields >> 9 & 7) + 1, (fields >> 4 & 31) + 1
    if block < _LEAST_BLOCK or not 1000 <= rate_hz <= 192_000 or not 4 <= bits <= 32:
        raise CodecUnsupported(f"FLAC of {rate_hz} Hz, {bits} bits and blocks of {block} samples")
    return Track(
        track_id=AUDIO_TRACK,
        kind="audio",
        codec=codec_string("fLaC", info),
        config=info,
        timescale=rate_hz,
        rate_hz=rate_hz,
        channels=channels,
        frame_duration=block,
    )


def streaminfo(rate_hz: int, channels: int, block_samples: int) -> bytes:
    """The STREAMINFO of an endless stream of 16-bit samples in blocks of `block_samples`."""
    fields = rate_hz << 44 | (channels - 1) << 41 | (_BITS - 1) << 36
    return block_samples.to_bytes(2, "big") * 2 + bytes(6) + fields.to_bytes(8, "big") + bytes(16)


class FlacEncoder:
    """One stream's frames, counted from 0."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        """rate_hz: one that a frame header can say. channels: 1 to 8."""
        self._codes = bytes([_SIZE_IN_16_BITS << 4 | _RATE_CODES[rate_hz], (channels - 1) << 4 | _SIXTEEN_BITS << 1])
        self._number = 0

    def frame(self, channels: Sequence[list[int]], wasted_bits: int = 0) -> bytes:
        """One frame of equally long channels, 1 to MOST_BLOCK samples each.

        Samples are 16-bit values without their lowest `wasted_bits`, which were 0.
        """
        size = len(channels[0])
        head = _FIXED_SYNC + self._codes + _coded_number(self._number) + (size - 1).to_bytes(2, "big")
        head += bytes([_crc8(head)])
        self._number = (self._number + 1) & 0x7FFFFFFF
        bits = "".join([_subframe(samples, _BITS - wasted_bits, wasted_bits) for samples in channels])
        frame = head + (int(bits, 2) << -len(bits) % 8).to_bytes((len(bits) + 7) // 8, "big")
        return frame + _crc16(frame).to_bytes(2, "big")


def _subframe(samples: list[int], bits: int, wasted_bits: int) -> str:
    """The bits of one channel."""
    waste = f"1{1:0{wasted_bits}b}" if wasted_bits else "0"
    first = samples[0]
    if samples.count(first) == len(samples):
        return f"0{_CONSTANT:06b}{waste}{first & _mask(bits):0{bits}b}"
    order, residual, total = 0, samples, sum(map(abs, samples))
    following = samples
    for candidate in (1, 2):
        if len(following) < 2:
            break
        following = list(map(sub, following[1:], following))
        if (sum_ := sum(map(abs, following))) < total:
            order, residual, total = candidate, following, sum_
    parameter = _rice_parameter(total, len(residual))
    if parameter > _LARGEST_RICE:
        return f"0{_VERBATIM:06b}{waste}" + _plain(samples, bits)
    head = f"0{_FIXED | order:06b}{waste}{_plain(samples[:order], bits)}00{0:04b}{parameter:04b}"
    return head + "".join(map(_RICE[parameter].__getitem__, residual))


def _plain(samples: list[int], bits: int) -> str:
    mask = _mask(bits)
    return "".join([f"{sample & mask:0{bits}b}" for sample in samples])


def _mask(bits: int) -> int:
    return (1 << bits) - 1


def _rice_parameter(total: int, count: int) -> int:
    """The parameter that suits residuals of which `count` have the sum `total` of their absolute values."""
    mean = 2 * total // count  # of the numbers that are coded: twice the size, the sign in the lowest bit
    return max(0, (mean * 45 >> 6).bit_length() - 1) if mean else 0  # ln 2: half of them shall lie below 2 ** parameter


class _RiceCodes(dict[int, str]):
    """The codes of one parameter by residual, made when first asked for. Bound: _LONGEST_RUN << parameter entries."""

    def __init__(self, parameter: int) -> None:
        super().__init__()
        self._parameter = parameter

    def __missing__(self, residual: int) -> str:
        folded = residual << 1 if residual >= 0 else ~(residual << 1)
        run = folded >> self._parameter
        low = folded & _mask(self._parameter)
        code = "0" * run + "1" + (f"{low:0{self._parameter}b}" if self._parameter else "")
        if run < _LONGEST_RUN:
            self[residual] = code
        return code


_RICE = tuple(_RiceCodes(parameter) for parameter in range(_LARGEST_RICE + 1))


def _coded_number(number: int) -> bytes:
    """`number` of at most 31 bits in the way of UTF-8."""
    if number < 0x80:
        return bytes([number])
    more = 1
    while number >> (6 * more) >= 1 << (6 - more):
        more += 1
    lead = (0xFF00 >> (more + 1)) & 0xFF
    return bytes([lead | number >> 6 * more, *(0x80 | number >> 6 * left & 0x3F for left in range(more - 1, -1, -1))])


def _crc_table(polynomial: int, width: int) -> list[int]:
    table = []
    for byte in range(256):
        value = byte << (width - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> (width - 1) & 1 else 0)) & _mask(width)
        table.append(value)
    return table


_CRC8, _CRC16 = _crc_table(0x07, 8), _crc_table(0x8005, 16)


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


def _crc16(data: bytes) -> int:
    crc = 0
    table = _CRC16
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ table[crc >> 8 ^ byte]
    return crc
