"""The shapes of spoken words: corrections, and what was heard in a recording, version beside version."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.record import at_of
from cases.casework.corrections import MOST_SIGNS
from cases.words import Said, Span


class CorrectionIn(BaseModel):
    """event_id: of the WordsHeard. text: what was said, in one line; the same as before says: heard rightly."""

    model_config = ConfigDict(extra="forbid")

    event_id: Annotated[str, Field(min_length=1, max_length=64)]
    text: Annotated[str, Field(min_length=1, max_length=MOST_SIGNS)]


class CorrectionOut(BaseModel):
    event_id: str


class CorrectedOut(BaseModel):
    event_id: str
    text: str
    by: str
    by_name: str
    at: str


class SaidOut(BaseModel):
    """text: what counts; heard, normal: the model's own. Times in seconds of the recording's axis."""

    event_id: str
    start_s: float
    end_s: float
    text: str
    heard: str
    normal: str
    language: str
    confidence: float
    is_doubtful: bool
    speaker: str
    correction: CorrectedOut | None


class VersionOut(BaseModel):
    """is_demo: by a model that was made to show, not for real speech."""

    model: str
    is_demo: bool
    said: list[SaidOut]


class WordSpanOut(BaseModel):
    """versions: the one that counts first."""

    start_s: float
    end_s: float
    versions: list[VersionOut]


class WordsOut(BaseModel):
    items: list[WordSpanOut]
    next_cursor: str | None


def span_out(span: Span) -> WordSpanOut:
    versions = [
        VersionOut(model=each.model, is_demo=each.is_demo, said=[_said_out(said) for said in each.said])
        for each in span.versions
    ]
    return WordSpanOut(start_s=span.start_s, end_s=span.end_s, versions=versions)


def _said_out(said: Said) -> SaidOut:
    made = said.correction
    return SaidOut(
        event_id=said.event_id, start_s=said.start_s, end_s=said.end_s, text=said.text, heard=said.heard,
        normal=said.normal, language=said.language, confidence=said.confidence, is_doubtful=said.is_doubtful,
        speaker=said.speaker,
        correction=None if made is None else CorrectedOut(
            event_id=made.event_id, text=made.text, by=made.by, by_name=made.by_name, at=at_of(made.at_us)
        ),
    )  # fmt: skip
