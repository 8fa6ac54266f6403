"""Signed tree heads: the size and root of the log at a time, as a text that anybody can check. Knows no file.

The text is a checkpoint as C2SP tlog-checkpoint says, in a signed note as C2SP signed-note says: origin, size, root in
Base64, then our own lines `time …` and, where there is a second tree, `sm3 …`.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cases.custody.merkle import HASH_BYTES
from pipeline.errors import EvidenceError
from pipeline.record.signing import Signer, is_signed

_ED25519 = b"\x01"
_KEY_HASH_BYTES = 4
_SIGNATURE_BYTES = 64
_MOST_BYTES = 2000
_BODY = re.compile(
    r"onrecord/(?P<log_id>[0-9a-f]{16})\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"time (?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z)\n"
    r"(?:sm3 (?P<sm3>[A-Za-z0-9+/]{43}=)\n)?"
)
_SIGNATURE = re.compile(r"— onrecord/(?P<name>[0-9a-f]{16}) (?P<data>[A-Za-z0-9+/]{91}=)\n")


def new_log_id(public_key: bytes) -> str:
    """The name of a log: of the key that signs its first head. It stays when keys change."""
    return hashlib.sha256(b"onrecord log" + public_key).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Head:
    """at: RFC 3339. root, root_sm3: 32 bytes."""

    log_id: str
    size: int
    root: bytes
    at: str
    root_sm3: bytes | None = None

    def text(self) -> str:
        """What is signed."""
        second = "" if self.root_sm3 is None else f"sm3 {_base64(self.root_sm3)}\n"
        return f"onrecord/{self.log_id}\n{self.size}\n{_base64(self.root)}\ntime {self.at}\n{second}"


@dataclass(frozen=True, slots=True)
class SignedHead:
    """key_hash: 4 bytes that say which key it was; signature: Ed25519, 64 bytes, over `head.text()`."""

    head: Head
    key_hash: bytes
    signature: bytes

    def note(self) -> str:
        data = _base64(self.key_hash + self.signature)
        return f"{self.head.text()}\n— onrecord/{self.head.log_id} {data}\n"

    def is_signed_by(self, public_key: bytes) -> bool:
        """Whether the owner of this Ed25519 key (32 bytes) signed it."""
        if self.key_hash != _key_hash(self.head.log_id, public_key):
            return False
        return is_signed(public_key, self.signature, self.head.text().encode())


def sign(head: Head, signer: Signer) -> SignedHead:
    return SignedHead(head, _key_hash(head.log_id, signer.public_key), signer.sign(head.text().encode()))


def sign_text(log_id: str, text: str, signer: Signer) -> str:
    """A signed note over another text than a head's, in the log's name. text ends with a line feed."""
    data = _base64(_key_hash(log_id, signer.public_key) + signer.sign(text.encode()))
    return f"{text}\n— onrecord/{log_id} {data}\n"


def parse(note: str) -> SignedHead:
    """Raises: EvidenceError: it is no head in its one form. Whose signature it is must be asked of it."""
    if len(note) > _MOST_BYTES:
        raise EvidenceError("a head of the log is longer than any head is")
    text, _, rest = note.partition("\n\n")
    body, signature = _BODY.fullmatch(text + "\n"), _SIGNATURE.fullmatch(rest)
    if body is None or signature is None or body["log_id"] != signature["name"]:
        raise EvidenceError("a head of the log is not in the form of a head")
    data = _bytes(signature["data"], _KEY_HASH_BYTES + _SIGNATURE_BYTES)
    head = Head(
        body["log_id"],
        int(body["size"]),
        _bytes(body["root"], HASH_BYTES),
        body["at"],
        None if body["sm3"] is None else _bytes(body["sm3"], HASH_BYTES),
    )
    return SignedHead(head, data[:_KEY_HASH_BYTES], data[_KEY_HASH_BYTES:])


def _key_hash(log_id: str, public_key: bytes) -> bytes:
    name = f"onrecord/{log_id}".encode()
    return hashlib.sha256(name + b"\n" + _ED25519 + public_key).digest()[:_KEY_HASH_BYTES]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str, size: int) -> bytes:
    """Raises: EvidenceError: not this many bytes, or not in the one form of Base64."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EvidenceError("a head of the log holds no Base64") from error
    if len(data) != size or _base64(data) != text:
        raise EvidenceError("a head of the log holds a value of another length or form")
    return data
