"""Boxes: a size, a name, a body. Source: ISO/IEC 14496-12 4.2."""

import struct

from pipeline.errors import BoxMalformed

BOX = struct.Struct(">I4s")


def box(kind: bytes, body: bytes) -> bytes:
    return BOX.pack(BOX.size + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, body: bytes) -> bytes:
    return box(kind, (version << 24 | flags).to_bytes(4, "big") + body)


def children(data: bytes, offset: int = 0) -> list[tuple[bytes, bytes]]:
    """Name and body of each box from `offset` on. Raises: BoxMalformed: they do not fill `data`."""
    found = []
    while offset < len(data):
        if offset + BOX.size > len(data):
            raise BoxMalformed(f"no whole box at byte {offset}")
        size, kind = BOX.unpack_from(data, offset)
        if size < BOX.size or offset + size > len(data):
            raise BoxMalformed(f"box {kind!r} at byte {offset} claims {size} bytes")
        found.append((kind, data[offset + BOX.size : offset + size]))
        offset += size
    return found
