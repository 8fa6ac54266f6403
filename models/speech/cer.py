"""Character error rate under one published normaliser, so that figures of different engines can be compared. Plain.

The normaliser: NFKC; traditional to simplified (opencc t2s); lower case; digits as they are said; no punctuation, no
symbols, no white space. 幺 counts as 一 and 两 as 二, since they are the same number.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import opencc

_DIGITS: Final = "零一二三四五六七八九"
_UNITS: Final = ("", "十", "百", "千")
_GROUPS: Final = ("", "万", "亿")
_NUMBER: Final = re.compile(r"(\d+)(?:\.(\d+))?(%?)(年?)")


@dataclass(frozen=True, slots=True)
class Errors:
    """How far texts are from what was said. signs: of the references, normalised."""

    wrong: int
    signs: int

    @property
    def rate(self) -> float:
        return self.wrong / self.signs if self.signs else float(self.wrong > 0)

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(self.wrong + other.wrong, self.signs + other.signs)


def normalised(text: str) -> str:
    """Text as it is compared."""
    plain = simplified(unicodedata.normalize("NFKC", text)).lower()
    spoken = _NUMBER.sub(_spoken, plain).replace("幺", "一").replace("两", "二").replace("〇", "零")
    return "".join(sign for sign in spoken if unicodedata.category(sign)[0] not in "PSZC")


def errors(said: str, heard: str) -> Errors:
    """Insertions, deletions and substitutions of characters, after normalising both."""
    reference, hypothesis = normalised(said), normalised(heard)
    return Errors(distance(reference, hypothesis), len(reference))


def total(pairs: Iterable[tuple[str, str]]) -> Errors:
    """Over pairs of (said, heard): longer texts weigh more."""
    return sum((errors(said, heard) for said, heard in pairs), Errors(0, 0))


def distance(one: str, other: str) -> int:
    """Levenshtein's distance, a row at a time.

    A row is vectorised by taking insertions last: min over j <= i of (cost[j] + i - j) is a running minimum.
    """
    if not one or not other:
        return len(one) + len(other)
    signs = np.array([ord(sign) for sign in other])
    place = np.arange(len(other) + 1)
    row = place.copy()
    for number, sign in enumerate(one, 1):
        cost = np.minimum(row[1:] + 1, row[:-1] + (signs != ord(sign)))
        row = np.minimum.accumulate(np.concatenate([[number], cost]) - place) + place
    return int(row[-1])


def simplified(text: str) -> str:
    """Traditional characters as simplified ones; what is simplified already stays."""
    return str(_converter().convert(text))


@cache
def _converter() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def _spoken(number: re.Match[str]) -> str:
    whole, part, percent, year = number.groups()
    is_read_out = bool(year) or len(whole) > 9 or (len(whole) > 1 and whole[0] == "0") or len(whole) in (5, 6, 7, 8, 9)
    said = _read_out(whole) if is_read_out and not part else _counted(int(whole))
    return ("百分之" if percent else "") + said + ("点" + _read_out(part) if part else "") + year


def _read_out(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)


def _counted(number: int) -> str:
    """123 as 一百二十三; below 10**12."""
    if number == 0:
        return _DIGITS[0]
    parts: list[str] = []
    for group in range(len(_GROUPS) - 1, -1, -1):
        value = number // 10_000**group % 10_000
        if value:
            gap = _DIGITS[0] if parts and value < 1000 else ""
            parts.append(gap + _four(value) + _GROUPS[group])
    said = "".join(parts)
    return said[1:] if said.startswith("一十") else said


def _four(value: int) -> str:
    said = ""
    for place in range(3, -1, -1):
        digit = value // 10**place % 10
        if digit:
            said += _DIGITS[digit] + _UNITS[place]
        elif said and not said.endswith(_DIGITS[0]) and value % 10**place:
            said += _DIGITS[0]
    return said
