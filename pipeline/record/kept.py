"""The part of a manifest that stands after a crash: what recovery builds on. Knows no file."""

from dataclasses import dataclass, field

from pipeline.errors import EvidenceError
from pipeline.record import lines
from pipeline.record.lines import HeadLine, RecordingLine, SegmentLine
from pipeline.record.manifest import NAME

_MOST_UNSYNCED_HEADS = 8  # a power cut may leave a hole before so many lines of one append; behind more it is damage


@dataclass(slots=True)
class Kept:
    """The part of a manifest that stands: up to the last head whose chain holds."""

    line: RecordingLine | None = None
    segments: list[SegmentLine] = field(default_factory=list)
    size_bytes: int = 0
    line_count: int = 0
    prev: str = ""
    last_key_id: str = ""
    covered_s: float = 0.0
    at: str = ""


def kept_part(raw: bytes) -> Kept:
    """Raises: EvidenceError: a line in the middle is broken; cutting there would throw away what was synced."""
    kept, waiting, prev, size = Kept(), [], "", 0
    rows = raw.splitlines(keepends=True)
    for number, row in enumerate(rows):
        try:
            each = lines.parse(row)
            if number and not isinstance(each, (SegmentLine, HeadLine)):
                raise EvidenceError("not a line that may stand here")
            if isinstance(each, (SegmentLine, HeadLine)) and each.prev != prev:
                raise EvidenceError("the chain is broken")
        except EvidenceError as error:
            if sum(_is_head(later) for later in rows[number + 1 :]) > _MOST_UNSYNCED_HEADS:
                raise EvidenceError(f"{NAME} line {number}: {error}; whole lines follow, so it was damaged") from error
            break
        prev, size = lines.digest(row), size + len(row)
        if isinstance(each, RecordingLine):
            kept.line = each
        elif isinstance(each, SegmentLine):
            waiting.append(each)
        elif isinstance(each, HeadLine):
            kept.segments += waiting
            waiting = []
            kept.size_bytes, kept.line_count, kept.prev = size, number + 1, prev
            kept.last_key_id, kept.at = each.key_id, each.at
    if kept.segments:
        kept.at = kept.segments[-1].captured_until
    for segment in kept.segments:
        kept.covered_s = max(kept.covered_s, segment.end_s, *(gap.end_s for gap in segment.gaps))
    return kept


def _is_head(row: bytes) -> bool:
    try:
        return isinstance(lines.parse(row), HeadLine)
    except EvidenceError:
        return False
