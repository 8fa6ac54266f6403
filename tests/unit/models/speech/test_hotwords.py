"""Hot words: the case's names first, bounded; a file with mistakes names each with its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.speech.hotwords import FILE, MOST_SIGNS, MOST_WORDS, hot_words, terms
from pipeline.errors import SettingsInvalid


def test_the_file_that_comes_with_the_program_holds() -> None:
    known = terms(FILE)
    assert set(known) == {"zh", "en"}
    assert {"行政处罚法", "营业执照", "陈述申辩"} <= set(known["zh"])
    assert all(len(words) == len(set(words)) for words in known.values())


def test_names_of_the_case_come_before_terms_and_each_word_once() -> None:
    words = hot_words(["惠民超市", " 林晓岚 ", "营业执照", "惠民超市"])
    assert words[:4] == ("惠民超市", "林晓岚", "营业执照", "执法证件")
    assert words.count("营业执照") == 1
    assert "business licence" not in words
    assert "business licence" in hot_words(language="en")
    assert set(hot_words(language="", most_signs=10_000)) >= {"business licence", "执法证件"}


def test_names_that_help_no_model_are_passed_over() -> None:
    assert hot_words(["李", "12345", "", "字" * 31, "\u202e\n"]) == hot_words()


@given(st.lists(st.text(max_size=40), max_size=200), st.integers(0, 50), st.integers(0, 300))
def test_they_are_never_more_than_asked_for(names: list[str], most_words: int, most_signs: int) -> None:
    words = hot_words(names, most_words=most_words, most_signs=most_signs)
    assert len(words) <= most_words
    assert sum(map(len, words)) <= most_signs
    assert all(word.isprintable() for word in words)
    assert len(hot_words(names)) <= MOST_WORDS
    assert sum(map(len, hot_words(names))) <= MOST_SIGNS


def test_every_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "hotwords.yaml"
    path.write_text(
        "zh:\n  duties:\n    - 营业执照\n    - 证\n    - 12315\n    - [一, 二]\n    - ' 现场  笔录'\n"
        "  documents: 笔录\n  statutes:\n    - 营业执照\n  duties: []\nfr: {}\nen: []\nzh: {}\n",
        encoding="utf-8",
    )
    with pytest.raises(SettingsInvalid) as told:
        terms(path)
    lines = str(told.value).splitlines()
    assert [line.removeprefix(f"{path}:").partition(":")[0] for line in lines] == [
        "4", "5", "6", "7", "8", "10", "11", "12", "13", "14",
    ]  # fmt: skip
    assert "line 3 already" in lines[5]
    assert "put it in quotes" in lines[1]


@pytest.mark.parametrize("text", ["", "- 一", "zh: [", "zh"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hotwords.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=r"hotwords\.yaml"):
        terms(path)
    with pytest.raises(SettingsInvalid):
        terms(tmp_path / "none.yaml")
