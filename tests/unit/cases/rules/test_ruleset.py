"""The checker: every mistake with file, line and remedy; and what the version follows from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cases.rules.mistakes import Mistake
from cases.rules.rules import RuleSet
from cases.rules.ruleset import load
from pipeline.errors import RulesInvalid
from tests.unit.cases.rules.conftest import CONDUCT, PROCEDURE

Made = Callable[..., Path]


def mistakes(folder: Path) -> list[Mistake]:
    with pytest.raises(RulesInvalid) as caught:
        load(folder)
    return [mistake for mistake in caught.value.mistakes if isinstance(mistake, Mistake)]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        ("en: Certificate", "english: Certificate", "english", "unknown field english"),
        ("severity: critical", "severity: fatal", "severity", "unknown severity fatal"),
        ("within_s: 60", "within_s: soon", "within_s", "within_s: bad number soon"),
        ("within_s: 60", "within_s: -1", "within_s", "within_s: bad number -1"),
        ("within_s: 60", "within_s: .nan", "within_s", "within_s: bad number"),
        ("within_s: 60", "heard_share: 1.5", "heard_share", "heard_share: bad number 1.5"),
        ("within_s: 60", "is_required: maybe", "is_required", "neither true nor false"),
        ("第五十五条", "第五百条", "第五百条", "行政处罚法 has 86 articles, no 500"),
        ("行政处罚法 第", "行政处分法 第", "行政处分法", "no law 行政处分法"),
        ("行政处罚法 第五十五条", "某条", "某条", "no citation"),
        ("duty: certificate_shown", "duty: badge_shown", "badge_shown", "unknown duty badge_shown"),
        ("    ways:\n", "    answers: [好]\n    ways:\n", "answers", "answers: '好' is one sign"),
        ("label: 小规则", "label: 小规则\nturns: [是]", "turns", "one sign"),
        ("[inspection]", "[inspecting]", "inspecting", "unknown kind of step inspecting"),
        ("before: [begun]", "before: [began]", "began", "no duty or moment began"),
        ("before: [begun]", "before: [certificate_shown]", "[certificate_shown]", "a cycle"),
        ("before: [begun]", "before: [begun]\n    after: [begun]", "after", "a cycle"),
        ("出示…{证件}", "出示…{证书}", "{证书}", "no group 证书"),
        ("出示…{证件}", "出示…证", "出示…证", "one sign"),
        ("[执法证, 工作证]", "[执法证, 证]", "证件: [", "one sign"),
        ("[执法证, 工作证]", '[执法证, ""]', "证件: [", "empty phrase"),
        ("[执法证, 工作证]", "[]", "证件: [", "an empty group"),
        ("[执法证, 工作证]", '["{证件}"]', "证件: [", "a cycle of groups: 证件 -> 证件"),
        ("[执法证, 工作证]", "['/(证/']", "证件: [", "RE2 refuses the pattern"),
        ("[执法证, 工作证]", "['/(?<=执)证/']", "证件: [", "RE2 refuses the pattern"),
        ("[执法证, 工作证]", "['/(((证{1,50}){1,50}){1,50})/']", "证件: [", "RE2 refuses the pattern"),
        ("[执法证, 工作证]", "['/证*/']", "证件: [", "fits nothing at all"),
        ("[执法证, 工作证]", "['/(证+)+$/']", "证件: [", "a repetition of a repetition"),
        ("[执法证, 工作证]", r"['/执法(?:[证件]*)*号/']", "证件: [", "a repetition of a repetition"),
        ("[执法证, 工作证]", "['/第(\\d+){2,}号/']", "证件: [", "a repetition of a repetition"),
        ("[执法证, 工作证]", f"['/{'证' * 201}/']", "证件: [", "a pattern of 201 signs"),
        ("  - moment: begun", "  - duty: certificate_shown\n    moment: begun", "- duty: certificate_shown\n    moment",
         "unknown field duty"),
        ("label: 小规则", "label: 小规则\nlabel: 大规则", "label: 大", "field label stands there twice"),
        ("label: 小规则", "label: [小规则]", "label", "label: a text is wanted"),
        ("    zh: 出示执法证件\n", "", "- duty", "zh is missing"),
        ('    ways:\n      - "出示…{证件}"\n', "", "- duty", "ways is missing"),
        ("negations: [不是, 没有]", "negations: &a [不是]\nbut_not: *a\nx:", "but_not", "a reference"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_file_its_line_and_a_remedy(
    folder: Made, old: str, new: str, at: str, message: str
) -> None:
    assert old in PROCEDURE
    text = PROCEDURE.replace(old, new, 1)
    told = [each for each in mistakes(folder(procedure=text)) if message in each.message]
    assert [each.line for each in told] == [line_of(text, at)]
    assert told[0].file.endswith("procedure/a.yaml")
    assert told[0].remedy
    assert str(told[0]) == f"{told[0].file}:{told[0].line}: {told[0].message}; {told[0].remedy}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("finding: threat", "finding: menace", "unknown finding menace"),
        ("speaker: any", "speaker: everybody", "unknown speaker everybody"),
        ("speaker: any", "speaker: any\n    sounds: [thunder]", "unknown sound thunder"),
        ("speaker: any", "speaker: any\n    sounds: [bang]", "with_sound and sounds belong together"),
        ("    ways: [你给我等着]\n", "", "ways is missing"),
        ("rule: threat", "rule: certificate_shown", "two rules of one id: certificate_shown"),
        ("conduct:", "conducts:", "unknown field conducts"),
    ],
)
def test_mistakes_in_conduct_are_told_too(folder: Made, old: str, new: str, message: str) -> None:
    assert any(message in each.message for each in mistakes(folder(conduct=CONDUCT.replace(old, new, 1))))


def test_two_duties_of_one_id_are_told_with_the_line_of_the_first(folder: Made) -> None:
    duty = PROCEDURE[PROCEDURE.index("  - duty") : PROCEDURE.index("moments:")]
    told = mistakes(folder(procedure=PROCEDURE.replace("moments:", f"{duty}moments:")))
    assert [each.message for each in told] == ["two rules of one id: certificate_shown, also in a.yaml:7"]


def test_a_cycle_over_several_duties_is_told_whole(folder: Made) -> None:
    other = PROCEDURE[PROCEDURE.index("  - duty") : PROCEDURE.index("moments:")]
    other = other.replace("certificate_shown", "identity_stated").replace("[begun]", "[certificate_shown]")
    text = PROCEDURE.replace("[begun]", "[identity_stated]").replace("moments:", f"{other}moments:")
    told = mistakes(folder(procedure=text))
    assert [each.message for each in told] == ["a cycle: identity_stated -> certificate_shown -> identity_stated"]


def test_a_cycle_over_several_groups_is_told_and_ends(folder: Made) -> None:
    text = PROCEDURE.replace("  证件: [执法证, 工作证]", '  证件: ["{甲}"]\n  甲: ["{乙}", 甲乙]\n  乙: ["{甲}"]')
    assert any("a cycle of groups: 甲 -> 乙 -> 甲" in each.message for each in mistakes(folder(procedure=text)))


def test_groups_within_too_many_groups_are_refused(folder: Made) -> None:
    chain = "".join(f'  组{number}: ["{{组{number + 1}}}"]\n' for number in range(2_000))
    text = PROCEDURE.replace("groups:\n", f"groups:\n{chain}  组2000: [执法证]\n")
    assert any("groups in more than 20 groups" in each.message for each in mistakes(folder(procedure=text)))


def test_all_mistakes_of_all_files_are_told_at_once(folder: Made) -> None:
    told = mistakes(
        folder(procedure=PROCEDURE.replace("critical", "fatal"), conduct=CONDUCT.replace("speaker: any", "speaker: x"))
    )
    assert [each.message for each in told] == ["unknown speaker x", "unknown severity fatal"]


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\t", "label: a: b", "[" * 3000])
def test_what_is_no_yaml_of_fields_is_told_and_never_a_crash(folder: Made, text: str) -> None:
    assert mistakes(folder(procedure=text))


def test_a_file_that_is_not_utf8_is_told(folder: Made) -> None:
    made = folder()
    (made / "procedure" / "b.yaml").write_bytes("label: 规则".encode("gb18030"))
    assert any("it cannot be read" in each.message for each in mistakes(made))


def test_an_empty_folder_is_no_set(tmp_path: Path) -> None:
    assert any("no rules in it" in each.message for each in mistakes(tmp_path))


def test_the_version_follows_from_what_the_rules_say_and_not_from_comments(folder: Made) -> None:
    version = load(folder()).version
    assert load(folder(procedure=f"# 说明\n{PROCEDURE}")).version == version
    assert load(folder(procedure=PROCEDURE.replace("工作证", "工作证件"))).version != version
    assert len(version) == 8
    assert int(version, 16) >= 0


def test_a_rule_names_itself_with_the_version_of_its_set(folder: Made) -> None:
    rules = load(folder())
    assert rules.duties[0].rule == f"procedure.certificate_shown@{rules.version}"
    assert rules.conduct[0].rule == f"conduct.threat@{rules.version}"


def test_the_set_in_force_holds_and_cites_an_article_for_every_duty(rules: RuleSet) -> None:
    required = {duty.duty for duty in rules.duties if duty.is_required}
    assert required == {
        "identity_stated", "certificate_shown", "recording_notified", "grounds_stated", "recusal_informed",
        "statement_and_defence_informed", "evidence_list_read", "signature_requested",
    }  # fmt: skip
    assert all(duty.text for duty in rules.duties)
    assert {duty.duty for duty in rules.duties_of("inspection")} >= required
    assert rules.duties_of("archive") == ()


def test_of_a_set_with_a_file_that_cannot_be_read_that_alone_is_told(folder: Made) -> None:
    """Groups, duties and moments of it are missing to the other files for no fault of theirs."""
    made = folder()
    (made / "procedure" / "more.yaml").write_text(
        "duties:\n  - duty: grounds_stated\n    zh: x\n    en: x\n    law: 行政处罚法 第五十五条\n    severity: low\n"
        "    steps: [inspection]\n    before: [begun]\n    ways: ['{证件}']\n",
        encoding="utf-8",
    )
    load(made)
    for spoiled in (PROCEDURE.encode("gbk"), PROCEDURE.replace("  - duty", "\t- duty").encode()):
        (made / "procedure" / "a.yaml").write_bytes(spoiled)
        (found,) = mistakes(made)
        assert Path(found.file).name == "a.yaml"


def test_repetitions_that_say_something_are_patterns(folder: Made) -> None:
    load(folder(PROCEDURE.replace("[执法证, 工作证]", "['/(第.{1,3}条)+/', '/证[0-9]+/', '/(证件?)+号/']")))
