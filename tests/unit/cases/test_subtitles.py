"""Subtitles: two short lines, the words' own times, nothing lost, nothing that a player takes for markup."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.subtitles import WIDEST, cues_of, srt, vtt
from cases.words import Correction, Said

_TEXT = st.text(st.sampled_from("我是市场监管局执法人员，。！？、 abcEFG123<>&-\n\u202e"), max_size=200)


def said(text: str, start_s: float = 10.0, end_s: float = 20.0, **more: object) -> Said:
    fields: dict[str, object] = {
        "event_id": "ev_1", "seq": 1, "normal": "", "word_times": "", "language": "zh", "confidence": 0.9,
        "is_doubtful": False, "speaker": "wearer", "model": "sense@1", "correction": None, **more,
    }  # fmt: skip
    return Said(start_s=start_s, end_s=end_s, heard=text, **fields)  # type: ignore[arg-type]  # a test's short way


def corrected(text: str) -> Correction:
    return Correction(event_id="ev_2", seq=2, text=text, by="usr_1", by_name="林晓岚", at_us=0)


def width(line: str) -> float:
    return sum(1.0 if ord(sign) > 0x2E7F else 0.5 for sign in line)


@given(_TEXT)
def test_no_sign_is_lost_lines_are_short_and_times_go_on_within_the_utterance(text: str) -> None:
    cues = cues_of([said(text)])
    shown = "".join("".join(cue.lines) for cue in cues)
    assert re.sub(r"\s", "", shown) == re.sub(r"[\s\u202e]", "", text)
    at_s = 10.0
    for cue in cues:
        assert 1 <= len(cue.lines) <= 2
        assert all(line == line.strip() != "" and width(line) <= WIDEST for line in cue.lines)
        assert at_s - 1e-6 <= cue.start_s < cue.end_s <= 20.0 + 0.002
        at_s = cue.end_s


def test_a_long_utterance_is_split_where_the_speaker_rests() -> None:
    text = (
        "我们是东城区市场监督管理局的执法人员，这是我们的执法证件。"
        "现在依法对你单位进行现场检查，请予以配合。你有陈述申辩的权利。"
    )
    assert [cue.lines for cue in cues_of([said(text)])] == [
        ("我们是东城区市场监督管理局的执法人员，", "这是我们的执法证件。"),
        ("现在依法对你单位进行现场检查，", "请予以配合。你有陈述申辩的权利。"),
    ]


def test_the_times_are_those_of_the_words() -> None:
    text = "我们是东城区市场监督管理局的执法人员，这是我们的执法证件。现在依法对你单位进行检查。"
    words = re.findall(r".[，。]?", text)
    starts_ms = [100 * at + (3000 if at >= 27 else 0) for at in range(len(words))]  # a pause before the third sentence
    times = "\n".join(f"{at}-{at + 90} {word}" for at, word in zip(starts_ms, words, strict=True))
    first, second = cues_of([said(text, word_times=times)])
    assert second.lines == ("现在依法对你单位进行检查。",)
    assert [first.start_s, first.end_s] == pytest.approx([10.0, 12.69])
    assert [second.start_s, second.end_s] == pytest.approx([15.7, 10 + (starts_ms[-1] + 90) / 1000])


def test_times_of_another_text_are_not_used() -> None:
    times = "0-100 完\n100-200 全\n200-300 不同"
    (cue,) = cues_of([said("出示证件", word_times=times)])
    assert (cue.start_s, cue.end_s) == (10.0, 20.0)
    heard = "0-100 出\n100-200 示\n200-300 正\n300-400 件"
    (cue,) = cues_of([said("出示正件", word_times=heard, correction=corrected("请您出示证件"))])
    assert cue.lines == ("请您出示证件",)
    assert (cue.start_s, cue.end_s) == (10.0, 20.0)
    (cue,) = cues_of([said("出示正件", word_times=heard, correction=corrected("出示正件"))])
    assert (cue.start_s, cue.end_s) == (10.0, 10.4), "somebody confirmed it, and the times stay"


def test_webvtt_tells_who_speaks_what_made_it_and_what_a_person_checked() -> None:
    text = vtt([said("您好。", 1.5, 2.25), said("五百一十元", 3, 4, speaker="unknown", correction=corrected("六百元"))])
    assert text == (
        "WEBVTT\n\n"
        "NOTE\n机器识别，1/2 句经人工核对；模型：sense@1\n\n"
        "NOTE\nMade by a machine; 1 of 2 utterances checked by a person.\n\n"
        "1\n00:00:01.500 --> 00:00:02.250\n<v 佩戴者>您好。\n\n"
        "NOTE\n已由 林晓岚 核对更正\n\n"
        "2\n00:00:03.000 --> 00:00:04.000\n六百元\n"
    )
    assert "未经核对；模型：whisper-demo-zh@1（演示模型）" in vtt([said("您好", model="whisper-demo-zh@1")])


def test_what_was_said_is_never_taken_for_markup() -> None:
    text = vtt([said("a<b> & 5 --> 6\n\nNOTE x", 0, 1)])
    assert "a&lt;b&gt; &amp; 5 --&gt; 6 NOTE x" in text
    assert text.count("-->") == 1
    assert text.count("NOTE\n") == 2
    named = Correction(event_id="e", seq=1, text="好", by="u", by_name="x\n\n-->1", at_us=0)
    assert vtt([said("好", correction=named)]).count("-->") == 1


def test_subrip_says_first_that_a_machine_made_it() -> None:
    text = srt([said("您好。<i>", 3661.5, 3662.25)])
    assert text == (
        "1\n00:00:00,000 --> 00:00:02,000\n机器识别，未经核对；模型：sense@1\n"
        "Made by a machine; 0 of 1 utterances checked by a person.\n\n"
        "2\n01:01:01,500 --> 01:01:02,250\n佩戴者：您好。＜i＞\n"
    )


def test_subtitles_for_a_part_begin_at_its_second() -> None:
    text = vtt([said("早", 1, 2), said("晚", 10, 11)], zero_s=9.5)
    assert "早" not in text
    assert "00:00:00.500 --> 00:00:01.500" in text


def test_nothing_said_is_a_file_all_the_same() -> None:
    assert vtt([]).startswith("WEBVTT\n\nNOTE\n没有识别到话语")
    assert srt([]) == ""
