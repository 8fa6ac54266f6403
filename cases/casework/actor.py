"""Who does something, when, and the ids of what comes of it."""

import base64
import hashlib
import secrets
from dataclasses import dataclass

_ID_BYTES = 15


@dataclass(frozen=True, slots=True)
class Actor:
    """by: a principal's id, or "onrecord". key: the Idempotency-Key; the same by the same actor makes the same ids."""

    by: str
    name: str
    now_us: int
    key: str = ""

    def new_id(self, prefix: str) -> str:
        if self.key:
            raw = hashlib.sha256("\x1f".join((prefix, self.by, self.key)).encode()).digest()[:_ID_BYTES]
        else:
            raw = (self.now_us // 1000).to_bytes(6, "big") + secrets.token_bytes(_ID_BYTES - 6)
        return f"{prefix}_{base64.b32hexencode(raw).decode().lower()}"


PROGRAM = "onrecord"
