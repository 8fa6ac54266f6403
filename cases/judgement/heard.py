"""What was said in a step of a case, and what nobody heard: made of facts alone. Plain code; knows no store.

All times are UTC seconds, the one axis of all streams of a step. Of several streams a second was heard if each of them
heard it: what was said beside one whose microphone was silent, no other heard.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cases import words
from cases.appender import Stored
from cases.facts import Fact
from cases.rules.hearing import Hearing, Unheard
from cases.rules.said import Speaker, Utterance
from cases.words import CORRECTED, HEARD, Said

SPOKEN: Final = (HEARD, CORRECTED)
SOUND_FAULTS: Final = {
    "sound_missing": "无声",
    "sound_clipped": "声音过载",
    "sound_cut": "声音断续",
    "sound_drowned": "噪声淹没",
}
HOLES: Final = (
    "AnalysisGap", "AnalysisGapClosed", "MediaLost", "StreamInterrupted", "StreamResumed", "FindingRaised",
    "FindingEnded",
)  # fmt: skip
"""Kinds of facts that say what was not heard, or that it was after all."""
BEFORE_S: Final = 30.0
"""Words this long before a step began count: people begin to speak, and then somebody presses the button."""

_SPEAKERS: Final[dict[str, Speaker]] = {"wearer": "officer", "other": "other"}
_NO_STREAM, _NO_WORDS, _DOUBTFUL = "没有录像", "没有识别到说话", "识别存疑"
_UNSEEN, _NO_MEDIA, _FOREIGN = "尚未识别", "音视频中断", "不是汉语"
_FEWEST_LETTERS: Final = 4
"""Of another script, in words that are not taken for Chinese: OK is said in Chinese too."""
_LETTERS_A_SIGN: Final = 4  # that a word of one Chinese sign would have
_CHINESE: Final = re.compile("[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Source:
    """A recording of the case, as it counts for one step. begin_s: UTC of its second 0.

    runs: when it counts: while it records, and is no other step's alone. officer_id: who carried the device.
    """

    stream_id: str
    recording_id: str
    device_id: str
    officer_id: str | None
    begin_s: float
    runs: tuple[tuple[float, float], ...]

    def counts(self, at_s: float) -> bool:
        return any(start_s <= at_s <= end_s for start_s, end_s in self.runs)


class Heard:
    """Facts of several recordings, in the order of the log, looked at once for every view of them."""

    def __init__(self, stored: Sequence[Stored]) -> None:
        self._of_stream: dict[str | None, list[Stored]] = {}
        for each in stored:
            self._of_stream.setdefault(each.fact.stream_id, []).append(each)
        self._of: dict[tuple[str, str], tuple[list[Stored], tuple[Said, ...]]] = {}

    def of_stream(self, stream_id: str) -> Sequence[Stored]:
        return self._of_stream.get(stream_id, ())

    def of(self, source: Source) -> tuple[Sequence[Stored], tuple[Said, ...]]:
        """Its own facts, and the words that count."""
        key = source.stream_id, source.recording_id
        if key not in self._of:
            own = [each for each in self.of_stream(source.stream_id) if is_of_recording(source, each.fact)]
            self._of[key] = own, words.chosen(words.spans_of(own))
        return self._of[key]


class View:
    """A step as it was heard between two times."""

    def __init__(self, sources: Sequence[Source], heard: Heard, from_s: float, to_s: float) -> None:
        self._sources = sources
        self._from_s = from_s
        self._to_s = to_s
        self._said: dict[str, list[Said]] = {}
        self._unheard: dict[str, list[Unheard]] = {}
        self._wordless: set[str] = set()
        """Recordings in which no word was recognised: by themselves nobody knows whether anybody listened."""
        for source in sources:
            own, chosen = heard.of(source)
            said = [each for each in chosen if is_within(source, source.begin_s + each.start_s, from_s, to_s)]
            self._said[source.recording_id] = said
            self._unheard[source.recording_id] = list(_unheard(source, own, said, to_s))
            if not said:
                self._wordless.add(source.recording_id)

    def utterances(self) -> list[Utterance]:
        """What counts of what was said, in its order; of several versions of a span one alone."""
        found = [_utterance(source, said) for source in self._sources for said in self._said[source.recording_id]]
        return sorted(found, key=lambda each: (each.start_s, each.end_s, each.stream_id))

    def hearing(self) -> Hearing:
        return self._hearing_of(self._sources)

    def heard_most(self, start_s: float, end_s: float) -> Source | None:
        """The source that heard the most of a span; of several the first by its stream's id; None: none did."""
        shares = [(self._hearing_of([each]).share(start_s, end_s), each) for each in self._sources]
        there = [pair for pair in shares if pair[0] > 0]
        return min(there, key=lambda pair: (-pair[0], pair[1].stream_id))[1] if there else None

    def _hearing_of(self, sources: Sequence[Source]) -> Hearing:
        edges = {self._from_s, self._to_s}
        for source in sources:
            edges.update(edge for run in source.runs for edge in run)
            edges.update(edge for each in self._unheard[source.recording_id] for edge in (each.start_s, each.end_s))
        ordered = sorted(edge for edge in edges if self._from_s <= edge <= self._to_s)
        return Hearing(
            [
                Unheard(start_s, end_s, reason)
                for start_s, end_s in pairwise(ordered)
                for reason in self._reasons(sources, (start_s + end_s) / 2)
            ]
        )

    def _reasons(self, sources: Sequence[Source], at_s: float) -> tuple[str, ...]:
        """Why this moment was not heard whole; none: it was."""
        there = [source for source in sources if source.counts(at_s)]
        if not there:
            return (_NO_STREAM,)
        found = {
            each.reason: None
            for source in there
            for each in self._unheard[source.recording_id]
            if each.start_s <= at_s < each.end_s
        }
        if all(source.recording_id in self._wordless for source in there):
            found[_NO_WORDS] = None
        return tuple(found)


def utterance_of(source: Source, stored: Stored) -> Utterance:
    """Of a WordsHeard that has no other version."""
    (span,) = words.spans_of([stored])
    return _utterance(source, span.versions[0].said[0])


def both_record(sources: Sequence[Source], from_s: float, to_s: float) -> tuple[float, float, Source, Source] | None:
    """The longest time in which devices of two officers recorded at once: from, to, and which."""
    found: list[tuple[float, float, Source, Source]] = []
    carried = [each for each in sources if each.officer_id is not None]
    for at, one in enumerate(carried):
        for other in carried[at + 1 :]:
            if one.officer_id == other.officer_id or one.device_id == other.device_id:
                continue
            for start_s, end_s in one.runs:
                for other_start_s, other_end_s in other.runs:
                    begin_s, until_s = max(start_s, other_start_s, from_s), min(end_s, other_end_s, to_s)
                    if until_s > begin_s:
                        found.append((begin_s, until_s, one, other))
    return max(found, key=lambda each: each[1] - each[0], default=None)


def is_within(source: Source, at_s: float, from_s: float, to_s: float) -> bool:
    """Whether words that begin then count for a step between the two times."""
    return from_s - BEFORE_S <= at_s <= to_s and source.counts(at_s)


def is_of_recording(source: Source, fact: Fact) -> bool:
    return fact.stream_id == source.stream_id and fact.body.get("recording_id") in (None, source.recording_id)


def _utterance(source: Source, said: Said) -> Utterance:
    return Utterance(
        start_s=source.begin_s + said.start_s, end_s=source.begin_s + said.end_s,
        speaker=_SPEAKERS.get(said.speaker, "unknown"), text=said.text, event_id=said.event_id,
        stream_id=source.stream_id, is_doubtful=said.is_doubtful and said.correction is None,
    )  # fmt: skip


def _unheard(source: Source, own: Sequence[Stored], said: Sequence[Said], to_s: float) -> Iterator[Unheard]:
    """Of one source, by its own facts."""
    for each in said:
        if each.is_doubtful and each.correction is None:
            yield Unheard(source.begin_s + each.start_s, source.begin_s + each.end_s, _DOUBTFUL)
        elif _is_foreign(each.text):
            yield Unheard(source.begin_s + each.start_s, source.begin_s + each.end_s, _FOREIGN)
    for start_s, end_s, reason in (*_gaps(own), *_lost(own), *_interrupted(own), *_faults(own)):
        yield Unheard(source.begin_s + start_s, to_s if end_s is None else source.begin_s + end_s, reason)


_Span = tuple[float, float | None, str]
"""On the stream's axis; an end of None: it lasts."""


def _gaps(own: Sequence[Stored]) -> Iterator[_Span]:
    """What the speech stage did not see, less what it has looked at since."""
    closed = [_span(each.fact) for each in own if each.fact.kind == "AnalysisGapClosed" and _is_speech(each.fact)]
    for each in own:
        if each.fact.kind != "AnalysisGap" or not _is_speech(each.fact):
            continue
        at_s, end_s = _span(each.fact)
        for closed_start_s, closed_end_s in sorted(closed):
            if closed_end_s <= at_s or closed_start_s >= end_s:
                continue
            if closed_start_s > at_s:
                yield at_s, closed_start_s, _UNSEEN
            at_s = closed_end_s
        if at_s < end_s:
            yield at_s, end_s, _UNSEEN


def _lost(own: Sequence[Stored]) -> Iterator[_Span]:
    for each in own:
        if each.fact.kind == "MediaLost":
            yield *_span(each.fact), _NO_MEDIA


def _interrupted(own: Sequence[Stored]) -> Iterator[_Span]:
    """From where a stream broke off to where it went on."""
    resumed = sorted(_span(each.fact) for each in own if each.fact.kind == "StreamResumed")
    for each in own:
        if each.fact.kind == "StreamInterrupted":
            at_s = number(each.fact, "pts_s")
            yield at_s, next((end_s for start_s, end_s in resumed if end_s > at_s), None), _NO_MEDIA
    for start_s, end_s in resumed:
        yield start_s, end_s, _NO_MEDIA


def _faults(own: Sequence[Stored]) -> Iterator[_Span]:
    """While the sound was bad."""
    ends = {str(each.fact.body.get("finding_id")): each.fact for each in own if each.fact.kind == "FindingEnded"}
    for each in own:
        kind = str(each.fact.body.get("finding"))
        if each.fact.kind == "FindingRaised" and kind in SOUND_FAULTS:
            end = ends.get(str(each.fact.body.get("finding_id")))
            yield number(each.fact, "start_s"), None if end is None else number(end, "end_s"), SOUND_FAULTS[kind]


def _is_foreign(text: str) -> bool:
    """Whether it is written in another script but for a few words: rules that are Chinese do not hear what it says."""
    letters = sum(map(str.isalpha, text))
    if letters < _FEWEST_LETTERS:
        return False
    return _LETTERS_A_SIGN * len(_CHINESE.findall(text)) < letters


def _is_speech(fact: Fact) -> bool:
    return fact.body.get("stage") == "speech"


def _span(fact: Fact) -> tuple[float, float]:
    return number(fact, "start_s"), number(fact, "end_s")


def number(fact: Fact, name: str) -> float:
    value = fact.body.get(name, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
