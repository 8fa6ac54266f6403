"""How right verdicts are: counts of a set of dialogues, figures made of them, and how far chance might move these. Plain.

A verdict is `observed`, `not_observed`, `cannot_tell`, or none at all (the rules do not ask the duty of that kind of step).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from api.bench.dialogues import Dialogue
from cases.rules.verdicts import Verdict

Counts: TypeAlias = NDArray[np.int64]
"""(dialogues, duties, 3 right verdicts, 4 verdicts given)."""
Verdicts: TypeAlias = Mapping[str, Verdict]
Figures: TypeAlias = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and the ends of its 95 % interval, rounded to 4 places; None where there is nothing to divide by."""

    value: float | None
    low: float | None
    high: float | None


Report: TypeAlias = dict[str, dict[str, Figure]]
"""By duty, and under `all` and `mean`, by the name of the figure."""

_ORDER: Final = (Verdict.OBSERVED, Verdict.NOT_OBSERVED, Verdict.CANNOT_TELL)
_SEEN, _NOT, _UNSURE, _NONE = range(4)
RESAMPLED: Final = 1000


def counts(dialogues: Sequence[Dialogue], given: Sequence[Verdicts], duties: Sequence[str]) -> Counts:
    """What was given for what was right. A duty that is not asked in a dialogue is not counted."""
    table = np.zeros((len(dialogues), len(duties), len(_ORDER), len(_ORDER) + 1), dtype=np.int64)
    for at, (dialogue, verdicts) in enumerate(zip(dialogues, given, strict=True)):
        for place, duty in enumerate(duties):
            if duty in dialogue.expected:
                right, said = dialogue.expected[duty], verdicts.get(duty)
                table[at, place, _ORDER.index(right), _NONE if said is None else _ORDER.index(said)] += 1
    return table


def report(table: Counts, duties: Sequence[str], seed: int = 0) -> Report:
    """Figures of each duty, of all verdicts together (`all`), and F1 as the mean of the duties' own (`mean`).

    Intervals hold 95 % of the sets that are drawn from these dialogues.
    """
    drawn = _resampled(table, seed)
    told = {duty: _with_intervals(table.sum(axis=0)[at], drawn[:, at], figures) for at, duty in enumerate(duties)}
    told["all"] = _with_intervals(table.sum(axis=(0, 1)), drawn.sum(axis=1), figures)
    told["mean"] = _with_intervals(table.sum(axis=0), drawn, _mean_f1)
    return told


def figures(cells: Counts) -> Figures:
    """Of one table of (3, 4). None where nothing is there to divide by.

    precision, recall, f1: of `observed`. false_not_observed_of_verdicts, false_not_observed_of_observed: `not_observed` where an officer
    did say it and was heard, as a share of all `not_observed` given, and of all that was truly observed.
    unheard_not_observed: `not_observed` where it cannot be told, of these. right: verdicts given as they should be.
    """
    seen = int(cells[_SEEN, _SEEN])
    precision, recall = _share(seen, cells[:, _SEEN]), _share(seen, cells[_SEEN])
    lost = int(cells[_SEEN, _NOT])
    return {
        "n": float(cells.sum()),
        "observed": float(cells[_SEEN].sum()),
        "precision": precision,
        "recall": recall,
        "f1": _share(2 * seen, np.concatenate([cells[:, _SEEN], cells[_SEEN]])),
        "false_not_observed_of_verdicts": _share(lost, cells[:, _NOT]),
        "false_not_observed_of_observed": _share(lost, cells[_SEEN]),
        "unheard_not_observed": _share(int(cells[_UNSURE, _NOT]), cells[_UNSURE]),
        "missing_told": _share(int(cells[_NOT, _NOT]), cells[_NOT]),
        "cannot_tell": _share(int(cells[:, _UNSURE].sum()), cells),
        "without_verdict": _share(int(cells[:, _NONE].sum()), cells),
        "right": _share(int(np.trace(cells[:, :_NONE])), cells),
    }


def _mean_f1(cells: Counts) -> Figures:
    each = [f1 for of_duty in cells if (f1 := figures(of_duty)["f1"]) is not None]
    return {"f1": sum(each) / len(each) if each else None}


def _share(part: int, whole: Counts) -> float | None:
    size = int(whole.sum())
    return part / size if size else None


def _resampled(table: Counts, seed: int) -> Counts:
    """(times, duties, 3, 4): sums over as many dialogues as there are, drawn with putting back."""
    chance = np.random.default_rng(seed)
    size = len(table)
    weights = chance.multinomial(size, np.full(size, 1 / size), RESAMPLED)
    sums: Counts = np.tensordot(weights, table, axes=(1, 0))
    return sums


def _with_intervals(cells: Counts, drawn: Counts, made: Callable[[Counts], Figures]) -> dict[str, Figure]:
    of_drawn = [made(each) for each in drawn]
    told = {}
    for name, value in made(cells).items():
        values = [each for row in of_drawn if (each := row[name]) is not None]
        low, high = map(float, np.percentile(values, [2.5, 97.5])) if values else (None, None)
        told[name] = Figure(_rounded(value), _rounded(low), _rounded(high))
    return told


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
