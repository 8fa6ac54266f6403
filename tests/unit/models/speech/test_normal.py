"""Numbers in one form: what is said in Chinese comes back as the number, and what is no number stays as it is."""

import datetime
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.speech.normal import normal_form
from models.speech.numerals import value_of

_SIGNS = "零一二三四五六七八九"
_NUMERALS = "零〇幺一二两三四五六七八九十百千万亿"


def say(number: int) -> str:
    """As it is said in full. Written apart from the program, to check it."""
    if number == 0:
        return "零"
    for unit, name in ((10**8, "亿"), (10**4, "万")):
        if number >= unit:
            high, low = divmod(number, unit)
            gap = "零" if 0 < low < unit // 10 else ""
            return say(high) + name + (gap + say(low) if low else "")
    said, is_gap = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            said += ("零" if is_gap and said else "") + _SIGNS[digit] + name
            is_gap = False
        else:
            is_gap = True
    return said.removeprefix("一") if 10 <= number < 20 else said


NUMBERS = st.integers(0, 10**12) | st.integers(0, 10**4) | st.integers(0, 12).map(lambda power: 10**power)


@given(NUMBERS)
@example(10**12)
@example(100_000_002)
@example(10_020)
def test_every_number_up_to_a_million_millions_comes_back(number: int) -> None:
    assert value_of(say(number)) == number
    assert normal_form(f"罚款{say(number)}元") == f"罚款{number}元"


@given(st.integers(2, 10**12))
def test_what_is_counted_is_a_number(number: int) -> None:
    assert normal_form(f"共{say(number)}箱货物") == f"共{number}箱货物"
    assert normal_form(f"第{say(number)}条") == f"第{number}条"


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)), st.sampled_from("日号"))
def test_every_day_is_written_by_iso_8601_and_without_its_year_as_month_and_day(day: datetime.date, word: str) -> None:
    year = "".join(_SIGNS[int(digit)] for digit in f"{day.year}")
    said = f"{say(day.month)}月{say(day.day)}{word}"
    assert normal_form(f"{year}年{said}") == day.isoformat()
    assert normal_form(f"{day.year}年{day.month}月{day.day}{word}") == day.isoformat()
    assert normal_form(f"他{said}来过") == f"他{day.month}月{day.day}日来过"


@given(st.times(), st.sampled_from(["", "下午", "当天"]))
def test_every_minute_of_the_day_is_written_in_digits(time: datetime.time, part: str) -> None:
    minute = f"零{say(time.minute)}" if 0 < time.minute < 10 else say(time.minute)
    said = f"{part}{say(time.hour)}点" + (f"{minute}分" if time.minute else "整")
    assert normal_form(said) == f"{part}{time.hour}:{time.minute:02}"


@given(st.text("0123456789", min_size=4, max_size=20))
def test_digits_said_one_by_one_stay_as_many(digits: str) -> None:
    said = "".join(_SIGNS[int(digit)] for digit in digits)
    if said != "七七八八":  # which is a saying too
        assert normal_form(f"电话{said}。") == f"电话{digits}。"


@given(st.text(max_size=60).filter(lambda text: not re.search(rf"[{_NUMERALS}０-９¥￥\d]", text)))
def test_text_without_numbers_stays_as_it_is(text: str) -> None:
    assert normal_form(text) == text


@given(
    st.text(
        st.sampled_from(_NUMERALS + "0123456789点半年月日号分之元块毛角个箱第时刻条百苏A,.:- \n\u3000电话几多上午"),
        max_size=24,
    )
)
@example("0百毛")
def test_twice_changes_nothing_more(text: str) -> None:
    once = normal_form(text)
    assert normal_form(once) == once


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("二零二四年三月十五日", "2024-03-15"),
        ("二〇二四年三月", "2024-03"),
        ("二零二四年二月二十九日", "2024-02-29"),
        ("二零二四年三月十五日十四点三十分", "2024-03-15 14:30"),
        ("五百一十元", "510元"),
        ("六万块钱", "60000元"),
        ("三块五毛", "3.5元"),
        ("五元三角二分", "5.32元"),
        ("一共六百块。", "一共600元。"),
        ("三点五万元", "35000元"),
        ("罚款60,000元", "罚款60000元"),
        ("￥500", "500元"),
        ("电话八四六五六三二", "电话8465632"),
        ("手机是一三八 零零一三 八零零零", "手机是13800138000"),
        ("138-0013-8000", "13800138000"),
        ("执法证号零一零二三四", "执法证号010234"),
        ("身份证号三二零五零二一九八五零三一五零零一X", "身份证号32050219850315001X"),
        ("幺二三", "123"),
        ("苏A一二三四五", "苏A12345"),
        ("京 b 幺二三四五", "京B12345"),
        ("沪A·D12345", "沪AD12345"),
        ("一百三十箱", "130箱"),
        ("七个月", "7个月"),
        ("两个半小时", "2.5个小时"),
        ("四百三十二点五公斤", "432.5公斤"),
        ("两点半", "2:30"),
        ("下午三点一刻", "下午3:15"),
        ("今天十二点五公斤", "今天12.5公斤"),
        ("第六十三条第一款", "第63条第1款"),
        ("百分之二十", "20%"),
        ("千分之三", "3‰"),
        ("三分之一", "1/3"),
        ("一万二", "12000"),
        ("三百五十多个", "350多个"),
        ("三单元五零二室", "3单元502室"),
        ("零点五升", "0.5升"),
        ("晚上十一点五十九", "晚上11:59"),
        ("五月一号", "5月1日"),
        ("12315", "12315"),
        ("I paid 20 yuan at 10:30", "I paid 20 yuan at 10:30"),
    ],
)  # fmt: skip
def test_what_is_said_in_the_trade(said: str, written: str) -> None:
    assert normal_form(said) == written


@pytest.mark.parametrize(
    "said",
    [
        "统一一下", "我们一起去", "一个人一份", "万一呢", "千万别动", "十分好", "十几个人", "几十箱", "三四天",
        "三五天", "二三十个", "两三百块钱", "三天两头来", "七七八八", "不管三七二十一", "提三点要求", "有一点问题",
        "星期三", "老百姓", "我们十点到", "三言两语", "双十一", "九八年", "你这个二百五", "零", "苏A",
    ],
)  # fmt: skip
def test_sayings_rough_numbers_and_a_single_one_stay(said: str) -> None:
    assert normal_form(said) == said
