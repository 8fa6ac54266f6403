"""An HLS playlist: what is there and where. Plain code; every size has a bound; fetches nothing.

Source: RFC 8216 4.1 to 4.3.
"""

import re
from dataclasses import dataclass

from pipeline.errors import CodecUnsupported, LimitExceeded, ProtocolError

MAX_BYTES = 1024 * 1024
_MAX_SEGMENTS = 10_000
_MAX_VARIANTS = 64
_MAX_TARGET_S = 60
_MAX_SEQUENCE = 1 << 62
_ATTRIBUTE = re.compile(r'([A-Z0-9-]{1,64})=(?:"([^"]{0,4096})"|([^",]{0,4096}))(?:,|$)')
_NUMBER = re.compile(r"[0-9]{1,19}")
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?")
_CARRIED = re.compile(r"(?:avc[13]|hvc1|hev1|mp4a\.40)\b|opus$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes somewhere. span: the first byte and how many; None: all of it."""

    uri: str
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """begin: what has to be read before it (EXT-X-MAP); is_break: it does not go on from the one before;
    is_gap: there is nothing to fetch.
    """

    sequence: int
    length_s: float
    piece: Piece
    begin: Piece | None
    is_break: bool
    is_gap: bool


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    target_s: float
    segments: tuple[Segment, ...]
    is_ended: bool


@dataclass(frozen=True, slots=True)
class Variant:
    """codecs, width, height: empty or 0 where not told; has_apart: its sound is a playlist of its own."""

    uri: str
    bandwidth: int
    codecs: tuple[str, ...]
    width: int
    height: int
    has_apart: bool

    @property
    def is_carried(self) -> bool:
        return all(_CARRIED.match(codec) for codec in self.codecs)


def read_playlist(body: bytes) -> MediaPlaylist | tuple[Variant, ...]:
    """A media playlist, or the variants of a master playlist.

    Raises: ProtocolError, LimitExceeded; CodecUnsupported: it is encrypted.
    """
    if len(body) > MAX_BYTES:
        raise LimitExceeded(f"a playlist of more than {MAX_BYTES} bytes")
    try:
        lines = [line.strip() for line in body.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise ProtocolError("a playlist that is no UTF-8") from error
    if lines[0] != "#EXTM3U":
        raise ProtocolError("what the address gives is no playlist")
    if any(line.startswith("#EXT-X-STREAM-INF:") for line in lines):
        return _read_master(lines)
    return _MediaReader().read(lines)


def choose(variants: tuple[Variant, ...], max_width: int, max_height: int) -> Variant:
    """The highest that can be carried whole; one whose sound lies apart only where there is no other.

    Raises: CodecUnsupported: there is none.
    """
    fitting = [each for each in variants if each.is_carried and each.width <= max_width and each.height <= max_height]
    if not fitting:
        raise CodecUnsupported("the playlist offers no variant of H.264 or H.265 with AAC or Opus that fits the limits")
    return max(fitting, key=lambda each: (not each.has_apart, each.bandwidth))


def _read_master(lines: list[str]) -> tuple[Variant, ...]:
    apart: set[str] = set()
    found: list[Variant] = []
    told: dict[str, str] | None = None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "#EXT-X-MEDIA":
            attributes = _attributes(value)
            if attributes.get("TYPE") == "AUDIO" and attributes.get("URI"):
                apart.add(attributes.get("GROUP-ID", ""))
        elif name == "#EXT-X-SESSION-KEY":
            _refuse_key(_attributes(value))
        elif name == "#EXT-X-STREAM-INF":
            told = _attributes(value)
        elif line and not line.startswith("#") and told is not None:
            if len(found) >= _MAX_VARIANTS:
                raise LimitExceeded(f"a playlist of more than {_MAX_VARIANTS} variants")
            found.append(_variant(line, told, apart))
            told = None
    return tuple(found)


def _variant(uri: str, told: dict[str, str], apart: set[str]) -> Variant:
    codecs = tuple(codec.strip() for codec in told.get("CODECS", "").split(",") if codec.strip())
    width, _, height = told.get("RESOLUTION", "").partition("x")
    bandwidth = _whole(told.get("BANDWIDTH", "0"), "BANDWIDTH")
    return Variant(uri, bandwidth, codecs, _side(width), _side(height), told.get("AUDIO", "") in apart)


def _side(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 6 else 0


class _MediaReader:
    """The state that tags leave for the segments after them."""

    def __init__(self) -> None:
        self._target_s = 0.0
        self._sequence = 0
        self._segments: list[Segment] = []
        self._begin: Piece | None = None
        self._span = ""
        self._last: tuple[str, int] = ("", 0)
        self._length_s: float | None = None
        self._is_break = self._is_gap = self._is_ended = False

    def read(self, lines: list[str]) -> MediaPlaylist:
        for line in lines[1:]:
            if line.startswith("#EXT"):
                self._take_tag(*line.partition(":")[::2])
            elif line and not line.startswith("#"):
                self._take_uri(line)
        if not 0 < self._target_s <= _MAX_TARGET_S:
            raise ProtocolError(f"a playlist without a target duration up to {_MAX_TARGET_S} s")
        return MediaPlaylist(self._target_s, tuple(self._segments), self._is_ended)

    def _take_tag(self, name: str, value: str) -> None:
        match name:
            case "#EXTINF":
                self._length_s = _seconds(value.partition(",")[0])
            case "#EXT-X-TARGETDURATION":
                self._target_s = _seconds(value)
            case "#EXT-X-MEDIA-SEQUENCE":
                if self._segments:
                    raise ProtocolError("a media sequence number after the first segment")
                self._sequence = _whole(value, "the media sequence")
                if self._sequence > _MAX_SEQUENCE:
                    raise LimitExceeded("a media sequence number beyond all use")
            case "#EXT-X-KEY":
                _refuse_key(_attributes(value))
            case "#EXT-X-MAP":
                told = _attributes(value)
                if not told.get("URI"):
                    raise ProtocolError("EXT-X-MAP without a URI")
                span = _span(told["BYTERANGE"], 0) if "BYTERANGE" in told else None
                self._begin = Piece(told["URI"], span)
            case "#EXT-X-BYTERANGE":
                self._span = value
            case "#EXT-X-DISCONTINUITY":
                self._is_break = True
            case "#EXT-X-GAP":
                self._is_gap = True
            case "#EXT-X-ENDLIST":
                self._is_ended = True

    def _take_uri(self, uri: str) -> None:
        if self._length_s is None:
            raise ProtocolError("a segment without EXTINF")
        if len(self._segments) >= _MAX_SEGMENTS:
            raise LimitExceeded(f"a playlist of more than {_MAX_SEGMENTS} segments")
        span = None
        if self._span:
            after = self._last[1] if self._last[0] == uri else None
            span = _span(self._span, after)
            self._last = (uri, sum(span))
        sequence = self._sequence + len(self._segments)
        piece = Piece(uri, span)
        self._segments.append(Segment(sequence, self._length_s, piece, self._begin, self._is_break, self._is_gap))
        self._span, self._length_s, self._is_break, self._is_gap = "", None, False, False


def _span(text: str, after: int | None) -> tuple[int, int]:
    """(first byte, size). after: where it begins when it does not say; None: it has to."""
    size, _, first = text.partition("@")
    if not first and after is None:
        raise ProtocolError("a byte range that says no beginning")
    found = (_whole(first, "a byte range") if first else after or 0, _whole(size, "a byte range"))
    if not found[1]:
        raise ProtocolError("a byte range of nothing")
    return found


def _seconds(text: str) -> float:
    if not _SECONDS.fullmatch(text):
        raise ProtocolError("a duration of a playlist is no number")
    return float(text)


def _refuse_key(told: dict[str, str]) -> None:
    method = told.get("METHOD", "")
    if method != "NONE":
        known = method if method in ("AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR") else "another method"
        raise CodecUnsupported(f"the playlist is encrypted ({known}), which is not carried; ask for it in clear")


def _attributes(text: str) -> dict[str, str]:
    """Source: RFC 8216 4.2."""
    return {name: quoted or bare for name, quoted, bare in _ATTRIBUTE.findall(text)}


def _whole(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ProtocolError(f"{what} of a playlist is no number")
    return int(text)
