"""RTMP chunk streams: bytes to messages and back, without I/O.

Set Chunk Size and Abort belong to this layer and are acted on here; every other message is handed on. A message that
lies whole in the received bytes is handed on as a place in them, without a copy.
Source: Adobe RTMP 1.0, 5.3 and 5.4.
"""

import struct
from typing import Protocol

from pipeline.errors import LimitExceeded, ProtocolError

DEFAULT_CHUNK_SIZE = 128
MAX_CHUNK_SIZE = 0xFFFFFF  # no message is longer
MAX_CHUNK_STREAMS = 64  # encoders use three to six
MAX_ASSEMBLING_BYTES = 8 * 1024 * 1024  # of unfinished messages, a connection

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_ACK_SIZE, PEER_BANDWIDTH = 1, 2, 3, 4, 5, 6
AUDIO, VIDEO, DATA_AMF3, COMMAND_AMF3, DATA_AMF0, COMMAND_AMF0, AGGREGATE = 8, 9, 15, 17, 18, 20, 22

_EXTENDED = 0xFFFFFF
_TIME_MASK = 0xFFFFFFFF
_HEADER_BYTES = (11, 7, 3, 0)

_U32 = struct.Struct(">I")
_U32_LE = struct.Struct("<I")
_LENGTH_AND_TYPE = struct.Struct(">I")
_FORM_1 = struct.Struct(">II")  # form and chunk stream (8 bits), time delta (24), length (24), type (8)


class Receiver(Protocol):
    """Takes whole messages. The payload is buffer[start:end]; `buffer` may hold other messages too."""

    def __call__(
        self, type_id: int, stream_id: int, timestamp_ms: int, buffer: bytes, start: int, end: int
    ) -> None: ...


class _ChunkStream:
    """What the last header on one chunk stream said, and the message under way on it."""

    __slots__ = ("extended", "field", "left", "length", "parts", "stream_id", "timestamp", "type_id")

    def __init__(self) -> None:
        self.timestamp = 0
        self.field = 0  # time or time delta of the last header that had one
        self.extended = b""  # the same, as sent in the extended field
        self.length = 0
        self.type_id = 0
        self.stream_id = 0
        self.left = 0  # bytes of the message under way that are still to come; 0: none is under way
        self.parts = bytearray()


class ChunkReader:
    """Bytes in, whole messages to the receiver. After an exception it must not be fed again."""

    def __init__(self, receiver: Receiver, max_message_bytes: int) -> None:
        self._receiver = receiver
        self._max_message_bytes = max_message_bytes
        self._max_assembling_bytes = max(MAX_ASSEMBLING_BYTES, max_message_bytes)
        self._chunk_size = DEFAULT_CHUNK_SIZE
        self._whole_bytes = DEFAULT_CHUNK_SIZE  # the longest message that is one chunk
        self._streams: dict[int, _ChunkStream] = {}
        self._current = _ChunkStream()  # the stream of the chunk under way
        self._chunk_left = 0  # bytes of it that are still to come
        self._rest = b""  # the beginning of a header, at most 17 bytes
        self._assembling_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Received bytes that wait for more."""
        return self._assembling_bytes + len(self._rest)

    def feed(self, data: bytes) -> None:
        """Take what was received.

        Raises: ProtocolError: the bytes are no chunk stream. LimitExceeded: a message, or all unfinished ones
        together, are longer than allowed, or there are too many chunk streams.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at = 0
        end = len(data)
        if self._chunk_left:
            at = self._gather(data, 0, end, self._current, self._chunk_left)
        streams = self._streams
        while at < end:
            if 0x42 <= data[at] < 0x80 and end - at >= 8:
                # the usual case, a whole message of form 1, without a call: a third of the cost of reading
                first, second = _FORM_1.unpack_from(data, at)
                known = streams.get(first >> 24 & 63)
                field, length, type_id = first & _EXTENDED, second >> 8, second & 0xFF
                stop = at + 8 + length
                if (
                    known is not None
                    and not known.left
                    and stop <= end
                    and length <= self._whole_bytes
                    and type_id > ABORT
                    and field != _EXTENDED
                ):
                    known.timestamp = timestamp_ms = (known.timestamp + field) & _TIME_MASK
                    known.field, known.length, known.type_id, known.extended = field, length, type_id, b""
                    self._receiver(type_id, known.stream_id, timestamp_ms, data, at + 8, stop)
                    at = stop
                    continue
            payload = self._read_header(data, at, end)
            if payload < 0:
                self._rest = data[at:]
                return
            stream = self._current
            length = stream.length
            at = payload + length
            if stream.left == length and length <= self._chunk_size and at <= end:
                stream.left = 0
                if stream.type_id > ABORT:
                    self._receiver(stream.type_id, stream.stream_id, stream.timestamp, data, payload, at)
                else:
                    self._control(stream.type_id, data[payload:at])
            else:
                at = self._gather(data, payload, end, stream, min(stream.left, self._chunk_size))

    def _read_header(self, data: bytes, at: int, end: int) -> int:
        """Where the payload of the chunk at `at` begins, or -1 where its header is not whole. Sets `_current`."""
        form = data[at] >> 6
        number = data[at] & 63
        at += 1
        if number < 2:
            if at + number + 1 > end:
                return -1
            extra = number
            number = 64 + data[at] + (data[at + 1] << 8 if extra else 0)
            at += extra + 1
        stop = at + _HEADER_BYTES[form]
        if stop > end:
            return -1
        stream = self._streams.get(number)
        if form == 3:
            return self._continue(stream, data, at)
        field = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
        extended = b""
        if field == _EXTENDED:
            if stop + 4 > end:
                return -1
            extended = data[stop : stop + 4]
            field = int.from_bytes(extended, "big")
            stop += 4
        if stream is None:
            stream = self._open(number, form)
        elif stream.left:
            raise ProtocolError(f"chunk stream {number} begins a message before the last is whole")
        if form < 2:
            word = _LENGTH_AND_TYPE.unpack_from(data, at + 3)[0]
            length = word >> 8
            if length > self._max_message_bytes:
                raise LimitExceeded(f"a message of {length} bytes; rtmp.max_message_bytes is {self._max_message_bytes}")
            stream.length = length
            stream.type_id = word & 0xFF
        if form == 0:
            stream.stream_id = _U32_LE.unpack_from(data, at + 7)[0]
            stream.timestamp = field
        else:
            stream.timestamp = (stream.timestamp + field) & _TIME_MASK
        stream.field = field
        stream.extended = extended
        stream.left = stream.length
        self._current = stream
        return stop

    def _continue(self, stream: _ChunkStream | None, data: bytes, at: int) -> int:
        """A header of form 3: the next part of a message, or a message with the fields of the last.

        Most encoders repeat the extended time here, as the text demands; some do not. Whoever repeats it sends the
        same four bytes again.
        """
        if stream is None:
            raise ProtocolError("a chunk stream begins with a header of form 3")
        if stream.extended:
            found = data[at : at + 4]
            if found == stream.extended:
                at += 4
            elif len(found) < 4 and stream.extended.startswith(found):
                return -1
        if not stream.left:
            stream.left = stream.length
            stream.timestamp = (stream.timestamp + stream.field) & _TIME_MASK
        self._current = stream
        return at

    def _open(self, number: int, form: int) -> _ChunkStream:
        # librtmp opens a chunk stream with form 1, which says all but the stream id
        if form > 1:
            raise ProtocolError(f"chunk stream {number} begins with a header of form {form}")
        if len(self._streams) >= MAX_CHUNK_STREAMS:
            raise LimitExceeded(f"more than {MAX_CHUNK_STREAMS} chunk streams")
        stream = self._streams[number] = _ChunkStream()
        return stream

    def _gather(self, data: bytes, at: int, end: int, stream: _ChunkStream, chunk_left: int) -> int:
        """Keep what is there of a chunk of an unfinished message; hand the message on when it is whole."""
        stop = min(at + chunk_left, end)
        size = stop - at
        self._assembling_bytes += size
        if self._assembling_bytes > self._max_assembling_bytes:
            raise LimitExceeded(f"more than {self._max_assembling_bytes} bytes of unfinished messages")
        stream.parts += memoryview(data)[at:stop]
        stream.left -= size
        self._chunk_left = chunk_left - size
        if not stream.left:
            message = bytes(stream.parts)
            self._drop(stream)
            if stream.type_id > ABORT:
                self._receiver(stream.type_id, stream.stream_id, stream.timestamp, message, 0, len(message))
            else:
                self._control(stream.type_id, message)
        return stop

    def _drop(self, stream: _ChunkStream) -> None:
        self._assembling_bytes -= len(stream.parts)
        stream.parts = bytearray()
        stream.left = 0

    def _control(self, type_id: int, payload: bytes) -> None:
        if type_id not in (SET_CHUNK_SIZE, ABORT) or len(payload) < 4:
            raise ProtocolError(f"a control message of type {type_id} with {len(payload)} bytes")
        value = int.from_bytes(payload[:4], "big")
        if type_id == ABORT:
            stream = self._streams.get(value)
            if stream is not None:
                self._drop(stream)
            return
        if not 1 <= value <= 0x7FFFFFFF:
            raise ProtocolError(f"a chunk size of {value}; it must be between 1 and 2147483647")
        self._chunk_size = min(value, MAX_CHUNK_SIZE)
        self._whole_bytes = min(self._chunk_size, self._max_message_bytes)


def whole_message(
    *, chunk_stream: int, type_id: int, stream_id: int, timestamp_ms: int, payload: bytes, chunk_size: int
) -> bytes:
    """A message with the full header (form 0). chunk_stream: 2..63."""
    field, extended = _time_field(timestamp_ms & _TIME_MASK)
    head = field + len(payload).to_bytes(3, "big") + bytes([type_id]) + _U32_LE.pack(stream_id) + extended
    return bytes([chunk_stream]) + head + _parts(payload, chunk_size, chunk_stream, extended)


def delta_message(*, chunk_stream: int, type_id: int, delta_ms: int, payload: bytes, chunk_size: int) -> bytes:
    """A message `delta_ms` after the last on this chunk stream, of the same stream id (form 1)."""
    field, extended = _time_field(delta_ms)
    head = field + len(payload).to_bytes(3, "big") + bytes([type_id]) + extended
    return bytes([0x40 | chunk_stream]) + head + _parts(payload, chunk_size, chunk_stream, extended)


def _time_field(time_ms: int) -> tuple[bytes, bytes]:
    if time_ms < _EXTENDED:
        return time_ms.to_bytes(3, "big"), b""
    return b"\xff\xff\xff", _U32.pack(time_ms)


def _parts(payload: bytes, chunk_size: int, chunk_stream: int, extended: bytes) -> bytes:
    border = bytes([0xC0 | chunk_stream]) + extended
    return border.join(payload[at : at + chunk_size] for at in range(0, len(payload), chunk_size))
