"""`onrecord bench analysis`, its rules: what an utterance costs, with the set in force and with one of 200 rules."""

import random
import statistics
import time
from dataclasses import replace
from typing import Final

from cases.rules.conduct import Conduct
from cases.rules.hearing import Hearing
from cases.rules.procedure import Procedure
from cases.rules.rules import RuleSet
from cases.rules.ruleset import load
from cases.rules.said import Speaker, Utterance
from cases.rules.stretch import Link, Slot, Way

RULES: Final = 200
UTTERANCES_PER_HOUR: Final = 300
_UTTERANCES = 3_000
_SENTENCES: Final[tuple[tuple[Speaker, str], ...]] = (
    ("officer", "您好，我们是江城区市场监督管理局的执法人员，这是我们的执法证件，请您看一下。"),
    ("other", "好的，我是这里的负责人，我姓陈，有什么事情吗？"),
    ("officer", "执法记录仪已经打开，今天的检查全程录音录像，请您配合。"),
    ("officer", "冰柜里的牛奶生产日期是三月十五日，已经过期了。"),
    ("other", "一共十二箱，票据都在会计那里，我等一下给他打电话。"),
    ("officer", "这几袋面粉没有标签，是从哪里进的货？"),
    ("other", "批发市场老刘那家，上个星期才送来的，真不知道会这样。"),
    ("officer", "我们依法扣押这十二箱牛奶，这是扣押清单，请您核对。"),
    ("officer", "后厨的垃圾桶要加盖，生熟砧板要分开用。"),
    ("other", "好好好，我马上改，你们先坐，喝点水。"),
    ("unknown", "那边的门麻烦打开一下，我们去看看仓库。"),
    ("officer", "请您在现场检查笔录上签字。"),
)


def run(count: int = _UTTERANCES) -> dict[str, float | int | str]:
    """Times of this process's own CPU, one core; the lowest of three runs, since other programs only add to it."""
    rules = load()
    many = of_200(rules)
    said = utterances(count)
    feed_s = min(_feed_s(many, said) for _ in range(3))
    judge_s = min(_judge_s(rules, said) for _ in range(3))
    hours = count / UTTERANCES_PER_HOUR
    return {
        "rules": RULES,
        "phrases": len(many.procedure_matcher.phrases) + len(many.conduct_matcher.phrases),
        "rule_us_per_utterance": round(feed_s / count * 1e6, 1),
        "signs_per_utterance": round(statistics.fmean(len(each.text) for each in said), 1),
        "case_hours_per_minute": round(hours / judge_s * 60),
        "utterances_per_case_hour": UTTERANCES_PER_HOUR,
        "method": "procedure and conduct fed the same utterances, CPU time of one core; 200 rules: the set in force, "
        "then copies of its rules with phrases of their own",
    }


def utterances(count: int) -> list[Utterance]:
    """Plain talk with the words of a procedure in it, a tenth of its signs changed so that no text comes twice."""
    chance = random.Random(8)
    signs = "".join(text for _, text in _SENTENCES)
    found = []
    for number in range(count):
        speaker, text = _SENTENCES[number % len(_SENTENCES)]
        changed = "".join(chance.choice(signs) if chance.random() < 0.1 else sign for sign in text)
        start_s = number * 12.0
        found.append(Utterance(start_s=start_s, end_s=start_s + 5.0, speaker=speaker, text=changed))
    return found


def of_200(rules: RuleSet) -> RuleSet:
    """The set with copies of its rules until there are 200, their phrases put together of halves of the set's own."""
    chance = random.Random(200)
    own = sorted({phrase for way in (*rules.procedure_ways, *rules.conduct_ways) for phrase in _phrases(way)})
    procedure, conduct = list(rules.procedure_ways), list(rules.conduct_ways)
    conduct_rules = list(rules.conduct)
    owners = len(rules.duties) + len(rules.conduct)
    for copy in range((RULES - owners) // owners + 1):
        others: dict[Slot, Slot] = {}
        procedure += [_copied(way, copy, own, chance, others) for way in rules.procedure_ways]
        conduct += [_copied(way, copy, own, chance, others) for way in rules.conduct_ways]
        conduct_rules += [replace(rule, rule_id=f"{rule.rule_id}.{copy}") for rule in rules.conduct]
    return replace(rules, procedure_ways=tuple(procedure), conduct_ways=tuple(conduct), conduct=tuple(conduct_rules))


def _phrases(way: Way) -> list[str]:
    return [phrase for chain in way.chains for link in chain for phrase in sorted(link.slot.phrases)]


def _copied(way: Way, copy: int, own: list[str], chance: random.Random, others: dict[Slot, Slot]) -> Way:
    for chain in way.chains:
        for slot in (link.slot for link in chain):
            if slot not in others:
                others[slot] = Slot(frozenset(_other(phrase, own, chance) for phrase in sorted(slot.phrases)))
    chains = tuple(tuple(Link(others[link.slot], link.gap) for link in chain) for chain in way.chains)
    return Way(f"{way.owner}.{copy}", way.use, chains, way.text)


def _other(phrase: str, own: list[str], chance: random.Random) -> str:
    """As long as the phrase: the beginning of one and the end of another."""
    half = len(phrase) // 2
    beginning = chance.choice([each for each in chance.sample(own, 20) if len(each) >= half] or [phrase])
    end = chance.choice([each for each in chance.sample(own, 20) if len(each) >= len(phrase) - half] or [phrase])
    return beginning[:half] + end[half - len(phrase) :]


def _feed_s(rules: RuleSet, said: list[Utterance]) -> float:
    procedure, conduct = Procedure(rules, "inspection", 0.0), Conduct(rules)
    started_s = time.process_time()
    for utterance in said:
        procedure.feed(utterance)
        conduct.feed(utterance)
    return time.process_time() - started_s


def _judge_s(rules: RuleSet, said: list[Utterance]) -> float:
    """Steps of an hour, judged from their beginning to their end."""
    hearing = Hearing()
    started_s = time.process_time()
    for first in range(0, len(said), UTTERANCES_PER_HOUR):
        hour = said[first : first + UTTERANCES_PER_HOUR]
        procedure, conduct = Procedure(rules, "inspection", hour[0].start_s), Conduct(rules)
        for utterance in hour:
            procedure.due(utterance.start_s, hearing)
            procedure.feed(utterance)
            conduct.feed(utterance)
        procedure.finish(hour[-1].end_s, hearing)
    return time.process_time() - started_s
