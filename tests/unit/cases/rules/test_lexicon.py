"""Phrases by their sound: what is taken for said, and what is not."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.rules.lexicon import Lexicon, _is_in_order, tolerance
from cases.rules.plain import ENDS, plain
from cases.rules.syllables import CONTRARY, HALF, HOMOPHONE, NEAR, Costs


def best(phrase: str, text: str) -> float | None:
    """The cost of the phrase's best hit in the text."""
    hits = Lexicon([phrase]).scan(text).get(0, [])
    return min((hit.cost for hit in hits), default=None)


@pytest.mark.parametrize(
    ("pair", "cost"),
    [("正证", HOMOPHONE), ("身森", NEAR), ("男兰", NEAR), ("飞灰", HALF), ("回非", HALF), ("回签", 1.0), ("新星", NEAR),
     ("我你", CONTRARY), ("我您", CONTRARY), ("证证", 0.0)],
)  # fmt: skip
def test_signs_cost_what_they_differ_in_sound(pair: str, cost: float) -> None:
    assert Costs()[pair] == cost


def test_you_in_its_two_forms_is_no_other_person() -> None:
    assert Costs()["你您"] < CONTRARY


@pytest.mark.parametrize(
    "text",
    [
        "您有陈述申辩的权利",
        "您有陈述深辩的权利",
        "您有城述申辩的权利",
        "您有陈述申变的",
        "您有陈述辩的权利",
        "陈述啊申辩",
        "陈输申边",
    ],
)
def test_a_phrase_is_found_to_the_letter_by_sound_with_a_sign_lost_or_put_in(text: str) -> None:
    cost = best("陈述申辩", text)
    assert cost is not None
    assert cost <= tolerance(4)


@pytest.mark.parametrize("text", ["您有城市的权利", "陈述", "申辩", "陈列室里", "声明", ""])
def test_what_only_shares_a_part_is_not_the_phrase(text: str) -> None:
    assert best("陈述申辩", text) is None


def test_a_word_of_two_signs_must_sound_like_itself() -> None:
    assert best("回避", "请汇币") is not None
    assert best("回避", "请回来") is None


def test_our_certificate_is_not_theirs() -> None:
    assert best("我们的证件", "你们的证件呢") is None
    assert best("我们是执法", "我们不是执法") is None


def test_a_known_word_that_sounds_like_the_phrase_costs_more_than_signs_that_are_none() -> None:
    plain, wary = Lexicon(["逐一"]), Lexicon(["逐一"], familiar=frozenset({"注意"}))
    assert wary.scan("注意")[0][0].cost > plain.scan("注意")[0][0].cost


def test_nothing_misheard_is_looked_for_where_a_phrase_stands_to_the_letter() -> None:
    lexicon = Lexicon(["市场监管局", "日常监管局"])
    assert set(lexicon.scan("我们是市场监管局的")) == {0}
    assert set(Lexicon(["日常监管局"]).scan("我们是市场监管局的")) == {0}
    assert set(Lexicon(["申请回避", "情回"]).scan("可以申请回避")) == {0}


def test_a_phrase_that_ends_in_the_new_signs_is_found_and_one_before_them_is_not() -> None:
    lexicon = Lexicon(["申请回避", "执法证件"])
    assert set(lexicon.scan("执法证件申请回避", since=6)) == {0}


def test_every_place_of_a_phrase_is_told() -> None:
    hits = Lexicon(["签字"]).scan("签字和签字")[0]
    assert [(hit.start, hit.end) for hit in hits] == [(0, 2), (3, 5)]


@given(sounds=st.text("abcd", min_size=3, max_size=6), text=st.text("abcde", max_size=9))
def test_in_order_but_for_one_is_what_it_says(sounds: str, text: str) -> None:
    def comes(wanted: str) -> bool:
        rest = iter(text)
        return all(each in rest for each in wanted)

    expected = any(comes(sounds[:at] + sounds[at + 1 :]) for at in range(len(sounds)))
    assert _is_in_order(sounds, text) == expected


@given(st.text("执证。！? ；;，ab１Ⅳß", max_size=20))
def test_plain_text_has_its_signs_and_where_sentences_end(text: str) -> None:
    signs, ends = list[str](), set[int]()
    for sign in unicodedata.normalize("NFKC", text).casefold():
        if sign.isalnum():
            signs.append(sign)
        elif sign in ENDS:
            ends.add(len(signs))
    found = plain(text)
    assert (found.signs, set(found.ends)) == ("".join(signs), ends)


def test_what_a_word_of_two_signs_is_like_is_the_same_the_second_time() -> None:
    lexicon = Lexicon(["签字", "千字", "证件"])
    first = lexicon.scan("请签子，请迁不字，请签的字")
    assert first == lexicon.scan("请签子，请迁不字，请签的字")
    assert first == Lexicon(["签字", "千字", "证件"]).scan("请签子，请迁不字，请签的字")
