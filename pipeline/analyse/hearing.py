"""What is said in one stream, under one lease: sound becomes utterances, answers of a model facts and captions.

Plain code: no clock, no I/O, no model of its own. Whoever runs it brings sound, has `wanted` recognised, and takes
what is covered. Times are seconds on the stream's axis.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from models.base import Heard
from models.speech.agreement import Agreement
from models.speech.guards import judged
from models.speech.utterances import QuietPassed, Utterance, UtteranceEnded, UtteranceGrew, Utterances
from models.speech.voices import Voices
from models.speech.word_times import fitted
from pipeline.analyse.board import Caption, Work
from pipeline.analyse.progress import Covered, Progress
from pipeline.analyse.sound import Sound
from pipeline.events import WordsHeard

_FROM_THE_START_S: Final = 0.5
_SOON_S: Final = 0.3
_SHORTEST_PARTIAL_S: Final = 0.4
_NEARLY_OVER_S: Final = 0.16
"""Longer than a stop within a word; an utterance ends after 0.384 s of it."""


class Removed(Protocol):
    """Where text goes that is held to be invented."""

    def __call__(self, text: str, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """An utterance that is to be recognised, whole or as far as it was said. key: of the utterance within the lease."""

    key: int
    utterance: Utterance
    is_final: bool


class Hearing:
    """One stream or span. revisions: finals that differ from what was shown as settled."""

    def __init__(
        self, work: Work, model: str, utterances: Utterances, normal: Callable[[str], str], removed: Removed
    ) -> None:
        self.revisions = 0
        self.growing: Wanted | None = None
        """What is being said now, and was not asked for as a partial yet; whoever asks takes it away."""
        self._open: int | None = None
        self._work = work
        self._model = model
        self._utterances = utterances
        self._normal = normal
        self._removed = removed
        self._voices = Voices()
        self._progress: Progress | None = None if work.kind == "live" else Progress(work.start_s)
        self._partials: dict[int, Agreement] = {}
        self._unheard_from_s: float | None = None
        self._loss = "worker_lost"  # why what is being said at the beginning was not heard from its own
        self._misses = 0

    @property
    def waiting(self) -> int:
        return 0 if self._progress is None else self._progress.waiting

    @property
    def oldest_s(self) -> float | None:
        """The end of the oldest utterance that waits for its words."""
        return None if self._progress is None else self._progress.oldest_s

    def feed(self, sound: Sound) -> list[Wanted]:
        """The utterances that ended."""
        if self._progress is None:
            is_from_start = sound.start_s < _FROM_THE_START_S
            self._progress = Progress(0.0 if is_from_start else sound.start_s)
            self._unheard_from_s = None if is_from_start else sound.start_s
        return self._take(self._utterances.feed(sound.samples, sound.start_s))

    def finish(self) -> list[Wanted]:
        """The stream or span is over."""
        return self._take(self._utterances.finish())

    def missed(self, start_s: float, end_s: float, *, is_ours: bool) -> list[Wanted]:
        """No sound came between the two. is_ours: it is in the recording; else there is none, and nothing to hear."""
        wanted = self.finish()
        if self._progress is not None and is_ours:
            self._misses += 1
            self._progress.missed(-self._misses, start_s, end_s, "feed_lost")
            self._unheard_from_s, self._loss = end_s, "feed_lost"
        elif self._progress is not None:
            self._progress.quiet(end_s)
        return wanted

    def partial(self, wanted: Wanted, heard: Heard) -> Caption | None:
        """What is shown of an utterance that goes on; None: nothing."""
        kept = judged(heard, wanted.utterance.voiced).heard
        if not kept.text or self._open != wanted.key:
            return None
        shown = self._partials.setdefault(wanted.key, Agreement()).feed(kept.text)
        return self._caption(wanted.utterance, shown.text, shown.settled, is_final=False, late_s=0.0)

    def final(self, wanted: Wanted, heard: Heard, late_s: float, model: str = "") -> Caption | None:
        """Takes the words of an utterance; what is shown of them. model: where another than the lease's heard it."""
        utterance, progress = wanted.utterance, self._progress
        shown = self._partials.pop(wanted.key, None)
        verdict = judged(fitted(heard, utterance.voiced), utterance.voiced)
        kept = verdict.heard
        for removed in verdict.removed:
            self._removed(removed.text, removed.reason)
        if progress is None:
            return None
        speaker = self._voices.feed(utterance.samples, utterance.voiced)
        if not kept.text:
            progress.answered(wanted.key, (), model)
            had_words = shown is not None
            return self._caption(utterance, "", 0, is_final=True, late_s=late_s) if had_words else None
        if shown is not None:
            shown.finish(kept.text)
            self.revisions += shown.revised_signs > 0
        first, last = utterance.start_s, utterance.end_s
        if kept.words:
            first = utterance.start_s + kept.words[0].start_s
            last = max(first, utterance.start_s + kept.words[-1].end_s)
        normal = self._normal(kept.text)
        words = WordsHeard(
            at=self._work.started_at + first, stream_id=self._work.stream_id, recording_id=self._work.recording_id,
            start_s=round(first, 3), end_s=round(last, 3), text=kept.text, normal="" if normal == kept.text else normal,
            word_times="\n".join(
                f"{_ms(utterance.start_s + each.start_s - first)}-{_ms(utterance.start_s + each.end_s - first)} "
                f"{each.text.strip()}"
                for each in kept.words
            ),
            language=heard.language, confidence=round(verdict.confidence, 3), is_doubtful=verdict.is_doubtful,
            speaker=speaker, model=model or self._model, stage=self._work.stage, by=model or self._model,
        )  # fmt: skip
        progress.answered(wanted.key, (words,), model)
        return self._caption(utterance, kept.text, len(kept.text), is_final=True, late_s=late_s, speaker=speaker)

    def drop(self, wanted: Wanted, reason: str) -> None:
        """Nobody will recognise it: its span is a hole, and is looked at later."""
        self._partials.pop(wanted.key, None)
        if self._progress is not None:
            self._progress.lost(wanted.key, reason)

    def is_news(self, quiet_s: float) -> bool:
        """Whether `covered` has more to tell than less than quiet_s of silence."""
        return self._progress is not None and self._progress.is_news(quiet_s)

    def covered(self) -> list[Covered]:
        return [] if self._progress is None else self._progress.take()

    def _take(self, happened: list[UtteranceGrew | UtteranceEnded | QuietPassed]) -> list[Wanted]:
        wanted: list[Wanted] = []
        progress = self._progress
        if progress is None:
            return wanted
        for each in happened:
            match each:
                case UtteranceGrew():
                    is_long = each.utterance.end_s - each.utterance.start_s >= _SHORTEST_PARTIAL_S
                    is_heard = not self._is_unheard(each.utterance)
                    wish = Wanted(each.utterance.number, each.utterance, False)
                    is_asked = is_long and is_heard and not _is_quiet(each.utterance)
                    self.growing, self._open = (wish if is_asked else None), each.utterance.number
                case UtteranceEnded():
                    self.growing = self._open = None
                    utterance = each.utterance
                    progress.asked(utterance.number, utterance.start_s, utterance.end_s)
                    is_unheard, self._unheard_from_s = self._is_unheard(utterance), None
                    if is_unheard:
                        progress.lost(utterance.number, self._loss)
                    else:
                        wanted.append(Wanted(utterance.number, utterance, True))
                case QuietPassed():
                    progress.quiet(each.until_s)
        return wanted

    def _is_unheard(self, utterance: Utterance) -> bool:
        """Whether it was being said already when this lease, or the feed after a loss of ours, began."""
        begun_s = self._unheard_from_s
        return begun_s is not None and utterance.is_at_start and utterance.start_s <= begun_s + _SOON_S

    def _caption(
        self, utterance: Utterance, text: str, settled: int, *, is_final: bool, late_s: float, speaker: str = "unknown"
    ) -> Caption:
        return Caption(
            self._work.stream_id, utterance.number, round(utterance.start_s, 3), round(utterance.end_s, 3), text,
            settled, is_final, round(late_s, 3), speaker,
        )  # fmt: skip


def _is_quiet(utterance: Utterance) -> bool:
    """Whether its end is silence: its final words are near, and must not wait for another look at the same."""
    return utterance.end_s - utterance.start_s - utterance.voiced[-1][1] >= _NEARLY_OVER_S


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
