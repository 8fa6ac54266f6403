"""How alike strangers look to a model: similarities of pairs of different people, and what they prove of a threshold.

Knows numbers alone: no name, no picture, no vector is kept. Pairs are counted as if each were drawn by itself; pairs
that share a person are not quite, so the bounds are somewhat too narrow where few people make many pairs.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import numkong
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SettingsInvalid

CONFIDENCE: Final = 0.95
"""Of every upper bound: one-sided."""
MOST_TAIL: Final = 20_000
"""Similarities that are kept, the highest; the others are only counted."""
_MOST_ROWS: Final = 3_000
"""Of which all pairs are compared: 4.5 million; of more, so many are drawn."""
_ROWS_AT_ONCE: Final = 256
LEAST_TO_FIT: Final = 500
"""Pairs; fewer say nothing of rates that were not seen."""
_FEWEST_BEYOND: Final = 50
"""Similarities a tail is fitted to; or a twentieth of them, and no more than `_MOST_BEYOND`, which lie furthest out."""
_MOST_BEYOND: Final = 1_000
_Z: Final = 1.6449  # 95 %, one-sided
_HEAVIEST: Final = 0.5
"""Of the tail's shape: similarities end at 1, so a heavier one is an artefact of few."""


@dataclass(frozen=True, slots=True)
class Impostors:
    """model: name@version. pairs: that were compared, of `persons`. tail: the highest similarities, falling.

    made_of: in words.
    """

    model: str
    pairs: int
    persons: int
    tail: tuple[float, ...]
    made_of: str = ""

    @classmethod
    def of(cls, model: str, vectors: NDArray[np.float32], persons: Sequence[str], made_of: str = "") -> Self:
        """All pairs of different people. vectors: (n, d), unit rows; persons: whose each is. Half a second for 3,000.

        By numkong and not by a product of matrices, which leaves what it multiplied in buffers of BLAS for good.
        """
        rows, named = np.ascontiguousarray(vectors), np.unique(np.asarray(persons, str), return_inverse=True)[1]
        is_drawn = len(rows) > _MOST_ROWS
        if is_drawn:
            drawn = np.random.default_rng(1).choice(len(rows), _MOST_ROWS, replace=False)
            rows, named = rows[drawn], named[drawn]
        pairs, highest = 0, np.empty(0)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = slice(start, start + _ROWS_AT_ONCE)
            alike = np.asarray(numkong.cdist(rows[some], rows, "dot", threads=1), np.float64)
            is_pair = np.triu(named[some, None] != named[None, :], start + 1)
            values = alike.reshape(is_pair.shape)[is_pair]
            pairs, highest = pairs + len(values), _highest(np.concatenate([highest, values]))
        if is_drawn:
            rows.fill(0)
        return cls(model, pairs, len(np.unique(named)), _falling(highest), made_of)

    @classmethod
    def counted(cls, model: str, similarities: NDArray[np.float64], made_of: str = "") -> Self:
        """Of pairs that were compared elsewhere; how many people they are of is not known, and told as 0."""
        return cls(model, len(similarities), 0, _falling(_highest(similarities)), made_of)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises: SettingsInvalid: no calibration, or one that cannot be."""
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            made = cls(
                str(told["model"]),
                int(told["pairs"]),
                int(told["persons"]),
                tuple(float(value) for value in told["tail"]),
                str(told["made_of"]),
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SettingsInvalid(
                f"{path.name} is no calibration of faces; make one with 'onrecord bench faces'"
            ) from error
        falls = all(one >= other for one, other in zip(made.tail, made.tail[1:], strict=False))
        is_possible = all(-1.01 <= value <= 1.01 for value in made.tail)
        if not falls or not is_possible or len(made.tail) != min(made.pairs, MOST_TAIL):
            raise SettingsInvalid(f"{path.name}: its similarities do not fit together; make it anew")
        return made

    def write(self, path: Path) -> None:
        """Raises: OSError."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False) + "\n", encoding="utf-8")

    def joined(self, other: "Impostors") -> "Impostors":
        """Both. Raises: ValueError: they are of different models."""
        if self.model != other.model:
            raise ValueError(f"similarities of {self.model} and {other.model} are not compared")
        tail = sorted((*self.tail, *other.tail), reverse=True)[:MOST_TAIL]
        made_of = "; ".join(part for part in (self.made_of, other.made_of) if part)
        return Impostors(self.model, self.pairs + other.pairs, self.persons + other.persons, tuple(tail), made_of)

    def at_least(self, similarity: float) -> int:
        """How many pairs reach it; where it lies below the tail, at least so many."""
        return int(np.searchsorted(-np.asarray(self.tail), -similarity, side="right"))


def _falling(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in np.sort(values)[::-1])


def _highest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.partition(values, -MOST_TAIL)[-MOST_TAIL:] if len(values) > MOST_TAIL else values


@dataclass(frozen=True, slots=True)
class Bound:
    """Of one comparison. rate: best guess of the share of strangers that reach `similarity`; upper: not exceeded."""

    similarity: float
    rate: float
    upper: float


def measured(impostors: Impostors, rate: float) -> Bound | None:
    """The lowest similarity that, with 95 %, no more than `rate` of strangers reach, by counting; None: too few pairs.

    It lies just above the (k+1)-th highest of n, k following from n and `rate` alone; the share that reaches it is
    Beta(k+1, n-k), however the similarities are distributed. Source: Clopper and Pearson (1934), Biometrika 26, p. 404;
    Wilks (1941), Annals of Mathematical Statistics 12, p. 91.
    """
    count, tail = impostors.pairs, impostors.tail
    if count == 0 or upper_bound(0, count) > rate:
        return None
    low, high = 0, len(tail) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if upper_bound(middle, count) <= rate else (low, middle - 1)
    reached = impostors.at_least(just_above(tail[low]))
    return Bound(just_above(tail[low]), reached / count, upper_bound(low, count))


def fitted(impostors: Impostors, rate: float) -> Bound | None:
    """The similarity that no more than `rate` of strangers reach, by the tail's shape; None: too few pairs to say.

    Beyond its twentieth part the tail is taken to fall exponentially, which overstates one that ends at 1 or falls as a
    normal one does, or slower where it does fall slower (generalised Pareto, shape by moments). Its share and its scale
    are each taken at their upper bound of 95 %. Source: Coles (2001), An Introduction to Statistical Modeling of
    Extreme Values, ch. 4. An extrapolation: drawn from a normal, logistic, Gumbel or exponential distribution, 500 to
    200,000 pairs gave a bound that held in 94 of 100 trials or more; from Student's t with 8 degrees, which no
    similarity that ends at 1 can have, in 11 to 89. It cannot know of twins.
    """
    count = impostors.pairs
    beyond = min(max(_FEWEST_BEYOND, count // 20), _MOST_BEYOND, len(impostors.tail) - 1)
    if count < LEAST_TO_FIT or rate >= beyond / count:
        return None
    start = impostors.tail[beyond]
    excess = np.asarray(impostors.tail[:beyond]) - start
    mean, variance = float(excess.mean()), float(excess.var())
    if mean <= 0 or variance <= 0:
        return None
    shape = min(max(0.0, (1 - mean * mean / variance) / 2), _HEAVIEST)
    scale, degrees = mean * (1 - shape), 2 * beyond
    low = degrees * (1 - 2 / (9 * degrees) - _Z * math.sqrt(2 / (9 * degrees))) ** 3
    """Of chi-square, its 5 % quantile; source: Wilson and Hilferty (1931)."""
    share, scale_upper = upper_bound(beyond, count), scale * degrees / low
    similarity = start + scale_upper * _reach(share / rate, shape)
    return Bound(similarity, beyond / count * _left(similarity - start, scale, shape), rate)


def _reach(times: float, shape: float) -> float:
    return math.log(times) if shape == 0 else (times**shape - 1) / shape


def _left(excess: float, scale: float, shape: float) -> float:
    return math.exp(-excess / scale) if shape == 0 else (1 + shape * excess / scale) ** (-1 / shape)


def just_above(similarity: float) -> float:
    """Similarities are kept to six places."""
    return round(similarity + 1e-6, 6)


def upper_bound(hits: int, tries: int, confidence: float = CONFIDENCE) -> float:
    """The share that, with `confidence`, is not exceeded where `hits` of `tries` were seen; 1 where nothing was tried.

    Source: Clopper and Pearson (1934), one-sided.
    """
    if hits >= tries:
        return 1.0
    return _solved(lambda share: beta_share(share, hits + 1, tries - hits) - confidence)


def interval(hits: int, tries: int) -> tuple[float, float]:
    """The 95 % interval of a share, two-sided; (0, 1) where nothing was tried. Source: as `upper_bound`."""
    if tries <= 0:
        return 0.0, 1.0
    high = upper_bound(hits, tries, 0.975)
    low = 0.0 if hits <= 0 else 1 - upper_bound(tries - hits, tries, 0.975)
    return low, high


def _solved(rising: Callable[[float], float]) -> float:
    """Where it is 0, on 1e-15..1, each step halving the ratio."""
    low, high = math.log(1e-15), 0.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(math.exp(middle)) > 0 else (middle, high)
    return math.exp(high)


def beta_share(value: float, one: float, other: float) -> float:
    """Of a beta distribution, the share below `value`. Source: Numerical Recipes, 3rd ed., 6.4: continued fraction."""
    if value <= 0 or value >= 1:
        return 0.0 if value <= 0 else 1.0
    logarithm = math.lgamma(one + other) - math.lgamma(one) - math.lgamma(other)
    front = math.exp(logarithm + one * math.log(value) + other * math.log1p(-value))
    if value < (one + 1) / (one + other + 2):
        return front * _fraction(value, one, other) / one
    return 1 - front * _fraction(1 - value, other, one) / other


def _fraction(value: float, one: float, other: float) -> float:
    above, below = 1.0, 1 / _not_zero(1 - (one + other) * value / (one + 1))
    told = below
    for step in range(1, 10_000):
        twice = 2 * step
        for factor in (
            step * (other - step) * value / ((one + twice - 1) * (one + twice)),
            -(one + step) * (one + other + step) * value / ((one + twice) * (one + twice + 1)),
        ):
            below = 1 / _not_zero(1 + factor * below)
            above = _not_zero(1 + factor / above)
            told *= below * above
        if abs(below * above - 1) < 1e-12:
            break
    return told


def _not_zero(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300
