"""An FLV file as it streams in: its header, and tags handed to the reader that RTMP uses too. Plain code, no libav.

Source: Adobe Flash Video 10.1, E.2 and E.3.
"""

from pipeline.errors import LimitExceeded, ProtocolError
from pipeline.ingest.rtmp.flv import FlvReader
from pipeline.media import Packet, Track

_HEADER_BYTES = 9
_TAG_HEADER_BYTES, _TRAILER_BYTES = 11, 4
_MAX_HEADER_BYTES = 4096
_AUDIO, _VIDEO, _SCRIPT = 8, 9, 18
_FILTERED = 0x20  # an encrypted tag


class FlvBody:
    """Bytes in, packets out. Bound: one tag of `max_tag_bytes`."""

    def __init__(self, reader: FlvReader, max_tag_bytes: int) -> None:
        self._reader = reader
        self._max_tag_bytes = max_tag_bytes
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = _HEADER_BYTES
        self._has_header = False

    def feed(self, data: bytes, captured_at: float) -> list[tuple[Track, ...] | Packet]:
        """Packets, and before the first of new tracks, those.

        Raises: ProtocolError, CodecUnsupported.
        """
        self._pieces.append(data)
        self._held += len(data)
        if self._held < self._needed:
            return []
        buffer = b"".join(self._pieces) if len(self._pieces) > 1 else data
        found: list[tuple[Track, ...] | Packet] = []
        at = 0 if self._has_header else self._read_header(buffer)
        if self._has_header:
            at = self._read_tags(buffer, at, captured_at, found)
        self._pieces = [buffer[at:]] if at < len(buffer) else []
        self._held = len(buffer) - at
        return found

    def finish(self, captured_at: float) -> list[tuple[Track, ...] | Packet]:
        """What the reader held back, and before it the tracks where they are new."""
        packets = self._reader.finish(captured_at)
        return [self._reader.tracks, *packets] if packets and self._reader.has_new_tracks else [*packets]

    def _read_header(self, buffer: bytes) -> int:
        size = int.from_bytes(buffer[5:9], "big")
        if not buffer.startswith(b"FLV") or not _HEADER_BYTES <= size <= _MAX_HEADER_BYTES:
            raise ProtocolError("the body does not begin as FLV does")
        self._needed = size + _TRAILER_BYTES
        if len(buffer) < self._needed:
            return 0
        self._has_header = True
        return self._needed

    def _read_tags(self, buffer: bytes, at: int, captured_at: float, found: list[tuple[Track, ...] | Packet]) -> int:
        """Where the first tag that is not whole begins."""
        end = len(buffer)
        self._needed = _TAG_HEADER_BYTES
        while end - at >= _TAG_HEADER_BYTES:
            size = int.from_bytes(buffer[at + 1 : at + 4], "big")
            if size > self._max_tag_bytes:
                raise LimitExceeded(f"an FLV tag of {size} bytes; at most {self._max_tag_bytes} are taken")
            whole = _TAG_HEADER_BYTES + size + _TRAILER_BYTES
            if end - at < whole:
                self._needed = whole
                break
            self._read_tag(buffer, at, at + _TAG_HEADER_BYTES + size, captured_at, found)
            at += whole
        return at

    def _read_tag(
        self, buffer: bytes, at: int, end: int, captured_at: float, found: list[tuple[Track, ...] | Packet]
    ) -> None:
        kind = buffer[at]
        if kind & _FILTERED or kind not in (_AUDIO, _VIDEO):
            if kind == _SCRIPT:
                self._reader.promise(buffer[at + _TAG_HEADER_BYTES : end])
            return
        reader = self._reader
        time_ms = int.from_bytes(buffer[at + 4 : at + 7], "big") | buffer[at + 7] << 24
        take = reader.video if kind == _VIDEO else reader.audio
        packet = take(time_ms, buffer, at + _TAG_HEADER_BYTES, end, captured_at)
        if packet is None:
            return
        if reader.has_new_tracks:
            found.append(reader.tracks)
            reader.has_new_tracks = False
        if reader.has_waiting:
            found += reader.take_waiting()
        found.append(packet)
