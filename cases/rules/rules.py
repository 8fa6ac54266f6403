"""A set of rules as it is in force: duties, moments and conduct, each with its ways of being said. Judges nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from cases.rules.listening import Matcher
from cases.rules.stretch import Slot, Way

LANGUAGE: Final = 2
"""Of the notation and of how it is matched. It is part of a set's version: another reading is another judgement."""

SEVERITIES: Final = ("low", "medium", "high", "critical")
CONDUCT: Final = (
    "uncivil_officer", "uncivil_other", "threat", "bribe_offered", "recording_refused", "obstruction", "conflict",
    "officer_distress",
)  # fmt: skip
SOUNDS: Final = ("shouting", "bang", "alarm", "crowd")


@dataclass(frozen=True, slots=True)
class Duty:
    """What an officer must say in a step. deadline_s: from the step's beginning; None: any time in it.

    before, after: duties or moments that it must come before or after. heard_share, longest_unheard_s: what the window
    must have been heard at least for `not_observed`. near_s: of text in pictures to the words.
    """

    duty: str
    zh: str
    en: str
    law: str
    article: int
    text: str
    severity: str
    step_kinds: tuple[str, ...]
    is_required: bool
    deadline_s: float | None
    before: tuple[str, ...]
    after: tuple[str, ...]
    heard_share: float
    longest_unheard_s: float
    near_s: float
    accepts_unknown: bool
    is_read: bool
    rule: str


@dataclass(frozen=True, slots=True)
class ConductRule:
    """What must not be said or happen. speaker: whose words count.

    sounds: kinds of sound that make its `with_sound` ways count, within_s seconds before or after.
    """

    rule_id: str
    finding: str
    zh: str
    en: str
    law: str
    article: int | None
    severity: str
    speaker: str
    accepts_unknown: bool
    sounds: tuple[str, ...]
    within_s: float
    again_after_s: float
    rule: str


@dataclass(frozen=True)
class RuleSet:
    """version: 8 hex digits of the SHA-256 of all that it says. moments: by id, their Chinese name.

    familiar: pairs of signs of known words (cases/rules/familiar.py).
    """

    version: str
    label: str
    duties: tuple[Duty, ...]
    conduct: tuple[ConductRule, ...]
    moments: Mapping[str, str]
    procedure_ways: tuple[Way, ...] = field(repr=False)
    conduct_ways: tuple[Way, ...] = field(repr=False)
    negation: Slot | None
    but_not: Slot | None
    turns: Slot | None
    resumes: Slot | None
    familiar: frozenset[str] = field(repr=False)

    def duties_of(self, step_kind: str) -> tuple[Duty, ...]:
        return tuple(duty for duty in self.duties if step_kind in duty.step_kinds)

    @cached_property
    def procedure_matcher(self) -> Matcher:
        return Matcher(
            [way for way in self.procedure_ways if way.use not in ("seen", "answer")],
            self.negation,
            self.but_not,
            self.turns,
            self.resumes,
            self.familiar,
        )

    @cached_property
    def answer_matcher(self) -> Matcher:
        """Of what the other party answers to an officer."""
        return Matcher([way for way in self.procedure_ways if way.use == "answer"], familiar=self.familiar)

    @cached_property
    def seen_matcher(self) -> Matcher:
        """Of text in pictures."""
        return Matcher([way for way in self.procedure_ways if way.use == "seen"])

    @cached_property
    def conduct_matcher(self) -> Matcher:
        return Matcher(self.conduct_ways, familiar=self.familiar)
