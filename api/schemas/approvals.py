"""The shapes of approvals, playback and the audit."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cases.casework.rows import Approval
from pipeline.clock import rfc3339

ThingId = Annotated[str, Field(min_length=1, max_length=64)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ApprovalIn(_In):
    """what: "play" a span of a recording (start_s, end_s), or "copy" a case. purpose: what for; others read it."""

    what: Literal["play", "copy"]
    purpose: Annotated[str, Field(min_length=1, max_length=500)]
    case_id: ThingId | None = None
    recording_id: ThingId | None = None
    start_s: float = Field(0.0, ge=0, le=1e7)
    end_s: float = Field(0.0, ge=0, le=1e7)


class DecisionIn(_In):
    """days: how long it lasts from now, where this is the last yes that is needed."""

    verdict: Literal["approved", "refused"]
    reason: Annotated[str, Field(max_length=500)] = ""
    days: float = Field(7.0, gt=0, le=90)


class ApprovalOut(BaseModel):
    """is_mine: asked by the reader. may_decide: the reader is among those who decide, and has not yet."""

    approval_id: str
    what: str
    case_id: str | None
    recording_id: str | None
    start_s: float
    end_s: float
    purpose: str
    asked_by: str
    asked_name: str
    asked_at: str
    needed: int
    given: int
    state: str
    expires_at: str | None
    is_mine: bool
    may_decide: bool


class ApprovalsOut(BaseModel):
    items: list[ApprovalOut]
    next_cursor: str | None = None


class WithholdIn(_In):
    officer_id: ThingId
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class SpanOut(BaseModel):
    start_s: float
    end_s: float


class GapOut(BaseModel):
    start_s: float
    end_s: float
    cause: str


class MapOut(BaseModel):
    """What of a recording there is. All times on its own axis, in seconds; started_at: what its 0 is.

    segments: what is on record and closed. gaps: what is missing, and why. allowed: what the reader may play now.
    """

    recording_id: str
    stream_id: str
    device_name: str
    started_at: str
    length_s: float
    is_ended: bool
    mimes: list[str]
    segments: list[SpanOut]
    gaps: list[GapOut]
    allowed: list[SpanOut]


def approval_out(approval: Approval, given: int, *, is_mine: bool, may_decide: bool) -> ApprovalOut:
    return ApprovalOut(
        approval_id=approval.approval_id, what=approval.what, case_id=approval.case_id,
        recording_id=approval.recording_id, start_s=approval.start_ms / 1000, end_s=approval.end_ms / 1000,
        purpose=approval.purpose, asked_by=approval.asked_by, asked_name=approval.asked_name,
        asked_at=rfc3339(approval.asked_us / 1e6), needed=approval.needed, given=given, state=approval.state,
        expires_at=None if approval.expires_us is None else rfc3339(approval.expires_us / 1e6), is_mine=is_mine,
        may_decide=may_decide,
    )  # fmt: skip
