"""Text as phrases are looked for in it: signs alone, in one form, and where its sentences end."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Final

ENDS: Final = frozenset("。！？!?；;")
_SENTENCE: Final = re.compile("[。！？!?；;]")


@dataclass(frozen=True, slots=True)
class Plain:
    """signs: letters, digits and characters alone, NFKC, lower case. ends: places where a sentence begins anew."""

    signs: str
    ends: frozenset[int]


@lru_cache(maxsize=16)  # procedure and conduct ask for the same one after another
def plain(text: str) -> Plain:
    *sentences, last = (
        "".join(filter(str.isalnum, said)) for said in _SENTENCE.split(unicodedata.normalize("NFKC", text).casefold())
    )
    ends = accumulate(map(len, sentences))
    return Plain("".join((*sentences, last)), frozenset(ends))
