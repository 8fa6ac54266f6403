"""Publishing by HTTP: one body from one publisher becomes one publication. Knows no web framework.

FLV is read here, by the reader RTMP has; MPEG-TS and MP4 by a child process each (`demux_child.py`). A child that
dies, spins or hangs, and a publisher that trickles, costs its own stream only.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO

import anyio
import structlog

from pipeline.clock import Clock
from pipeline.errors import OnRecordError, ProtocolError, PublishRefused, WorkerFailed
from pipeline.ingest.container import HEAD_BYTES, Container, container_of
from pipeline.ingest.demux_child import DEMUXER, DemuxChild
from pipeline.ingest.door import Publication
from pipeline.ingest.flv_body import FlvBody
from pipeline.ingest.records import Jailed, Record, TracksFound, TrackSkipped, track_of
from pipeline.ingest.rtmp.flv import FlvReader
from pipeline.media import Packet, Track
from pipeline.settings import IngestSettings, PushSettings

_MOST_PRESSURE = 0.25  # of the recorder's hold; above it a body that comes faster than it plays has to wait
_AHEAD_S = 10.0  # media this far ahead of our clock comes faster than it plays: nobody watches it live
_CHILD_START_CPU_S = 3.0  # the interpreter and libav, on a slow machine

log = structlog.get_logger(__name__)


class PushSession:
    """One body. `run` carries it; `kick` and `check` may end it from outside, in the event loop's thread."""

    def __init__(self, desk: "Pushes", publication: Callable[["PushSession"], Publication]) -> None:
        """publication(session): opens the door for it.

        Raises: what `publication` raises.
        """
        self.packets = 0
        self.media_s = 0.0
        """How much media was taken, by its own time stamps."""
        self._desk = desk
        self._scope = anyio.CancelScope()
        self._failure: OnRecordError | None = None
        self._child: DemuxChild | None = None
        self._timescales: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self._began_s = self._since_s = desk.clock.monotonic_s()
        self._packets_seen = 0
        self._relief: anyio.Event | None = None  # set once the recorder has kept up; None while it keeps up
        self._publication = publication(self)

    async def run(self, body: AsyncIterator[bytes], content_type: str = "") -> None:
        """Publish all of `body`; the publication is ended or lost in every case.

        Raises: ContainerUnknown, CodecUnsupported, ProtocolError: the body is nothing we take, or broke off.
        WorkerFailed: its demuxer died or hung. PublishRefused: kicked. And what `body` raises.
        """
        await self._carry(partial(self._run_body, body, content_type), "the publisher ended the body")

    async def run_parts(self, parts: AsyncIterator[AsyncIterator[bytes]], goodbye: str) -> None:
        """The same with bodies that follow one another, each in a container of its own.

        Raises: as `run`.
        """
        await self._carry(partial(self._run_parts, parts), goodbye)

    async def run_file(self, file: BinaryIO) -> None:
        """The same with a file, as fast as it can be read; MP4 of any form.

        Raises: as `run`.
        """
        await self._carry(partial(self._run_file, file), "the file ended")

    def kick(self, reason: str) -> None:
        """End it: the key was revoked, the stream taken over, the server stops."""
        self._stop(PublishRefused(reason))

    def check(self, now_s: float) -> None:
        """Hold it to its deadlines. Called a few times a second."""
        settings = self._desk.settings
        if self._relief is not None:
            self._since_s = now_s  # it is we who let it wait
            if self._publication.pressure <= _MOST_PRESSURE / 2:
                self._let_go()
        if self.packets != self._packets_seen:
            self._packets_seen = self.packets
            self._since_s = now_s
        if now_s - self._since_s > settings.silence_timeout_s:
            self._stop(ProtocolError(f"no media within {settings.silence_timeout_s:g} s (silence_timeout_s)"))
        elif self._child is not None:
            worked_s = max(now_s - self._began_s, self.media_s)  # a body may come faster than it plays
            if self._child.cpu_s() > _CHILD_START_CPU_S + settings.child_cpu_share * worked_s:
                self._stop(WorkerFailed("the demuxer used more CPU than push.child_cpu_share allows"))

    async def _carry(self, work: Callable[[], Awaitable[None]], goodbye: str) -> None:
        try:
            with self._scope:
                await work()
            if self._failure is not None:
                raise self._failure
        except OnRecordError as error:
            log.info("push broke off", **self._publication.ids, reason=str(error), packets=self.packets)
            self._publication.lost(str(error))
            raise
        except anyio.get_cancelled_exc_class():
            self._publication.lost("the server stops")
            raise
        self._publication.end(goodbye)

    async def _run_body(self, body: AsyncIterator[bytes], content_type: str) -> None:
        head = b""
        while len(head) < HEAD_BYTES and (data := await anext(body, None)) is not None:
            head += data
        container = container_of(content_type, head)
        if container is Container.FLV:
            await self._run_flv(head, body)
        else:
            await self._run_child(container, head, body)

    async def _run_parts(self, parts: AsyncIterator[AsyncIterator[bytes]]) -> None:
        async for body in parts:
            await self._run_body(body, "")

    async def _run_file(self, file: BinaryIO) -> None:
        head = file.read(HEAD_BYTES)
        file.seek(0)
        container = container_of("", head)
        if container is Container.FLV:
            await self._run_flv(b"", _blocks(file))
        else:
            await self._run_child(container, b"", _nothing(), file)

    async def _run_flv(self, head: bytes, body: AsyncIterator[bytes]) -> None:
        limits, clock = self._desk.ingest, self._desk.clock
        reader = FlvReader(limits.max_width, limits.max_height)
        flv = FlvBody(reader, self._desk.settings.max_access_unit_bytes)
        self._take(flv.feed(head, clock.utc_s()))
        async for data in body:
            self._take(flv.feed(data, clock.utc_s()))
            if self._relief is not None:
                await self._relief.wait()
        self._take(flv.finish(clock.utc_s()))

    async def _run_child(
        self, container: Container, head: bytes, body: AsyncIterator[bytes], file: BinaryIO | None = None
    ) -> None:
        desk = self._desk
        child = DemuxChild(container, desk.settings, desk.clock, self._take_records, self._stop, desk.demuxer)
        try:
            await child.start(file)
            self._child = child
            await child.feed(head)
            async for data in body:
                await child.feed(data)
            await child.finish()
        finally:
            self._child = None
            await child.aclose()

    def _take_records(self, records: list[Record]) -> None:
        """What the child told. Called by its pipe: errors end the session, they do not rise."""
        try:
            self._take(records)
        except OnRecordError as error:
            self._stop(error)

    def _take(self, found: Sequence[Record | tuple[Track, ...]]) -> None:
        """Raises: CodecUnsupported, ProtocolError."""
        if self._failure is not None:
            return
        publish, timescales = self._publication.publish, self._timescales
        packet = None
        for each in found:
            if isinstance(each, Packet):
                if each.track_id not in timescales:
                    raise ProtocolError("the demuxer told a packet before its track")
                packet = each
                publish(packet)
                self.packets += 1
            else:
                self._take_rare(each)
        if packet is not None:
            if len(self._starts) < len(timescales):
                for each in found:
                    if isinstance(each, Packet):
                        self._starts.setdefault(each.track_id, each.dts)
            ticks = packet.dts - self._starts[packet.track_id]
            self.media_s = max(self.media_s, ticks / timescales[packet.track_id])
            if self._relief is None and self._publication.pressure > _MOST_PRESSURE:
                self._hold_back()

    def _hold_back(self) -> None:
        """The recorder does not keep up with a body that comes faster than it plays: the body waits."""
        if self._desk.clock.monotonic_s() - self._began_s + _AHEAD_S < self.media_s:
            self._relief = anyio.Event()
            if self._child is not None:
                self._child.pause()

    def _let_go(self) -> None:
        relief, self._relief = self._relief, None
        if relief is not None:
            relief.set()
        if self._child is not None:
            self._child.resume()

    def _take_rare(self, record: Record | tuple[Track, ...]) -> None:
        match record:
            case TracksFound(found):
                limits = self._desk.ingest
                self._set_tracks(tuple(track_of(*each, limits.max_width, limits.max_height) for each in found))
            case TrackSkipped(name):
                log.warning(
                    "a track is not carried",
                    **self._publication.ids,
                    track=name,
                    remedy="use H.264 or H.265 with AAC or Opus",
                )
            case Jailed(missing):
                self._desk.caged(missing)
            case (Track(), *_):
                self._set_tracks(record)
            case _:
                pass  # last words are the child's affair

    def _set_tracks(self, tracks: tuple[Track, ...]) -> None:
        if self._timescales.keys() - {track.track_id for track in tracks}:
            raise ProtocolError("a track went away in the middle of the stream")
        self._publication.set_tracks(tracks)
        for track in tracks:
            if self._timescales.get(track.track_id, track.timescale) != track.timescale:
                self._starts.pop(track.track_id, None)
            self._timescales[track.track_id] = track.timescale

    def _stop(self, error: OnRecordError) -> None:
        """End it with `error`, unless it ended already."""
        self._failure = self._failure or error
        self._scope.cancel()


class Pushes:
    """The bodies that are being taken now. The attributes are counts for the metrics."""

    def __init__(
        self, settings: PushSettings, ingest: IngestSettings, clock: Clock, demuxer: Sequence[str] = DEMUXER
    ) -> None:
        """demuxer: as `DemuxChild` has it."""
        self.demuxer = demuxer
        self.settings = settings
        self.ingest = ingest
        self.clock = clock
        self.accepted = 0
        self.broken = 0
        """Those that did not come to a good end."""
        self.demuxers_failed = 0
        """Of the broken: the demuxer died, was killed for its use of the machine, or could not be started."""
        self.cage_lacks: str | None = None
        """What the demuxers' cage lacks on this machine; empty: nothing; None: none has run yet."""
        self._sessions: set[PushSession] = set()
        self._is_empty = anyio.Event()

    @property
    def open(self) -> int:
        """Bodies that are being taken now."""
        return len(self._sessions)

    @contextmanager
    def session(self, publication: Callable[[PushSession], Publication]) -> Iterator[PushSession]:
        """A session for one body, with deadlines while the context lasts. publication(session): opens its door.

        Raises: WorkerFailed: as many as push.max_publishers already. And what `publication` raises.
        """
        if len(self._sessions) >= self.settings.max_publishers:
            raise WorkerFailed("as many publishers by HTTP as push.max_publishers allows")
        session = PushSession(self, publication)
        self._sessions.add(session)
        self.accepted += 1
        try:
            yield session
        except OnRecordError as error:
            self.broken += 1
            self.demuxers_failed += isinstance(error, WorkerFailed)
            raise
        finally:
            self._sessions.discard(session)
            if not self._sessions:
                self._is_empty.set()

    def sweep(self) -> None:
        """Close whoever missed a deadline. Called a few times a second."""
        now_s = self.clock.monotonic_s()
        for session in list(self._sessions):
            session.check(now_s)

    async def close(self, reason: str) -> None:
        """End every session, and wait until its child is gone."""
        for session in list(self._sessions):
            session.kick(reason)
        if self._sessions:
            self._is_empty = anyio.Event()
            await self._is_empty.wait()

    def caged(self, missing: str) -> None:
        """A demuxer said what its cage lacks."""
        if missing and self.cage_lacks is None:
            log.warning("demuxers run with less isolation", missing=missing, remedy="see 'onrecord doctor'")
        self.cage_lacks = missing


async def _blocks(file: BinaryIO) -> AsyncIterator[bytes]:
    while data := await anyio.to_thread.run_sync(file.read, 1 << 20):
        yield data


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for data in nothing:
        yield data
