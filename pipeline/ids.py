"""Identifiers: opaque strings with a type each. New ones sort by time; derived ones are the same for the same fact."""

import base64
import hashlib
import secrets
import time
from typing import NewType

DeviceId = NewType("DeviceId", str)
StreamId = NewType("StreamId", str)
RecordingId = NewType("RecordingId", str)
EventId = NewType("EventId", str)
KeyId = NewType("KeyId", str)

_TIME_BYTES = 6  # milliseconds since 1970, good until the year 10889
_RANDOM_BYTES = 9  # 72 bits: no guessing, no collision in one millisecond


def _sortable(prefix: str) -> str:
    raw = int(time.time() * 1000).to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
    return f"{prefix}_{base64.b32hexencode(raw).decode().lower()}"


def new_stream_id() -> StreamId:
    return StreamId(_sortable("st"))


def new_recording_id() -> RecordingId:
    return RecordingId(_sortable("rec"))


def new_device_id() -> DeviceId:
    return DeviceId(_sortable("dev"))


def derived_event_id(kind: str, *facts: str | int | float) -> EventId:
    """The id of an event: the same kind and facts give the same id, so that telling twice is telling once."""
    digest = hashlib.sha256("\x1f".join([kind, *map(str, facts)]).encode()).digest()
    return EventId("ev_" + base64.b32hexencode(digest[:15]).decode().lower())
