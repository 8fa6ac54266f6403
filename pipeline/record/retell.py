"""What manifests tell, as the facts they were told as: for whoever a kill kept from hearing them. Runs in a thread.

Each fact has the id it had when it was told first, so telling it again changes nothing.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pipeline.errors import EvidenceError
from pipeline.events import Event, MediaLost, RecordingStarted, SegmentClosed, StreamEnded, StreamStarted
from pipeline.media import Gap
from pipeline.record import lines
from pipeline.record.lines import HeadLine, RecordingLine, SegmentLine
from pipeline.record.manifest import NAME

_DAYS = "[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]/*/"


def changed_since(root: Path, since_s: float) -> list[Path]:
    """The recordings whose manifests were written at `since_s` (UTC) or later, oldest first."""
    return [folder for folder in sorted(root.glob(_DAYS)) if _changed_s(folder / NAME) >= since_s]


def retold(folder: Path, since_s: float) -> list[Event]:
    """What the manifest tells that was written to it at `since_s` or later: the stream, segments, holes, its end.

    A manifest that cannot be read tells nothing; that is for `onrecord verify` to say.
    """
    try:
        return _told((folder / NAME).read_bytes(), since_s)
    except (OSError, EvidenceError):
        return []


def segment_facts(ids: RecordingLine, line: SegmentLine, at: float) -> Iterator[SegmentClosed | MediaLost]:
    """A closed segment and the holes before it or in it."""
    yield SegmentClosed(
        at=at, stream_id=ids.stream_id, recording_id=ids.recording_id, file=line.file, sha256=line.sha256,
        size_bytes=line.size_bytes, start_s=line.first_pts_s, end_s=line.end_s, captured_at=line.captured_at,
        device_at=line.device_at, device_offset_s=line.device_offset_s,
    )  # fmt: skip
    for gap in line.gaps:
        yield _lost(ids, gap, at)


def _told(raw: bytes, since_s: float) -> list[Event]:
    """Read from its end, for a long recording is mostly old. Raises: EvidenceError."""
    rows = raw.splitlines(keepends=True)
    ids = lines.parse(rows[0]) if rows else None
    if not isinstance(ids, RecordingLine):
        raise EvidenceError("a manifest that does not begin with its recording")
    found: list[list[Event]] = []
    final: HeadLine | None = None
    at, end_s = _utc_s(ids.started_at), 0.0
    for each in reversed(rows[1:]):
        line = lines.parse(each)
        if isinstance(line, HeadLine):
            final = final or (line if line.is_final else None)
            at = _utc_s(line.at)
        elif isinstance(line, SegmentLine):
            end_s = max(end_s, line.end_s)
            if at < since_s and not line.is_recovered:
                break
            found.append(list(segment_facts(ids, line, at)))
    else:
        started_at = _utc_s(ids.started_at)
        if ids.stream_id and started_at >= since_s:
            found.append(
                [
                    StreamStarted(at=started_at, stream_id=ids.stream_id, device_id=ids.device_id),
                    RecordingStarted(
                        at=started_at,
                        stream_id=ids.stream_id,
                        recording_id=ids.recording_id,
                        device_id=ids.device_id,
                        unit=ids.unit,
                    ),
                ]
            )
    told = [event for events in reversed(found) for event in events]
    return told if final is None else [*told, *_end(ids, final, end_s)]


def _end(ids: RecordingLine, final: HeadLine, end_s: float) -> Iterator[Event]:
    at = _utc_s(final.at)
    for gap in final.gaps:
        yield _lost(ids, gap, at)
    if ids.stream_id:
        yield StreamEnded(at=at, stream_id=ids.stream_id, pts_s=end_s, reason=final.reason or "unknown")


def _lost(ids: RecordingLine, gap: Gap, at: float) -> MediaLost:
    return MediaLost(
        at=at, stream_id=ids.stream_id, recording_id=ids.recording_id, start_s=gap.start_s, end_s=gap.end_s,
        cause=str(gap.cause),
    )  # fmt: skip


def _changed_s(manifest: Path) -> float:
    """UTC; minus infinity where there is none."""
    try:
        return manifest.stat().st_mtime
    except OSError:
        return float("-inf")


def _utc_s(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise EvidenceError(f"{text!r} is not a time") from error
