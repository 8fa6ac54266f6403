"""Rules over dialogues whose verdicts are known: how often they are right. Reads what it is given; writes nothing."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from cases.rules.hearing import Hearing, Unheard
from cases.rules.procedure import Procedure
from cases.rules.rules import RuleSet
from cases.rules.said import Speaker, Utterance
from cases.rules.verdicts import Judged, Verdict

SPEAKERS: Final = ("officer", "other", "unknown")


class DialogueRefused(ValueError):
    """Raised when a line is no dialogue; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """expected: verdict by duty; duties that are not in it are not scored."""

    dialogue_id: str
    step_kind: str
    utterances: tuple[Utterance, ...]
    unheard: tuple[Unheard, ...]
    expected: Mapping[str, Verdict]


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of one duty of one dialogue, and what should have been."""

    dialogue_id: str
    duty: str
    expected: Verdict
    judged: Judged


def read_dialogue(line: str) -> Dialogue:
    """Raises: DialogueRefused."""
    try:
        raw = json.loads(line)
        utterances = tuple(
            Utterance(
                start_s=float(each["start_s"]),
                end_s=float(each["end_s"]),
                speaker=_speaker(str(each["speaker"])),
                text=str(each["text"]),
                event_id=str(each.get("event_id", number)),
                is_doubtful=bool(each.get("is_doubtful", False)),
            )
            for number, each in enumerate(raw["utterances"])
        )
        unheard = tuple(
            Unheard(float(each["start_s"]), float(each["end_s"]), str(each.get("reason", "")))
            for each in raw.get("unheard", ())
        )
        expected = {str(duty): Verdict(verdict) for duty, verdict in raw["expected"].items()}
        return Dialogue(str(raw["id"]), str(raw.get("step_kind", "inspection")), utterances, unheard, expected)
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DialogueRefused(f"{type(error).__name__}: {error}") from error


def judge(rules: RuleSet, dialogue: Dialogue) -> dict[str, Judged]:
    """The last verdict of each duty of the step. The step begins at 0 and ends with what was said or not heard last."""
    starts = [each.start_s for each in dialogue.utterances] + [each.start_s for each in dialogue.unheard]
    ends = [each.end_s for each in dialogue.utterances] + [each.end_s for each in dialogue.unheard]
    hearing = Hearing(dialogue.unheard)
    procedure = Procedure(rules, dialogue.step_kind, min([0.0, *starts]))
    told: dict[str, Judged] = {}
    for utterance in sorted(dialogue.utterances, key=lambda each: each.start_s):
        for judged in (*procedure.due(utterance.start_s, hearing), *procedure.feed(utterance)):
            told[judged.duty] = judged
    for judged in procedure.finish(max(ends, default=0.0), hearing):
        told[judged.duty] = judged
    return told


def run(rules: RuleSet, dialogues: Iterable[Dialogue]) -> list[Told]:
    return [
        Told(dialogue.dialogue_id, duty, expected, told[duty])
        for dialogue in dialogues
        for told in [judge(rules, dialogue)]
        for duty, expected in dialogue.expected.items()
        if duty in told
    ]


def score(told: Sequence[Told]) -> dict[str, dict[str, float | int]]:
    """By duty, and over all as `all`: precision, recall and F1 of `observed`; n; what was falsely told as not observed.

    false_not_observed: its share of all in which the duty was observed or nobody can tell. cannot_tell: share of all.
    not_observed_recall: of what was truly missing, what was told as such.
    """
    duties = list(dict.fromkeys(each.duty for each in told))
    report = {duty: _score([each for each in told if each.duty == duty]) for duty in duties}
    report["all"] = _score(told)
    return report


def _score(told: Sequence[Told]) -> dict[str, float | int]:
    pairs = [(each.expected, each.judged.verdict) for each in told]
    hits = pairs.count((Verdict.OBSERVED, Verdict.OBSERVED))
    said = sum(verdict is Verdict.OBSERVED for _, verdict in pairs)
    wanted = sum(expected is Verdict.OBSERVED for expected, _ in pairs)
    missing = sum(expected is Verdict.NOT_OBSERVED for expected, _ in pairs)
    false_missing = sum(
        verdict is Verdict.NOT_OBSERVED and expected is not Verdict.NOT_OBSERVED for expected, verdict in pairs
    )
    precision, recall = _share(hits, said), _share(hits, wanted)
    return {
        "precision": precision,
        "recall": recall,
        "f1": round(2 * precision * recall / (precision + recall), 4) if precision + recall else 0.0,
        "n": len(pairs),
        "n_observed": wanted,
        "false_not_observed": _share(false_missing, len(pairs) - missing, 0.0),
        "not_observed_recall": _share(pairs.count((Verdict.NOT_OBSERVED, Verdict.NOT_OBSERVED)), missing),
        "cannot_tell": _share(sum(verdict is Verdict.CANNOT_TELL for _, verdict in pairs), len(pairs), 0.0),
    }


def _share(part: int, whole: int, of_nothing: float = 1.0) -> float:
    return round(part / whole, 4) if whole else of_nothing


def _speaker(name: str) -> Speaker:
    if name not in SPEAKERS:
        raise DialogueRefused(f"speaker {name} is none of {', '.join(SPEAKERS)}")
    return cast(Speaker, name)  # one of them, by the line above
