"""One stream under the rules of conduct, and its device's clock. Facts in, findings out. No I/O, no clock of ours."""

from collections import deque
from datetime import datetime
from typing import Final, TypeAlias

from cases.appender import Stored
from cases.facts import Fact
from cases.judgement.book import Book, Listener
from cases.judgement.heard import Source, number, utterance_of
from cases.judgement.verdicts import text
from cases.rules.conduct import Hit
from cases.words import HEARD
from pipeline.events import FindingEnded, FindingRaised, finding_id

Events: TypeAlias = list[FindingRaised | FindingEnded]

CLOCK_OFF: Final = "clock_off"
CLOCK_RULE: Final = "clock.clock_off@1"
OFF_S: Final = 60.0
"""A device's clock that is off by more: what it shows in its pictures misleads who reads the time there."""
FINE_S: Final = 50.0
"""And by less than this it is right again."""
_AROUND_S: Final = 5.0
"""Before and behind the words: who judges them must hear what they answer."""
_VERSIONS: Final = 8
_SAME_SPAN: Final = 0.5


class StreamJudge:
    """Of one recording, in the order of its facts. begin_s: UTC of its second 0."""

    def __init__(self, book: Book, stream_id: str, recording_id: str, begin_s: float) -> None:
        self._source = Source(stream_id, recording_id, "", None, begin_s, ())
        self._listener: Listener = book.listen()
        self._said: deque[tuple[float, float]] = deque(maxlen=_VERSIONS)

    def take(self, stored: Stored) -> Events:
        fact = stored.fact
        if fact.kind == HEARD:
            return self._hear(stored)
        if fact.kind == "FindingRaised" and text(fact, "group") == "sound":
            return self._found(self._loud(fact, number(fact, "clip_end_s")))
        return []

    def _hear(self, stored: Stored) -> Events:
        """Of several versions of a span the first one that is told."""
        utterance = utterance_of(self._source, stored)
        if self._is_known(utterance.start_s, utterance.end_s):
            return []
        self._said.append((utterance.start_s, utterance.end_s))
        return self._found(self._listener.feed(utterance))

    def _is_known(self, start_s: float, end_s: float) -> bool:
        return any(
            min(end_s, end) - max(start_s, start) >= _SAME_SPAN * min(end_s - start_s, end - start) > 0
            for start, end in self._said
        )

    def _loud(self, fact: Fact, end_s: float) -> list[Hit]:
        begin_s = self._source.begin_s
        start_s = number(fact, "start_s")
        return self._listener.loud(text(fact, "finding"), begin_s + start_s, begin_s + max(start_s, end_s))

    def _found(self, hits: list[Hit]) -> Events:
        return [event for hit in hits for event in found(self._source, hit)]


def found(source: Source, hit: Hit) -> tuple[FindingRaised, FindingEnded]:
    """What was said, as a finding: it is over with the words."""
    start_s, end_s = (round(max(0.0, each - source.begin_s), 3) for each in (hit.start_s, hit.end_s))
    known = finding_id(source.stream_id, hit.finding, hit.rule, start_s)
    raised = FindingRaised(
        at=hit.start_s, stream_id=source.stream_id, recording_id=source.recording_id, finding_id=known,
        finding=hit.finding, group="conduct", severity=hit.severity, confidence=round(hit.confidence, 3),
        start_s=start_s, clip_start_s=round(max(0.0, start_s - _AROUND_S), 3), clip_end_s=round(end_s + _AROUND_S, 3),
        rule=hit.rule, explanation=hit.why, quotes="\n".join(hit.quotes), of_events="\n".join(hit.event_ids),
    )  # fmt: skip
    ended = FindingEnded(
        at=hit.end_s, stream_id=source.stream_id, recording_id=source.recording_id, finding_id=known,
        finding=hit.finding, start_s=start_s, end_s=end_s, reason="gone",
    )  # fmt: skip
    return raised, ended


class ClockJudge:
    """One device's clock, by what its segments say of it. open: the finding that lasts, from an earlier run too."""

    def __init__(self, open_: FindingRaised | None = None) -> None:
        self.open = open_

    def take(self, fact: Fact) -> FindingRaised | FindingEnded | None:
        """fact: a SegmentClosed; one whose device says nothing changes nothing."""
        offset = fact.body.get("device_offset_s")
        if fact.stream_id is None or not isinstance(offset, int | float):
            return None
        start_s, end_s = number(fact, "start_s"), number(fact, "end_s")
        begin_s = _utc_s(text(fact, "captured_at"), fact.at_us / 1e6 - (end_s - start_s)) - start_s
        if self.open is None and abs(offset) > OFF_S:
            self.open = FindingRaised(
                at=begin_s + start_s, stream_id=fact.stream_id, recording_id=text(fact, "recording_id"),
                finding_id=finding_id(fact.stream_id, CLOCK_OFF, CLOCK_RULE, start_s), finding=CLOCK_OFF,
                group="integrity", severity="medium", confidence=1.0, start_s=start_s, clip_start_s=start_s,
                clip_end_s=end_s, rule=CLOCK_RULE,
                explanation=f"设备时钟与服务器相差 {offset:+.0f} 秒（界限 {OFF_S:.0f} 秒）。",
                measures=f"device_offset_s={offset:.3f}\nbound_s={OFF_S:.0f}",
            )  # fmt: skip
            return self.open
        if self.open is not None and abs(offset) < FINE_S:
            raised, self.open = self.open, None
            return FindingEnded(
                at=begin_s + start_s, stream_id=raised.stream_id, recording_id=raised.recording_id,
                finding_id=raised.finding_id, finding=CLOCK_OFF, start_s=raised.start_s, end_s=start_s, reason="gone",
            )  # fmt: skip
        return None


def _utc_s(captured_at: str, otherwise: float) -> float:
    try:
        return datetime.fromisoformat(captured_at).timestamp()
    except ValueError:
        return otherwise
