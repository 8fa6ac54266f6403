"""The chain of a manifest: each line names the hash of the line before it, heads sign what stands. Knows no file."""

from dataclasses import replace

from pipeline.media import Gap
from pipeline.record import lines
from pipeline.record.lines import HeadLine, RecordingLine, SegmentLine
from pipeline.record.signing import Signer


class Chain:
    """The end of one manifest, to which lines are added. Each call returns the bytes to append.

    A recording goes on after a restart, perhaps under a newer key: the first head then carries the statements that
    lead from the key before to this one.
    """

    def __init__(
        self, recording_id: str, signer: Signer, *, prev: str = "", line_count: int = 0, last_key_id: str = ""
    ) -> None:
        self.recording_id = recording_id
        self._signer = signer
        self._prev = prev
        self._line_count = line_count
        self._last_key_id = last_key_id or signer.key_id

    def begin(self, line: RecordingLine, at: str) -> bytes:
        """The first line and its head."""
        return self._add(lines.encode(line)) + self._head(at, None, ())

    def add(self, line: SegmentLine, at: str) -> bytes:
        """The segment's line, with `prev` filled in, and a head."""
        return self._add(lines.encode(replace(line, prev=self._prev))) + self._head(at, None, ())

    def end(self, reason: str, gaps: tuple[Gap, ...], at: str) -> bytes:
        """The final head."""
        return self._head(at, reason, gaps)

    def _head(self, at: str, reason: str | None, gaps: tuple[Gap, ...]) -> bytes:
        signer = self._signer
        changes = signer.way_from(self._last_key_id) if self._last_key_id != signer.key_id else ()
        self._last_key_id = signer.key_id
        head = HeadLine(
            self._prev, self.recording_id, self._line_count, at, reason is not None, reason, gaps, changes,
            signer.key_id, signer.public_key, b"",
        )  # fmt: skip
        return self._add(lines.encode(head.with_signature(signer.sign(head.signed_bytes()))))

    def _add(self, raw: bytes) -> bytes:
        self._prev = lines.digest(raw)
        self._line_count += 1
        return raw
