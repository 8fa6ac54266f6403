"""The reading end of the outbox: facts behind a place, in order; and what the last run left untold."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from pipeline.errors import EvidenceError, StorageError
from pipeline.events import Event, StreamEnded, StreamStarted
from pipeline.outbox.files import Place, files, lines, unreadable
from pipeline.outbox.line import decode

log = structlog.get_logger(__name__)

MARK = "told"
"""An empty file in the outbox: when it was touched last, all that had happened was told."""


class OutboxReader:
    """Reads in a thread's calls; any number of readers may. damaged: lines that were passed over."""

    def __init__(self, folder: Path) -> None:
        self.damaged = 0
        self._folder = folder

    def read(self, after: Place, until: Place, most: int) -> tuple[list[Event], Place]:
        """Up to `most` facts behind `after`, and where they end; nothing behind `until`.

        A file's torn last line was never told: it is passed over. A damaged line before it is one that was told: it is
        counted, told as an alarm, and its file is kept beside as `NNNNNNNN.damaged`.
        Raises: StorageError: a file cannot be read.
        """
        found: list[Event] = []
        place = after
        for number, path in files(self._folder):
            if number < place.file or number > until.file:
                continue
            for line, offset, is_last in lines(path, place.offset if number == place.file else 0):
                if number == until.file and offset > until.offset:
                    break
                try:
                    found.append(decode(line))
                except EvidenceError as error:
                    self._pass_over(path, offset, error, is_torn=is_last and number < until.file)
                place = Place(number, offset)
                if len(found) >= most:
                    return found, place
        return found, max(place, until)

    def forget(self, before: Place) -> None:
        """Delete the files that lie wholly before `before`; the newest stays, for the numbers must go on growing.

        Raises: StorageError.
        """
        for number, path in files(self._folder)[:-1]:
            if number < before.file:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise StorageError(f"{path} cannot be deleted ({error.strerror})") from error

    def _pass_over(self, path: Path, offset: int, error: EvidenceError, *, is_torn: bool) -> None:
        if is_torn:
            log.info("a torn end of the outbox is passed over", file=path.name, at=offset)
            return
        self.damaged += 1
        kept = path.with_suffix(".damaged")
        try:
            with contextlib.suppress(FileExistsError):
                kept.hardlink_to(path)
        except OSError as refusal:
            raise StorageError(f"{path} is damaged and cannot be kept as {kept} ({refusal.strerror})") from refusal
        log.error("a fact of the outbox is damaged", file=kept.name, at=offset, reason=str(error))


@dataclass(frozen=True, slots=True)
class LookBack:
    """What the last run left. since_s: all that happened before was told, UTC; 0 where nothing says so.

    begun: streams that the outbox saw begin and not end, by their id.
    """

    since_s: float
    begun: Mapping[str, StreamStarted]


def look_back(folder: Path) -> LookBack:
    """Raises: StorageError: the outbox cannot be read."""
    mark = folder / MARK
    try:
        since_s = mark.stat().st_mtime
    except FileNotFoundError:
        since_s = 0.0
    except OSError as error:
        raise unreadable(mark, error) from error
    begun: dict[str, StreamStarted] = {}
    for _, path in files(folder):
        for line, _, _ in lines(path, 0):
            if b'"kind":"Stream' not in line:
                continue
            with contextlib.suppress(EvidenceError):
                match decode(line):
                    case StreamStarted() as event:
                        begun[event.stream_id] = event
                    case StreamEnded(stream_id=stream_id):
                        begun.pop(stream_id, None)
    return LookBack(since_s, begun)
