"""The rules in force as judgement uses them, whoever made them: what must be said, and what listens for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from cases.rules.conduct import Conduct, Hit
from cases.rules.hearing import Hearing
from cases.rules.procedure import Procedure
from cases.rules.ruleset import ConductRule, Duty, RuleSet
from cases.rules.said import Utterance
from cases.rules.verdicts import Judged


class DutyState(Protocol):
    """window_end_s: when it will be judged for good; None: with the end of its step."""

    @property
    def duty(self) -> str: ...

    @property
    def is_open(self) -> bool: ...

    @property
    def window_end_s(self) -> float | None: ...


class Automaton(Protocol):
    """The rules over one step, as `cases.rules.procedure.Procedure` is."""

    def feed(self, utterance: Utterance) -> list[Judged]: ...

    def seen(self, at_s: float, text: str, asked: str) -> list[Judged]: ...

    def due(self, now_s: float, hearing: Hearing) -> list[Judged]: ...

    def finish(self, ended_s: float, hearing: Hearing) -> list[Judged]: ...

    def asks(self) -> list[tuple[str, float, float]]: ...

    @property
    def state(self) -> Sequence[DutyState]: ...


class Listener(Protocol):
    """The rules of conduct over one stream, as `cases.rules.conduct.Conduct` is."""

    def feed(self, utterance: Utterance) -> list[Hit]: ...

    def loud(self, finding: str, start_s: float, end_s: float) -> list[Hit]: ...


@dataclass(frozen=True, slots=True)
class Book:
    """version, label: of the set. begin: an automaton for a step of a kind, from its second. listen: for a stream."""

    version: str
    label: str
    duties: tuple[Duty, ...]
    conduct: tuple[ConductRule, ...]
    begin: Callable[[str, float], Automaton]
    listen: Callable[[], Listener]

    @classmethod
    def of(cls, rules: RuleSet) -> "Book":
        """Takes some hundred milliseconds: what listens is built here, once, and not with the first word."""
        rules.procedure_matcher, rules.conduct_matcher, rules.seen_matcher  # noqa: B018 - each is built when first read
        return cls(
            rules.version, rules.label, rules.duties, rules.conduct, partial(Procedure, rules), partial(Conduct, rules)
        )

    def duty(self, name: str) -> Duty | None:
        return next((each for each in self.duties if each.duty == name), None)

    def duties_of(self, step_kind: str) -> tuple[Duty, ...]:
        return tuple(each for each in self.duties if step_kind in each.step_kinds)
