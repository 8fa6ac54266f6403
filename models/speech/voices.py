"""Whether the wearer of the camera spoke, or somebody else: by how near the voice is. Plain, per stream, conservative.

A voice at the wearer's mouth is louder and brighter than one a metre or two away. That says something only where both
were heard: until two groups of utterances stand clearly apart, every answer is "unknown". It knows no person and keeps
no voice; two people at the same distance are one group. Diarisation of wearables errs in half of the time (pyannote 3.1
on Ego4D: 51 %), so nothing adverse may rest on this.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.base import RATE_HZ, Samples

Speaker: TypeAlias = Literal["wearer", "other", "unknown"]

_REMEMBERED: Final = 40  # utterances: some minutes, as people and places change
_LEAST_S: Final = 0.4  # of speech, to measure a level
_LEAST_EACH: Final = 2  # utterances on either side
_LEAST_APART_DB: Final = 6.0  # twice the distance; a person's own utterances vary by 3 to 4 dB
_LEAST_SEPARATION: Final = 2.5  # distance of the groups in standard deviations: they hardly overlap
_LEAST_SPREAD_DB: Final = 1.0  # a group of two that agree by chance is not as narrow as it looks
_SURE_SHARE: Final = 0.25  # of the distance, around the middle, in which nobody is named
_BRIGHT_HZ: Final = 1_500


@dataclass(frozen=True, slots=True)
class Nearness:
    """What one utterance says about its distance.

    level_db: RMS of its speech. bright_db: above to below 1.5 kHz. parts_db: level of each part between two pauses.
    """

    level_db: float
    bright_db: float
    parts_db: tuple[float, ...]


class Voices:
    """Who speaks in one stream. Bound: two numbers for each of the last 40 utterances."""

    def __init__(self) -> None:
        self._heard: deque[Nearness] = deque(maxlen=_REMEMBERED)

    def feed(self, samples: Samples, voiced: Sequence[tuple[float, float]]) -> Speaker:
        """Who spoke this utterance, as far as it and those before it tell. voiced: spans of speech in seconds."""
        found = nearness(samples, voiced)
        if found is None:
            return "unknown"
        self._heard.append(found)
        return _speaker(found, list(self._heard))


def nearness(samples: Samples, voiced: Sequence[tuple[float, float]]) -> Nearness | None:
    """None: too little speech."""
    parts = [samples[int(start_s * RATE_HZ) : int(end_s * RATE_HZ)] for start_s, end_s in voiced]
    speech = np.concatenate(parts) if parts else samples[:0]
    if speech.size < _LEAST_S * RATE_HZ:
        return None
    power = np.square(np.abs(np.fft.rfft(speech)))
    edge = int(_BRIGHT_HZ * speech.size / RATE_HZ)
    low = int(100 * speech.size / RATE_HZ)  # below is wind and handling
    return Nearness(
        _level_db(speech),
        _db(float(power[edge:].sum())) - _db(float(power[low:edge].sum())),
        tuple(_level_db(part) for part in parts if part.size >= _LEAST_S * RATE_HZ),
    )


def _speaker(found: Nearness, heard: list[Nearness]) -> Speaker:
    levels = np.array([each.level_db for each in heard])
    near = _near(levels)
    if near is None:
        return "unknown"
    bright = np.array([each.bright_db for each in heard])
    if bright[near].mean() < bright[~near].mean():
        return "unknown"  # louder and duller: not distance, but how somebody speaks
    middle, apart = (levels[near].mean() + levels[~near].mean()) / 2, levels[near].mean() - levels[~near].mean()
    if abs(found.level_db - middle) < _SURE_SHARE * apart / 2:
        return "unknown"
    if any((part_db > middle) != (found.level_db > middle) for part_db in found.parts_db):
        return "unknown"  # two people without a pause between them
    return "wearer" if found.level_db > middle else "other"


def _near(levels: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    """Which belong to the louder of two groups; None where there are no two.

    Split where the variance between the groups is greatest (Otsu); apart by Ashman's D.
    """
    best, best_variance = None, 0.0
    for threshold in np.sort(levels)[_LEAST_EACH : levels.size - _LEAST_EACH + 1]:
        near = levels >= threshold
        if min(near.sum(), (~near).sum()) < _LEAST_EACH:
            continue
        variance = near.sum() * (~near).sum() * (levels[near].mean() - levels[~near].mean()) ** 2
        if variance > best_variance:
            best, best_variance = near, variance
    if best is None:
        return None
    apart = levels[best].mean() - levels[~best].mean()
    spread = np.sqrt((levels[best].var() + levels[~best].var()) / 2)
    is_apart = apart >= _LEAST_APART_DB and apart >= _LEAST_SEPARATION * max(spread, _LEAST_SPREAD_DB)
    return best if is_apart else None


def _level_db(sound: Samples) -> float:
    return _db(float(np.square(sound, dtype=np.float64).mean()))


def _db(power: float) -> float:
    return 10 * float(np.log10(power + 1e-12))
