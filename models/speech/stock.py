"""faster-whisper as it comes, one utterance a call: what our own way of running its models is measured against."""

from collections.abc import Sequence

from faster_whisper import WhisperModel  # type: ignore[import-untyped]  # ships no types

from models.base import Abilities, Heard, Speech, Word
from models.speech.entry import SpeechEntry


class StockTranscriber:
    """`WhisperModel.transcribe` with its defaults, but for the language and for text carried from call to call."""

    def __init__(self, entry: SpeechEntry, threads: int) -> None:
        self._entry = entry
        self._model = WhisperModel(str(entry.folder), device="cpu", compute_type="int8", cpu_threads=threads)

    @property
    def abilities(self) -> Abilities:
        return self._entry.abilities(has_word_times=True)

    def transcribe(self, speeches: Sequence[Speech]) -> list[Heard]:
        return [self._one(speech) for speech in speeches]

    def _one(self, speech: Speech) -> Heard:
        segments, _ = self._model.transcribe(
            speech.samples,
            language=speech.language,
            word_timestamps=speech.is_final,
            condition_on_previous_text=False,
        )
        heard = list(segments)
        words = tuple(
            Word(word.word, word.start, word.end, word.probability) for segment in heard for word in segment.words or ()
        )
        log = sum(segment.avg_logprob for segment in heard) / len(heard) if heard else 0.0
        return Heard("".join(segment.text for segment in heard), words, speech.language, log)
