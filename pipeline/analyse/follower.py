"""One lease from its first sound to its end: reads the source, has what was said recognised, reports what is covered.

Owned by the worker's event loop; the models run in a thread that `Recogniser` owns. A lease that is lost ends it at
once, and what was not reported never is.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import anyio
import structlog

from models.base import Heard
from pipeline.analyse.board import Caption, Lease
from pipeline.analyse.continuity import Continuity
from pipeline.analyse.hearing import Hearing, Wanted
from pipeline.analyse.progress import Covered
from pipeline.analyse.reporter import Reporter
from pipeline.analyse.sound import SoundDecoder
from pipeline.analyse.source import Given, Missed, Over
from pipeline.analyse.units import Unit
from pipeline.errors import CodecUnsupported, LeaseLost, SourceError
from pipeline.events import Event

log = structlog.get_logger(__name__)

_FEED_S: Final = 0.25
"""Sound is looked at in pieces of this length: fewer, longer calls of the voice detector cost half."""
_TELL_QUIET_S: Final = 2.0
"""Coverage without words is reported this often."""
_AHEAD: Final = 6
"""Utterances of a recording that wait for their words; further reading waits."""
_MOST_CAPTIONS: Final = 50
_RECONNECT_S: Final = 0.3


class Recognising(Protocol):
    """Who has utterances recognised."""

    def ask(self, follower: "Follower", wanted: Wanted) -> None: ...
    def forget(self, follower: "Follower") -> None: ...
    def behind_s(self, follower: "Follower") -> float: ...


@dataclass(slots=True)
class _Counts:
    finals: int = 0


class Follower:
    """Attributes that the recogniser reads: hearing, is_live, hot_words, partial_s (monotonic, of the last partial)."""

    def __init__(
        self,
        lease: Lease,
        hearing: Hearing,
        source: Callable[[], AsyncIterator[Given]],
        recognising: Recognising,
        reporter: Reporter,
        extra: Callable[[], tuple[Event, ...]],
    ) -> None:
        """extra: facts of the worker as a whole that wait to be told."""
        self.lease = lease
        self.hearing = hearing
        self.is_live = lease.work.kind == "live"
        self.partial_s = 0.0
        self.counts = _Counts()
        self._source = source
        self._recognising = recognising
        self._reporter = reporter
        self._extra = extra
        self._captions: deque[Caption] = deque(maxlen=_MOST_CAPTIONS)
        self._continuity = Continuity()
        self._news = anyio.Event()
        self._is_read = False
        self._room = anyio.Event()
        self._failure = ""

    async def run(self) -> None:
        """Until the work is done or lost. Does not raise but for cancellation: the lease is then given back."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read)
                await self._report()
                tasks.cancel_scope.cancel()
        except* LeaseLost:
            log.info("a lease was lost", work=self.lease.work.work_id)
        finally:
            self._recognising.forget(self)

    def answered(self, wanted: Wanted, heard: Heard, late_s: float, model: str) -> None:
        """From the recogniser, in the event loop's thread. model: "" for the one of this lease."""
        if wanted.is_final:
            self.counts.finals += 1
            caption = self.hearing.final(wanted, heard, late_s, model)
        else:
            caption = self.hearing.partial(wanted, heard)
        if caption is not None and self.is_live:
            self._captions.append(caption)
        self._wake()

    def dropped(self, wanted: Wanted, reason: str) -> None:
        """The recogniser gives this one up."""
        self.hearing.drop(wanted, reason)
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        if self.hearing.waiting < _AHEAD:
            self._room.set()

    async def _read(self) -> None:
        try:
            while not await self._read_once():  # the feed broke, and the stream goes on: what was missed is a hole
                await anyio.sleep(_RECONNECT_S)
        except SourceError as error:
            self._failure = str(error)
        for wanted in self.hearing.finish():
            self._recognising.ask(self, wanted)
        self._is_read = True
        self._wake()

    async def _read_once(self) -> bool:
        """Whether the source is at its end. Raises: SourceError: it cannot be read at all."""
        decoder: SoundDecoder | None = None
        held: list[Unit] = []
        has_begun = False
        self._continuity.begun()
        try:
            async for given in self._source():
                has_begun = True
                match given:
                    case Unit():
                        if (missed := self._continuity.missed(given)) is not None:
                            self._ask(self.hearing.missed(*missed, is_ours=True))
                        if not self._continuity.is_new(given):
                            continue
                        held.append(given)
                        if decoder is not None and given.pts_s + given.duration_s - held[0].pts_s >= _FEED_S:
                            await self._hear(decoder, held)
                            held = []
                    case Missed():
                        await self._hear(decoder, held)
                        held = []
                        self._ask(self.hearing.missed(given.start_s, given.end_s, is_ours=given.is_ours))
                    case Over():
                        await self._hear(decoder, held)
                        return True
                    case tracks:
                        await self._hear(decoder, held)
                        held, decoder = [], _decoder(tracks)
        except SourceError:
            if not self.is_live or not has_begun:
                raise
            await self._hear(decoder, held)
        return False

    async def _hear(self, decoder: SoundDecoder | None, units: list[Unit]) -> None:
        if decoder is None:
            return
        for sound in decoder.decode_all(units):
            self._ask(self.hearing.feed(sound))
        self._wake()
        while not self.is_live and self.hearing.waiting >= _AHEAD:
            self._room = anyio.Event()
            await self._room.wait()
        await anyio.lowlevel.checkpoint()

    def _ask(self, wanted: list[Wanted]) -> None:
        for each in wanted:
            self._recognising.ask(self, each)

    async def _report(self) -> None:
        """Raises: LeaseLost."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            is_over = self._is_read and not self.hearing.waiting
            captions = list(self._captions)
            self._captions.clear()
            covered = self.hearing.covered() if self._is_due(is_over) else []
            extra = self._extra()
            if is_over:
                covered = covered or [Covered(0.0, 0.0, ())]
            elif not covered and (captions or extra):
                covered = [Covered(0.0, 0.0, ())]
            for place, each in enumerate(covered):
                is_last = place == len(covered) - 1
                await self._send(
                    each, (*each.events, *extra) if is_last else each.events, captions if is_last else [],
                    is_over=is_over and is_last,
                )  # fmt: skip
            if is_over:
                return

    def _is_due(self, is_over: bool) -> bool:
        """Words at once, silence every few seconds."""
        return is_over or self.hearing.is_news(_TELL_QUIET_S)

    async def _send(
        self, covered: Covered, events: tuple[Event, ...], captions: list[Caption], *, is_over: bool
    ) -> None:
        """Raises: LeaseLost."""
        await self._reporter.send(
            covered, events, captions=tuple(captions), behind_s=round(self._recognising.behind_s(self), 1),
            state=("failed" if self._failure else "done") if is_over else "running",
            reason=self._failure if is_over else "",
        )  # fmt: skip


def _decoder(tracks: object) -> SoundDecoder | None:
    """Of the first track with sound that can be decoded; None: there is none, and nothing is heard."""
    if not isinstance(tracks, tuple):
        return None
    for track in tracks:
        try:
            return SoundDecoder(track)
        except CodecUnsupported as error:
            log.warning("sound that workers do not decode", reason=str(error))
    return None
