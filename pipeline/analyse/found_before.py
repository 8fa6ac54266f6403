"""What was found in a recording's rows, kept beside them for whoever asks by the same bounds again.

A changed rule of words has past cases judged again while no bound changed: their rows are not looked at then. It is
`{data}/analysis/measures/columns/{recording_id}.found`, follows from rows, bounds and program alone, and may be deleted
at any time. What was found in other rows, by other bounds or by another program is passed over.
"""

import contextlib
import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import models.signal
import pipeline.analyse
from pipeline.analyse.board import Work


@cache
def program() -> str:
    """Of everything that may change what is found: another one with every change of it."""
    digest = hashlib.sha256()
    for package in (models.signal, pipeline.analyse):
        for folder in package.__path__:
            for path in sorted(Path(folder).glob("*.py")):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class FoundBefore:
    """Of one recording. rows: size of their file. label: of the bounds."""

    path: Path
    work: Work
    rows: int
    label: str

    def read(self) -> list[str] | None:
        """Facts, a line each, and at last their counts; None: nobody looked yet."""
        try:
            header, _, body = self.path.read_bytes().partition(b"\n")
            return body.decode().splitlines() if header == self._header(body) else None
        except (OSError, UnicodeDecodeError):
            return None

    def keep(self, lines: Sequence[str]) -> None:
        """Whole or not at all; where the disk is full or may not be written it is found again the next time."""
        body = "\n".join(lines).encode()
        draft = self.path.with_name(f".{secrets.token_hex(8)}")
        try:
            self.path.parent.mkdir(exist_ok=True)
            draft.write_bytes(self._header(body) + b"\n" + body)
            os.replace(draft, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def _header(self, body: bytes) -> bytes:
        work = self.work
        of = [work.recording_id, work.stream_id, work.started_at, self.rows, self.label, program()]
        return json.dumps([*of, zlib.crc32(body)]).encode()
