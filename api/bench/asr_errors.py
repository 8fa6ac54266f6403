"""Recognition errors put into text, as a Mandarin recogniser makes them: mostly another character of the same or a near sound.

They come in runs, since what is misheard is a word rather than a character. Source of the confusions: zh/z, ch/c, sh/s, n/l, f/h and
-n/-ng are those that southern and south-western speakers do not part, and that recognisers mix up with them.
"""

import random
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from typing import Final

from pypinyin import lazy_pinyin

from models.speech.cer import distance, normalised

RATES: Final = (0.0, 0.1, 0.2, 0.3)
_DELETED, _INSERTED = 0.25, 0.10
"""Shares of the errors; the others are substitutions."""
_SAME_SOUND, _NEAR_SOUND = 0.70, 0.25
"""Shares of the substitutions; the others are any common character."""
_GOES_ON: Final = 0.35
"""How likely the character after a wrong one is wrong too."""
_ROUNDS: Final = 4
_INITIALS: Final = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("f", "h"), ("l", "r"))
_FINALS: Final = (("ing", "in"), ("eng", "en"), ("ang", "an"), ("uo", "o"), ("ian", "iang"))
_FILLERS: Final = "嗯啊呃哦的了那这个是就吧呢"


def with_errors(texts: Sequence[str], rate: float, chance: random.Random) -> list[str]:
    """The texts with `rate` of their characters wrong, insertions counted: 0 to 0.5, by the distance of models.speech.cer.

    Some texts get more of it than others. Where neighbouring errors cancel out, further ones are put in. A rate of 0 changes nothing.
    """
    wanted = round(rate * sum(len(normalised(text)) for text in texts))
    made, missing = list(texts), wanted
    for _ in range(_ROUNDS):
        marked = _places(made, missing, chance)
        made = [_once(text, marked[number], chance) for number, text in enumerate(made)]
        missing = wanted - sum(
            distance(normalised(one), normalised(other)) for one, other in zip(texts, made, strict=True)
        )
        if missing <= 0:
            break
    return made


def same_sound(syllable: str) -> Sequence[str]:
    """Common characters of a syllable, whatever its tone; empty where there is none."""
    return _by_syllable().get(syllable, ())


def near_sounds(syllable: str) -> list[str]:
    """Syllables that are mixed up with this one."""
    begun = [syllable, *(_begun(syllable, *pair) for pair in (*_INITIALS, *((b, a) for a, b in _INITIALS)))]
    pairs = (*_FINALS, *((b, a) for a, b in _FINALS))
    ended = [each for start, pair in product(begun, pairs) for each in (start, _ended(start, *pair))]
    return sorted({each for each in ended if each != syllable and each in _by_syllable()})


def _places(texts: Sequence[str], many: int, chance: random.Random) -> list[set[int]]:
    """For each text, where it goes wrong: `many` characters in all, in runs. Figures and letters are left as they are."""
    able = [
        (number, at)
        for number, text in enumerate(texts)
        for at, sign in enumerate(text)
        if sign >= "一" and sign.isalpha()
    ]
    many = min(many, len(able))
    after_right = many * (1 - _GOES_ON) / max(1, len(able) - many)
    chosen, is_wrong = set(), False
    for place in able:
        is_wrong = chance.random() < (_GOES_ON if is_wrong else after_right)
        if is_wrong:
            chosen.add(place)
    over = len(chosen) - many
    chosen ^= set(
        chance.sample(sorted(chosen) if over > 0 else [place for place in able if place not in chosen], abs(over))
    )
    return [{at for each, at in chosen if each == number} for number in range(len(texts))]


def _once(text: str, places: set[int], chance: random.Random) -> str:
    syllables = _syllables(text)
    return "".join(_wrong(sign, syllables[at], chance) if at in places else sign for at, sign in enumerate(text))


def _wrong(sign: str, syllable: str, chance: random.Random) -> str:
    kind = chance.random()
    if kind < _DELETED:
        return ""
    if kind < _DELETED + _INSERTED:
        return sign + chance.choice(_FILLERS)
    return _substitute(sign, syllable, chance)


def _substitute(sign: str, syllable: str, chance: random.Random) -> str:
    kind = chance.random()
    syllables = [syllable] if kind < _SAME_SOUND else near_sounds(syllable) if kind < _SAME_SOUND + _NEAR_SOUND else []
    heard = [other for each in syllables for other in same_sound(each) if other != sign]
    return chance.choice(heard or [other for other in _common() if other != sign])


def _syllables(text: str) -> list[str]:
    """One for each sign; a sign without a sound stands for itself."""
    return lazy_pinyin(text, errors=list)  # type: ignore[arg-type]  # it takes what gives several, and says so


def _begun(syllable: str, was: str, becomes: str) -> str:
    return becomes + syllable[len(was) :] if syllable.startswith(was) else syllable


def _ended(syllable: str, was: str, becomes: str) -> str:
    return syllable[: -len(was)] + becomes if syllable.endswith(was) else syllable


@cache
def _common() -> str:
    """The 3755 characters of level 1 of GB 2312, the common ones."""
    codes = (bytes((high, low)) for high in range(0xB0, 0xD8) for low in range(0xA1, 0xFF))
    return "".join(code.decode("gb2312", errors="ignore") for code in codes)


@cache
def _by_syllable() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for sign in _common():
        syllable = lazy_pinyin(sign)[0]
        found[syllable] = found.get(syllable, "") + sign
    return found
