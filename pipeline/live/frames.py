"""WebSocket frames as a server sends them: unmasked, so one frame's bytes serve every viewer.

Source: RFC 6455, section 5.2 (framing) and 5.1 (a server must not mask). No extension is ever negotiated for live
feeds: compressed frames could not be shared, and video does not compress.
"""

import json
import struct

_TEXT = 0x81
_BINARY = 0x82


def binary_frame(payload: bytes) -> bytes:
    """`payload` as one whole binary message."""
    return _head(_BINARY, len(payload)) + payload


def text_frame(message: dict[str, object]) -> bytes:
    """`message` as one whole JSON text message."""
    payload = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    return _head(_TEXT, len(payload)) + payload


def _head(first: int, size: int) -> bytes:
    if size < 126:
        return struct.pack(">BB", first, size)
    if size < 65536:
        return struct.pack(">BBH", first, 126, size)
    return struct.pack(">BBQ", first, 127, size)
