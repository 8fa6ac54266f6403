"""The shapes of the record's routes: cases and what belongs to them, timelines, officers, recordings."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cases.appender import Stored
from cases.casework.kinds import StepKinds
from cases.casework.rows import AttachRule, Case, Item, Link, Officer, Recording, Step
from cases.custody.checkpoint import SignedHead
from cases.export.jobs import Job
from pipeline.clock import rfc3339

_MOST_NOTE = 20_000
_OWN = frozenset(
    (
        "event_id", "seq", "kind", "at", "ends_at", "learned_at", "stream_id", "case_id", "by", "model", "confidence",
        "status", "media", "text",
    )
)  # fmt: skip
Name = Annotated[str, Field(min_length=1, max_length=200)]
ThingId = Annotated[str, Field(min_length=1, max_length=64)]


class _In(BaseModel):
    """A body: a field that nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid")


class CaseIn(_In):
    number: Annotated[str, Field(min_length=1, max_length=80)]
    title: Name
    kind: Annotated[str, Field(min_length=1, max_length=60)] = "other"
    class_: Literal["ordinary", "major", "no_case"] = Field("ordinary", alias="class")
    party: Annotated[str, Field(max_length=200)] = ""
    unit: Annotated[str, Field(max_length=200)] | None = None


class CaseChangeIn(_In):
    title: Name | None = None
    kind: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    class_: Literal["ordinary", "major", "no_case"] | None = Field(None, alias="class")
    party: Annotated[str, Field(max_length=200)] | None = None
    state: Literal["open", "closed"] | None = None


class MediaIn(_In):
    recording_id: ThingId
    start_s: float = Field(ge=0, le=1e9)
    end_s: float = Field(ge=0, le=1e9)


class NoteIn(_In):
    """at: when it was seen or heard; left out: now. media: the span it speaks of."""

    text: Annotated[str, Field(min_length=1, max_length=_MOST_NOTE)]
    at: AwareDatetime | None = None
    media: MediaIn | None = None


class StepIn(_In):
    kind: Annotated[str, Field(min_length=1, max_length=60)]


class LinkIn(_In):
    recording_id: ThingId
    step_id: ThingId | None = None


class AttachRuleIn(_In):
    """What the device records between `from` and `to`, at any of its time, belongs to the case."""

    device_id: ThingId
    from_: AwareDatetime = Field(alias="from")
    to: AwareDatetime
    place: Annotated[str, Field(max_length=200)] = ""
    step_id: ThingId | None = None


class ItemIn(_In):
    kind: Literal["text", "sound", "video", "photo", "document", "paper"]
    title: Name
    step_id: ThingId | None = None
    sha256: Annotated[str, Field(max_length=64)] | None = None
    size_bytes: int | None = Field(None, ge=0, le=1 << 53)
    shelf_mark: Annotated[str, Field(min_length=1, max_length=80)] | None = None


class ReasonIn(_In):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class OfficerIn(_In):
    name: Name
    certificate_number: Annotated[str, Field(min_length=1, max_length=60)]
    unit: Name


class BindingIn(_In):
    officer_id: ThingId


class TaskIn(_In):
    case_id: ThingId
    step_id: ThingId | None = None


class CaseOut(BaseModel):
    case_id: str
    number: str
    kind: str
    class_: str = Field(serialization_alias="class")
    state: str
    title: str
    party: str
    opened_at: str
    closed_at: str | None
    version: int
    unit: str


class CasesOut(BaseModel):
    items: list[CaseOut]
    next_cursor: str | None


class StepOut(BaseModel):
    """stage: of the procedure, that the step is part of. recording: whether sound and picture must be taken of it."""

    step_id: str
    kind: str
    stage: str
    recording: str
    started_at: str
    ended_at: str | None


class StepsOut(BaseModel):
    items: list[StepOut]
    next_cursor: str | None = None


class StepKindOut(BaseModel):
    kind: str
    stage: str
    zh: str
    en: str
    recording: str


class StepKindsOut(BaseModel):
    items: list[StepKindOut]
    next_cursor: str | None = None


class ItemOut(BaseModel):
    item_id: str
    step_id: str | None
    kind: str
    title: str
    sha256: str | None
    size_bytes: int | None
    shelf_mark: str | None
    file_type: str | None = Field(description="Of an item that was sent in: what the file is by its bytes.")
    added_at: str
    withdrawn_at: str | None


class ItemsOut(BaseModel):
    items: list[ItemOut]
    next_cursor: str | None = None


class LinkOut(BaseModel):
    """A recording of the case: who or what attached it, and who undid that."""

    link_id: str
    recording_id: str
    stream_id: str
    step_id: str | None
    how: str
    made_by: str
    made_at: str
    undone_by: str | None
    undone_at: str | None
    rule_id: str | None


class AttachRuleOut(BaseModel):
    """Who set it, and who undid it."""

    rule_id: str
    device_id: str
    device_name: str
    unit: str
    from_: str = Field(serialization_alias="from")
    to: str
    place: str
    step_id: str | None
    made_by: str
    made_at: str
    undone_by: str | None
    undone_at: str | None


class AttachRulesOut(BaseModel):
    items: list[AttachRuleOut]
    next_cursor: str | None = None


class LinksOut(BaseModel):
    items: list[LinkOut]
    next_cursor: str | None = None


class MemberOut(BaseModel):
    who: str
    name: str
    added_at: str


class MembersOut(BaseModel):
    items: list[MemberOut]
    next_cursor: str | None = None


class NoteOut(BaseModel):
    event_id: str


class OfficerOut(BaseModel):
    officer_id: str
    name: str
    certificate_number: str
    unit: str


class OfficersOut(BaseModel):
    items: list[OfficerOut]
    next_cursor: str | None = None


class BindingOut(BaseModel):
    binding_id: str


class TaskOut(BaseModel):
    task_id: str


class RecordingOut(BaseModel):
    recording_id: str
    stream_id: str
    device_id: str
    device_name: str
    unit: str
    officer_id: str | None
    started_at: str
    ended_at: str | None


class RecordingsOut(BaseModel):
    items: list[RecordingOut]
    next_cursor: str | None


class TimelineOut(BaseModel):
    """Events: what every event has, and beside it what its kind has of its own."""

    items: list[dict[str, object]]
    next_cursor: str | None


class HeadOut(BaseModel):
    """note: the head as it was signed (C2SP signed note), with the signature. root: hex."""

    size: int
    root: str
    at: str
    note: str


class ExportOut(BaseModel):
    """bytes: of the zip so far. index_sha256 names the whole export. defects: of the originals, named in its index."""

    export_id: str
    case_id: str
    state: Literal["waiting", "running", "done", "failed"]
    bytes: int
    error: str
    head_size: int | None
    events: int | None
    recordings: int | None
    defects: int | None
    index_sha256: str | None


def export_out(job: Job) -> ExportOut:
    done = job.done
    return ExportOut(
        export_id=job.export_id,
        case_id=job.case_id,
        state=job.state,
        bytes=job.bytes,
        error=job.error,
        head_size=None if done is None else done.head_size,
        events=None if done is None else done.events,
        recordings=None if done is None else done.recordings,
        defects=None if done is None else done.defects,
        index_sha256=None if done is None else done.index_sha256,
    )


class ProofOut(BaseModel):
    """entry: the line whose leaf is hashed. path: hashes in hex, from the leaf up (RFC 6962, 2.1.1)."""

    event_id: str
    seq: int
    entry: str
    leaf_hash: str
    head: HeadOut | None
    path: list[str]


class ConsistencyOut(BaseModel):
    """path: hashes in hex (RFC 6962, 2.1.2)."""

    from_size: int
    to_size: int
    path: list[str]


def head_out(signed: SignedHead) -> HeadOut:
    return HeadOut(size=signed.head.size, root=signed.head.root.hex(), at=signed.head.at, note=signed.note())


def at_of(us: int) -> str:
    return rfc3339(us / 1e6)


def us_of(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def case_out(case: Case) -> CaseOut:
    return CaseOut(
        case_id=case.case_id, number=case.number, kind=case.kind, class_=case.class_, state=case.state,
        title=case.title, party=case.party, opened_at=at_of(case.opened_us), closed_at=_or_none(case.closed_us),
        version=case.version, unit=case.unit,
    )  # fmt: skip


def step_out(step: Step, kinds: StepKinds) -> StepOut:
    """A kind that the bureau's file holds no longer is its own stage."""
    known = kinds.by_kind.get(step.kind)
    return StepOut(
        step_id=step.step_id, kind=step.kind, stage=kinds.stages.get(step.kind, step.kind),
        recording="text" if known is None else known.recording,
        started_at=at_of(step.started_us), ended_at=_or_none(step.ended_us),
    )  # fmt: skip


def item_out(item: Item, file_type: str | None = None) -> ItemOut:
    return ItemOut(
        item_id=item.item_id, step_id=item.step_id, kind=item.kind, title=item.title, sha256=item.sha256,
        size_bytes=item.size_bytes, shelf_mark=item.shelf_mark, file_type=file_type, added_at=at_of(item.added_us),
        withdrawn_at=_or_none(item.withdrawn_us),
    )  # fmt: skip


def link_out(link: Link) -> LinkOut:
    return LinkOut(
        link_id=link.link_id, recording_id=link.recording_id, stream_id=link.stream_id, step_id=link.step_id,
        how=link.how, made_by=link.made_by, made_at=at_of(link.made_us), undone_by=link.undone_by,
        undone_at=_or_none(link.undone_us), rule_id=link.rule_id,
    )  # fmt: skip


def attach_rule_out(rule: AttachRule) -> AttachRuleOut:
    return AttachRuleOut(
        rule_id=rule.rule_id, device_id=rule.device_id, device_name=rule.device_name, unit=rule.unit,
        from_=at_of(rule.from_us), to=at_of(rule.until_us), place=rule.place, step_id=rule.step_id,
        made_by=rule.made_by, made_at=at_of(rule.made_us), undone_by=rule.undone_by, undone_at=_or_none(rule.undone_us),
    )  # fmt: skip


def officer_out(officer: Officer) -> OfficerOut:
    return OfficerOut(
        officer_id=officer.officer_id, name=officer.name, certificate_number=officer.certificate_number,
        unit=officer.unit,
    )  # fmt: skip


def recording_out(recording: Recording, names: Mapping[str, str]) -> RecordingOut:
    """names: of the devices, by id."""
    return RecordingOut(
        recording_id=recording.recording_id, stream_id=recording.stream_id, device_id=recording.device_id,
        device_name=names.get(recording.device_id, ""), unit=recording.unit,
        officer_id=recording.officer_id, started_at=at_of(recording.started_us),
        ended_at=_or_none(recording.ended_us),
    )  # fmt: skip


def event_out(stored: Stored) -> dict[str, object]:
    """An event of a timeline. A segment, or a hole, names the span of its recording as its media."""
    fact = stored.fact
    body = dict(fact.body)
    media = body.get("media")
    if media is None and {"recording_id", "start_s", "end_s"} <= body.keys():
        media = {name: body[name] for name in ("recording_id", "start_s", "end_s")}
    return {
        "event_id": fact.event_id, "seq": stored.seq, "kind": fact.kind, "at": at_of(fact.at_us),
        "ends_at": _or_none(fact.ends_at_us), "learned_at": at_of(stored.learned_at_us), "stream_id": fact.stream_id,
        "case_id": fact.case_id, "by": fact.by, "model": body.get("model"), "confidence": body.get("confidence"),
        "status": body.get("status"), "media": media, "text": body.get("text"),
        **{name: value for name, value in body.items() if name not in _OWN},
    }  # fmt: skip


def _or_none(us: int | None) -> str | None:
    return None if us is None else at_of(us)
