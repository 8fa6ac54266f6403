"""Numbers as they are said in Chinese, and their values. Plain text work."""

import re
from decimal import Decimal
from typing import Final

DIGITS: Final = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "幺": 1}
DIGIT: Final = "[零〇一二三四五六七八九]"
RUN: Final = "[零〇一二两三四五六七八九十百千万亿]+"
_D = "[一二两三四五六七八九]"
_SECTION = re.compile(
    rf"(?P<z0>[零〇])?(?:(?P<thousands>{_D})千)?(?P<z1>[零〇])?(?:(?P<hundreds>{_D})百)?(?P<z2>[零〇])?"
    rf"(?P<ten>(?P<tens>{_D})?十)?(?P<z3>[零〇])?(?P<ones>{_D})?"
)
"""Less than ten thousand: 三千零二十五, 十五, 三百五 (which is 350); a zero stands before what is left out."""
_ARABIC = re.compile(r"(\d+(?:\.\d+)?)([百千]?)([万亿]{0,2})")
_UNITS = {"": 1, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8, "万亿": 10**12}


def value_of(run: str) -> int | None:
    """The number that `run` says with units (十百千万亿), or the one digit that it is; None: it says none.

    三百五 is 350 and 一万二 is 12000, as people speak. 三四十 (some thirty or forty) and 十几 are no numbers.
    """
    if not run:
        return None
    upper, has_hundred_millions, rest = run.rpartition("亿")
    if not has_hundred_millions:
        return _below_hundred_millions(rest)
    high = _below_hundred_millions(upper)
    low = _part(rest, 10**8, _below_hundred_millions(rest))
    return None if not high or low is None else high * 10**8 + low


def digits_of(run: str) -> str:
    """Digit by digit: 二零二四 and 幺二 as 2024 and 12. KeyError: a sign that is no digit."""
    return "".join(str(DIGITS[sign]) for sign in run)


def amount_of(said: str) -> Decimal | None:
    """The value of 3.5万, 三点五万, 五百一十 or 二零二四; None: it says none, or not one alone (三四)."""
    if found := _ARABIC.fullmatch(said):
        unit = _UNITS.get(found[3])
        return None if unit is None else Decimal(found[1]) * _UNITS[found[2]] * unit
    whole, point, fraction = said.partition("点")
    if not point:
        if len(said) > 2 and re.fullmatch(f"{DIGIT}+", said):
            return Decimal(digits_of(said))
        value = value_of(said)
        return None if value is None else Decimal(value)
    unit_sign = fraction[-1:] if fraction[-1:] in ("万", "亿") else ""
    fraction = fraction.removesuffix(unit_sign)
    value = value_of(whole)
    if value is None or not re.fullmatch(f"{DIGIT}+", fraction):
        return None
    return Decimal(f"{value}.{digits_of(fraction)}") * _UNITS[unit_sign]


def written(value: Decimal) -> str:
    """Without an exponent and without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _below_hundred_millions(text: str) -> int | None:
    """Up to 9999万9999, and its 万 may count 亿 in turn, as in 一万亿."""
    upper, has_ten_thousands, rest = text.rpartition("万")
    if not has_ten_thousands:
        return _section(rest)
    high = _section(upper)
    low = _part(rest, 10**4, _section(rest))
    return None if not high or low is None else high * 10**4 + low


def _part(rest: str, unit: int, value: int | None) -> int | None:
    """What follows a unit: nothing, a number with its zeros, or one digit of the unit below (一万二)."""
    if not rest:
        return 0
    if len(rest) == 1 and rest in DIGITS and value:
        return value * unit // 10
    return value


def _section(text: str) -> int | None:
    if text in ("零", "〇"):
        return 0
    found = _SECTION.fullmatch(text)
    if found is None or not text or text[-1] in "零〇":
        return None
    part = {name: DIGITS.get(found[name] or "", 0) for name in ("thousands", "hundreds", "tens", "ones")}
    if found["ten"] and not found["tens"]:
        part["tens"] = 1
    if found["ones"] and not found["ten"] and not found["z3"] and not found["z2"] and not found["z1"]:
        if found["hundreds"]:
            return part["thousands"] * 1000 + part["hundreds"] * 100 + part["ones"] * 10
        if found["thousands"]:
            return part["thousands"] * 1000 + part["ones"] * 100
    return part["thousands"] * 1000 + part["hundreds"] * 100 + part["tens"] * 10 + part["ones"]
