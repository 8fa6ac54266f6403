"""`onrecord ingest`: files of a camera become recordings, as fast as the disk takes them, with a server running or not.

The way is that of a live device: the demuxer's cage, hub, recorder, manifest. Nothing is asked of the server: a
recording is claimed by the process that writes it, so that the recovery of a server that starts meanwhile leaves it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from pipeline.app import record
from pipeline.clock import SystemClock
from pipeline.errors import OnRecordError
from pipeline.events import Event, MediaLost, RecordingStarted, SegmentClosed
from pipeline.hub import Stream
from pipeline.ingest.push import Pushes, PushSession
from pipeline.media import Device
from pipeline.publishing import DeviceKeys, DevicePublication, Publications
from pipeline.record import untold
from pipeline.record.disk import SystemDisk
from pipeline.record.recorder import Recorder
from pipeline.record.signing import Signer
from pipeline.settings import Settings

_SWEEP_S = 0.1
_SYNC_S = 0.1  # more often than live, so that a fast file waits less

Progress = Callable[[Path, float], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one file. lost_s: what has no media in it, by the manifest. error: empty where all was taken."""

    file: str
    stream_id: str
    recording_id: str
    seconds: float
    packets: int
    segments: int
    lost_s: float
    error: str


async def ingest(
    settings: Settings, keys: DeviceKeys, device: Device, files: list[Path], progress: Progress
) -> list[Taken]:
    """Record `files`, each as a stream of `device`, one after the other. progress(file, media seconds so far)."""
    intake = _Intake(settings, keys)
    async with intake.running():
        return [await intake.take(file, device, partial(progress, file)) for file in files]


class _Intake:
    """A recorder without doors. Owned by one event loop."""

    def __init__(self, settings: Settings, keys: DeviceKeys) -> None:
        clock = SystemClock()
        often = settings.record.model_copy(update={"sync_interval_s": min(_SYNC_S, settings.record.sync_interval_s)})
        signer = Signer.load(settings.data / "keys")
        self._events: list[Event] = []  # of the file that is being taken
        self._root = settings.data / "recordings"
        self._left: list[str] = []  # recordings without a slip
        self._recorder = Recorder(often, self._root, signer, SystemDisk(), clock, self._tell)
        self._desk = Publications(settings.ingest, settings.hub, keys, clock, self._tell, self._record)
        self._pushes = Pushes(settings.push, settings.ingest, clock)
        self._session: PushSession | None = None
        self._progress: Callable[[float], None] = lambda _seconds: None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._recorder.run)
                tasks.start_soon(self._sweep)
                yield
                tasks.cancel_scope.cancel()
        finally:
            self._desk.close("the intake stopped")
            await self._recorder.close()

    async def take(self, path: Path, device: Device, progress: Callable[[float], None]) -> Taken:
        """Record one file. What is wrong with it is told in `Taken.error`; what came before that is kept."""
        self._events.clear()
        self._progress = progress
        opened: list[DevicePublication] = []
        error, packets = "", 0

        def open_door(session: PushSession) -> DevicePublication:
            opened.append(self._desk.open_device(device, session.kick))
            return opened[0]

        try:
            with path.open("rb") as file, self._pushes.session(open_door) as session:
                self._session = session
                try:
                    await session.run_file(file)
                finally:
                    packets, self._session = session.packets, None
        except OSError as failure:
            error = f"it cannot be read ({failure.strerror})"
        except OnRecordError as failure:
            error = str(failure)
        self._desk.close("the file broke off")
        await self._recorder.settle()
        try:
            await anyio.to_thread.run_sync(self._leave)
        except OnRecordError as failure:
            error = error or str(failure)
        stream = opened[0].stream if opened else None
        closed = [event for event in self._events if isinstance(event, SegmentClosed)]
        lost_s = sum(event.end_s - event.start_s for event in self._events if isinstance(event, MediaLost))
        return Taken(
            file=str(path),
            stream_id=stream.stream_id if stream is not None else "",
            recording_id=closed[0].recording_id if closed else "",
            seconds=round(stream.position_s, 3) if stream is not None else 0.0,
            packets=packets,
            segments=len(closed),
            lost_s=round(lost_s, 3),
            error=error,
        )

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        if isinstance(event, RecordingStarted):
            self._left.append(event.recording_id)

    def _leave(self) -> None:
        """Slips, so that the server tells of these recordings. Raises: StorageError."""
        for folder in sorted(self._root.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]/*/")):
            if folder.name in self._left:
                untold.leave(self._root.parent, folder)
        self._left.clear()

    def _record(self, stream: Stream) -> None:
        record(stream, self._recorder)

    async def _sweep(self) -> None:
        while True:
            await anyio.sleep(_SWEEP_S)
            self._pushes.sweep()
            self._desk.sweep()
            if self._session is not None:
                self._progress(self._session.media_s)
