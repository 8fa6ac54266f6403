"""The verifier: is a recording folder what it claims? Needs no server, no database, no key and no libav.

It finds and names every changed bit, every file or line removed, added, renamed or swapped, every hole without a cause.
It reports all defects it finds, not the first.
"""

import json
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pipeline.errors import EvidenceError
from pipeline.record.chain_check import check_chain
from pipeline.record.defect import Defect
from pipeline.record.file_check import check_file
from pipeline.record.ledger import holes
from pipeline.record.lines import HeadLine, RecordingLine, SegmentLine
from pipeline.record.manifest import NAME
from pipeline.record.recovery import SEGMENT_NAME
from pipeline.record.signing import read_public_keys

_THREADS = 2  # one file is read and hashed while another is walked
_WHOLE, _BROKEN, _CANNOT_TELL = 0, 1, 2


class Verdict(StrEnum):
    VALID = "VALID"
    INVALID = "INVALID"
    UNCLOSED = "UNCLOSED"
    """A file without a line: the recording runs, or crashed and was not recovered. Never more than that."""
    MISSING = "MISSING"


@dataclass(slots=True)
class Report:
    """segments: as the manifest has them. verdicts: by file. exit_code: 0 whole, 1 tampered with or incomplete."""

    recording: RecordingLine | None = None
    segments: list[SegmentLine] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    defects: list[Defect] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return _BROKEN if self.defects else _WHOLE


def verify(folder: Path, trusted: tuple[bytes, ...] = ()) -> Report:
    """What is wrong with the recording in `folder`; no defects: nothing.

    trusted: raw Ed25519 public keys; without any, the manifest's own key is believed, which shows that nothing was
    changed since, but not who recorded it.
    Raises: EvidenceError: it is no recording folder, or cannot be read.
    """
    try:
        return _verify(folder, trusted)
    except OSError as error:
        raise EvidenceError(f"{folder} cannot be read ({error.strerror}); check the path and its rights") from error


def main(path: Path, trusted_key: Path | None) -> int:
    """Verify, print each defect as a JSON line on stdout and a summary on stderr; 0 whole, 1 not, 2 cannot tell."""
    try:
        report = verify(path, read_public_keys(trusted_key) if trusted_key is not None else ())
    except EvidenceError as error:
        sys.stderr.write(f"cannot tell: {error}\n")
        return _CANNOT_TELL
    for defect in report.defects:
        row = {"file": defect.file, "defect": defect.defect, "detail": defect.detail}
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    counts = ", ".join(f"{sum(v is each for v in report.verdicts.values())} {each}" for each in Verdict)
    word = "whole" if report.exit_code == _WHOLE else "NOT WHOLE"
    sys.stderr.write(f"{path}: {word}; segments: {counts}; defects: {len(report.defects)}\n")
    return report.exit_code


def _verify(folder: Path, trusted: tuple[bytes, ...]) -> Report:
    entries = {entry.name: entry for entry in os.scandir(folder)}
    if NAME not in entries:
        if not any(SEGMENT_NAME.fullmatch(name) for name in entries):
            raise EvidenceError(f"{folder} is no recording folder; give the one that holds {NAME}")
        verdicts = dict.fromkeys(sorted(entries), Verdict.UNCLOSED)
        return Report(
            verdicts=verdicts, defects=[Defect(NAME, "file_missing", "the folder holds segments and no manifest")]
        )
    report = Report()
    if not stat.S_ISREG(entries[NAME].stat(follow_symlinks=False).st_mode):
        report.defects.append(Defect(NAME, "not_a_file", "a link or device stands in the manifest's place"))
        return report
    checked = check_chain((folder / NAME).read_bytes(), trusted)
    entries = {entry.name: entry for entry in os.scandir(folder)}  # again: a segment may have been closed meanwhile
    report.recording = checked.recording
    report.segments = checked.segments
    report.defects += checked.defects
    _check_files(folder, entries, checked.segments, report)
    _check_entries(entries, checked.segments, checked.final, report)
    check_coverage(checked.segments, checked.final, report)
    return report


def _check_files(
    folder: Path, entries: dict[str, os.DirEntry[str]], segments: list[SegmentLine], report: Report
) -> None:
    there = [line for line in segments if line.file in entries]
    for line in segments:
        if line.file not in entries:
            report.verdicts[line.file] = Verdict.MISSING
            report.defects.append(Defect(line.file, "file_missing", f"the manifest says {line.size_bytes} bytes"))
    with ThreadPoolExecutor(_THREADS) as threads:
        results = threads.map(lambda line: check_file(folder / line.file, line, report.recording), there)
        for line, defects in zip(there, results, strict=True):
            report.verdicts[line.file] = Verdict.INVALID if defects else Verdict.VALID
            report.defects += defects


def _check_entries(
    entries: dict[str, os.DirEntry[str]], segments: list[SegmentLine], final: HeadLine | None, report: Report
) -> None:
    listed = {line.file for line in segments} | {NAME}
    for name in sorted(entries.keys() - listed):
        if SEGMENT_NAME.fullmatch(name) and final is None:
            report.verdicts[name] = Verdict.UNCLOSED
            report.defects.append(Defect(name, "unclosed", "no line of the manifest vouches for this file"))
        else:
            report.defects.append(Defect(name, "file_added", "no line of the manifest names this file"))


def check_coverage(segments: list[SegmentLine], final: HeadLine | None, report: Report) -> None:
    """Note what no segment and no gap of the manifest speaks for."""
    gaps = [gap for line in segments for gap in line.gaps] + list(final.gaps if final else ())
    spans = [(line.first_pts_s, line.end_s) for line in segments] + [(gap.start_s, gap.end_s) for gap in gaps]
    for hole in holes(spans):
        detail = f"nothing covers {hole.start_s:.3f} s to {hole.end_s:.3f} s of the stream, and no gap says why"
        after = next((line.file for line in segments if line.first_pts_s >= hole.end_s), NAME)
        report.defects.append(Defect(after, "hole", detail))
