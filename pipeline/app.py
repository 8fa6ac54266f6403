"""The composition root of the media side: `Settings` become a `Runtime`. The only module that knows every part."""

from collections import deque
from pathlib import Path

import anyio
import anyio.to_thread
import structlog

from pipeline.analyse.child import PictureDecoder
from pipeline.clock import Clock, step_s
from pipeline.events import ClockStepped, Event, PublisherRefused, RecordingFailed
from pipeline.hub import Stream
from pipeline.ingest.push import Pushes
from pipeline.ingest.rtmp.server import RtmpServer
from pipeline.live.hls_views import HlsViews
from pipeline.live.snapshot import Snapshots
from pipeline.live.views import Live
from pipeline.publishing import DeviceKeys, Publications
from pipeline.record.disk import SystemDisk
from pipeline.record.recorder import Recorder
from pipeline.record.recovery import recover
from pipeline.record.signing import Signer
from pipeline.settings import Settings

log = structlog.get_logger(__name__)

_SWEEP_S = 0.25
_LOOP_LAG_WINDOW = 240  # sweeps, one minute
_RECENT_EVENTS = 1000
_CLOCK_STEP_S = 1.0


class Runtime:
    """The media side, running between start() and close(). Owned by one event loop."""

    def __init__(self, settings: Settings, keys: DeviceKeys, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.recent: deque[Event] = deque(maxlen=_RECENT_EVENTS)
        self.loop_lag_s: deque[float] = deque([0.0], maxlen=_LOOP_LAG_WINDOW)
        self.clock_steps = 0
        self.is_ready = False
        self._signer = Signer.load(settings.data / "keys")
        self._disk = SystemDisk()
        self.recorder = Recorder(settings.record, self.recordings, self._signer, self._disk, clock, self.tell)
        self.publications = Publications(settings.ingest, settings.hub, keys, clock, self.tell, self._record)
        self.live = Live(settings.live, clock, self.tell)
        self.hls = HlsViews(settings.live.max_viewers, clock, self.tell)
        self.decoder = PictureDecoder(settings.live.decode_timeout_s)
        self.snapshots = Snapshots(self.decoder, settings.live, clock)
        self.pushes = Pushes(settings.push, settings.ingest, clock)
        self.rtmp = RtmpServer(settings.rtmp, settings.ingest, self.publications, clock)

    @property
    def recordings(self) -> Path:
        return self.settings.data / "recordings"

    def streams(self) -> list[Stream]:
        """All streams in the list, oldest first; ended ones stay for ten minutes."""
        return list(self.publications.streams.values())

    def stream(self, stream_id: str) -> Stream | None:
        return self.publications.streams.get(stream_id)

    async def start(self) -> None:
        """Recover what a crash left, then open the doors.

        Raises: StorageError: the data folder cannot be written. AddressInUse: a port is taken.
        """
        report = await anyio.to_thread.run_sync(
            recover, self.recordings, self._signer, self._disk, self.clock, self.tell
        )
        if report.recovered:
            log.warning(
                "recordings recovered after a crash",
                recordings=report.recovered,
                segments=report.segments,
                lost_bytes=report.lost_bytes,
            )
        for folder, reason in report.damaged:
            log.error("a recording is damaged and was left as it is", folder=str(folder), reason=reason)
        await self.rtmp.start()
        log.info("rtmp open", port=self.rtmp.port)
        self.is_ready = True

    async def run(self) -> None:
        """Sync, sweep and watch the clock until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.recorder.run)
            tasks.start_soon(self._sweep)

    async def close(self) -> None:
        """End every stream, close every segment. Meant to be done within 5 s."""
        self.is_ready = False
        await self.rtmp.stop()
        await self.pushes.close("the server stops")
        self.live.close()  # before the streams end, so that a viewer is told of a server that stops, not of a device
        self.hls.close()
        self.publications.close("the server stops")
        await self.recorder.close()
        await self.decoder.close()

    def tell(self, event: Event) -> None:
        """Every fact passes here: into the recent list and, the rare ones, the log."""
        self.recent.append(event)
        if isinstance(event, PublisherRefused):
            log.warning("publisher refused", reason=event.reason, **{"pii.address": event.address})
        elif isinstance(event, RecordingFailed):
            log.error("recording failed", stream_id=event.stream_id, cause=event.cause, remedy=event.remedy)

    def _record(self, stream: Stream) -> None:
        stream.attach(self.recorder.open(stream.stream_id, stream.device, stream.started_at))

    async def _sweep(self) -> None:
        offset_s = self.clock.utc_s() - self.clock.monotonic_s()
        due_s = self.clock.monotonic_s() + _SWEEP_S
        while True:
            await anyio.sleep(_SWEEP_S)
            now_s = self.clock.monotonic_s()
            self.loop_lag_s.append(max(0.0, now_s - due_s))
            due_s = now_s + _SWEEP_S
            self.publications.sweep()
            self.pushes.sweep()
            self.live.sweep()
            self.hls.sweep()
            self.snapshots.forget(set(self.publications.streams))
            step = step_s(self.clock, offset_s)
            if abs(step) > _CLOCK_STEP_S:
                offset_s += step
                self.clock_steps += 1
                self.tell(ClockStepped(at=self.clock.utc_s(), step_s=round(step, 3)))
                log.warning("clock stepped", step_s=round(step, 3), remedy="check the time service (chrony, ntpd)")
