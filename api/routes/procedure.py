"""The procedure of a case: what each of its steps demands, what was judged of it, and judging it again."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request

from api.asking import record_of
from api.doors import Doors
from api.judgement import judging_of
from api.permissions import Asker, require
from api.schemas.findings import ClipRefOut
from api.schemas.procedure import (
    DutyOut,
    JudgedAgainOut,
    LawOut,
    PastVerdictOut,
    ProcedureOut,
    ProcedureStepOut,
    RulesetOut,
    judged_again_out,
)
from api.schemas.record import at_of
from cases.appender import Stored
from cases.facts import microseconds
from cases.judgement import reading
from cases.judgement.book import Book
from cases.judgement.heard import number
from cases.judgement.rejudge import judge_again
from cases.judgement.step_judge import StepOf
from cases.judgement.verdicts import text, texts
from cases.reach import reached_case, unheard_streams
from cases.rules.laws import numeral_of
from cases.rules.ruleset import Duty

router = APIRouter(prefix="/api/v1")
Reader = Annotated[Asker, Depends(require("cases.read"))]
Judge = Annotated[Asker, Depends(require("cases.rejudge"))]


@router.get("/cases/{case_id}/procedure")
async def procedure(request: Request, asker: Reader, case_id: str) -> ProcedureOut:
    """Every step with its duties: observed, not observed, or cannot tell; null while there is still time.

    A verdict is a suggestion by rules over words that a model heard; `media` is what to look at before believing it.
    """
    doors: Doors = request.app.state.doors
    book = judging_of(doors).rulebook.current
    async with record_of(request).store.reading() as connection:
        await reached_case(connection, asker.within, case_id)
        steps = await reading.steps_of(connection, case_id)
        told = await reading.verdicts_of(connection, case_id)
        barred = await unheard_streams(connection, asker.within)
    of_steps: dict[str, list[Stored]] = {}
    for each in told:
        of_steps.setdefault(text(each.fact, "step_id"), []).append(each)
    return ProcedureOut(
        ruleset=RulesetOut(version="" if book is None else book.version, label="" if book is None else book.label),
        steps=[_step(each, book, of_steps.get(each.step_id, []), barred) for each in steps],
    )


@router.post("/cases/{case_id}/judgements")
async def judge(request: Request, asker: Judge, case_id: str) -> JudgedAgainOut:
    """Judge the case again by the rules of now, from kept words and measurements. Old verdicts stay beside the new."""
    doors: Doors = request.app.state.doors
    record, judging = record_of(request), judging_of(doors)
    book = judging.rulebook.current
    if book is None:
        raise HTTPException(409, f"no rules are in force: {judging.rulebook.refusal.partition(chr(10))[0]}")
    async with record.store.reading() as connection:
        await reached_case(connection, asker.within, case_id)
    now_s, data = doors.runtime.clock.utc_s(), doors.runtime.settings.data
    again = await judge_again(record.store, record.appender, book, case_id, now_s, data)
    return judged_again_out(again)


def _step(step: StepOf, book: Book | None, told: Sequence[Stored], barred: frozenset[str]) -> ProcedureStepOut:
    duties = () if book is None else book.duties_of(step.kind)
    of_duty: dict[str, list[Stored]] = {each.duty: [] for each in duties}
    for stored in told:
        of_duty.setdefault(text(stored.fact, "duty"), []).append(stored)
    known = {each.duty: each for each in (() if book is None else book.duties)}
    return ProcedureStepOut(
        step_id=step.step_id, kind=step.kind, started_at=_at(step.started_s),
        ended_at=None if step.ended_s is None else _at(step.ended_s), is_running=step.ended_s is None,
        duties=[_duty(step, name, known.get(name), each, barred) for name, each in of_duty.items()],
    )  # fmt: skip


def _duty(
    step: StepOf, name: str, duty: Duty | None, told: Sequence[Stored], barred: frozenset[str]
) -> DutyOut:  # fmt: skip
    """duty: None: the rules of now know none of this name; what was judged of it is shown all the same."""
    last = told[-1] if told else None
    fact = None if last is None else last.fact
    is_readable = fact is None or fact.stream_id not in barred
    law = None
    if duty is not None:
        law = LawOut(name=duty.law, article=f"第{numeral_of(duty.article)}条", text=duty.text)
    media = None
    if fact is not None and "recording_id" in fact.body and is_readable:
        media = ClipRefOut(
            recording_id=text(fact, "recording_id"), start_s=number(fact, "start_s"), end_s=number(fact, "end_s")
        )
    deadline_s = None if duty is None or duty.deadline_s is None else step.started_s + duty.deadline_s
    return DutyOut(
        duty=name, zh=name if duty is None else duty.zh, en=name if duty is None else duty.en, law=law,
        is_required=duty is not None and duty.is_required, severity="low" if duty is None else duty.severity,
        verdict=None if fact is None else text(fact, "verdict"),
        judged_at=None if last is None else at_of(last.learned_at_us),
        confidence=None if fact is None else number(fact, "confidence"),
        coverage=None if fact is None else number(fact, "coverage"),
        deadline_at=None if deadline_s is None else _at(deadline_s),
        rule=text(fact, "rule") if fact is not None else "" if duty is None else duty.rule,
        why=text(fact, "why") if fact is not None and is_readable else "",
        quotes=list(texts(fact, "quotes")) if fact is not None and is_readable else [],
        notes=[] if fact is None else list(texts(fact, "notes")), media=media,
        history=[_past(each, barred) for each in told[:-1]],
    )  # fmt: skip


def _past(stored: Stored, barred: frozenset[str]) -> PastVerdictOut:
    fact = stored.fact
    return PastVerdictOut(
        verdict=text(fact, "verdict"), rule=text(fact, "rule"), judged_at=at_of(stored.learned_at_us),
        why="" if fact.stream_id in barred else text(fact, "why"),
    )  # fmt: skip


def _at(utc_s: float) -> str:
    return at_of(microseconds(utc_s))
