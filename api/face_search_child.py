"""The process that holds templates in the open, and searches them. Writes nothing, logs nothing, ends with its pipe.

Run as `python -m api.face_search_child` by face_search.py, which says what the frames are. The first one says from what
bounds are found. What comes in is overwritten here once it is in a gallery; a removed template is at once.
"""

import json
import os
import resource
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.face_search import HEAD, MOST_HEAD_BYTES, Tree
from models.face.base import Vector
from models.face.calibration import Impostors
from models.face.decide import Kind, Threshold, decided, of_all, of_one, threshold_for
from models.face.index import opened
from models.face.search import FaceGallery, Gallery
from pipeline.errors import SettingsInvalid
from pipeline.jail import stay_private

_MOST_BODY_BYTES: Final = 256 * 1024 * 1024
_BEST: Final = 8
"""Rows among which the template of the nearest person is found: equal ones stand before it at most so often."""


@dataclass(slots=True)
class Held:
    """One gallery of one model. person_of: by template. threshold: None: it is to be found anew.

    order: templates as Gallery has its rows: the last one moves where one was removed.
    """

    gallery: FaceGallery
    impostors: Impostors
    person_of: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    threshold: Threshold | None = None


class Galleries:
    """By set. Plain code; one thread."""

    def __init__(self, target_fmr: float, margin: float, calibrations: Path) -> None:
        self._target_fmr = target_fmr
        self._margin = margin
        self._calibrations = calibrations
        self._sets: dict[str, Held] = {}
        self._empty: set[str] = set()

    def add(self, set_id: str, templates: list[tuple[str, str]], vectors: NDArray[np.float32], rows: int) -> None:
        """templates: (person, template), a row of `vectors` each. rows: that the set will have.

        Raises: ValueError: a vector that none is, or of another size than the others.
        """
        if not templates:
            self._empty.add(set_id)
            return
        held = self._sets.get(set_id)
        if held is None:
            held = self._sets[set_id] = Held(opened(vectors.shape[1], rows), self._impostors(set_id))
        for (person, template), vector in zip(templates, vectors, strict=True):
            if template in held.gallery:
                continue
            held.gallery.add(template, vector, person)
            held.person_of[template] = person
            held.order.append(template)
        held.threshold = None

    def remove(self, set_id: str, person: str) -> None:
        """Overwritten."""
        held = self._sets.get(set_id)
        if held is None:
            return
        for template in [each for each, whose in held.person_of.items() if whose == person]:
            held.gallery.remove(template)
            del held.person_of[template]
            last = held.order.pop()
            if last != template:
                held.order[held.order.index(template)] = last
        held.threshold = None

    def drop(self, set_id: str) -> None:
        """Overwritten, all of it."""
        self._empty.discard(set_id)
        if (held := self._sets.pop(set_id, None)) is not None:
            held.gallery.clear()

    def search(self, set_id: str, vector: Vector, looks: int, quality: float) -> Tree:
        """looks, quality: of the track. Raises: ValueError: no vector, or of another size than what is held. KeyError:
        nothing is held.
        """
        held = self._sets.get(set_id)
        if held is None:
            if set_id not in self._empty:
                raise KeyError(set_id)
            nobody = np.zeros((0, len(vector)), np.float32)
            threshold = threshold_for(self._target_fmr, self._impostors(set_id), nobody, [], self._margin)
            return _told(threshold, "unknown", "", "", -1.0, None)
        nearest = held.gallery.nearest_persons(vector, 2)
        threshold = self._threshold(held)
        decision = decided(nearest, threshold, looks, quality)
        if not nearest:
            return _told(threshold, "unknown", "", "", -1.0, None)
        best = nearest[0]
        template = next(
            (near.key for near in held.gallery.nearest(vector, _BEST) if held.person_of[near.key] == best.key), ""
        )
        kind = {Kind.SUGGESTED: "suggested", Kind.NEAR: "near", Kind.UNKNOWN: "unknown"}[decision.kind]
        return _told(threshold, kind, best.key, template, best.similarity, decision.second)

    def _threshold(self, held: Held) -> Threshold:
        if held.threshold is None:
            gallery = held.gallery
            if isinstance(gallery, Gallery):
                persons = [held.person_of[template] for template in held.order]
                held.threshold = threshold_for(
                    self._target_fmr, held.impostors, gallery.vectors(), persons, self._margin
                )
            else:
                held.threshold = self._of_many(held)
        return held.threshold

    def _of_many(self, held: Held) -> Threshold:
        """Of a gallery that is too large for its own pairs: by what was measured of its model."""
        count, nobody = len(held.person_of), np.zeros((0, 1), np.float32)
        found = threshold_for(of_one(self._target_fmr, count), held.impostors, nobody, [], self._margin)
        fmr = None if found.fmr is None else of_all(found.fmr, count)
        upper = None if found.upper_fmr is None else of_all(found.upper_fmr, count)
        return replace(found, fmr=fmr, upper_fmr=upper, templates=count)

    def _impostors(self, set_id: str) -> Impostors:
        """What was measured of this model; nothing, where nobody measured it."""
        model = set_id.partition("|")[2]
        try:
            found = Impostors.read(self._calibrations / f"{model}.json")
        except SettingsInvalid:
            return Impostors(model, 0, 0, ())
        return found if found.model == model else Impostors(model, 0, 0, ())


def _told(
    threshold: Threshold, decision: str, person: str, template: str, similarity: float, second: float | None
) -> Tree:
    """fmr, one_in: null where nobody knows it."""
    return {
        "decision": decision, "person": person, "template": template, "similarity": round(similarity, 6),
        "second": -1.0 if second is None else round(second, 6), "bound": threshold.similarity,
        "fmr": threshold.upper_fmr, "one_in": threshold.one_in, "basis": str(threshold.basis),
    }  # fmt: skip


def _done(galleries: Galleries, head: Tree, body: bytearray) -> Tree:
    """Raises: ValueError, KeyError."""
    set_id = str(head["set"])
    numbers = np.frombuffer(body, "<f4")
    match head["do"]:
        case "add":
            told = head["templates"]
            if not isinstance(told, list):
                raise ValueError("no templates")
            templates = [(str(person), str(template)) for person, template in told]
            vectors = numbers.reshape(len(templates), -1) if templates else numbers.reshape(0, 0)
            galleries.add(set_id, templates, np.asarray(vectors, np.float32), int(str(head["rows"])))
        case "remove":
            galleries.remove(set_id, str(head["person"]))
        case "drop":
            galleries.drop(set_id)
        case "search":
            looks, quality = int(str(head["looks"])), float(str(head["quality"]))
            return galleries.search(set_id, np.asarray(numbers, np.float32), looks, quality)
    return {}


def main() -> None:
    stay_private()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    os.nice(5)
    source, sink = os.fdopen(0, "rb"), sys.stdout.buffer
    galleries: Galleries | None = None
    while len(raw := source.read(HEAD.size)) == HEAD.size:
        head_bytes, body_bytes = HEAD.unpack(raw)
        if head_bytes > MOST_HEAD_BYTES or body_bytes > _MOST_BODY_BYTES:
            return
        head, body = json.loads(source.read(head_bytes)), bytearray(body_bytes)
        if source.readinto(body) != body_bytes:
            return
        if galleries is None:
            target_fmr, margin, calibrations = head
            galleries = Galleries(float(target_fmr), float(margin), Path(calibrations))
            continue
        try:
            answer = _done(galleries, head, body)
        except ValueError:
            answer = {"refused": "it is no vector of the size that is held; enrol again those of another model"}
        except KeyError:
            return  # who asks loads everything anew
        body[:] = bytes(body_bytes)
        line = json.dumps(answer).encode()
        sink.write(HEAD.pack(len(line), 0) + line)
        sink.flush()


if __name__ == "__main__":
    main()
