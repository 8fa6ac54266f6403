"""The tokens of sherpa-onnx's models as words: signs of Chinese alone, pieces of other words put together. Plain."""

import re
from collections.abc import Sequence
from math import exp, nan
from typing import Final, Protocol

from models.base import Word
from models.speech.cer import simplified

TAG: Final = re.compile(r"<\|([^|]*)\|>")
"""What SenseVoice writes before its text: language, mood, kind of sound, whether digits are written as such."""
_LONGEST_PIECE_S: Final = (
    0.4  # ends are not told: a word lasts until the next one, but a piece of it no longer than this
)
_BEGINS: Final = "▁"  # SenseVoice (sentencepiece) marks where a word begins
_GOES_ON: Final = "@@"  # Paraformer (subword-nmt) marks what goes on


class Result(Protocol):
    """What we read of sherpa-onnx's OfflineRecognitionResult. ys_log_probs: empty where the model has none."""

    @property
    def text(self) -> str: ...
    @property
    def lang(self) -> str: ...
    @property
    def tokens(self) -> Sequence[str]: ...
    @property
    def timestamps(self) -> Sequence[float]: ...
    @property
    def ys_log_probs(self) -> Sequence[float]: ...


def words_of(result: Result, length_s: float) -> tuple[Word, ...]:
    """The words with their times, seconds from the first sample; none where tokens and times do not match.

    probability: the least of a word's pieces; nan where the model does not say.
    """
    tokens, count = [TAG.sub("", token) for token in result.tokens], len(result.tokens)
    if len(result.timestamps) != count:
        return ()
    logs = result.ys_log_probs if len(result.ys_log_probs) == count else [nan] * count
    groups = _grouped(tokens)
    starts = [min(result.timestamps[group[0]], length_s) for group in groups]
    words = []
    for group, start_s, next_s in zip(groups, starts, [*starts[1:], length_s], strict=True):
        end_s = max(start_s, min(next_s, start_s + _LONGEST_PIECE_S * len(group)))
        text = "".join(tokens[place].removesuffix(_GOES_ON) for place in group).replace(_BEGINS, " ")
        words.append(Word(simplified(text), start_s, end_s, min(exp(logs[place]) for place in group)))
    return tuple(words)


def _grouped(tokens: Sequence[str]) -> list[list[int]]:
    """Places of the tokens that make up each word."""
    is_marked = any(token.startswith(_BEGINS) for token in tokens)
    groups: list[list[int]] = []
    for place, token in enumerate(tokens):
        if not token:
            continue
        before = tokens[groups[-1][-1]] if groups else ""
        is_inside = is_marked and token.isascii() and before.replace(_BEGINS, "").isascii()
        if groups and (before.endswith(_GOES_ON) or is_inside or not any(sign.isalnum() for sign in token)):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups
