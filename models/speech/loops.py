"""Finds what a model says over and over. People do that too ("别拍了别拍了别拍了"), but they take time for it."""

import zlib
from collections.abc import Sequence
from typing import Final, TypeAlias

from models.base import Word
from models.speech.cer import normalised

Span: TypeAlias = tuple[int, int]
"""Places of pieces: the first, and one past the last."""

MOST_COMPRESSION: Final = 2.4
"""A text that compresses better repeats itself. Source: arXiv:2212.04356, section 4.5."""
_LONGEST: Final = 12  # pieces that are repeated
_LEAST_TIMES: Final = 3
_HASTE_S: Final = 0.07
"""A piece: twice as fast as anybody speaks. Words of a loop get no time, for nothing in the sound belongs to them."""
_MOST_TIMES: Final = {1: 8, 2: 6, 3: 6}
"""Nobody says a syllable more often in one breath."""
_MOST_TIMES_LONG: Final = 5


def loops(pieces: Sequence[Word], *, is_suspect: bool) -> list[Span]:
    """Spans of what repeats something said just before it, too often or too fast for a person.

    Pieces without any times are judged by number alone. is_suspect: the text as a whole is too repetitive; then three
    times are a loop.
    """
    signs = [normalised(piece.text) for piece in pieces]
    places = [place for place, sign in enumerate(signs) if sign]
    kept = [signs[place] for place in places]
    has_times = any(piece.end_s > 0 for piece in pieces)
    found, start = [], 0
    while start < len(kept):
        length, times = _repetition(kept, start)
        first, last = start + length, start + length * times
        if times >= _LEAST_TIMES and (
            is_suspect
            or times >= _MOST_TIMES.get(length, _MOST_TIMES_LONG)
            or (has_times and _seconds(pieces, places[first - 1], places[last - 1]) < _HASTE_S * (last - first))
        ):
            found.append((places[first], places[last] if last < len(places) else len(pieces)))
            start = last
        else:
            start += 1
    return found


def compression(text: str) -> float:
    """How many times smaller the text becomes; a loop becomes very small. Source: Whisper's own guard."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def _repetition(signs: Sequence[str], start: int) -> tuple[int, int]:
    """How long what begins at `start` is, and how many times it stands there: whatever covers most."""
    best = (1, 1)
    for length in range(1, min(_LONGEST, (len(signs) - start) // 2) + 1):
        unit, times = signs[start : start + length], 1
        while signs[start + length * times : start + length * (times + 1)] == unit:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


def _seconds(pieces: Sequence[Word], before: int, last: int) -> float:
    """From the end of the first time to the end of the last one."""
    return pieces[last].end_s - pieces[before].end_s
