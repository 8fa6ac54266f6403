"""The shapes of findings, of reviews, and of the rules that raised them."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.record import at_of
from cases.facts import Fact
from cases.judgement.findings import Finding, body_text

Severity = Literal["low", "medium", "high", "critical"]
State = Literal["new", "confirmed", "rejected", "resolved"]
Group = Literal["integrity", "sound", "conduct", "procedure"]


class ReviewIn(BaseModel):
    """reason: why; it stays on record, and is what a rule's precision is told from."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["confirmed", "rejected", "resolved"]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class ClipRefOut(BaseModel):
    """Seconds of the recording's own axis."""

    recording_id: str
    start_s: float
    end_s: float


class ReviewOut(BaseModel):
    verdict: str
    reason: str
    by_name: str
    at: str


class FindingOut(BaseModel):
    """confidence: 0..1, no probability. quotes, of_events and explanation are empty for who may not read the words.

    similar: others of its stream, kind and state in the same ten minutes. is_evidence: only what a person confirmed is.
    """

    finding_id: str
    finding: str
    group: str
    severity: str
    confidence: float
    state: str
    is_open: bool
    raised_at: str
    ended_at: str | None
    end_reason: str
    stream_id: str
    device_name: str
    officer: str | None
    case_ids: list[str]
    rule: str
    explanation: str
    measures: dict[str, float]
    quotes: list[str]
    of_events: list[str]
    media: ClipRefOut | None
    review: ReviewOut | None
    similar: int
    is_evidence: bool


class FindingsOut(BaseModel):
    items: list[FindingOut]
    next_cursor: str | None


class LawRefOut(BaseModel):
    name: str
    article: str


class RuleOut(BaseModel):
    """One rule in one version. precision: of what people confirmed or rejected; with its 95 % interval (Wilson)."""

    rule: str
    kind: Literal["duty", "conduct", "signal"]
    finding_or_duty: str
    zh: str
    en: str
    severity: str
    law: LawRefOut | None
    raised: int
    confirmed: int
    rejected: int
    precision: float | None
    precision_low: float | None
    precision_high: float | None


class RulesOut(BaseModel):
    """version: of the set in force; empty: none holds. refusal: why the files that lie there now are not in force.

    alarms_per_10_min: findings of high or critical severity in ten minutes of the last hour, for each person who
    watches live now (at least one).
    """

    version: str
    label: str
    refusal: str
    items: list[RuleOut]
    alarms_per_10_min: float


def finding_out(
    found: Finding, raised: Fact, device_name: str, officer: str | None, case_ids: Sequence[str], similar: int, *,
    is_readable: bool,
) -> FindingOut:  # fmt: skip
    """is_readable: whether the asker may read what was spoken in it."""
    speaks = found.group in ("conduct", "procedure")
    return FindingOut(
        finding_id=found.finding_id, finding=found.finding, group=found.group, severity=found.severity,
        confidence=found.confidence, state=found.state, is_open=found.is_open, raised_at=at_of(found.raised_us),
        ended_at=None if found.ended_us is None else at_of(found.ended_us), end_reason=found.end_reason,
        stream_id=found.stream_id, device_name=device_name, officer=officer, case_ids=list(case_ids), rule=found.rule,
        explanation=body_text(raised, "explanation") if is_readable or not speaks else "",
        measures=_measures(body_text(raised, "measures")),
        quotes=body_text(raised, "quotes").splitlines() if is_readable else [],
        of_events=body_text(raised, "of_events").splitlines() if is_readable else [],
        media=ClipRefOut(
            recording_id=found.recording_id, start_s=found.clip_start_s, end_s=max(found.clip_start_s, found.clip_end_s)
        ),
        review=None if found.reviewed_us is None else ReviewOut(
            verdict=found.state, reason=found.reason if is_readable else "", by_name=found.reviewed_name,
            at=at_of(found.reviewed_us),
        ),
        similar=similar, is_evidence=found.state == "confirmed",
    )  # fmt: skip


def _measures(text: str) -> dict[str, float]:
    """Of "name=value" lines; a line that is none is passed over."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            continue
    return found
