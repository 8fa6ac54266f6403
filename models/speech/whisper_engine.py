"""The border to faster-whisper and CTranslate2, with types. Knows features and tokens; no utterance, no rule.

Own here instead of `BatchedInferencePipeline`: that pads every utterance to 30 s and ignores the guards against
invention (its `compression_ratio_threshold`, `log_prob_threshold`, `no_speech_threshold` do nothing).
Licence: faster-whisper and CTranslate2 MIT.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import ctranslate2  # type: ignore[import-untyped]  # ships no types
import numpy as np
from faster_whisper import WhisperModel  # type: ignore[import-untyped]  # ships no types
from faster_whisper.tokenizer import Tokenizer  # type: ignore[import-untyped]  # ships no types
from faster_whisper.transcribe import (  # type: ignore[import-untyped]  # ships no types
    get_suppressed_tokens,
    merge_punctuations,
)
from numpy.typing import NDArray

from models.base import Samples, Word
from models.speech import whisper_files
from pipeline.errors import ModelFailed

FRAMES_PER_S: Final = 100
WHOLE_FRAMES: Final = 3000  # the 30 s that Whisper models are trained with
_OPENING: Final = "\"'“¿([{-《「"
_CLOSING: Final = "\"'.。,，!！?？:：”)]}、》」"

Features = NDArray[np.float32]
"""(mels, frames) float32; 100 frames a second."""


@dataclass(frozen=True, slots=True)
class Way:
    """How tokens are searched for: `width` hypotheses wide. is_wary: three tokens in a row never come twice.
    is_endless: it goes on to the last token that is allowed; for measuring.

    Nothing is drawn by lot, as Whisper does where a search fails: CTranslate2 cannot repeat a draw, and the same sound
    must give the same words whenever somebody looks at it again.
    """

    width: int
    is_wary: bool = False
    is_endless: bool = False


@dataclass(frozen=True, slots=True)
class Decoded:
    """tokens: without those that say what is asked for. average_log_probability: a token's, <= 0."""

    tokens: tuple[int, ...]
    average_log_probability: float
    no_speech_probability: float


class Engine:
    """A loaded Whisper model. Not thread-safe."""

    def __init__(self, folder: Path, device: Literal["auto", "cpu", "cuda"], threads: int) -> None:
        """threads: of the CPU; 0: as CTranslate2 likes.

        Raises: ModelMissing, ModelFailed: its files are not here, broken, or of another kind of model.
        """
        whisper_files.check(folder)
        self.device = device if device != "auto" else "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        kind = "int8" if self.device == "cpu" else "auto"
        try:
            self._model = WhisperModel(str(folder), device=self.device, compute_type=kind, cpu_threads=threads)
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelFailed(f"{folder.name} cannot be loaded on {self.device}; check it, or bring it anew") from error
        if self._model.feature_extractor.mel_filters.shape[0] != self._model.model.n_mels:
            raise ModelFailed(f"{folder.name}/preprocessor_config.json is of another model; bring the model anew")
        self._tokenizers: dict[str, Tokenizer] = {}

    def features(self, samples: Samples) -> Features:
        """Of the sound at its own length, and 10 ms more."""
        return np.asarray(self._model.feature_extractor(samples), np.float32)

    def encode(self, batch: Sequence[Features], frames: int) -> "ctranslate2.StorageView":
        """The encoder's answer to features that are filled with zeros to `frames`, an even number."""
        filled = np.zeros((len(batch), batch[0].shape[0], frames), np.float32)
        for row, features in zip(filled, batch, strict=True):
            row[:, : features.shape[1]] = features[:, :frames]
        try:
            return self._model.encode(filled)
        except (RuntimeError, ValueError) as error:
            raise ModelFailed(f"the model refused {len(batch)} utterances of {frames} frames") from error

    def language(self, encoded: "ctranslate2.StorageView", known: Sequence[str]) -> list[str]:
        """The likeliest of the `known` languages for each of the batch."""
        if not self._model.model.is_multilingual:
            return ["en"] * encoded.shape[0]
        answers = self._model.model.detect_language(encoded)
        heard = [[token[2:-2] for token, _ in answer if token[2:-2] in known] for answer in answers]
        return [languages[0] if languages else known[0] for languages in heard]

    def prompt(self, language: str, hot_words: str) -> list[int]:
        """What the decoder is told: hot words, language, that it shall transcribe, and write no times."""
        prompt = self._model.get_prompt(self._tokenizer(language), [], without_timestamps=True, hotwords=hot_words)
        return [int(token) for token in prompt]

    def decode(
        self, encoded: "ctranslate2.StorageView", prompt: list[int], language: str, way: Way, most_tokens: int
    ) -> list[Decoded]:
        """The words of each of the batch. most_tokens: beyond the prompt; a loop ends there."""
        tokenizer = self._tokenizer(language)
        never = [*get_suppressed_tokens(tokenizer, [-1]), *([tokenizer.eot] if way.is_endless else [])]
        try:
            answers = self._model.model.generate(
                encoded,
                [prompt] * encoded.shape[0],
                max_length=min(self._model.max_length, len(prompt) + most_tokens),
                beam_size=way.width,
                no_repeat_ngram_size=3 if way.is_wary else 0,
                repetition_penalty=1.1 if way.is_wary else 1.0,
                suppress_tokens=never,
                return_scores=True,
                return_no_speech_prob=True,
            )
        except (RuntimeError, ValueError) as error:
            raise ModelFailed(f"the model refused a batch of {encoded.shape[0]} utterances") from error
        return [_decoded(answer) for answer in answers]

    def text(self, decoded: Decoded, language: str) -> str:
        return str(self._tokenizer(language).decode(list(decoded.tokens))).strip()

    def words(
        self, encoded: "ctranslate2.StorageView", decoded: Sequence[Decoded], language: str, frames: Sequence[int]
    ) -> list[list[Word]]:
        """When each word was said, in seconds from the first frame; punctuation stands with its word.

        frames: how many of the batch's belong to each utterance.
        Source: dynamic time warping over cross-attention, openai/whisper, timing.py.
        """
        tokenizer = self._tokenizer(language)
        try:
            found = self._model.find_alignment(
                tokenizer, [list(each.tokens) for each in decoded], encoded, list(frames)
            )
        except (RuntimeError, ValueError) as error:
            raise ModelFailed(f"the model could not tell the times of {len(decoded)} utterances") from error
        for alignment in found:
            merge_punctuations(alignment, _OPENING, _CLOSING)
        return [[_word(each) for each in alignment if each["word"]] for alignment in found]

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._model.hf_tokenizer, self._model.model.is_multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]


def _decoded(answer: "ctranslate2.models.WhisperGenerationResult") -> Decoded:
    tokens = answer.sequences_ids[0]
    score = answer.scores[0] * len(tokens) / (len(tokens) + 1)
    return Decoded(tuple(tokens), score if math.isfinite(score) else -10.0, float(answer.no_speech_prob))


def _word(found: "dict[str, str | float]") -> Word:
    return Word(str(found["word"]), float(found["start"]), float(found["end"]), float(found["probability"]))
