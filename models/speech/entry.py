"""What the registry says of a speech model, as plain values."""

from dataclasses import dataclass
from pathlib import Path

from models.base import Abilities


@dataclass(frozen=True, slots=True)
class SpeechEntry:
    """A model whose files are in `folder` and were verified by whoever says so.

    has_feature_cut: it gives the same words when it is shown the utterance alone instead of 30 s; measured per model.
    has_hot_words: names given to it do come out more often; measured per model.
    """

    folder: Path
    name: str
    version: str
    languages: tuple[str, ...]
    longest_s: float
    has_feature_cut: bool = False
    has_hot_words: bool = False
    is_demo: bool = False

    def abilities(self, *, has_word_times: bool) -> Abilities:
        return Abilities(
            name=self.name,
            version=self.version,
            languages=self.languages,
            longest_s=self.longest_s,
            has_word_times=has_word_times,
            has_hot_words=self.has_hot_words,
            is_demo=self.is_demo,
        )
