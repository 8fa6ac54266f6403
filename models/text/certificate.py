"""What of the lines in a picture speaks of an enforcement certificate (行政执法证). Plain code: knows no model.

A certificate is a title that stands alone, with its fields around it. A licence, a record of an inspection that names
the number of a certificate, and a poster that says one must be shown, are none. No law fixes how its number looks here:
whatever stands behind a label is taken as it was read.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.text.base import Line

SHOWN_FROM: Final = 0.5
"""Confidence from which a certificate counts as shown; chosen on made pictures, docs/evaluation.md."""

_VARIANTS: Final = str.maketrans("證証執號編監單", "证证执号编监单")
_CERTIFICATE_SIGNS: Final = "证正征症诬"
"""What 证 is read as when it is blurred."""
_TITLE: Final = "行政执法"
_PARTS: Final = re.compile(r"行政执法|执[^业照行]证|[^司方]法证")
"""What light or fingers leave of a title; it takes a number and a name beside it to be one."""
_SPEAKS: Final = re.compile(r"出示|查验|请|应|无|未|凭|亮|配合|检查|主动|办理|我们|有权|持|看")
"""Before a title, words that make a sentence of it."""
_PAPERS: Final = re.compile(r"(笔录|通知书|决定书|告知书|责任书|承诺书|回证|公示栏?|须知|制度|公告|清单)$")
_OFFICE: Final = re.compile(r"市场监.管理|市场监督.理|市.监督管理|场监督管理|市场监管|综合执法")
_LABELLED: Final = re.compile(r"([一-鿿]{0,6}号码?)[:.]?([A-Z0-9][A-Z0-9-]{3,29})$")
_NUMBER_LABEL: Final = re.compile(r"[一-鿿]{0,6}号码?[:.]?$")
_NUMBER: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{3,29}$")
_OTHER_NUMBER: Final = re.compile(r"身份|许可|电话|手机|批号|货号|工号|卡号|信用")
_NAMED: Final = re.compile(r"姓名[:.]?([一-鿿·]{2,8})$")
_NAME_LABEL: Final = re.compile(r"姓名[:.]?$")
_NAME: Final = re.compile(r"[一-鿿·]{2,8}$")
_OWN_NUMBER: Final = re.compile(r"执法证件?(编?号|号码)")
_OF_A_RECORD: Final = re.compile(r"人员|询问|记录|当事人")

_REACH: Final = 14.0
"""How far a field may be from the title, in heights of the title's signs."""
_LONGEST_PLACE: Final = 16
"""Signs before a title that name whose it is (中华人民共和国…)."""

_WHOLE_TITLE: Final = 0.65
_SHORT_TITLE: Final = 0.55
_DOUBTFUL_TITLE: Final = 0.45
_PART_OF_TITLE: Final = 0.25
_NUMBER_ALONE: Final = 0.3
_PER_NUMBER: Final = 0.15
_PER_FIELD: Final = 0.1
_SURELY_READ: Final = 0.9
"""Confidence of a line from which its reading is not doubted."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was made of a picture. confidence: 0..1, by rule, not calibrated; is_shown: it is SHOWN_FROM or more.

    number, name: as they were read beside their labels; "" where there was none. lines: what it was made of.
    """

    is_shown: bool
    confidence: float
    number: str = ""
    name: str = ""
    lines: tuple[Line, ...] = ()


def found(lines: Sequence[Line]) -> Certificate:
    """The certificate that is surest, of those in the picture that these lines are of."""
    read = [_Read(line, bare(line.text)) for line in lines]
    seen = [_around(title, surety, read) for title, surety in _titles(read)]
    seen += [_around(each, _PART_OF_TITLE, read) for each in read if _PARTS.fullmatch(each.text)]
    seen += [_around(each, _NUMBER_ALONE, read) for each in read if _OWN_NUMBER.match(each.text)]
    return max(seen, key=lambda each: each.confidence, default=Certificate(is_shown=False, confidence=0.0))


def bare(text: str) -> str:
    """Without spaces, wide signs narrow, capital letters, variants of signs as one."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).upper().translate(_VARIANTS)


@dataclass(frozen=True, slots=True)
class _Read:
    line: Line
    text: str

    @property
    def centre(self) -> NDArray[np.float64]:
        return np.asarray(np.mean(self.line.corners, axis=0), np.float64)

    def distance(self, other: "_Read") -> float:
        return float(np.linalg.norm(self.centre - other.centre))


def title_surety(text: str) -> float:
    """How surely a line of this bare text is the title of a certificate, 0..1; 0: it is none."""
    surest = 0.0
    for place, sign in enumerate(text):
        if sign in _CERTIFICATE_SIGNS and text[place + 1 :] in ("", "件"):
            surest = max(surest, _surety_before(text[:place], is_clear=sign == "证"))
    return surest


def _surety_before(before: str, *, is_clear: bool) -> float:
    for taken in (4, 3, 5, 2):
        place, own = before[: len(before) - taken], before[-taken:]
        if len(before) < taken or len(place) > _LONGEST_PLACE or _SPEAKS.search(before):
            continue
        if own == _TITLE:
            return _WHOLE_TITLE if is_clear else _DOUBTFUL_TITLE
        if taken > 2 and _distance(own, _TITLE) == 1 and is_clear:
            return _SHORT_TITLE if own.endswith("执法") else _DOUBTFUL_TITLE
        if own == "执法":
            return _SHORT_TITLE if is_clear else 0.0
    return 0.0


def _distance(one: str, other: str) -> int:
    """Signs to change, put in or take out. Source: Levenshtein 1966."""
    row = list(range(len(other) + 1))
    for i, sign in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, wanted in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (sign != wanted))
    return row[-1]


def _titles(read: list[_Read]) -> Iterator[tuple[_Read, float]]:
    for each in read:
        if surety := title_surety(each.text):
            yield each, surety
    for one in read:
        for other in read:
            if one is not other and len(one.text + other.text) <= _LONGEST_PLACE and _follow(one, other):
                surety = title_surety(one.text + other.text)
                if surety > max(title_surety(one.text), title_surety(other.text)):
                    yield one, surety


def _follow(one: _Read, other: _Read) -> bool:
    """Whether both may be parts of one line: of one height, near, on one row. Which is first is not known."""
    height = one.line.height
    if not 0.6 * height < other.line.height < 1.6 * height:
        return False
    apart = other.centre - one.centre
    length = (len(one.text) + len(other.text)) / 2 * height
    return bool(abs(apart @ _across(one)) < 0.6 * height and abs(apart @ _along(one)) < length + 2.5 * height)


def _along(read: _Read) -> NDArray[np.float64]:
    """The direction of its text, length 1; of the longer side where the box lies."""
    corners = np.asarray(read.line.corners, np.float64)
    side = corners[1] - corners[0]
    if np.linalg.norm(side) < np.linalg.norm(corners[3] - corners[0]) and len(read.text) > 1:
        side = corners[3] - corners[0]
    return np.asarray(side / max(float(np.linalg.norm(side)), 1e-6), np.float64)


def _across(read: _Read) -> NDArray[np.float64]:
    x, y = _along(read)
    return np.array([-y, x])


def _around(title: _Read, surety: float, read: list[_Read]) -> Certificate:
    """The certificate with this title: its fields are what stands near, nothing that a higher paper's title claims."""
    reach = _REACH * title.line.height * (2.0 if surety == _NUMBER_ALONE else 1.0)
    near = sorted((each for each in read if title.distance(each) <= reach), key=title.distance)
    if any(_is_paper(each) and each.line.height >= title.line.height for each in near):
        return Certificate(is_shown=False, confidence=0.0)
    if surety < _DOUBTFUL_TITLE and any(_OF_A_RECORD.search(each.text) for each in near):
        return Certificate(is_shown=False, confidence=0.0)
    number, of_number = _field(near, _LABELLED, _NUMBER_LABEL, _NUMBER)
    name, of_name = _field(near, _NAMED, _NAME_LABEL, _NAME)
    offices = [each for each in near if each is not title and _OFFICE.search(each.text)][:1]
    confidence = surety * min(1.0, title.line.confidence / _SURELY_READ)
    confidence += _PER_NUMBER * bool(number) + _PER_FIELD * bool(name) + _PER_FIELD * bool(offices)
    if surety == _PART_OF_TITLE and not (number and name):
        confidence = 0.0
    used = dict.fromkeys(each.line for each in (title, *of_number, *of_name, *offices))
    return Certificate(confidence >= SHOWN_FROM, min(confidence, 1.0), number, name, tuple(used))


def _is_paper(read: _Read) -> bool:
    return _PAPERS.search(read.text) is not None


def _field(
    near: list[_Read], whole: re.Pattern[str], label: re.Pattern[str], value: re.Pattern[str]
) -> tuple[str, list[_Read]]:
    """A field's value and the lines that it is of: the nearest that has both in one line, else a label's neighbour."""
    for each in near:
        if (match := whole.match(each.text)) and not _OTHER_NUMBER.search(each.text):
            return match[match.lastindex or 0], [each]
    for each in near:
        if label.match(each.text) and not _OTHER_NUMBER.search(each.text):
            beside = [other for other in near if other is not each and value.match(other.text) and _row(each, other)]
            if beside:
                nearest = min(beside, key=each.distance)
                return nearest.text, [each, nearest]
    return "", []


def _row(label: _Read, other: _Read) -> bool:
    """Whether `other` stands in the label's row and not far from it."""
    apart = other.centre - label.centre
    along = abs(apart @ _along(label)) - (len(label.text) + len(other.text)) / 2 * label.line.height
    return bool(abs(apart @ _across(label)) < 0.7 * label.line.height and along < 6 * label.line.height)
