"""How verdicts are scored, by hand-made counts; what the baseline takes for a duty; and that the report is whole."""

import pytest

from api.bench import procedure
from api.bench.dialogues import Dialogue
from api.bench.procedure import DUTIES, baseline, judged, table
from api.bench.procedure_score import Figure, counts, report
from cases.rules.hearing import Unheard
from cases.rules.ruleset import load
from cases.rules.said import Speaker, Utterance
from cases.rules.verdicts import Verdict

SEEN, NOT, UNSURE = Verdict.OBSERVED, Verdict.NOT_OBSERVED, Verdict.CANNOT_TELL
ONE = ("signature_requested",)


def dialogue(expected: Verdict, text: str = "好的", speaker: Speaker = "officer") -> Dialogue:
    said = Utterance(start_s=1.0, end_s=2.0, speaker=speaker, text=text)
    return Dialogue("d", "inspection", (said,), (), {ONE[0]: expected})


def values(*pairs: tuple[Verdict, Verdict | None]) -> dict[str, float | None]:
    """pairs: (right, given)."""
    dialogues = [dialogue(right) for right, _ in pairs]
    given = [{ONE[0]: said} if said else {} for _, said in pairs]
    return {name: figure.value for name, figure in report(counts(dialogues, given, ONE), ONE)["all"].items()}


def test_the_figures_are_the_shares_that_their_names_say() -> None:
    told = values(
        *[(SEEN, SEEN)] * 6, *[(SEEN, NOT)] * 2, (SEEN, UNSURE), (SEEN, None),
        *[(NOT, NOT)] * 5, *[(NOT, SEEN)] * 2, (UNSURE, NOT), *[(UNSURE, UNSURE)] * 2,
    )  # fmt: skip
    assert told["n"] == 20
    assert told["observed"] == 10
    assert told["precision"] == pytest.approx(6 / 8)
    assert told["recall"] == pytest.approx(6 / 10)
    assert told["f1"] == pytest.approx(2 * 0.75 * 0.6 / 1.35, abs=1e-4)
    assert told["false_not_observed_of_verdicts"] == pytest.approx(2 / 8)
    assert told["false_not_observed_of_observed"] == pytest.approx(2 / 10)
    assert told["unheard_not_observed"] == pytest.approx(1 / 3, abs=1e-4)
    assert told["missing_told"] == pytest.approx(5 / 7, abs=1e-4)
    assert told["cannot_tell"] == pytest.approx(3 / 20)
    assert told["without_verdict"] == pytest.approx(1 / 20)
    assert told["right"] == pytest.approx(13 / 20)


def test_nothing_to_divide_by_is_no_figure() -> None:
    told = values((NOT, NOT))
    assert told["precision"] is None
    assert told["recall"] is None
    assert told["false_not_observed_of_verdicts"] == 0.0


def test_a_duty_that_nothing_is_expected_of_is_not_counted() -> None:
    empty = Dialogue("d", "inspection", (), (), {})
    assert counts([empty], [{ONE[0]: SEEN}], ONE).sum() == 0


def test_intervals_hold_the_value_and_shrink_with_more_dialogues() -> None:
    few = _recall(10)
    many = _recall(400)
    for figure in (few, many):
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= 0.5 <= figure.high
    assert _width(many) < _width(few) / 3


def _recall(half: int) -> Figure:
    dialogues = [dialogue(SEEN)] * (2 * half)
    given = [{ONE[0]: SEEN}] * half + [{ONE[0]: NOT}] * half
    return report(counts(dialogues, given, ONE), ONE)["all"]["recall"]


def _width(figure: Figure) -> float:
    assert figure.low is not None
    assert figure.high is not None
    return figure.high - figure.low


def test_the_baseline_takes_the_words_whoever_says_them_and_however() -> None:
    assert baseline(dialogue(NOT, "我不签字！", "other"))[ONE[0]] is SEEN
    assert baseline(dialogue(NOT, "先不用您签字。"))[ONE[0]] is SEEN
    assert baseline(dialogue(SEEN, "请您落个款。"))[ONE[0]] is NOT
    assert set(baseline(dialogue(NOT))) == set(DUTIES)


def test_the_rules_know_the_speaker_and_what_was_not_heard() -> None:
    rules = load()
    of_owner = dialogue(NOT, "我不签字！", "other")
    assert judged(rules, dialogue(SEEN, "请您在笔录上签字。"))[ONE[0]] is SEEN
    assert judged(rules, of_owner).get(ONE[0]) is not SEEN
    deaf = Dialogue("d", "inspection", of_owner.utterances, (Unheard(2.0, 300.0, "sound_missing"),), {})
    assert judged(rules, deaf)[ONE[0]] is UNSURE


def test_the_report_has_every_duty_at_every_rate_and_says_it_as_a_table() -> None:
    told = procedure.run("development", rates=(0.0, 0.2), most=4)
    by_rate = told["by_error_rate"]
    assert isinstance(by_rate, dict)
    assert list(by_rate) == ["0%", "20%"]
    for ways in by_rate.values():
        assert set(ways) == {"rules", "baseline"}
        assert set(ways["rules"]) == {*DUTIES, "all", "mean"}
        assert ways["rules"]["all"]["without_verdict"]["value"] == 0.0
    assert str(told["table"]).count("\n") == 2 * 2 * (len(DUTIES) + 3)


def test_a_figure_that_is_none_is_a_dash_in_the_table() -> None:
    told = report(counts([dialogue(NOT)], [{ONE[0]: NOT}], ONE), ONE)
    row = table({"0%": {"rules": told}}).splitlines()[1]
    assert row.split()[:6] == ["0%", "rules", ONE[0], "-", "-", "-"]
