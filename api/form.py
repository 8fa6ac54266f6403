"""multipart/form-data, as browsers send it, once it lies in memory. Source: RFC 7578; RFC 2046, 5.1.1."""

import re
from dataclasses import dataclass
from typing import Final

from pipeline.errors import ValueRefused

_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME: Final = re.compile(rb'(?:^|[;\s])name="((?:[^"\\\r\n]|\\.)*)"', re.IGNORECASE)
_FILE: Final = re.compile(rb"(?:^|[;\s])filename\*?=", re.IGNORECASE)
_MOST_PARTS: Final = 32
_MOST_HEAD: Final = 2048


@dataclass(frozen=True, slots=True)
class Part:
    """One field. is_file: it was sent as a file, whatever its name is."""

    name: str
    is_file: bool
    data: bytes


def is_form(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/form-data")


def parts_of(content_type: str, body: bytes) -> list[Part]:
    """In their order. Raises: ValueRefused: it is none; says nothing of what is in it."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ValueRefused("Content-Type", "it names no boundary")
    mark = b"--" + (found[1] or found[2]).encode("latin-1", errors="replace")
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ValueRefused("body", "the form does not end; send it again")
    if len(pieces) > _MOST_PARTS + 2:
        raise ValueRefused("body", f"it has more than {_MOST_PARTS} parts")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Part:
    head, gap, data = piece.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not gap or len(head) > _MOST_HEAD:
        raise ValueRefused("body", "a part of the form has no head")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            named = _NAME.search(value)
            if named is not None:
                return Part(named[1].decode("utf-8", errors="replace"), _FILE.search(value) is not None, data)
    raise ValueRefused("body", "a part of the form has no name")
