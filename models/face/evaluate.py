"""How often a model errs on labelled pictures: false non-matches at a false-match rate, open set, by quality and group.

A set is a folder in LFW's layout (PERSON/any.jpg; beside them, if wanted, groups.csv with columns person,group), a
folder of NAME-NUMBER.jpg, or a CSV with columns a,b,same and, if wanted, group, its paths relative to it. Nothing
of pictures, names or vectors is kept or told: only counts. What a set is too small to show is said to be so.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.face import quality
from models.face.align import aligned
from models.face.base import FaceDetector, FaceEmbedder, Found, Picture, Vector
from models.face.calibration import Impostors, interval
from models.face.decide import Kind, Threshold, decided, threshold_for
from models.face.search import Gallery
from pipeline.errors import SettingsInvalid

RATES: Final = (1e-3, 1e-4)
BANDS: Final = (0.0, 0.25, 0.5, 0.75)
"""Of a pair's poorer quality; each to the next."""
_PICTURES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_NUMBERED: Final = re.compile(r"(.+)-\d+")
_ROUNDS: Final = 20
"""Of drawing who is enrolled and who is a stranger."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture's file, whose face is the largest in it, and the group the set puts the person in."""

    path: Path
    person: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What a model makes of a labelled picture. quality: 0..1."""

    label: Labelled
    quality: float
    vector: Vector


@dataclass(frozen=True, slots=True)
class Pairs:
    """Compared pairs. similarity, quality: (n,), quality the poorer one's; is_same: (n,) bool; group: "" or of both."""

    similarity: NDArray[np.float64]
    quality: NDArray[np.float64]
    is_same: NDArray[np.bool_]
    group: tuple[str, ...]


def read_folder(folder: Path) -> list[Labelled]:
    """Raises: SettingsInvalid: there is no picture of at least two people."""
    groups = _groups(folder / "groups.csv")
    found = []
    for path in sorted(folder.glob("*/*")) or sorted(folder.glob("*")):
        numbered = _NUMBERED.fullmatch(path.stem)
        person = path.parent.name if path.parent != folder else numbered and numbered[1]
        if path.suffix.lower() in _PICTURES and person:
            found.append(Labelled(path, person, groups.get(person, "")))
    if len({each.person for each in found}) < 2:
        raise SettingsInvalid(f"{folder.name} holds no pictures of two people: PERSON/FILE.jpg, as LFW has them")
    return found


def read_pairs(file: Path) -> list[tuple[Labelled, Labelled, bool]]:
    """a,b,same with same 1 or 0. Raises: SettingsInvalid: it is not so, or a file is not there."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.DictReader(opened))
        pairs = []
        for row in rows:
            one, other = (Labelled(file.parent / row[name], "", row.get("group") or "") for name in ("a", "b"))
            pairs.append((one, other, bool(int(row["same"]))))
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise SettingsInvalid(f"{file.name} holds no pairs; its columns must be a,b,same, and same 1 or 0") from error
    missing = next((each.path.name for pair in pairs for each in pair[:2] if not each.path.is_file()), None)
    if missing or not pairs:
        raise SettingsInvalid(f"{file.name}: {missing or 'no pair'} is not there")
    return pairs


def _groups(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return {row.get("person") or "": row.get("group") or "" for row in csv.DictReader(opened)}


def largest(picture: Picture, detector: FaceDetector) -> Found | None:
    """The face that fills most of it; None where none was found."""
    return max(detector.detect(picture), key=lambda each: _area(each.box), default=None)


def picture_of(path: Path) -> Picture | None:
    """Turned as EXIF says; None where it cannot be read."""
    read = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return None if read is None else np.asarray(read, np.uint8)


def looks(labelled: Sequence[Labelled], detector: FaceDetector, embedder: FaceEmbedder) -> list[Look | None]:
    """In the order of `labelled`; None where the picture cannot be read or holds no face. Raises: ModelFailed."""
    return [_look(each, detector, embedder) for each in labelled]


def _look(label: Labelled, detector: FaceDetector, embedder: FaceEmbedder) -> Look | None:
    picture = picture_of(label.path)
    found = None if picture is None else largest(picture, detector)
    if picture is None or found is None:
        return None
    crop = aligned(picture, found.points)
    return Look(label, quality.judged(picture, found, crop).value, embedder.embed([crop])[0])


def all_pairs(taken: Sequence[Look]) -> Pairs:
    """Each look with each other."""
    return _pairs(
        (one, other, one.label.person == other.label.person)
        for number, one in enumerate(taken)
        for other in taken[:number]
    )


def given_pairs(given: Sequence[tuple[Labelled, Labelled, bool]], taken: Sequence[Look | None]) -> Pairs:
    """The pairs of a file; those one of whose pictures shows no face are left out. taken: of a, b, a, b ..."""
    both = zip(taken[::2], taken[1::2], (each[2] for each in given), strict=True)
    return _pairs((one, other, is_same) for one, other, is_same in both if one is not None and other is not None)


def _pairs(compared: Iterator[tuple[Look, Look, bool]]) -> Pairs:
    rows = [
        (
            float(np.dot(one.vector, other.vector)),
            min(one.quality, other.quality),
            is_same,
            one.label.group if one.label.group == other.label.group else "",
        )
        for one, other, is_same in compared
    ]
    return Pairs(
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows], bool),
        tuple(row[3] for row in rows),
    )


def share(hits: int, tries: int) -> dict[str, object]:
    """With its 95 % interval (Clopper-Pearson), as if each try were drawn by itself."""
    low, high = interval(hits, tries)
    value = round(hits / tries, 6) if tries else None
    return {"value": value, "hits": hits, "of": tries, "low": round(low, 6), "high": round(high, 6)}


def at_rate(pairs: Pairs, rate: float) -> dict[str, object]:
    """FNMR where no more than `rate` of the impostor pairs match; "not_measurable" where they are too few to show it.

    With none of n false the rate may still be 3/n (95 %), so n must be 3/rate.
    """
    impostor, genuine = np.sort(pairs.similarity[~pairs.is_same])[::-1], pairs.similarity[pairs.is_same]
    needed = int(np.ceil(3 / rate))
    if len(impostor) < needed:
        return {
            "fmr": rate,
            "fnmr": None,
            "not_measurable": f"{len(impostor)} pairs of different people; {needed} are needed",
        }
    if not len(genuine):
        return {"fmr": rate, "fnmr": None, "not_measurable": "no pair of one person"}
    threshold = float(np.nextafter(impostor[int(len(impostor) * rate)], 2.0))
    return {
        "fmr": rate,
        "threshold": round(threshold, 4),
        "fnmr": share(int((genuine < threshold).sum()), len(genuine)),
        "false_matches": share(int((impostor >= threshold).sum()), len(impostor)),
    }


def at_threshold(pairs: Pairs, similarity: float) -> dict[str, object]:
    """Both rates at one threshold, of all, by quality of the poorer look, and by the set's groups."""
    bands = {}
    for low, high in zip(BANDS, (*BANDS[1:], 1.01), strict=True):
        bands[f"{low:.2f} to {min(high, 1):.2f}"] = _rates(
            pairs, similarity, (pairs.quality >= low) & (pairs.quality < high)
        )
    named = np.array(pairs.group)
    return {
        "threshold": round(similarity, 4),
        **_rates(pairs, similarity, np.ones(len(pairs.group), bool)),
        "by_quality": bands,
        "by_group": {name: _rates(pairs, similarity, named == name) for name in sorted({*pairs.group} - {""})},
    }


def _rates(pairs: Pairs, similarity: float, chosen: NDArray[np.bool_]) -> dict[str, object]:
    genuine, impostor = (pairs.similarity[chosen & kind] for kind in (pairs.is_same, ~pairs.is_same))
    return {
        "fnmr": share(int((genuine < similarity).sum()), len(genuine)),
        "fmr": share(int((impostor >= similarity).sum()), len(impostor)),
    }


def spread(pairs: Pairs) -> dict[str, object]:
    """Where both kinds lie: the extremes, the middle, and how far apart (d', difference of means in deviations)."""
    told: dict[str, object] = {}
    for name, kind in (("same", pairs.is_same), ("different", ~pairs.is_same)):
        some = pairs.similarity[kind]
        if len(some):
            told[name] = {
                "pairs": len(some),
                "least": _short(some.min()),
                "mean": _short(some.mean()),
                "most": _short(some.max()),
            }
    same, different = pairs.similarity[pairs.is_same], pairs.similarity[~pairs.is_same]
    if len(same) > 1 and len(different) > 1:
        deviation = np.sqrt((same.var(ddof=1) + different.var(ddof=1)) / 2)
        told["d_prime"] = _short((same.mean() - different.mean()) / max(deviation, 1e-9))
    return told


def open_set(taken: Sequence[Look], impostors: Impostors, target_fmr: float, seed: int = 1) -> dict[str, object]:
    """Half of the people enrolled with one picture, looked for among all; drawn anew in each round.

    FPIR: strangers with whom anybody is suggested. FNIR: enrolled people whose other pictures do not suggest them. A
    single look counts as enough here, so this is of likeness and margin alone.
    """
    rng = np.random.default_rng(seed)
    people = sorted({look.label.person for look in taken})
    counted = {"stranger": [0, 0], "enrolled": [0, 0], "wrong": [0, 0]}
    used: Threshold | None = None
    for _ in range(_ROUNDS if len(people) > 2 else 0):
        enrolled = {str(each) for each in rng.permutation(people)[: len(people) // 2]}
        used = _round(taken, enrolled, impostors, target_fmr, counted, rng)
    return {
        "target_fmr": target_fmr,
        "threshold": None if used is None else round(used.similarity, 4),
        "basis": None if used is None else used.basis.value,
        "enrolled": len(people) // 2,
        "rounds": _ROUNDS,
        "fpir": share(*counted["stranger"]),
        "fnir": share(*counted["enrolled"]),
        "wrong_person": share(*counted["wrong"]),
    }


def _round(
    taken: Sequence[Look],
    enrolled: set[str],
    impostors: Impostors,
    target_fmr: float,
    counted: dict[str, list[int]],
    rng: np.random.Generator,
) -> Threshold:
    gallery, probes = Gallery(len(taken[0].vector)), list[Look]()
    for look in (taken[at] for at in rng.permutation(len(taken))):
        if look.label.person in enrolled and look.label.person not in gallery:
            gallery.add(look.label.person, look.vector)
        else:
            probes.append(look)
    threshold = threshold_for(target_fmr, impostors, gallery.vectors())
    for look in probes:
        told = decided(gallery.nearest_persons(look.vector, 2), threshold, looks=2, quality=1.0)
        is_suggested, is_enrolled = told.kind is Kind.SUGGESTED, look.label.person in enrolled
        if not is_enrolled:
            _count(counted["stranger"], is_suggested)
            continue
        _count(counted["enrolled"], not (is_suggested and told.person == look.label.person))
        _count(counted["wrong"], is_suggested and told.person != look.label.person)
    return threshold


def _count(of: list[int], is_hit: bool) -> None:
    of[0] += is_hit
    of[1] += 1


def _short(value: float) -> float:
    return round(float(value), 4)


def _area(box: tuple[float, float, float, float]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
