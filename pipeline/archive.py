"""The recordings on the disk as analysis sees them: which are over, how long they are, where nothing was recorded."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pipeline.analyse.coverage import Span
from pipeline.analyse.subjects import Recorded
from pipeline.errors import EvidenceError, ThingUnknown
from pipeline.record.playback import Contents, Playback
from pipeline.record.retell import changed_since

_DAYS: Final = "[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]"


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
        """Those that changed at `since_s` (UTC) or later and are over; what cannot be read is for `onrecord verify`."""
        found = []
        for folder in changed_since(self._root, since_s):
            try:
                found.append(self.ended(folder.name))
            except (ThingUnknown, EvidenceError):
                continue
        return found

    def ended(self, recording_id: str) -> Recorded:
        """Raises: ThingUnknown: there is none, or it is not over yet. EvidenceError, StorageError: unreadable."""
        contents = self._playback.contents(self.folder(recording_id))
        if not contents.is_ended:
            raise ThingUnknown("the recording is not over yet")
        return _recorded(contents)


def _recorded(contents: Contents) -> Recorded:
    line = contents.recording
    started_at = datetime.fromisoformat(line.started_at).timestamp()
    holes = tuple(Span(gap.start_s, gap.end_s) for gap in contents.gaps)
    return Recorded(line.recording_id, line.stream_id, started_at, contents.length_s, holes)
