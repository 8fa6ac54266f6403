"""The error rate and its normaliser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.speech.cer import Errors, distance, errors, normalised, total


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("您好，我们！", "您好我们"),
        ("營業執照", "营业执照"),
        ("ＡＢＣ　abc", "abcabc"),
        ("2024年3月15日", "二零二四年三月十五日"),
        ("12箱", "十二箱"),
        ("105 110 1001 10010 100001", "一百零五一百一十一千零一一零零一零一零零零零一"),
        ("13800138000", "一三八零零一三八零零零"),
        ("007", "零零七"),
        ("3.5元，10%", "三点五元百分之十"),
        ("两箱，幺二〇", "二箱一二零"),
        ("", ""),
    ],
)
def test_texts_are_compared_as_they_are_said(text: str, expected: str) -> None:
    assert normalised(text) == expected


def test_errors_are_counted_over_all_signs() -> None:
    assert errors("请您配合。", "请你配合") == Errors(1, 4)
    assert total([("请您", "请你"), ("配合工作", "配合")]) == Errors(3, 6)
    assert total([("请您", "请你"), ("配合工作", "配合")]).rate == 0.5
    assert Errors(0, 0).rate == 0.0
    assert errors("", "有").rate == 1.0


def slow(one: str, other: str) -> int:
    """Levenshtein's distance by its definition."""
    row = list(range(len(other) + 1))
    for number, sign in enumerate(one, 1):
        before, row[0] = row[0], number
        for place, against in enumerate(other, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (sign != against))
    return row[-1]


@given(st.text(alphabet="abc一", max_size=12), st.text(alphabet="abc一", max_size=12))
def test_the_distance_is_levenshtein_s(one: str, other: str) -> None:
    assert distance(one, other) == slow(one, other)
