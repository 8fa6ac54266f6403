"""Whether a track's template is like somebody of a gallery: suggested, near, or unknown. A suggestion, never an answer.

The threshold is of strangers: of those whose template is compared with a gallery of N, how many reach it with anybody.
Nothing is kept from one decision to the next: each is made anew from the template as it is, so a wrong one does not
stick.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.face.calibration import Bound, Impostors, fitted, interval, measured
from models.face.search import Near

MARGIN: Final = 0.05
"""That the best must be ahead of the second person."""
BAND: Final = 0.10
"""Below the threshold: more looks may lift a template so far, so full rate is worth its cost."""
LEAST_LOOKS: Final = 2
"""With a vector: one picture alone suggests nobody."""
LEAST_QUALITY: Final = 0.25
"""Of the best look; models/face/quality.py."""
SAFETY: Final = 0.10
"""Added to a maker's threshold where nothing at hand says how often strangers reach it."""
UNSTATED: Final = 0.50
"""Of a model whose maker states none."""
STATED: Final = {
    "sface": 0.363,
    "mobilefacenet": 0.50,
}
"""By model name. sface: OpenCV's samples (LFW); mobilefacenet: 300 pairs without an error, as its notice says."""


class Basis(StrEnum):
    """What a threshold rests on: counted pairs, a tail's shape, or a maker's word."""

    MEASURED = "measured"
    FITTED = "fitted"
    STATED = "stated"


class Kind(StrEnum):
    SUGGESTED = "suggested"
    NEAR = "near"
    """Close to a suggestion: more looks, at full rate, would tell."""
    UNKNOWN = "unknown"


class Why(StrEnum):
    """What a suggestion lacks, the first of these."""

    NOTHING = ""
    SIMILARITY = "similarity"
    MARGIN = "margin"
    LOOKS = "looks"
    QUALITY = "quality"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Of one gallery. fmr: best guess of the share of strangers that reach `similarity` with any of its `templates`.

    upper_fmr: not exceeded, with 95 % where pairs were counted. Both None where nothing at hand says it. pairs: of
    different people, that it rests on. margin: as MARGIN.
    """

    similarity: float
    fmr: float | None
    margin: float
    basis: Basis
    pairs: int
    upper_fmr: float | None
    templates: int = 1

    @property
    def one_in(self) -> int | None:
        """No more than about 1 of so many strangers would look as alike; two digits, rounded down; None: not known."""
        if self.upper_fmr is None or self.upper_fmr <= 0:
            return None
        whole = math.floor(1 / self.upper_fmr * (1 + 1e-9))
        step = int(10 ** max(0, len(str(whole)) - 2))
        return whole // step * step


@dataclass(frozen=True, slots=True)
class Decision:
    """person: whom it is about, unless unknown. similarity: of the best; second: of the next one, if there is any."""

    kind: Kind
    person: str | None
    similarity: float
    second: float | None
    why: Why = Why.NOTHING


def threshold_for(
    target_fmr: float,
    impostors: Impostors,
    gallery: NDArray[np.float32],
    persons: Sequence[str] | None = None,
    margin: float = MARGIN,
) -> Threshold:
    """The lowest similarity that keeps to `target_fmr` for a stranger on this gallery; never below the maker's own.

    impostors: of the same model; its pairs may be none. gallery: (n, d), its templates; persons: whose each is, None:
    each another's. By the pairs of both together; where the gallery's own are clearly more alike, and enough of them,
    by its own alone if that is higher. 0.2 s for 3,000 templates and more: for when a gallery has changed, not for
    every look.
    Raises: ValueError: target_fmr is not between 0 and 1, or gallery and persons do not fit.
    """
    if not 0 < target_fmr < 1:
        raise ValueError(f"a false-match rate of {target_fmr} cannot be held; between 0 and 1")
    named = [str(row) for row in range(len(gallery))] if persons is None else list(persons)
    if len(named) != len(gallery):
        raise ValueError(f"{len(gallery)} templates of {len(named)} persons do not fit")
    if not np.isfinite(gallery).all():
        raise ValueError("a gallery with numbers that are not finite is not compared")
    count = max(1, len(gallery))
    own = Impostors.of(impostors.model, gallery, named)
    rate = of_one(target_fmr, count)
    pools = [impostors.joined(own), *([own] if is_more_alike(own, impostors) else [])]
    told = [found for pool in pools if (found := _by_pairs(pool, rate, count, margin)) is not None]
    maker = STATED.get(impostors.model.partition("@")[0], UNSTATED)
    if not told:
        return Threshold(min(1.0, maker + SAFETY), None, margin, Basis.STATED, impostors.pairs + own.pairs, None, count)
    highest = max(told, key=lambda each: each.similarity)
    return replace(highest, similarity=min(1.0, max(highest.similarity, maker)))


def _by_pairs(pool: Impostors, rate: float, templates: int, margin: float) -> Threshold | None:
    for basis, bound in ((Basis.MEASURED, measured), (Basis.FITTED, fitted)):
        found: Bound | None = bound(pool, rate)
        if found is not None:
            fmr, upper = of_all(found.rate, templates), of_all(found.upper, templates)
            return Threshold(found.similarity, fmr, margin, basis, pool.pairs, upper, templates)
    return None


def is_more_alike(own: Impostors, others: Impostors) -> bool:
    """Whether, with 97.5 %, the gallery's people reach what few others reach at least half as often again."""
    if not others.tail or not own.pairs:
        return False
    place = min(others.pairs // 100, len(others.tail) - 1)
    share = (place + 1) / others.pairs
    return interval(own.at_least(others.tail[place]), own.pairs)[0] > 1.5 * share


def of_one(rate: float, templates: int) -> float:
    """What one comparison may have, for `rate` over all of a gallery."""
    return -math.expm1(math.log1p(-rate) / templates)


def of_all(rate: float, templates: int) -> float:
    """1 - (1 - rate)^templates: a stranger is compared with all of them, as if each were drawn by itself."""
    return -math.expm1(templates * math.log1p(-min(rate, 1 - 1e-12)))


def decided(nearest: Sequence[Near], threshold: Threshold, looks: int, quality: float) -> Decision:
    """nearest: persons, best first, as Gallery.nearest_persons; two are enough. looks: of the track that gave a vector.

    quality: of its best look, 0..1. Suggested only where similarity, margin, looks and quality are all enough.
    Raises: ValueError: a similarity or the quality is not finite, or the order is wrong.
    """
    if not nearest:
        return Decision(Kind.UNKNOWN, None, -1.0, None, Why.SIMILARITY)
    best, second = nearest[0], nearest[1].similarity if len(nearest) > 1 else None
    if not all(math.isfinite(value) for value in (best.similarity, quality, 0.0 if second is None else second)):
        raise ValueError("a similarity that is not finite decides nothing")
    if second is not None and (second > best.similarity or nearest[1].key == best.key):
        raise ValueError("the nearest persons must come best first, each once")
    if best.similarity < threshold.similarity - BAND:
        return Decision(Kind.UNKNOWN, None, best.similarity, second, Why.SIMILARITY)
    lacks = {
        Why.SIMILARITY: best.similarity < threshold.similarity,
        Why.MARGIN: second is not None and best.similarity - second < threshold.margin,
        Why.LOOKS: looks < LEAST_LOOKS,
        Why.QUALITY: quality < LEAST_QUALITY,
    }
    why = next((name for name, is_lacking in lacks.items() if is_lacking), Why.NOTHING)
    return Decision(Kind.NEAR if why else Kind.SUGGESTED, best.key, best.similarity, second, why)
