"""What the reader of pictures for enrolment is told, and what it answers. Shared by both sides; loads nothing.

Orders and answers are lines of JSON; the bytes of the picture follow the order. Nothing of it is ever logged.
"""

import base64
import binascii
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from models.entries import Engine
from models.face.entry import FaceEntry
from pipeline.errors import WorkerFailed

Kind: TypeAlias = Literal["picture", "video", "crop"]
"""A picture; a film of one person, such as a moment of a recording; a face that was aligned before, and kept."""

Reason: TypeAlias = Literal[
    "no_face", "several_faces", "too_small", "blurred", "turned", "too_dark", "too_bright", "cut_off", "unreadable",
    "too_large", "bomb", "empty",
]  # fmt: skip

READY: Final = b'{"ready": true}\n'
MOST_BYTES: Final[dict[str, int]] = {
    "picture": 32 * 1024 * 1024,
    "video": 128 * 1024 * 1024,
    "crop": 1024 * 1024,
}
"""A phone's photo is 5 MiB; 128 MiB are half a minute of a recording at 32 Mbit/s."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One face. crop: JPEG of 112x112, aligned. vector: float32, little-endian, unit length. quality: 0..1.

    model, detector: labels. looks: in how many pictures it was seen well.
    """

    crop: bytes = field(repr=False)
    vector: bytes = field(repr=False)
    quality: float
    model: str
    detector: str
    looks: int = 1


@dataclass(frozen=True, slots=True)
class Refused:
    """detail: in words, for who sent it; holds nothing personal."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class EnrolOrder:
    """detector, embedder: verified by whoever says so. size_bytes: of what follows the line."""

    kind: Kind
    size_bytes: int
    detector: FaceEntry
    embedder: FaceEntry
    detect_px: int
    threads: int = 1

    def line(self) -> bytes:
        return json.dumps([
            self.kind, self.size_bytes, _plain(self.detector), _plain(self.embedder), self.detect_px, self.threads
        ]).encode() + b"\n"  # fmt: skip

    @classmethod
    def read(cls, line: bytes) -> "EnrolOrder":
        """Raises: WorkerFailed."""
        try:
            kind, size_bytes, detector, embedder, detect_px, threads = json.loads(line)
            if kind not in get_args(Kind):
                raise ValueError(kind)
            return cls(kind, int(size_bytes), _entry(detector), _entry(embedder), int(detect_px), int(threads))
        except (ValueError, TypeError) as error:
            raise WorkerFailed("an order for a picture makes no sense") from error


def answer_line(answer: Enrolled | Refused) -> bytes:
    if isinstance(answer, Refused):
        return json.dumps({"refused": answer.reason, "detail": answer.detail}).encode() + b"\n"
    return json.dumps({
        "crop": base64.b64encode(answer.crop).decode(), "vector": base64.b64encode(answer.vector).decode(),
        "quality": answer.quality, "model": answer.model, "detector": answer.detector, "looks": answer.looks,
    }).encode() + b"\n"  # fmt: skip


def failed_line(reason: str) -> bytes:
    """The models are the reason, not what was sent."""
    return json.dumps({"failed": reason}).encode() + b"\n"


def answer_from(line: bytes) -> Enrolled | Refused | str:
    """A string: the models failed, and why. Raises: WorkerFailed: it is no answer."""
    try:
        tree = json.loads(line)
        if "failed" in tree:
            return str(tree["failed"])
        if "refused" in tree:
            if tree["refused"] not in get_args(Reason):
                raise ValueError("no reason of ours")
            return Refused(tree["refused"], str(tree["detail"]))
        return Enrolled(
            base64.b64decode(tree["crop"], validate=True), base64.b64decode(tree["vector"], validate=True),
            float(tree["quality"]), str(tree["model"]), str(tree["detector"]), int(tree["looks"]),
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise WorkerFailed("the reader of pictures answered nonsense") from error


def _plain(entry: FaceEntry) -> list[str | int]:
    return [str(entry.folder), entry.name, entry.version, str(entry.engine), entry.file, entry.vector_size]


def _entry(tree: object) -> FaceEntry:
    """Raises: ValueError, TypeError."""
    if not isinstance(tree, list):
        raise TypeError("no model")
    folder, name, version, engine, file, size = tree
    return FaceEntry(Path(str(folder)), str(name), str(version), Engine(engine), str(file), int(size))
