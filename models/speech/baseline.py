"""What stands beside our own figures: faster-whisper as it comes, over whole sounds. For docs/evaluation.md.

    python -m models.speech.baseline MODEL_FOLDER SOUNDS_FOLDER

SOUNDS_FOLDER as for models/speech/evaluate.py. `WhisperModel.transcribe` and `BatchedInferencePipeline.transcribe` with
their defaults but for the language; one thread, int8.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time

from faster_whisper import BatchedInferencePipeline, WhisperModel  # type: ignore[import-untyped]  # ships no types

from models.base import RATE_HZ, Samples
from models.speech.cer import Errors, total
from models.speech.nothing import KINDS, nothing
from models.speech.sounds import sound_file, table

_TEN_MINUTES_S = 600.0


def main(model_folder: Path, sounds: Path) -> None:
    """Prints the figures, one a line."""
    model = WhisperModel(str(model_folder), device="cpu", compute_type="int8", cpu_threads=1)
    batches = BatchedInferencePipeline(model)

    def as_it_comes(sound: Samples) -> str:
        segments, _ = model.transcribe(sound, language="zh")
        return "".join(segment.text for segment in segments)

    def filtered(sound: Samples) -> str:
        segments, _ = model.transcribe(sound, language="zh", vad_filter=True, condition_on_previous_text=False)
        return "".join(segment.text for segment in segments)

    def in_batches(sound: Samples) -> str:
        segments, _ = batches.transcribe(sound, language="zh")
        return "".join(segment.text for segment in segments)

    ways = {"defaults": as_it_comes, "vad_filter, no previous text": filtered, "batched pipeline": in_batches}
    lines, script = table(sounds / "transcripts.tsv"), table(sounds / "scene.tsv")
    samples = [(line["text"], sound_file(sounds / line["file"])) for line in lines]
    scene = [("".join(line["text"] for line in script), sound_file(sounds / "scene.flac"))]
    for name, way in ways.items():
        _say(f"samples, {name}", samples, way)
        _say(f"scene, {name}", scene, way)
    for kind in KINDS:
        noise = nothing(kind, _TEN_MINUTES_S)
        signs = ", ".join(f"{len(way(noise))} signs ({name})" for name, way in ways.items())
        sys.stdout.write(f"10 min of {kind}: {signs}\n")


def _say(name: str, told: list[tuple[str, Samples]], way: Callable[[Samples], str]) -> None:
    began_s = process_time()
    found: Errors = total((text, way(sound)) for text, sound in told)
    rtf = (process_time() - began_s) / (sum(sound.size for _, sound in told) / RATE_HZ)
    sys.stdout.write(f"{name}: {found.rate:.2%} of {found.signs} signs wrong, {rtf:.4f} s CPU a second\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
