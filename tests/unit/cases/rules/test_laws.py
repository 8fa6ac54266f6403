"""Laws: articles by number, and what a citation names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.rules.laws import cited, load_laws, number_of, numeral_of
from pipeline.errors import RulesInvalid

LAWS = load_laws()


@given(st.integers(1, 999))
def test_a_numeral_is_the_number_it_was_made_of(number: int) -> None:
    assert number_of(numeral_of(number)) == number


def test_an_article_is_found_with_its_paragraphs_and_ends_at_the_next() -> None:
    text = LAWS.text("行政处罚法", 55)
    assert text is not None
    assert text.startswith("执法人员在调查或者进行检查时，应当主动向当事人或者有关人员出示执法证件。")
    assert "询问或者检查应当制作笔录。" in text
    assert "抽样取证" not in text


def test_every_law_has_all_its_articles_without_a_gap() -> None:
    for name in LAWS.names:
        count = LAWS.articles_of(name)
        assert count >= 50
        assert all(LAWS.text(name, number) for number in range(1, count + 1)), name


@pytest.mark.parametrize("text", ["行政处罚法 第五十五条", "《行政处罚法》第55条", "中华人民共和国行政处罚法 55条"])
def test_a_citation_may_be_written_in_several_ways(text: str) -> None:
    assert cited(text) == ("行政处罚法", 55)


@pytest.mark.parametrize("text", ["行政处罚法", "第五十五条", "55", ""])
def test_what_names_no_law_or_no_article_is_no_citation(text: str) -> None:
    assert cited(text) is None


def test_a_folder_without_a_law_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesInvalid, match="no law text in it"):
        load_laws(tmp_path)
