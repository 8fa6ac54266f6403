"""tests/dialogues/*.jsonl, made from tests/dialogues/wordings: scripted visits with what was said of the duties.

python -m scripts.make_dialogues [--write]; without it, exit 1 where the files are not today's. What is expected:
tests/dialogues/README.md.
"""

import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.dialogue_scene import APPLIES, KINDS, LEAST, Beat, Scene, Writer
from scripts.dialogue_words import DUTIES, Said, sections

FOLDER: Final = Path(__file__).resolve().parent.parent / "tests" / "dialogues"
SPLITS: Final = {"development": 60, "held_out": 310}
RECORDING_BY_S: Final = 60.0
_WEIGHTS: Final = (48, 12, 14, 8, 11, 7)
"""Of the kinds of steps, as in KINDS."""
_REASONS: Final = ("sound_missing", "no_media", "sound_clipped", "not_analysed")
_UNKNOWN: Final = (0.1, 0.25, 0.35, 0.6)
"""Shares of sentences whose speaker is not known, one for each dialogue; a third on average."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One sentence with its times, and whether it is in what was heard."""

    start_s: float
    end_s: float
    said: Said
    label: str
    is_heard: bool


@dataclass(frozen=True, slots=True)
class Span:
    start_s: float
    end_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One dialogue. lines: all of it, also what is not heard; expected: by duty, where it can be told at all."""

    name: str
    step_kind: str
    lines: tuple[Timed, ...]
    unheard: tuple[Span, ...]
    expected: dict[str, str]

    def line(self) -> str:
        """As a line of the file: what a recogniser would know, and what is expected."""
        told: dict[str, object] = {"id": self.name, "step_kind": self.step_kind}
        told["utterances"] = [
            {"start_s": line.start_s, "end_s": line.end_s, "speaker": line.label, "text": line.said.text}
            for line in self.lines
            if line.is_heard
        ]
        if self.unheard:
            told["unheard"] = [
                {"start_s": span.start_s, "end_s": span.end_s, "reason": span.reason} for span in self.unheard
            ]
        told["expected"] = self.expected
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def dialogues(split: str) -> list[Dialogue]:
    """All of a split, the same every time."""
    writer = Writer(sections(split))
    made = []
    for number in range(1, SPLITS[split] + 1):
        chance = random.Random(f"{split} {number}")  # noqa: S311 - a seed is wanted
        kind = chance.choices(list(KINDS), _WEIGHTS)[0]
        made.append(_dialogue(f"{split}-{number:03}", writer.scene(kind, chance), chance))
    return made


def path(split: str) -> Path:
    return FOLDER / f"{split}.jsonl"


def text(split: str) -> str:
    return "".join(dialogue.line() + "\n" for dialogue in dialogues(split))


def _dialogue(name: str, scene: Scene, chance: random.Random) -> Dialogue:
    beats, opened_s = _times(scene, chance)
    spans = _unheard(scene.beats, beats, chance)
    unknown = chance.choice(_UNKNOWN)
    lines = tuple(
        Timed(
            start_s, end_s, said, "unknown" if chance.random() < unknown else said.by, not _is_in(start_s, end_s, spans)
        )
        for beat, times in zip(scene.beats, beats, strict=True)
        for said, (start_s, end_s) in zip(beat.lines, times, strict=True)
    )
    expected = {duty: _expected(duty, lines, spans, opened_s) for duty in DUTIES if duty in APPLIES[scene.step_kind]}
    return Dialogue(name, scene.step_kind, lines, spans, {duty: told for duty, told in expected.items() if told})


def _times(scene: Scene, chance: random.Random) -> tuple[list[list[tuple[float, float]]], float]:
    """(start, end) of each sentence of each beat, and when the opening is over. 3.8 to 5.6 characters a second."""
    at_s, opened_s, all_times = chance.uniform(0.4, 4.0), 0.0, []
    for beat in scene.beats:
        times = []
        for said in beat.lines:
            end_s = at_s + 0.3 + len(said.text) / chance.uniform(3.8, 5.6)
            times.append((round(at_s, 1), round(end_s, 1)))
            at_s = end_s + chance.uniform(0.15, 1.4)
        opened_s = times[-1][1] if beat.is_opening else opened_s
        at_s += chance.uniform(0.2, 3.0) if beat.is_opening else chance.uniform(0.5, 14.0)
        all_times.append(times)
    return all_times, opened_s


def _unheard(
    beats: tuple[Beat, ...], times: list[list[tuple[float, float]]], chance: random.Random
) -> tuple[Span, ...]:
    """In a quarter of dialogues one or two spans of whole beats, 6 to 45 s: the beginning, a duty, or anything."""
    spans: list[Span] = []
    lost_before = 0
    for share in (0.26, 0.15):
        if chance.random() >= share:
            break
        duties = [at for at, beat in enumerate(beats) if any(said.duties for said in beat.lines)] or [0]
        first = chance.choice([0, chance.choice(duties), chance.choice(duties), chance.randrange(len(beats))])
        wanted_s, last = chance.uniform(6.0, 45.0), first
        start_s = 0.0 if first == 0 else times[first][0][0] - 0.1
        while times[last][-1][1] - start_s < wanted_s and last + 1 < len(times):
            last += 1
        end_s = max(times[last][-1][1] + 0.1, start_s + 6.0)
        if last + 1 < len(times):
            end_s = min(end_s, times[last + 1][0][0] - 0.05)
        lost = sum(len(beat.lines) for beat in beats[first : last + 1]) + lost_before
        if sum(len(beat.lines) for beat in beats) - lost >= LEAST and all(
            end_s < span.start_s or start_s > span.end_s for span in spans
        ):
            lost_before = lost
            spans.append(Span(round(start_s, 1), round(end_s, 1), chance.choice(_REASONS)))
    return tuple(sorted(spans, key=lambda span: span.start_s))


def _is_in(start_s: float, end_s: float, spans: tuple[Span, ...]) -> bool:
    return any(start_s < span.end_s and end_s > span.start_s for span in spans)


def _expected(duty: str, lines: tuple[Timed, ...], spans: tuple[Span, ...], opened_s: float) -> str:
    """Empty where nothing can be expected: it was not heard, and was due before the span that is missing."""
    said = [line for line in lines if duty in line.said.duties]
    if any(line.is_heard for line in said):
        return "observed"
    if said:
        return "cannot_tell"
    if not spans:
        return "not_observed"
    due_s = {"recording_notified": RECORDING_BY_S, "identity_stated": opened_s, "certificate_shown": opened_s}.get(duty)
    return "cannot_tell" if due_s is None or _is_in(0.0, due_s, spans) else ""


def main() -> int:
    stale = []
    for split in SPLITS:
        made = text(split)
        if "--write" in sys.argv:
            path(split).write_text(made, encoding="utf-8")
        elif not path(split).exists() or path(split).read_text(encoding="utf-8") != made:
            stale.append(split)
    if stale:
        print(f"{', '.join(stale)}: not today's; run python -m scripts.make_dialogues --write")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
