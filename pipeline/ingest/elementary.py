"""Elementary streams as MP4 holds them and AAC as MPEG-TS does, to what our tracks hold. (`annexb.py`: the pictures.)

Plain code; runs in the demuxer's child. A converter's `config` is empty until the stream has told it.
Source: ISO/IEC 14496-15 5.3.3.1, 8.3.3.1; ISO/IEC 13818-7 6.2 (ADTS), 14496-3 1.6.2.1.
"""

from typing import Protocol

from pipeline.codecs.av1 import check_obus, without_delimiter
from pipeline.codecs.h264 import read_avcc
from pipeline.codecs.h265 import read_hvcc
from pipeline.codecs.nal import with_long_nal_lengths
from pipeline.errors import CodecUnsupported, ProtocolError
from pipeline.ingest.records import Codec

_ADTS_BYTES, _ADTS_CRC_BYTES = 7, 2


class Converter(Protocol):
    """One stream's access units as we carry them."""

    codec: Codec

    @property
    def config(self) -> bytes: ...

    def convert(self, data: bytes) -> bytes:
        """The access unit, empty where there is nothing to carry; `config` is brought up to date first.

        Raises: CodecUnsupported, ProtocolError.
        """
        ...


class AsItIs:
    """A stream that its container holds as we do, its configuration told beforehand."""

    def __init__(self, codec: Codec, config: bytes) -> None:
        self.codec = codec
        self.config = config

    def convert(self, data: bytes) -> bytes:
        return data


class Av1:
    """AV1 of MP4, without the delimiters that some writers leave in."""

    codec = Codec.AV1

    def __init__(self, av1c: bytes) -> None:
        self.config = av1c

    def convert(self, data: bytes) -> bytes:
        data = without_delimiter(data)
        check_obus(data)
        return data


class PrefixedAvc:
    """H.264 of MP4: length-prefixed already, though the lengths may be short."""

    codec = Codec.H264

    def __init__(self, avcc: bytes) -> None:
        read = read_avcc(avcc)
        self.config = read.record
        self._nal_length_bytes = read.nal_length_bytes

    def convert(self, data: bytes) -> bytes:
        return data if self._nal_length_bytes == 4 else with_long_nal_lengths(data, self._nal_length_bytes)


class PrefixedHevc:
    """The same for H.265."""

    codec = Codec.H265

    def __init__(self, hvcc: bytes) -> None:
        read = read_hvcc(hvcc)
        self.config = read.record
        self._nal_length_bytes = read.nal_length_bytes

    def convert(self, data: bytes) -> bytes:
        return data if self._nal_length_bytes == 4 else with_long_nal_lengths(data, self._nal_length_bytes)


class AdtsAac:
    """AAC of MPEG-TS: the header of each frame goes, and what it says becomes an AudioSpecificConfig."""

    codec = Codec.AAC

    def __init__(self) -> None:
        self.config = b""
        self._head = b""

    def convert(self, data: bytes) -> bytes:
        if len(data) <= _ADTS_BYTES or data[0] != 0xFF or data[1] & 0xF6 != 0xF0:
            raise ProtocolError("an AAC frame without an ADTS header")
        header_bytes = _ADTS_BYTES + (0 if data[1] & 1 else _ADTS_CRC_BYTES)
        size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
        if not header_bytes <= size <= len(data) or data[6] & 3:
            raise ProtocolError("an ADTS header whose length does not fit, or with several frames in one")
        head = bytes([data[2], data[3] & 0xC0])
        if head != self._head:
            self._head = head
            object_type, rate = (head[0] >> 6) + 1, head[0] >> 2 & 15
            layout = (head[0] & 1) << 2 | head[1] >> 6
            if not layout:
                raise CodecUnsupported("AAC whose ADTS names no channel layout; use mono or stereo")
            self.config = (object_type << 11 | rate << 7 | layout << 3).to_bytes(2, "big")
        return data[header_bytes:size]
