"""What of a model's text is not to be believed: said where nobody spoke, said in a loop, said by every such model.

Plain functions over a `Heard` and the spans that hold speech. Nothing here makes text better; it only takes away, says
why, and calls what is left doubtful. Models that listen to long silence, wind or engines write whole sentences: about
1 % of Whisper's segments were invented in arXiv:2402.08021, more of them where nobody spoke.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, isnan
from typing import Final, Literal, TypeAlias

from models.base import Heard, Word
from models.speech.boilerplate import boilerplate
from models.speech.cer import normalised
from models.speech.loops import MOST_COMPRESSION, Span, compression, loops

Reason: TypeAlias = Literal["no_speech", "unlikely", "too_fast", "outside_speech", "loop", "boilerplate"]
Spans: TypeAlias = Sequence[tuple[float, float]]
"""Where speech is, seconds from the first sample, in order."""

_LEAST_VOICED_S: Final = 0.096  # three windows of the detector: less is a click
_MOST_NO_SPEECH: Final = 0.6  # with a log-probability below _LOW: Whisper's own rule for silence
_LOW: Final = -1.0
_HOPELESS: Final = -1.2
"""A token was likelier wrong than right by two to one. The demo model gives -0.1 to clear speech, -0.8 to a language it
never heard, -1.4 to -1.5 to wind, -5 to -7 to other noise."""
_WEAK: Final = -0.9  # with words of less than _SURE: 4 of 36 pieces of wind were held to be such words
_LEEWAY_S: Final = 0.4  # times of words are off by up to 0.27 s in nine of ten
_FASTEST: Final = {"zh": 12.0, "en": 32.0}
"""Signs a second: half as much again as the fastest newsreaders (8 characters; 22 letters)."""
_FREE_SIGNS: Final = 3  # the detector may see of a short word only its vowel
_SURE: Final = 0.6  # mean probability of words
_LIKELY: Final = -0.7


@dataclass(frozen=True, slots=True)
class Removed:
    """Text that was taken away, and why. Personal data: never logged."""

    text: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Judged:
    """What may be shown. heard.text may be empty. confidence: 0..1, the mean probability of the words that are left;
    0: the model does not say.

    is_doubtful: little is sure of it, or part of it was taken away.
    """

    heard: Heard
    confidence: float
    is_doubtful: bool
    removed: tuple[Removed, ...] = ()


def judged(heard: Heard, voiced: Spans) -> Judged:
    """`heard` without what nobody can have said. voiced: the detector's spans over the same sound."""
    if not heard.text:
        return Judged(heard, 0.0, is_doubtful=False)
    if reason := _why_none(heard, voiced):
        return Judged(replace(heard, text="", words=()), 0.0, True, (Removed(heard.text, reason),))
    removed: list[Removed] = []
    left = _without(heard, _outside(heard.words, voiced), "outside_speech", removed)
    left = _without(left, _looped(left), "loop", removed)
    left = _without(left, _invented(left), "boilerplate", removed)
    left = _without(left, _hurried(left, voiced), "too_fast", removed)
    confidence = _confidence(left)
    is_unsure = not isnan(heard.average_log_probability) and (
        confidence < _SURE or heard.average_log_probability < _LIKELY
    )
    return Judged(left, confidence, bool(removed) or is_unsure, tuple(removed))


def _why_none(heard: Heard, voiced: Spans) -> Reason | None:
    """Why all of it must go."""
    voiced_s = sum(end_s - start_s for start_s, end_s in voiced)
    if voiced_s < _LEAST_VOICED_S - 1e-6:
        return "no_speech"
    if heard.no_speech_probability > _MOST_NO_SPEECH and heard.average_log_probability < _LOW:
        return "no_speech"
    is_weak = heard.average_log_probability < _WEAK and _confidence(heard) < _SURE
    if is_weak or heard.average_log_probability < _HOPELESS:
        return "unlikely"
    return None


def _outside(words: Sequence[Word], voiced: Spans) -> list[Span]:
    """Words that lie where nobody spoke, each as a span of places."""
    outside = []
    for place, word in enumerate(words):
        middle_s = (word.start_s + word.end_s) / 2
        if not any(start_s - _LEEWAY_S <= middle_s <= end_s + _LEEWAY_S for start_s, end_s in voiced):
            outside.append((place, place + 1))
    return outside


def _looped(heard: Heard) -> list[Span]:
    """What is said again and again, but for its first time."""
    return loops(_pieces(heard), is_suspect=compression(heard.text) > MOST_COMPRESSION)


def _invented(heard: Heard) -> list[Span]:
    """Sentences that are boilerplate; or all of them, where they are it together."""
    pieces, pattern = _pieces(heard), boilerplate()
    if pattern.fullmatch(normalised(heard.text)):
        return [(0, len(pieces))]
    sentences, start = [], 0
    for place, piece in enumerate(pieces, 1):
        if place == len(pieces) or not piece.text[-1:].isalnum():
            sentences.append((start, place))
            start = place
    texts = [normalised("".join(piece.text for piece in pieces[first:last])) for first, last in sentences]
    return [span for span, text in zip(sentences, texts, strict=True) if pattern.fullmatch(text)]


def _hurried(heard: Heard, voiced: Spans) -> list[Span]:
    """All of it, where nobody could say so much in so little time."""
    voiced_s = sum(end_s - start_s for start_s, end_s in voiced)
    fastest = _FASTEST.get(heard.language, max(_FASTEST.values()))
    is_hurried = len(normalised(heard.text)) > _FREE_SIGNS + fastest * voiced_s
    return [(0, len(_pieces(heard)))] if is_hurried else []


def _pieces(heard: Heard) -> Sequence[Word]:
    """The words, or where there are none the signs, without times."""
    return heard.words or [Word(sign, 0.0, 0.0, 0.0) for sign in heard.text]


def _without(heard: Heard, spans: Sequence[Span], reason: Reason, removed: list[Removed]) -> Heard:
    """Take the spans of pieces away, and note them."""
    if not spans:
        return heard
    pieces = _pieces(heard)
    gone = {place for first, last in spans for place in range(first, last)}
    removed.append(Removed("".join(pieces[place].text for place in sorted(gone)), reason))
    left = tuple(piece for place, piece in enumerate(pieces) if place not in gone)
    text = "".join(piece.text for piece in left).strip()
    return replace(heard, text=text, words=left if heard.words else ())


def _confidence(heard: Heard) -> float:
    if not heard.text or isnan(heard.average_log_probability):
        return 0.0
    if not heard.words:
        return min(1.0, exp(heard.average_log_probability))
    return sum(word.probability for word in heard.words) / len(heard.words)
