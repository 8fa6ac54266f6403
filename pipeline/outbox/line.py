"""A fact as a line: CRC-32 in eight hex digits, a space, one line of JSON with sorted keys. Knows no file.

CRC-32 and not CRC-32C: the standard library has that one; both find every burst of up to 32 bits.
"""

import json
import zlib

from pipeline.errors import EvidenceError
from pipeline.event_codec import event_from, tree_of
from pipeline.events import Event

_TO_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def encode(event: Event) -> bytes:
    """The line of `event`. What is no Unicode in a text becomes "?". Raises: ValueError: a number is not finite."""
    raw = _TO_JSON(tree_of(event)).encode("utf-8", "replace")
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
