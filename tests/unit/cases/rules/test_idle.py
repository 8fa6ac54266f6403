"""What nobody needs is not looked for: verdicts are those of a matcher that looks for everything, always."""

import json
import random
from collections.abc import Iterator, Set
from dataclasses import replace
from pathlib import Path

import pytest

from cases.rules.conduct import Conduct
from cases.rules.hearing import Hearing, Unheard
from cases.rules.listening import Matcher
from cases.rules.procedure import Procedure
from cases.rules.rules import RuleSet
from cases.rules.ruleset import load
from cases.rules.said import Utterance
from cases.rules.verdicts import Judged

DIALOGUES = Path(__file__).resolve().parents[3] / "dialogues" / "development.jsonl"
STEPS = ("inspection", "questioning", "seizure", "sampling")


class Diligent(Matcher):
    """Looks for everything that any owner has, done or not."""

    def _idle_of(self, done: Set[str]) -> frozenset[int]:
        del done
        return frozenset()


def diligent(rules: RuleSet) -> RuleSet:
    """The same rules, whose procedure is listened for in the plain way."""
    copied = replace(rules)
    matcher = Diligent(
        [way for way in rules.procedure_ways if way.use not in ("answer", "seen")], rules.negation, rules.but_not,
        rules.turns, rules.resumes, rules.familiar,
    )  # fmt: skip
    assert matcher.phrases == rules.procedure_matcher.phrases
    copied.__dict__["procedure_matcher"] = matcher
    return copied


def dialogues() -> Iterator[list[Utterance]]:
    """Written ones; then some with signs of others in them, said twice over: all comes again when it is done."""
    chance, written = random.Random(5), list[list[Utterance]]()
    for line in DIALOGUES.read_text(encoding="utf-8").splitlines()[:40]:
        said = [Utterance(event_id=str(at), **each) for at, each in enumerate(json.loads(line)["utterances"])]
        written.append(said)
        yield said
    signs = "".join(each.text for said in written for each in said)
    for one, other in zip(written, reversed(written), strict=True):
        at_s = max(each.end_s for each in one) + 1
        later = [replace(each, start_s=each.start_s + at_s, end_s=each.end_s + at_s) for each in other]
        again = [replace(each, start_s=each.start_s + 3 * at_s, end_s=each.end_s + 3 * at_s) for each in one]
        yield [
            replace(each, text="".join(chance.choice(signs) if chance.random() < 0.08 else sign for sign in each.text))
            for each in (*one, *later, *again)
        ]


def judged(rules: RuleSet, kind: str, said: list[Utterance]) -> list[Judged]:
    procedure, hearing = Procedure(rules, kind, 0.0), Hearing([Unheard(30.0, 33.0, "中断")])
    told = list[Judged]()
    for each in said:
        told += procedure.due(each.start_s, hearing)
        told += procedure.feed(each)
    return [*told, *procedure.finish(max(each.end_s for each in said), hearing)]


@pytest.fixture(scope="module")
def both() -> tuple[RuleSet, RuleSet]:
    rules = load()
    return rules, diligent(rules)


def test_verdicts_are_the_same_when_what_is_done_is_not_looked_for(both: tuple[RuleSet, RuleSet]) -> None:
    rules, plain = both
    observed = 0
    for number, said in enumerate(dialogues()):
        kind = STEPS[number % len(STEPS)]
        found = judged(rules, kind, said)
        assert found == judged(plain, kind, said)
        observed += sum(each.verdict.value == "observed" for each in found)
    assert observed > 100


def test_something_is_idle_from_the_beginning_and_what_denies_never_is(both: tuple[RuleSet, RuleSet]) -> None:
    rules, _ = both
    matcher = rules.procedure_matcher
    everyone = frozenset(way.owner for way in rules.procedure_ways)
    some, all_ = matcher._idle_of(frozenset(("certificate_shown",))), matcher._idle_of(everyone)
    assert 0 < len(some) < len(all_) < len(matcher.phrases)
    assert rules.negation is not None
    denying = {number for number, phrase in enumerate(matcher.phrases) if phrase in rules.negation.phrases}
    assert denying
    assert not denying & all_
    assert Conduct(rules)._listener._matcher is not matcher
