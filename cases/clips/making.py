"""The file of a clip: cut out of a recording on its key frames, kept under its SHA-256. Runs in a thread.

It lies in `{data}/clips/` under its own name until the log tells of it, so that `verify` knows that one is under way.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cases.uploads import kept
from pipeline.errors import ValueRefused
from pipeline.record.disk import mapped
from pipeline.record.playback import Playback

FOLDER = "clips"
MOST_S = 1800.0
"""Of one clip: half an hour is about 180 segments, and each stands in the log with its hash."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A clip's file, and what it was made of. start_s, end_s: of the recording's axis. segments: file and SHA-256."""

    sha256: str
    size_bytes: int
    start_s: float
    end_s: float
    segments: tuple[tuple[str, str], ...]


def part_of(data: Path, attempt: str) -> Path:
    return data / FOLDER / f"{attempt}.part"


def cut(data: Path, attempt: str, playback: Playback, folder: Path, start_s: float, end_s: float, note: str) -> Cut:
    """From the key frame at or before `start_s` to `end_s`, samples as they were recorded. The file is kept.

    attempt: a name of this request's own: the kept file is the same one as its part, and no other may write into it.
    note: whose copy it is; it stands in the file. The caller calls `settle` once the log tells of it, or never will.
    Raises: ThingUnknown, StateConflict, EvidenceError, StorageError: as Playback. ValueRefused: the span.
    """
    if not start_s < end_s <= start_s + MOST_S:
        raise ValueRefused("end_s", f"it must lie behind start_s, by {MOST_S:.0f} s at most")
    span = playback.span(folder, start_s, end_s, 0.0, note)
    path, digest = part_of(data, attempt), hashlib.sha256()
    try:
        with mapped(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            with path.open("xb") as file:
                for chunk, _, _ in playback.media(folder, span, 0, span.size_bytes - 1):
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        kept.keep(data, path, digest.hexdigest())
    except BaseException:
        settle(data, attempt)
        raise
    segments = tuple((part.line.file, part.line.sha256) for part in span.parts)
    return Cut(digest.hexdigest(), span.size_bytes, span.start_s, span.end_s, segments)


def settle(data: Path, attempt: str) -> None:
    """Nothing is under way any more. Raises: StorageError."""
    path = part_of(data, attempt)
    with mapped(path):
        path.unlink(missing_ok=True)
