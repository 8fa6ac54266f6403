"""One attempt at one HLS source: playlists and segments fetched, their bytes handed to a demuxer's pipe.

Source: RFC 8216 6.3.3 (where to begin), 6.3.4 (when to look again).
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from urllib.parse import urljoin

import anyio
import structlog

from pipeline.clock import Clock
from pipeline.errors import OnRecordError, ProtocolError, SourceError, SourceRefused
from pipeline.ingest.addresses import Addresses
from pipeline.ingest.door import Publication
from pipeline.ingest.pull.counts import PullCounts
from pipeline.ingest.pull.fetch import Fetcher
from pipeline.ingest.pull.playlist import MAX_BYTES, MediaPlaylist, Piece, Segment, choose, read_playlist
from pipeline.ingest.push import Pushes, PushSession
from pipeline.settings import Settings
from pipeline.sources import Source, SourceUrl, parse_source

_MAX_SEGMENT_BYTES = 256 * 1024 * 1024  # a minute, the longest target duration, at 34 Mbit/s
_MAX_BEGIN_BYTES = 1024 * 1024  # an init segment has 1 or 2 KiB
_FROM_EDGE = 3  # target durations (RFC 8216 6.3.3)
_SHORTEST_RELOAD_S = 0.5
_PART_EVERY_S = 1.0  # a part is a process; a playlist of breaks alone costs one a second
_TICK_S = 0.5

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Place:
    """Where a source stands between two attempts, so that nothing is recorded twice.

    next_sequence: of the segment to take next; None: none was taken yet.
    """

    next_sequence: int | None = None


class HlsPull:
    """One attempt; owned by the event loop's thread."""

    def __init__(
        self,
        source: Source,
        place: Place,
        addresses: Addresses,
        settings: Settings,
        clock: Clock,
        counts: PullCounts,
    ) -> None:
        self._source = source
        self._place = place
        self._settings = settings
        self._clock = clock
        self._counts = counts
        self._playlist_url: SourceUrl = source.url
        self._begin: bytes | None = None
        self._begin_piece: Piece | None = None
        limit_s = settings.pull.connect_timeout_s
        self._fetch = Fetcher(source.url, addresses, limit_s, settings.pull.allow_basic_without_tls)

    async def run(self, publication: Callable[[], Publication]) -> None:
        """Pull until it breaks or ends. publication(): opens the door, once there is media to expect.

        Raises: SourceError, ProtocolError, CodecUnsupported, WorkerFailed; and what `publication` raises.
        """
        try:
            playlist = await self._open()
            self._enter(playlist)
            silence_s = max(self._settings.pull.silence_timeout_s, 2 * playlist.target_s)
            push = self._settings.push.model_copy(update={"silence_timeout_s": silence_s})
            desk = Pushes(push, self._settings.ingest, self._clock)
            with desk.session(lambda _: publication()) as session:
                self._counts.connected += 1
                await self._carry(desk, session, playlist)
        finally:
            await self._fetch.aclose()

    async def _open(self) -> MediaPlaylist:
        """The media playlist, through a master where there is one. Raises: as `run`."""
        found = read_playlist(await self._whole(self._source.url, MAX_BYTES))
        if isinstance(found, MediaPlaylist):
            return found
        limits = self._settings.ingest
        variant = choose(found, limits.max_width, limits.max_height)
        if variant.has_apart:
            log.warning("a track is not carried", source=str(self._source.url), track="sound in a playlist of its own")
        self._playlist_url = self._resolved(self._source.url, variant.uri)
        playlist = read_playlist(await self._whole(self._playlist_url, MAX_BYTES))
        if not isinstance(playlist, MediaPlaylist):
            raise ProtocolError(f"{self._playlist_url} is a playlist of playlists of playlists")
        return playlist

    def _enter(self, playlist: MediaPlaylist) -> None:
        """Settle where to begin: where the last attempt was, else near the live edge; what ended, at its beginning.

        Raises: SourceError: there is nothing, or nothing more.
        """
        if not playlist.segments:
            raise SourceError(f"{self._source.url} gives a playlist without a segment")
        first, end = playlist.segments[0].sequence, playlist.segments[-1].sequence + 1
        place = self._place
        if playlist.is_ended and place.next_sequence is not None and place.next_sequence >= end:
            raise SourceError(f"{self._source.url} has ended")
        if place.next_sequence is None or place.next_sequence > end:
            place.next_sequence = first if playlist.is_ended else _near_edge(playlist)

    async def _carry(self, desk: Pushes, session: PushSession, playlist: MediaPlaylist) -> None:
        failure: OnRecordError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_sweep, desk)
            try:
                await session.run_parts(self._parts(playlist), "the playlist ended")
            except OnRecordError as error:
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _parts(self, playlist: MediaPlaylist) -> AsyncIterator[AsyncIterator[bytes]]:
        """Stretches of segments that go on from one another; each is read to its end before the next is asked for."""
        segments = _Ahead(self._segments(playlist))
        while await segments.peek() is not None:
            began_s = self._clock.monotonic_s()
            yield self._part(segments)
            await anyio.sleep(max(0.0, _PART_EVERY_S - (self._clock.monotonic_s() - began_s)))

    async def _part(self, segments: "_Ahead") -> AsyncIterator[bytes]:
        first = await segments.peek()
        if first is not None and first.begin is not None:
            url = self._resolved(self._playlist_url, first.begin.uri)
            yield await self._whole(url, _MAX_BEGIN_BYTES, first.begin.span)
        segment = first
        while segment is not None and first is not None and segment.begin == first.begin:
            if segment.is_break and segment is not first:
                return
            segments.take()
            self._place.next_sequence = segment.sequence + 1  # what breaks off is lost, not recorded twice
            if not segment.is_gap:
                url = self._resolved(self._playlist_url, segment.piece.uri)
                async for data in self._fetch.get(url, _MAX_SEGMENT_BYTES, segment.piece.span):
                    yield data
            segment = await segments.peek()

    async def _segments(self, playlist: MediaPlaylist) -> AsyncIterator[Segment]:
        """Every segment once, for ever; ends where the playlist says so."""
        while True:
            loaded_s = self._clock.monotonic_s()
            is_news = False
            for segment in playlist.segments:
                wanted = self._place.next_sequence or 0
                if segment.sequence < wanted:
                    continue
                if segment.sequence > wanted:
                    self._tell_missed(segment.sequence - wanted)
                is_news = True
                yield segment
            if playlist.is_ended:
                return
            wait_s = max(_SHORTEST_RELOAD_S, playlist.target_s if is_news else playlist.target_s / 2)
            await anyio.sleep(max(0.0, loaded_s + wait_s - self._clock.monotonic_s()))
            playlist = await self._reload()

    async def _reload(self) -> MediaPlaylist:
        found = read_playlist(await self._whole(self._playlist_url, MAX_BYTES))
        if not isinstance(found, MediaPlaylist):
            raise ProtocolError(f"{self._playlist_url} turned into another kind of playlist")
        end = found.segments[-1].sequence + 1 if found.segments else 0
        if found.segments and end < (self._place.next_sequence or 0):
            self._place.next_sequence = None
            raise SourceError(f"{self._playlist_url} counts its segments anew")
        return found

    def _tell_missed(self, count: int) -> None:
        self._counts.missed_segments += count
        log.warning("segments are gone before they were fetched", source=str(self._source.url), segments=count)

    async def _whole(self, url: SourceUrl, max_bytes: int, span: tuple[int, int] | None = None) -> bytes:
        try:
            with anyio.fail_after(self._settings.pull.connect_timeout_s):
                return b"".join([data async for data in self._fetch.get(url, max_bytes, span)])
        except TimeoutError as error:
            raise SourceError(f"{url} is not read whole within pull.connect_timeout_s") from error

    def _resolved(self, base: SourceUrl, uri: str) -> SourceUrl:
        """Raises: SourceRefused: a playlist may not name it."""
        try:
            url = parse_source(urljoin(base.wire, uri))
        except ValueError as error:
            raise SourceRefused(f"{base} names something that is no URL") from error
        if not url.is_playlist or (self._source.url.is_tls and not url.is_tls):
            raise SourceRefused(f"{base} names an address of scheme {url.scheme}, which may not be followed from it")
        return url


class _Ahead:
    """Segments of which the next may be looked at before it is taken."""

    def __init__(self, segments: AsyncIterator[Segment]) -> None:
        self._segments = segments
        self._next: Segment | None = None

    async def peek(self) -> Segment | None:
        """The next; None at the end."""
        if self._next is None:
            self._next = await anext(self._segments, None)
        return self._next

    def take(self) -> None:
        self._next = None


def _near_edge(playlist: MediaPlaylist) -> int:
    """The last segment that begins three target durations before the end; the first where there is none."""
    left_s = 0.0
    for segment in reversed(playlist.segments):
        left_s += segment.length_s
        if left_s >= _FROM_EDGE * playlist.target_s:
            return segment.sequence
    return playlist.segments[0].sequence


async def _sweep(desk: Pushes) -> None:
    while True:
        await anyio.sleep(_TICK_S)
        desk.sweep()
