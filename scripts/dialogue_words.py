"""The hand-written sentences that scripted dialogues are made of (tests/dialogues/wordings). Reads files, writes none.

A section `[name]` and its lines. A line of duties: `letters|text +duty`; letters: regions and kinds of steps in which
it is said; +duty: what else it does. A line of talk: sentences parted by ` / `, each headed O: (officer), P: (party) or
B: (bystander).
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

FOLDER: Final = Path(__file__).resolve().parent.parent / "tests" / "dialogues" / "wordings"
DUTIES: Final = (
    "identity_stated",
    "certificate_shown",
    "recording_notified",
    "grounds_stated",
    "recusal_informed",
    "statement_and_defence_informed",
    "evidence_list_read",
    "signature_requested",
)
REGIONS: Final = "川东粤豫"
"""Words of Sichuan, of the north-east, of Cantonese speakers, of Henan; a dialogue is of one of them at most."""
By = Literal["officer", "other"]
T = TypeVar("T")
_BY: Final[Mapping[str, By]] = {"O:": "officer", "P:": "other", "B:": "other"}


@dataclass(frozen=True, slots=True)
class Wording:
    """One way to do a duty. duties: all that it does. regions, kinds: empty where it is said everywhere."""

    text: str
    duties: frozenset[str]
    regions: str
    kinds: str


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence, by whom, and the duties that are done once it is said to the end."""

    by: By
    text: str
    duties: frozenset[str] = frozenset()


Exchange = tuple[Said, ...]
Sections = Mapping[str, Sequence[str]]


def sections(split: str, folder: Path = FOLDER) -> Sections:
    """All sections of a split by name. Raises: ValueError: a section stands twice, or a line before any."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob(f"{split}_*.txt")):
        lines: list[str] | None = None
        for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
            if line.startswith("["):
                if line[1:-1] in found:
                    raise ValueError(f"{path}: {line} stands twice")
                lines = found.setdefault(line[1:-1], [])
            elif line and not line.startswith("#"):
                if lines is None:
                    raise ValueError(f"{path}: a line before the first section")
                lines.append(line)
    return found


def wordings(lines: Sequence[str], duty: str) -> list[Wording]:
    """The ways to do a duty."""
    return [_wording(line, duty) for line in lines]


def exchanges(lines: Sequence[str]) -> list[Exchange]:
    """Talk that does no duty. Raises: KeyError: a sentence is headed by none of O:, P:, B:."""
    return [tuple(Said(_BY[part[:2]], part[2:]) for part in line.split(" / ")) for line in lines]


class Deck:
    """Draws what was drawn least, so that every sentence is used before one is used twice more than others."""

    def __init__(self) -> None:
        self._drawn: Counter[object] = Counter()

    def draw(self, pool: Sequence[T], chance: random.Random, fits: Callable[[T], bool] = lambda _: True) -> T:
        """Raises: ValueError: nothing fits."""
        able = [each for each in pool if fits(each)]
        fewest = min(self._drawn[each] for each in able)
        drawn = chance.choice([each for each in able if self._drawn[each] == fewest])
        self._drawn[drawn] += 1
        return drawn


def _wording(line: str, duty: str) -> Wording:
    text, *more = line.split(" +")
    letters, bar, rest = text.partition("|")
    if not bar:
        letters, rest = "", text
    regions = "".join(letter for letter in letters if letter in REGIONS)
    kinds = "".join(letter for letter in letters if letter not in REGIONS)
    return Wording(rest, frozenset([duty, *more]), regions, kinds)
