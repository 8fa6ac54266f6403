"""`onrecord bench faces`: what searching and watching faces costs here, and how often the models err on a labelled set.

Without a model or without pictures it says so, and still gives what needs neither. A set may be a site's own; nothing of
it but counts is told, and where a file is asked for, similarities without names.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from api.analysis import registry_of
from api.bench import FaceSet, faces_cost, faces_pictures, faces_search
from api.bench.faces_pictures import Cutout
from models.entries import Task
from models.face import evaluate
from models.face.base import FaceDetector, FaceEmbedder
from models.face.calibration import Impostors
from models.face.decide import STATED, UNSTATED, threshold_for
from models.face.detectors import DETECT_PX, opened_detector
from models.face.embedders import opened_embedder
from models.face.entry import FaceEntry
from models.face.evaluate import Labelled, Look
from models.hashes import sha256_of
from models.registry import Registry
from pipeline.errors import ModelError, SettingsInvalid
from pipeline.settings import load

SIDES_PX: Final = (320, 480, DETECT_PX, 960, 1280)
"""That are measured, beside the one of the settings."""
WEIGHTS: Final = "ONRECORD_MODELS"
"""A folder whose `face` holds weights for measuring; without it, those of the registry."""
PICTURES: Final = "ONRECORD_TEST_DATA"
"""A folder whose `faces` holds labelled pictures, where neither --folder nor --pairs is given."""


@dataclass(frozen=True, slots=True)
class _Models:
    """detectors: by the longest side that is searched; side_px: the one that is in use, as the settings say."""

    detectors: dict[int, FaceDetector]
    embedder: FaceEmbedder
    side_px: int
    target_fmr: float

    @property
    def detector(self) -> FaceDetector:
        return self.detectors[self.side_px]


def run(asked: FaceSet | None = None, exact_queries: int = 10_000) -> dict[str, object]:
    """The report. Raises: SettingsInvalid: a set or the settings do not hold. OSError: the file cannot be written."""
    asked = asked or FaceSet()
    labelled, given = _set(asked)
    report: dict[str, object] = dict.fromkeys(
        ("model", "detector", "fmr", "fnmr", "threshold", "streams_per_core", "enrolled")
    )
    report |= faces_search.run(exact_queries)
    lacks = [] if labelled else [f"no labelled pictures: set ${PICTURES}, or give --folder or --pairs"]
    try:
        models = _models(asked.detector)
    except ModelError as error:
        lacks.append(f"no face model: {error}; or set ${WEIGHTS} to a folder whose face/ holds weights to measure with")
    else:
        report |= {"model": models.embedder.label, "detector": models.detector.label}
        report |= _measured(labelled, given, models, asked)
    report["lacks"] = lacks
    report["method"] = " ".join([faces_search.METHOD, faces_cost.METHOD, _METHOD.format(of=_said(asked, labelled))])
    return report


_METHOD: Final = (
    "errors: {of}; threshold is that of decide.threshold_for with the settings' target_fmr on a gallery of one picture a "
    "person, fmr its upper bound (null: no number is claimed), fnmr of all pairs at it; intervals Clopper-Pearson, 95 %, "
    "as if pairs that share a person were drawn each by itself. pictures: the same faces in made scenes."
)


def _said(asked: FaceSet, labelled: Sequence[Labelled]) -> str:
    people = len({each.person for each in labelled})
    if asked.pairs is not None:
        return f"pairs of --pairs, {len(labelled)} pictures"
    return f"{len(labelled)} pictures of {people} people" + ("" if asked.folder else f", of ${PICTURES}")


def _set(asked: FaceSet) -> tuple[list[Labelled], list[tuple[Labelled, Labelled, bool]]]:
    """Raises: SettingsInvalid."""
    if asked.folder is not None and asked.pairs is not None:
        raise SettingsInvalid("--folder and --pairs are two sets; give one")
    if asked.pairs is not None:
        given = evaluate.read_pairs(asked.pairs)
        return [each for pair in given for each in pair[:2]], given
    if asked.folder is not None:
        return evaluate.read_folder(asked.folder), []
    place = Path(os.environ.get(PICTURES, "")) / "faces"
    return (evaluate.read_folder(place), []) if os.environ.get(PICTURES) and place.is_dir() else ([], [])


def _models(detector: str) -> _Models:
    """Raises: ModelError, SettingsInvalid."""
    wanted = load(None).faces
    detecting = entry_of(Task.FACE_DETECTION, detector or wanted.detector)
    embedder = opened_embedder(entry_of(Task.FACE_EMBEDDING, wanted.embedder))
    sides = sorted({*SIDES_PX, wanted.detect_px})
    detectors = {side: opened_detector(detecting, 1, side) for side in sides}
    return _Models(detectors, embedder, wanted.detect_px, wanted.target_fmr)


def entry_of(task: Task, name: str) -> FaceEntry:
    """The first model of the list whose checked file is in $ONRECORD_MODELS/face; without that, the registry's.

    Raises: ModelError: there is none. SettingsInvalid.
    """
    registry: Registry = registry_of(load(None))
    place = Path(os.environ.get(WEIGHTS, "")) / "face"
    if os.environ.get(WEIGHTS) and place.is_dir():
        for entry in registry.entries:
            file, path = entry.files[0], place / entry.files[0].path
            is_asked = entry.task is task and name in ("", entry.name)
            if is_asked and path.is_file() and file.sha256 in ("", sha256_of(path)):
                return FaceEntry(place, entry.name, entry.version, entry.engine, file.path, entry.vector_size)
    return FaceEntry.of(registry.ready(registry.choose(task, name).name))


def _measured(
    labelled: Sequence[Labelled],
    given: Sequence[tuple[Labelled, Labelled, bool]],
    models: _Models,
    asked: FaceSet,
) -> dict[str, object]:
    once = list({each.path: each for each in labelled}.values())
    cut = faces_pictures.cutouts(once, models.detector)
    cost = faces_cost.streams_per_core(models.detectors, models.embedder, cut)
    told: dict[str, object] = {
        "streams_per_core": cost[models.side_px]["streams_per_core"],
        "detect_px": models.side_px,
        "cost": {str(side): each for side, each in cost.items()},
    }
    if not labelled:
        return told
    seen = evaluate.looks(labelled, models.detector, models.embedder)
    told |= _errors(seen, given, models, asked.calibration)
    return told if given else told | _pictures(cut, seen, models)


def _errors(
    seen: Sequence[Look | None],
    given: Sequence[tuple[Labelled, Labelled, bool]],
    models: _Models,
    calibration: Path | None,
) -> dict[str, object]:
    taken = [look for look in seen if look is not None]
    told: dict[str, object] = {"enrolled": len(taken), "no_face": len(seen) - len(taken)}
    if not taken:
        return told
    pairs = evaluate.given_pairs(given, seen) if given else evaluate.all_pairs(taken)
    first = {look.label.person: look.vector for look in reversed(taken)}
    made_of = f"{len(taken)} labelled pictures" + ("" if given else f" of {len(first)} people")
    impostors = Impostors.counted(models.embedder.label, pairs.similarity[~pairs.is_same], made_of)
    if calibration is not None:
        impostors.write(calibration)
    if not given:
        told["open_set"] = evaluate.open_set(taken, impostors, models.target_fmr)
    gallery = np.stack([*first.values()])[: 0 if given else len(first)]
    threshold = threshold_for(models.target_fmr, impostors, gallery)
    at = evaluate.at_threshold(pairs, threshold.similarity)
    return told | {
        "threshold": round(threshold.similarity, 4), "basis": threshold.basis.value, "impostor_pairs": impostors.pairs,
        "fmr": threshold.upper_fmr, "fnmr": at["fnmr"], "at_threshold": at,
        "at_makers_threshold": evaluate.at_threshold(pairs, _makers(models.embedder)), "spread": evaluate.spread(pairs),
        "at_rates": [evaluate.at_rate(pairs, rate) for rate in evaluate.RATES],
    }  # fmt: skip


def _pictures(
    cut: Sequence[Cutout],
    seen: Sequence[Look | None],
    models: _Models,
) -> dict[str, object]:
    known = [look for look in seen if look is not None]
    if not cut:
        return {}
    makers = _makers(models.embedder)
    return {
        "detection": faces_pictures.by_size(cut, models.detectors, models.embedder),
        "sequences": faces_pictures.tracks_and_frames(cut, known, models.detector, models.embedder, makers),
    }


def _makers(embedder: FaceEmbedder) -> float:
    return STATED.get(embedder.label.partition("@")[0], UNSTATED)
