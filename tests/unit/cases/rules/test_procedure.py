"""Procedure: what is observed, what is missing, what nobody can tell; when, and once."""

import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases.rules.hearing import Hearing, Unheard
from cases.rules.procedure import Procedure
from cases.rules.rules import RuleSet
from cases.rules.ruleset import load
from cases.rules.said import Speaker, Utterance
from cases.rules.verdicts import BY_UNKNOWN_SPEAKER, LATE, OUT_OF_ORDER, Judged, Verdict

HERE = Path(__file__).parent
SCENE = Path(__file__).resolve().parents[4] / "pipeline" / "simulate" / "voices" / "scene.tsv"
ALL_HEARD = Hearing()


def said(text: str, start_s: float = 1.0, speaker: Speaker = "officer", is_doubtful: bool = False) -> Utterance:
    return Utterance(
        start_s=start_s,
        end_s=start_s + 3.0,
        speaker=speaker,
        text=text,
        event_id=f"e{start_s:g}",
        is_doubtful=is_doubtful,
    )


def scene() -> list[Utterance]:
    with SCENE.open(encoding="utf-8") as file:
        return [
            Utterance(
                start_s=float(row["start"]),
                end_s=float(row["end"]),
                speaker="officer" if row["speaker"] == "officer" else "other",
                text=row["text"],
                event_id=f"scene-{number}",
            )
            for number, row in enumerate(csv.DictReader(file, delimiter="\t"))
        ]


def last(
    procedure: Procedure, utterances: Sequence[Utterance], ended_s: float = 100.0, hearing: Hearing = ALL_HEARD
) -> dict[str, Judged]:
    """The last verdict of each duty."""
    told = [judged for utterance in utterances for judged in procedure.feed(utterance)]
    return {judged.duty: judged for judged in (*told, *procedure.finish(ended_s, hearing))}


def inspection(rules: RuleSet, started_s: float = 0.0) -> Procedure:
    return Procedure(rules, "inspection", started_s)


def test_the_scene_of_the_demo_has_all_duties_but_the_grounds(rules: RuleSet) -> None:
    told = last(inspection(rules), scene(), 77.0)
    required = {duty.duty for duty in rules.duties if duty.is_required}
    observed = {duty for duty, judged in told.items() if duty in required and judged.verdict is Verdict.OBSERVED}
    assert required - observed == {"grounds_stated"}
    assert told["grounds_stated"].verdict is Verdict.NOT_OBSERVED
    assert told["grounds_stated"].coverage == 1.0
    assert told["certificate_shown"].quotes == ("这是我们的执法证件，请您看一下。",)
    assert told["certificate_shown"].event_ids == ("scene-1",)
    assert told["signature_requested"].start_s == 58.42
    assert all(not judged.notes for judged in told.values())


def test_a_pocketed_microphone_in_the_scene_makes_what_was_missing_untold(rules: RuleSet) -> None:
    told = last(inspection(rules), scene(), 77.0, Hearing([Unheard(22.0, 34.0, "麦克风无声")]))
    assert told["grounds_stated"].verdict is Verdict.CANNOT_TELL
    assert "麦克风无声" in told["grounds_stated"].why
    assert told["grounds_stated"].coverage == pytest.approx(1 - 12 / 77, abs=0.001)
    assert told["certificate_shown"].verdict is Verdict.OBSERVED


def development() -> list[tuple[str, str, Speaker, str]]:
    rows = []
    for line in (HERE / "development.tsv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            duty, verdict, speaker, text = line.split("\t")
            rows.append((duty, verdict, _SPEAKERS[speaker], text))
    return rows


_SPEAKERS: dict[str, Speaker] = {"officer": "officer", "other": "other", "unknown": "unknown"}


def test_what_the_rules_were_written_with_is_told_right(rules: RuleSet) -> None:
    required = {duty.duty for duty in rules.duties if duty.is_required}
    missed, false = [], []
    rows = development()
    for duty, verdict, speaker, text in rows:
        observed = {judged.duty for judged in inspection(rules).feed(said(text, speaker=speaker))} & required
        if verdict == "observed" and duty not in observed:
            missed.append(text)
        if verdict == "not_observed" and (duty in observed or (duty == "*" and observed)):
            false.append(text)
    assert len(rows) > 500
    assert len(missed) <= 5, missed
    assert len(false) <= 2, false


@pytest.mark.parametrize(
    ("duty", "text"),
    [
        ("identity_stated", "我们不是市场监管局的。"),
        ("identity_stated", "你可以到市场监督管理局窗口去办。"),
        ("certificate_shown", "请出示您的营业执照。"),
        ("certificate_shown", "今天没带执法证。"),
        ("certificate_shown", "不用看证件了。"),
        ("certificate_shown", "执法证等会儿再给你看。"),
        ("certificate_shown", "如果没有执法证，你可以拒绝。"),
        ("recording_notified", "把监控录像调出来。"),
        ("recording_notified", "执法记录仪没开。"),
        ("grounds_stated", "我们依法扣押这十二箱牛奶。"),
        ("grounds_stated", "拟对您作出罚款五百一十元的行政处罚。"),
        ("grounds_stated", "根据食品安全法第一百二十四条，拟处以五万元罚款。"),
        ("grounds_stated", "依据行政处罚法，您有权陈述和申辩。"),
        ("grounds_stated", "进货的凭证有没有依据？"),
        ("grounds_stated", "我们是管食品安全的。"),
        ("grounds_stated", "原因是冰箱坏了。"),
        ("recusal_informed", "我要求你们回避！"),
        ("identity_stated", "听说是市监局来查的。"),
        ("evidence_list_read", "十二箱，对吧？"),
        ("recusal_informed", "请不要回避问题。"),
        ("evidence_list_read", "把进货清单拿来。"),
        ("signature_requested", "您拒绝签字，我们会在笔录上注明。"),
        ("signature_requested", "请您把钱收回去。"),
    ],
)
def test_what_only_sounds_like_a_duty_is_none(rules: RuleSet, duty: str, text: str) -> None:
    assert duty not in {judged.duty for judged in inspection(rules).feed(said(text))}


@pytest.mark.parametrize(
    ("duty", "text"),
    [
        ("identity_stated", "别误会，我们不是来推销的，我们是市场监管局的。"),
        ("identity_stated", "我们不是城管，是市场监管局的。"),
        ("certificate_shown", "我的执法证，他的执法证，都在这儿，您看。"),
        ("recording_notified", "我身上的摄像头开着，在录像。"),
        ("recusal_informed", "对我们两个您要不要求回避？"),
        ("evidence_list_read", "白酒六瓶，红酒四瓶，数目没错吧？"),
    ],
)
def test_what_looks_like_none_is_a_duty_done(rules: RuleSet, duty: str, text: str) -> None:
    assert duty in {judged.duty for judged in inspection(rules).feed(said(text))}


@pytest.mark.parametrize(
    ("duty", "text"),
    [
        ("identity_stated", "您好，我姓周，我们单位就在前面。"),
        ("certificate_shown", "您看一下，这个，这是我的，那是他的。"),
        ("recording_notified", "镜头对着您呢，您知道一下。"),
        ("evidence_list_read", "白酒六瓶，对得上吗？"),
    ],
)
def test_what_is_only_pointed_at_is_not_told_as_missing(rules: RuleSet, duty: str, text: str) -> None:
    told = last(inspection(rules), [said(text)])
    assert (told[duty].verdict, told[duty].quotes[:1]) == (Verdict.CANNOT_TELL, (text,))


def test_what_a_party_answers_makes_it_untold_and_what_it_says_at_length_does_not(rules: RuleSet) -> None:
    for speaker in ("other", "unknown"):
        told = last(inspection(rules), [said("我不申请回避。", speaker=_SPEAKERS[speaker])])
        assert told["recusal_informed"].verdict is Verdict.CANNOT_TELL
        assert told["recusal_informed"].quotes == ("我不申请回避。",)
    at_length = said("上次来的人问我要不要回避，我说不申请回避，他们就走了。", speaker="other")
    assert last(inspection(rules), [at_length])["recusal_informed"].verdict is Verdict.NOT_OBSERVED


def test_an_answer_behind_the_deadline_hints_at_nothing(rules: RuleSet) -> None:
    told = last(inspection(rules), [said("录就录。", 61.0, "other")])
    assert told["recording_notified"].verdict is Verdict.NOT_OBSERVED
    told = last(inspection(rules), [said("录就录。", 50.0, "other")])
    assert told["recording_notified"].verdict is Verdict.CANNOT_TELL


def test_many_faint_hints_leave_room_for_a_plain_one(rules: RuleSet) -> None:
    faint = [said("增见呢。", 3.0 * number) for number in range(1, 12)]
    procedure = inspection(rules)
    assert "证件。" in last(procedure, [*faint, said("证件。", 50.0)])["certificate_shown"].quotes


def test_a_partys_words_never_satisfy_an_officers_duty(rules: RuleSet) -> None:
    procedure = inspection(rules)
    for _, verdict, _, text in development():
        if verdict == "observed":
            assert procedure.feed(said(text, speaker="other")) == []


def test_an_unknown_speaker_counts_for_less_and_is_noted(rules: RuleSet) -> None:
    (officer,) = inspection(rules).feed(said("您有权申请回避。"))
    (unknown,) = inspection(rules).feed(said("您有权申请回避。", speaker="unknown"))
    assert unknown.verdict is Verdict.OBSERVED
    assert unknown.notes == (BY_UNKNOWN_SPEAKER,)
    assert unknown.confidence < officer.confidence
    assert "说话人未能确认" in unknown.why


def test_a_rule_may_refuse_an_unknown_speaker(folder: Callable[..., Path]) -> None:
    made = folder()
    path = made / "procedure" / "a.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("within_s: 60", "unknown: refuse"), encoding="utf-8")
    assert inspection(load(made)).feed(said("出示我们的执法证", speaker="unknown")) == []
    assert inspection(load(made)).feed(said("出示我们的执法证"))


def test_words_that_the_model_was_unsure_of_count_for_less(rules: RuleSet) -> None:
    (sure,) = inspection(rules).feed(said("您有权申请回避。"))
    (doubtful,) = inspection(rules).feed(said("您有权申请回避。", is_doubtful=True))
    assert doubtful.confidence < sure.confidence


def test_a_duty_is_told_once(rules: RuleSet) -> None:
    procedure = inspection(rules)
    assert len(procedure.feed(said("您有权申请回避。"))) == 1
    assert procedure.feed(said("您有权申请回避。", 9.0)) == []


def test_what_is_misheard_is_still_heard(rules: RuleSet) -> None:
    for text in ("您有权深请会避", "您有权申情回必", "您优权申请啊回避", "您有权请回避"):
        assert [judged.duty for judged in inspection(rules).feed(said(text))] == ["recusal_informed"], text


def test_a_deadline_that_passes_is_told_once_and_what_is_said_later_is_late(rules: RuleSet) -> None:
    procedure = inspection(rules, 100.0)
    assert procedure.due(159.9, ALL_HEARD) == []
    told = {judged.duty: judged for judged in procedure.due(160.0, ALL_HEARD)}
    assert set(told) == {"identity_stated", "recording_notified"}
    assert all(judged.verdict is Verdict.NOT_OBSERVED for judged in told.values())
    assert (told["recording_notified"].start_s, told["recording_notified"].end_s) == (100.0, 160.0)
    assert procedure.due(161.0, ALL_HEARD) == []
    (late,) = procedure.feed(said("现在全程录音录像。", 170.0))
    assert (late.verdict, late.notes) == (Verdict.OBSERVED, (LATE,))
    assert "recording_notified" not in {judged.duty for judged in procedure.finish(200.0, ALL_HEARD)}


def test_the_window_alone_must_have_been_heard(rules: RuleSet) -> None:
    after = Hearing([Unheard(70.0, 100.0, "断流")])
    amid = Hearing([Unheard(10.0, 30.0, "断流")])
    for hearing, verdict in ((after, Verdict.NOT_OBSERVED), (amid, Verdict.CANNOT_TELL)):
        told = {judged.duty: judged for judged in inspection(rules).due(60.0, hearing)}
        assert told["recording_notified"].verdict is verdict
    assert told["recording_notified"].coverage == pytest.approx(2 / 3, abs=0.001)


def test_many_short_gaps_are_enough_not_to_tell(rules: RuleSet) -> None:
    gaps = Hearing([Unheard(at, at + 2.0, "丢包") for at in range(0, 100, 10)])
    told = {judged.duty: judged for judged in inspection(rules).finish(100.0, gaps)}
    assert told["recusal_informed"].verdict is Verdict.CANNOT_TELL
    assert told["recusal_informed"].coverage == 0.8


def test_one_gap_as_long_as_a_sentence_is_enough_not_to_tell(rules: RuleSet) -> None:
    short = Hearing([Unheard(at, at + 1.0, "断流") for at in range(0, 1000, 200)])
    long = Hearing([Unheard(500.0, 506.0, "断流")])
    for hearing, verdict in ((short, Verdict.NOT_OBSERVED), (long, Verdict.CANNOT_TELL)):
        told = {judged.duty: judged for judged in inspection(rules).finish(1000.0, hearing)}
        assert told["recusal_informed"].coverage > 0.99
        assert told["recusal_informed"].verdict is verdict


def test_what_comes_behind_what_it_must_precede_is_out_of_order(rules: RuleSet) -> None:
    procedure = inspection(rules)
    procedure.feed(said("把冰柜打开看看，生产日期是什么时候？", 1.0))
    (judged,) = procedure.feed(said("这是我们的执法证件，请您过目。", 20.0))
    assert judged.notes == (OUT_OF_ORDER,)
    assert inspection(rules).feed(said("这是我们的执法证件，请您过目。", 20.0))[0].notes == ()


def test_a_hint_makes_it_untold_rather_than_missing(rules: RuleSet) -> None:
    told = last(inspection(rules), [said("那个回避的事情。")])
    assert told["recusal_informed"].verdict is Verdict.CANNOT_TELL
    assert told["recusal_informed"].quotes == ("那个回避的事情。",)
    assert told["statement_and_defence_informed"].verdict is Verdict.NOT_OBSERVED


def test_garbled_words_make_nothing_missing(rules: RuleSet) -> None:
    garbled = [said("灯杂瓜鱼蓝丝痛飘桌墨云拐琴布江犁" * 3, 5.0 * number) for number in range(1, 6)]
    told = last(inspection(rules), garbled)
    assert {judged.verdict for judged in told.values()} == {Verdict.CANNOT_TELL}
    assert "差错较多" in told["recusal_informed"].why


def test_text_in_a_picture_makes_words_surer_and_alone_counts_where_it_was_asked_for(rules: RuleSet) -> None:
    procedure = inspection(rules)
    (spoken,) = procedure.feed(said("这是我们的执法政件，您看。", 10.0))
    assert procedure.seen(40.0, "行政执法证", "certificate_shown") == []
    (both,) = procedure.seen(18.0, "行政执法证\n张三\n编号 0123", "certificate_shown")
    assert both.confidence > spoken.confidence
    assert "画面" in both.why
    assert procedure.seen(19.0, "行政执法证", "certificate_shown") == []
    alone = inspection(rules)
    assert alone.seen(18.0, "行政执法证", "") == []
    assert alone.seen(18.0, "营业执照", "certificate_shown") == []
    (seen,) = alone.seen(18.0, "行政执法证", "certificate_shown")
    assert (seen.verdict, seen.quotes) == (Verdict.OBSERVED, ())


def test_pictures_are_asked_for_around_the_words(rules: RuleSet) -> None:
    procedure = inspection(rules)
    assert procedure.asks() == []
    procedure.feed(said("这是我们的执法证件，请您过目。", 30.0))
    assert procedure.asks() == [("certificate_shown", 20.0, 43.0)]


def test_pictures_are_asked_for_around_a_hint_too(rules: RuleSet) -> None:
    procedure = inspection(rules)
    assert procedure.feed(said("证件。", 30.0)) == []
    assert procedure.asks() == [("certificate_shown", 20.0, 43.0)]


def test_a_step_of_another_kind_has_other_duties_and_one_without_has_none(rules: RuleSet) -> None:
    assert "hearing_right_informed" in {state.duty for state in Procedure(rules, "notice", 0.0).state}
    assert Procedure(rules, "archive", 0.0).state == ()


def test_the_state_tells_what_is_open_and_until_when(rules: RuleSet) -> None:
    procedure = inspection(rules, 50.0)
    procedure.feed(said("您有权申请回避。", 55.0))
    state = {each.duty: each for each in procedure.state}
    assert not state["recusal_informed"].is_open
    assert state["recording_notified"].is_open
    assert state["recording_notified"].window_end_s == 110.0
    assert state["signature_requested"].window_end_s is None


def test_nothing_is_told_after_the_end(rules: RuleSet) -> None:
    procedure = inspection(rules)
    assert len(procedure.finish(10.0, ALL_HEARD)) == len(procedure.state)
    assert procedure.finish(11.0, ALL_HEARD) == []
    assert procedure.due(500.0, ALL_HEARD) == []
    assert procedure.feed(said("您有权申请回避。", 20.0)) == []
    assert procedure.seen(20.0, "行政执法证", "certificate_shown") == []


@pytest.mark.parametrize("text", ["请您在笔录上签字", "签", "市场监督管理局", "不要录像abc1", "，。", "\u0000\ud800"])
def test_a_text_of_ten_thousand_signs_is_judged_in_bounded_time(rules: RuleSet, text: str) -> None:
    procedure = inspection(rules)
    started_s = time.process_time()
    procedure.feed(said((text * 10_000)[:10_000]))
    assert time.process_time() - started_s < 3.0


_WORDS = ["执法证", "请您", "签字", "申请", "回避", "不是", "我们是", "市场监管局", "。", "录像", "清单", "核对"]
_TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(_WORDS), max_size=12).map("".join)
_UTTERANCES = st.lists(
    st.builds(
        Utterance,
        start_s=st.floats(0, 300),
        end_s=st.floats(0, 300),
        speaker=st.sampled_from(("officer", "other", "unknown")),
        text=_TEXTS,
        is_doubtful=st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(utterances=_UTTERANCES, holes=st.lists(st.tuples(st.floats(-10, 400), st.floats(-10, 400)), max_size=3))
def test_whatever_is_said_each_duty_gets_one_last_verdict_and_twice_the_same(
    rules: RuleSet, utterances: list[Utterance], holes: list[tuple[float, float]]
) -> None:
    hearing = Hearing([Unheard(start, end, "断流") for start, end in holes])
    runs = []
    for _ in range(2):
        procedure = inspection(rules)
        told = []
        for utterance in sorted(utterances, key=lambda each: each.start_s):
            told += [*procedure.due(utterance.start_s, hearing), *procedure.feed(utterance)]
        told += procedure.finish(300.0, hearing)
        observed = [judged.duty for judged in told if judged.verdict is Verdict.OBSERVED]
        assert len(observed) == len(set(observed))
        others = [judged.duty for judged in told if judged.verdict is not Verdict.OBSERVED]
        assert len(others) == len(set(others))
        assert {judged.duty for judged in told} == {state.duty for state in procedure.state}
        assert not any(state.is_open for state in procedure.state)
        assert all(0 <= judged.confidence <= 1 and 0 <= judged.coverage <= 1 for judged in told)
        runs.append(told)
    assert runs[0] == runs[1]
