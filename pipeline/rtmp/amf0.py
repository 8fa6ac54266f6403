"""AMF0: the values of RTMP commands. Reads within bounds of depth, count and length; writes what our answers need.

Source: Adobe, Action Message Format -- AMF 0 (2007).
"""

import struct
from typing import TypeAlias

from pipeline.errors import LimitExceeded, ProtocolError

Value: TypeAlias = "bool | float | str | list[Value] | dict[str, Value] | None"

MAX_DEPTH = 8  # metadata of real encoders nests twice
MAX_VALUES = 512  # values in one message, containers and their members counted alike
MAX_STRING_BYTES = 4096  # the longest seen is a tcUrl with a signed token

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL, _UNDEFINED = 0x00, 0x01, 0x02, 0x03, 0x05, 0x06
_ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY, _DATE, _LONG_STRING = 0x08, 0x09, 0x0A, 0x0B, 0x0C
_UNSUPPORTED, _XML, _TYPED_OBJECT = 0x0D, 0x0F, 0x10

_F64 = struct.Struct(">d")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")


class _Reader:
    """A cursor over one message; counts what it makes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._values = 0

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._data)

    def value(self, depth: int = 0) -> Value:
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"AMF0 nests deeper than {MAX_DEPTH}")
        self._count()
        marker = self._take(1)[0]
        match marker:
            case 0x00:
                return self._number()
            case 0x01:
                return self._take(1) != b"\0"
            case 0x02:
                return self._text(self._u16())
            case 0x03:
                return self._members(depth)
            case 0x05 | 0x06 | 0x0D:
                return None
            case 0x08:
                self._u32()  # the count is a hint; the end marker decides
                return self._members(depth)
            case 0x0A:
                return self._items(depth)
            case 0x0B:
                number = self._number()
                self._take(2)  # time zone, reserved
                return number
            case 0x0C | 0x0F:
                return self._text(self._u32())
            case 0x10:
                self._text(self._u16())  # class name
                return self._members(depth)
        raise ProtocolError(f"AMF0 marker 0x{marker:02x} is not known")

    def _members(self, depth: int) -> dict[str, Value]:
        members: dict[str, Value] = {}
        while True:
            name = self._text(self._u16())
            if not name and self._peek() == _OBJECT_END:
                self._at += 1
                return members
            members[name] = self.value(depth + 1)

    def _items(self, depth: int) -> list[Value]:
        count = self._u32()
        if count > MAX_VALUES:
            raise LimitExceeded(f"AMF0 array of {count} values; at most {MAX_VALUES}")
        return [self.value(depth + 1) for _ in range(count)]

    def _count(self) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise LimitExceeded(f"AMF0 message holds more than {MAX_VALUES} values")

    def _peek(self) -> int:
        return self._data[self._at] if self._at < len(self._data) else -1

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise ProtocolError(f"AMF0 ends {end - len(self._data)} bytes early")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _u16(self) -> int:
        return int.from_bytes(self._take(2), "big")

    def _u32(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def _number(self) -> float:
        number: float = _F64.unpack(self._take(8))[0]
        return number

    def _text(self, size: int) -> str:
        if size > MAX_STRING_BYTES:
            raise LimitExceeded(f"AMF0 string of {size} bytes; at most {MAX_STRING_BYTES}")
        return self._take(size).decode("utf-8", "replace")


def read(data: bytes) -> list[Value]:
    """Every value of one message, in order.

    Raises: ProtocolError: it ends early or holds an unknown marker. LimitExceeded: too deep, too many, too long.
    """
    reader = _Reader(data)
    values: list[Value] = []
    while not reader.is_at_end:
        values.append(reader.value())
    return values


def write(*values: Value) -> bytes:
    """The values as one message; dicts become objects."""
    return b"".join(map(_write, values))


def _write(value: Value) -> bytes:
    match value:
        case None:
            return bytes([_NULL])
        case bool():
            return bytes([_BOOLEAN, value])
        case float() | int():
            return bytes([_NUMBER]) + _F64.pack(value)
        case str():
            return _write_text(value)
        case list():
            return bytes([_STRICT_ARRAY]) + _U32.pack(len(value)) + b"".join(map(_write, value))
        case dict():
            members = b"".join(_name(name) + _write(member) for name, member in value.items())
            return bytes([_OBJECT]) + members + _name("") + bytes([_OBJECT_END])


def _write_text(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 0xFFFF:
        return bytes([_LONG_STRING]) + _U32.pack(len(raw)) + raw
    return bytes([_STRING]) + _U16.pack(len(raw)) + raw


def _name(text: str) -> bytes:
    raw = text.encode()
    return _U16.pack(len(raw)) + raw
