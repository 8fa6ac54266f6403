"""H.264 and H.265 as MPEG-TS holds them: start codes become lengths, parameter sets the decoder configuration.

Plain code; runs in the demuxer's child.
Source: ITU-T H.264 annex B and 7.3.2; H.265 annex B and 7.3.2; ISO/IEC 14496-15 5.3.3.1 (avcC), 8.3.3.1 (hvcC).
"""

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


class AvcSets:
    """The parameter sets an H.264 stream has told, and the avcC they make; empty until there is one of each."""

    def __init__(self, config: bytes = b"") -> None:
        """Raises: CodecUnsupported: `config` is given and is no avcC."""
        self.config = config
        self._sps: dict[int, bytes] = {}
        self._pps: dict[int, bytes] = {}
        self._has_news = False
        if config:
            read = read_avcc(config)
            for nal in (*read.sps, *read.pps):
                self.learn(nal)
            self._has_news = False

    def learn(self, nal: bytes) -> bool:
        """Whether `nal` is a parameter set. Raises: CodecUnsupported, LimitExceeded."""
        kind = nal[0] & 31
        if kind == _SPS:
            self._has_news |= _learn(self._sps, Bits(nal[4:12], "SPS").ue(), nal)
        elif kind == _PPS:
            self._has_news |= _learn(self._pps, Bits(nal[1:9], "PPS").ue(), nal)
        return kind in (_SPS, _PPS)

    def settle(self) -> bool:
        """Whether what was learnt since the last time makes another `config`. Raises: CodecUnsupported."""
        is_new = self._has_news and bool(self._sps and self._pps)
        if is_new:
            self.config = make_avcc(list(self._sps.values()), list(self._pps.values()))
            self._has_news = False
        return is_new


class AnnexBAvc:
    """H.264 of MPEG-TS: start codes become lengths; parameter sets go into the avcC, delimiters go."""

    codec = Codec.H264

    def __init__(self) -> None:
        self._sets = AvcSets()

    @property
    def config(self) -> bytes:
        return self._sets.config

    def convert(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        for nal in nal_units(data):
            if not self._sets.learn(nal) and nal[0] & 31 != _DELIMITER:
                parts += [len(nal).to_bytes(4, "big"), nal]
        self._sets.settle()
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


class HevcSets:
    """As AvcSets, with the VPS, for an hvcC."""

    def __init__(self, config: bytes = b"") -> None:
        """Raises: CodecUnsupported: `config` is given and is no hvcC."""
        self.config = config
        self._sets: dict[int, dict[int, bytes]] = {_H265_VPS: {}, _H265_SPS: {}, _H265_PPS: {}}
        self._has_news = False
        if config:
            read = read_hvcc(config)
            for nal in (*read.vps, *read.sps, *read.pps):
                self.learn(nal)
            self._has_news = False

    def learn(self, nal: bytes) -> bool:
        """Whether `nal` is a parameter set. Raises: CodecUnsupported, LimitExceeded."""
        kind = nal[0] >> 1 & 63
        sets = self._sets.get(kind)
        if sets is not None:
            self._has_news |= _learn(sets, _set_id(kind, nal), nal)
        return sets is not None

    def settle(self) -> bool:
        """Whether what was learnt since the last time makes another `config`. Raises: CodecUnsupported."""
        is_new = self._has_news and all(self._sets.values())
        if is_new:
            self.config = make_hvcc(self._sets)
            self._has_news = False
        return is_new


class AnnexBHevc:
    """H.265 of MPEG-TS: as AnnexBAvc."""

    codec = Codec.H265

    def __init__(self) -> None:
        self._sets = HevcSets()

    @property
    def config(self) -> bytes:
        return self._sets.config

    def convert(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        for nal in nal_units(data):
            if not self._sets.learn(nal) and nal[0] >> 1 & 63 != _H265_DELIMITER:
                parts += [len(nal).to_bytes(4, "big"), nal]
        self._sets.settle()
        return b"".join(parts) if self.config else b""


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
