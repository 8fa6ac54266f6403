"""The scripted dialogues: made anew the same, and what is expected of them follows from what is said."""

import re
from collections import Counter
from functools import cache

import pytest

from api.bench import dialogues as bench
from api.bench.procedure import DUTIES as SCORED
from cases.rules.verdicts import Verdict
from scripts import make_dialogues
from scripts.dialogue_scene import APPLIES
from scripts.dialogue_words import DUTIES, Wording, exchanges, sections, wordings
from scripts.make_dialogues import SPLITS, Dialogue

LEAST_WORDINGS = {"held_out": 40, "development": 12}
DUTY_WORDS = re.compile("回避|陈述|申辩|执法证|证件|录像|录音|记录仪|清单|签字|签名|依法|根据|依据")


@cache
def made(split: str) -> tuple[Dialogue, ...]:
    return tuple(make_dialogues.dialogues(split))


def said_ways(split: str) -> dict[str, list[Wording]]:
    words = sections(split)
    return {duty: wordings(words[f"{duty}.said"], duty) for duty in DUTIES}


@pytest.mark.parametrize("split", SPLITS)
def test_the_files_are_what_the_generator_makes_and_it_makes_the_same_twice(split: str) -> None:
    once = "".join(dialogue.line() + "\n" for dialogue in made(split))
    assert once == make_dialogues.text(split)
    assert once == make_dialogues.path(split).read_text(encoding="utf-8"), (
        "run python -m scripts.make_dialogues --write"
    )


def test_the_duties_scored_are_the_duties_scripted() -> None:
    assert SCORED == DUTIES


@pytest.mark.parametrize("split", SPLITS)
def test_every_duty_has_many_wordings_and_none_stands_twice(split: str) -> None:
    ways = said_ways(split)
    assert [duty for duty in DUTIES if len(ways[duty]) < LEAST_WORDINGS[split]] == []
    twice = Counter(each.text for duty in DUTIES for each in ways[duty])
    assert [text for text, times in twice.items() if times > 1] == []


def test_what_may_be_read_shares_no_wording_with_what_is_held_out() -> None:
    texts = {split: {each.text for ways in said_ways(split).values() for each in ways} for split in SPLITS}
    assert texts["development"] & texts["held_out"] == set()


def test_the_held_out_talk_besides_duties_is_wide() -> None:
    words = sections("held_out")
    talk = {
        (said.by, said.text)
        for name, lines in words.items()
        if name.endswith((".talk", ".near", ".open", ".close", ".heated"))
        for exchange in exchanges(lines)
        for said in exchange
    }
    by = Counter(speaker for speaker, _ in talk)
    assert by["officer"] >= 60
    assert by["other"] >= 80


@pytest.mark.parametrize("split", SPLITS)
def test_officers_name_nothing_of_a_duty_in_what_is_only_talk(split: str) -> None:
    words = sections(split)
    talk = [name for name in words if name.endswith((".talk", ".open", ".close", ".heated"))]
    lines = [said.text for name in talk for each in exchanges(words[name]) for said in each if said.by == "officer"]
    assert [line for line in lines if DUTY_WORDS.search(line)] == []


@pytest.mark.parametrize("split", SPLITS)
def test_every_sentence_of_a_duty_is_said_in_some_dialogue(split: str) -> None:
    said = {line.said.text for dialogue in made(split) for line in dialogue.lines if line.said.duties}
    plain = [each.text for ways in said_ways(split).values() for each in ways if "{" not in each.text]
    unsaid = [text for text in plain if not any(text in one or one in text for one in said)]
    assert len(unsaid) <= len(plain) // 10


@pytest.mark.parametrize("split", SPLITS)
def test_times_grow_no_name_is_left_open_and_a_visit_has_8_to_40_sentences(split: str) -> None:
    for dialogue in made(split):
        ends = [0.0, *(line.end_s for line in dialogue.lines)]
        starts = [*(line.start_s for line in dialogue.lines), float("inf")]
        assert all(end <= start for end, start in zip(ends, starts, strict=True)), dialogue.name
        assert all(line.start_s < line.end_s for line in dialogue.lines), dialogue.name
        assert not any(set("{}|+") & set(line.said.text) for line in dialogue.lines), dialogue.name
        assert 8 <= sum(line.is_heard for line in dialogue.lines) <= 40, dialogue.name
        assert all(0 <= span.start_s < span.end_s <= ends[-1] + 6.0 for span in dialogue.unheard), dialogue.name


@pytest.mark.parametrize("split", SPLITS)
def test_what_is_expected_follows_from_who_said_what_and_what_was_heard(split: str) -> None:
    for dialogue in made(split):
        assert set(dialogue.expected) <= APPLIES[dialogue.step_kind]
        for duty, verdict in dialogue.expected.items():
            said = [line for line in dialogue.lines if duty in line.said.duties]
            assert all(line.said.by == "officer" for line in said), dialogue.name
            match verdict:
                case "observed":
                    assert any(line.is_heard for line in said), (dialogue.name, duty)
                case "not_observed":
                    assert not said, (dialogue.name, duty)
                    assert not dialogue.unheard, (dialogue.name, duty)
                case _:
                    assert verdict == "cannot_tell"
                    assert dialogue.unheard, (dialogue.name, duty)
                    assert not any(line.is_heard for line in said), (dialogue.name, duty)


def test_a_label_is_right_or_unknown_and_a_third_are_unknown() -> None:
    lines = [line for dialogue in made("held_out") for line in dialogue.lines]
    assert all(line.label in (line.said.by, "unknown") for line in lines)
    assert 0.28 < sum(line.label == "unknown" for line in lines) / len(lines) < 0.38


def test_the_held_out_set_is_large_and_has_enough_of_each_verdict_for_each_duty() -> None:
    of_duty = Counter((duty, told) for dialogue in made("held_out") for duty, told in dialogue.expected.items())
    assert len(made("held_out")) >= 300
    assert min(of_duty[duty, "observed"] for duty in DUTIES) >= 120
    assert min(of_duty[duty, told] for duty in DUTIES for told in ("not_observed", "cannot_tell")) >= 25


@pytest.mark.parametrize("split", SPLITS)
def test_the_bench_reads_what_was_written(split: str) -> None:
    read = bench.read(split)
    assert [each.name for each in read] == [each.name for each in made(split)]
    for told, dialogue in zip(read, made(split), strict=True):
        assert [each.text for each in told.utterances] == [line.said.text for line in dialogue.lines if line.is_heard]
        assert told.expected == {duty: Verdict(verdict) for duty, verdict in dialogue.expected.items()}
        assert len(told.unheard) == len(dialogue.unheard)
        assert told.ended_s > told.utterances[-1].end_s


def test_what_is_misheard_changes_words_alone_and_the_same_ones_every_time() -> None:
    heard = bench.read("development")[:5]
    once, again = bench.misheard(heard, 0.2), bench.misheard(heard, 0.2)
    assert once == again
    assert once != bench.misheard(heard, 0.2, seed=1)
    for told, right in zip(once, heard, strict=True):
        assert told.expected == right.expected
        assert [each.start_s for each in told.utterances] == [each.start_s for each in right.utterances]
    assert bench.misheard(heard, 0.0) == heard
