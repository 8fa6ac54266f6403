"""Recovery: at start every recording that a crash left open is cut to what is whole, told in its manifest, and ended.

Needs no operator, changes nothing that was synced, and gives the same bytes however often it is killed and run again:
what it writes follows from what it finds, never from the time of day. Runs in a thread, before the recorder.
"""

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipeline.clock import Clock, rfc3339
from pipeline.errors import BoxMalformed, EvidenceError, StorageError
from pipeline.events import EventSink, MediaLost, RecordingFailed, SegmentClosed
from pipeline.media import Gap, GapCause
from pipeline.record import lines
from pipeline.record.chain import Chain
from pipeline.record.disk import Disk
from pipeline.record.kept import kept_part
from pipeline.record.ledger import HOLE_S
from pipeline.record.lines import HeadLine, RecordingLine, SegmentLine, seconds
from pipeline.record.manifest import NAME
from pipeline.record.retell import segment_facts
from pipeline.record.scan import Scan, scan
from pipeline.record.signing import Signer

SEGMENT_NAME = re.compile(r"\d{4,}\.mp4")
_DAYS = "[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]/*/"
_THREADS = 4  # reading and hashing let go of the interpreter lock
_FEW = 8  # more recordings than this are worth a sync of the whole machine first
_LAST_LINE_BYTES = 16384


@dataclass(slots=True)
class RecoveryReport:
    """recovered: recordings ended. segments: files closed. lost_bytes: cut from torn ends. damaged: folders left as
    they are, with the reason: they need a person."""

    recovered: int = 0
    segments: int = 0
    lost_bytes: int = 0
    damaged: list[tuple[Path, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Plan:
    """What to do to a folder. keep: bytes of the manifest that stand. cuts: (file, bytes to keep), 0: remove."""

    folder: Path
    line: RecordingLine
    keep: int
    raw: bytes
    closed: list[SegmentLine]
    cuts: list[tuple[Path, int]]
    lost_bytes: int


def recover(root: Path, signer: Signer, disk: Disk, clock: Clock, emit: EventSink) -> RecoveryReport:
    """End every recording under `root` that has no final head and that no living process writes.

    Raises: StorageError: the disk refuses; run again when it does not.
    """
    report = RecoveryReport()
    plans = []
    with ThreadPoolExecutor(_THREADS) as threads:
        folders = [folder for folder in sorted(root.glob(_DAYS)) if _is_left(folder / NAME, disk)]
        for folder, plan in zip(folders, threads.map(lambda each: _planned(each, signer), folders), strict=True):
            if isinstance(plan, _Plan):
                plans.append(plan)
                report.lost_bytes += plan.lost_bytes
            else:
                report.damaged.append((folder, str(plan)))
                _alarm(folder, str(plan), clock, emit)
    _carry_out(plans, disk)
    for plan in plans:
        report.recovered += 1
        report.segments += sum(line.is_recovered for line in plan.closed)
        _tell(plan, clock, emit)
    return report


def _carry_out(plans: list[_Plan], disk: Disk) -> None:
    """Cut, sync, append, sync: a line is written only when what it speaks of is on the medium."""
    for plan in plans:
        for path, size_bytes in plan.cuts:
            _cut(path, size_bytes, disk)
    if len(plans) > _FEW:
        disk.sync_all()
    for plan in plans:
        for line in plan.closed:
            if line.is_recovered:
                _sync(plan.folder / line.file, disk)
        disk.sync_folder(plan.folder)
    for plan in plans:
        _append(plan, disk)
    if len(plans) > _FEW:
        disk.sync_all()
    for plan in plans:
        _sync(plan.folder / NAME, disk)
        disk.sync_folder(plan.folder)


def _cut(path: Path, size_bytes: int, disk: Disk) -> None:
    if size_bytes == 0:
        disk.remove(path)
        return
    descriptor = disk.open_append(path)
    try:
        disk.truncate(descriptor, size_bytes)
    finally:
        disk.close(descriptor)


def _sync(path: Path, disk: Disk) -> None:
    descriptor = disk.open_append(path)
    try:
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)


def _append(plan: _Plan, disk: Disk) -> None:
    path = plan.folder / NAME
    descriptor = disk.open_append(path) if plan.keep else disk.create(path)
    try:
        disk.truncate(descriptor, plan.keep)
        disk.write(descriptor, plan.raw)
    finally:
        disk.close(descriptor)


def _is_left(manifest: Path, disk: Disk) -> bool:
    return not _is_final(manifest) and not (manifest.exists() and disk.is_claimed(manifest))


def _is_final(manifest: Path) -> bool:
    try:
        with manifest.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _LAST_LINE_BYTES))
            tail = file.read()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"{manifest} cannot be read ({error.strerror}); check the disk's health") from error
    last = tail[tail.rfind(b"\n", 0, -1) + 1 :]
    if b'"final":true' not in last:
        return False
    try:
        line = lines.parse(last)
    except EvidenceError:
        return False
    return isinstance(line, HeadLine) and line.is_final


def _planned(folder: Path, signer: Signer) -> "_Plan | EvidenceError":
    try:
        return _plan(folder, signer)
    except EvidenceError as error:
        return error
    except OSError as error:
        raise StorageError(f"{folder} cannot be read ({error.strerror}); check the disk's health") from error


def _plan(folder: Path, signer: Signer) -> _Plan:
    """Raises: EvidenceError: this is not a torn end; a person must look. OSError: it cannot be read."""
    path = folder / NAME
    raw = path.read_bytes() if path.exists() else b""
    kept = kept_part(raw)
    listed = {line.file for line in kept.segments}
    files = sorted(
        (each for each in folder.iterdir() if SEGMENT_NAME.fullmatch(each.name) and each.name not in listed),
        key=lambda each: int(each.stem),
    )
    cuts, found, lost_bytes = [], [], 0
    for file in files:
        data = file.read_bytes()
        result = _scanned(data, file)
        keep = len(data) if result is not None and result.is_damaged else result.end if result is not None else 0
        lost_bytes += len(data) - keep
        if keep < len(data) or keep == 0:
            cuts.append((file, keep))
        if result is not None and keep:
            found.append((file.name, keep, hashlib.sha256(memoryview(data)[:keep]).hexdigest(), result))
    line = kept.line or (found[0][3].stamp.recording if found else _unknown(folder))
    if any(result.stamp.recording.recording_id != line.recording_id for *_, result in found):
        raise EvidenceError("a segment file says that it belongs to another recording; take it out of the folder")
    chain = Chain(line.recording_id, signer, prev=kept.prev, line_count=kept.line_count, last_key_id=kept.last_key_id)
    out = b"" if kept.size_bytes else chain.begin(line, line.started_at)
    covered_s, at, closed = kept.covered_s, kept.at or line.started_at, list(kept.segments)
    for name, size_bytes, sha256, result in found:
        segment = _line(name, size_bytes, sha256, result, covered_s)
        covered_s, at = max(covered_s, segment.end_s), segment.captured_until
        out += chain.add(segment, at)
        closed.append(segment)
    out += chain.end("crash", (), at)
    return _Plan(folder, line, kept.size_bytes, out, closed, cuts, lost_bytes)


def _scanned(data: bytes, file: Path) -> Scan | None:
    """None: the file holds nothing that was ever synced."""
    try:
        result = scan(data)
    except BoxMalformed as error:
        if data.find(b"moof") >= 0 and len(data) > 1 << 22:
            raise EvidenceError(f"{file.name}: {error}, and yet media follows; restore it from the backup") from error
        return None
    return result if result.end or result.is_damaged else None


def _line(name: str, size_bytes: int, sha256: str, found: Scan, covered_s: float) -> SegmentLine:
    gaps = [Gap(seconds(hole.start_s), seconds(hole.end_s), GapCause.CRASH) for hole in found.holes]
    if found.first_pts_s > covered_s + HOLE_S:
        gaps.insert(0, Gap(seconds(covered_s), seconds(found.first_pts_s), GapCause.CRASH))
    captured_until = _utc_s(found.stamp.captured_at) + found.last_pts_s - found.first_pts_s
    return SegmentLine(
        name, size_bytes, sha256, "", seconds(found.first_pts_s), seconds(found.last_pts_s), seconds(found.end_s),
        found.stamp.base_ticks, tuple(track.codec for track in found.tracks), found.stamp.captured_at,
        rfc3339(captured_until), None, None, tuple(gaps), True, found.is_damaged,
        found.stamp.conversions,
    )  # fmt: skip


def _unknown(folder: Path) -> RecordingLine:
    year, month, day = folder.parts[-4:-1]
    return RecordingLine(folder.name, "", "", "", "", "", f"{year}-{month}-{day}T00:00:00.000Z")


def _utc_s(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise EvidenceError(f"{text!r} is not a time; the segment's stamp was changed") from error


def _tell(plan: _Plan, clock: Clock, emit: EventSink) -> None:
    """All segments of the recording, not only the recovered: the crash may have come before the others were told."""
    for event in _facts(plan, clock.utc_s()):
        emit(event)


def _facts(plan: _Plan, at: float) -> Iterator[SegmentClosed | MediaLost]:
    ids = plan.line
    for line in plan.closed:
        yield from segment_facts(ids, line, at)


def _alarm(folder: Path, reason: str, clock: Clock, emit: EventSink) -> None:
    emit(
        RecordingFailed(at=clock.utc_s(), stream_id="", recording_id=folder.name, cause="damaged", remedy=reason),
    )
