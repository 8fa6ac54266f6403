"""The recorder: all recordings of this server, synced together. Knows files and times, no protocol and no viewer.

The event loop's thread owns every Recording; every sync_interval_s one hop to a thread syncs what is dirty and closes
what is rotated, for all of them at once (group commit).
"""

from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import anyio
import anyio.to_thread

from pipeline.clock import Clock, rfc3339
from pipeline.errors import StorageError
from pipeline.events import EventSink, RecordingFailed, RecordingStarted
from pipeline.ids import new_recording_id
from pipeline.media import Device
from pipeline.record.chain import Chain
from pipeline.record.commit import Commit
from pipeline.record.disk import Disk
from pipeline.record.lines import RecordingLine
from pipeline.record.recording import Recording
from pipeline.record.signing import Signer
from pipeline.record.stats import RecorderStats
from pipeline.settings import RecordSettings

_CLOSE_S = 5.0  # a service manager waits about ten before it kills
_SLICE_BYTES = 4 << 20  # of held media written at one tick, so that the event loop never stands for long
_ROOM_AGAIN = 1.25  # the alarm of low room falls silent above this times the limit


class Recorder:
    """See the module. Attributes for the metrics page: stats, is_failed, open_segments, free_bytes."""

    def __init__(
        self, settings: RecordSettings, root: Path, signer: Signer, disk: Disk, clock: Clock, emit: EventSink
    ) -> None:
        self.stats = RecorderStats()
        self.free_bytes = 0
        self._settings = settings
        self._root = root
        self._signer = signer
        self._disk = disk
        self._clock = clock
        self._emit = emit
        self._recordings: list[Recording] = []
        self._is_low = False
        self._refusal = ""
        """Why the disk gives no room at all; empty: it does."""
        self._turn = anyio.Lock()  # a recording is in one commit at a time

    @property
    def is_failed(self) -> bool:
        """An alarm stands: a recording holds its media in memory, or room is low."""
        return self._is_low or any(recording.is_failed for recording in self._recordings)

    @property
    def open_segments(self) -> int:
        return sum(recording.has_open_segment for recording in self._recordings)

    def open(self, stream_id: str, device: Device, started_at: float) -> Recording:
        """A recording of a stream from its first item on. Does not raise: it holds and retries."""
        line = RecordingLine(
            new_recording_id(), stream_id, device.device_id, _text(device.name), _text(device.officer),
            _text(device.unit), rfc3339(started_at),
        )  # fmt: skip
        day = datetime.fromtimestamp(started_at, UTC)
        folder = self._root / f"{day:%Y}" / f"{day:%m}" / f"{day:%d}" / line.recording_id
        recording = Recording(
            line, self._root, folder, self._settings, Chain(line.recording_id, self._signer), self._disk, self._clock,
            self._emit, self.stats,
        )  # fmt: skip
        recording.begin()
        self._recordings.append(recording)
        self._emit(
            RecordingStarted(
                at=started_at,
                stream_id=stream_id,
                recording_id=line.recording_id,
                device_id=device.device_id,
                unit=device.unit,
            )
        )
        return recording

    async def run(self) -> None:
        """Sync, close and retry until cancelled; then call `close`."""
        took_s = 0.0
        while True:
            await anyio.sleep(max(0.01, self._settings.sync_interval_s - took_s))
            began_s = perf_counter()
            with anyio.CancelScope(shield=True):
                await self.commit()
            took_s = perf_counter() - began_s

    async def commit(self) -> None:
        """One group commit: afterwards all that was offered before is on the medium, or an alarm stands."""
        await self._commit(_SLICE_BYTES, abandon=False)

    async def settle(self) -> None:
        """Commit until every stream that ended has its final head, or the disk refuses."""
        while any(recording.has_ended for recording in self._recordings) and not self.is_failed:
            await self.commit()

    async def close(self) -> None:
        """Close every segment and write every final head, in 5 s at most; the next start recovers what is left."""
        for recording in self._recordings:
            recording.end("stopped")
        with anyio.move_on_after(_CLOSE_S, shield=True):
            for _ in range(3):  # the last sync, a rewrite where it fails, the final heads
                if self._recordings:
                    await self._commit(self._settings.hold_bytes, abandon=True)
        for recording in self._recordings:
            recording.give_up()
        self._recordings.clear()

    async def _commit(self, most_bytes: int, *, abandon: bool) -> None:
        async with self._turn:
            await self._commit_now(most_bytes, abandon=abandon)

    async def _commit_now(self, most_bytes: int, *, abandon: bool) -> None:
        for recording in self._recordings:
            recording.resume(most_bytes)
        made = [(recording, recording.commit()) for recording in self._recordings]
        work = [(recording, commit) for recording, commit in made if commit is not None]
        began_s = perf_counter()
        await anyio.to_thread.run_sync(self._execute, [commit for _, commit in work], abandon_on_cancel=abandon)
        took_s = perf_counter() - began_s
        self.stats.sync_s_total += took_s
        self.stats.sync_s_max = max(self.stats.sync_s_max, took_s)
        for recording, commit in work:
            recording.apply(commit)
        self._recordings = [recording for recording in self._recordings if not recording.is_ended]
        self._watch_room()

    def _execute(self, commits: list[Commit]) -> None:
        for commit in commits:
            commit.execute(self._disk, self._clock)
        try:
            self._disk.make_folder(self._root)
            self.free_bytes = self._disk.free_bytes(self._root)
            self._refusal = ""
        except StorageError as error:
            self.free_bytes = 0
            self._refusal = str(error)

    def _watch_room(self) -> None:
        limit = self._settings.min_free_bytes
        if not self._is_low and (self._refusal or self.free_bytes < limit):
            self._is_low = True
            low = f"{self.free_bytes} bytes are free under {self._root}, fewer than {limit}; make room"
            cause, remedy = ("disk_error", self._refusal) if self._refusal else ("disk_low", low)
            now_s = self._clock.utc_s()
            self._emit(RecordingFailed(at=now_s, stream_id="", recording_id="", cause=cause, remedy=remedy))
        elif self._is_low and self.free_bytes > limit * _ROOM_AGAIN:
            self._is_low = False


def _text(text: str) -> str:
    """`text` without what is no Unicode, so that a device's name can never stop its recording."""
    return text.encode("utf-8", "replace").decode()
