"""One lease of the stage `faces`: key frames are searched for faces, tracks of them are asked about, coverage is told.

It looks only while the server says that something is to be searched in this stream, asked every second; where that ends
or no answer comes, all that was seen is forgotten and nothing is decoded. Where the server says that a track is near to
somebody, all pictures of the next seconds are looked at, ten a second. Nothing of a face is reported or written: a
track's template and its best shot go to the server (probing.py), and are gone from here when the track is over.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread
import structlog

from models.face.base import Picture
from models.face.tracks import FaceTracks, Track
from pipeline.analyse.board import Lease
from pipeline.analyse.continuity import Continuity
from pipeline.analyse.face_asking import Asking
from pipeline.analyse.face_questions import ANSWER_S, POLL_S, Questions
from pipeline.analyse.face_shots import FaceShots
from pipeline.analyse.pictures import GroupDecoder, KeyFrameDecoder
from pipeline.analyse.probing import Answer, Asked, Probe
from pipeline.analyse.progress import Covered
from pipeline.analyse.reporter import Reporter
from pipeline.analyse.source import Given, Missed, Over
from pipeline.analyse.units import Unit
from pipeline.errors import CodecUnsupported, LeaseLost, ModelFailed, SourceError
from pipeline.media import Track as MediaTrack

log = structlog.get_logger(__name__)

_TELL_S: Final = 2.0
_MOST_QUIET_S: Final = 30.0
"""Of a recording: coverage is told in pieces of this length."""
_RECONNECT_S: Final = 0.3
BURST_HZ: Final = 10.0
"""Pictures a second that are looked at in a burst: a face turns or blinks within a tenth of one."""
_REST: Final = 2.0
"""After a burst, its length times this passes before the next: one face that stays near must not take the processor."""
_MOST_HELD_BYTES: Final = 4 * 1024 * 1024
"""Of a group of pictures, so that a burst can begin in its middle; where more came, it begins at the next key frame."""
_LAST_PROBES_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What the leases of a worker share: threads that decode, that run the models, and that ask the server."""

    decoding: anyio.CapacityLimiter
    looking: anyio.CapacityLimiter
    asking: anyio.CapacityLimiter


@dataclass(frozen=True, slots=True)
class _News:
    covered: Covered
    is_over: bool
    failure: str


class Facing:
    """looked: pictures that were searched. broken: pictures that were none."""

    def __init__(
        self, lease: Lease, shots: FaceShots, source: Callable[[], AsyncIterator[Given]], reporter: Reporter,
        asked: Callable[[], Asked], budget: Budget, burst_s: float,
    ) -> None:  # fmt: skip
        """asked: makes a connection to the server."""
        self.looked = self.broken = 0
        self._lease = lease
        self._shots = shots
        self._source = source
        self._reporter = reporter
        self._budget = budget
        self._burst_s = burst_s
        self._is_live = lease.work.kind == "live"
        self._questions = Questions(
            lease.work.stream_id, shots.embedder.label, asked, budget.asking, self._stop, self._answered
        )  # fmt: skip
        self._scope: anyio.CancelScope | None = None
        self._news: list[_News] = []
        self._has_news = anyio.Event()
        self._tracks = FaceTracks()
        self._forget()

    async def run(self) -> None:
        """Until the work is done or lost. Does not raise but for cancellation."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._questions.poll)
                tasks.start_soon(self._questions.ask)
                tasks.start_soon(self._look_while_watched)
                await self._tell()
                tasks.cancel_scope.cancel()
        except* LeaseLost:
            log.info("a lease was lost", work=self._lease.work.work_id)
        finally:
            self._forget()

    async def _look_while_watched(self) -> None:
        failure = ""
        try:
            is_over = False
            while not is_over:
                await self._until_watched()
                with anyio.CancelScope() as self._scope:
                    is_over = await self._read_once()
                    if not is_over:
                        await anyio.sleep(_RECONNECT_S)
                if self._scope.cancelled_caught:
                    self._forget()
            await self._finish()
        except (SourceError, ModelFailed) as error:
            failure = str(error)
        self._cover(is_over=True, failure=failure)

    async def _until_watched(self) -> None:
        """Raises: SourceError: of a recording, nothing is sought there."""
        limit_s = float("inf") if self._is_live else POLL_S + ANSWER_S
        if not await self._questions.until_watched(limit_s):
            raise SourceError("no gallery is to be searched in this recording now")

    def _stop(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    def _forget(self) -> None:
        """All that was seen, overwritten where it lies in our hands."""
        for track in self._tracks.open:
            track.wipe()
        self._tracks = FaceTracks()
        self._asking = Asking(self._lease.work, self._shots.embedder.label, self._shots.detector.label)
        self._questions.clear()
        self._decoders: dict[int, KeyFrameDecoder] = {}
        self._media: dict[int, MediaTrack] = {}
        self._continuity: dict[int, Continuity] = {}
        self._group: list[Unit] = []
        self._held_bytes = 0
        self._burst: GroupDecoder | None = None
        self._is_near = False
        self._burst_until_s = self._rest_until_s = float("-inf")
        self._from_s: float | None = None
        self._to_s = self._looked_s = float("-inf")

    async def _read_once(self) -> bool:
        """Whether the source is at its end. Raises: SourceError, ModelFailed."""
        has_begun = False
        for each in self._continuity.values():
            each.begun()
        try:
            async for given in self._source():
                has_begun = True
                match given:
                    case Unit():
                        await self._take(given)
                    case Missed():
                        self._break(given.start_s, given.end_s)
                    case Over():
                        return True
                    case tracks:
                        self._begin(tracks)
                if self._from_s is not None and self._to_s - self._from_s >= self._tell_s:
                    self._cover()
        except SourceError:
            if not self._is_live or not has_begun:
                raise
        return False

    @property
    def _tell_s(self) -> float:
        return _TELL_S if self._is_live else _MOST_QUIET_S

    def _begin(self, tracks: tuple[MediaTrack, ...]) -> None:
        self._decoders, self._media = {}, {}
        self._end_burst()
        for track in tracks:
            if track.kind != "video":
                continue
            try:
                self._decoders[track.track_id] = KeyFrameDecoder(track)
                self._media[track.track_id] = track
                self._continuity.setdefault(track.track_id, Continuity())
            except CodecUnsupported as error:
                log.warning("media that workers do not decode", reason=str(error))

    def _break(self, start_s: float, end_s: float) -> None:
        """What lies between was not given to us: it stays unseen."""
        self._end_burst()
        self._group.clear()
        if self._from_s is not None:
            self._to_s = min(self._to_s, max(start_s, self._from_s))
            self._cover()
        self._from_s = self._to_s = end_s

    async def _take(self, unit: Unit) -> None:
        """Raises: ModelFailed."""
        continuity = self._continuity.get(unit.track_id)
        if continuity is None or unit.track_id not in self._decoders:
            return
        if (missed := continuity.missed(unit)) is not None:
            self._break(*missed)
        if not continuity.is_new(unit):
            return
        if unit.is_key:
            self._group, self._held_bytes = [], 0
        self._hold(unit)
        if self._burst is not None:
            await self._burst_on(unit)
        elif self._is_near and self._group:
            await self._begin_burst(unit.pts_s)
        elif unit.is_key:
            decoder = self._decoders[unit.track_id]
            picture = await anyio.to_thread.run_sync(decoder.colour, unit, limiter=self._budget.decoding)
            if picture is None:
                self.broken += 1
            else:
                await self._look(unit.pts_s, picture)
        self._from_s = unit.pts_s if self._from_s is None else self._from_s
        self._to_s = max(self._to_s, unit.pts_s + unit.duration_s)

    def _hold(self, unit: Unit) -> None:
        """Of the group so far, while it is not too large; else nothing of it."""
        if not self._group and not unit.is_key:
            return
        self._held_bytes += len(unit.data)
        if self._held_bytes > _MOST_HELD_BYTES:
            self._group = []
        else:
            self._group.append(unit)

    async def _begin_burst(self, from_s: float) -> None:
        """What comes is made from the last key frame on, so what is held since is decoded, and not looked at."""
        self._burst = GroupDecoder(self._media[self._group[0].track_id], BURST_HZ, from_s)
        self._burst_until_s = from_s + self._burst_s
        for held in list(self._group):
            await self._burst_on(held)

    async def _burst_on(self, unit: Unit) -> None:
        burst = self._burst
        if burst is None:
            return
        if unit.pts_s >= self._burst_until_s:
            moments = await anyio.to_thread.run_sync(burst.finish, limiter=self._budget.decoding)
            self._end_burst()
        else:
            moments = await anyio.to_thread.run_sync(burst.feed, unit, limiter=self._budget.decoding)
        for moment in moments:
            await self._look(moment.pts_s, moment.picture)

    def _end_burst(self) -> None:
        if self._burst is not None:
            self._rest_until_s = self._burst_until_s + _REST * self._burst_s
        self._burst, self._is_near = None, False

    async def _look(self, at_s: float, picture: Picture) -> None:
        """Raises: ModelFailed."""
        if at_s <= self._looked_s:
            return
        self._looked_s = at_s
        seen = await anyio.to_thread.run_sync(self._shots.seen, at_s, picture, limiter=self._budget.looking)
        self.looked += 1
        self._ask_about(self._tracks.feed(at_s, seen))
        if not self._is_live:  # it would be read on meanwhile, and who is near be looked at closer elsewhere
            await self._questions.drained(_LAST_PROBES_S)

    def _ask_about(self, tracks: Sequence[Track]) -> None:
        for track in tracks:
            probe = self._asking.due(track)
            if track.is_over:
                track.wipe()
            if probe is not None:
                self._questions.put(probe)

    def _answered(self, probe: Probe, answer: Answer | None) -> None:
        match answer:
            case None:
                self._asking.not_taken(probe.track)
            case "near":
                is_rested = self._burst is None and self._looked_s >= self._rest_until_s
                self._is_near = is_rested and self._burst_s > 0
            case "suggested":
                self._asking.suggested(probe.track)
            case "unknown" | "nothing_to_search":
                pass

    async def _finish(self) -> None:
        """The stream is over: so are its tracks, and each is asked about a last time."""
        self._ask_about(self._tracks.finish())
        await self._questions.drained(_LAST_PROBES_S)

    def _cover(self, *, is_over: bool = False, failure: str = "") -> None:
        """Have it told that this was seen."""
        start_s, end_s = (self._from_s, self._to_s) if self._from_s is not None else (0.0, 0.0)
        if end_s > start_s:
            self._from_s = end_s
        else:
            start_s = end_s = 0.0
        last = self._news[-1] if self._news else None
        if last is not None and last.covered.end_s == start_s < end_s:  # the board is slow: one piece for both
            start_s = self._news.pop().covered.start_s
        if is_over or end_s > start_s:
            self._news.append(_News(Covered(start_s, end_s, ()), is_over=is_over, failure=failure))
            self._has_news.set()

    async def _tell(self) -> None:
        """Until all is told. Where the board does not take it, it waits; a piece covers two seconds and more.

        Raises: LeaseLost.
        """
        while True:
            await self._has_news.wait()
            self._has_news = anyio.Event()
            while self._news:
                news = self._news.pop(0)
                if not news.is_over:
                    await self._reporter.send(news.covered, ())
                    continue
                await self._reporter.send(
                    news.covered, (), state="failed" if news.failure else "done", reason=news.failure
                )
                return
