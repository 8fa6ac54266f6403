"""What watches notice becomes findings: raised, ended, each once, whoever of them saw it. Knows no media."""

from collections.abc import Sequence
from typing import Final, Protocol

from models.signal.bounds import Kind
from models.signal.noticed import Noticed
from pipeline.analyse.board import Work
from pipeline.events import FindingEnded, FindingRaised, finding_id

_BEFORE_S: Final = 3.0
_AFTER_S: Final = 7.0


class Kinds(Protocol):
    """The kinds of findings, and under which rule each is judged."""

    def of(self, finding: str) -> tuple[Kind, str]: ...


class Noticing:
    """Of one stream or span, which `work` names. events: what nobody took yet, in order."""

    def __init__(self, work: Work, kinds: Kinds) -> None:
        self.events: list[FindingRaised | FindingEnded] = []
        self._work = work
        self._kinds = kinds
        self._open: dict[str, FindingRaised] = {}
        self._seen_by: dict[str, set[str]] = {}  # which watches hold a finding open

    def take(self) -> tuple[FindingRaised | FindingEnded, ...]:
        events, self.events = tuple(self.events), []
        return events

    def notice(self, noticed: Sequence[Noticed], watch: str, reason: str = "gone") -> None:
        """What two watches notice at once is one finding, which lasts until the last of them lets go."""
        for each in noticed:
            seen_by = self._seen_by.setdefault(each.finding, set())
            if not each.is_end:
                seen_by.add(watch)
                if each.finding not in self._open:
                    self._open[each.finding] = raised = self._raised(each)
                    self.events.append(raised)
                continue
            seen_by.discard(watch)
            if not seen_by and (begun := self._open.pop(each.finding, None)) is not None:
                self.events.append(self._ended(begun, each, reason))

    def _raised(self, noticed: Noticed) -> FindingRaised:
        kind, rule = self._kinds.of(noticed.finding)
        work, start_s = self._work, round(noticed.at_s, 3)
        return FindingRaised(
            at=work.started_at + start_s, stream_id=work.stream_id, recording_id=work.recording_id,
            finding_id=finding_id(work.stream_id, kind.finding, rule, start_s), finding=kind.finding,
            group=kind.group, severity=kind.severity, confidence=round(noticed.confidence, 3), start_s=start_s,
            clip_start_s=round(max(0.0, start_s - _BEFORE_S), 3), clip_end_s=round(start_s + _AFTER_S, 3), rule=rule,
            explanation=kind.zh, measures="\n".join(f"{name}={value:.4g}" for name, value in noticed.measures),
            by=rule,
        )  # fmt: skip

    def _ended(self, raised: FindingRaised, noticed: Noticed, reason: str) -> FindingEnded:
        end_s = round(max(noticed.at_s, raised.start_s), 3)
        return FindingEnded(
            at=self._work.started_at + end_s, stream_id=raised.stream_id, recording_id=raised.recording_id,
            finding_id=raised.finding_id, finding=raised.finding, start_s=raised.start_s, end_s=end_s, reason=reason,
            by=raised.rule,
        )  # fmt: skip
