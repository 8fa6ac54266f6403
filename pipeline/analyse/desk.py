"""The desk: which streams and spans are to be analysed, what came of it, and what nobody has seen yet.

Every recorded second with sound is seen by each stage once: live where a worker follows, else from the recording. What
a live worker missed is an AnalysisGap, and becomes work as soon as its media is in a closed segment. Facts of a report
are told at once; the mark that its span is done is written when they are on the medium (keeping.py).
Owned by the event loop's thread; `run` must run. Knows no transport, no model and no socket.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import anyio
import anyio.to_thread
import structlog

from pipeline.analyse.board import DeskBoard, Ended, Report, Work
from pipeline.analyse.captions import Captions
from pipeline.analyse.coverage import Coverage, Span
from pipeline.analyse.keeping import Keeping
from pipeline.analyse.marks import Mark, Marks
from pipeline.analyse.open_findings import OpenFindings
from pipeline.analyse.rows import Rows
from pipeline.analyse.subjects import Archive, Followed, Outlet, Recorded, Stage
from pipeline.clock import Clock
from pipeline.errors import BoardUnavailable, StorageError
from pipeline.events import (
    AnalysisEased,
    AnalysisGap,
    AnalysisGapClosed,
    Event,
    EventSink,
    FindingEnded,
    FindingRaised,
    WordsHeard,
)

log = structlog.get_logger(__name__)

LIVE_PREFIX: Final = "live"
_SWEEP_S: Final = 0.5
_SCAN_S: Final = 15.0
_SHORTEST_HOLE_S: Final = 0.3
"""Between two spans that are seen: less cannot hold a word, and is the seam of two workers."""
_ONE_BREATH_S: Final = 12.0
"""An utterance lasts so long at most, and nothing of it is told before its end."""
_GRACE_S: Final = 10.0
"""From the end of a stream to its worker's last report."""
_COMES_S: Final = 3.0
"""From the wish to look at a stream to its worker's first picture: a claim, a connection, a key frame."""
_MOST_BEHIND_S: Final = 60.0
"""A live stream that nobody followed for so long is told as a gap in pieces, so that it is known while it lasts."""
_MOST_SPANS: Final = 2000
"""Spans that are on the board or wait for their media; more are found again by the next look at the recordings."""
_MOST_SEEN: Final = 5000
_RETRY_S: Final = 1.0
_MOST_AT_ONCE: Final = 16
"""Of them on the board: workers read recordings as fast as they can, and what is live must find room beside them."""
_OFFER_AGAIN_S: Final = 10.0
"""A board that lost its memory gets everything anew."""


@dataclass(slots=True)
class _Live:
    """A stage over a stream that is live."""

    work: Work
    stream: Followed
    coverage: Coverage = field(default_factory=Coverage)
    behind_s: float = 0.0
    covered_token: int = 0
    """Of the worker that covered something last."""
    from_s: float = 0.0
    """Where it began to be looked at: nothing was due before."""
    told_to_s: float = 0.0
    """Holes before this are told, or were none."""
    is_offered: bool = False
    is_done: bool = False
    is_lost: bool = False
    """Nobody has it, and nobody can do it any more."""
    over_s: float | None = None


@dataclass(slots=True)
class _Fence:
    token: int = 0
    number: int = 0


class Desk:
    """Attributes for the metrics page: reports, words, gaps, gap_s, waiting (spans), eased (worker → its last step)."""

    def __init__(
        self, board: DeskBoard, stages: Sequence[Stage], outlet: Outlet, marks: Marks, rows: Rows, archive: Archive,
        clock: Clock, emit: EventSink, catch_up_s: float,
    ) -> None:  # fmt: skip
        self.stages = {stage.name: stage for stage in stages}
        self.captions = Captions()
        self.open_findings = OpenFindings(clock.monotonic_s)
        self.hot_words: Callable[[str], Awaitable[tuple[str, ...]]] = _no_names
        """Names and terms that are likely in this stream."""
        self.wanted: Callable[[str, str], Awaitable[bool]] = _nothing_wanted
        """Whether a stage that chooses its streams (Stage.is_chosen) is to look at this one now: stage, stream_id."""
        self.reports = self.words = self.gaps = 0
        self.gap_s = 0.0
        self.eased: dict[str, AnalysisEased] = {}
        self._board = board
        self._keeping = Keeping(outlet, marks, rows)
        self._marks = marks
        self._archive = archive
        self._clock = clock
        self._emit = emit
        self._catch_up_s = catch_up_s
        self._streams: list[tuple[Followed, str]] = []
        self._live: dict[str, _Live] = {}
        self._spans: dict[str, Work] = {}  # waiting for their media, or on the board
        self._on_board: set[str] = set()
        self._fences: dict[str, _Fence] = {}
        self._seen: OrderedDict[str, dict[tuple[str, str], Coverage]] = OrderedDict()
        """What is told already: by recording, then by stage and model. Bound: _MOST_SEEN recordings."""
        self._recorded_to: dict[str, float] = {}  # by recording that is live

    @property
    def waiting(self) -> int:
        """Spans that are to be looked at."""
        return len(self._spans)

    @property
    def unmarked(self) -> int:
        """Spans that are seen, and not marked on the disk yet."""
        return self._keeping.waiting

    def behind_s(self) -> dict[str, float]:
        """By stream: how late its words come; or how long nobody followed it, where that is more."""
        found: dict[str, float] = {}
        for live in self._live.values():
            unseen_s = live.stream.position_s - max(live.coverage.end_s, live.from_s) - _ONE_BREATH_S
            behind_s = max(live.behind_s, unseen_s, 0.0)
            found[live.work.stream_id] = max(found.get(live.work.stream_id, 0.0), behind_s)
        return found

    def follow(self, stream: Followed, recording_id: str) -> None:
        """A stream began, and is recorded under this id."""
        self._streams.append((stream, recording_id))
        self._recorded_to[recording_id] = 0.0

    def recorded(self, recording_id: str, to_s: float) -> None:
        """Closed segments reach to here."""
        if recording_id in self._recorded_to:
            self._recorded_to[recording_id] = max(to_s, self._recorded_to[recording_id])

    async def run(self) -> None:
        """Until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keeping.run)
            tasks.start_soon(self._take)
            tasks.start_soon(self._scan)
            again_s = self._clock.monotonic_s() + _OFFER_AGAIN_S
            while True:
                with contextlib.suppress(BoardUnavailable):  # what was not offered is offered at the next sweep
                    await self.sweep()
                if self._clock.monotonic_s() > again_s:
                    again_s = self._clock.monotonic_s() + _OFFER_AGAIN_S
                    self._on_board.clear()
                    for live in self._live.values():
                        live.is_offered = False
                await anyio.sleep(_SWEEP_S)

    async def order(self, recorded: Recorded, stage: str, model: str, label: str) -> bool:
        """Look at a whole recording (again) with this model (name, and name@version).

        False: it is being done, or has been, by this very model; or its stage chooses, and does not want this stream.
        Raises: BoardUnavailable, StorageError.
        """
        await self._read_marks(recorded.recording_id)
        seen = self._coverage(recorded.recording_id, stage, label)
        if not seen.holes(0.0, recorded.length_s, _SHORTEST_HOLE_S):
            return False
        work = _span(recorded, stage, Span(0.0, recorded.length_s), model, "asked")
        if work.work_id in self._spans:
            return False
        self._spans[work.work_id] = work
        if self._has_room(work):
            await self._offer_span(work)
        return work.work_id in self._spans

    def ask(self, recorded: Recorded, stage: str, start_s: float, end_s: float, asked: str) -> bool:
        """Look at this span with a stage that looks only where it is asked to. False: the stage is off.

        recorded: of a recording that may go on; its length_s is not looked at. asked: what for, a duty.
        """
        found = self.stages.get(stage)
        if found is None or not found.is_on:
            return False
        work = _span(recorded, stage, Span(max(0.0, start_s), end_s), found.model, "asked")
        self._add_span(replace(work, asked=asked))
        return True

    async def sweep(self) -> None:
        """Offer what is there, tell what is missing. Called twice a second. Raises: BoardUnavailable."""
        self.open_findings.sweep()
        for stream, recording_id in list(self._streams):
            for stage in self.stages.values():
                work_id = f"{LIVE_PREFIX}:{stream.stream_id}:{stage.name}"
                is_followed = stage.is_on and not stage.is_asked and (stream.has_sound or not stage.needs_sound)
                if stage.is_chosen and not stream.is_over:
                    is_followed = is_followed and await self.wanted(stage.name, stream.stream_id)
                    if not is_followed and (live := self._live.get(work_id)) is not None:
                        await self._let_go(live)
                if is_followed and work_id not in self._live and not stream.is_over:
                    from_s = stream.position_s + _COMES_S if stage.is_chosen else 0.0
                    self._live[work_id] = _Live(
                        Work(
                            work_id, "live", stage.name, stream.stream_id, recording_id, stream.started_at,
                            model=stage.model, hot_words=await self.hot_words(stream.stream_id),
                        ),
                        stream, from_s=from_s, told_to_s=from_s,
                    )  # fmt: skip
            if stream.is_over and not any(live.stream is stream for live in self._live.values()):
                self._streams.remove((stream, recording_id))
                self._recorded_to.pop(recording_id, None)
        for live in list(self._live.values()):
            await self._sweep_live(live)
        for work in list(self._spans.values()):
            if work.work_id not in self._on_board and self._has_room(work):
                await self._offer_span(work)

    async def _sweep_live(self, live: _Live) -> None:
        if not live.is_offered:
            await self._board.offer(live.work)
            live.is_offered = True
        stream = live.stream
        if not stream.is_over:
            if stream.position_s - max(live.coverage.end_s, live.told_to_s) > _MOST_BEHIND_S:
                self._tell_holes(live, stream.position_s - _GRACE_S, "behind")
            return
        if live.over_s is None:
            live.over_s = self._clock.monotonic_s()
        if live.is_done or live.is_lost or self._clock.monotonic_s() - live.over_s > _GRACE_S:
            await self._board.withdraw(live.work.work_id)
            self._close_findings(live, "source_over" if live.is_done else "worker_lost")
            self._tell_holes(live, stream.position_s, "worker_lost")
            del self._live[live.work.work_id]
            self._fences.pop(live.work.work_id, None)
            self._recorded_to.pop(live.work.recording_id, None)

    async def _let_go(self, live: _Live) -> None:
        """Nothing is due any more. What its worker had not told yet stays untold, and is no gap.

        Raises: BoardUnavailable: it is still on the board.
        """
        await self._board.withdraw(live.work.work_id)
        self._close_findings(live, "source_over")
        del self._live[live.work.work_id]
        self._fences.pop(live.work.work_id, None)

    def _tell_holes(self, live: _Live, until_s: float, cause: str) -> None:
        """Each hole before `until_s` once: as a fact, and as work."""
        for hole in live.coverage.holes(live.told_to_s, until_s, _SHORTEST_HOLE_S):
            behind_s = round(max(0.0, live.stream.position_s - hole.end_s), 3)
            self._gap(live.work, hole, cause, behind_s)
        live.told_to_s = max(live.told_to_s, until_s)

    def _close_findings(self, live: _Live, reason: str) -> None:
        """What its worker left open: nobody knows whether it still is so."""
        ended = self.open_findings.close(live.work.work_id, live.coverage.end_s, live.work.started_at, reason)
        for event in ended:
            self._emit(event)

    def _gap(self, work: Work, hole: Span, cause: str, behind_s: float = 0.0) -> None:
        self.gaps += 1
        self.gap_s += hole.length_s
        self._emit(
            AnalysisGap(
                at=work.started_at + hole.start_s, stream_id=work.stream_id, recording_id=work.recording_id,
                start_s=round(hole.start_s, 3), end_s=round(hole.end_s, 3), stage=work.stage, cause=cause,
                behind_s=behind_s,
            )
        )  # fmt: skip
        log.warning(
            "analysis gap", stream_id=work.stream_id, stage=work.stage, start_s=round(hole.start_s, 3),
            end_s=round(hole.end_s, 3), cause=cause,
        )  # fmt: skip
        recorded = Recorded(work.recording_id, work.stream_id, work.started_at, hole.end_s)
        self._add_span(_span(recorded, work.stage, hole, work.model, cause))

    def _add_span(self, work: Work) -> None:
        if len(self._spans) < _MOST_SPANS:
            self._spans.setdefault(work.work_id, work)

    def _has_room(self, work: Work) -> bool:
        """What a rule asks for is short: it waits for nothing, and takes nobody's room."""
        asked = {name for name, stage in self.stages.items() if stage.is_asked}
        others = [each for each in self._on_board if self._spans[each].stage not in asked]
        return work.stage in asked or len(others) < _MOST_AT_ONCE

    async def _offer_span(self, work: Work) -> None:
        """Where its media is in closed segments; not at all where its stage chooses, and does not want it now."""
        stage = self.stages.get(work.stage)
        if stage is not None and stage.is_chosen and not await self.wanted(stage.name, work.stream_id):
            log.info("a span is not looked at: nothing is sought there", work=work.work_id)
            self._forget_span(work.work_id)
            return
        reached = self._recorded_to.get(work.recording_id)
        if reached is None or reached >= work.end_s:
            await self._board.offer(work)
            if work.work_id in self._spans:  # else it was done meanwhile
                self._on_board.add(work.work_id)

    async def _take(self) -> None:
        while True:
            try:
                items = await self._board.take()
            except BoardUnavailable:
                await anyio.sleep(_RETRY_S)
                continue
            for item in items:
                if isinstance(item, Ended):
                    self._ended(item)
                elif (mark := self._report(item)) is not None:
                    self._keeping.add(mark, item.rows)
            await self._acknowledge(items)

    async def _acknowledge(self, items: Sequence[Report | Ended]) -> None:
        """They are taken in, once, whenever the board is there to hear it."""
        while True:
            try:
                for item in items:
                    if isinstance(item, Ended) and item.is_laid_aside:
                        await self._board.withdraw(item.work.work_id)
                await self._board.taken(items)
            except BoardUnavailable:
                await anyio.sleep(_RETRY_S)
            else:
                return

    def _ended(self, ended: Ended) -> None:
        log.warning(
            "a worker lost its work", work=ended.work.work_id, tries=ended.tries, reason=ended.reason,
            laid_aside=ended.is_laid_aside,
        )  # fmt: skip
        if (live := self._live.get(ended.work.work_id)) is not None:
            self._close_findings(live, "worker_lost")
            live.is_lost = live.stream.is_over  # there is no feed any more that another one could follow
        if not ended.is_laid_aside:
            return
        if ended.work.kind == "span":
            self._forget_span(ended.work.work_id)
            if ended.work.reason in ("asked", "recorded"):
                self._gap_without_work(ended.work)
        elif live is not None:
            live.is_offered = False  # another second of it may be harmless

    def _gap_without_work(self, work: Work) -> None:
        self.gaps += 1
        self._emit(
            AnalysisGap(
                at=work.started_at + work.start_s, stream_id=work.stream_id, recording_id=work.recording_id,
                start_s=work.start_s, end_s=work.end_s, stage=work.stage, cause="stage_failed",
            )
        )  # fmt: skip

    def _report(self, report: Report) -> Mark | None:
        """Takes in what a worker found; the mark that is to be written once its facts are on the medium."""
        live = self._live.get(report.work_id)
        work = live.work if live is not None else self._spans.get(report.work_id)
        fence = self._fences.setdefault(report.work_id, _Fence())
        if work is None or (report.token, report.number) <= (fence.token, fence.number):
            return None  # withdrawn meanwhile, of a worker that lost it, or told again
        if live is not None:
            live.behind_s = report.behind_s
            if report.token != fence.token and fence.token:
                self._close_findings(live, "worker_lost")
        fence.token, fence.number = report.token, report.number
        self.reports += 1
        seen = self._coverage(work.recording_id, work.stage, report.model)
        for event in report.events:
            self._tell(event, seen, work)
        for caption in report.captions:
            self.captions.tell(caption, report.model)
        stage = self.stages.get(work.stage)
        span = _covered(report, work, live, is_chosen=stage is not None and stage.is_chosen)
        if span is not None:
            seen.add(span.start_s, span.end_s)
            if live is not None:
                live.coverage.add(span.start_s, span.end_s)
                said = report.reason if report.state == "running" else ""
                cause = said or ("behind" if live.covered_token in (0, report.token) else "worker_lost")
                live.covered_token = report.token
                self._tell_holes(live, span.start_s, cause)
        if report.state == "done":
            self._done(work, live, report.model)
        if span is None:
            return None
        return Mark(work.recording_id, work.stage, report.model, span.start_s, span.end_s)

    def _tell(self, event: Event, seen: Coverage, work: Work) -> None:
        """Words of a span that is told already are those of a look at it that was broken off: they are known.

        What is found in a recording is no news of now.
        """
        if isinstance(event, WordsHeard):
            if not seen.holes(event.start_s, event.end_s):
                return
            self.words += 1
        elif isinstance(event, AnalysisEased):
            self.eased[event.worker] = event
            log.warning("analysis eased", worker=event.worker, step=event.step, behind_s=event.behind_s)
        elif isinstance(event, FindingRaised) and work.kind == "live":
            self.open_findings.raised(event, work.work_id)
        elif isinstance(event, FindingEnded):
            self.open_findings.gone(event.stream_id, event.finding_id)
        self._emit(event)

    def _done(self, work: Work, live: _Live | None, model: str) -> None:
        if live is not None:
            live.is_done = True
            return
        self._forget_span(work.work_id)
        if work.reason not in ("asked", "recorded"):
            self._emit(
                AnalysisGapClosed(
                    at=work.started_at + work.start_s, stream_id=work.stream_id, recording_id=work.recording_id,
                    start_s=work.start_s, end_s=work.end_s, stage=work.stage, model=model,
                )
            )  # fmt: skip

    def _forget_span(self, work_id: str) -> None:
        self._spans.pop(work_id, None)
        self._on_board.discard(work_id)
        self._fences.pop(work_id, None)

    async def _scan(self) -> None:
        """Recordings that are over, again and again: uploads, files, what an earlier run left."""
        since_s = self._clock.utc_s() - self._catch_up_s
        while True:
            began_s = self._clock.utc_s()
            try:
                found = await anyio.to_thread.run_sync(self._archive.ended_since, since_s)
                for recorded in found:
                    await self._look_at(recorded)
                since_s = began_s - 2 * _SCAN_S
            except StorageError as error:
                log.warning("recordings cannot be looked through", reason=str(error))
            await anyio.sleep(_SCAN_S)

    async def _look_at(self, recorded: Recorded) -> None:
        """Raises: StorageError."""
        if any(live.work.recording_id == recorded.recording_id for live in self._live.values()):
            return
        await self._read_marks(recorded.recording_id)
        seen = self._seen.get(recorded.recording_id, {})
        for stage in self.stages.values():
            busy = [work for work in self._spans.values() if work.recording_id == recorded.recording_id]
            if not stage.is_on or stage.is_asked or stage.is_chosen or any(work.stage == stage.name for work in busy):
                continue
            covered = Coverage()
            for (name, _), of_model in seen.items():
                for span in of_model.spans if name == stage.name else ():
                    covered.add(span.start_s, span.end_s)
            is_new = not covered.spans
            for hole in recorded.holes:
                covered.add(hole.start_s, hole.end_s)
            for hole in covered.holes(0.0, recorded.length_s, _SHORTEST_HOLE_S):
                if is_new:
                    self._add_span(_span(recorded, stage.name, hole, stage.model, "recorded"))
                else:
                    self._gap(_span(recorded, stage.name, hole, stage.model, "server_stopped"), hole, "server_stopped")

    async def _read_marks(self, recording_id: str) -> None:
        """Raises: StorageError."""
        for mark in await anyio.to_thread.run_sync(self._marks.of, recording_id):
            self._coverage(recording_id, mark.stage, mark.model).add(mark.start_s, mark.end_s)

    def _coverage(self, recording_id: str, stage: str, model: str) -> Coverage:
        of_recording = self._seen.setdefault(recording_id, {})
        self._seen.move_to_end(recording_id)
        while len(self._seen) > _MOST_SEEN:
            self._seen.popitem(last=False)
        return of_recording.setdefault((stage, model), Coverage())


async def _nothing_wanted(_: str, __: str) -> bool:
    return False


async def _no_names(_: str) -> tuple[str, ...]:
    return ()


def _covered(report: Report, work: Work, live: _Live | None, *, is_chosen: bool) -> Span | None:
    """What a report says was seen whole. A worker that is done saw all there is, to the end of the last picture too;
    but not one that saw nothing of a live stream: it came too late, or its feed never began.

    is_chosen: the stage looks only where it is wanted, and what it did not look at is nothing missed.
    """
    start_s, end_s = report.covered_from_s, report.covered_to_s
    if report.state == "done" and live is None:
        start_s, end_s = work.start_s, work.end_s
    elif report.state == "done" and live is not None:
        if end_s <= start_s and not live.coverage.spans and not is_chosen:
            return None
        start_s = start_s if end_s > start_s else live.coverage.end_s
        end_s = max(end_s, live.stream.position_s)
    return Span(start_s, end_s) if end_s > start_s else None


def _span(recorded: Recorded, stage: str, hole: Span, model: str, reason: str) -> Work:
    start_s, end_s = round(hole.start_s, 3), round(hole.end_s, 3)
    return Work(
        f"span:{recorded.recording_id}:{stage}:{model}:{start_s}-{end_s}", "span", stage, recorded.stream_id,
        recorded.recording_id, recorded.started_at, start_s, end_s, model=model, reason=reason,
    )  # fmt: skip
