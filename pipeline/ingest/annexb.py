"""H.264 and H.265 as MPEG-TS holds them: start codes become lengths, parameter sets the decoder configuration.

Plain code; runs in the demuxer's child.
Source: ITU-T H.264 annex B and 7.3.2; H.265 annex B and 7.3.2; ISO/IEC 14496-15 5.3.3.1 (avcC), 8.3.3.1 (hvcC).
"""

from typing import ClassVar

from pipeline.bits import Bits
from pipeline.codecs.h264 import read_avcc
from pipeline.codecs.h265 import read_hvcc
from pipeline.errors import CodecUnsupported, LimitExceeded
from pipeline.ingest.records import Codec

_START = b"\0\0\1"
_MAX_NAL_UNITS = 4096  # of one picture; the most slices any level allows is 1,700 or so
_MAX_SETS = 31  # parameter sets of a kind; an avcC counts SPS in 5 bits
_SPS, _PPS, _DELIMITER = 7, 8, 9
_PROFILES_WITH_EXTENSION = frozenset({100, 110, 122, 144})

_H265_VPS, _H265_SPS, _H265_PPS, _H265_DELIMITER = 32, 33, 34, 35
_PROFILE_BYTES = 12  # general profile, tier, compatibility, constraints, level


class ParameterSets:
    """The parameter sets a stream has told, and the configuration they make; empty until there is one of each kind."""

    codec: ClassVar[Codec]
    delimiter: ClassVar[int]
    """The NAL unit type that says only where a picture begins."""
    kinds: ClassVar[tuple[int, ...]]

    def __init__(self, config: bytes = b"") -> None:
        """Raises: CodecUnsupported: `config` is given and is no configuration of this codec."""
        self.config = config
        self._sets: dict[int, dict[int, bytes]] = {kind: {} for kind in self.kinds}
        self._has_news = False
        if config:
            for nal in self._read(config):
                self.learn(nal)
            self._has_news = False  # they are in `config` already

    def learn(self, nal: bytes) -> bool:
        """Whether `nal` is a parameter set. Raises: CodecUnsupported, LimitExceeded."""
        kind = self.kind(nal)
        sets = self._sets.get(kind)
        if sets is not None:
            self._has_news |= _learn(sets, self._id(kind, nal), nal)
        return sets is not None

    def settle(self) -> bool:
        """Whether what was learnt since the last time makes another `config`. Raises: CodecUnsupported."""
        is_new = self._has_news and all(self._sets.values())
        if is_new:
            self.config = self._make()
            self._has_news = False
        return is_new

    @staticmethod
    def kind(nal: bytes) -> int:
        """The type of a NAL unit."""
        raise NotImplementedError

    @staticmethod
    def _id(kind: int, nal: bytes) -> int:
        raise NotImplementedError

    @staticmethod
    def _read(config: bytes) -> tuple[bytes, ...]:
        raise NotImplementedError

    def _make(self) -> bytes:
        raise NotImplementedError


class AvcSets(ParameterSets):
    """SPS and PPS of H.264, for an avcC."""

    codec, delimiter, kinds = Codec.H264, _DELIMITER, (_SPS, _PPS)

    @staticmethod
    def kind(nal: bytes) -> int:
        return nal[0] & 31

    @staticmethod
    def _id(kind: int, nal: bytes) -> int:
        return Bits(nal[4:12], "SPS").ue() if kind == _SPS else Bits(nal[1:9], "PPS").ue()

    @staticmethod
    def _read(config: bytes) -> tuple[bytes, ...]:
        read = read_avcc(config)
        return (*read.sps, *read.pps)

    def _make(self) -> bytes:
        return make_avcc(list(self._sets[_SPS].values()), list(self._sets[_PPS].values()))


class HevcSets(ParameterSets):
    """VPS, SPS and PPS of H.265, for an hvcC."""

    codec, delimiter, kinds = Codec.H265, _H265_DELIMITER, (_H265_VPS, _H265_SPS, _H265_PPS)

    @staticmethod
    def kind(nal: bytes) -> int:
        return nal[0] >> 1 & 63

    @staticmethod
    def _id(kind: int, nal: bytes) -> int:
        return _set_id(kind, nal)

    @staticmethod
    def _read(config: bytes) -> tuple[bytes, ...]:
        read = read_hvcc(config)
        return (*read.vps, *read.sps, *read.pps)

    def _make(self) -> bytes:
        return make_hvcc(self._sets)


class AnnexB:
    """H.264 or H.265 of MPEG-TS: start codes become lengths; sets go into the configuration, delimiters go."""

    def __init__(self, sets: ParameterSets) -> None:
        self.codec = sets.codec
        self._sets = sets

    @property
    def config(self) -> bytes:
        return self._sets.config

    def convert(self, data: bytes) -> bytes:
        sets = self._sets
        parts: list[bytes] = []
        for nal in nal_units(data):
            if not sets.learn(nal) and sets.kind(nal) != sets.delimiter:
                parts += [len(nal).to_bytes(4, "big"), nal]
        sets.settle()
        return b"".join(parts) if self.config else b""


def _learn(sets: dict[int, bytes], set_id: int, nal: bytes) -> bool:
    """Whether `nal` is news."""
    if sets.get(set_id) == nal:
        return False
    if len(sets) >= _MAX_SETS and set_id not in sets:
        raise LimitExceeded(f"more than {_MAX_SETS} parameter sets of a kind")
    sets[set_id] = nal
    return True


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B access unit, without start codes and trailing zeros; empty ones are left out.

    Raises: LimitExceeded: more of them than a picture can have.
    """
    units: list[bytes] = []
    start = data.find(_START)
    while start >= 0:
        start += 3
        end = data.find(_START, start)
        nal = (data[start:] if end < 0 else data[start:end]).rstrip(b"\0")
        if nal:
            units.append(nal)
            if len(units) > _MAX_NAL_UNITS:
                raise LimitExceeded(f"a picture of more than {_MAX_NAL_UNITS} NAL units")
        start = end
    return units


def make_avcc(sps: list[bytes], pps: list[bytes]) -> bytes:
    """Raises: CodecUnsupported: an SPS too short to say its profile."""
    first = sps[0]
    if len(first) < 5 or any(len(nal) > 0xFFFF for nal in [*sps, *pps]):
        raise CodecUnsupported(f"an SPS of {len(first)} bytes")
    parts = [b"\1", first[1:4], b"\xff", bytes([0xE0 | len(sps)])]
    for nal in sps:
        parts += [len(nal).to_bytes(2, "big"), nal]
    parts.append(bytes([len(pps)]))
    for nal in pps:
        parts += [len(nal).to_bytes(2, "big"), nal]
    if first[1] in _PROFILES_WITH_EXTENSION:
        bits = Bits(first[4:].replace(b"\0\0\3", b"\0\0"), "SPS")
        bits.ue()  # id
        chroma = bits.ue()
        if chroma == 3:
            bits.flag()  # separate_colour_plane_flag
        luma_bits, chroma_bits = bits.ue(), bits.ue()
        if chroma > 3 or luma_bits > 6 or chroma_bits > 6:
            raise CodecUnsupported("the SPS says a chroma format or bit depth that there is not")
        parts.append(bytes([0xFC | chroma, 0xF8 | luma_bits, 0xF8 | chroma_bits, 0]))
    return b"".join(parts)


def _set_id(kind: int, nal: bytes) -> int:
    if kind == _H265_VPS:
        return Bits(nal[2:3], "VPS").u(4)
    return Bits(nal[2:8], "PPS").ue() if kind == _H265_PPS else _sps_formats(nal)[0]


def make_hvcc(sets: dict[int, dict[int, bytes]]) -> bytes:
    """sets: NAL unit type to the parameter sets of that type, by id; one of each at least.

    Raises: CodecUnsupported: an SPS that ends early, or is larger than the record can say.
    """
    sps = next(iter(sets[_H265_SPS].values()))
    profile = _unescaped(sps)[1 : 1 + _PROFILE_BYTES]
    _, chroma, luma_bits, chroma_bits = _sps_formats(sps)
    # no claim about segmentation (0xF000), parallelism (0xFC) or frame rate; 1 temporal layer, nested, 4-byte lengths
    parts = [b"\1", profile, b"\xf0\0\xfc", bytes([0xFC | chroma, 0xF8 | luma_bits, 0xF8 | chroma_bits, 0, 0, 0x0F])]
    parts.append(bytes([len(sets)]))
    for kind, by_id in sets.items():
        parts.append(bytes([0x80 | kind]) + len(by_id).to_bytes(2, "big"))
        for nal in by_id.values():
            if len(nal) > 0xFFFF:
                raise CodecUnsupported(f"a parameter set of {len(nal)} bytes")
            parts += [len(nal).to_bytes(2, "big"), nal]
    return b"".join(parts)


def _sps_formats(nal: bytes) -> tuple[int, int, int, int]:
    """(id, chroma format, luma depth - 8, chroma depth - 8)."""
    bits = Bits(_unescaped(nal), "SPS")
    bits.u(4)  # VPS id
    sub_layers = bits.u(3)
    bits.flag()
    bits.u(8 * _PROFILE_BYTES)
    presence = [(bits.flag(), bits.flag()) for _ in range(sub_layers)]
    bits.u(2 * (8 - sub_layers) if sub_layers else 0)
    for has_profile, has_level in presence:
        bits.u((88 if has_profile else 0) + (8 if has_level else 0))
    set_id, chroma = bits.ue(), bits.ue()
    if chroma == 3:
        bits.flag()  # separate_colour_plane_flag
    bits.ue()  # width
    bits.ue()  # height
    if bits.flag():
        for _ in range(4):
            bits.ue()  # conformance window
    luma_bits, chroma_bits = bits.ue(), bits.ue()
    if set_id > 15 or chroma > 3 or luma_bits > 7 or chroma_bits > 7:
        raise CodecUnsupported("the SPS says an id, chroma format or bit depth that there is not")
    return set_id, chroma, luma_bits, chroma_bits


def _unescaped(nal: bytes) -> bytes:
    """A parameter set behind its two header bytes, without emulation prevention."""
    return nal[2:].replace(b"\0\0\3", b"\0\0")
