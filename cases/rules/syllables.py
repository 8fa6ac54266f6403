"""How alike two Chinese signs sound. Tones do not count; a model of speech confuses what sounds alike.

Near sounds are those that speakers of southern and south-western Mandarin do not keep apart: zh/z, ch/c, sh/s, n/l,
r/l, f/h, in/ing, en/eng, an/ang. A table of what was asked once keeps the price of a comparison to one look.
"""

from functools import lru_cache
from typing import Final

from pypinyin import Style, pinyin

HOMOPHONE: Final = 0.1
"""Another sign of the same syllable; not nought, so that the very word wins over one that sounds like it."""
RARE_HOMOPHONE: Final = 0.2  # alike in a reading that is not the first of either sign
NEAR: Final = 0.3
HALF: Final = 0.7  # the initial or the final alone is alike
OTHER: Final = 1.0

CONTRARY: Final = 3.0
"""One person or figure for another: no model mishears 你们的 as 我们的, or 110 as 120, and they mean something else."""
PERSONS: Final = frozenset("我咱你您他她它")
_MOST_PAIRS = 200_000  # of 2 signs each: about 30 MB, far more than the words of a language give
_INITIALS = ("zh", "ch", "sh", *"bpmfdtnlgkhjqxrzcsyw")
_NEAR_INITIALS = {"zh": "z", "ch": "c", "sh": "s", "n": "l", "r": "l", "f": "h"}


@lru_cache(maxsize=30_000)
def readings(sign: str) -> tuple[str, ...]:
    """Without tones, the usual one first; a sign that is no Chinese character reads as itself."""
    found = pinyin(sign, style=Style.NORMAL, heteronym=True)
    return tuple(dict.fromkeys(found[0])) if found and found[0] else (sign,)


@lru_cache(maxsize=30_000)
def sound(sign: str) -> str:
    """The usual reading with near sounds made one: what two signs share that are easily confused."""
    return _merged(readings(sign)[0])


class Costs(dict[str, float]):
    """What it costs to take the second of two signs for the first, by the two as one text: 0..1, or CONTRARY."""

    def __missing__(self, pair: str) -> float:
        if len(self) >= _MOST_PAIRS:
            self.clear()
        cost = self[pair] = _cost(pair[0], pair[1])
        return cost


def _cost(one: str, other: str) -> float:
    if one == other:
        return 0.0
    if one in PERSONS and other in PERSONS and {one, other} != {"你", "您"}:
        return CONTRARY
    if one.isascii() and other.isascii():
        return CONTRARY
    ones, others = readings(one), readings(other)
    if ones[0] == others[0]:
        return HOMOPHONE
    if set(ones) & set(others):
        return RARE_HOMOPHONE
    if _merged(ones[0]) == _merged(others[0]):
        return NEAR
    (initial, final), (other_initial, other_final) = _split(_merged(ones[0])), _split(_merged(others[0]))
    return HALF if final and other_final and (initial == other_initial or final == other_final) else OTHER


@lru_cache(maxsize=5_000)
def _merged(syllable: str) -> str:
    initial, final = _split(syllable)
    if final.endswith(("ing", "eng", "ang")):
        final = final[:-1]
    return _NEAR_INITIALS.get(initial, initial) + final


def _split(syllable: str) -> tuple[str, str]:
    """Initial and final; what is no syllable has no final."""
    for initial in _INITIALS:
        if syllable.startswith(initial):
            return initial, syllable[len(initial) :]
    return "", syllable if syllable.isalpha() else ""
