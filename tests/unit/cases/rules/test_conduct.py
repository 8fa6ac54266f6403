"""Conduct: what is said that must not be, by whom, and with what noise."""

import pytest

from cases.rules.conduct import Conduct, Hit
from cases.rules.rules import RuleSet
from cases.rules.said import Speaker, Utterance
from tests.unit.cases.rules.test_procedure import development, scene


def said(text: str, speaker: Speaker = "other", start_s: float = 1.0) -> Utterance:
    return Utterance(
        start_s=start_s, end_s=start_s + 2.0, speaker=speaker, text=text, event_id=f"e{start_s:g}", stream_id="cam"
    )


def findings(hits: list[Hit]) -> set[str]:
    return {hit.finding for hit in hits}


def test_the_scene_of_the_demo_has_a_bribe_a_refusal_to_be_recorded_and_a_conflict(rules: RuleSet) -> None:
    conduct = Conduct(rules)
    hits = [hit for utterance in scene() for hit in conduct.feed(utterance)]
    assert [(hit.finding, hit.quotes[0]) for hit in hits] == [
        ("bribe_offered", "领导，这里有五百元，您拿着买烟，通融一下。"),
        ("obstruction", "我就不签，你们凭什么扣我的东西？"),
        ("recording_refused", "别拍了，把手机放下。"),
        ("conflict", "我要投诉你们，打人了，救命啊。"),
    ]
    assert all(hit.event_ids and hit.why.endswith("。") for hit in hits)


@pytest.mark.parametrize(
    ("finding", "speaker", "text"),
    [
        ("bribe_offered", "other", "这点钱你们拿去喝茶，高抬贵手。"),
        ("bribe_offered", "other", "两条烟您收下，一点小意思。"),
        ("recording_refused", "other", "把记录仪关掉！"),
        ("recording_refused", "other", "不要录，凭什么录我。"),
        ("obstruction", "other", "今天谁也别想进这个门。"),
        ("obstruction", "other", "我不配合，你们爱咋咋的。"),
        ("conflict", "officer", "请你不要动手，放手！"),
        ("conflict", "other", "打人啦，来人啊！"),
        ("threat", "other", "你们给我等着，我知道你家住哪。"),
        ("uncivil_officer", "officer", "少废话，给我老实点。"),
        ("uncivil_other", "other", "你们这帮王八蛋。"),
        ("officer_distress", "officer", "指挥中心，请求支援！"),
        ("officer_distress", "officer", "救命，他有刀！"),
    ],
)
def test_it_is_found_in_the_words_of_whom_it_concerns(
    rules: RuleSet, finding: str, speaker: Speaker, text: str
) -> None:
    assert finding in findings(Conduct(rules).feed(said(text, speaker)))


@pytest.mark.parametrize(
    ("speaker", "text"),
    [
        ("officer", "请您把钱收回去，我们不能收。"),
        ("officer", "罚款五百元，请您拿着票据去银行缴。"),
        ("other", "这一箱卖五百元，您拿着看看。"),
        ("other", "监控你们别关。"),
        ("officer", "请您冷静，请您退后，保持距离。"),
        ("officer", "您可以报警。"),
        ("other", "我没有不配合。"),
    ],
)
def test_what_only_sounds_like_it_is_nothing(rules: RuleSet, speaker: Speaker, text: str) -> None:
    assert Conduct(rules).feed(said(text, speaker)) == []


def test_everyday_talk_and_the_words_of_duties_are_no_misconduct(rules: RuleSet) -> None:
    told = [
        (text, hit.finding)
        for duty, verdict, speaker, text in development()
        if verdict == "observed" or duty == "*"
        for hit in Conduct(rules).feed(said(text, speaker))
    ]
    assert told == []


def test_insults_of_officers_and_of_others_are_kept_apart(rules: RuleSet) -> None:
    assert findings(Conduct(rules).feed(said("你这个混蛋", "officer"))) == {"uncivil_officer"}
    assert findings(Conduct(rules).feed(said("你这个混蛋", "other"))) == {"uncivil_other"}


def test_an_unknown_speaker_is_never_taken_for_an_officer_who_insults(rules: RuleSet) -> None:
    (hit,) = Conduct(rules).feed(said("你这个混蛋", "unknown"))
    assert hit.finding == "uncivil_other"
    assert "说话人未能确认" in hit.why
    assert hit.confidence < Conduct(rules).feed(said("你这个混蛋", "other"))[0].confidence


@pytest.mark.parametrize("is_first", [True, False])
def test_words_and_a_noise_near_them_make_a_conflict_in_either_order(rules: RuleSet, is_first: bool) -> None:
    conduct = Conduct(rules)
    if is_first:
        assert conduct.loud("shouting", 0.0, 2.0) == []
        hits = conduct.feed(said("你们讲不讲理！", start_s=4.0))
    else:
        assert conduct.feed(said("你们讲不讲理！", start_s=4.0)) == []
        hits = conduct.loud("shouting", 8.0, 9.0)
    assert findings(hits) == {"conflict"}
    assert "响声" in hits[0].why
    assert (hits[0].start_s, hits[0].end_s) == ((0.0, 6.0) if is_first else (4.0, 9.0))


def test_a_noise_of_another_kind_or_far_from_the_words_makes_none(rules: RuleSet) -> None:
    conduct = Conduct(rules)
    conduct.feed(said("你们讲不讲理！", start_s=4.0))
    assert conduct.loud("alarm", 5.0, 6.0) == []
    assert conduct.loud("bang", 60.0, 61.0) == []


def test_the_same_is_not_told_again_at_once(rules: RuleSet) -> None:
    conduct = Conduct(rules)
    assert conduct.feed(said("别拍了！", start_s=1.0))
    assert conduct.feed(said("我说别拍了！", start_s=4.0)) == []
    assert conduct.feed(said("别拍了！", start_s=60.0))
