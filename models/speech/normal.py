"""Numbers in one form beside the words as heard, so that they can be searched, compared and read. Plain text work.

| said | written | |
|---|---|---|
| 二零二四年三月十五日 | 2024-03-15 | ISO 8601; 二零二四年三月: 2024-03 |
| 三月十五号 | 3月15日 | a day whose year was not said stays one: nobody guesses a year |
| 下午两点半, 十四点三十分 | 下午2:30, 14:30 | as said: 下午 is not counted into hours |
| 五百一十元, 六万块钱, 三块五毛 | 510元, 60000元, 3.5元 | |
| 电话八四六五六三二 | 电话8465632 | four digits or more one by one, and 幺 |
| 苏A一二三四五 | 苏A12345 | plates, GA 36-2018 |
| 第六十三条, 百分之二十, 三分之一 | 第63条, 20%, 1/3 | |
| 一百三十箱, 七个月, 两个半小时 | 130箱, 7个月, 2.5个小时 | |

Left as they are: 一 alone (一下, 一起, 统一, 一个人), 十几, 三四天, 万一, 千万, and sayings (三天两头).
Of English nothing is changed but digits grouped by commas.
Known failures: names made of numbers that are in no list below; 三点五 is 3.5, also where 3:05 was meant.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from models.speech.numerals import DIGIT, DIGITS, RUN, amount_of, digits_of, value_of, written

_NUMBER: Final = rf"(?:\d+(?:\.\d+)?[百千]?万?亿?|{RUN}(?:点{DIGIT}+[万亿]?)?)"
_BEFORE: Final = r"(?<![\d.零〇一二两三四五六七八九十百千万亿几数上点第之])"  # a number begins here
_AFTER: Final = r"(?![\d零〇一二两三四五六七八九十百千万亿几])"
_MEASURES: Final = (
    "个月|个|箱|瓶|盒|袋|包|件|桶|罐|支|张|份|册|本|台|辆|套|只|条|根|块|片|粒|颗|批|次|家|户|名|位|人|种|款|项|步|层|楼|栋|幢|间|室|单元|弄|号|页|遍|"
    "公斤|千克|毫克|克|斤|吨|毫升|升|厘米|毫米|公里|千米|米|平方米|平米|立方米|亩|度|天|日|周|星期|年|小时|分钟|秒钟|秒|岁|折|倍"
)
_HALVED: Final = "个|斤|公斤|吨|年|天|米|小时|岁|倍"
_SAYINGS: Final = re.compile(
    f"一五一十|一点一滴|一点一点|一星半点|两点一线|(?<!{DIGIT})七七八八(?!{DIGIT})|三三两两|千千万万|三天两头|三番五次|三番两次|五花八门|七上八下|九牛一毛|四通八达|三心二意|两面三刀|接二连三|"
    "三令五申|三长两短|三五成群|四分五裂|五脏六腑|七零八落|七拼八凑|七嘴八舌|五颜六色|四面八方|千方百计|三言两语|三六九等|三七二十一|"
    "九九八十一|五十步笑百步|三十六计|七十二变|八九不离十|十全十美|十之八九|十有八九|百分百|二百五(?![十元块个箱瓶人公斤件])|"
    "三只松鼠|六个核桃|七匹狼|双十一|十一(?:假期|黄金周|长假|期间)|二十四节气|二维码|三轮车|三明治|四季|五金|两岸|两会|两码事|两口子"
)
_PROVINCES: Final = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PLATE: Final = re.compile(
    rf"([{_PROVINCES}])\s?([A-HJ-NP-Za-hj-np-z])[\s·•.]?((?:[\dA-HJ-NP-Za-hj-np-z零〇幺一二三四五六七八九]\s?){{4,5}}"
    r"[\dA-HJ-NP-Za-hj-np-z零〇幺一二三四五六七八九挂学警港澳])(?![\dA-Za-z零〇幺一二三四五六七八九十百千万亿])"
)
_YEAR: Final = rf"(?P<year>{DIGIT}{{4}}|\d{{4}})年"
_MONTH: Final = r"(?P<month>[一二三四五六七八九]|十[一二]?|0?[1-9]|1[0-2])月"
_DAY: Final = r"(?P<day>二?十[一二三四五六七八九]?|三十一?|[一二三四五六七八九]|0?[1-9]|[12]\d|3[01])[日号]"
_DATE: Final = re.compile(rf"(?<![\d零〇一二三四五六七八九十百千万亿])(?:{_YEAR})?{_MONTH}(?:{_DAY})?")
_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_HOUR: Final = r"(?P<hour>[零〇一二两三四五六七八九]|二?十[一二三四五六七八九]?|[01]?\d|2[0-4])"
_MINUTE: Final = r"(?:[零〇][一二三四五六七八九]|[二三四五]?十[一二三四五六七八九]?|[0-5]?\d)"
_TIME: Final = re.compile(
    rf"(?<![\d:.零〇一二两三四五六七八九十百千万亿第])(?P<part>(?:凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|今天|明天|昨天|当天|当日|当晚|\d日)的?)?"
    rf"{_HOUR}[点时](?:(?P<half>半)|(?P<quarter>[一三])刻|(?P<clock>钟|整)|(?P<minute>{_MINUTE})分(?!钟|之)|"
    r"(?P<bare>[二三四五]?十[一二三四五六七八九]?)(?![一二三四五六七八九十百千万亿个元块条名人箱瓶件家项种次年月日天斤公多几])|"
    r"(?![\d零〇一二三四五六七八九十百千万亿几]))"
)
_YUAN: Final = re.compile(
    rf"{_BEFORE}(?P<yuan>{_NUMBER})(?:元|圆|块钱|块(?=[一二两三四五六七八九\d][毛角])|块(?=[，。！？；、,.!?;\s]|$)|"
    r"(?P<few>块(?=[一二三四五六七八九](?:$|[，。！？；、,.!?;\s]))))(?:(?P<jiao>[一二两三四五六七八九\d])(?:[毛角]钱?|(?(few)|(?!))))?"
    r"(?:(?P<fen>[一二两三四五六七八九\d])分钱?)?(?!旦|化|素)"
)
_JIAO: Final = re.compile(
    rf"{_BEFORE}(?P<jiao>[一二两三四五六七八九\d])[毛角](?:钱|(?P<fen>[一二两三四五六七八九\d])分钱?|(?=[，。！？；、,.!?;\s]|$))"
)
_CURRENCY: Final = re.compile(r"[¥￥]\s?(\d+(?:\.\d+)?)(?![\d.]*[万亿元])")
_PERCENT: Final = re.compile(rf"(百|千)分之(百(?![分十])|{_NUMBER}){_AFTER}")
_FRACTION: Final = re.compile(rf"{_BEFORE}({RUN}|\d+)分之({RUN}|\d+){_AFTER}")
_STRING: Final = re.compile(
    r"(?<![十百千万亿两])(?:[零〇幺一二三四五六七八九](?: (?=[零〇幺一二三四五六七八九]))?)+(?![两十百千万亿点])"
)
_TOLD: Final = re.compile(
    r"(?:电话|手机|号码|证号|编号|单号|批号|工号|警号|尾号|账号|卡号|代码)(?:号码|号|是|为|的|：|:|\s)*(?P<number>[\d零〇幺一二三四五六七八九]"
    r"(?:[ -]?[\d零〇幺一二三四五六七八九])+[Xx]?)(?![两十百千万亿点\d])"
)
_MOBILE: Final = re.compile(r"(?<!\d)(1[3-9]\d)[\s-](\d{4})[\s-](\d{4})(?!\d)")
_ARTICLE: Final = re.compile(rf"第({RUN}|\d+)(条|款|项|章|节|页|号|次|批)")
_ORDINAL: Final = re.compile(rf"第({RUN})(?![几])")
_HALF: Final = re.compile(rf"{_BEFORE}(?P<number>{_NUMBER})(?P<measure>{_HALVED})半(?P<rest>小时|月|年|天)?")
_COUNTED: Final = re.compile(rf"{_BEFORE}(?P<number>{_NUMBER})(?:(?P<measure>{_MEASURES})|{_AFTER})")
_GROUPED: Final = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")
_NUMERAL: Final = re.compile(r"[\d零〇一二两三四五六七八九十]")
_WIDE: Final = str.maketrans("０１２３４５６７８９", "0123456789")


def normal_form(text: str) -> str:
    """`text` with its numbers as above. Twice changes nothing; without numbers it comes back as it is."""
    while (new := _once(text)) != text:
        text = new
    return text


def _once(text: str) -> str:
    parts, at = [], 0
    for saying in _SAYINGS.finditer(text):
        parts += [_turned(text[at : saying.start()]), saying.group()]
        at = saying.end()
    return "".join((*parts, _turned(text[at:])))


def _turned(text: str) -> str:
    for pattern, turn in _RULES:
        text = pattern.sub(turn, text)
    return text


def _wide(found: re.Match[str]) -> str:
    return found.group().translate(_WIDE)


def _ungrouped(found: re.Match[str]) -> str:
    return found.group().replace(",", "")


def _plate(found: re.Match[str]) -> str:
    signs = re.sub(r"\s", "", found[3])
    if not any(sign.isdigit() or sign in DIGITS for sign in signs):
        return found.group()
    return found[1] + (found[2] + "".join(str(DIGITS.get(sign, sign)) for sign in signs)).upper()


def _date(found: re.Match[str]) -> str:
    month, day = _small(found["month"]), _small(found["day"]) if found["day"] else None
    if day is not None and not 1 <= day <= _LENGTHS[month - 1]:
        return found.group()
    year = found["year"] and (found["year"] if found["year"].isascii() else digits_of(found["year"]))
    if year and not (day == 29 and month == 2 and not _is_leap(int(year))):
        is_followed = _NUMERAL.match(found.string, found.end())  # by the time of day, of which it stays apart
        return f"{year}-{month:02}{'' if day is None else f'-{day:02}'}{' ' if is_followed else ''}"
    if year or (day is None and found["month"] == "一"):
        return found.group()  # no such day; or 一月, which may be any month's length
    return f"{month}月" if day is None else f"{month}月{day}日"


def _time(found: re.Match[str]) -> str:
    hour, part = _small(found["hour"]), found["part"] or ""
    minute = 0
    if found["half"]:
        minute = 30
    elif found["quarter"]:
        minute = 15 if found["quarter"] == "一" else 45
    elif said := found["minute"] or found["bare"]:
        minute = _small(said.lstrip("零〇") if not said.isascii() else said)
    elif not found["clock"] and (not part or found.group().endswith("时")):
        return found.group()  # 三点 may be three points, 三时 is rare
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        return found.group()
    return f"{part}{hour}:{minute:02}"


def _money(found: re.Match[str]) -> str:
    yuan = amount_of(found["yuan"])
    if yuan is None:
        return found.group()
    value = yuan + _digit(found["jiao"]) / 10 + _digit(found["fen"]) / 100
    return f"{written(value)}元"


def _small_money(found: re.Match[str]) -> str:
    return f"{written(_digit(found['jiao']) / 10 + _digit(found['fen']) / 100)}元"


def _percent(found: re.Match[str]) -> str:
    value = Decimal(100) if found[2] == "百" else amount_of(found[2])
    return found.group() if value is None else f"{written(value)}{'%' if found[1] == '百' else '‰'}"


def _fraction(found: re.Match[str]) -> str:
    below, above = amount_of(found[1]), amount_of(found[2])
    return found.group() if below is None or above is None else f"{written(above)}/{written(below)}"


def _string(found: re.Match[str]) -> str:
    signs = found.group().replace(" ", "")
    least = 3 if "幺" in signs else 4
    return digits_of(signs) if len(signs) >= least else found.group()


def _told(found: re.Match[str]) -> str:
    signs = re.sub(r"[ -]", "", found["number"])
    return found.group().removesuffix(found["number"]) + "".join(str(DIGITS.get(sign, sign)) for sign in signs)


def _article(found: re.Match[str]) -> str:
    value = value_of(found[1]) if not found[1].isascii() else int(found[1])
    return found.group() if value is None else f"第{value}{found[2]}"


def _ordinal(found: re.Match[str]) -> str:
    value = value_of(found[1]) if len(found[1]) > 1 else None
    return found.group() if value is None else f"第{value}"


def _half(found: re.Match[str]) -> str:
    value = amount_of(found["number"])
    if value is None or value != int(value):
        return found.group()
    return f"{written(value + Decimal('0.5'))}{found['measure']}{found['rest'] or ''}"


def _counted(found: re.Match[str]) -> str:
    """Two signs or more are a number; one is where something is counted, but for 一."""
    said, measure = found["number"], found["measure"] or ""
    if said.isascii():
        return found.group()  # written already; 05 is not 5
    value = amount_of(said)
    is_alone = len(said) == 1
    if value is None or (is_alone and (not measure or said == "一")):
        return found.group()
    if re.fullmatch(f"{DIGIT}+", said) and not is_alone:
        return f"{digits_of(said)}{measure}" if len(said) > 2 and measure else found.group()  # 五零二室, but 三四天
    return f"{written(value)}{measure}"


def _small(said: str) -> int:
    """Of a match that only numbers below 100 pass."""
    return int(said) if said.isascii() else value_of(said) or 0


def _digit(said: str | None) -> Decimal:
    return Decimal(0) if not said else Decimal(int(said) if said.isascii() else DIGITS[said])


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


_RULES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"[０-９]+"), _wide),
    (_GROUPED, _ungrouped),
    (_PLATE, _plate),
    (_PERCENT, _percent),
    (_FRACTION, _fraction),
    (_DATE, _date),
    (_TIME, _time),
    (_CURRENCY, lambda found: f"{found[1]}元"),
    (_YUAN, _money),
    (_JIAO, _small_money),
    (_TOLD, _told),
    (_STRING, _string),
    (_MOBILE, lambda found: f"{found[1]}{found[2]}{found[3]}"),
    (_ARTICLE, _article),
    (_ORDINAL, _ordinal),
    (_HALF, _half),
    (_COUNTED, _counted),
)
"""In this order: what a rule has written, no later one takes for something else."""
