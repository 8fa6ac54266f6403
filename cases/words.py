"""Spoken words of a stream as they count: a person's correction over every model, versions beside one another.

Every version stays in the record. Which one counts follows from the facts alone, and is the same for the timeline's
page (web/src/cases/versions.ts): a corrected version, the one corrected last; else one of a real model before one of a
demonstration model; else the one learned last, because whoever has a stretch heard again wants what comes of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Stored
from cases.casework.rows import Recording
from cases.facts import Fact, parse_entry
from cases.store.tables import events

HEARD, CORRECTED = "WordsHeard", "WordsCorrected"
_SAME_SPAN = 0.5  # of the shorter one that two utterances share at least to be versions of one another


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a person says was said; the same text as before says that it was heard rightly."""

    event_id: str
    seq: int
    text: str
    by: str
    by_name: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One utterance in one version. Times in seconds of the stream's axis. heard, normal: the model's own words."""

    event_id: str
    seq: int
    start_s: float
    end_s: float
    heard: str
    normal: str
    word_times: str
    language: str
    confidence: float
    is_doubtful: bool
    speaker: str
    model: str
    correction: Correction | None

    @property
    def text(self) -> str:
        """The words that count."""
        return self.heard if self.correction is None else self.correction.text


@dataclass(frozen=True)
class Version:
    """What one model made of a span, utterance by utterance; never empty."""

    said: tuple[Said, ...]

    @property
    def model(self) -> str:
        return self.said[0].model

    @property
    def is_demo(self) -> bool:
        return is_demo_model(self.model)

    @cached_property
    def rank(self) -> tuple[int, bool, int]:
        """The highest one counts."""
        corrected = max((each.correction.seq for each in self.said if each.correction is not None), default=-1)
        return corrected, not self.is_demo, max(each.seq for each in self.said)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch in which somebody spoke. versions: the one that counts first; never empty."""

    versions: tuple[Version, ...]

    @property
    def start_s(self) -> float:
        return min(each.start_s for version in self.versions for each in version.said)

    @property
    def end_s(self) -> float:
        return max(each.end_s for version in self.versions for each in version.said)


def is_demo_model(model: str) -> bool:
    """Whether `model` (name@version) was made to show, not for real speech: "demo" is a part of such a name."""
    return "demo" in model.partition("@")[0].split("-")


def spans_of(stored: Sequence[Stored]) -> tuple[Span, ...]:
    """Spans in their order, from the facts of one stream in the order of the log; other kinds are passed over."""
    corrections = corrections_of(stored)
    said = [_said_of(each, corrections) for each in stored if each.fact.kind == HEARD]
    return tuple(_span_of(group) for group in _grouped(sorted(said, key=lambda each: (each.start_s, each.end_s))))


def corrections_of(stored: Sequence[Stored]) -> dict[str, Correction]:
    """The newest of each, by the event whose words it corrects; `stored` in the order of the log."""
    return {str(each.fact.body.get("of_event")): _correction_of(each) for each in stored if each.fact.kind == CORRECTED}


def chosen(spans: Sequence[Span], model: str = "") -> tuple[Said, ...]:
    """The utterances that count, in their order; or those of one model alone, corrected where a person did so."""
    found: list[Said] = []
    for span in spans:
        versions = [version for version in span.versions if model in ("", version.model)]
        found += versions[0].said if versions else ()
    return tuple(sorted(found, key=lambda each: (each.start_s, each.end_s)))


async def of_recording(connection: AsyncConnection, recording: Recording) -> tuple[Span, ...]:
    """All that was heard in a recording. Memory: some kilobyte an utterance."""
    asked = (
        select(events.c.seq, events.c.entry)
        .where(events.c.stream_id == recording.stream_id, events.c.kind.in_((HEARD, CORRECTED)))
        .order_by(events.c.seq)
    )
    found = []
    for seq, entry in await connection.execute(asked):
        fact, learned_at_us = parse_entry(entry.encode())
        if fact.body.get("recording_id") == recording.recording_id:
            found.append(Stored(seq, learned_at_us, fact))
    return spans_of(found)


def _grouped(said: Sequence[Said]) -> list[list[Said]]:
    """Utterances of one span together: those that share most of the shorter one, and what hangs on either."""
    groups: list[list[Said]] = []
    open_: list[list[Said]] = []  # that may still be shared with
    for each in said:
        open_ = [group for group in open_ if max(other.end_s for other in group) > each.start_s]
        joined = [group for group in open_ if any(_is_same_span(each, other) for other in group)]
        group = joined[0] if joined else []
        if not joined:
            groups.append(group)
            open_.append(group)
        group.append(each)
        for other_group in joined[1:]:
            group += other_group
            groups = [kept for kept in groups if kept is not other_group]
            open_ = [kept for kept in open_ if kept is not other_group]
    return groups


def _is_same_span(one: Said, other: Said) -> bool:
    shared_s = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return shared_s > 0 and shared_s >= _SAME_SPAN * min(one.end_s - one.start_s, other.end_s - other.start_s)


def _span_of(group: Sequence[Said]) -> Span:
    """A model that heard the span again, and cut it a little differently, has two versions of it."""
    if len(group) == 1:  # as nearly all are
        return Span((Version(tuple(group)),))
    found: list[list[Said]] = []
    for each in sorted(group, key=_standing, reverse=True):
        for said in found:
            if said[0].model == each.model and not any(_is_same_span(each, other) for other in said):
                said.append(each)
                break
        else:
            found.append([each])
    versions = [Version(tuple(sorted(said, key=lambda each: each.start_s))) for said in found]
    return Span(tuple(sorted(versions, key=lambda version: version.rank, reverse=True)))


def _standing(said: Said) -> tuple[int, int]:
    return -1 if said.correction is None else said.correction.seq, said.seq


def _correction_of(stored: Stored) -> Correction:
    fact = stored.fact
    return Correction(
        event_id=fact.event_id, seq=stored.seq, text=str(fact.body["text"]), by=fact.by,
        by_name=str(fact.body.get("by_name", "")), at_us=fact.at_us,
    )  # fmt: skip


def _said_of(stored: Stored, corrections: dict[str, Correction]) -> Said:
    fact = stored.fact
    return Said(
        event_id=fact.event_id, seq=stored.seq, start_s=_number(fact, "start_s"), end_s=_number(fact, "end_s"),
        heard=_text(fact, "text"), normal=_text(fact, "normal"), word_times=_text(fact, "word_times"),
        language=_text(fact, "language"), confidence=_number(fact, "confidence"),
        is_doubtful=fact.body.get("is_doubtful") is True, speaker=_text(fact, "speaker"), model=_text(fact, "model"),
        correction=corrections.get(fact.event_id),
    )  # fmt: skip


def _text(fact: Fact, name: str) -> str:
    value = fact.body.get(name, "")
    return value if isinstance(value, str) else ""


def _number(fact: Fact, name: str) -> float:
    value = fact.body.get(name, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
