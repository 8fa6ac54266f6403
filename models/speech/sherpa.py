"""sherpa-onnx's SenseVoice and Paraformer as a Transcriber: fewer errors than Whisper in Mandarin, and far less work.

The package is imported when a model is opened, and is no dependency of ours. Licence: sherpa-onnx Apache-2.0; each
model its own, in the registry. Known failure: given a file that is no model of the named kind, sherpa-onnx may end the
process instead of raising; so the names in its metadata are looked for first, and it runs in a process that can be
spared.
Source: https://k2-fsa.github.io/sherpa/onnx/
"""

from collections.abc import Sequence
from importlib import import_module
from math import nan
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from models.base import RATE_HZ, Abilities, Heard, Samples, Speech
from models.speech.cer import simplified
from models.speech.entry import SpeechEntry
from models.speech.sherpa_words import TAG, Result, words_of
from pipeline.errors import ModelFailed, ModelMissing

Kind: TypeAlias = Literal["sense_voice", "paraformer"]

_SHORTEST_S: Final = 0.06
_NAMES: Final = ("model.int8.onnx", "model.onnx")
_NEEDED: Final = {
    "sense_voice": (b"vocab_size", b"neg_mean", b"inv_stddev", b"normalize_samples", b"lang_auto", b"with_itn"),
    "paraformer": (b"vocab_size", b"neg_mean", b"inv_stddev", b"lfr_window_size"),
}
"""Names in the metadata of a model of that kind. Where one is missing, sherpa-onnx ends the process."""


class Stream(Protocol):
    """What we use of its OfflineStream."""

    @property
    def result(self) -> Result: ...

    def accept_waveform(self, sample_rate: float, waveform: Samples) -> None: ...


class Recogniser(Protocol):
    """What we use of its OfflineRecognizer."""

    def create_stream(self) -> Stream: ...

    def decode_streams(self, streams: list[Stream]) -> None: ...


def opened(
    entry: SpeechEntry, kind: Kind, device: Literal["cpu", "cuda"] = "cpu", threads: int = 1
) -> "SherpaTranscriber":
    """The model in entry.folder: model.int8.onnx or model.onnx, and tokens.txt.

    Raises: ModelMissing: the package or a file is not here. ModelFailed: the model cannot be loaded.
    """
    try:
        recogniser = import_module("sherpa_onnx").OfflineRecognizer
    except ImportError as error:
        raise ModelMissing(
            f"{entry.name} needs sherpa-onnx, which is not installed: pip install sherpa-onnx"
        ) from error
    model = next((path for name in _NAMES if (path := entry.folder / name).is_file()), None)
    tokens = entry.folder / "tokens.txt"
    if model is None or not tokens.is_file():
        raise ModelMissing(
            f"{entry.folder.name} lacks model.onnx or tokens.txt; bring it with `onrecord models import`"
        )
    _check(model, kind)
    how = {"tokens": str(tokens), "num_threads": threads, "provider": device}
    try:
        if kind == "sense_voice":
            return SherpaTranscriber(entry, recogniser.from_sense_voice(model=str(model), use_itn=True, **how))
        return SherpaTranscriber(entry, recogniser.from_paraformer(paraformer=str(model), **how))
    except (RuntimeError, ValueError, TypeError, LookupError, OSError) as error:
        raise ModelFailed(f"{entry.folder.name} cannot be loaded as {kind}; check it, or bring it anew") from error


def _check(model: Path, kind: Kind) -> None:
    with model.open("rb") as file:
        if not model.stat().st_size:
            raise ModelFailed(f"{model.parent.name}/{model.name} is empty; bring the model anew")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            missing = [name.decode() for name in _NEEDED[kind] if content.find(name) < 0]
    if missing:
        raise ModelFailed(f"{model.parent.name} is no {kind} model: it does not say {', '.join(missing)}")


class SherpaTranscriber:
    """A recogniser of sherpa-onnx as a Transcriber. It finds the language itself; hot words are not taken."""

    def __init__(self, entry: SpeechEntry, recogniser: Recogniser) -> None:
        self._entry = entry
        self._recogniser = recogniser

    @property
    def abilities(self) -> Abilities:
        return self._entry.abilities(has_word_times=True)

    def transcribe(self, speeches: Sequence[Speech]) -> list[Heard]:
        streams: list[Stream | None] = [self._stream(speech) for speech in speeches]
        asked = [stream for stream in streams if stream is not None]
        try:
            if asked:
                self._recogniser.decode_streams(asked)
            return [
                self._heard(stream.result, speech) if stream else Heard("", (), speech.language, nan)
                for stream, speech in zip(streams, speeches, strict=True)
            ]
        except (RuntimeError, ValueError, LookupError) as error:
            raise ModelFailed(f"{self._entry.name} refused {len(speeches)} utterances") from error

    def _stream(self, speech: Speech) -> Stream | None:
        """None: too short to hold a syllable."""
        length_s = speech.samples.size / RATE_HZ
        if length_s > self._entry.longest_s + 1e-6:
            raise ModelFailed(
                f"an utterance of {length_s:.1f} s is longer than the {self._entry.longest_s:g} s of the model"
            )
        if length_s < _SHORTEST_S:
            return None
        stream = self._recogniser.create_stream()
        stream.accept_waveform(RATE_HZ, speech.samples)
        return stream

    def _heard(self, result: Result, speech: Speech) -> Heard:
        language = "".join(TAG.findall(result.lang)) or result.lang or self._entry.languages[0]
        text = simplified(TAG.sub("", result.text)).strip()
        words = words_of(result, speech.samples.size / RATE_HZ) if speech.is_final else ()
        if _bare("".join(word.text for word in words)) != _bare(text):
            words = ()  # tokens that are not the text have no times worth having
        logs = list(result.ys_log_probs)
        return Heard(text, words, language, sum(logs) / len(logs) if logs else nan)


def _bare(text: str) -> str:
    return "".join(text.split())
