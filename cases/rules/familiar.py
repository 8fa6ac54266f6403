"""Whether text reads like Chinese at all: the share of its neighbouring signs that stand side by side in known words.

Words misheard sign by sign lose that first. Measured on 300 made dialogues of some 400 signs (10th to 90th in 100): of
clean text 0.51 to 0.65 of the pairs are known, at 10 % wrong signs 0.42 to 0.56, at 20 % 0.35 to 0.47, at 30 % 0.28 to
0.40. A model that puts whole wrong words in place of what it did not hear is not noticed by it.
Pairs are those of pypinyin's 47,000 phrases (MIT), of the law texts and of the rules' own phrases.
"""

import re
from collections.abc import Iterable
from typing import Final

from pypinyin.phrases_dict import phrases_dict

FEWEST_PAIRS: Final = 30  # of which a share says anything
_RUNS = re.compile(r"[\u4e00-\u9fff]{2,}")


def pairs_of(texts: Iterable[str]) -> frozenset[str]:
    """Of all runs of Chinese characters in the texts, and of the phrases that pypinyin knows."""
    known = {word[at : at + 2] for word in phrases_dict for at in range(len(word) - 1)}
    for text in texts:
        for run in _RUNS.findall(text):
            known.update(run[at : at + 2] for at in range(len(run) - 1))
    return frozenset(known)


def count(signs: str, known: frozenset[str]) -> tuple[int, int]:
    """Pairs of neighbouring Chinese characters, and how many of them are known."""
    pairs = [run[at : at + 2] for run in _RUNS.findall(signs) for at in range(len(run) - 1)]
    return len(pairs), len([pair for pair in pairs if pair in known])
