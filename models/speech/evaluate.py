"""Measures speech end to end: voice detector, utterances, model, guards. For `onrecord bench speech`, docs and tests.

    python -m models.speech.evaluate MODEL_FOLDER SOUNDS_FOLDER [TENS]

SOUNDS_FOLDER holds scene.flac, scene.tsv (start, end, speaker, text), transcripts.tsv (file, text) and its files.
TENS: how often ten minutes of each kind of nothing are listened to; 1 if it is not said.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

import numpy as np

from models.base import RATE_HZ, Samples, Speech, Transcriber
from models.speech.agreement import Agreement
from models.speech.batches import Batches, Request
from models.speech.cer import Errors, errors, total
from models.speech.entry import SpeechEntry
from models.speech.guards import Judged, judged
from models.speech.nothing import KINDS, nothing
from models.speech.passage import Rules
from models.speech.utterances import Utterance, UtteranceEnded, UtteranceGrew, Utterances
from models.speech.vad import SileroDetector
from models.speech.word_times import fitted

CHUNK: Final = RATE_HZ // 4
_TEN_MINUTES_S: Final = 600.0
_PARTIAL_EVERY: Final = 2  # chunks: half a second


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance and what is left of the model's text."""

    utterance: Utterance
    judged: Judged


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a number of utterances cost. cpu_s: of all threads; wall_s: with whatever else runs on the machine."""

    sound_s: float
    cpu_s: float
    wall_s: float
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Captions:
    """What a viewer saw of one sound. revised: settled signs that the final did not begin with, of `settled`.

    first_s: from the beginning of speech to its first words on the screen. final_s: from its end to the final text.
    With the time the model took here, one stream alone; without the way from the camera.
    """

    partials: int
    settled: int
    revised: int
    first_s: tuple[float, ...]
    final_s: tuple[float, ...]


def utterances_of(sound: Samples, rules: Rules) -> list[Utterance]:
    """The utterances of a sound that comes a quarter of a second at a time."""
    stream, ended = Utterances(SileroDetector(), rules), []
    for first in range(0, sound.size, CHUNK):
        ended += stream.feed(sound[first : first + CHUNK], first / RATE_HZ)
    return [each.utterance for each in [*ended, *stream.finish()] if isinstance(each, UtteranceEnded)]


def heard_in(sound: Samples, model: Transcriber) -> list[Said]:
    """The whole chain over one sound."""
    utterances = utterances_of(sound, Rules(longest_s=model.abilities.longest_s))
    heard = model.transcribe([Speech(each.samples) for each in utterances])
    return [
        Said(one, judged(fitted(text, one.voiced), one.voiced)) for one, text in zip(utterances, heard, strict=True)
    ]


def text_of(said: Sequence[Said]) -> str:
    return "".join(each.judged.heard.text for each in said)


def invented_in(kind: str, length_s: float, model: Transcriber, seed: int = 1) -> tuple[int, int]:
    """Utterances that were found in sound without any, and the signs that are left of what the model made of them."""
    said = heard_in(nothing(kind, length_s, seed), model)
    return len(said), len(text_of(said))


def start_errors_s(said: Sequence[Said], starts_s: Sequence[float]) -> list[float]:
    """For each true start of a sentence how far the nearest start of a heard word is from it."""
    words = [each.utterance.start_s + word.start_s for each in said for word in each.judged.heard.words]
    return [min(abs(word_s - start_s) for word_s in words) for start_s in starts_s] if words else []


def one_by_one(utterances: Sequence[Utterance], model: Transcriber) -> Throughput:
    """Each utterance alone, in its turn."""
    cpu_s, wall_s = process_time(), perf_counter()
    texts = tuple(model.transcribe([Speech(each.samples)])[0].text for each in utterances)
    return Throughput(_length_s(utterances), process_time() - cpu_s, perf_counter() - wall_s, texts)


def batched(streams: Sequence[Sequence[Utterance]], model: Transcriber, most_together: int) -> Throughput:
    """The utterances of many streams, all of which talk all the time, through the planner."""
    plan: Batches[tuple[int, Utterance]] = Batches(most_together, 0.05, most_finals=10_000)
    for number, utterances in enumerate(streams):
        for place, each in enumerate(utterances):
            length_s = each.samples.size / RATE_HZ
            plan.add(Request(str(number), True, length_s, place * 1.0, 1e9, (number * 10_000 + place, each)))
    texts: dict[int, str] = {}
    cpu_s, wall_s = process_time(), perf_counter()
    while batch := plan.due(1e6):
        heard = model.transcribe([Speech(each.payload[1].samples) for each in batch])
        texts.update((each.payload[0], one.text) for each, one in zip(batch, heard, strict=True))
    spent = process_time() - cpu_s, perf_counter() - wall_s
    sound_s = sum(_length_s(each) for each in streams)
    return Throughput(sound_s, *spent, tuple(texts[place] for place in sorted(texts)))


def captions_of(sound: Samples, model: Transcriber) -> Captions:
    """What a viewer sees while somebody speaks, a partial every half second, of sound that comes in real time."""
    stream = Utterances(SileroDetector(), Rules(longest_s=model.abilities.longest_s))
    agreement, partials, settled, revised = Agreement(), 0, 0, 0
    shown_of: dict[int, int] = {}  # settled signs
    first_s: list[float] = []
    final_s: list[float] = []
    for count, first in enumerate(range(0, sound.size, CHUNK)):
        began_s, arrived_s = perf_counter(), (first + CHUNK) / RATE_HZ
        for each in stream.feed(sound[first : first + CHUNK], first / RATE_HZ):
            if isinstance(each, UtteranceGrew) and (
                each.utterance.number not in shown_of or count % _PARTIAL_EVERY == 0
            ):
                partials += 1
                shown = agreement.feed(_left(each.utterance, model, is_final=False))
                if shown.text and each.utterance.number not in shown_of:
                    first_s.append(arrived_s + perf_counter() - began_s - _spoken_s(each.utterance)[0])
                if shown.text:
                    shown_of[each.utterance.number] = shown.settled
            elif isinstance(each, UtteranceEnded):
                agreement.finish(_left(each.utterance, model, is_final=True))
                final_s.append(arrived_s + perf_counter() - began_s - _spoken_s(each.utterance)[1])
                settled += shown_of.get(each.utterance.number, 0)
                revised, agreement = revised + agreement.revised_signs, Agreement()
    return Captions(partials, settled, revised, tuple(first_s), tuple(final_s))


def _spoken_s(utterance: Utterance) -> tuple[float, float]:
    """When its speech begins and ends, on the stream's axis."""
    return utterance.start_s + utterance.voiced[0][0], utterance.start_s + utterance.voiced[-1][1]


def sound_path_us(sound: Samples) -> float:
    """CPU time of detector and utterances for one second of sound, in microseconds."""
    least_s = float("inf")
    for _ in range(3):
        start_s = process_time()
        utterances_of(sound, Rules(longest_s=10.0))
        least_s = min(least_s, process_time() - start_s)
    return least_s * 1e6 / (sound.size / RATE_HZ)


def _left(utterance: Utterance, model: Transcriber, *, is_final: bool) -> str:
    (heard,) = model.transcribe([Speech(utterance.samples, is_final)])
    return judged(heard, utterance.voiced).heard.text


def _length_s(utterances: Sequence[Utterance]) -> float:
    return sum(each.samples.size for each in utterances) / RATE_HZ


def main(model_folder: Path, sounds: Path, tens: int) -> None:
    """Prints the figures, one a line."""
    from models.speech.calibrate import opened
    from models.speech.sounds import sound_file, table
    from models.speech.stock import StockTranscriber

    out = sys.stdout
    entry = SpeechEntry(model_folder, model_folder.name, "1", ("zh",), 10.0, has_feature_cut=True, is_demo=True)
    model = opened(entry, "cpu", threads=1)
    out.write(f"calibration: {model.calibration}\n")
    lines, scene_lines = table(sounds / "transcripts.tsv"), table(sounds / "scene.tsv")
    scene = sound_file(sounds / "scene.flac")
    samples = [heard_in(sound_file(sounds / line["file"]), model) for line in lines]
    _say("samples", total((line["text"], text_of(said)) for line, said in zip(lines, samples, strict=True)))
    said = heard_in(scene, model)
    _say("scene", errors("".join(line["text"] for line in scene_lines), text_of(said)))
    doubtful, removed = sum(each.judged.is_doubtful for each in said), sum(len(each.judged.removed) for each in said)
    out.write(f"scene: {len(said)} utterances, {doubtful} doubtful, {removed} removals\n")
    off = np.array(start_errors_s(said, [float(line["start"]) for line in scene_lines]))
    out.write(f"starts of sentences: median {np.median(off):.3f} s, 90 % below {np.quantile(off, 0.9):.3f} s\n")
    out.write(f"sound path: {sound_path_us(scene):.0f} us of a core a second of sound\n")
    seen = captions_of(scene, model)
    out.write(f"captions: {seen.partials} partials, {seen.revised} of {seen.settled} settled signs revised\n")
    for name, delays_s in (("first words", seen.first_s), ("final text", seen.final_s)):
        out.write(f"{name}: median {np.median(delays_s):.2f} s, 95 % within {np.quantile(delays_s, 0.95):.2f} s\n")
    streams = [utterances_of(scene, Rules(longest_s=10.0))[start : start + 4] for start in range(8)]
    every, stock_model = [each for stream in streams for each in stream], StockTranscriber(entry, 1)
    stock = min((one_by_one(every, stock_model) for _ in range(2)), key=lambda each: each.cpu_s)
    ours = min(
        (batched(streams, model, model.calibration.most_together) for _ in range(2)), key=lambda each: each.cpu_s
    )
    for name, each in (("stock", stock), ("ours", ours)):
        out.write(f"{name}: {each.sound_s:.0f} s of sound, {each.cpu_s:.2f} s CPU, {each.wall_s:.2f} s wall\n")
    out.write(f"gain of 8 streams: {stock.cpu_s / ours.cpu_s:.1f} CPU, {stock.wall_s / ours.wall_s:.1f} wall\n")
    for kind in KINDS:
        began_s = process_time()
        each_ten = [invented_in(kind, _TEN_MINUTES_S, model, seed) for seed in range(1, tens + 1)]
        found, signs = (sum(column) for column in zip(*each_ten, strict=True))
        spent_s = process_time() - began_s
        out.write(f"{tens}0 min of {kind}: {found} utterances, {signs} signs, {spent_s:.1f} s CPU with making it\n")


def _say(name: str, found: Errors) -> None:
    sys.stdout.write(f"{name}: {found.rate:.2%} of {found.signs} signs wrong\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
