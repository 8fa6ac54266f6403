"""The check of a manifest: form, chain, signatures, order. Knows no file but the bytes of this one."""

from dataclasses import dataclass, field

from pipeline.errors import EvidenceError
from pipeline.record import lines
from pipeline.record.defect import Defect
from pipeline.record.lines import HeadLine, RecordingLine, SegmentLine
from pipeline.record.manifest import NAME
from pipeline.record.signing import is_signed, key_id_of


@dataclass(slots=True)
class ChainCheck:
    """What the manifest says, and what is wrong with it. final: the final head, if it is the last line."""

    recording: RecordingLine | None = None
    segments: list[SegmentLine] = field(default_factory=list)
    final: HeadLine | None = None
    defects: list[Defect] = field(default_factory=list)

    def note(self, number: int, defect: str, detail: str) -> None:
        self.defects.append(Defect(NAME, defect, f"line {number}: {detail}"))


class ChainReader:
    """The same, line by line, of a manifest of any length: it keeps the line before, and not the segments."""

    def __init__(self, trusted: tuple[bytes, ...]) -> None:
        """trusted: raw public keys, empty: the first head's key is believed."""
        self.check = ChainCheck()
        self._keys = set(trusted)
        self._prev = ""
        self._before: lines.Line | None = None
        self._last_file = ""
        self._number = 0

    def take(self, row: bytes) -> SegmentLine | None:
        """The next line, without its end; the segment that it names, if it is well-formed."""
        check, number = self.check, self._number
        check.final = None
        line = _parsed(check, number, row + b"\n")
        if isinstance(line, (SegmentLine, HeadLine)) and line.prev != self._prev:
            detail = f"it follows a line with the hash {line.prev}, but stands behind {self._prev}"
            check.note(number, "chain_broken", detail)
        _check_order(check, number, line, self._before, self._last_file)
        if isinstance(line, RecordingLine):
            check.recording = line
        elif isinstance(line, SegmentLine):
            self._last_file = line.file
        elif isinstance(line, HeadLine):
            _check_head(check, number, line, self._keys)
            check.final = line if line.is_final else None
        self._prev, self._before = lines.digest(row + b"\n"), line
        self._number += 1
        return line if isinstance(line, SegmentLine) else None

    def end(self, rest: bytes = b"") -> ChainCheck:
        """rest: what stood behind the last line's end."""
        if rest:
            self.check.note(self._number, "line_cut", "the last line has no end")
        if self.check.final is None:
            detail = "no final head: the recording runs, crashed and was not recovered, or its end was cut off"
            self.check.note(self._number, "not_ended", detail)
        return self.check


def check_chain(raw: bytes, trusted: tuple[bytes, ...]) -> ChainCheck:
    """Every defect of the manifest `raw`, and its segments. trusted: as of `ChainReader`."""
    reader = ChainReader(trusted)
    *rows, rest = raw.split(b"\n")
    reader.check.segments += [line for row in rows if (line := reader.take(row)) is not None]
    return reader.end(rest)


def _parsed(check: ChainCheck, number: int, row: bytes) -> lines.Line | None:
    try:
        return lines.parse(row)
    except EvidenceError as error:
        check.note(number, "line_malformed", str(error))
        return None


def _check_order(check: ChainCheck, number: int, line: lines.Line | None, before: lines.Line | None, last: str) -> None:
    """last: the segment before."""
    if line is None:
        return
    if isinstance(line, RecordingLine) != (number == 0) or isinstance(line, lines.KeyChange):
        check.note(number, "line_out_of_place", "the recording's line is the first, and only the first")
    if isinstance(before, HeadLine) and before.is_final:
        check.note(number, "line_out_of_place", "it stands behind the final head")
    if isinstance(before, (RecordingLine, SegmentLine)) and not isinstance(line, HeadLine):
        check.note(number - 1, "unsigned", "no head follows this line")
    if isinstance(line, SegmentLine) and (len(line.file), line.file) <= (len(last), last):
        check.note(number, "line_out_of_place", f"{line.file} stands behind {last}")


def _check_head(check: ChainCheck, number: int, head: HeadLine, keys: set[bytes]) -> None:
    if head.line_count != number:
        check.note(number, "lines_missing", f"the head was the line {head.line_count}")
    if check.recording is not None and head.recording_id != check.recording.recording_id:
        check.note(number, "foreign_head", f"it signs the recording {head.recording_id}")
    if head.is_final != (head.reason is not None):
        check.note(number, "line_malformed", "a final head says why the recording ended, and only a final one")
    if key_id_of(head.public_key) != head.key_id:
        check.note(number, "key_differs", f"key_id {head.key_id} is not that of the public key")
    if not is_signed(head.public_key, head.signature, head.signed_bytes()):
        check.note(number, "signature_wrong", f"it was not made by the key {head.key_id}, or the head was changed")
        return
    if not keys:
        keys.add(head.public_key)
    for change in head.key_changes:
        if change.old_public_key not in keys:
            check.note(number, "key_untrusted", f"key {key_id_of(change.old_public_key)} announces, but is not trusted")
        elif not is_signed(change.old_public_key, change.signature, change.signed_bytes()):
            check.note(number, "signature_wrong", f"not signed by the key {key_id_of(change.old_public_key)}")
        else:
            keys.add(change.new_public_key)
    if head.public_key not in keys:
        check.note(number, "key_untrusted", f"key {head.key_id} is not trusted and no trusted key announced it")
