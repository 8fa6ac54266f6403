"""Text as phrases are looked for in it: signs alone, in one form, and where its sentences end."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

ENDS: Final = frozenset("。！？!?；;")


@dataclass(frozen=True, slots=True)
class Plain:
    """signs: letters, digits and characters alone, NFKC, lower case. ends: places where a sentence begins anew."""

    signs: str
    ends: frozenset[int]


@lru_cache(maxsize=16)  # procedure and conduct ask for the same one after another
def plain(text: str) -> Plain:
    kept: list[str] = []
    ends: set[int] = set()
    for sign in unicodedata.normalize("NFKC", text).casefold():
        if sign.isalnum():
            kept.append(sign)
        elif sign in ENDS:
            ends.add(len(kept))
    return Plain("".join(kept), frozenset(ends))
