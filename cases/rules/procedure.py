"""The duties of one step, judged as its words come in. No clock, no I/O: who feeds it knows the time.

A duty is observed once. What is not said by its deadline is `not_observed`, if all was heard well and nothing in the
words hints at it; else `cannot_tell`. What is said later is told as observed, `late`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cases.rules.familiar import FEWEST_PAIRS, count
from cases.rules.hearing import Hearing
from cases.rules.listening import Heard, Listener, Matcher
from cases.rules.plain import plain
from cases.rules.rules import Duty, RuleSet
from cases.rules.said import Utterance
from cases.rules.verdicts import BY_UNKNOWN_SPEAKER, LATE, OUT_OF_ORDER, Judged, Verdict

GARBLED: Final = 0.42
"""Of a window's pairs of signs, known ones (cases/rules/familiar.py): below it nothing is told as not observed."""
WORN: Final = 0.46  # below it what is only like a way of saying it counts as a hint
_UNKNOWN_SPEAKER = 0.7
_DOUBTFUL = 0.8
_SEEN_ALONE = 0.6
_SURE_HINT = 0.9  # of a hint's signs; what is less like it counts where the words are worn
_MOST_HINTS = 8  # of one duty, faint and other, that are kept
_MOST_SPANS = 20
_LONGEST_ANSWER = 16  # signs; a longer sentence is no answer but talk in which its words come up


@dataclass(frozen=True, slots=True)
class DutyState:
    """window_end_s: its deadline; None: the end of the step."""

    duty: str
    is_open: bool
    judged: Judged | None
    window_end_s: float | None


@dataclass(frozen=True, slots=True)
class _Hint:
    """is_faint: it counts only where the words of the window are damaged."""

    start_s: float
    end_s: float
    quote: str
    event_id: str
    is_faint: bool


@dataclass(slots=True)
class _Case:
    """What is known of one duty. judged: the last verdict told."""

    duty: Duty
    judged: Judged | None = None
    hints: list[_Hint] = field(default_factory=list)
    seen: list[tuple[float, str]] = field(default_factory=list)

    def hint(self, hint: _Hint) -> None:
        if sum(kept.is_faint == hint.is_faint for kept in self.hints) < _MOST_HINTS:
            self.hints.append(hint)


class Procedure:
    """started_s: the step's beginning, on the utterances' axis."""

    def __init__(self, rules: RuleSet, step_kind: str, started_s: float) -> None:
        self._rules = rules
        self._started_s = started_s
        self._cases = {duty.duty: _Case(duty) for duty in rules.duties_of(step_kind)}
        self._moments: dict[str, float] = {}
        self._listener = Listener(rules.procedure_matcher)
        self._answers = Listener(rules.answer_matcher)
        self._seen = rules.seen_matcher
        self._done = {way.owner for way in rules.procedure_ways} - self._cases.keys() - rules.moments.keys()
        """Owners that need not be listened for: duties of other kinds of step, and what was heard already."""
        self._pairs: list[tuple[float, int, int]] = []  # 3 numbers an utterance
        self._is_over = False

    def feed(self, utterance: Utterance) -> list[Judged]:
        """Duties that it observes, each once. Utterances come in the order of their beginnings."""
        signs = plain(utterance.text).signs
        pairs, known = count(signs, self._rules.familiar)
        self._pairs.append((utterance.start_s, pairs, 0 if utterance.is_doubtful else known))
        told: list[Judged] = []
        if self._is_over:
            return told
        if utterance.speaker != "officer" and len(signs) <= _LONGEST_ANSWER:
            self._answered(utterance)
        if utterance.speaker == "other":
            return told
        for each in self._listener.feed(utterance, self._done):
            way = each.match.way
            if way.use == "moment":
                if each.match.is_sure:
                    self._moments.setdefault(way.owner, each.utterances[0].start_s)
                    self._done.add(way.owner)
                continue
            case = self._cases.get(way.owner)
            if case is None or not self._counts(case, each):
                continue
            if way.use == "way" and each.match.is_sure:
                case.judged = self._observed(case.duty, each)
                self._moments.setdefault(case.duty.duty, case.judged.start_s)
                self._done.add(way.owner)
                told.append(case.judged)
            else:
                case.hint(_hint(each, is_faint=way.use != "hint" or each.match.score < _SURE_HINT))
        return told

    def _answered(self, utterance: Utterance) -> None:
        """What the other party answers hints that an officer said what it is an answer to; it proves nothing."""
        for each in self._answers.feed(utterance, self._done):
            case = self._cases.get(each.match.way.owner)
            if case is not None:
                case.hint(_hint(each, is_faint=each.match.score < _SURE_HINT))

    def seen(self, at_s: float, text: str, asked: str) -> list[Judged]:
        """Text read in a picture: with words near it the duty is surer; alone it counts where it was asked for."""
        told: list[Judged] = []
        if self._is_over:
            return told
        for name in _owners_in(self._seen, text):
            case = self._cases.get(name)
            if case is None:
                continue
            duty, before = case.duty, case.judged
            if before is not None and before.verdict is Verdict.OBSERVED:
                is_near = before.start_s - duty.near_s <= at_s <= before.end_s + duty.near_s
                if is_near and not case.seen:
                    case.seen.append((at_s, text))
                    sure = 1.0 - (1.0 - before.confidence) * 0.3
                    why = f"{before.why.removesuffix('。')}，画面中也读到相应文字。"
                    case.judged = replace(before, confidence=round(sure, 3), why=why)
                    told.append(case.judged)
            elif asked == name:
                case.seen.append((at_s, text))
                self._done.add(name)
                case.judged = Judged(
                    duty=name,
                    verdict=Verdict.OBSERVED,
                    rule=duty.rule,
                    confidence=_SEEN_ALONE,
                    start_s=at_s,
                    end_s=at_s,
                    coverage=1.0,
                    why=f"画面中读到与“{duty.zh}”相应的文字，未听清相应的话。",
                    notes=self._notes(duty, at_s, "officer"),
                )
                told.append(case.judged)
        return told

    def due(self, now_s: float, hearing: Hearing) -> list[Judged]:
        """Duties whose deadline has passed and of which nothing was told yet: not observed, or cannot tell."""
        told = []
        for case in self._cases.values():
            deadline_s = self._deadline_s(case.duty)
            if case.judged is None and not self._is_over and deadline_s is not None and now_s >= deadline_s:
                case.judged = self._missing(case, deadline_s, hearing)
                told.append(case.judged)
        return told

    def finish(self, ended_s: float, hearing: Hearing) -> list[Judged]:
        """The step is over: everything of which nothing was told yet. Once; what is fed later counts no more."""
        told = []
        for case in self._cases.values():
            if case.judged is None and not self._is_over:
                deadline_s = self._deadline_s(case.duty)
                end_s = ended_s if deadline_s is None else min(deadline_s, ended_s)
                case.judged = self._missing(case, max(end_s, self._started_s), hearing)
                told.append(case.judged)
        self._is_over = True
        return told

    def asks(self) -> list[tuple[str, float, float]]:
        """(duty, from_s, to_s): spans in which pictures should be read for text; those that touch are one."""
        asked: list[tuple[str, float, float]] = []
        for name, case in self._cases.items():
            if not case.duty.is_read:
                continue
            spans = [(hint.start_s, hint.end_s) for hint in case.hints if not hint.is_faint]
            if case.judged is not None and case.judged.verdict is Verdict.OBSERVED:
                spans.append((case.judged.start_s, case.judged.end_s))
            near_s = case.duty.near_s
            asked += [(name, max(first, self._started_s), last) for first, last in _merged(spans, near_s)]
        return asked

    @property
    def state(self) -> tuple[DutyState, ...]:
        return tuple(
            DutyState(name, case.judged is None, case.judged, self._deadline_s(case.duty))
            for name, case in self._cases.items()
        )

    def _deadline_s(self, duty: Duty) -> float | None:
        return None if duty.deadline_s is None else self._started_s + duty.deadline_s

    def _counts(self, case: _Case, heard: Heard) -> bool:
        if case.judged is not None and case.judged.verdict is Verdict.OBSERVED:
            return False
        return case.duty.accepts_unknown or heard.utterances[-1].speaker != "unknown"

    def _observed(self, duty: Duty, heard: Heard) -> Judged:
        said = heard.utterances
        speaker = said[-1].speaker
        confidence = heard.match.score * (_UNKNOWN_SPEAKER if speaker == "unknown" else 1.0)
        if any(each.is_doubtful for each in said):
            confidence *= _DOUBTFUL
        start_s = min(each.start_s for each in said)
        who = "说话人未能确认，" if speaker == "unknown" else ""
        notes = self._notes(duty, start_s, speaker)
        late = "，已超过规定时间" if LATE in notes else ""
        order = "，次序在后" if OUT_OF_ORDER in notes else ""
        return Judged(
            duty=duty.duty,
            verdict=Verdict.OBSERVED,
            rule=duty.rule,
            confidence=round(confidence, 3),
            start_s=start_s,
            end_s=max(each.end_s for each in said),
            event_ids=tuple(each.event_id for each in said if each.event_id),
            quotes=tuple(each.text for each in said),
            coverage=1.0,
            why=f"{who}听到与“{duty.zh}”相应的话{late}{order}。",
            notes=notes,
        )

    def _notes(self, duty: Duty, at_s: float, speaker: str) -> tuple[str, ...]:
        notes = []
        deadline_s = self._deadline_s(duty)
        if deadline_s is not None and at_s > deadline_s:
            notes.append(LATE)
        is_behind = any(self._moments.get(other, at_s) < at_s for other in duty.before)
        if is_behind or any(self._moments.get(other, at_s + 1) > at_s for other in duty.after):
            notes.append(OUT_OF_ORDER)
        if speaker == "unknown":
            notes.append(BY_UNKNOWN_SPEAKER)
        return tuple(notes)

    def _missing(self, case: _Case, end_s: float, hearing: Hearing) -> Judged:
        duty, start_s = case.duty, self._started_s
        coverage = hearing.share(start_s, end_s)
        familiar = self._familiar(start_s, end_s)
        hints = [hint for hint in case.hints if hint.start_s <= end_s and (familiar < WORN or not hint.is_faint)]
        percent = f"{coverage:.0%}"
        if coverage < duty.heard_share or hearing.longest_s(start_s, end_s) > duty.longest_unheard_s:
            reasons = "、".join(hearing.reasons(start_s, end_s))
            verdict, why = Verdict.CANNOT_TELL, f"这段时间只听清{percent}（{reasons}），不能断定是否“{duty.zh}”。"
        elif hints:
            verdict, why = Verdict.CANNOT_TELL, f"听到的话与“{duty.zh}”有关，但不完整，需要人听一遍。"
        elif familiar < GARBLED:
            verdict, why = Verdict.CANNOT_TELL, f"这段时间的文字差错较多，不能断定是否“{duty.zh}”。"
        else:
            verdict, why = Verdict.NOT_OBSERVED, f"这段时间听清{percent}，没有听到与“{duty.zh}”相应的话。"
        confidence = coverage * min(familiar / WORN, 1.0) if verdict is Verdict.NOT_OBSERVED else 0.5
        return Judged(
            duty=duty.duty,
            verdict=verdict,
            rule=duty.rule,
            confidence=round(confidence, 3),
            start_s=min((hint.start_s for hint in hints), default=start_s),
            end_s=max((hint.end_s for hint in hints), default=end_s),
            event_ids=tuple(hint.event_id for hint in hints if hint.event_id),
            quotes=tuple(hint.quote for hint in hints),
            coverage=round(coverage, 3),
            why=why,
        )

    def _familiar(self, start_s: float, end_s: float) -> float:
        """0..1 of the window's pairs of signs that are known; 1 where there are too few to tell."""
        found = [(pairs, known) for at_s, pairs, known in self._pairs if start_s <= at_s <= end_s]
        pairs = sum(each for each, _ in found)
        return sum(each for _, each in found) / pairs if pairs >= FEWEST_PAIRS else 1.0


def _hint(heard: Heard, is_faint: bool) -> _Hint:
    said = heard.utterances[-1]
    return _Hint(heard.utterances[0].start_s, said.end_s, said.text, said.event_id, is_faint)


def _merged(spans: Sequence[tuple[float, float]], near_s: float) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans)[:_MOST_SPANS]:
        if merged and start - near_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end + near_s))
        else:
            merged.append((start - near_s, end + near_s))
    return merged


def _owners_in(matcher: Matcher, text: str) -> list[str]:
    """Whose ways stand in a text that was read, line by line or across lines."""
    words = plain(text).signs
    heard = Listener(matcher).feed(Utterance(start_s=0.0, end_s=0.0, speaker="officer", text=words))
    return list(dict.fromkeys(each.match.way.owner for each in heard if each.match.is_sure))
