"""Verdicts as facts of a case's timeline: how one is told, and which stands in the record. Plain code.

What follows from the same words by the same rules is one fact; what differs from the last one is told beside it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cases.appender import Stored
from cases.facts import Fact, JsonValue, microseconds
from cases.judgement.heard import Source, number
from cases.rules.verdicts import Judged, Verdict
from pipeline.events import FindingEnded, FindingRaised, finding_id
from pipeline.ids import derived_event_id

JUDGED: Final = "ProcedureJudged"
MISSING: Final = "duty_missing"
PROGRAM: Final = "onrecord"
_SURER: Final = 0.01


@dataclass(frozen=True, slots=True)
class Standing:
    """What the record says of one duty of one step. count: how many verdicts were told of it.

    missing: of the finding that was raised because of this verdict; its stream and recording, and the second of its
    axis that it begins at.
    """

    verdict: str
    rule: str
    of_events: tuple[str, ...]
    confidence: float = 0.0
    count: int = 1
    missing: tuple[str, str, str, float] | None = None

    @property
    def missing_id(self) -> str:
        return "" if self.missing is None else self.missing[0]

    def is_same(self, judged: Judged) -> bool:
        """Whether it says nothing new; what is observed by pictures too is surer than by words alone, and is new."""
        is_surer = judged.verdict is Verdict.OBSERVED and judged.confidence > self.confidence + _SURER
        known = (self.verdict, self.rule, self.of_events)
        return known == (judged.verdict, judged.rule, judged.event_ids) and not is_surer


def standings(stored: Iterable[Stored]) -> dict[str, dict[str, Standing]]:
    """By step, then by duty, from verdicts in the order of the log."""
    found: dict[str, dict[str, Standing]] = {}
    for each in stored:
        fact = each.fact
        if fact.kind != JUDGED:
            continue
        of_step, duty = found.setdefault(text(fact, "step_id"), {}), text(fact, "duty")
        before = of_step.get(duty)
        of_step[duty] = _standing(fact, 1 if before is None else before.count + 1)
    return found


def _standing(fact: Fact, count: int) -> Standing:
    missing = None
    if known := text(fact, "finding_id"):
        missing = known, fact.stream_id or "", text(fact, "recording_id"), number(fact, "start_s")
    return Standing(
        text(fact, "verdict"), text(fact, "rule"), texts(fact, "of_events"), number(fact, "confidence"), count, missing
    )


def verdict_fact(
    case_id: str, step_id: str, judged: Judged, version: str, before: Standing | None, source: Source | None,
    missing_id: str = "",
) -> Fact:  # fmt: skip
    """version: of the set of rules. source: the recording that shows it, if any. missing_id: of a finding it raised."""
    count = 0 if before is None else before.count
    body: dict[str, JsonValue] = {
        "step_id": step_id, "duty": judged.duty, "verdict": str(judged.verdict), "rule": judged.rule,
        "ruleset": version, "confidence": round(judged.confidence, 3), "coverage": round(judged.coverage, 3),
        "why": judged.why, "quotes": list(judged.quotes), "notes": list(judged.notes),
        "of_events": list(judged.event_ids),
    }  # fmt: skip
    if missing_id:
        body["finding_id"] = missing_id
    if source is not None:
        body["recording_id"] = source.recording_id
        body["start_s"] = round(max(0.0, judged.start_s - source.begin_s), 3)
        body["end_s"] = round(max(0.0, judged.end_s - source.begin_s), 3)
    return Fact(
        event_id=derived_event_id(
            JUDGED, step_id, judged.duty, judged.rule, version, str(judged.verdict), " ".join(judged.event_ids), count
        ),
        kind=JUDGED, at_us=microseconds(judged.end_s), stream_id=None if source is None else source.stream_id,
        case_id=case_id, by=PROGRAM, body=body,
    )  # fmt: skip


def missing_raised(judged: Judged, severity: str, source: Source) -> FindingRaised:
    """A required duty was not observed while its step runs."""
    start_s, end_s = (round(max(0.0, each - source.begin_s), 3) for each in (judged.start_s, judged.end_s))
    return FindingRaised(
        at=judged.end_s, stream_id=source.stream_id, recording_id=source.recording_id,
        finding_id=finding_id(source.stream_id, MISSING, judged.rule, start_s), finding=MISSING, group="procedure",
        severity=severity, confidence=round(judged.confidence, 3), start_s=start_s, clip_start_s=start_s,
        clip_end_s=end_s, rule=judged.rule, explanation=judged.why, measures=f"coverage={judged.coverage:.3f}",
    )  # fmt: skip


def missing_ended(standing: Standing, at_s: float, begin_s: float, reason: str) -> FindingEnded | None:
    """at_s: UTC; begin_s: of the recording. None: the verdict raised none."""
    if standing.missing is None:
        return None
    known, stream_id, recording_id, start_s = standing.missing
    return FindingEnded(
        at=at_s, stream_id=stream_id, recording_id=recording_id, finding_id=known, finding=MISSING, start_s=start_s,
        end_s=round(max(start_s, at_s - begin_s), 3), reason=reason,
    )  # fmt: skip


def stands_as(judged: Judged, before: Standing | None, raised: FindingRaised | None) -> Standing:
    """What the record says of the duty once this verdict is told."""
    missing = None if raised is None else (raised.finding_id, raised.stream_id, raised.recording_id, raised.start_s)
    count = 1 if before is None else before.count + 1
    return Standing(str(judged.verdict), judged.rule, judged.event_ids, judged.confidence, count, missing)


def is_missing(judged: Judged) -> bool:
    return judged.verdict is Verdict.NOT_OBSERVED


def text(fact: Fact, name: str) -> str:
    value = fact.body.get(name)
    return value if isinstance(value, str) else ""


def texts(fact: Fact, name: str) -> tuple[str, ...]:
    value = fact.body.get(name)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
