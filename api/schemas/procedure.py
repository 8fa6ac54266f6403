"""The shapes of the procedure of a case: what each step demands, and what was judged of it."""

from typing import Literal

from pydantic import BaseModel

from api.schemas.findings import ClipRefOut
from cases.judgement.rejudge import Again

Verdict = Literal["observed", "not_observed", "cannot_tell"]


class LawOut(BaseModel):
    """text: of the article; empty where the rules of now do not know it."""

    name: str
    article: str
    text: str


class PastVerdictOut(BaseModel):
    verdict: str
    rule: str
    judged_at: str
    why: str


class DutyOut(BaseModel):
    """verdict: null while it is open. coverage: 0..1 of its time that was heard well. history: what was judged before.

    why and quotes are empty for who may not read the words.
    """

    duty: str
    zh: str
    en: str
    law: LawOut | None
    is_required: bool
    severity: str
    verdict: str | None
    judged_at: str | None
    confidence: float | None
    coverage: float | None
    deadline_at: str | None
    rule: str
    why: str
    quotes: list[str]
    notes: list[str]
    media: ClipRefOut | None
    history: list[PastVerdictOut]


class ProcedureStepOut(BaseModel):
    step_id: str
    kind: str
    started_at: str
    ended_at: str | None
    is_running: bool
    duties: list[DutyOut]


class RulesetOut(BaseModel):
    version: str
    label: str


class ProcedureOut(BaseModel):
    """ruleset: in force now; a verdict names its own rule."""

    ruleset: RulesetOut
    steps: list[ProcedureStepOut]


class RuledOut(BaseModel):
    verdict: str
    rule: str


class ChangeOut(BaseModel):
    """before: null: it was not judged until now."""

    step_id: str
    duty: str
    before: RuledOut | None
    after: RuledOut


class AgainCountsOut(BaseModel):
    """Findings, but for missing duties. not_raised_now: the rules of now would not raise them; they stay."""

    raised: int
    unchanged: int
    not_raised_now: int


class JudgedAgainOut(BaseModel):
    """What is judged otherwise by the rules of now. Nothing was taken back."""

    version: str
    steps: int
    changed: list[ChangeOut]
    findings: AgainCountsOut


def judged_again_out(again: Again) -> JudgedAgainOut:
    return JudgedAgainOut(
        version=again.version, steps=again.steps,
        changed=[
            ChangeOut(
                step_id=each.step_id, duty=each.duty,
                before=None if each.before is None else RuledOut(verdict=each.before.verdict, rule=each.before.rule),
                after=RuledOut(verdict=each.after.verdict, rule=each.after.rule),
            )
            for each in again.changed
        ],
        findings=AgainCountsOut(
            raised=again.raised, unchanged=again.unchanged, not_raised_now=again.not_raised_now
        ),
    )  # fmt: skip
