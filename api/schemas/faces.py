"""The shapes of faces: the switch and its conditions, galleries, persons, suggestions, opinions."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.schemas.findings import ClipRefOut
from api.schemas.record import at_of
from cases.faces.rows import Gallery, Opinion, Person, Suggestion, Switch, Template
from cases.facts import Fact

Kind = Literal["roster", "case"]
Verdict = Literal["same", "different", "cannot_tell"]
SuggestionState = Literal["open", "split", "confirmed", "rejected", "withdrawn"]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
Id = Annotated[str, Field(min_length=1, max_length=64)]


class SwitchIn(BaseModel):
    """approver: who answers for it, by name and office. assessment_id: of the impact assessment, kept three years."""

    model_config = ConfigDict(extra="forbid")

    legal_basis: Annotated[str, Field(min_length=1, max_length=1000)]
    approver: Annotated[str, Field(min_length=1, max_length=200)]
    assessment_id: Annotated[str, Field(min_length=1, max_length=200)]
    expires_at: AwareDatetime
    reason: Reason


class SwitchOffIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Reason


class SwitchOut(BaseModel):
    """state: asked, on, or off. end_reason: by_person, refused or expired. may_approve: by who asks now."""

    switch_id: str
    state: Literal["asked", "on", "off"]
    legal_basis: str
    approver: str
    assessment_id: str
    reason: str
    expires_at: str
    asked_by_name: str
    asked_at: str
    approved_by_name: str
    approved_at: str | None
    ended_at: str | None
    end_reason: str
    is_mine: bool
    may_approve: bool


class ConditionOut(BaseModel):
    """What must hold before faces are matched: models, assessed (asked for with all it needs), approved, in_time."""

    condition: Literal["models", "assessed", "approved", "in_time"]
    is_met: bool
    zh: str
    en: str


class ModelOut(BaseModel):
    """label: name@version; empty: none. why: of what is missing. license, note: as the registry has them."""

    task: Literal["detector", "embedder"]
    label: str
    license: str
    note: str
    is_here: bool
    why: str


class RecordOut(BaseModel):
    """How often people confirmed what one model suggested at one bound; Wilson's 95 % interval. A rejection counts."""

    model: str
    threshold: float
    suggested: int
    confirmed: int
    rejected: int
    precision: float | None
    precision_low: float | None
    precision_high: float | None


class FacesOut(BaseModel):
    """count: persons whose templates are kept. alarm: from here on it is told. limit: here enrolment stops.

    why: why it is off, in both languages; empty where it is on. stale: templates of another model than the one in use:
    they are not searched until they are made anew in their galleries. may_ask, may_approve, may_stop: of who asks now.
    limits: what it cannot do, in words that the page shows.
    """

    is_on: bool
    why_zh: str
    why_en: str
    conditions: list[ConditionOut]
    switch: SwitchOut | None
    count: int
    alarm: int
    limit: int
    is_alarm: bool
    stale: int
    models: list[ModelOut]
    notice_zh: str
    notice_en: str
    limits_zh: str
    limits_en: str
    record: list[RecordOut]
    may_ask: bool
    may_approve: bool
    may_stop: bool


class GalleryIn(BaseModel):
    """kind: roster, or case with its case_id. notice: told to the filmed where the rule asks for it; may be empty for a
    roster. expires_at: not after the switch ends.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    case_id: Annotated[str, Field(max_length=64)] | None = None
    legal_basis: Annotated[str, Field(min_length=1, max_length=1000)]
    notice: Annotated[str, Field(min_length=1, max_length=1000)]
    expires_at: AwareDatetime


class GalleryCloseIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Reason


class GalleryOut(BaseModel):
    """end_reason: by_person, expired, case_closed or switched_off. persons: enrolled; proposed: that wait for a second.

    stale: templates of another model than the one in use; they are not searched until they are made anew (renew).
    may_enrol, may_close: by who asks now.
    """

    gallery_id: str
    kind: Kind
    case_id: str | None
    case_number: str
    legal_basis: str
    notice: str
    state: Literal["open", "closed"]
    expires_at: str
    opened_at: str
    opened_by_name: str
    closed_at: str | None
    end_reason: str
    persons: int
    proposed: int
    stale: int
    may_enrol: bool
    may_close: bool


class GalleriesOut(BaseModel):
    items: list[GalleryOut]
    next_cursor: str | None


class WhoIn(BaseModel):
    """Who is enrolled, and why one may. person_id: one of the gallery who gets more templates; else a new person.

    officer_id: for a roster. name, party: for a case; party says who in the case this is. basis: consent, or the law
    that allows it without.
    """

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=200)] = ""
    party: Annotated[str, Field(max_length=200)] = ""
    officer_id: Annotated[str, Field(max_length=64)] = ""
    person_id: Annotated[str, Field(max_length=64)] = ""
    basis: Annotated[str, Field(min_length=1, max_length=1000)]


class MomentIn(WhoIn):
    """From a recording: seconds of its axis in which the face is seen, alone; at most 30."""

    recording_id: Id
    start_s: float = Field(ge=0, le=1e7)
    end_s: float = Field(ge=0, le=1e7)


class PersonOut(BaseModel):
    """state: proposed (a second person must look), enrolled, refused, deleted or gone (its gallery closed).

    proposed_templates: of these, how many wait. may_confirm: by who asks now; never who proposed.
    """

    person_id: str
    gallery_id: str
    name: str
    party: str
    officer_id: str | None
    basis: str
    state: Literal["proposed", "enrolled", "refused", "deleted", "gone"]
    proposed_at: str
    proposed_by_name: str
    decided_at: str | None
    decided_by_name: str
    templates: int
    proposed_templates: int
    models: list[str]
    is_stale: bool
    may_confirm: bool


class PersonsOut(BaseModel):
    items: list[PersonOut]
    next_cursor: str | None


class RenewIn(BaseModel):
    """after: next_after of the call before; empty: from the first."""

    model_config = ConfigDict(extra="forbid")

    after: Annotated[str, Field(max_length=64)] = ""


class NotRenewedOut(BaseModel):
    """reason: no_key, damaged, duplicate, no_vector, or a code as enrolment refuses with. detail: in words."""

    template_id: str
    person_id: str
    name: str
    reason: str
    detail: str


class RenewedOut(BaseModel):
    """refused: what stays as it is, not searched, and why. next_after: for the next call; empty: all were tried."""

    renewed: int
    refused: list[NotRenewedOut]
    next_after: str
    left: int


class RefuseIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Reason


class OpinionIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: Verdict
    reason: Reason


class OpinionOut(BaseModel):
    by_name: str
    is_mine: bool
    verdict: Verdict
    reason: str
    at: str


class SuggestionOut(BaseModel):
    """A match is a suggestion until two people, each alone, say the same.

    similarity, second, threshold: cosines, -1..1, no probabilities. one_in: about one of so many strangers would look
    as alike; None: nobody measured it. given: how many opinions there are. opinions: one's own; those of others only
    once it is decided. has_shot: whether its pictures are still kept.
    """

    suggestion_id: str
    state: SuggestionState
    case_id: str
    case_number: str
    gallery_id: str
    gallery_kind: Kind
    person_id: str
    name: str
    officer_id: str | None
    stream_id: str
    at: str
    media: ClipRefOut
    similarity: float
    second: float
    threshold: float
    fmr: float | None
    one_in: int | None
    basis: str
    model: str
    detector: str
    looks: int
    given: int
    opinions: list[OpinionOut]
    has_shot: bool
    may_judge: bool
    decided_at: str | None


class SuggestionsOut(BaseModel):
    items: list[SuggestionOut]
    next_cursor: str | None


def switch_out(found: Switch, by: str, *, may_approve: bool) -> SwitchOut:
    """by: who asks now. may_approve: whether his role may at all."""
    return SwitchOut.model_validate(
        {
            "switch_id": found.switch_id, "state": found.state, "legal_basis": found.legal_basis,
            "approver": found.approver, "assessment_id": found.assessment_id, "reason": found.reason,
            "expires_at": at_of(found.expires_us), "asked_by_name": found.asked_name,
            "asked_at": at_of(found.asked_us), "approved_by_name": found.approved_name,
            "approved_at": _at(found.approved_us), "ended_at": _at(found.ended_us), "end_reason": found.end_reason,
            "is_mine": found.asked_by == by,
            "may_approve": may_approve and found.state == "asked" and found.asked_by != by,
        }
    )  # fmt: skip


def gallery_out(
    found: Gallery, case_number: str, persons: int, proposed: int, stale: int, *, may_enrol: bool, may_close: bool
) -> GalleryOut:
    return GalleryOut.model_validate(
        {
            "gallery_id": found.gallery_id, "kind": found.kind, "case_id": found.case_id, "case_number": case_number,
            "legal_basis": found.legal_basis, "notice": found.notice, "state": found.state,
            "expires_at": at_of(found.expires_us), "opened_at": at_of(found.opened_us),
            "opened_by_name": found.opened_name, "closed_at": _at(found.closed_us), "end_reason": found.end_reason,
            "persons": persons, "proposed": proposed, "stale": stale, "may_enrol": may_enrol, "may_close": may_close,
        }
    )  # fmt: skip


def person_out(found: Person, held: Sequence[Template], label: str, *, may_confirm: bool) -> PersonOut:
    """label: of the embedder in use; empty: none is."""
    models = sorted({each.model for each in held})
    return PersonOut.model_validate(
        {
            "person_id": found.person_id, "gallery_id": found.gallery_id, "name": found.name, "party": found.party,
            "officer_id": found.officer_id, "basis": found.basis, "state": found.state,
            "proposed_at": at_of(found.proposed_us), "proposed_by_name": found.proposed_name,
            "decided_at": _at(found.decided_us), "decided_by_name": found.decided_name, "templates": len(held),
            "proposed_templates": sum(each.state == "proposed" for each in held), "models": models,
            "is_stale": bool(held) and bool(label) and label not in models, "may_confirm": may_confirm,
        }
    )  # fmt: skip


def suggestion_out(
    found: Suggestion, told: Fact, case_number: str, given: Sequence[Opinion], shown: Sequence[Opinion], by: str, *,
    may_judge: bool,
) -> SuggestionOut:  # fmt: skip
    """told: its FaceSuggested. given: all opinions. shown: those that who asks may read. by: who asks now."""
    body = told.body
    media = body["media"]
    numbers = {name: body[name] for name in ("similarity", "second", "threshold", "fmr", "one_in", "looks")}
    words = {name: body[name] for name in ("name", "officer_id", "basis", "model", "detector")}
    return SuggestionOut.model_validate(
        {
            "suggestion_id": found.suggestion_id, "state": found.state, "case_id": found.case_id,
            "case_number": case_number, "gallery_id": found.gallery_id, "gallery_kind": found.gallery_kind,
            "person_id": found.person_id, "stream_id": found.stream_id, "at": at_of(found.at_us),
            "media": media, **numbers, **words, "given": len(given), "has_shot": found.has_shot,
            "opinions": [
                {
                    "by_name": each.by_name, "is_mine": each.by == by, "verdict": each.verdict, "reason": each.reason,
                    "at": at_of(each.at_us),
                }
                for each in shown
            ],
            "may_judge": may_judge, "decided_at": _at(found.decided_us),
        }
    )  # fmt: skip


def _at(us: int | None) -> str | None:
    return None if us is None else at_of(us)
