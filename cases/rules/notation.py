"""How a lawyer writes a way of saying something: `{出示}…{证件}`, `陈述+申辩`, `(请您/麻烦)…签字`. Knows no file.

    …        up to `GAP` signs may stand between (also `...`)
    +        both must be said, in any order
    {name}   any phrase of the group of words `name`
    (a/b)    any of these
A phrase in between is looked for by its sound; one of a single sign would be found everywhere, and is refused.
"""

from dataclasses import dataclass
from typing import Final

from cases.rules.plain import plain

GAP: Final = 8
BESIDE: Final = 1  # signs between two parts that are written side by side
LONGEST_WAY: Final = 120
MOST_PARTS: Final = 8
_BRACKETS = {"{": "}", "(": ")"}


class WayRefused(ValueError):
    """Raised when a way is not written as above; the message says what and what would do."""


@dataclass(frozen=True, slots=True)
class Part:
    """phrases: as written, any of them; group: a group's name instead. gap: signs that may stand before it."""

    phrases: tuple[str, ...]
    group: str
    gap: int


@dataclass(frozen=True, slots=True)
class Written:
    """All of the chains, in any order; the parts of each in theirs."""

    text: str
    chains: tuple[tuple[Part, ...], ...]


def read_way(text: str) -> Written:
    """Raises: WayRefused."""
    if len(text) > LONGEST_WAY:
        raise WayRefused(f"a way of {len(text)} signs; write at most {LONGEST_WAY}")
    normal = text.replace("（", "(").replace("）", ")").replace("｛", "{").replace("｝", "}").replace("＋", "+")
    normal = normal.replace("／", "/").replace("...", "…").replace("……", "…")
    chains = tuple(_chain(chain) for chain in normal.split("+"))
    if sum(len(chain) for chain in chains) > MOST_PARTS:
        raise WayRefused(f"more than {MOST_PARTS} parts; write two ways")
    return Written(text, chains)


def read_phrase(text: str) -> str:
    """As it is looked for. Raises: WayRefused: nothing in it, or one sign."""
    signs = plain(text).signs
    if not signs:
        raise WayRefused("an empty phrase; write what is said, or take it out")
    if len(signs) == 1:
        raise WayRefused(f"{text!r} is one sign, which is found everywhere; write two or more")
    return signs


def _chain(text: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    for number, piece in enumerate(text.split("…")):
        if not piece.strip():
            raise WayRefused(f"an empty phrase beside … or + in {text!r}; write what is said on both sides")
        for place, atom in enumerate(_atoms(piece.strip())):
            gap = BESIDE if place else GAP if number else 0
            parts.append(_part(atom, gap))
    return tuple(parts)


def _atoms(piece: str) -> list[str]:
    atoms: list[str] = []
    rest = piece
    while rest:
        closing = _BRACKETS.get(rest[0])
        if closing is None:
            end = min((rest.index(sign) for sign in "{()}" if sign in rest), default=len(rest))
        else:
            end = rest.find(closing) + 1
        if end <= 0 or (closing is None and rest[0] in ")}"):
            raise WayRefused(f"a bracket without its other half in {piece!r}; close it")
        atoms.append(rest[:end])
        rest = rest[end:]
    return atoms


def _part(atom: str, gap: int) -> Part:
    if atom[0] == "{":
        name = atom[1:-1].strip()
        if not name:
            raise WayRefused("{} names no group; write its name")
        return Part((), name, gap)
    phrases = atom[1:-1].split("/") if atom[0] == "(" else [atom]
    return Part(tuple(read_phrase(phrase) for phrase in phrases), "", gap)
