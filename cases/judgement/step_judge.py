"""One step of a case under one set of rules: facts in, verdicts out, each as the facts that tell it. No I/O, no clock.

What comes in its order is heard as it comes. What comes late, is corrected or is heard in another version has the whole
step heard again (`replay`), and whatever is judged otherwise then is told beside what was told before.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from cases.appender import Stored
from cases.facts import Fact
from cases.judgement import verdicts
from cases.judgement.book import Automaton, Book
from cases.judgement.heard import (
    HOLES,
    Heard,
    Source,
    View,
    both_record,
    is_of_recording,
    is_within,
    number,
    utterance_of,
)
from cases.judgement.verdicts import Standing
from cases.rules.said import Utterance
from cases.rules.verdicts import LATE, Judged, Verdict
from cases.words import CORRECTED, HEARD
from pipeline.events import FindingEnded, FindingRaised

Told: TypeAlias = Fact | FindingRaised | FindingEnded

TWO_OFFICERS: Final = "two_officers"
_TOGETHER_S: Final = 10.0
"""Two devices that record at once for so long are with the step, and not passing."""
_OFFICERS: Final = 2
_BY_FACES: Final = 0.7
"""Confidence of what rests on suggestions: less than two devices or clear words."""
_DISORDER_S: Final = 15.0
"""Words of several streams come out of order by their workers' delays; more than this is late."""
_SETTLE_S: Final = 15.0
"""After a window closes: an utterance lasts up to 12 s and is told at its end."""


@dataclass(frozen=True, slots=True)
class StepOf:
    """A step of a case. Times in UTC seconds."""

    step_id: str
    case_id: str
    kind: str
    started_s: float
    ended_s: float | None


class StepJudge:
    """is_over: its end was judged. is_late: something came that has the step heard again."""

    def __init__(
        self, book: Book, step: StepOf, sources: Sequence[Source], stored: Iterable[Stored],
        standing: Mapping[str, Standing], heard: Heard | None = None,
    ) -> None:  # fmt: skip
        """stored: facts of the sources so far, in the order of the log; call `replay`. standing: by duty.

        heard: the same facts, where somebody looked at them already.
        """
        self.step = step
        self.sources = tuple(sources)
        self.is_over = False
        self.is_late = False
        self._book = book
        self._of_stream = {source.stream_id: source for source in sources}
        self._stored = list(stored)
        self._heard = heard
        self._standing = dict(standing)
        self._automaton: Automaton = book.begin(step.kind, step.started_s)
        self._events: dict[str, Source] = {}
        self._fed: dict[str, float] = {}  # by stream, the end of what was fed last
        self._newest_s = -math.inf

    @property
    def standing(self) -> Mapping[str, Standing]:
        """What is told of each duty."""
        return self._standing

    def take(self, stored: Stored) -> list[Told]:
        """One more fact, in the order of the log."""
        fact = stored.fact
        source = self._of_stream.get(fact.stream_id or "")
        if source is None or not is_of_recording(source, fact):
            return []
        self._stored.append(stored)
        self._heard = None
        if fact.kind == HEARD:
            return self._hear(source, stored)
        if fact.kind == CORRECTED:
            self.is_late = True
        elif fact.kind == "TextSeen" and source.counts(at_s := source.begin_s + number(fact, "start_s")):
            return self._tell(
                self._automaton.seen(at_s, verdicts.text(fact, "text"), verdicts.text(fact, "asked")), None
            )
        elif fact.kind == "FaceSuggested":
            return self._matched()
        elif fact.kind == "FaceRejected" or (fact.kind in HOLES and self._cannot_tell()):
            self.is_late = True
        return []

    def wants_replay(self, now_s: float, behind: Mapping[str, float]) -> bool:
        """Whether the step is to be heard again: because of what came late, or because it ended."""
        has_ended = self.step.ended_s is not None and self._settled_s(now_s, behind) >= self.step.ended_s
        return self.is_late or (has_ended and not self.is_over)

    def tick(self, now_s: float, behind: Mapping[str, float]) -> list[Told]:
        """What is due by now. behind: by stream, how late its words come, in seconds."""
        if self.is_over:
            return []
        settled_s = self._settled_s(now_s, behind)
        found = self._together(now_s)
        ends = [each.window_end_s for each in self._automaton.state if each.is_open and each.window_end_s is not None]
        if ends and min(ends) <= settled_s:
            view = self._view(now_s)
            found += self._tell(self._automaton.due(settled_s, view.hearing()), view)
        return found

    def replay(self, now_s: float, behind: Mapping[str, float]) -> list[Told]:
        """Hear the whole step again, and tell what is judged otherwise than it stands."""
        self.is_late = False
        settled_s = self._settled_s(now_s, behind)
        ended_s = self.step.ended_s
        self.is_over = ended_s is not None and settled_s >= ended_s
        view = self._view(now_s)
        hearing = view.hearing()
        automaton = self._automaton = self._book.begin(self.step.kind, self.step.started_s)
        self._fed.clear()
        self._newest_s = -math.inf
        newest: dict[str, Judged] = {}
        for at_s, each in self._in_order(view):
            judged = automaton.due(min(at_s, settled_s), hearing)
            if isinstance(each, Utterance):
                self._note(each)
                judged += automaton.feed(each)
            else:
                judged += automaton.seen(at_s, verdicts.text(each, "text"), verdicts.text(each, "asked"))
            newest.update((found.duty, found) for found in judged)
        if self.is_over and ended_s is not None:
            last = automaton.finish(ended_s, hearing)
        else:
            last = automaton.due(settled_s, hearing)
        newest.update((found.duty, found) for found in last)
        return [*self._together(now_s), *self._matched(), *self._tell(newest.values(), view), *self._end_missing()]

    def asks(self) -> list[tuple[Source, float, float, str]]:
        """Spans in which pictures are to be read: the recording, from and to on its axis, for which duty."""
        return [
            (source, max(0.0, from_s - source.begin_s), to_s - source.begin_s, duty)
            for duty, from_s, to_s in self._automaton.asks()
            for source in self.sources
            if source.counts((from_s + to_s) / 2)
        ]

    def _hear(self, source: Source, stored: Stored) -> list[Told]:
        """Words in their order are fed; others have the step heard again."""
        utterance = utterance_of(source, stored)
        ended_s = math.inf if self.step.ended_s is None else self.step.ended_s
        if not is_within(source, utterance.start_s, self.step.started_s, ended_s):
            return []
        is_again = utterance.start_s < self._fed.get(source.stream_id, -math.inf) - 0.05
        if self.is_over or is_again or utterance.start_s < self._newest_s - _DISORDER_S:
            self.is_late = True
            return []
        self._note(utterance)
        return self._tell(self._automaton.feed(utterance), None)

    def _note(self, utterance: Utterance) -> None:
        self._events[utterance.event_id] = self._of_stream[utterance.stream_id]
        self._fed[utterance.stream_id] = max(utterance.end_s, self._fed.get(utterance.stream_id, -math.inf))
        self._newest_s = max(self._newest_s, utterance.start_s)

    def _in_order(self, view: View) -> list[tuple[float, Utterance | Fact]]:
        found: list[tuple[float, Utterance | Fact]] = [(each.start_s, each) for each in view.utterances()]
        for each in self._stored:
            source = self._of_stream.get(each.fact.stream_id or "")
            if each.fact.kind == "TextSeen" and source is not None:
                at_s = source.begin_s + number(each.fact, "start_s")
                if source.counts(at_s):
                    found.append((at_s, each.fact))
        return sorted(found, key=lambda pair: pair[0])

    def _view(self, now_s: float) -> View:
        heard = self._heard = self._heard or Heard(self._stored)
        return View(self.sources, heard, self.step.started_s, self.step.ended_s or now_s)

    def _settled_s(self, now_s: float, behind: Mapping[str, float]) -> float:
        """Up to here all words are known: some seconds ago, or where every stream has told later ones."""
        late_s = max((behind.get(source.stream_id, 0.0) for source in self.sources), default=0.0)
        told = [self._fed.get(source.stream_id, -math.inf) for source in self.sources if source.counts(now_s)]
        return max(now_s - _SETTLE_S - late_s, min(told, default=-math.inf))

    def _cannot_tell(self) -> bool:
        return any(each.verdict == Verdict.CANNOT_TELL for each in self._standing.values())

    def _together(self, now_s: float) -> list[Told]:
        """Two officers whose devices record at once: no word is needed for that."""
        duty = next((each for each in self._book.duties_of(self.step.kind) if each.duty == TWO_OFFICERS), None)
        before = self._standing.get(TWO_OFFICERS)
        if duty is None or (before is not None and (before.verdict, before.rule) == (Verdict.OBSERVED, duty.rule)):
            return []
        found = both_record(self.sources, self.step.started_s, self.step.ended_s or now_s)
        if found is None or found[1] - found[0] < _TOGETHER_S:
            return []
        start_s, _, source, _ = found
        is_late = duty.deadline_s is not None and start_s > self.step.started_s + duty.deadline_s
        judged = Judged(
            duty=TWO_OFFICERS, verdict=Verdict.OBSERVED, rule=duty.rule, confidence=1.0, start_s=start_s,
            end_s=start_s + _TOGETHER_S, coverage=1.0, why="两名执法人员各自佩戴的记录仪同时在本环节录像。",
            notes=(LATE,) if is_late else (),
        )  # fmt: skip
        return self._told(judged, source)

    def _matched(self) -> list[Told]:
        """Two officers of the roster whose faces were suggested in this step, while nobody rejected it."""
        duty = next((each for each in self._book.duties_of(self.step.kind) if each.duty == TWO_OFFICERS), None)
        before = self._standing.get(TWO_OFFICERS)
        if duty is None or (before is not None and before.verdict == Verdict.OBSERVED and not self._is_refuted(before)):
            return []
        tracks: dict[tuple[object, ...], Fact] = {}
        for fact in self._suggested():  # one face is one officer, whomever else it resembled
            track = (fact.stream_id, *(fact.body.get(name) for name in ("recording_id", "start_s", "track")))
            tracks.setdefault(track, fact)
        seen: dict[str, Fact] = {}
        for fact in tracks.values():
            seen.setdefault(verdicts.text(fact, "officer_id"), fact)
        if len(seen) < _OFFICERS:
            return []
        first, second, *_ = sorted(seen.values(), key=lambda fact: fact.at_us)
        start_s, end_s = first.at_us / 1e6, second.at_us / 1e6
        is_late = duty.deadline_s is not None and end_s > self.step.started_s + duty.deadline_s
        judged = Judged(
            duty=TWO_OFFICERS, verdict=Verdict.OBSERVED, rule=duty.rule, confidence=_BY_FACES, start_s=start_s,
            end_s=end_s, event_ids=(first.event_id, second.event_id), coverage=1.0,
            why="人脸比对建议：名册中两名执法人员在本环节出现（比对结果只是线索，以二人确认为准）。",
            notes=(LATE,) if is_late else (),
        )  # fmt: skip
        return self._told(judged, self._of_stream.get(second.stream_id or ""))

    def _suggested(self) -> list[Fact]:
        """Suggestions of the roster in this step that nobody rejected."""
        rejected = self._rejected()
        return [
            each.fact for each in self._stored
            if each.fact.kind == "FaceSuggested" and verdicts.text(each.fact, "gallery_kind") == "roster"
            and verdicts.text(each.fact, "step_id") == self.step.step_id and verdicts.text(each.fact, "officer_id")
            and verdicts.text(each.fact, "suggestion_id") not in rejected
        ]  # fmt: skip

    def _rejected(self) -> frozenset[str]:
        return frozenset(
            verdicts.text(each.fact, "suggestion_id") for each in self._stored if each.fact.kind == "FaceRejected"
        )

    def _is_refuted(self, before: Standing) -> bool:
        """Whether it rests on a face that two persons said is another's."""
        rejected = self._rejected()
        return any(
            each.fact.kind == "FaceSuggested" and each.fact.event_id in before.of_events
            and verdicts.text(each.fact, "suggestion_id") in rejected
            for each in self._stored
        )  # fmt: skip

    def _tell(self, found: Iterable[Judged], view: View | None) -> list[Told]:
        told: list[Told] = []
        for judged in found:
            before = self._standing.get(judged.duty)
            by_devices = judged.duty == TWO_OFFICERS and judged.verdict is not Verdict.OBSERVED
            is_shown = by_devices and _is_shown(before, judged)
            if is_shown and before is not None and self._is_refuted(before):
                is_shown = False
            if (before is not None and before.is_same(judged)) or is_shown:
                continue
            source = next((self._events[each] for each in judged.event_ids if each in self._events), None)
            if source is None and view is not None:
                source = view.heard_most(judged.start_s, judged.end_s)
            told += self._told(judged, source)
        return told

    def _told(self, judged: Judged, source: Source | None) -> list[Told]:
        before, duty = self._standing.get(judged.duty), self._book.duty(judged.duty)
        raised = None
        is_running = not self.is_over and self.step.ended_s is None
        if verdicts.is_missing(judged) and is_running and duty is not None and duty.is_required and source is not None:
            raised = verdicts.missing_raised(judged, duty.severity, source)
        fact = verdicts.verdict_fact(
            self.step.case_id, self.step.step_id, judged, self._book.version, before, source,
            "" if raised is None else raised.finding_id,
        )  # fmt: skip
        told: list[Told] = [fact]
        if before is not None and before.missing_id not in ("", "" if raised is None else raised.finding_id):
            told += self._ended(before, judged.end_s, "gone")
        self._standing[judged.duty] = verdicts.stands_as(judged, before, raised)
        return told if raised is None else [*told, raised]

    def _ended(self, standing: Standing, at_s: float, reason: str) -> list[Told]:
        if standing.missing is None:
            return []
        source = self._of_stream.get(standing.missing[1])
        begin_s = self.step.started_s if source is None else source.begin_s
        ended = verdicts.missing_ended(standing, at_s, begin_s, reason)
        return [] if ended is None else [ended]

    def _end_missing(self) -> list[Told]:
        """With the step, what was missing from it can no longer be made good."""
        if not self.is_over or self.step.ended_s is None:
            return []
        ended_s = self.step.ended_s
        return [each for standing in self._standing.values() for each in self._ended(standing, ended_s, "source_over")]


def _is_shown(before: Standing | None, judged: Judged) -> bool:
    """Whether devices have shown it already, by this very rule."""
    return before is not None and before.verdict == Verdict.OBSERVED and before.rule == judged.rule
