"""The scripted dialogues of tests/dialogues, as the rules are asked about them. Judges nothing."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypedDict

from api.bench.asr_errors import with_errors
from cases.rules.hearing import Unheard
from cases.rules.said import Speaker, Utterance
from cases.rules.verdicts import Verdict

FOLDER: Final = Path(__file__).resolve().parents[2] / "tests" / "dialogues"


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What was heard of one step of a case, and the right verdict of each duty that is asked."""

    name: str
    step_kind: str
    utterances: tuple[Utterance, ...]
    unheard: tuple[Unheard, ...]
    expected: Mapping[str, Verdict]

    @property
    def ended_s(self) -> float:
        ends_s = [each.end_s for each in self.utterances] + [each.end_s for each in self.unheard]
        return max(ends_s) + 1.0


class _Said(TypedDict):
    start_s: float
    end_s: float
    speaker: Speaker
    text: str


class _Unheard(TypedDict):
    start_s: float
    end_s: float
    reason: str


class _Line(TypedDict, total=False):
    id: str
    step_kind: str
    utterances: list[_Said]
    unheard: list[_Unheard]
    expected: dict[str, str]


def read(split: str) -> list[Dialogue]:
    """All of a split: development or held_out. Raises: OSError: it is not there; it comes with the sources only."""
    return [_dialogue(line) for line in (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def misheard(dialogues: Sequence[Dialogue], rate: float, seed: int = 0) -> list[Dialogue]:
    """The dialogues with `rate` of their characters wrong, the same every time for a seed."""
    return [_misheard(each, rate, random.Random(f"{seed} {each.name}")) for each in dialogues]


def _misheard(dialogue: Dialogue, rate: float, chance: random.Random) -> Dialogue:
    texts = with_errors([each.text for each in dialogue.utterances], rate, chance)
    said = zip(dialogue.utterances, texts, strict=True)
    return replace(dialogue, utterances=tuple(replace(each, text=text) for each, text in said))


def _dialogue(line: str) -> Dialogue:
    told: _Line = json.loads(line)
    return Dialogue(
        told["id"],
        told.get("step_kind", "inspection"),
        tuple(
            Utterance(**said, event_id=f"{told['id']}/{number}") for number, said in enumerate(told["utterances"], 1)
        ),
        tuple(Unheard(**span) for span in told.get("unheard", ())),
        {duty: Verdict(verdict) for duty, verdict in told["expected"].items()},
    )
