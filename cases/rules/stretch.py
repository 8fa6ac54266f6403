"""Ways of saying something, and what one speaker says on end, in which they are found. Looks for nothing."""

from dataclasses import dataclass, field

from cases.rules.lexicon import Hit
from cases.rules.said import Utterance


@dataclass(frozen=True, slots=True)
class Slot:
    """Any of these. patterns: RE2 expressions over the plain signs."""

    phrases: frozenset[str]
    patterns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Link:
    """gap: signs that may stand before it."""

    slot: Slot
    gap: int


@dataclass(frozen=True, slots=True)
class Way:
    """owner: whose it is; use: `way`, `hint`, `never` … as its owner calls it. chains: all of them, in any order."""

    owner: str
    use: str
    chains: tuple[tuple[Link, ...], ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A way in the stretch. score: 0..1, 1 where every sign is the very sign. parts: where its phrases stand."""

    way: Way
    score: float
    start: int
    end: int
    parts: tuple[Hit, ...]

    @property
    def is_sure(self) -> bool:
        """Said, as far as words tell. The shorter the way, the more of it must be there: two signs sound like many."""
        length = sum(part.length for part in self.parts)
        least = 0.96 if length <= 3 else 0.8 if length == 4 else 0.75
        return self.score >= least


@dataclass(slots=True)
class Stretch:
    """signs: of all pieces; ends: where sentences begin anew; joins: where an utterance begins."""

    signs: str = ""
    ends: set[int] = field(default_factory=set)
    joins: list[tuple[int, Utterance]] = field(default_factory=list)
    slots: dict[int, list[Hit]] = field(default_factory=dict)
    nevers: list[Match] = field(default_factory=list)
    said_until_s: float = float("-inf")

    def between(self, first: int, end: int) -> tuple[Utterance, ...]:
        """The utterances that signs `first` to `end` are of, each once."""
        found: list[Utterance] = []
        for number, (start, utterance) in enumerate(self.joins):
            until = self.joins[number + 1][0] if number + 1 < len(self.joins) else len(self.signs)
            if start < end and until > first and utterance not in found:
                found.append(utterance)
        return tuple(found)

    def is_broken(self, first: int, end: int) -> bool:
        """Whether a sentence or an utterance begins within the signs."""
        return any(first < at < end for at in self.ends) or any(first < at < end for at, _ in self.joins)

    def forget(self, signs: int) -> None:
        """The first `signs` of it."""
        if signs <= 0:
            return
        self.signs = self.signs[signs:]
        self.ends = {end - signs for end in self.ends if end > signs}
        before = [(start - signs, utterance) for start, utterance in self.joins]
        past = [each for each in before if each[0] <= 0]
        self.joins = ([(0, past[-1][1])] if past and self.signs else []) + [each for each in before if each[0] > 0]
        self.slots = {
            slot: kept
            for slot, hits in self.slots.items()
            if (kept := [_moved(hit, signs) for hit in hits if hit.start >= signs])
        }
        self.nevers = [
            Match(m.way, m.score, m.start - signs, m.end - signs, tuple(_moved(part, signs) for part in m.parts))
            for m in self.nevers
            if m.start >= signs
        ]


def _moved(hit: Hit, signs: int) -> Hit:
    return Hit(hit.start - signs, hit.end - signs, hit.cost, hit.length)
