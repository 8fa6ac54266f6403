"""What is said that must not be, or that calls for help: words, and loud sounds beside words. No clock, no I/O."""

from dataclasses import dataclass

from cases.rules.listening import Heard, Listener
from cases.rules.rules import ConductRule, RuleSet
from cases.rules.said import Utterance

_UNKNOWN_SPEAKER = 0.6
_DOUBTFUL = 0.8
_MOST_KEPT = 50  # sounds, and words that wait for a sound
_SURE = 0.8  # of the way's signs: what hurts somebody needs more than what counts for somebody


@dataclass(frozen=True, slots=True)
class Hit:
    """start_s, end_s: of the words, with the sound where one counts. why: one Chinese sentence."""

    finding: str
    severity: str
    confidence: float
    rule: str
    start_s: float
    end_s: float
    event_ids: tuple[str, ...]
    quotes: tuple[str, ...]
    why: str


class Conduct:
    """Of one step or stream.

    A kind is told again for the same stream only `again_after_s` of its rule after it was last told.
    """

    def __init__(self, rules: RuleSet) -> None:
        self._rules = {rule.rule_id: rule for rule in rules.conduct}
        self._listener = Listener(rules.conduct_matcher)
        self._told: dict[tuple[str, str], float] = {}
        self._loud: list[tuple[str, float, float]] = []
        self._waiting: list[tuple[ConductRule, Heard]] = []

    def feed(self, utterance: Utterance) -> list[Hit]:
        heard = self._listener.feed(utterance)
        hits: list[Hit] = []
        for each in heard:
            rule = self._rules[each.match.way.owner]
            if not each.match.is_sure or each.match.score < _SURE or not _may_say(rule, each):
                continue
            if each.match.way.use == "way":
                hits += self._hit(rule, each, None)
                continue
            sound = next((loud for loud in self._loud if _is_near(rule, each, loud)), None)
            if sound is not None:
                hits += self._hit(rule, each, sound)
            else:
                self._waiting = [*self._waiting[1 - _MOST_KEPT :], (rule, each)]
        return hits

    def loud(self, finding: str, start_s: float, end_s: float) -> list[Hit]:
        """A sound finding; with words near it, said before or after, it makes a rule hit."""
        sound = (finding, start_s, end_s)
        self._loud = [*self._loud[1 - _MOST_KEPT :], sound]
        hits: list[Hit] = []
        for rule, heard in [each for each in self._waiting if _is_near(each[0], each[1], sound)]:
            self._waiting.remove((rule, heard))
            hits += self._hit(rule, heard, sound)
        return hits

    def _hit(self, rule: ConductRule, heard: Heard, sound: tuple[str, float, float] | None) -> list[Hit]:
        said = heard.utterances
        start_s, end_s = min(each.start_s for each in said), max(each.end_s for each in said)
        key = (rule.finding, said[-1].stream_id)
        if start_s - self._told.get(key, float("-inf")) < rule.again_after_s:
            return []
        self._told[key] = end_s
        confidence = heard.match.score
        is_unknown = said[-1].speaker == "unknown" and rule.speaker != "any"
        confidence *= _UNKNOWN_SPEAKER if is_unknown else 1.0
        confidence *= _DOUBTFUL if any(each.is_doubtful for each in said) else 1.0
        why = f"听到的话符合“{rule.zh}”"
        if sound is not None:
            start_s, end_s = min(start_s, sound[1]), max(end_s, sound[2])
            why += "，同时有响声"
        return [
            Hit(
                finding=rule.finding,
                severity=rule.severity,
                confidence=round(confidence, 3),
                rule=rule.rule,
                start_s=start_s,
                end_s=end_s,
                event_ids=tuple(each.event_id for each in said if each.event_id),
                quotes=tuple(each.text for each in said),
                why=f"{why}，说话人未能确认。" if is_unknown else f"{why}。",
            )
        ]


def _may_say(rule: ConductRule, heard: Heard) -> bool:
    speaker = heard.utterances[-1].speaker
    return rule.speaker in ("any", speaker) or (speaker == "unknown" and rule.accepts_unknown)


def _is_near(rule: ConductRule, heard: Heard, sound: tuple[str, float, float]) -> bool:
    finding, start_s, end_s = sound
    said_from_s = heard.utterances[0].start_s
    said_to_s = heard.utterances[-1].end_s
    return finding in rule.sounds and start_s - rule.within_s <= said_to_s and said_from_s <= end_s + rule.within_s
