"""Phrases found in text by how they sound, with signs misheard, left out or put in. Knows no rule.

What may be lost of a phrase grows with its length (`tolerance`): a word of two signs must sound like itself, one of
four may lose a sign. Only phrases that share three neighbouring sounds with the text are compared sign by sign
(weighted edit distance with free ends; Sellers 1980, The theory and computation of evolutionary distances), so a text
costs what it shares with the lexicon and not what the lexicon holds.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cases.rules.syllables import HALF, PERSONS, Costs, sound

LOST: Final = 1.0  # a sign of the phrase that the text lacks
PUT_IN: Final = 0.4  # a sign of the text amid the phrase's: fillers and doubled signs are the commonest mistakes
DENIED: Final = 1.5  # a denial put in, or a person lost: it turns the meaning round
_DENIALS = frozenset("不没未无别勿莫")
ANOTHER_WORD: Final = 0.2  # the text has a known word that sounds like the phrase (注意 for 逐一)
_SLACK = 2  # signs of text looked at beyond the phrase's own length, at its end
_LOOK_BACK = 8  # signs before the new ones in which a phrase may begin
_BITS = 12  # of the number of a sound; there are some 250
_MOST_SIGNS = 30_000  # kept with their numbers; more than the characters in use
_MOST_SHORT = 100_000  # words of two signs, or three, whose likeness is kept: some 10 MB
_NO_SOUND = (1 << _BITS) - 1  # of signs that sound like none of any phrase


@dataclass(frozen=True, slots=True)
class Hit:
    """A phrase in the text, signs start to end. cost: what it differs, 0: nothing. length: of the phrase, in signs."""

    start: int
    end: int
    cost: float
    length: int


def tolerance(length: int) -> float:
    """What a phrase of so many signs may differ and still be taken for said."""
    if length <= 2:
        return 0.45
    if length == 3:
        return 0.65
    return 1.1 if length == 4 else 0.27 * length


class Lexicon:
    """Phrases by their index. Each: 2 signs or more, as `plain` gives them. familiar: pairs of signs of known words."""

    def __init__(self, phrases: Sequence[str], familiar: frozenset[str] = frozenset()) -> None:
        self._familiar = familiar
        self._phrases = tuple(phrases)
        self._costs = Costs()
        self._codes: dict[str, int] = {}
        self._known = _Codes(self._codes)
        self._short_ones: dict[str, tuple[tuple[int, float], ...]] = {}
        self._pairs: dict[int, tuple[list[int], dict[int, list[tuple[int, int, str]]]]] = {}
        """By two sounds: phrases of these two; and of more, by the sound before them."""
        for index, phrase in enumerate(self._phrases):
            codes = [self._codes.setdefault(sound(sign), len(self._codes)) for sign in phrase]
            if len(phrase) == 2:
                self._pairs.setdefault(codes[0] << _BITS | codes[1], ([], {}))[0].append(index)
                continue
            left = len(phrase) - _lost(len(phrase))
            looked_at = _text(codes) if left > 3 and left == len(phrase) - 1 else ""
            for first, second, third in _threes(len(phrase)):
                _, by_first = self._pairs.setdefault(codes[second] << _BITS | codes[third], ([], {}))
                by_first.setdefault(codes[first], []).append((index, first, looked_at))

    def scan(self, signs: str, since: int = 0, idle: Container[int] = ()) -> dict[int, list[Hit]]:
        """Hits by phrase, those alone that end behind `since`; of overlapping ones the best.

        What is misheard is not looked for within phrases of three signs or more that are there to the letter. Of those
        that are `idle` nobody needs to know where they are misheard; what is found of the others is the same.
        """
        found: dict[int, list[Hit]] = {}
        near = self._candidates(signs, since, found, idle)
        covered = self._exact(signs, since, near, found)
        for index, starts in near.items():
            if index not in idle and (hits := self._hits(self._phrases[index], signs, starts, since, covered)):
                found[index] = hits
        if covered:
            found = {
                index: kept
                for index, hits in found.items()
                if (kept := [hit for hit in hits if not hit.cost or not covered.issuperset(range(hit.start, hit.end))])
            }
        return found

    def _candidates(
        self, signs: str, since: int, found: dict[int, list[Hit]], idle: Container[int]
    ) -> dict[int, list[int]]:
        """Phrases of which three sounds in a row, but for one between, are in the text, with where they would begin.

        One sign more may stand between two of the three. Phrases of two signs go to `found`.
        """
        base = max(since - _LOOK_BACK, 0)
        known = self._known
        codes = [known[sign] for sign in signs[base:]]
        sounds = _text(codes)
        near: dict[int, list[int]] = {}
        pairs = self._pairs
        for last in range(1, len(codes)):
            code = codes[last]
            if code == _NO_SOUND:
                continue
            for second in (last - 1, last - 2) if last > 1 else (0,):
                pair = pairs.get(codes[second] << _BITS | code)
                if pair is None:
                    continue
                words, by_first = pair
                if words and base + last >= since:
                    self._short(words, signs, base + second, base + last, found)
                if not by_first:
                    continue
                for first in (second - 1, second - 2):
                    if first < 0 or (longer := by_first.get(codes[first])) is None:
                        continue
                    for index, offset, heard in longer:
                        start = first - offset
                        if (
                            not heard
                            or index in idle
                            or _is_in_order(heard, sounds[start - 1 if start > 0 else 0 : start + len(heard) + _SLACK])
                        ):
                            near.setdefault(index, []).append(base + start)
        return near

    def _exact(self, signs: str, since: int, near: dict[int, list[int]], found: dict[int, list[Hit]]) -> set[int]:
        """Moves phrases that are there to the letter from `near` to `found`; the places of their signs."""
        covered: set[int] = set()
        for index in list(near):
            phrase = self._phrases[index]
            length = len(phrase)
            at = signs.find(phrase, max(since - length + 1, 0))
            while at >= 0:
                found.setdefault(index, []).append(Hit(at, at + length, 0.0, length))
                covered.update(range(at, at + length))
                at = signs.find(phrase, at + length)
            if index in found:
                del near[index]
        return covered

    def _short(self, indices: list[int], signs: str, first: int, second: int, found: dict[int, list[Hit]]) -> None:
        """Phrases of two signs, at these two of the text."""
        said = signs[first : second + 1]
        near = self._short_ones.get(said)
        if near is None:
            if len(self._short_ones) >= _MOST_SHORT:
                self._short_ones.clear()
            near = self._short_ones[said] = self._near_short(indices, said)
        for index, cost in near:
            hit = Hit(first, second + 1, cost, 2)
            hits = found.setdefault(index, [])
            if not hits or hits[-1].end <= first:
                hits.append(hit)
            elif cost < hits[-1].cost:
                hits[-1] = hit

    def _near_short(self, indices: list[int], said: str) -> tuple[tuple[int, float], ...]:
        """Which of these phrases of two signs the outer signs of `said` may be, and what each differs."""
        costs, most, near = self._costs, tolerance(2), list[tuple[int, float]]()
        between = PUT_IN if len(said) == 3 else 0.0
        if between and said[1] in _DENIALS:
            return ()
        for index in indices:
            phrase = self._phrases[index]
            cost = costs[phrase[0] + said[0]] + costs[phrase[1] + said[-1]] + between
            if cost and said in self._familiar:
                cost += ANOTHER_WORD
            if cost <= most:
                near.append((index, cost))
        return tuple(near)

    def _hits(self, phrase: str, signs: str, starts: list[int], since: int, covered: set[int]) -> list[Hit]:
        length = len(phrase)
        hits: list[Hit] = []
        done = -length
        for start in sorted(starts):
            if start <= done:
                continue
            if covered and covered.issuperset(range(max(start, 0), min(start + length, len(signs)))):
                continue
            if start + length + _SLACK <= since:
                continue
            done = start + 1
            hit = self._align(phrase, signs, start)
            if hit is None or hit.end <= since:
                continue
            if hits and hit.start < hits[-1].end:
                if hit.cost < hits[-1].cost:
                    hits[-1] = hit
            else:
                hits.append(hit)
        return hits

    def _align(self, phrase: str, signs: str, start: int) -> Hit | None:
        """The best place of the phrase near `start`."""
        length = len(phrase)
        most = tolerance(length)
        costs = self._costs
        if start >= 0 and start + length <= len(signs):
            cost = 0.0
            for sign, other in zip(phrase, signs[start : start + length], strict=True):
                cost += costs[sign + other]
                if cost > most:
                    break
            else:
                return Hit(start, start + length, cost, length)
        first = max(start - 1, 0)
        text = signs[first : start + length + _SLACK]
        put_in = [DENIED if other in _DENIALS else PUT_IN for other in text]
        row = [0.0] * (len(text) + 1)
        begins = list(range(len(text) + 1))
        for sign in phrase:
            lost = DENIED if sign in PERSONS else LOST
            left = least = row[0] + lost
            begin = 0
            next_row, next_begins = [left], [0]
            for at, other in enumerate(text):
                cost = row[at] + costs[sign + other]
                from_at = begins[at]
                left += put_in[at]
                if left < cost:
                    cost, from_at = left, begin
                left = row[at + 1] + lost
                if left < cost:
                    cost, from_at = left, begins[at + 1]
                next_row.append(cost)
                next_begins.append(from_at)
                left, begin = cost, from_at
                if cost < least:
                    least = cost
            if least > most:
                return None
            row, begins = next_row, next_begins
        cost = min(row)
        end = row.index(cost)
        return Hit(first + begins[end], first + end, cost, length) if cost <= most and end > begins[end] else None


class _Codes(dict[str, int]):
    """The number of a sign's sound, by the sign; `_NO_SOUND` where no phrase has it."""

    def __init__(self, of_sounds: Mapping[str, int]) -> None:
        super().__init__()
        self._of_sounds = of_sounds

    def __missing__(self, sign: str) -> int:
        if len(self) >= _MOST_SIGNS:
            self.clear()
        code = self[sign] = self._of_sounds.get(sound(sign), _NO_SOUND)
        return code


def _threes(length: int) -> list[tuple[int, int, int]]:
    """Places of three signs of a phrase with at most one of its signs between them."""
    gaps = ((1, 2),) if length == 3 else ((1, 2), (1, 3), (2, 3))
    return [(at, at + one, at + other) for at in range(length) for one, other in gaps if at + other < length]


def _text(codes: Sequence[int]) -> str:
    """Sounds as a text of one sign each, so that they are searched as fast as text is."""
    return "".join(map(chr, codes))


def _is_in_order(sounds: str, text: str) -> bool:
    """Whether the sounds, but for one, come in their order in `text`."""
    ends, at = [0], 0  # behind so many of them, as far to the left as they may be
    for each in sounds:
        at = text.find(each, at) + 1
        if not at:
            break
        ends.append(at)
    else:
        return True
    begin = len(text)  # of those behind the one that is left out, as far to the right as they may be
    for each in reversed(sounds[len(ends) :]):
        begin = text.rfind(each, 0, begin)
        if begin < 0:
            return False
    for left_out in range(len(ends) - 1, -1, -1):
        if ends[left_out] <= begin:
            return True
        begin = text.rfind(sounds[left_out], 0, begin)
        if begin < 0:
            return False
    return False


def _lost(length: int) -> int:
    """Signs of a phrase that may sound like none of it."""
    return int(tolerance(length) / HALF)
