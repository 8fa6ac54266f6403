"""Listening: what one speaker says on end, with gaps, interruptions and what makes it void."""

from cases.rules.listening import JOINED_S, KEPT_SIGNS, MOST_SIGNS, Listener, Matcher
from cases.rules.notation import read_way
from cases.rules.said import Speaker, Utterance
from cases.rules.stretch import Link, Slot, Way


def way(text: str, use: str = "way", owner: str = "duty") -> Way:
    chains = tuple(
        tuple(Link(Slot(frozenset(part.phrases)), part.gap) for part in chain) for chain in read_way(text).chains
    )
    return Way(owner, use, chains, text)


def said(text: str, start_s: float = 0.0, speaker: Speaker = "officer", stream_id: str = "cam") -> Utterance:
    return Utterance(start_s=start_s, end_s=start_s + 2.0, speaker=speaker, text=text, stream_id=stream_id)


def listener(*ways: Way, negation: str = "", but_not: str = "", turns: str = "", resumes: str = "") -> Listener:
    slots = [Slot(frozenset(words.split())) if words else None for words in (negation, but_not, turns, resumes)]
    return Listener(Matcher(ways, slots[0], slots[1], slots[2], slots[3]))


def heard(listening: Listener, *utterances: Utterance) -> list[tuple[str, ...]]:
    """The utterances of each match, in the order in which they were found."""
    return [
        tuple(each.text for each in found.utterances) for one in utterances for found in listening.feed(one)
    ]  # fmt: skip


def sure(listening: Listener, *utterances: Utterance) -> list[tuple[str, ...]]:
    """As `heard`, of what was surely said."""
    return [
        tuple(each.text for each in found.utterances)
        for one in utterances
        for found in listening.feed(one)
        if found.match.is_sure
    ]


def test_parts_may_stand_a_gap_apart_and_no_further() -> None:
    assert heard(listener(way("出示…证件")), said("出示一下我们的证件"))
    assert not heard(listener(way("出示…证件")), said("出示一下墙上那张旧的营业照片和证件"))


def test_parts_in_the_other_order_are_another_way() -> None:
    assert not heard(listener(way("出示…证件")), said("证件出示"))
    assert heard(listener(way("出示+证件")), said("证件在这里现在出示"))


def test_what_an_interruption_cuts_is_heard_with_both_utterances() -> None:
    listening = listener(way("申请…回避"))
    told = heard(listening, said("您有权申请"), said("等一下", 2.2, "other"), said("我们回避", 3.0))
    assert told == [("您有权申请", "我们回避")]


def test_a_word_cut_in_two_is_heard_too() -> None:
    listening = listener(way("申请回避"))
    assert not any(found.match.is_sure for found in listening.feed(said("您可以申请回")))
    (found,) = listening.feed(said("避的", 3.0))
    assert found.match.is_sure
    assert [each.text for each in found.utterances] == ["您可以申请回", "避的"]


def test_two_speakers_two_streams_and_too_long_a_pause_are_not_on_end() -> None:
    for second in (said("回避", 3.0, "other"), said("回避", 3.0, stream_id="b"), said("回避", 2.1 + JOINED_S)):
        assert not heard(listener(way("申请…回避")), said("您有权申请"), second)


def test_a_way_is_told_when_it_is_complete_and_not_again_with_the_next_words() -> None:
    listening = listener(way("申请回避"))
    assert heard(listening, said("您可以申请回避"), said("听明白了吗", 3.0)) == [("您可以申请回避",)]


def test_a_negation_right_before_or_amid_makes_void_and_a_question_does_not() -> None:
    listening = {"negation": "没有 不是", "but_not": "有没有"}
    assert not heard(listener(way("执法证"), **listening), said("我们没有执法证"))
    assert not heard(listener(way("我们…市场监管局"), **listening), said("我们不是市场监管局的"))
    assert heard(listener(way("执法证"), **listening), said("有没有看清执法证"))
    assert heard(listener(way("执法证"), **listening), said("别的没有。执法证在这"))
    assert heard(listener(way("执法证"), **listening), said("没有"), said("执法证在这", 3.0))


def test_what_is_denied_does_not_reach_beyond_where_the_sentence_turns() -> None:
    ways = way("我们是…市场监管局"), way("不是…市场监管局", "never")
    lists = {"negation": "不是", "turns": "我们是"}
    assert not heard(listener(*ways, negation="不是"), said("不是推销，我们是市场监管局的"))
    assert heard(listener(*ways, **lists), said("不是推销，我们是市场监管局的"))
    assert not heard(listener(*ways, **lists), said("我们是说不是市场监管局的"))
    assert not heard(listener(way("市场监管局"), **lists), said("不是市场监管局，我们是推销的"))


def test_a_cut_sentence_is_taken_up_under_another_label_and_behind_whoever_broke_in() -> None:
    ways = way("申请回避")
    cut, broke_in = said("您可以申请回——", speaker="unknown"), said("等一下。", 2.2, "unknown")
    assert sure(listener(ways), cut, said("避的。", 3.0)) == [("您可以申请回——", "避的。")]
    assert sure(listener(ways), cut, broke_in, said("避的。", 4.5, "unknown")) == [("您可以申请回——", "避的。")]
    assert not sure(listener(ways), said("您可以申请回。", speaker="unknown"), said("避的。", 3.0))
    assert not sure(listener(ways), cut, said("避的。", 2.1 + JOINED_S))
    assert not sure(listener(ways), said("您可以申请回——"), said("避的。", 3.0, "other"))


def test_words_that_take_a_sentence_up_again_are_left_out() -> None:
    cut, taken_up = said("您可以申请回——"), said("我接着说，避的。", 3.0)
    assert not sure(listener(way("申请回避")), cut, taken_up)
    assert sure(listener(way("申请回避"), resumes="我接着说 接着说"), cut, taken_up)


def test_a_never_makes_void_what_shares_its_words_or_follows_it() -> None:
    ways = way("出示…证件"), way("(等会儿/您的证件)", "never"), way("健康证", "never", owner="other")
    assert not heard(listener(*ways), said("出示您的证件"))
    assert not heard(listener(*ways), said("等会儿再出示证件"))
    assert heard(listener(*ways), said("出示证件，您的证件等会儿看"))
    assert heard(listener(*ways), said("出示健康证件"))


def test_a_never_that_is_only_like_the_words_makes_nothing_void() -> None:
    assert heard(listener(way("请看证件"), way("请看证", "never")), said("请看争件")) == [("请看争件",)]


def test_words_of_two_sentences_make_no_phrase() -> None:
    assert not heard(listener(way("对您")), said("请核对。您签字"))
    assert heard(listener(way("对您")), said("请核对您签字"))


def test_an_owner_that_is_done_is_not_looked_for() -> None:
    assert not listener(way("申请回避")).feed(said("申请回避"), {"duty"})


def test_a_pattern_counts_as_a_part() -> None:
    ways = Way(
        "duty", "way", ((Link(Slot(frozenset(["根据"])), 0), Link(Slot(frozenset(), frozenset(["法第.{1,4}条"])), 8)),)
    )
    assert heard(Listener(Matcher([ways])), said("根据食品安全法第一百一十条"))
    assert not heard(Listener(Matcher([ways])), said("根据食品安全法"))


def test_a_pattern_is_found_across_two_utterances_and_once() -> None:
    ways = Way("duty", "way", ((Link(Slot(frozenset(), frozenset(["[一二三]箱"])), 0),),))
    listening = Listener(Matcher([ways]))
    assert heard(listening, said("今天天气很好" * 8 + "三"), said("箱牛奶", 3.0), said("好的", 6.0)) == [
        ("今天天气很好" * 8 + "三", "箱牛奶")
    ]


def test_a_stretch_is_bounded_and_what_comes_late_in_a_long_utterance_is_heard() -> None:
    listening = listener(way("申请…回避"))
    assert heard(listening, said("天气很好" * 1000 + "申请执法人员回避" + "天气很好" * 3))
    for number in range(50):
        listening.feed(said("今天天气很好" * 5, number * 2.0))
    (stretch,) = listening._stretches.values()
    assert len(stretch.signs) <= MOST_SIGNS
    assert all(hit.start >= 0 for hits in stretch.slots.values() for hit in hits)
    assert KEPT_SIGNS < MOST_SIGNS
