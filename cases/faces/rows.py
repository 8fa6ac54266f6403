"""Rows of faces as values. Sealed bytes are read apart, by who opens them."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from cases.store.tables import face_suggestions, face_templates

MOST_TEXT: Final = 1000
MOST_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class Switch:
    """state: asked, on, off. end_reason: by_person, refused, expired."""

    switch_id: str
    legal_basis: str
    approver: str
    assessment_id: str
    reason: str
    expires_us: int
    asked_by: str
    asked_name: str
    asked_us: int
    state: str
    approved_by: str | None
    approved_name: str
    approved_us: int | None
    ended_us: int | None
    end_reason: str

    def is_on(self, now_us: int) -> bool:
        return self.state == "on" and now_us < self.expires_us


@dataclass(frozen=True, slots=True)
class Gallery:
    """kind: roster, case. end_reason: by_person, expired, case_closed, switched_off."""

    gallery_id: str
    kind: str
    case_id: str | None
    switch_id: str
    legal_basis: str
    notice: str
    expires_us: int
    state: str
    opened_by: str
    opened_name: str
    opened_us: int
    closed_us: int | None
    end_reason: str

    def is_in_force(self, now_us: int) -> bool:
        return self.state == "open" and now_us < self.expires_us


@dataclass(frozen=True, slots=True)
class Person:
    """state: proposed, enrolled, refused, deleted, gone."""

    person_id: str
    gallery_id: str
    name: str
    party: str
    officer_id: str | None
    basis: str
    state: str
    proposed_by: str
    proposed_name: str
    proposed_us: int
    decided_by: str | None
    decided_name: str
    decided_us: int | None


@dataclass(frozen=True, slots=True)
class Template:
    """Without what is sealed in it. state: proposed, enrolled."""

    template_id: str
    person_id: str
    gallery_id: str
    model: str
    state: str
    added_by: str
    added_us: int
    quality: float


TEMPLATES = select(*(column for column in face_templates.c if not column.name.startswith("sealed_")))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """event_id: of its FaceSuggested, which has the numbers. state: open, split, confirmed, rejected, withdrawn."""

    suggestion_id: str
    event_id: str
    case_id: str
    step_id: str | None
    gallery_id: str
    gallery_kind: str
    person_id: str
    stream_id: str
    recording_id: str
    at_us: int
    model: str
    threshold: float
    state: str
    decided_us: int | None
    has_shot: bool


SUGGESTIONS = select(
    *(column for column in face_suggestions.c if column.name != "sealed_shot"),
    face_suggestions.c.sealed_shot.is_not(None).label("has_shot"),
)


@dataclass(frozen=True, slots=True)
class Opinion:
    suggestion_id: str
    by: str
    by_name: str
    verdict: str
    reason: str
    salt: str
    commitment: str
    at_us: int
