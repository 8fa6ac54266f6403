"""One scripted dialogue: what is said, in which order, and what of it is heard. Draws from a seeded source alone."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from scripts.dialogue_slots import slots
from scripts.dialogue_words import DUTIES, REGIONS, Deck, Exchange, Said, Sections, Wording, exchanges, wordings

KINDS: Final = {
    "inspection": "查",
    "questioning": "问",
    "seizure": "扣",
    "preservation": "保",
    "sampling": "样",
    "service_by_leaving": "送",
}
APPLIES: Final = {
    "inspection": frozenset(DUTIES),
    "seizure": frozenset(DUTIES),
    "preservation": frozenset(DUTIES),
    "sampling": frozenset(DUTIES),
    "questioning": frozenset(DUTIES) - {"evidence_list_read", "grounds_stated"},
    "service_by_leaving": frozenset({"recording_notified", "signature_requested"}),
}
"""The duties that are asked of a kind of step. Nothing is expected of the others, which may be said or not."""
_NEVER_SAID: Final = frozenset(
    {("evidence_list_read", "questioning"), *((duty, "service_by_leaving") for duty in DUTIES[3:7])}
)
_OPENING: Final = DUTIES[:4]
_RIGHTS: Final = DUTIES[4:6]
_CLOSING: Final = DUTIES[6:]
_NEVER_SAMPLED: Final = frozenset({"advert", "equipment"})
LEAST, MOST = 8, 40
_STOPS: Final = "，。？！；：、"


@dataclass(frozen=True, slots=True)
class Beat:
    """What belongs together: a duty with what is answered, or an exchange. It is heard whole or not at all."""

    lines: Exchange
    is_opening: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What is said in one dialogue, with nothing missing. duties: those said to the end."""

    step_kind: str
    beats: tuple[Beat, ...]
    duties: frozenset[str]


class Writer:
    """Writes the scenes of one split, and uses all its sentences about equally often."""

    def __init__(self, words: Sections) -> None:
        self._words = words
        self._deck = Deck()
        self._said = {duty: wordings(words[f"{duty}.said"], duty) for duty in DUTIES}
        self._scenarios = sorted(
            name.split(".")[1] for name in words if name.startswith("scenario.") and name.endswith(".law")
        )

    def scene(self, step_kind: str, chance: random.Random) -> Scene:
        """A scene of 8 to 40 sentences."""
        while True:
            scene = _Scene(self._words, self._said, self._deck, step_kind, self._scenarios, chance).written()
            if LEAST <= sum(len(beat.lines) for beat in scene.beats) <= MOST:
                return scene


class _Scene:
    def __init__(
        self,
        words: Sections,
        said: dict[str, list[Wording]],
        deck: Deck,
        kind: str,
        scenarios: Sequence[str],
        chance: random.Random,
    ) -> None:
        self._words, self._said, self._deck, self._kind, self._chance = words, said, deck, kind, chance
        able = [name for name in scenarios if kind != "sampling" or name not in _NEVER_SAMPLED]
        self._scenario = deck.draw([f"{kind} {name}" for name in able], chance).split()[1]
        self._region = chance.choice([*REGIONS, "", ""])
        self._slots = slots(words, self._scenario, kind, chance)
        self._open = self._planned()
        self.done: set[str] = set()

    def written(self) -> Scene:
        opening = [beat for beat in map(self._duty, self._in_order(_OPENING)) if beat]
        rights = [beat for beat in map(self._duty, self._in_order(_RIGHTS)) if beat]
        body = [Beat(self._filled(each)) for each in self._body()]
        closing = [beat for beat in map(self._duty, _CLOSING) if beat]
        late = [beat for beat in opening if self._chance.random() < 0.12]
        first = [replace(beat, is_opening=True) for beat in opening if beat not in late]
        middle = rights + body if self._chance.random() < 0.5 else body + rights
        for beat in late:
            middle.insert(self._chance.randint(0, len(middle)), beat)
        self._scatter(first, _OPENING)
        self._scatter(middle, _RIGHTS)
        self._scatter(closing, _CLOSING)
        beats = [*self._some("generic.open", 0.6), *first, *middle, *closing, *self._some("generic.close", 0.7)]
        return Scene(self._kind, tuple(beats), frozenset(self.done))

    def _planned(self) -> set[str]:
        """The duties that the officers mean to do: all, most, or few."""
        kept = self._chance.choice([1.0, 0.75, 0.75, 0.4])
        return {duty for duty in DUTIES if (duty, self._kind) not in _NEVER_SAID and self._chance.random() < kept}

    def _in_order(self, duties: Sequence[str]) -> list[str]:
        """Mostly as the law has them, now and then two of them changed."""
        order = list(duties)
        if self._chance.random() < 0.4:
            at = self._chance.randrange(len(order) - 1)
            order[at], order[at + 1] = order[at + 1], order[at]
        return order

    def _duty(self, duty: str) -> Beat | None:
        """The officer's words and what is answered; nothing where it is not meant, or was done with another."""
        if duty not in self._open or duty in self.done:
            return None
        wording = self._deck.draw(self._said[duty], self._chance, self._fits)
        self.done |= wording.duties
        lines = self._spoken(Said("officer", self._fill(wording.text), wording.duties))
        if self._chance.random() < 0.55:
            lines += self._filled(self._drawn(f"{duty}.reply"))
        return Beat(lines)

    def _fits(self, wording: Wording) -> bool:
        is_said_here = self._region in wording.regions if wording.regions else True
        is_of_kind = KINDS[self._kind] in wording.kinds if wording.kinds else True
        is_open = wording.duties <= self._open - self.done
        return is_of_kind and is_open and is_said_here and (not wording.regions or bool(self._region))

    def _spoken(self, said: Said) -> Exchange:
        """In one go; or in two pieces, since somebody broke in or a pause parted it."""
        way = self._chance.random()
        if way < 0.68 or len(said.text) < 8:
            return (said,)
        at = self._cut(said.text)
        begun, rest = Said("officer", said.text[:at]), said.text[at:].lstrip(_STOPS)
        if way < 0.78:
            return begun, replace(said, text=rest)
        broken_in = self._filled(self._drawn("interjections"))
        resumed = self._chance.choice([*self._words["resumes"], "", ""])
        if way < 0.90:
            return begun, *broken_in, replace(said, text=resumed + rest)
        return (
            replace(begun, text=begun.text.rstrip(_STOPS) + "——"),
            *broken_in,
            replace(said, text=resumed + said.text),
        )

    def _cut(self, text: str) -> int:
        """Where a sentence breaks off: mostly after a stop, else anywhere in its middle."""
        middle = range(max(2, len(text) // 4), len(text) - len(text) // 5)
        stops = [at + 1 for at in middle if text[at] in _STOPS and at + 1 < len(text) - 1]
        return (
            self._chance.choice(stops) if stops and self._chance.random() < 0.6 else self._chance.choice(list(middle))
        )

    def _body(self) -> list[Exchange]:
        """What the visit is about."""
        own = {
            "inspection": f"scenario.{self._scenario}.talk",
            "preservation": "seizure.talk",
            "service_by_leaving": "service.talk",
        }
        about = own.get(self._kind, f"{self._kind}.talk")
        body = self._several(about, self._chance.randint(2, 5))
        if self._kind in ("seizure", "preservation", "sampling"):
            body = self._several(f"scenario.{self._scenario}.talk", self._chance.randint(0, 2)) + body
        for name, many in (
            ("generic.talk", self._chance.randint(0, 3)),
            ("generic.heated", int(self._chance.random() < 0.25)),
        ):
            for each in self._several(name, many):
                body.insert(self._chance.randint(0, len(body)), each)
        return body

    def _several(self, section: str, many: int) -> list[Exchange]:
        drawn: list[Exchange] = []
        for _ in range(min(many, len(self._words[section]))):
            drawn.append(self._drawn(section, lambda each: each not in drawn))
        return drawn

    def _some(self, section: str, share: float) -> list[Beat]:
        return [Beat(self._filled(self._drawn(section)))] if self._chance.random() < share else []

    def _scatter(self, beats: list[Beat], duties: Sequence[str]) -> None:
        """What only sounds like a duty, and what was begun and never said, near to where the duty would stand."""
        for duty in duties:
            is_missing = duty not in self.done
            if self._chance.random() < (0.55 if is_missing else 0.15):
                beats.insert(self._chance.randint(0, len(beats)), Beat(self._filled(self._drawn(f"{duty}.near"))))
            if is_missing and duty in APPLIES[self._kind] and self._chance.random() < 0.15:
                begun = Said("officer", self._chance.choice(self._words[f"{duty}.broken"]))
                beats.insert(
                    self._chance.randint(0, len(beats)), Beat((begun, *self._filled(self._drawn("interjections"))))
                )

    def _drawn(self, section: str, fits: Callable[[Exchange], bool] = lambda _: True) -> Exchange:
        return self._deck.draw(exchanges(self._words[section]), self._chance, fits)

    def _filled(self, exchange: Exchange) -> Exchange:
        return tuple(replace(said, text=self._fill(said.text)) for said in exchange)

    def _fill(self, text: str) -> str:
        return text.format_map(self._slots)
