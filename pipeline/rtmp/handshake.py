"""The simple RTMP handshake, both sides, without I/O.

The version field of our S1 is zero, so that clients that know Adobe's digest handshake fall back to the simple one.
Source: Adobe RTMP 1.0, 5.2.
"""

from pipeline.errors import ProtocolError

BLOCK_BYTES = 1536
RANDOM_BYTES = BLOCK_BYTES - 8
_VERSION = b"\x03"


class ServerHandshake:
    """C0, C1 and C2 in; S0, S1 and S2 out. The content of C2 is not compared: many encoders garble it."""

    def __init__(self, random: bytes) -> None:
        """random: 1528 bytes."""
        self._s1 = bytes(8) + random
        self._buffer = b""
        self._is_answered = False
        self.is_done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """What to send, and the bytes after the handshake (empty until `is_done`).

        Raises: ProtocolError: the first byte is not version 3.
        """
        self._buffer += data
        _check_version(self._buffer)
        answer = b""
        if not self._is_answered and len(self._buffer) > BLOCK_BYTES:
            answer = _VERSION + self._s1 + self._buffer[1 : 1 + BLOCK_BYTES]
            self._is_answered = True
        if len(self._buffer) <= 2 * BLOCK_BYTES:
            return answer, b""
        self.is_done = True
        rest, self._buffer = self._buffer[1 + 2 * BLOCK_BYTES :], b""
        return answer, rest


class ClientHandshake:
    """S0, S1 and S2 in; C2 out. `opening` (C0, C1) is to be sent first."""

    def __init__(self, random: bytes) -> None:
        """random: 1528 bytes."""
        self.opening = _VERSION + bytes(8) + random
        self._buffer = b""
        self.is_done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """What to send, and the bytes after the handshake (empty until `is_done`).

        Raises: ProtocolError: the first byte is not version 3.
        """
        self._buffer += data
        _check_version(self._buffer)
        if len(self._buffer) <= 2 * BLOCK_BYTES:
            return b"", b""
        self.is_done = True
        answer, rest = self._buffer[1 : 1 + BLOCK_BYTES], self._buffer[1 + 2 * BLOCK_BYTES :]
        self._buffer = b""
        return answer, rest


def _check_version(received: bytes) -> None:
    if received and received[0] != 3:
        raise ProtocolError(
            f"the first byte is 0x{received[0]:02x}, not RTMP version 3; this port speaks plain RTMP, not RTMPS or HTTP"
        )
