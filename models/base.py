"""What an AI model is to the rest of the program: protocols, and the data that goes in and comes out. Loads nothing.

Sound is always 16 kHz mono float32, -1..1. Times inside a `Heard` are seconds from the first sample of its `Speech`;
the stream's own axis is the caller's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""(n,) float32, -1..1, 16 kHz mono."""

RATE_HZ: Final = 16_000


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a transcriber can do, declared, never probed.

    name, version: as in configs/models.yaml; results carry them as `name@version`. longest_s: of one utterance.
    is_demo: made to show and to test with, not for real speech; said wherever its words are shown.
    """

    name: str
    version: str
    languages: tuple[str, ...]
    longest_s: float
    has_word_times: bool
    has_hot_words: bool
    is_demo: bool = False

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Speech:
    """An utterance, whole or as far as it was said.

    language: what is expected ("zh"); "": the model finds out where it can. hot_words: names and terms that are likely.
    is_final: nothing more of it comes; a partial may be recognised more cheaply.
    """

    samples: Samples
    is_final: bool = True
    language: str = "zh"
    hot_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """A word, for Chinese mostly one character, with punctuation glued on. probability: 0..1; not calibrated.

    text: with the space before it where the language writes one; the words of a Heard joined are its text.
    """

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What a model made of one Speech.

    words: empty where the model gives no times, and for a Speech that is not final; text is then all there is.
    average_log_probability: of the tokens, <= 0; nan where the model does not say, as then for its words.
    no_speech_probability: 0..1; 0 where the model has none.
    """

    text: str
    words: tuple[Word, ...]
    language: str
    average_log_probability: float
    no_speech_probability: float = 0.0


class Transcriber(Protocol):
    """Speech to text. Not thread-safe: one thread calls it."""

    @property
    def abilities(self) -> Abilities: ...

    def transcribe(self, speeches: Sequence[Speech]) -> list[Heard]:
        """One answer for each, in their order; those that pay for it share a batch.

        Raises: ModelFailed: the engine refused; none of the answers is known.
        """
        ...


VOICE_WINDOW: Final = 512
"""Samples that a VoiceDetector judges at once (32 ms)."""


class VoiceDetector(Protocol):
    """Where somebody speaks, of one stream. Keeps state from call to call."""

    def feed(self, samples: Samples) -> NDArray[np.float32]:
        """The probability of speech, 0..1, for each whole window of VOICE_WINDOW samples that is complete now.

        How the samples are cut into calls makes no difference.
        """
        ...

    def reset(self) -> None:
        """What comes next does not follow on what came before."""
        ...
