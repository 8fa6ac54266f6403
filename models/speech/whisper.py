"""faster-whisper's models as a Transcriber: batches of like length, features of the utterance alone, a second try.

Knows no stream. What a model invents is not its business but that of `guards.py`; here a text that looks invented is
only tried again. Licence: of the model, in the registry.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

from models.base import RATE_HZ, Abilities, Heard, Samples, Speech, Word
from models.speech.cer import simplified
from models.speech.entry import SpeechEntry
from models.speech.loops import MOST_COMPRESSION, compression
from models.speech.whisper_engine import FRAMES_PER_S, WHOLE_FRAMES, Decoded, Engine, Features, Way
from pipeline.errors import ModelFailed

_SHORTEST_S: Final = 0.06  # no syllable is shorter
_PARTIAL: Final = Way(width=1)
_FINAL: Final = Way(width=5)
_AGAIN: Final = Way(width=5, is_wary=True)
"""For what looks invented. One more try, so that one noisy utterance costs at most twice."""
_LEAST_LOG_PROBABILITY: Final = -1.0
_MOST_NO_SPEECH: Final = 0.6
"""The two are Whisper's own: arXiv:2212.04356, section 4.5."""
_TAIL_FRAMES: Final = 50
"""Half a second of nothing after every utterance. Without it a model that hears a word cut off says it again and again:
877 wrong signs after the right ones in 90 unfinished utterances of the demo model, 81 with 0.2 s, 21 with 0.5 s."""
_TOKENS_PER_S: Final = 16  # twice the fastest speech in any language of the models
_LEAST_TOKENS: Final = 24


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured for one model on one device: `calibrate.py`.

    threads: of the CPU; 0: as the engine likes. most_together: utterances in a batch. step_frames: lengths are filled
    up to a multiple of it; even.
    """

    threads: int = 0
    most_together: int = 4
    step_frames: int = 2


class WhisperTranscriber:
    """A Whisper model as a Transcriber. Raises: ModelMissing, ModelFailed: it cannot be loaded."""

    def __init__(
        self,
        entry: SpeechEntry,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        calibration: Calibration | None = None,
    ) -> None:
        self._entry = entry
        self.calibration = calibration or Calibration()
        self.engine = Engine(entry.folder, device, self.calibration.threads)

    @property
    def abilities(self) -> Abilities:
        return self._entry.abilities(has_word_times=True)

    def transcribe(self, speeches: Sequence[Speech]) -> list[Heard]:
        heard: dict[int, Heard] = {}
        order: list[int] = []
        for number, speech in enumerate(speeches):
            self._check(speech)
            if speech.samples.size < _SHORTEST_S * RATE_HZ:
                heard[number] = Heard("", (), speech.language, 0.0)
            else:
                order.append(number)
        for batch in self._batches(speeches, order):
            heard.update(zip(batch, self._hear([speeches[number] for number in batch]), strict=True))
        return [heard[number] for number in range(len(speeches))]

    def _check(self, speech: Speech) -> None:
        length_s, name = speech.samples.size / RATE_HZ, self._entry.name
        if length_s > self._entry.longest_s + 1e-6:
            raise ModelFailed(
                f"an utterance of {length_s:.1f} s is longer than the {self._entry.longest_s:g} s of {name}"
            )
        if speech.language and speech.language not in self._entry.languages:
            raise ModelFailed(f"{name} does not know the language {speech.language}; it knows {self._entry.languages}")

    def _batches(self, speeches: Sequence[Speech], order: list[int]) -> Iterator[list[int]]:
        """Those that may go together: asked for alike, of like length."""

        def alike(number: int) -> tuple[bool, str, tuple[str, ...]]:
            return speeches[number].is_final, speeches[number].language, self._hot_words(speeches[number])

        most = self.calibration.most_together
        for _, group in groupby(
            sorted(order, key=lambda number: (alike(number), speeches[number].samples.size)), alike
        ):
            numbers = list(group)
            yield from (numbers[start : start + most] for start in range(0, len(numbers), most))

    def _hear(self, batch: list[Speech]) -> list[Heard]:
        features = [self.engine.features(speech.samples) for speech in batch]
        language = batch[0].language
        if not language:
            return self._hear_unknown(batch, features)
        prompt = self.engine.prompt(language, " ".join(self._hot_words(batch[0])))
        encoded = self.engine.encode(features, self._frames(features))
        way = _FINAL if batch[0].is_final else _PARTIAL
        decoded = self.engine.decode(encoded, prompt, language, way, _most_tokens(features))
        if not batch[0].is_final:
            return [self._heard(each, [], language) for each in decoded]
        tried = [self._again(each, mel, prompt, language) for each, mel in zip(decoded, features, strict=True)]
        words = self.engine.words(encoded, tried, language, [mel.shape[1] for mel in features])
        return [
            self._heard(each, _within(times, speech.samples), language)
            for each, times, speech in zip(tried, words, batch, strict=True)
        ]

    def _hear_unknown(self, batch: list[Speech], features: list[Features]) -> list[Heard]:
        """Ask for the language first, then for the words."""
        encoded = self.engine.encode(features, self._frames(features))
        languages = self.engine.language(encoded, self._entry.languages)
        known = [
            Speech(speech.samples, speech.is_final, language, speech.hot_words)
            for speech, language in zip(batch, languages, strict=True)
        ]
        return self.transcribe(known)

    def _again(self, first: Decoded, features: Features, prompt: list[int], language: str) -> Decoded:
        """`first`, or where it looks invented what a second try gives; of two that look so the likelier."""
        if not self._is_strange(first, language):
            return first
        encoded = self.engine.encode([features], self._frames([features]))
        (second,) = self.engine.decode(encoded, prompt, language, _AGAIN, _most_tokens([features]))
        if not self._is_strange(second, language):
            return second
        sober = [each for each in (first, second) if self._compression(each, language) <= MOST_COMPRESSION]
        return max(sober or (first, second), key=lambda each: each.average_log_probability)

    def _is_strange(self, decoded: Decoded, language: str) -> bool:
        """Whether another try may do better. What the model holds to be no speech is not tried again."""
        is_unlikely = decoded.average_log_probability < _LEAST_LOG_PROBABILITY
        if is_unlikely and decoded.no_speech_probability > _MOST_NO_SPEECH:
            return False
        return is_unlikely or self._compression(decoded, language) > MOST_COMPRESSION

    def _compression(self, decoded: Decoded, language: str) -> float:
        return compression(self.engine.text(decoded, language))

    def _frames(self, features: list[Features]) -> int:
        if not self._entry.has_feature_cut:
            return WHOLE_FRAMES
        longest = max(int(each.shape[1]) for each in features) + _TAIL_FRAMES
        return min(WHOLE_FRAMES, -(-longest // self.calibration.step_frames) * self.calibration.step_frames)

    def _hot_words(self, speech: Speech) -> tuple[str, ...]:
        return speech.hot_words if self._entry.has_hot_words else ()

    def _heard(self, decoded: Decoded, words: list[Word], language: str) -> Heard:
        text = self.engine.text(decoded, language)
        if language == "zh":
            words = _simplified_words(words)
            text = simplified(text)
        return Heard(text, tuple(words), language, decoded.average_log_probability, decoded.no_speech_probability)


def _most_tokens(features: list[Features]) -> int:
    return _LEAST_TOKENS + _TOKENS_PER_S * max(int(each.shape[1]) for each in features) // FRAMES_PER_S


def _within(words: list[Word], samples: Samples) -> list[Word]:
    """Times that stay inside the sound and never go back."""
    kept: list[Word] = []
    for word in words:
        start_s = min(max(word.start_s, kept[-1].end_s if kept else 0.0), samples.size / RATE_HZ)
        end_s = min(max(word.end_s, start_s), samples.size / RATE_HZ)
        kept.append(Word(word.text, start_s, end_s, word.probability))
    return kept


def _simplified_words(words: list[Word]) -> list[Word]:
    """A sign becomes what it becomes in its sentence, where that keeps its length; it nearly always does."""
    whole = "".join(word.text for word in words)
    converted = simplified(whole)
    if len(converted) != len(whole):
        return [Word(simplified(word.text), word.start_s, word.end_s, word.probability) for word in words]
    changed, place = [], 0
    for word in words:
        text = converted[place : place + len(word.text)]
        changed.append(Word(text, word.start_s, word.end_s, word.probability))
        place += len(word.text)
    return changed
