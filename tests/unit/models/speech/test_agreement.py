"""Captions of an unfinished utterance: what was shown as agreed is not taken back."""

from hypothesis import given
from hypothesis import strategies as st

from models.speech.agreement import Agreement, Shown


def test_what_two_in_a_row_agree_on_is_settled() -> None:
    agreement = Agreement()
    assert agreement.feed("请您") == Shown("请您", 0)
    assert agreement.feed("请您出是") == Shown("请您出是", 2)
    assert agreement.feed("请您出示一下") == Shown("请您出示一下", 3)


def test_punctuation_and_width_are_no_disagreement() -> None:
    agreement = Agreement()
    agreement.feed("您好。我们是")
    assert agreement.feed("您好，我们是A") == Shown("您好，我们是A", 6)
    assert agreement.feed("您好我们是Ａ区") == Shown("您好，我们是Ａ区", 7)


def test_what_is_settled_stays_when_a_later_hypothesis_denies_it() -> None:
    agreement = Agreement()
    agreement.feed("营业执照")
    agreement.feed("营业执照")
    assert agreement.feed("应业执照在这里") == Shown("营业执照在这里", 4)
    assert agreement.feed("") == Shown("营业执照", 4)


def test_two_that_agree_against_what_is_settled_settle_nothing_more() -> None:
    agreement = Agreement()
    for hypothesis in ("营业", "营业", "应业执照", "应业执照"):
        shown = agreement.feed(hypothesis)
    assert shown == Shown("营业执照", 2)
    assert agreement.feed("营业执照") == Shown("营业执照", 2)
    assert agreement.feed("营业执照") == Shown("营业执照", 4)


def test_the_final_text_replaces_all_and_the_revision_is_counted() -> None:
    agreement = Agreement()
    agreement.feed("领到。这里")
    agreement.feed("领到。这里有")
    assert agreement.finish("领导，这里有五百元。") == Shown("领导，这里有五百元。", 10)
    assert agreement.revised_signs == 3


def test_a_final_that_goes_on_from_what_was_settled_revises_nothing() -> None:
    agreement = Agreement()
    agreement.feed("请您配合")
    agreement.feed("请您配合。")
    agreement.finish("请您，配合一下。")
    assert agreement.revised_signs == 0


@given(st.lists(st.text(alphabet="请您配合，。aＡ1 ", max_size=8), max_size=12))
def test_what_is_settled_never_shrinks(hypotheses: list[str]) -> None:
    agreement, before = Agreement(), ""
    for hypothesis in hypotheses:
        shown = agreement.feed(hypothesis)
        settled = shown.text[: shown.settled]
        assert settled.startswith(before)
        before = settled
