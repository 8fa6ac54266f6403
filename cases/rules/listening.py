"""Ways of saying something, found in what one speaker says on end: across interruptions, with what was misheard.

A `Stretch` is what one speaker said within `JOINED_S` seconds, whoever spoke between. A `Listener` keeps the stretches
of a step and finds, with each utterance, the ways that it completes. A sentence that was cut is also looked at together
with what takes it up again, whatever was said between and whoever the labels say it was.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

import re2  # type: ignore[import-untyped]  # it comes without types; used by finditer alone

from cases.rules.lexicon import Hit, Lexicon
from cases.rules.plain import ENDS, Plain, plain
from cases.rules.said import Speaker, Utterance
from cases.rules.stretch import Match, Slot, Stretch, Way

JOINED_S: Final = 8.0  # between the end of one utterance and the beginning of the next of the same speaker
MOST_SIGNS: Final = 160  # of one stretch, looked at together; a longer utterance is taken in pieces
KEPT_SIGNS: Final = 60  # of what was said before, once it grows beyond MOST_SIGNS less so many
_TAIL_SIGNS = 24  # of a sentence that was cut, looked at with what takes it up
_MOST_STRETCHES = 64  # speakers of a step, by stream; the one heard longest ago goes first
_JOIN_GAP = 6  # more signs that may stand between two parts where somebody broke in
_MOST_NEVER = 0.0
"""What makes void must be there to the letter: a misheard sign would else undo what was well heard."""
_LONGEST_HIT = 16  # signs; a longer one is not looked at for a sentence's end far before its own
_NEAR_NEVER = 3  # signs between what makes void and what is said
_NEGATION_REACH = 3
_SURE_NEGATION = 0.2
_LONGEST_PATTERN = 24  # signs before the new ones in which what fits a pattern may begin
_PATTERN_LENGTH = 4  # what a pattern counts for, in signs, beside phrases

_MOST_IDLE = 1000  # sets of owners that are done, each some kilobytes; far more than the orders in which steps go
_NOBODY: Final[frozenset[str]] = frozenset()
_ALL: Final = ""  # no owner has this name

Chain = tuple[tuple[int, int], ...]  # the number of a slot, and the signs that may stand before it
Chains = tuple[Chain, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """What an utterance completes. utterances: that the way was said in; the last is the one that was fed."""

    match: Match
    utterances: tuple[Utterance, ...]


class Matcher:
    """All ways of a set, compiled once; shared by all its listeners. Holds no state of a step."""

    def __init__(
        self,
        ways: Sequence[Way],
        negation: Slot | None = None,
        but_not: Slot | None = None,
        turns: Slot | None = None,
        resumes: Slot | None = None,
        familiar: frozenset[str] = frozenset(),
    ) -> None:
        self._slots: dict[Slot, int] = {}
        self._ways = [
            (way, tuple(tuple((self._number(link.slot), link.gap) for link in chain) for chain in way.chains))
            for way in ways
        ]
        self._negation = self._number(negation) if negation else -1
        self._but_not = self._number(but_not) if but_not else -1
        self._turns = self._number(turns) if turns else -1
        self._resumes = tuple(sorted(resumes.phrases, key=len, reverse=True)) if resumes else ()
        phrases = sorted({phrase for slot in self._slots for phrase in slot.phrases})
        index = {phrase: number for number, phrase in enumerate(phrases)}
        self.phrases = tuple(phrases)
        self._lexicon = Lexicon(phrases, familiar)
        self._slots_of: list[list[int]] = [[] for _ in phrases]
        for each, number in self._slots.items():
            for phrase in each.phrases:
                self._slots_of[index[phrase]].append(number)
        self._ways_of: dict[int, list[int]] = {}
        self._wanted: list[frozenset[int]] = []
        for number, (_, chains) in enumerate(self._ways):
            wanted = frozenset(slot for chain in chains for slot, _ in chain)
            self._wanted.append(wanted)
            for slot in wanted:
                self._ways_of.setdefault(slot, []).append(number)
        owners = self._owners()
        self._owned, self._shared = self._owned_by(owners)
        self._patterns = self._compiled(owners)
        self._idle: dict[frozenset[str], frozenset[int]] = {}

    def extend(
        self, stretch: Stretch, signs: str, ends: frozenset[int], utterance: Utterance, done: Set[str]
    ) -> list[Match]:
        """Puts the signs at the stretch's end; the ways that they complete, not void, of no owner that is `done`."""
        since = len(stretch.signs)
        stretch.joins.append((since, utterance))
        stretch.ends |= {end + since for end in ends}
        stretch.signs += signs
        nevers, found = self._matches(stretch, since, self._scan(stretch, since, done), done)
        stretch.nevers += nevers
        return [match for match in found if not self._is_void(match, stretch)]

    def resumed(self, words: Plain) -> Plain | None:
        """What follows words that take up a sentence again (我接着说); None: it begins with none."""
        for phrase in self._resumes:
            if words.signs.startswith(phrase):
                size = len(phrase)
                return Plain(words.signs[size:], frozenset(end - size for end in words.ends if end > size))
        return None

    def _number(self, slot: Slot) -> int:
        return self._slots.setdefault(slot, len(self._slots))

    def _owners(self) -> dict[int, frozenset[str]]:
        """Who needs each slot; what denies or turns a sentence is needed by all, and so by one who is never done."""
        owners: dict[int, set[str]] = {each: {_ALL} for each in (self._negation, self._but_not, self._turns)}
        for (way, _), wanted in zip(self._ways, self._wanted, strict=True):
            for slot in wanted:
                owners.setdefault(slot, set()).add(way.owner)
        return {slot: frozenset(each) for slot, each in owners.items()}

    def _compiled(
        self, owners: Mapping[int, frozenset[str]]
    ) -> list[tuple["re2._Regexp", tuple[int, ...], frozenset[str]]]:
        """Each pattern, its slots and who needs it."""
        by_pattern: dict[str, list[int]] = {}
        for slot, number in self._slots.items():
            for pattern in slot.patterns:
                by_pattern.setdefault(pattern, []).append(number)
        return [
            (re2.compile(pattern), tuple(slots), frozenset[str]().union(*(owners[slot] for slot in slots)))
            for pattern, slots in by_pattern.items()
        ]

    def _owned_by(
        self, of_slots: Mapping[int, frozenset[str]]
    ) -> tuple[dict[str, frozenset[int]], list[tuple[int, frozenset[str]]]]:
        """Phrases that one owner alone needs, by owner, and those that several do."""
        owned: dict[str, set[int]] = {}
        shared: list[tuple[int, frozenset[str]]] = []
        for phrase, slots in enumerate(self._slots_of):
            owners = frozenset[str]().union(*(of_slots[slot] for slot in slots))
            if len(owners) == 1:
                owned.setdefault(next(iter(owners)), set()).add(phrase)
            else:
                shared.append((phrase, owners))
        return {owner: frozenset(phrases) for owner, phrases in owned.items()}, shared

    def _idle_of(self, done: Set[str]) -> frozenset[int]:
        """Phrases that no owner needs who is not done."""
        key = frozenset(done)
        idle = self._idle.get(key)
        if idle is None:
            if len(self._idle) >= _MOST_IDLE:
                self._idle.clear()
            alone = frozenset[int]().union(*(self._owned.get(owner, frozenset()) for owner in key))
            idle = self._idle[key] = alone | {phrase for phrase, owners in self._shared if owners <= key}
        return idle

    def _scan(self, stretch: Stretch, since: int, done: Set[str]) -> set[int]:
        """The slots that have something new."""
        signs, slots = stretch.signs, stretch.slots
        new: set[int] = set()
        ends = [end for end in stretch.ends if since - _LONGEST_HIT < end < len(signs)]
        for phrase, found in self._lexicon.scan(signs, since, self._idle_of(done)).items():
            hits = [hit for hit in found if not any(hit.start < end < hit.end for end in ends)] if ends else found
            if not hits:
                continue
            new.update(self._slots_of[phrase])
            for number in self._slots_of[phrase]:
                slots.setdefault(number, []).extend(hits)
        base = max(since - _LONGEST_PATTERN, 0)
        recent = signs[base:]
        for pattern, numbers, owners in self._patterns:
            if owners <= done:
                continue
            for place in pattern.finditer(recent):
                if base + place.end() > since and place.end() > place.start():
                    hit = Hit(base + place.start(), base + place.end(), 0.0, _PATTERN_LENGTH)
                    new.update(numbers)
                    for number in numbers:
                        slots.setdefault(number, []).append(hit)
        return new

    def _matches(self, stretch: Stretch, since: int, new: set[int], done: Set[str]) -> tuple[list[Match], list[Match]]:
        ways = {way for slot in new for way in self._ways_of.get(slot, ())}
        nevers: list[Match] = []
        found: list[Match] = []
        for number in sorted(ways):
            way, chains = self._ways[number]
            if way.owner in done or not self._wanted[number] <= stretch.slots.keys():
                continue
            match = self._match(way, chains, stretch, since)
            if match is None or match.end <= since:
                continue
            if way.use != "never":
                found.append(match)
            elif all(part.cost <= _MOST_NEVER for part in match.parts) and not stretch.is_broken(
                match.start, match.end
            ):
                nevers.append(match)
        return nevers, found

    def _match(self, way: Way, chains: Chains, stretch: Stretch, since: int) -> Match | None:
        """The way's best and, of equals, last place in the stretch."""
        parts: list[Hit] = []
        cost = length = 0.0
        for chain in chains:
            placed = _placed(chain, stretch, since)
            if placed is None:
                return None
            chain_cost, chain_length, chain_parts = placed
            cost += chain_cost
            length += chain_length
            parts += chain_parts
        parts.sort(key=lambda part: part.start)
        return Match(way, 1.0 - cost / length, parts[0].start, max(part.end for part in parts), tuple(parts))

    def _is_void(self, match: Match, stretch: Stretch) -> bool:
        for never in stretch.nevers:
            is_near = never.way.owner == match.way.owner and _voids(never, match, stretch)
            if is_near and not self._is_turned(never.parts[0].end, match, stretch):
                return True
        for hit in stretch.slots.get(self._negation, ()):
            if hit.cost <= _SURE_NEGATION and self._negates(hit, match, stretch):
                return True
        return False

    def _negates(self, hit: Hit, match: Match, stretch: Stretch) -> bool:
        is_before = 0 <= match.start - hit.end <= _NEGATION_REACH
        is_inside = match.start <= hit.start and hit.end <= match.end
        if not (is_before or is_inside):
            return False
        if any(part.cost == 0 and _overlap(part, hit) for part in match.parts):
            return False
        if any(other.cost <= _SURE_NEGATION and _overlap(other, hit) for other in stretch.slots.get(self._but_not, ())):
            return False
        if self._is_turned(hit.end, match, stretch):
            return False
        return is_inside or not stretch.is_broken(hit.start, match.start + 1)

    def _is_turned(self, denied_to: int, match: Match, stretch: Stretch) -> bool:
        """Whether the sentence turns round between what is denied and the match: 不是推销的，我们是市场监管局的."""
        turns = stretch.slots.get(self._turns, ())
        return any(not turn.cost and denied_to <= turn.start < match.parts[-1].start for turn in turns)


class Listener:
    """What is said in one step, by speaker and stream. Bounded: a stretch holds `MOST_SIGNS` signs."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._stretches: dict[tuple[str, str], Stretch] = {}
        self._cut: dict[tuple[str, str], Utterance] = {}  # the last sentence without an end, by stream and speaker

    def feed(self, utterance: Utterance, done: Set[str] = _NOBODY) -> list[Heard]:
        """What it completes, best first. done: owners that need not be looked for."""
        key = (utterance.stream_id, utterance.speaker)
        stretch = self._stretches.pop(key, None)
        if stretch is None or utterance.start_s - stretch.said_until_s > JOINED_S:
            stretch = Stretch()
        self._stretches[key] = stretch
        if len(self._stretches) > _MOST_STRETCHES:
            oldest = next(iter(self._stretches))
            del self._stretches[oldest]
            self._cut.pop(oldest, None)
        words = plain(utterance.text)
        heard = self._taken_up(utterance, words, stretch, done)
        stretch.said_until_s = max(stretch.said_until_s, utterance.end_s)
        if utterance.text.rstrip()[-1:] not in ENDS:
            self._cut[key] = utterance
        for first in range(0, len(words.signs), KEPT_SIGNS):
            if len(stretch.signs) > MOST_SIGNS - KEPT_SIGNS:
                stretch.forget(len(stretch.signs) - KEPT_SIGNS)
            piece = words.signs[first : first + KEPT_SIGNS]
            ends = frozenset(end - first for end in words.ends if first <= end <= first + KEPT_SIGNS)
            matches = self._matcher.extend(stretch, piece, ends, utterance, done)
            heard += [Heard(match, stretch.between(match.start, match.end)) for match in matches]
        heard.sort(key=lambda each: -each.match.score)
        return heard

    def _taken_up(
        self, utterance: Utterance, words: Plain, stretch: Stretch, done: Set[str]
    ) -> list[Heard]:  # fmt: skip
        """What the utterance completes of sentences that were cut and do not stand right before it in its stretch."""
        heard: list[Heard] = []
        rest = self._matcher.resumed(words)
        for speaker in _maybe_the_same(utterance.speaker):
            cut = self._cut.get((utterance.stream_id, speaker))
            if cut is None or utterance.start_s - cut.end_s > JOINED_S:
                continue
            if rest is None and stretch.joins and stretch.joins[-1][1] is cut:
                continue
            begun, taken = Stretch(), rest or words
            before = plain(cut.text).signs[-_TAIL_SIGNS:]
            self._matcher.extend(begun, before, frozenset(), cut, done)
            ends = frozenset(end for end in taken.ends if end <= KEPT_SIGNS)
            matches = self._matcher.extend(begun, taken.signs[:KEPT_SIGNS], ends, utterance, done)
            heard += [Heard(match, (cut, utterance)) for match in matches if match.start < len(before)]
        return heard


def _maybe_the_same(speaker: Speaker) -> tuple[Speaker, ...]:
    """Labels under which the same person may have spoken a moment ago."""
    return ("officer", "other", "unknown") if speaker == "unknown" else (speaker, "unknown")


def _placed(chain: Chain, stretch: Stretch, since: int) -> tuple[float, int, tuple[Hit, ...]] | None:
    """The cheapest place of the chain, one that ends behind `since` before others: cost, signs, places of its parts."""
    ends: list[tuple[int, float, int, tuple[Hit, ...]]] = []
    for number, (slot, gap) in enumerate(chain):
        hits = stretch.slots.get(slot, ())
        following: list[tuple[int, float, int, tuple[Hit, ...]]] = []
        for hit in hits:
            if number == 0:
                following.append((hit.end, hit.cost, hit.length, (hit,)))
                continue
            best: tuple[int, float, int, tuple[Hit, ...]] | None = None
            for end, cost, length, parts in ends:
                space = hit.start - end
                if space < 0 or (space > gap and not _is_interrupted(stretch, end, hit.start, gap)):
                    continue
                if best is None or cost + hit.cost <= best[1]:
                    best = (hit.end, cost + hit.cost, length + hit.length, (*parts, hit))
            if best is not None:
                following.append(best)
        if not following:
            return None
        ends = following
    _, cost, length, parts = min(ends, key=lambda each: (each[0] <= since, each[1] / each[2], -each[0]))
    return cost, length, parts


def _is_interrupted(stretch: Stretch, end: int, start: int, gap: int) -> bool:
    """Whether an utterance begins between the two, which then may stand further apart."""
    return start - end <= gap + _JOIN_GAP and any(end <= join <= start for join, _ in stretch.joins if join)


def _voids(never: Match, match: Match, stretch: Stretch) -> bool:
    """Whether it takes up words of the match, or stands right before or amid them."""
    if any(_overlap(one, other) for one in never.parts for other in match.parts):
        return True
    is_before = 0 <= match.start - never.end <= _NEAR_NEVER and not stretch.is_broken(never.start, match.start + 1)
    return is_before or (match.start <= never.start and never.end <= match.end)


def _overlap(one: Hit, other: Hit) -> bool:
    return one.start < other.end and other.start < one.end
