"""`python -m api.bench.procedure`: how well the rules of procedure judge scripted dialogues, as words get wrong.

Beside them a naive baseline: a duty is observed where one of a few plain phrases stands in any utterance, else it is not.
"""

import argparse
import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from api.bench import commit, machine
from api.bench.asr_errors import RATES
from api.bench.dialogues import Dialogue, misheard, read
from api.bench.procedure_score import RESAMPLED, Report, Verdicts, counts, report
from cases.rules.hearing import Hearing
from cases.rules.procedure import Procedure
from cases.rules.ruleset import RuleSet, load
from cases.rules.verdicts import Judged, Verdict

PHRASES: Final[Mapping[str, Sequence[str]]] = {
    "identity_stated": ("市场监督管理局的执法人员", "市场监管局的执法人员", "我们是市场监督管理局", "我们是市场监管局"),
    "certificate_shown": ("执法证", "出示证件", "我们的证件"),
    "recording_notified": ("录音录像", "执法记录仪", "全程录像", "正在录像"),
    "grounds_stated": ("根据", "依据", "依法"),
    "recusal_informed": ("申请回避", "要求回避"),
    "statement_and_defence_informed": ("陈述", "申辩"),
    "evidence_list_read": ("清单",),
    "signature_requested": ("签字", "签名"),
}
"""Of the baseline: what one would look for at first. No speaker, no negation, no likeness of sound."""
DUTIES: Final = tuple(PHRASES)
METHOD: Final = (
    f"scripted dialogues (tests/dialogues), errors put into their text (api/bench/asr_errors.py) at the rates given, intervals from {RESAMPLED} "
    "resamplings of dialogues; the rules get utterances in their order, then what was not heard, as the server gives them"
)
_COLUMNS: Final = (
    ("precision", "prec"),
    ("recall", "rec"),
    ("f1", "F1"),
    ("false_not_observed_of_verdicts", "fno/said"),
    ("false_not_observed_of_observed", "fno/obs"),
    ("missing_told", "missing"),
    ("unheard_not_observed", "unheard"),
    ("cannot_tell", "cannot"),
    ("right", "right"),
)
Judge = Callable[[Dialogue], Verdicts]


def run(
    split: str = "held_out", rates: Sequence[float] = RATES, seed: int = 0, most: int | None = None
) -> dict[str, object]:
    """The report: by rate, the figures of the rules and of the baseline by duty; and the same as a table.

    most: dialogues that are taken; all where it is None.

    Raises: RulesInvalid: the rules in force have mistakes. OSError: the dialogues are not there.
    """
    rules, dialogues = load(), read(split)[:most]
    by_rate = {f"{rate:.0%}": at_rate(rules, misheard(dialogues, rate, seed), seed) for rate in rates}
    return {
        "split": split,
        "dialogues": len(dialogues),
        "rules": rules.version,
        "by_error_rate": {rate: {way: _plain(told) for way, told in ways.items()} for rate, ways in by_rate.items()},
        "table": table(by_rate),
        "method": METHOD,
    }


def at_rate(rules: RuleSet, heard: Sequence[Dialogue], seed: int) -> dict[str, Report]:
    """Figures of the rules and of the baseline on the same dialogues."""
    ways: dict[str, Judge] = {"rules": functools.partial(judged, rules), "baseline": baseline}
    return {
        name: report(counts(heard, [judge(dialogue) for dialogue in heard], DUTIES), DUTIES, seed)
        for name, judge in ways.items()
    }


def judged(rules: RuleSet, dialogue: Dialogue) -> Verdicts:
    """The verdict that stands at the end of the step, by duty."""
    hearing = Hearing(dialogue.unheard)
    procedure = Procedure(rules, dialogue.step_kind, 0.0)
    found: list[Judged] = []
    for utterance in dialogue.utterances:
        found += procedure.due(utterance.start_s, hearing)
        found += procedure.feed(utterance)
    found += procedure.finish(dialogue.ended_s, hearing)
    return {each.duty: each.verdict for each in found}


def baseline(dialogue: Dialogue) -> Verdicts:
    """Exact phrases, whoever said them. It does not know that something may not have been heard."""
    text = "\n".join(each.text for each in dialogue.utterances)
    return {
        duty: Verdict.OBSERVED if any(phrase in text for phrase in phrases) else Verdict.NOT_OBSERVED
        for duty, phrases in PHRASES.items()
    }


def table(by_rate: Mapping[str, Mapping[str, Report]]) -> str:
    """A line for each rate, way and duty; values in per cent, of all with their intervals."""
    lines = [f"{'errors':7}{'by':9}{'duty':32}" + "".join(f"{head:>9}" for _, head in _COLUMNS)]
    for rate, ways in by_rate.items():
        for way, duties in ways.items():
            for duty, row in duties.items():
                cells = "".join(f"{_percent(row[name].value) if name in row else '':>9}" for name, _ in _COLUMNS)
                lines.append(f"{rate:7}{way:9}{duty:32}{cells}")
            ends = ((head, duties["all"][name]) for name, head in _COLUMNS)
            spans = (f"{head} {_percent(figure.low)}-{_percent(figure.high)}" for head, figure in ends)
            lines.append(f"{'':16}{'95 %: ' + ', '.join(spans)}")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _plain(told: Report) -> dict[str, dict[str, dict[str, float | None]]]:
    return {duty: {name: asdict(figure) for name, figure in row.items()} for duty, row in told.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", default="held_out", choices=["held_out", "development"])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    told = run(asked.split)
    told["meta"] = {"bench": "procedure", "machine": machine(), "commit": commit()}
    sys.stdout.write(f"{json.dumps(told, ensure_ascii=False) if asked.json else told['table']}\n")


if __name__ == "__main__":
    main()
