"""The law texts that rules cite: articles by number. Reads configs/laws; nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cases.rules.mistakes import Mistake
from pipeline.errors import RulesInvalid

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "configs" / "laws"
_TITLE = re.compile(r"^# *(?:中华人民共和国)?(.+?)\s*$")
_ARTICLE = re.compile(r"^\*\*第([一二三四五六七八九十百零]{1,7})条\*\*\s*(.*)$")
_CITED = re.compile(r"^《?([^《》第0-9]{2,}?)》?\s*第?\s*([0-9]{1,4}|[一二三四五六七八九十百零]{1,7})\s*条$")
_DIGITS = "零一二三四五六七八九"
_UNITS = {"十": 10, "百": 100}


@dataclass(frozen=True, slots=True)
class Law:
    """name: as it is cited (行政处罚法). articles: text by number."""

    name: str
    articles: Mapping[int, str]


class Laws:
    """All laws of the folder, by name."""

    def __init__(self, laws: Mapping[str, Law]) -> None:
        self._laws = laws

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._laws)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every article of every law."""
        return tuple(text for law in self._laws.values() for text in law.articles.values())

    def articles_of(self, name: str) -> int:
        """How many articles the law has; 0: no such law here."""
        law = self._laws.get(name)
        return len(law.articles) if law else 0

    def text(self, name: str, article: int) -> str | None:
        """The article; None: no such law here, or no such article in it."""
        law = self._laws.get(name)
        return law.articles.get(article) if law else None


def load_laws(folder: Path = FOLDER) -> Laws:
    """Every `*.md` of the folder: `# name`, then `**第一条** text`.

    Raises: RulesInvalid: it cannot be read, or says nothing.
    """
    found: dict[str, Law] = {}
    try:
        for path in sorted(folder.glob("*.md")):
            law = _law(path.read_text(encoding="utf-8"))
            found[law.name] = law
    except (OSError, UnicodeDecodeError) as error:
        raise RulesInvalid([Mistake(str(folder), 0, str(error), "make it readable")]) from error
    if not any(law.articles for law in found.values()):
        raise RulesInvalid([Mistake(str(folder), 0, "no law text in it", "put the laws there that rules cite")])
    return Laws(found)


def cited(text: str) -> tuple[str, int] | None:
    """`行政处罚法 第五十五条` or `行政处罚法 55条` as a law's name and a number; None: no citation."""
    match = _CITED.match(text.strip())
    if match is None:
        return None
    name, number = match.groups()
    return name.removeprefix("中华人民共和国").strip(), int(number) if number.isdigit() else number_of(number)


def number_of(numeral: str) -> int:
    """一百二十三 as 123."""
    total, digit = 0, 0
    for sign in numeral:
        if sign in _UNITS:
            total += (digit or 1) * _UNITS[sign]
            digit = 0
        else:
            digit = _DIGITS.index(sign)
    return total + digit


def numeral_of(number: int) -> str:
    """123 as 一百二十三; 1 to 999."""
    hundreds, tens, ones = number // 100, number // 10 % 10, number % 10
    parts = f"{_DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        parts += ("" if tens == 1 and not hundreds else _DIGITS[tens]) + "十"
    elif hundreds and ones:
        parts += "零"
    return parts + (_DIGITS[ones] if ones else "")


def _law(text: str) -> Law:
    name = ""
    articles: dict[int, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if not name and (title := _TITLE.match(line)):
            name = title[1]
        elif start := _ARTICLE.match(line):
            lines = articles.setdefault(number_of(start[1]), [])
            lines.append(start[2])
        elif line.startswith("#"):
            lines = []
        elif line.strip() and articles:
            lines.append(line.strip())
    return Law(name, {number: "\n".join(parts) for number, parts in articles.items()})
