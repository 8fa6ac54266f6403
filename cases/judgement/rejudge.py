"""A case judged again by the rules of now, from kept facts alone; what was told before stays, and stands beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio.to_thread
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender, Stored
from cases.casework.rows import the_case
from cases.facts import Fact, fact_of
from cases.judgement import reading, verdicts
from cases.judgement.book import Book
from cases.judgement.findings import RAISED, event_of
from cases.judgement.heard import Heard, Source, View
from cases.judgement.measured import UNMEASURED, Signals, is_same_signal, measured_again
from cases.judgement.reading import Entry
from cases.judgement.step_judge import StepJudge, StepOf, Told
from cases.judgement.stream_judge import found
from cases.judgement.verdicts import Standing, text
from cases.rules.conduct import Hit
from cases.rules.said import Utterance
from cases.store.engine import Store
from pipeline.events import FindingRaised

_NEAR_S: Final = 1.0
"""Findings of one kind that lie no further apart are one, by whichever version."""


@dataclass(frozen=True, slots=True)
class Ruled:
    verdict: str
    rule: str


@dataclass(frozen=True, slots=True)
class Change:
    """Of one duty of one step. before: None: it was not judged until now."""

    step_id: str
    duty: str
    before: Ruled | None
    after: Ruled


@dataclass(frozen=True, slots=True)
class Again:
    """What came of it. told: what is to be told. raised, unchanged, not_raised_now: findings, but for missing duties.

    seconds: of recordings that were judged.
    """

    version: str
    steps: int
    changed: tuple[Change, ...]
    raised: int
    unchanged: int
    not_raised_now: int
    seconds: float
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is kept of a case. sources: of each step, by its id. all_: its recordings as a whole.

    signals: what the bounds of now find in the rows of those recordings that are `measured`.
    """

    steps: Sequence[StepOf]
    sources: Mapping[str, Sequence[Source]]
    all_: Sequence[Source]
    stored: Sequence[Stored]
    verdicts: Sequence[Stored]
    signals: Signals = ()
    measured: frozenset[str] = frozenset()


async def judge_again(store: Store, appender: Appender, book: Book, case_id: str, now_s: float, data: Path) -> Again:
    """Reads, judges in a thread, and tells. data: where measurements are kept.

    Raises: ThingUnknown. StoreUnavailable. WorkerFailed.
    """
    async with store.reading() as connection:
        unread = await unread_of(connection, case_id)
    signals, measured = await anyio.to_thread.run_sync(measured_again, data, unread.all_)
    again = await anyio.to_thread.run_sync(lambda: judged(book, unread.kept(signals, measured), now_s))
    await appender.append([each if isinstance(each, Fact) else fact_of(each) for each in again.told])
    return again


@dataclass(frozen=True, slots=True)
class Unread:
    """A case as it stands in the store: small to give to another process, which then reads it."""

    steps: Sequence[StepOf]
    sources: Mapping[str, Sequence[Source]]
    all_: Sequence[Source]
    entries: Sequence[Entry]
    verdicts: Sequence[Entry]

    def kept(self, signals: Signals = (), measured: frozenset[str] = frozenset()) -> Kept:
        stored, told = reading.stored_of(self.entries), reading.stored_of(self.verdicts)
        return Kept(self.steps, self.sources, self.all_, stored, told, signals, measured)


async def unread_of(connection: AsyncConnection, case_id: str) -> Unread:
    """Raises: ThingUnknown."""
    await the_case(connection, case_id)
    steps, attached = await reading.steps_of(connection, case_id), await reading.attached_of(connection, case_id)
    entries = await reading.all_entries_of(connection, attached.whole())
    told = await reading.verdict_entries_of(connection, case_id)
    sources = {step.step_id: attached.sources(steps, step) for step in steps}
    return Unread(steps, sources, attached.whole(), entries, told)


def judged(book: Book, kept: Kept, now_s: float) -> Again:
    """Plain code: all that is said about one case, by these rules."""
    standing, told, changed = verdicts.standings(kept.verdicts), list[Told](), list[Change]()
    heard = Heard(kept.stored)
    for step in kept.steps:
        before = standing.get(step.step_id, {})
        judge = StepJudge(book, step, kept.sources[step.step_id], kept.stored, before, heard)
        told += judge.replay(now_s, {})
        changed += _changes(step, before, judge.standing)
    hits = [(source, hit) for source in kept.all_ for hit in _hits(book, source, heard)]
    raised = [event for each in kept.stored if (event := _raised(each.fact)) is not None]
    known = [event for event in raised if event.group == "conduct"]
    fresh = [(source, hit) for source, hit in hits if not any(_is_same(source, hit, event) for event in known)]
    gone = [event for event in known if not any(_is_same(source, hit, event) for source, hit in hits)]
    told += [event for source, hit in fresh for event in found(source, hit)]
    signals, told_before, unfound = _signals(kept, [event for event in raised if event.group in ("integrity", "sound")])
    told += signals
    seconds = sum(min(end_s, now_s) - start_s for source in kept.all_ for start_s, end_s in source.runs)
    return Again(
        book.version, len(kept.steps), tuple(changed),
        len(fresh) + sum(isinstance(each, FindingRaised) for each in signals),
        len(hits) - len(fresh) + told_before, len(gone) + unfound, seconds, tuple(told),
    )  # fmt: skip


def _signals(kept: Kept, known: Sequence[FindingRaised]) -> tuple[list[Told], int, int]:
    """(what is new of what was measured, how much was known, how much is not found now)."""
    raised = [each for each in kept.signals if isinstance(each, FindingRaised)]
    old = {each.finding_id for each in raised if any(is_same_signal(each, event) for event in known)}
    unfound = [
        event for event in known
        if event.recording_id in kept.measured and event.finding not in UNMEASURED
        and not any(is_same_signal(each, event) for each in raised)
    ]  # fmt: skip
    return [each for each in kept.signals if each.finding_id not in old], len(old), len(unfound)


def _changes(step: StepOf, before: Mapping[str, Standing], after: Mapping[str, Standing]) -> list[Change]:
    found_: list[Change] = []
    for duty, now in after.items():
        then = before.get(duty)
        if then is None or then.verdict != now.verdict:
            was = None if then is None else Ruled(then.verdict, then.rule)
            found_.append(Change(step.step_id, duty, was, Ruled(now.verdict, now.rule)))
    return found_


def _hits(book: Book, source: Source, heard: Heard) -> list[Hit]:
    """Words and loud sounds of one recording in their order; corrected words as a person corrected them."""
    ((start_s, end_s),) = source.runs
    said: list[tuple[float, Utterance | FindingRaised]] = [
        (each.start_s, each) for each in View([source], heard, start_s, end_s).utterances()
    ]
    loud: list[tuple[float, Utterance | FindingRaised]] = [
        (source.begin_s + event.start_s, event)
        for each in heard.of_stream(source.stream_id)
        if each.fact.kind == RAISED and text(each.fact, "group") == "sound"
        if isinstance(event := event_of(each.fact), FindingRaised)
    ]
    listener, hits = book.listen(), list[Hit]()
    for at_s, each in sorted([*said, *loud], key=lambda pair: pair[0]):
        if isinstance(each, FindingRaised):
            hits += listener.loud(each.finding, at_s, source.begin_s + max(each.start_s, each.clip_end_s))
        else:
            hits += listener.feed(each)
    return hits


def _raised(fact: Fact) -> FindingRaised | None:
    if fact.kind != RAISED:
        return None
    event = event_of(fact)
    return event if isinstance(event, FindingRaised) else None


def _is_same(source: Source, hit: Hit, event: FindingRaised) -> bool:
    return (
        event.stream_id == source.stream_id
        and event.finding == hit.finding
        and abs(source.begin_s + event.start_s - hit.start_s) <= _NEAR_S
    )
