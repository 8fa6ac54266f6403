"""How often a rule is right, from what people said of its findings. Plain code."""

import math
from typing import Final

_Z: Final = 1.959964  # 95 %


def wilson(right: int, all_: int) -> tuple[float, float]:
    """The 95 % interval of a share of `right` among `all_` that were judged; (0, 1) where none was.

    Source: Wilson (1927), Journal of the American Statistical Association 22, p. 209; it holds for few and extremes.
    """
    if all_ <= 0:
        return 0.0, 1.0
    share, square = right / all_, _Z * _Z
    middle = (share + square / (2 * all_)) / (1 + square / all_)
    half = _Z * math.sqrt(share * (1 - share) / all_ + square / (4 * all_ * all_)) / (1 + square / all_)
    return max(0.0, middle - half), min(1.0, middle + half)
