"""Which lines of a picture are an enforcement certificate, and which only speak of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text.base import Line
from models.text.certificate import SHOWN_FROM, bare, found, title_surety
from tests.unit.models.text.material import line


def card(title: str = "行政执法证", number: str = "证号：12345678") -> list[Line]:
    return [
        line(title, 100, 100, 80),
        line("姓名：王芳", 120, 240),
        line("单位：东城区市场监督管理局", 120, 310),
        line(number, 120, 380),
    ]


def test_a_card_is_shown_with_its_number_and_name() -> None:
    seen = found(card())
    assert (seen.is_shown, seen.number, seen.name) == (True, "12345678", "王芳")
    assert seen.confidence == pytest.approx(1.0)
    assert {each.text for each in seen.lines} == {each.text for each in card()}


def test_a_title_alone_is_shown_and_less_sure() -> None:
    seen = found([line("行政执法证", height=80)])
    assert (seen.is_shown, seen.number, seen.name) == (True, "", "")
    assert SHOWN_FROM <= seen.confidence < found(card()).confidence


@pytest.mark.parametrize(
    "text",
    [
        "行政执法证",
        "行政执法证件",
        "执法证",
        "中华人民共和国行政执法证",
        "行 政 执 法 證",
        "行攻执法证",
        "政执法证",
        "行政执证",
    ],
)
def test_a_title_is_known_though_a_sign_is_misread_or_lost(text: str) -> None:
    assert title_surety(bare(text)) > 0


@pytest.mark.parametrize(
    "text",
    [
        "行政执法局", "行政执法公示", "执法人员", "请出示执法证", "无执法证可以拒绝检查", "执法证号：12345", "驾驶证",
        "身份证", "执业证", "工作证", "营业执照", "食品经营许可证", "行政许可证", "执法为民",
        "请主动查验执法证件", "证", "",
    ],
)  # fmt: skip
def test_other_words_are_no_title(text: str) -> None:
    assert title_surety(bare(text)) == 0
    assert not found([line(text, height=80)]).is_shown


@pytest.mark.parametrize("title", ["营业执照", "食品经营许可证", "执业证", "健康证明", "机动车驾驶证"])
def test_another_paper_with_a_name_and_a_number_is_no_certificate(title: str) -> None:
    assert not found(card(title)).is_shown


def test_the_record_of_an_inspection_names_certificates_and_is_none() -> None:
    record = [
        line("现场检查笔录", 300, 0, 60),
        line("检查人员：王芳 执法证号：12345678", 0, 100),
        line("执法证号：12345678", 0, 160),
        line("姓名：李强", 0, 220),
        line("东城区市场监督管理局", 0, 280),
    ]
    assert not found(record).is_shown
    assert not found([*record, line("执法证", 0, 340)]).is_shown


def test_a_licence_on_the_wall_behind_does_not_hide_the_card() -> None:
    wall = [line("营业执照", 150, 20, 90), line("统一社会信用代码：91110101MA0000000X", 150, 60, 20)]
    seen = found([*wall, *card()])
    assert (seen.is_shown, seen.number) == (True, "12345678")


def test_half_a_title_counts_where_a_number_and_a_name_stand_beside_it() -> None:
    assert found(card("行政执法")).is_shown
    assert not found(card("行政执法")[:3]).is_shown
    assert not found(card("行政执法", "投诉电话：12345678")).is_shown


def test_a_title_whose_signs_stand_apart_is_put_together() -> None:
    assert found([line("行政", 0, 0, 80), line("执法证", 200, 4, 80)]).is_shown
    assert found([line("执法证", 0, 0, 80), line("行政", 290, 4, 80)]).is_shown, "upside down, the second comes first"
    assert not found([line("行政执法", 0, 0, 80), line("证", 2_000, 0, 80)]).is_shown


def test_a_value_beside_its_label_is_its_value() -> None:
    lines = [line("执法证", 0, 0, 80), line("证号", 0, 200), line("A12345", 200, 202), line("姓名", 0, 300)]
    seen = found([*lines, line("李强", 200, 302), line("99999999", 0, 700)])
    assert (seen.number, seen.name) == ("A12345", "李强")


@pytest.mark.parametrize(
    "number", ["投诉电话：12345678", "身份证号：12345678", "许可证编号：12345678", "工号：12345678"]
)
def test_a_number_of_something_else_is_not_taken_for_its(number: str) -> None:
    assert found(card(number=number)).number == ""


def test_what_is_far_away_belongs_to_something_else() -> None:
    seen = found([line("执法证", 0, 0, 20), line("编号：12345678", 1_500, 900)])
    assert (seen.is_shown, seen.number) == (True, "")


def test_a_title_that_was_read_badly_needs_more_beside_it() -> None:
    assert not found([line("执法证", height=80, confidence=0.6)]).is_shown
    assert found([*card("执法证")[1:], line("执法证", 100, 100, 80, confidence=0.6)]).is_shown


@given(st.lists(st.tuples(st.text(max_size=30), st.floats(0, 2_000), st.floats(0, 2_000), st.floats(0, 200))))
def test_any_lines_are_judged_and_shown_means_sure(lines: list[tuple[str, float, float, float]]) -> None:
    seen = found([line(text, x, y, height) for text, x, y, height in lines])
    assert 0 <= seen.confidence <= 1
    assert seen.is_shown is (seen.confidence >= SHOWN_FROM)
