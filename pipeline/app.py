"""The composition root of the media side: `Settings` become a `Runtime`. The only module that knows every part."""

import math
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, assert_never

import anyio
import anyio.to_thread
import structlog

from pipeline.analyse.board import DeskBoard
from pipeline.analyse.child import PictureDecoder
from pipeline.analyse.desk import Desk
from pipeline.analyse.local_board import LocalBoard
from pipeline.analyse.marks import Marks
from pipeline.analyse.open_findings import OpenFindings
from pipeline.analyse.rows import Rows
from pipeline.analyse.subjects import Stage
from pipeline.archive import RecordingArchive
from pipeline.clock import AwakeClock, Clock, step_s
from pipeline.errors import StorageError
from pipeline.events import (
    ClockStepped,
    Event,
    MediaLost,
    PublisherRefused,
    RecordingFailed,
    RecordingRestored,
    SegmentClosed,
    StreamEnded,
    StreamInterrupted,
    StreamResumed,
    StreamStarted,
)
from pipeline.hub import Stream
from pipeline.ingest.addresses import Addresses
from pipeline.ingest.pull.pulls import Pulls, Sources
from pipeline.ingest.push import Pushes
from pipeline.ingest.rtmp.server import RtmpServer
from pipeline.live.hls_views import HlsViews
from pipeline.live.snapshot import Snapshots
from pipeline.live.views import Live
from pipeline.media import GapCause
from pipeline.outbox import Outbox, look_back
from pipeline.publishing import DeviceKeys, Publications
from pipeline.record import untold
from pipeline.record.disk import Disk, SystemDisk
from pipeline.record.recorder import Recorder
from pipeline.record.recording import Recording
from pipeline.record.recovery import recover
from pipeline.record.retell import changed_since, retold
from pipeline.record.signing import Signer
from pipeline.relay.relays import Relays
from pipeline.settings import Settings
from pipeline.tls import Certificate

log = structlog.get_logger(__name__)

_OfStream: TypeAlias = (
    RecordingFailed | RecordingRestored | MediaLost | StreamStarted | StreamResumed | StreamInterrupted | StreamEnded
)

_SWEEP_S = 0.25
_LOOP_LAG_WINDOW = 240  # sweeps, one minute
_RECENT_EVENTS = 1000
_CLOCK_STEP_S = 1.0
_OF_THE_DEVICE = (GapCause.PUBLISHER_LOST, GapCause.PUBLISHER_SILENT, GapCause.TIMESTAMP_JUMP)  # not of our making
_CERTIFICATES_EVERY_S = 1.0
_OTHERS_EVERY_S = 2.0
_TOLD_AGAIN_S = 600.0  # before the outbox's mark: longer than any disk may keep a manifest and its fact apart
_TOLD_AT_ONCE = 10_000  # facts that wait in memory while manifests are read


def record(stream: Stream, recorder: Recorder) -> Recording:
    """Attach the recorder, as the stream's first reader."""
    recording = recorder.open(stream.stream_id, stream.device, stream.started_at)
    stream.attach(recording)
    stream.pressure = lambda: recording.pressure
    recording.device_offset_s = lambda: stream.device_offset_s
    return recording


class Runtime:
    """The media side, running between start() and close(). Owned by one event loop."""

    def __init__(
        self,
        settings: Settings,
        keys: DeviceKeys,
        clock: Clock,
        sources: Sources | None = None,
        disk: Disk | None = None,
        stages: Sequence[Stage] = (),
    ) -> None:
        """sources: the cameras to pull; None: none. disk: what recordings are written to; None: this machine's.

        stages: what is analysed; none: nothing.
        """
        self.settings = settings
        self.clock = clock
        self.recent: deque[Event] = deque(maxlen=_RECENT_EVENTS)
        self.loop_lag_s: deque[float] = deque([0.0], maxlen=_LOOP_LAG_WINDOW)
        self.clock_steps = 0
        self.is_ready = False
        self.certificates = _certificates(settings)
        """By door: "web", "rtmp"; those that have TLS."""
        self._signer = Signer.load(settings.data / "keys")
        self._disk = disk or SystemDisk()
        self.outbox = Outbox(settings.data / "outbox", self._disk, settings.record.sync_interval_s)
        self.recorder = Recorder(settings.record, self.recordings, self._signer, self._disk, clock, self.tell)
        self.publications = Publications(settings.ingest, settings.hub, keys, clock, self.tell, self._record)
        self.live = Live(settings.live, clock, self.tell)
        self.hls = HlsViews(settings.live.max_viewers, clock, self.tell)
        self.relays = Relays(settings.relay, clock, self.tell)
        self.decoder = PictureDecoder(settings.live.decode_timeout_s)
        self.snapshots = Snapshots(self.decoder, settings.live, clock)
        self.pushes = Pushes(settings.push, settings.ingest, clock)
        self.pulls = Pulls(settings, sources, self.publications, Addresses(settings.pull.allowed_hosts), clock)
        self.archive = RecordingArchive(self.recordings)
        self.board = _board(settings, clock)
        self.desk = Desk(
            self.board, stages, self.outbox, Marks(settings.data / "analysis"),
            Rows(settings.data / "analysis" / "measures"), self.archive, clock, self.tell, settings.analyse.catch_up_s,
        )  # fmt: skip
        self.rtmp = RtmpServer(settings.rtmp, settings.ingest, self.publications, clock, self.certificates.get("rtmp"))

    @property
    def open_findings(self) -> OpenFindings:
        """What is wrong or happens on the streams now."""
        return self.desk.open_findings

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
            recover, self.recordings, self._signer, self._disk, self.clock, self._recovered
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
        await self._tell_again()
        await self.rtmp.start()
        log.info("rtmp open", port=self.rtmp.port, tls_port=self.rtmp.tls_port)
        self.is_ready = True

    async def run(self) -> None:
        """Sync, sweep and watch the clock until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.recorder.run)
            tasks.start_soon(self.outbox.run)
            tasks.start_soon(self._tell_of_others)
            tasks.start_soon(self._sweep)
            tasks.start_soon(self.relays.run)
            tasks.start_soon(self.pulls.run)
            if self.desk.stages:
                tasks.start_soon(self.desk.run)
            if self.certificates:
                tasks.start_soon(self._watch_certificates)

    async def close(self) -> None:
        """End every stream, close every segment. Meant to be done within 5 s."""
        self.is_ready = False
        await self.rtmp.stop()
        await self.pushes.close("the server stops")
        self.live.close()  # before the streams end, so that a viewer is told of a server that stops, not of a device
        self.hls.close()
        self.publications.close("the server stops")
        await self.recorder.close()
        await self.outbox.close()
        await self.decoder.close()

    def tell(self, event: Event) -> None:
        """Every fact passes here: into the outbox, the recent list and, the rare ones, the log."""
        self.outbox.tell(event)
        if isinstance(event, SegmentClosed):
            self.desk.recorded(event.recording_id, event.end_s)
        self._note(event)

    def _note(self, event: Event) -> None:
        self.recent.append(event)
        if isinstance(event, PublisherRefused):
            log.warning("publisher refused", reason=event.reason, **{"pii.address": event.address})
        elif isinstance(event, _OfStream):
            self._log(event)

    def _recovered(self, event: Event) -> None:
        """What recovery tells. What it wrote into manifests `_tell_again` reads there."""
        self._note(event)
        if isinstance(event, RecordingFailed):
            self.outbox.tell(event)

    async def _tell_again(self) -> None:
        """All that was written to manifests since the outbox was whole: a kill may come between the two.

        A stream that began and left no manifest is ended too.
        """
        try:
            last = await anyio.to_thread.run_sync(look_back, self.settings.data / "outbox")
        except StorageError as error:
            log.error("the outbox of the last run cannot be read", reason=str(error))
            return
        since_s, begun = last.since_s - _TOLD_AGAIN_S, dict(last.begun)
        for folder in await anyio.to_thread.run_sync(changed_since, self.recordings, since_s):
            for event in await anyio.to_thread.run_sync(retold, folder, since_s):
                self.outbox.tell(event)
                if isinstance(event, StreamEnded):
                    begun.pop(event.stream_id, None)
            if self.outbox.pending > _TOLD_AT_ONCE:
                await self.outbox.flush(is_whole=False)
        for stream in begun.values():
            self.outbox.tell(StreamEnded(at=stream.at, stream_id=stream.stream_id, pts_s=0.0, reason="crash"))

    async def _tell_of_others(self) -> None:
        """What `onrecord ingest` recorded, once it is whole; one that broke off is whole after the next recovery."""
        while True:
            try:
                for slip in await anyio.to_thread.run_sync(untold.left, self.settings.data):
                    await self._tell_slip(slip)
            except StorageError as error:
                log.error("what other processes recorded cannot be told", reason=str(error))
            await anyio.sleep(_OTHERS_EVERY_S)

    async def _tell_slip(self, slip: Path) -> None:
        folder = await anyio.to_thread.run_sync(untold.folder_of, self.settings.data, slip)
        events = [] if folder is None else await anyio.to_thread.run_sync(retold, folder, -math.inf)
        if folder is not None and not (events and isinstance(events[-1], StreamEnded)):
            return
        for event in events:
            self.outbox.tell(event)
        await self.outbox.flush(is_whole=False)
        if not self.outbox.is_failed:
            await anyio.to_thread.run_sync(untold.told, slip)

    def _log(self, event: _OfStream) -> None:
        """A line with the ids by which a stream's life is followed."""
        stream = self.stream(event.stream_id)
        whom = {"stream_id": event.stream_id, **({} if stream is None else {"device_id": stream.device.device_id})}
        match event:
            case StreamStarted():
                log.info("stream started", **whom)
            case StreamInterrupted():
                log.warning("stream interrupted", **whom, reason=event.reason)
            case StreamResumed():
                log.info("stream resumed", **whom, missing_s=round(event.end_s - event.start_s, 3))
            case StreamEnded():
                log.info("stream ended", **whom, reason=event.reason)
            case RecordingFailed():
                log.error("recording failed", **whom, cause=event.cause, remedy=event.remedy)
            case RecordingRestored():
                log.info("recording restored", **whom)
            case MediaLost():
                tell = log.warning if event.cause in _OF_THE_DEVICE else log.error
                tell("media lost", **whom, start_s=event.start_s, end_s=event.end_s, cause=event.cause)
            case _:
                assert_never(event)

    def _record(self, stream: Stream) -> None:
        recording = record(stream, self.recorder)
        self.desk.follow(stream, recording.line.recording_id)
        self.relays.open(stream)

    async def _watch_certificates(self) -> None:
        while True:
            await anyio.sleep(_CERTIFICATES_EVERY_S)
            for certificate in self.certificates.values():
                await anyio.to_thread.run_sync(certificate.refresh)

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


def _board(settings: Settings, clock: Clock) -> DeskBoard:
    analyse, redis = settings.analyse, settings.redis
    if url := redis.url.get_secret_value():
        from pipeline.analyse.redis_board import RedisBoard  # nobody else's memory is to hold its client

        return RedisBoard(url, redis.prefix, analyse.lease_s, analyse.most_tries)
    return LocalBoard(analyse.lease_s, analyse.most_tries, AwakeClock(clock))


def _certificates(settings: Settings) -> dict[str, Certificate]:
    """Raises: CertificateUnusable."""
    files = {
        "web": (settings.api.tls_certificate, settings.api.tls_key),
        "rtmp": (settings.rtmp.tls_certificate, settings.rtmp.tls_key),
    }
    return {
        door: Certificate(door, certificate, key)
        for door, (certificate, key) in files.items()
        if certificate is not None and key is not None
    }
