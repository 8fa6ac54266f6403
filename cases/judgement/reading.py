"""What judgement reads of the store: steps of cases, the recordings that count for each, and their facts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Stored
from cases.casework.rows import Link, Recording, Step, all_of
from cases.facts import microseconds, parse_entry
from cases.judgement.heard import BEFORE_S, HOLES, Source
from cases.judgement.step_judge import StepOf
from cases.judgement.verdicts import JUDGED
from cases.store.tables import case_events, cases, events, links, recordings, steps
from cases.words import CORRECTED, HEARD

Entry: TypeAlias = tuple[int, str]
"""A fact as it stands in the log, and its place."""
_MOST_FACTS: Final = 50_000
"""Of one step, the oldest first: two working weeks of speech. A step that nobody ended grows no further in memory."""
_BEFORE: Final = 2000
_TIMED: Final = (HEARD, "TextSeen", "FaceSuggested")
_ALWAYS: Final = (CORRECTED, "FaceRejected", *HOLES)
"""Kinds that count whenever they were told: what a person says later of what was heard or seen then, and holes."""
MOST_STEPS: Final = 500
"""Steps that are watched at once: the newest."""


async def steps_of(connection: AsyncConnection, case_id: str) -> list[StepOf]:
    """In the order in which they began."""
    asked = select(steps).where(steps.c.case_id == case_id).order_by(steps.c.started_us, steps.c.step_id)
    return [_step(each) for each in await all_of(connection, Step, asked)]


async def watched_cases(connection: AsyncConnection, ended_since_us: int) -> list[str]:
    """Open cases with a step that runs, or ended since then; the newest steps count."""
    asked = (
        select(steps.c.case_id)
        .join(cases, cases.c.case_id == steps.c.case_id)
        .where(cases.c.state == "open", or_(steps.c.ended_us.is_(None), steps.c.ended_us >= ended_since_us))
        .order_by(steps.c.started_us.desc())
        .limit(MOST_STEPS)
    )
    return list(dict.fromkeys(row[0] for row in await connection.execute(asked)))


@dataclass(frozen=True, slots=True)
class Attached:
    """The recordings of a case, in the order in which they began, and which step each was attached to, if to one."""

    recordings: tuple[Recording, ...]
    steps: Mapping[str, str | None]

    def sources(self, of_case: Sequence[StepOf], step: StepOf) -> list[Source]:
        """Those that count for a step: all, while no other step has them for itself."""
        spans = {each.step_id: (each.started_s, _until(each)) for each in of_case}
        found = []
        for each in self.recordings:
            whole = _whole(each)
            runs = list(whole.runs)
            other = self.steps[each.recording_id]
            if other is not None and other != step.step_id and other in spans:
                runs = _without(runs[0], spans[other])
            runs = [run for run in runs if run[0] < _until(step) and run[1] > step.started_s - BEFORE_S]
            if runs:
                found.append(replace(whole, runs=tuple(runs)))
        return sorted(found, key=lambda source: (source.begin_s, source.stream_id))

    def whole(self) -> list[Source]:
        return [_whole(each) for each in self.recordings]


async def attached_of(connection: AsyncConnection, case_id: str) -> Attached:
    asked = (
        select(links)
        .where(links.c.case_id == case_id, links.c.undone_us.is_(None))
        .order_by(links.c.made_us, links.c.link_id)
    )
    steps = {each.recording_id: each.step_id for each in await all_of(connection, Link, asked)}
    known = (
        select(recordings)
        .where(recordings.c.recording_id.in_(list(steps)))
        .order_by(recordings.c.started_us, recordings.c.recording_id)
    )
    return Attached(tuple(await all_of(connection, Recording, known)), steps)


async def sources_of(connection: AsyncConnection, of_case: Sequence[StepOf], step: StepOf) -> list[Source]:
    """The recordings that count for a step."""
    return (await attached_of(connection, step.case_id)).sources(of_case, step)


async def facts_of(connection: AsyncConnection, sources: Sequence[Source], step: StepOf) -> list[Stored]:
    """What counts for a step of what its sources tell, in the order of the log."""
    streams = sorted({each.stream_id for each in sources})
    if not streams:
        return []
    timed = [events.c.kind.in_(_TIMED), events.c.at_us >= microseconds(step.started_s - BEFORE_S)]
    if step.ended_s is not None:
        timed.append(events.c.at_us <= microseconds(step.ended_s))
    asked = (
        select(events.c.seq, events.c.entry)
        .where(events.c.stream_id.in_(streams), or_(and_(*timed), events.c.kind.in_(_ALWAYS)))
        .order_by(events.c.seq)
        .limit(_MOST_FACTS)
    )
    return await _read(connection, asked)


async def all_entries_of(connection: AsyncConnection, sources: Sequence[Source]) -> list[Entry]:
    """All that rules may want of these recordings, in the order of the log."""
    asked = (
        select(events.c.seq, events.c.entry)
        .where(events.c.stream_id.in_([each.stream_id for each in sources]))
        .where(events.c.kind.in_((*_TIMED, *_ALWAYS)))
        .order_by(events.c.seq)
        .limit(_MOST_FACTS)
    )
    return [(seq, entry) for seq, entry in await connection.execute(asked)]


async def verdicts_of(connection: AsyncConnection, case_id: str) -> list[Stored]:
    """Every verdict of the case, in the order of the log."""
    return stored_of(await verdict_entries_of(connection, case_id))


async def verdict_entries_of(connection: AsyncConnection, case_id: str) -> list[Entry]:
    asked = (
        select(events.c.seq, events.c.entry)
        .join(case_events, case_events.c.seq == events.c.seq)
        .where(case_events.c.case_id == case_id, events.c.kind == JUDGED)
        .order_by(events.c.seq)
    )
    return [(seq, entry) for seq, entry in await connection.execute(asked)]


async def words_before(connection: AsyncConnection, seq: int) -> list[Stored]:
    """What was said, or was loud, in the last facts up to this place: what a listener had in its ear."""
    asked = (
        select(events.c.seq, events.c.entry)
        .where(events.c.seq.between(seq - _BEFORE + 1, seq), events.c.kind.in_((HEARD, "FindingRaised")))
        .order_by(events.c.seq)
    )
    return await _read(connection, asked)


async def _read(connection: AsyncConnection, asked: Select[int, str]) -> list[Stored]:
    return stored_of([(seq, entry) for seq, entry in await connection.execute(asked)])


def stored_of(entries: Iterable[Entry]) -> list[Stored]:
    """What stands in the log, read."""
    found = []
    for seq, entry in entries:
        fact, learned_at_us = parse_entry(entry.encode())
        found.append(Stored(seq, learned_at_us, fact))
    return found


def _whole(row: Recording) -> Source:
    begin_s, end_s = row.started_us / 1e6, math.inf if row.ended_us is None else row.ended_us / 1e6
    return Source(row.stream_id, row.recording_id, row.device_id, row.officer_id, begin_s, ((begin_s, end_s),))


def _step(row: Step) -> StepOf:
    ended_s = None if row.ended_us is None else row.ended_us / 1e6
    return StepOf(row.step_id, row.case_id, row.kind, row.started_us / 1e6, ended_s)


def _until(step: StepOf) -> float:
    return math.inf if step.ended_s is None else step.ended_s


def _without(run: tuple[float, float], taken: tuple[float, float]) -> list[tuple[float, float]]:
    """What of a run lies outside of a time."""
    before = (run[0], min(run[1], taken[0]))
    behind = (max(run[0], taken[1]), run[1])
    return [each for each in (before, behind) if each[0] < each[1]]
