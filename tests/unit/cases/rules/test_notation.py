"""The notation of a way: what may be written, and what is refused with a remedy."""

import pytest

from cases.rules.notation import BESIDE, GAP, WayRefused, read_way


def test_dots_stand_for_a_gap_plus_for_any_order_brackets_for_a_choice_and_braces_for_a_group() -> None:
    written = read_way("{亮}…(执法证/工作证)+您看{证件}")
    first, second = written.chains
    assert [(part.group, part.phrases, part.gap) for part in first] == [("亮", (), 0), ("", ("执法证", "工作证"), GAP)]
    assert [(part.group, part.phrases, part.gap) for part in second] == [("", ("您看",), 0), ("证件", (), BESIDE)]


def test_full_width_signs_and_three_dots_mean_the_same() -> None:
    assert read_way("｛亮｝...（执法证／工作证）＋您看").chains == read_way("{亮}…(执法证/工作证)+您看").chains


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty phrase"),
        ("出示…", "empty phrase"),
        ("出示++证件", "empty phrase"),
        ("，。", "empty phrase"),
        ("签", "one sign"),
        ("出示…(证/证件)", "one sign"),
        ("(出示", "bracket"),
        ("出示)", "bracket"),
        ("{}", "names no group"),
        ("出" * 200, "200 signs"),
        ("…".join(["出示"] * 9), "more than 8 parts"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_remedy(text: str, message: str) -> None:
    with pytest.raises(WayRefused, match=message):
        read_way(text)
