"""The recordings against the facts that tell of them, and each against itself. One recording at a time."""

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.custody.check_rows import Expected
from cases.facts import Fact, parse_entry
from cases.store.engine import Store
from cases.store.tables import events, inbox
from pipeline.errors import EvidenceError
from pipeline.events import SegmentClosed
from pipeline.ids import derived_event_id
from pipeline.outbox import Place
from pipeline.outbox.files import files, lines
from pipeline.outbox.line import decode
from pipeline.record import untold
from pipeline.record.defect import Defect
from pipeline.record.manifest import NAME
from pipeline.record.retell import segment_facts
from pipeline.record.verify import Report
from pipeline.record.verify import verify as verify_recording

_DAYS = "[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]/*/"
_FRESH_S = 60.0  # what a running server wrote so lately may not be told, signed or closed yet
_TRIES, _PAUSE_S = 3, 0.5
_OF_RUNNING = frozenset(("not_ended", "unclosed"))


class MediaCheck:
    """keys: the public keys to believe. is_running: a server works on the folder meanwhile."""

    def __init__(
        self, store: Store, connection: AsyncConnection, data: Path, keys: Sequence[bytes], expected: Expected, *,
        is_running: bool,
    ) -> None:  # fmt: skip
        self._store = store
        self._connection = connection
        self._data = data
        self._keys = tuple(keys)
        self._expected = expected
        self._is_running = is_running
        self._waiting: set[str] = set()  # ids of facts that are in the outbox
        self._left: set[str] = set()  # recordings of `onrecord ingest` that nobody told of yet

    async def run(self) -> AsyncIterator[Defect]:
        root = self._data / "recordings"
        folders = {path.name: path for path in await anyio.to_thread.run_sync(lambda: sorted(root.glob(_DAYS)))}
        place = (await self._connection.execute(select(inbox.c.file, inbox.c.offset))).first()
        at = Place(0, 0) if place is None else Place(place.file, place.offset)
        self._waiting = await anyio.to_thread.run_sync(_waiting, self._data / "outbox", at)
        self._left = {path.stem for path in await anyio.to_thread.run_sync(untold.left, self._data)}
        for recording_id in sorted(self._expected.streams.keys() - folders.keys()):
            yield Defect(recording_id, "recording_missing", "the log tells of it and there is no such folder")
        for folder in folders.values():
            async for defect in self._of_recording(folder):
                yield defect

    async def _of_recording(self, folder: Path) -> AsyncIterator[Defect]:
        where = str(folder.relative_to(self._data))
        row = self._expected.rows["recordings"].get(folder.name)
        may_run = self._is_running and (row is None or row["ended_us"] is None or _is_fresh(row["ended_us"]))
        report, defects = await self._verified(folder, may_run=may_run)
        for defect in defects:
            yield Defect(f"{where}/{defect.file}" if defect.file else where, defect.defect, defect.detail)
        if report is None or report.recording is None:
            return
        line = report.recording
        if line.recording_id != folder.name:
            yield Defect(where, "recording_differs", f"the folder holds the recording {line.recording_id}")
        if folder.name not in self._expected.streams:
            if not await self._may_be_untold(folder, ""):
                yield Defect(where, "recording_untold", "the log does not tell of it")
            return
        stream_id = self._expected.streams[folder.name]
        said = (line.stream_id, line.device_id) if row is not None else (line.stream_id, None)
        if said != (stream_id, row["device_id"] if row is not None else None):
            yield Defect(where, "recording_differs", "the log tells of another stream or device")
        async for defect in self._of_segments(folder, where, report, stream_id):
            yield defect

    async def _verified(self, folder: Path, *, may_run: bool) -> tuple[Report | None, list[Defect]]:
        """What the folder says by itself; of one that is written meanwhile, what stays wrong."""
        for attempt in range(_TRIES if may_run else 1):
            if attempt:
                await anyio.sleep(_PAUSE_S)
            try:
                report = await anyio.to_thread.run_sync(verify_recording, folder, self._keys)
            except EvidenceError as error:
                return None, [Defect("", "recording_unreadable", str(error))]
            defects = [each for each in report.defects if not (may_run and _is_of_running(each, report))]
            if not defects:
                break
        return report, defects

    async def _of_segments(
        self, folder: Path, where: str, report: Report, stream_id: str | None
    ) -> AsyncIterator[Defect]:
        told: dict[str, Fact] = {}
        asked = select(events.c.entry).where(events.c.stream_id == stream_id, events.c.kind == "SegmentClosed")
        for row in await self._connection.execute(asked):
            try:
                fact, _ = parse_entry(row.entry.encode())
            except EvidenceError:
                continue  # said by the check of the log
            if fact.body.get("recording_id") == folder.name:
                told[str(fact.body.get("file"))] = fact
        ids = report.recording
        for line in report.segments:
            fact_of_it = told.pop(line.file, None)
            if fact_of_it is not None:
                of_fact = tuple(fact_of_it.body.get(name) for name in ("sha256", "size_bytes", "start_s", "end_s"))
                if of_fact[:2] != (line.sha256, line.size_bytes):
                    yield Defect(f"{where}/{line.file}", "segment_differs", "it is not the file that the log tells of")
                continue
            told_as = (
                next((e for e in segment_facts(ids, line, 0.0) if isinstance(e, SegmentClosed)), None) if ids else None
            )
            if told_as is not None and not await self._may_be_untold(folder, told_as.event_id):
                detail = "the manifest holds it and the log does not tell of it"
                yield Defect(f"{where}/{line.file}", "segment_untold", detail)
        for file in sorted(told):
            yield Defect(f"{where}/{file}", "segment_missing", "the log tells of it and the manifest does not hold it")

    async def _may_be_untold(self, folder: Path, event_id: str) -> bool:
        """Whether the fact, or the recording (""), is on its way into the log, or came there meanwhile."""
        if folder.name in self._left or event_id in self._waiting:
            return True
        if not self._is_running:
            return not event_id and _started(folder.name) in self._waiting
        if _is_fresh(_changed_s(folder / NAME) * 1e6):
            return True
        async with self._store.reading() as connection:
            asked = select(events.c.seq).where(events.c.event_id == (event_id or _started(folder.name)))
            return (await connection.execute(asked)).first() is not None


def _is_of_running(defect: Defect, report: Report) -> bool:
    """Whether it is what every recording has while it runs: no end, and one file more than lines."""
    newest = report.segments[-1].file if report.segments else ""
    is_behind = (len(defect.file), defect.file) > (len(newest), newest)
    return defect.defect in _OF_RUNNING and (defect.defect == "not_ended" or is_behind)


def _is_fresh(at_us: object) -> bool:
    return isinstance(at_us, (int, float)) and abs(time.time() - at_us / 1e6) < _FRESH_S


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _started(recording_id: str) -> str:
    return derived_event_id("RecordingStarted", recording_id)


def _waiting(folder: Path, place: Place) -> set[str]:
    """The ids of facts in the outbox that the record has not taken. Raises: StorageError."""
    found = set()
    for number, path in files(folder):
        if number < place.file:
            continue
        for line, _, _ in lines(path, place.offset if number == place.file else 0):
            try:
                found.add(str(decode(line).event_id))
            except EvidenceError:
                continue  # torn, or damaged: the inbox says so
    return found
