"""The recordings on the disk as analysis sees them: which are over, how long they are, where nothing was recorded."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pipeline.analyse.coverage import Span
from pipeline.analyse.subjects import Recorded
from pipeline.errors import EvidenceError, ThingUnknown
from pipeline.record import lines
from pipeline.record.lines import HeadLine
from pipeline.record.manifest import NAME
from pipeline.record.playback import Contents, Playback

_DAYS: Final = "[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]"
_LONGEST: Final = timedelta(days=2)
"""A recording that began longer ago than this before `since_s` is not looked for: no shift lasts so long."""

_TAIL_BYTES: Final = 64 * 1024
"""A head is some 700 bytes; one with more changes of keys than fit here is not found to be final."""


class RecordingArchive:
    """root: `{data}/recordings`. Called in threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._playback = Playback()

    def folder(self, recording_id: str) -> Path:
        """Raises: ThingUnknown."""
        found = next(self._root.glob(f"{_DAYS}/{recording_id}"), None) if recording_id.isidentifier() else None
        if found is None:
            raise ThingUnknown("no such recording")
        return found

    def ended_since(self, since_s: float) -> Sequence[Recorded]:
        """Those that changed at `since_s` (UTC) or later and are over; what cannot be read is for `onrecord verify`.

        Of one that still runs no more is read than its last line.
        """
        found = []
        for folder in self._changed(since_s):
            try:
                if _is_over(folder / NAME):
                    found.append(_recorded(self._playback.contents(folder)))
            except (ThingUnknown, EvidenceError):
                continue
        return found

    def ended(self, recording_id: str) -> Recorded:
        """Raises: ThingUnknown: there is none, or it is not over yet. EvidenceError, StorageError: unreadable."""
        contents = self._playback.contents(self.folder(recording_id))
        if not contents.is_ended:
            raise ThingUnknown("the recording is not over yet")
        return _recorded(contents)

    def _changed(self, since_s: float) -> Iterator[Path]:
        day, today = datetime.fromtimestamp(since_s, UTC) - _LONGEST, datetime.now(UTC) + timedelta(days=1)
        while day <= today:
            for folder in sorted((self._root / f"{day:%Y}" / f"{day:%m}" / f"{day:%d}").glob("*/")):
                try:
                    if (folder / NAME).stat().st_mtime >= since_s:
                        yield folder
                except OSError:
                    continue
            day += timedelta(days=1)


def _is_over(manifest: Path) -> bool:
    """Whether its last line is the final head. Raises: EvidenceError: it cannot be read."""
    try:
        with manifest.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            rows = file.read().splitlines(keepends=True)
    except OSError as error:
        raise EvidenceError(f"{manifest}: cannot be read") from error
    line = lines.parse(rows[-1]) if rows and rows[-1].endswith(b"\n") else None
    return isinstance(line, HeadLine) and line.is_final


def _recorded(contents: Contents) -> Recorded:
    line = contents.recording
    started_at = datetime.fromisoformat(line.started_at).timestamp()
    holes = tuple(Span(gap.start_s, gap.end_s) for gap in contents.gaps)
    return Recorded(line.recording_id, line.stream_id, started_at, contents.length_s, holes)
