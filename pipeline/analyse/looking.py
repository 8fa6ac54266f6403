"""One lease of the stage `signal` from its first unit to its end: reads, decodes key frames and sound, reports.

Owned by the worker's event loop; pictures are decoded in a thread, one at a time for the whole worker. A lease that is
lost ends it at once, and what was not reported never is.
"""

from collections.abc import AsyncIterator, Callable
from typing import Final

import anyio
import anyio.to_thread
import structlog

from pipeline.analyse.board import Lease
from pipeline.analyse.continuity import Continuity
from pipeline.analyse.pictures import KeyFrameDecoder
from pipeline.analyse.progress import Covered
from pipeline.analyse.reporter import Reporter
from pipeline.analyse.signal import Signal
from pipeline.analyse.sound import SoundDecoder
from pipeline.analyse.source import Given, Missed, Over
from pipeline.analyse.units import Unit
from pipeline.errors import CodecUnsupported, LeaseLost, SourceError
from pipeline.media import Track

log = structlog.get_logger(__name__)

_FEED_S: Final = 0.25
"""Sound is looked at in pieces of this length."""
_TELL_QUIET_S: Final = 2.0
_MOST_QUIET_S: Final = 30.0
"""Of a recording: its rows are told in reports of this length."""
_RECONNECT_S: Final = 0.3


class Looking:
    """Attributes: broken, key frames that could not be decoded."""

    def __init__(
        self, lease: Lease, signal: Signal, source: Callable[[], AsyncIterator[Given]], reporter: Reporter,
        decoding: anyio.CapacityLimiter,
    ) -> None:  # fmt: skip
        self.broken = 0
        self._lease = lease
        self._signal = signal
        self._source = source
        self._reporter = reporter
        self._decoding = decoding
        self._is_live = lease.work.kind == "live"
        self._pictures: dict[int, KeyFrameDecoder] = {}
        self._sounds: dict[int, SoundDecoder] = {}
        self._is_video: dict[int, bool] = {}
        self._continuity: dict[int, Continuity] = {}
        self._held: list[Unit] = []

    async def run(self) -> None:
        """Until the work is done or lost. Does not raise but for cancellation: the lease is then given back."""
        failure = ""
        try:
            try:
                while not await self._read_once():
                    await anyio.sleep(_RECONNECT_S)
            except SourceError as error:
                failure = str(error)
            self._signal.finish()
            await self._report(is_over=True, failure=failure)
        except LeaseLost:
            log.info("a lease was lost", work=self._lease.work.work_id)

    async def _read_once(self) -> bool:
        """Whether the source is at its end. Raises: SourceError: it cannot be read at all. LeaseLost."""
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
                        self._hear()
                        self._signal.missed(given.start_s, given.end_s, is_ours=given.is_ours)
                    case Over():
                        self._hear()
                        return True
                    case tracks:
                        self._hear()
                        self._tracks(tracks)
                await self._report_where_due()
        except SourceError:
            if not self._is_live or not has_begun:
                raise
            self._hear()
        return False

    def _tracks(self, tracks: tuple[Track, ...]) -> None:
        """What of them cannot be decoded is judged by its sizes alone, and says so as undecodable."""
        self._is_video = {track.track_id: track.kind == "video" for track in tracks}
        self._signal.has_sound = any(track.kind == "audio" for track in tracks)
        self._pictures, self._sounds = {}, {}
        for track in tracks:
            self._continuity.setdefault(track.track_id, Continuity())
            try:
                if track.kind == "video":
                    self._pictures[track.track_id] = KeyFrameDecoder(track)
                else:
                    self._sounds[track.track_id] = SoundDecoder(track)
            except CodecUnsupported as error:
                log.warning("media that workers do not decode", reason=str(error))

    async def _take(self, unit: Unit) -> None:
        continuity = self._continuity.get(unit.track_id)
        if continuity is None:
            return
        is_video = self._is_video[unit.track_id]
        if (missed := continuity.missed(unit)) is not None and is_video:
            self._hear()
            self._signal.missed(*missed, is_ours=True)
        if not continuity.is_new(unit):
            return
        self._signal.unit(unit.pts_s, unit.duration_s, len(unit.data), is_key=unit.is_key, is_video=is_video)
        if not is_video:
            self._held.append(unit)
            if unit.pts_s + unit.duration_s - self._held[0].pts_s >= _FEED_S:
                self._hear()
        elif unit.is_key:
            await self._look(unit)

    async def _look(self, unit: Unit) -> None:
        decoder = self._pictures.get(unit.track_id)
        if decoder is None:
            self._signal.picture(unit.pts_s, None)
            return
        await anyio.to_thread.run_sync(self._judge, decoder, unit, limiter=self._decoding)

    def _judge(self, decoder: KeyFrameDecoder, unit: Unit) -> None:
        """In the thread; nothing else touches the signal meanwhile."""
        self._signal.picture(unit.pts_s, decoder.luma(unit))
        self.broken += decoder.broken
        decoder.broken = 0

    def _hear(self) -> None:
        held, self._held = self._held, []
        for decoder in self._sounds.values():
            for sound in decoder.decode_all([unit for unit in held if unit.track_id in self._sounds]):
                self._signal.sound(sound)
            break  # a stream of ours has one track of sound

    async def _report_where_due(self) -> None:
        """What began or ended at once, a quiet span every few seconds."""
        quiet_s = _TELL_QUIET_S if self._is_live else _MOST_QUIET_S
        if self._signal.has_news or self._signal.unreported_s >= quiet_s:
            await self._report(is_over=False)

    async def _report(self, *, is_over: bool, failure: str = "") -> None:
        """Raises: LeaseLost."""
        covered, rows = self._signal.take()
        if not covered and not is_over:
            return
        covered = covered or [Covered(0.0, 0.0, ())]
        for place, each in enumerate(covered):
            is_last = place == len(covered) - 1
            ends = is_over and is_last
            await self._reporter.send(
                each, each.events, rows=rows if place == 0 else "",
                state=("failed" if failure else "done") if ends else "running", reason=failure if ends else "",
            )  # fmt: skip
