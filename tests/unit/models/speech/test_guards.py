"""The guards against invention: what nobody can have said is taken away, with the reason; what people say stays."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.base import Heard, Word
from models.speech.boilerplate import boilerplate
from models.speech.guards import Removed, judged
from models.speech.loops import compression
from pipeline.errors import SettingsInvalid


def said(
    text: str, *, start_s: float = 0.2, sign_s: float = 0.2, log_probability: float = -0.1, silence: float = 0.0
) -> Heard:
    """A text, sign by sign, at an even pace."""
    words: list[Word] = []
    at_s = start_s
    for sign in text:
        if words and not sign.isalnum():
            words[-1] = Word(words[-1].text + sign, words[-1].start_s, words[-1].end_s, 0.95)
            continue
        words.append(Word(sign, at_s, at_s + sign_s, 0.95))
        at_s += sign_s
    return Heard(text, tuple(words), "zh", log_probability, silence)


def without_times(text: str) -> Heard:
    return Heard(text, (), "zh", -0.1)


ALL = ((0.2, 9.8),)


@pytest.mark.parametrize(
    "text",
    [
        "您好，我们是江城区市场监督管理局的执法人员。",
        "对对对，好好好，谢谢。",
        "别拍了别拍了别拍了！",
        "电话是八八八八六六六六。",
        "一共两百二十二元，不是两百二十二箱。",
        "谢谢您的配合，再见。",
        "没有中文标签，也没有中文字幕。",
    ],
)
def test_what_people_say_stays(text: str) -> None:
    for heard in (said(text), without_times(text)):
        found = judged(heard, ALL)
        assert found.heard == heard
        assert not found.removed
        assert not found.is_doubtful


def test_nobody_spoke_so_nothing_was_said() -> None:
    for voiced in ((), ((1.0, 1.064),)):
        found = judged(said("请您配合。"), voiced)
        assert found.heard.text == ""
        assert found.heard.words == ()
        assert found.removed == (Removed("请您配合。", "no_speech"),)


def test_what_the_model_itself_takes_for_silence_is_none() -> None:
    assert judged(said("录", log_probability=-1.2, silence=0.7), ALL).removed[0].reason == "no_speech"
    assert judged(said("录", log_probability=-0.5, silence=0.7), ALL).heard.text == "录"


def test_what_the_model_does_not_believe_is_not_shown() -> None:
    assert judged(said("录音", log_probability=-5.0), ALL).removed[0].reason == "unlikely"


def test_words_that_are_unlikely_one_by_one_and_together_are_not_shown() -> None:
    words = tuple(Word(sign, 0.3 * place, 0.3 * place + 0.2, 0.5) for place, sign in enumerate("我们不"))
    assert judged(Heard("我们不", words, "zh", -0.95), ALL).removed[0].reason == "unlikely"
    assert judged(Heard("我们不", words, "zh", -0.80), ALL).heard.text == "我们不"
    assert judged(said("我们不", log_probability=-0.95), ALL).heard.text == "我们不"


def test_words_where_nobody_spoke_are_taken_away() -> None:
    heard = said("请您配合。谢谢大家。", sign_s=0.25)
    found = judged(heard, ((0.1, 1.2),))
    assert found.heard.text == "请您配合。谢谢"  # within the error of word times
    assert found.removed == (Removed("大家。", "outside_speech"),)
    assert found.is_doubtful


def test_a_loop_without_time_keeps_its_first_round() -> None:
    heard = said("供货商是", sign_s=0.25)
    words = (*heard.words, *(Word(sign, 1.4, 1.42, 0.5) for sign in "新城新城新城新城"))
    found = judged(Heard("供货商是新城新城新城新城", words, "zh", -0.4), ALL)
    assert found.heard.text == "供货商是新城"
    assert found.removed == (Removed("新城新城新城", "loop"),)


def test_a_single_sign_that_three_times_took_no_time_is_a_loop() -> None:
    words = tuple(
        Word(sign, start_s, start_s + 0.02, 0.5)
        for sign, start_s in zip("检验验验", (0.2, 0.5, 0.52, 0.54), strict=True)
    )
    assert judged(Heard("检验验验", words, "zh", -0.4), ALL).heard.text == "检验"


def test_what_nobody_says_so_often_in_one_breath_is_a_loop_without_any_times() -> None:
    assert judged(without_times("电梯的检" + "验" * 9), ALL).heard.text == "电梯的检验"
    assert judged(without_times("请您配合，" * 5), ALL).heard.text == "请您配合，"
    assert judged(without_times("是东湖的" * 30), ALL).removed[0].reason == "loop"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("请不吝点赞 订阅 转发 打赏支持明镜与点点栏目", ""),
        ("字幕由Amara.org社区提供", ""),
        ("字幕由 Amara.org 社区提供。", ""),
        ("谢谢观看！", ""),
        ("請不吝點贊", ""),
        ("请您签字。谢谢观看。", "请您签字。"),
        ("Thanks for watching!", ""),
    ],
)
def test_boilerplate_goes_and_what_stands_beside_it_stays(text: str, left: str) -> None:
    found = judged(without_times(text), ALL)
    assert found.heard.text == left
    assert {each.reason for each in found.removed} == {"boilerplate"}


def test_more_than_anybody_can_say_in_the_time_was_not_said() -> None:
    text = "我们依法扣押这十二箱牛奶"
    found = judged(without_times(text), ((0.2, 0.7),))
    assert found.heard.text == ""
    assert found.removed == (Removed(text, "too_fast"),)
    assert judged(without_times("不申请。"), ((0.2, 0.4),)).heard.text == "不申请。"


def test_what_is_unsure_is_doubtful_and_stays() -> None:
    heard = said("冰柜里的牛奶", log_probability=-0.8)
    found = judged(heard, ALL)
    assert found.heard == heard
    assert found.is_doubtful
    assert not found.removed


def test_a_model_that_does_not_say_how_sure_it_is_is_not_doubted_for_that() -> None:
    found = judged(Heard("请您配合。", (), "zh", float("nan")), ALL)
    assert found.heard.text == "请您配合。"
    assert found.confidence == 0.0
    assert not found.is_doubtful


def test_a_loop_compresses_and_a_sentence_does_not() -> None:
    assert compression("请您配合" * 20) > 2.4
    assert compression("我们是江城区市场监督管理局的执法人员。") < 1.5
    assert compression("") == 0.0


@given(st.text(alphabet="请您配合谢观看。，字幕由的验", max_size=40), st.lists(st.integers(0, 90), max_size=6))
def test_a_guard_only_takes_away(text: str, edges: list[int]) -> None:
    places = sorted(edge / 10 for edge in edges)
    for heard in (said(text), without_times(text)):
        found = judged(heard, tuple(zip(places[::2], places[1::2], strict=False)))
        signs = iter(heard.text)
        assert all(sign in signs for sign in found.heard.text), "a sign that was not there, or in another order"
        lost = len(heard.text) - len(found.heard.text)
        assert lost <= sum(len(each.text) for each in found.removed)
        assert set(found.heard.words) <= set(heard.words)


@pytest.mark.parametrize("content", ["zh: 1", "[", "zh: ['']", "zh: ['*']", "zh: ['。']"])
def test_a_list_that_would_match_anything_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(content)
    with pytest.raises(SettingsInvalid):
        boilerplate(path)
