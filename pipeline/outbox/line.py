"""A fact as a line: CRC-32 in eight hex digits, a space, one line of JSON with sorted keys. Knows no file.

CRC-32 and not CRC-32C: the standard library has that one; both find every burst of up to 32 bits.
"""

import json
import math
import zlib
from collections.abc import Callable, Mapping
from typing import get_args, get_type_hints

from pipeline.errors import EvidenceError
from pipeline.events import Event

_KINDS: dict[str, Callable[..., Event]] = {each.__name__: each for each in get_args(Event)}
_FIELDS: dict[str, dict[str, type]] = {each.__name__: get_type_hints(each) for each in get_args(Event)}
_TO_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def encode(event: Event) -> bytes:
    """The line of `event`. What is no Unicode in a text becomes "?". Raises: ValueError: a number is not finite."""
    kind = type(event).__name__
    body = _TO_JSON({"kind": kind, **{name: getattr(event, name) for name in _FIELDS[kind]}})
    raw = body.encode("utf-8", "replace")
    return b"%08x %b\n" % (zlib.crc32(raw), raw)


def decode(line: bytes) -> Event:
    """Raises: EvidenceError: this is no line of ours, or not all of it."""
    body = line[9:-1]
    if line[-1:] != b"\n" or line[8:9] != b" " or line[:8] != b"%08x" % zlib.crc32(body):
        raise EvidenceError("a line of the outbox is torn or damaged")
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EvidenceError("a line of the outbox is no JSON") from error
    if not isinstance(tree, dict):
        raise EvidenceError("a line of the outbox is no JSON object")
    return event_from(tree)


def event_from(tree: Mapping[str, object]) -> Event:
    """The fact that `tree` tells. A field may be left out where its class has a default: an older release wrote it.

    Raises: EvidenceError: the kind, a field or a value is none of this program's.
    """
    values = dict(tree)
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise EvidenceError("a line of the outbox tells a kind of fact that this program does not know")
    fields = _FIELDS[kind]
    for name, value in values.items():
        if name not in fields or not _is_of(value, fields[name]):
            raise EvidenceError(f"a {kind} of the outbox has a field or a value that is not its own: {name!r:.40}")
    try:
        return _KINDS[kind](**values)
    except TypeError as error:
        raise EvidenceError(f"a {kind} of the outbox lacks a field") from error


def _is_of(value: object, kind: type) -> bool:
    """Whole numbers stay whole where a float is meant: an id is made of how a number is written."""
    if kind is float:
        return type(value) is int or (type(value) is float and math.isfinite(value))
    return type(value) is kind
