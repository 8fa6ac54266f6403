"""RTSP 1.0 messages and interleaved packets: bytes in, messages out. Every size has a bound.

Source: RFC 2326 4 to 7, 10.12.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.errors import LimitExceeded, ProtocolError

_MAX_HEAD_BYTES = 16 * 1024
_MAX_BODY_BYTES = 64 * 1024  # a session description has 1 or 2 KiB
_MAX_HEADERS = 64
_DOLLAR = 0x24


@dataclass(frozen=True, slots=True)
class Message:
    """A response, or a request of the server where `status` is 0. headers: by lower-case name, repeated ones joined
    by a newline.
    """

    status: int
    reason: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = b""

    @property
    def sequence(self) -> int:
        """CSeq; -1 where there is none."""
        text = self.headers.get("cseq", "").strip()
        return int(text) if text.isdecimal() and len(text) < 10 else -1


class Interleaved(NamedTuple):
    """A packet of one channel."""

    channel: int
    data: bytes


def write_request(method: str, url: str, sequence: int, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {url} RTSP/1.0", f"CSeq: {sequence}", "User-Agent: OnRecord"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii", "replace")


def write_interleaved(channel: int, data: bytes) -> bytes:
    return bytes([_DOLLAR, channel]) + len(data).to_bytes(2, "big") + data


class MessageReader:
    """Bytes of the server in. Bound: one message of 16 KiB head and 64 KiB body, or one interleaved packet."""

    def __init__(self) -> None:
        self._buffer = b""
        self._needed = 1

    def feed(self, data: bytes) -> list[Message | Interleaved]:
        """What is whole now.

        Raises: ProtocolError, LimitExceeded.
        """
        buffer = self._buffer + data if self._buffer else data
        found: list[Message | Interleaved] = []
        at, end = 0, len(buffer)
        while end - at >= self._needed:
            if buffer[at] == _DOLLAR:
                if end - at < 4:
                    break
                size = buffer[at + 2] << 8 | buffer[at + 3]
                if end - at < 4 + size:
                    break
                found.append(Interleaved(buffer[at + 1], buffer[at + 4 : at + 4 + size]))
                at += 4 + size
                continue
            if buffer[at] in b"\r\n":  # some cameras end a body with a line of their own
                at += 1
                continue
            read = _read_message(buffer, at)
            if read is None:
                break
            message, at = read
            found.append(message)
        self._buffer = buffer[at:]
        return found


def _read_message(buffer: bytes, at: int) -> tuple[Message, int] | None:
    """The message at `at` and where it ends; None while it is not whole."""
    end = buffer.find(b"\r\n\r\n", at, at + _MAX_HEAD_BYTES)
    if end < 0:
        if len(buffer) - at >= _MAX_HEAD_BYTES:
            raise LimitExceeded(f"an RTSP head of more than {_MAX_HEAD_BYTES} bytes")
        if not _may_begin(buffer[at : at + 5]):
            raise ProtocolError("the server sends something that is neither RTSP nor an interleaved packet")
        return None
    first, *lines = buffer[at:end].decode("latin-1").split("\r\n")
    if len(lines) > _MAX_HEADERS:
        raise LimitExceeded(f"an RTSP message of more than {_MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ProtocolError("an RTSP header without a colon")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}\n{value}" if name in headers else value
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 9:
        raise ProtocolError("an RTSP message whose Content-Length is no number")
    size = int(length)
    if size > _MAX_BODY_BYTES:
        raise LimitExceeded(f"an RTSP body of {size} bytes; at most {_MAX_BODY_BYTES} are taken")
    body_at = end + 4
    if len(buffer) < body_at + size:
        return None
    status, reason = _read_first(first)
    return Message(status, reason, headers, buffer[body_at : body_at + size]), body_at + size


def _may_begin(head: bytes) -> bool:
    return b"RTSP/".startswith(head) or all(65 <= byte <= 95 for byte in head[:3])


def _read_first(line: str) -> tuple[int, str]:
    """Status and reason; 0 and the method of a request."""
    words = line.split(" ", 2)
    if words[0].startswith("RTSP/"):
        if len(words) < 2 or not words[1].isdecimal() or len(words[1]) != 3:
            raise ProtocolError("an RTSP answer without a status")
        return int(words[1]), "".join(sign for sign in (words[2] if len(words) > 2 else "")[:60] if sign.isprintable())
    if len(words) == 3 and words[2].startswith("RTSP/") and words[0].isupper():
        return 0, words[0][:30]
    raise ProtocolError("the server's answer is no RTSP")
