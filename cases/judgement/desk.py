"""The judge's desk: follows the log, keeps a judge for each running step and each stream, and tells what they find.

The place in the log is kept with the facts that follow, in one transaction, and ids are made of what is judged: after a
crash nothing is left out and nothing stands twice. What is running is rebuilt from the store. Bounds: 500 steps, 1,000
streams. Owned by the event loop's thread; one task.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import anyio.to_thread
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender, Stored
from cases.casework.rows import the_case
from cases.facts import Fact, fact_of, microseconds
from cases.judgement import findings, reading, verdicts
from cases.judgement.book import Book
from cases.judgement.heard import number
from cases.judgement.judging import Judging
from cases.judgement.step_judge import StepJudge, Told
from cases.judgement.stream_judge import CLOCK_OFF, ClockJudge, StreamJudge
from cases.judgement.verdicts import JUDGED, MISSING, Standing, text
from cases.store.engine import Store
from cases.store.tables import followers
from cases.tail import Tail
from cases.words import HEARD
from pipeline.errors import ThingUnknown
from pipeline.events import FindingEnded, FindingRaised

K = TypeVar("K")
V = TypeVar("V")

NAME: Final = "judgement"
LINGER_S: Final = 1800.0
"""After the end of a step: what is heard again of its recordings, or corrected, is still judged by itself."""
SHOWN_S: Final = 30.0
"""Words are over when they are judged; who watches sees the finding this long."""
_NEWS_S: Final = 120.0
"""What was said longer ago is no news: it was found in a recording."""
_STRUCTURE: Final = frozenset(("StepStarted", "StepEnded", "RecordingAttached", "RecordingDetached", "CaseChanged"))
_WAIT_S: Final = 1.0
_TICK_S: Final = 1.0
_SWEEP_S: Final = 30.0
_KEEP_S: Final = 5.0
_STREAMS: Final = 1000


@dataclass(slots=True)
class _OfCase:
    """upto: the place up to which the store was read for its judges."""

    judges: list[StepJudge] = field(default_factory=list)
    upto: int = -1


class Desk:
    """`run`, or `begin` and then `turn` again and again. place: the last event that is done with."""

    def __init__(self, judging: Judging, store: Store, appender: Appender, tail: Tail) -> None:
        self.place = -1
        self._judging = judging
        self._store = store
        self._appender = appender
        self._tail = tail
        self._book: Book | None = None
        self._cases: dict[str, _OfCase] = {}
        self._streams: OrderedDict[str, StreamJudge] = OrderedDict()
        self._clocks: OrderedDict[str, ClockJudge] = OrderedDict()
        self._stale: set[str] = set()  # cases that are to be read again
        self._own: OrderedDict[str, None] = OrderedDict()  # ids of verdicts that we told
        self._asked: OrderedDict[tuple[str, str, str, int], None] = OrderedDict()
        self._due: int | None = None  # the place that must be done with before the next tick
        self._kept = -1
        self._ticked_s = self._swept_s = self._kept_s = -math.inf

    async def run(self) -> None:
        """Until cancelled. Raises: StoreUnavailable: make a new one; nothing is lost."""
        await self.begin()
        while True:
            await self.turn(_WAIT_S)

    async def begin(self) -> None:
        """Read what runs. A record that nobody judged before is judged from now on."""
        if self._judging.rulebook.current is None:
            await self._judging.rulebook.look()
        self._book = self._judging.rulebook.current
        async with self._store.reading() as connection:
            kept = (await connection.execute(select(followers.c.seq).where(followers.c.name == NAME))).scalar()
            self.place = self._appender.size - 1 if kept is None else int(kept)
            await self._show_open(connection)
            for each in await reading.words_before(connection, self.place):
                self._conduct(each)  # told when they were new; what comes next may belong to them
        self._kept = -1 if kept is None else self.place
        await self._note_rules()
        await self._watch_all()

    async def turn(self, wait_s: float) -> None:
        """What was told since, and what is due. Raises: StoreUnavailable."""
        rules = self._judging.rulebook.current
        if rules is not None and (self._book is None or rules.version != self._book.version):
            self._book = rules
            self._streams.clear()
            await self._note_rules()
            await self._watch_all()
        batch = await self._tail.after(self.place, wait_s)
        told: list[Told] = []
        for each in batch:
            told += self._take(each.stored)
            self.place = each.stored.seq
        now_s = self._judging.clock.utc_s()
        if batch or self._stale:
            await self._tell(told)
            await self._read_again()
        if abs(now_s - self._ticked_s) >= _TICK_S and self._due is None:
            self._due = self._appender.size - 1
        if self._due is None or self.place < self._due:
            return  # what is known already is taken first: nothing is missing before it was looked for
        self._due, self._ticked_s = None, now_s
        await self._tick(now_s)
        if abs(now_s - self._swept_s) >= _SWEEP_S:
            self._swept_s = now_s
            await self._sweep(now_s)

    def _take(self, stored: Stored) -> list[Told]:
        fact = stored.fact
        if fact.case_id is not None and fact.kind in _STRUCTURE:
            self._stale.add(fact.case_id)
        elif fact.kind == JUDGED and fact.case_id in self._cases and fact.event_id not in self._own:
            self._stale.add(str(fact.case_id))  # judged by somebody else: read what stands
        elif fact.kind == findings.RAISED:
            self._judging.counts.raised[text(fact, "finding")] += 1
        if fact.stream_id is None:
            return []
        told: list[Told] = []
        for case_id, of_case in self._cases.items():
            if stored.seq <= of_case.upto:
                continue
            for judge in of_case.judges:
                if fact.kind == "StreamEnded" and any(each.stream_id == fact.stream_id for each in judge.sources):
                    self._stale.add(case_id)  # its recording has an end now
                told += judge.take(stored)
        return [*told, *self._conduct(stored), *self._clock(stored)]

    def _conduct(self, stored: Stored) -> Sequence[Told]:
        fact, stream_id = stored.fact, stored.fact.stream_id or ""
        if self._book is None or fact.kind not in (HEARD, findings.RAISED):
            return []
        judge = self._streams.get(stream_id)
        if judge is None:
            begin_s = fact.at_us / 1e6 - number(fact, "start_s")
            judge = StreamJudge(self._book, stream_id, text(fact, "recording_id"), begin_s)
            _put(self._streams, stream_id, judge)
        return judge.take(stored)

    def _clock(self, stored: Stored) -> Sequence[Told]:
        fact = stored.fact
        if fact.kind != "SegmentClosed" or fact.stream_id is None:
            return []
        judge = self._clocks.get(fact.stream_id)
        if judge is None:
            judge = ClockJudge()
            _put(self._clocks, fact.stream_id, judge)
        found = judge.take(fact)
        return [] if found is None else [found]

    async def _tick(self, now_s: float) -> None:
        """What is due, late or over by now; then the place."""
        behind = self._judging.side.behind_s()
        for of_case in self._cases.values():
            for judge in of_case.judges:
                if judge.wants_replay(now_s, behind):
                    told = await anyio.to_thread.run_sync(judge.replay, now_s, behind)
                else:
                    told = judge.tick(now_s, behind)
                await self._tell(told, is_place=False)
                self._ask(judge)
        if self._kept < self.place and abs(now_s - self._kept_s) >= _KEEP_S:
            await self._tell([])

    def _ask(self, judge: StepJudge) -> None:
        """Each span once while this server runs."""
        for source, start_s, end_s, duty in judge.asks():
            key = judge.step.step_id, duty, source.recording_id, round(start_s)
            if key not in self._asked:
                _put(self._asked, key, None)
                self._judging.side.read_text(source, start_s, end_s, duty)

    async def _tell(self, told: Sequence[Told], *, is_place: bool = True) -> None:
        """Into the record, with the place in the same transaction. is_place: tell it even where nothing was found."""
        now_s = self._judging.clock.utc_s()
        if not told and (not is_place or abs(now_s - self._kept_s) < _KEEP_S):
            return
        place = self.place

        async def keep(connection: AsyncConnection) -> None:
            await connection.execute(delete(followers).where(followers.c.name == NAME))
            await connection.execute(insert(followers).values(name=NAME, seq=place))

        facts = [each if isinstance(each, Fact) else fact_of(each) for each in told]
        for fact in facts:
            if fact.kind == JUDGED:
                _put(self._own, fact.event_id, None)
                self._judging.counts.verdicts[text(fact, "verdict")] += 1
        await self._appender.append(facts, after=keep)
        self._kept, self._kept_s = place, now_s
        self._show(told, now_s)

    def _show(self, told: Sequence[Told], now_s: float) -> None:
        """Whoever watches sees what lasts, and for a while what was said just now."""
        side = self._judging.side
        ended = {each.finding_id for each in told if isinstance(each, FindingEnded)}
        for each in told:
            if isinstance(each, FindingRaised) and each.finding_id not in ended:
                side.raised(each, None)
            elif isinstance(each, FindingRaised) and now_s - each.at < _NEWS_S:
                side.raised(each, SHOWN_S)
        raised = {each.finding_id for each in told if isinstance(each, FindingRaised)}
        for each in told:
            if isinstance(each, FindingEnded) and each.finding_id not in raised:
                side.gone(each.stream_id, each.finding_id)

    async def _show_open(self, connection: AsyncConnection) -> None:
        """What we left open in an earlier run: a duty that is missing, a clock that is off."""
        for event in await findings.left_open(connection, (MISSING, CLOCK_OFF)):
            self._judging.side.raised(event, None)
            if event.finding == CLOCK_OFF:
                _put(self._clocks, event.stream_id, ClockJudge(event))

    async def _watch_all(self) -> None:
        since_us = microseconds(self._judging.clock.utc_s() - LINGER_S)
        async with self._store.reading() as connection:
            self._stale.update(await reading.watched_cases(connection, since_us))
        self._stale.update(self._cases)
        await self._read_again()

    async def _read_again(self) -> None:
        stale, self._stale = sorted(self._stale), set()
        for case_id in stale:
            await self._read_case(case_id)
        self._judging.counts.steps = sum(len(of_case.judges) for of_case in self._cases.values())

    async def _read_case(self, case_id: str) -> None:
        """New judges of what runs in a case, or ended not long ago; and what they judge otherwise than it stands."""
        now_s, of_case, told = self._judging.clock.utc_s(), _OfCase(), list[Told]()
        book = self._book
        if book is None:
            return
        async with self._store.reading() as connection:
            of_case.upto = await self._store.size(connection) - 1
            try:
                is_open = (await the_case(connection, case_id)).state == "open"
            except ThingUnknown:
                return
            steps = await reading.steps_of(connection, case_id)
            standing = verdicts.standings(await reading.verdicts_of(connection, case_id))
            for step in steps:
                if not is_open or (step.ended_s is not None and step.ended_s < now_s - LINGER_S):
                    told += _over(standing.get(step.step_id, {}), now_s)
                    continue
                sources = await reading.sources_of(connection, steps, step)
                stored = [
                    each for each in await reading.facts_of(connection, sources, step) if each.seq <= of_case.upto
                ]
                of_case.judges.append(StepJudge(book, step, sources, stored, standing.get(step.step_id, {})))
        behind = self._judging.side.behind_s()
        for judge in of_case.judges:
            told += await anyio.to_thread.run_sync(judge.replay, now_s, behind)
        self._cases.pop(case_id, None)
        if of_case.judges:
            self._cases[case_id] = of_case
        await self._tell(told, is_place=False)

    async def _note_rules(self) -> None:
        """Other rules than the last time are a fact: from here on verdicts are by these."""
        if self._book is None:
            return
        async with self._store.reading() as connection:
            before = await findings.last_rules(connection)
        now_s = self._judging.clock.utc_s()
        if before != self._book.version:
            await self._appender.append([findings.rules_changed(before, self._book.version, self._book.label, now_s)])

    async def _sweep(self, now_s: float) -> None:
        """Numbers for the metrics page; steps that are over; findings whose recording is over."""
        counts = self._judging.counts
        async with self._store.reading() as connection:
            counts.open = await findings.open_by_kind(connection)
            counts.severe = await findings.severe_since(connection, microseconds(now_s - 3600.0))
            ended = await findings.outlived(connection, microseconds(now_s - 2 * _SWEEP_S), MISSING)
        await self._tell(ended, is_place=False)
        for case_id, of_case in list(self._cases.items()):
            of_case.judges = [
                judge for judge in of_case.judges
                if judge.step.ended_s is None or judge.step.ended_s > now_s - LINGER_S
            ]  # fmt: skip
            if not of_case.judges:
                del self._cases[case_id]


def _put(kept: OrderedDict[K, V], key: K, value: V) -> None:
    """The oldest go first."""
    kept[key] = value
    while len(kept) > _STREAMS:
        kept.popitem(last=False)


def _over(standing: Mapping[str, Standing], now_s: float) -> Iterator[Told]:
    """Nothing is missing from what is over; told once, whoever asks again."""
    for each in standing.values():
        if each.missing is not None:
            ended = verdicts.missing_ended(each, now_s, now_s - each.missing[3], "source_over")
            if ended is not None:
                yield ended
