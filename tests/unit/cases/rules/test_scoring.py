"""Scoring of dialogues, and the commands of `onrecord rules`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.rules_cli import app
from cases.rules.rules import RuleSet
from cases.rules.scoring import DialogueRefused, read_dialogue, run, score
from tests.unit.cases.rules.conftest import PROCEDURE

RUN = CliRunner()


def dialogue(name: str, expected: dict[str, str], *texts: str, **more: object) -> str:
    utterances = [
        {"start_s": 4.0 * number, "end_s": 4.0 * number + 3, "speaker": "officer", "text": text}
        for number, text in enumerate(texts)
    ]
    return json.dumps({"id": name, "utterances": utterances, "expected": expected, **more}, ensure_ascii=False)


LINES = [
    dialogue("right", {"recusal_informed": "observed", "signature_requested": "not_observed"}, "您有权申请回避。"),
    dialogue("missed", {"recusal_informed": "observed"}, "今天天气很好，您吃饭了没有？"),
    dialogue("false", {"recusal_informed": "not_observed"}, "您有权申请回避。"),
    dialogue("unheard", {"recusal_informed": "cannot_tell"}, "您好，请坐一会儿。",
             unheard=[{"start_s": 3, "end_s": 60, "reason": "断流"}]),
]  # fmt: skip


def test_precision_recall_and_f1_are_of_observed_and_false_missing_of_what_was_not_missing(rules: RuleSet) -> None:
    scores = score(run(rules, [read_dialogue(line) for line in LINES]))
    recusal = scores["recusal_informed"]
    assert (recusal["precision"], recusal["recall"], recusal["f1"], recusal["n"]) == (0.5, 0.5, 0.5, 4)
    assert recusal["false_not_observed"] == pytest.approx(1 / 3, abs=1e-4)
    assert scores["all"]["n"] == 5
    assert scores["signature_requested"]["not_observed_recall"] == 1.0


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", '{"id": 1}', dialogue("a", {"recusal_informed": "perhaps"}, "x"), "[" * 9000,
     '{"id":"a","expected":{},"utterances":[{"start_s":0,"end_s":1,"speaker":"cat","text":""}]}'],
)  # fmt: skip
def test_a_line_that_is_no_dialogue_is_refused(line: str) -> None:
    with pytest.raises(DialogueRefused):
        read_dialogue(line)


def test_score_prints_json_with_each_verdict_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(LINES) + "\n\n", encoding="utf-8")
    told = RUN.invoke(app, ["score", str(path), "--verbose"])
    assert told.exit_code == 0, told.output
    report = json.loads(told.stdout)
    assert report["dialogues"] == 4
    assert report["duties"]["recusal_informed"]["n"] == 4
    assert [each["verdict"] for each in report["verdicts"] if each["id"] == "unheard"] == ["cannot_tell"]
    assert "verdicts" not in json.loads(RUN.invoke(app, ["score", str(path)]).stdout)


def test_score_names_the_line_that_is_no_dialogue_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(f"{LINES[0]}\nnonsense\n", encoding="utf-8")
    told = RUN.invoke(app, ["score", str(path)])
    assert (told.exit_code, told.stdout) == (1, "")
    assert f"{path}:2: no dialogue" in told.stderr
    assert RUN.invoke(app, ["score", str(tmp_path / "none.jsonl")]).exit_code == 2


def test_check_says_what_is_in_force_or_every_mistake(folder: Callable[..., Path]) -> None:
    told = RUN.invoke(app, ["check", str(folder())])
    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout.startswith("小规则 ")
    broken = RUN.invoke(app, ["check", str(folder(procedure=PROCEDURE.replace("critical", "fatal")))])
    assert (broken.exit_code, broken.stdout) == (1, "")
    assert "a.yaml:11: unknown severity fatal; use one of low, medium, high, critical" in broken.stderr
    assert RUN.invoke(app, ["check"]).exit_code == 0
    assert RUN.invoke(app, ["chek"]).exit_code == 2
