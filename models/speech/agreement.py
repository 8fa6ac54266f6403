"""What of an unfinished utterance is settled: what two hypotheses in a row agree on. Plain code over texts.

Compared are signs without case and width, because the tokens of Chinese change from one hypothesis to the next, and
punctuation comes and goes. What was shown as settled stays on the screen, sign by sign, until the utterance ends. The
final text replaces it whole: it was made from all of the sound by a better search, and a record that keeps a mistake
because it was shown first would be worse than a caption that changes once. How often that happens is counted.
Source: LocalAgreement-2, arXiv:2307.14743 (whisper_streaming, MIT); written anew for signs.
"""

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
    """A caption of one utterance. settled: how many signs of text, from the first, will not change before its end."""

    text: str
    settled: int


class Agreement:
    """The captions of one utterance.

    Bound: the settled text of one utterance and its last hypothesis.
    """

    def __init__(self) -> None:
        self._settled = ""
        self._before = ""
        self.revised_signs = 0
        """Settled signs that the final text does not begin with, after normalising; 0 before `finish`."""

    def feed(self, hypothesis: str) -> Shown:
        """The caption after another hypothesis about all of the utterance so far.

        One that denies what is settled changes only what comes after it.
        """
        signs, settled = _signs(hypothesis), _signs(self._settled)
        agreed = _common(_signs(self._before), signs)
        rest = hypothesis[_end(signs, len(settled)) :]
        if agreed > len(settled) and _common(signs, settled) == len(settled):
            more = _end(signs, agreed) - _end(signs, len(settled))
            self._settled, rest = self._settled + rest[:more], rest[more:]
        self._before = hypothesis
        return Shown(self._settled + rest, len(self._settled))

    def finish(self, final: str) -> Shown:
        """The text of the whole utterance; all of it is settled."""
        settled = _signs(self._settled)
        self.revised_signs = len(settled) - _common(settled, _signs(final))
        return Shown(final, len(final))


def _signs(text: str) -> list[tuple[str, int]]:
    """The signs that count, each as it is compared and with the place after it. Punctuation does not count."""
    found = []
    for place, sign in enumerate(text, 1):
        compared = unicodedata.normalize("NFKC", sign).lower()
        if unicodedata.category(sign)[0] not in "PSZC":
            found.append((compared, place))
    return found


def _common(one: list[tuple[str, int]], other: list[tuple[str, int]]) -> int:
    """How many signs both begin with."""
    length = 0
    for (first, _), (second, _) in zip(one, other, strict=False):
        if first != second:
            break
        length += 1
    return length


def _end(signs: list[tuple[str, int]], count: int) -> int:
    """Where in its text the first `count` signs end."""
    return signs[min(count, len(signs)) - 1][1] if count and signs else 0
