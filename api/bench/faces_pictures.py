"""Faces of real pictures put into made scenes: found by size, followed in made sequences. What a scene cannot show is said.

The faces are real, and so are their own light and lens; place, size, blur, noise and coding are made. Nobody moves the
head in a made sequence, so a track gains less from more looks here than from a person who turns towards the camera.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from api.bench.analysis_pictures_scenes import Footage
from models.face import quality
from models.face.align import aligned
from models.face.base import FaceDetector, FaceEmbedder, Picture, Shot
from models.face.evaluate import Labelled, Look, Pairs, at_threshold, picture_of, share, spread
from models.face.tracks import FaceTracks

SIZES_PX: Final = (16, 24, 32, 48, 64, 96, 160)
"""Height of a face in a picture of 1080 lines, brows to chin and somewhat more: a detector's box."""
WIDTH, HEIGHT = 1920, 1080
_SCENES: Final = ("shop", "street", "corridor", "office")
_AROUND: Final = 0.6
"""Of a box, that is cut out around it."""
_LIKE: Final = 0.3
"""Overlap with where the face is, from which on it counts as found: boxes of detectors differ."""
_LOOKS: Final = 8
"""Key frames of a made sequence."""
_SEQUENCES: Final = 4
"""Of each picture."""


@dataclass(frozen=True, slots=True)
class Cutout:
    """A face and what is around it. box: of the face in `picture`. label: whose, as the set says."""

    label: Labelled
    picture: Picture
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture of 1080 lines and where in it the faces are: the number of the cutout, and the box."""

    picture: Picture
    faces: tuple[tuple[int, tuple[float, float, float, float]], ...]


def cutouts(labelled: Sequence[Labelled], detector: FaceDetector) -> list[Cutout]:
    """Of each picture in which a face is found, the largest; those that cannot be read, or hold none, are left out."""
    made = []
    for label in labelled:
        picture = picture_of(label.path)
        found = [] if picture is None else detector.detect(picture)
        if picture is None or not found:
            continue
        left, top, right, bottom = max(found, key=lambda each: each.box[3] - each.box[1]).box
        around = _AROUND * (bottom - top)
        x, y = max(0, round(left - around)), max(0, round(top - around))
        part = picture[y : round(bottom + around), x : round(right + around)]
        made.append(Cutout(label, part, (left - x, top - y, right - x, bottom - y)))
    return made


def by_size(cut: Sequence[Cutout], detectors: dict[int, FaceDetector], embedder: FaceEmbedder) -> dict[str, object]:
    """For each longest side that is searched: how many faces are found by size, and how like themselves they still are.

    detectors: by that side. likeness: of a found face to the same picture before it was made small, median; so it tells
    what finding less exactly and being small cost, and not how another picture of the person would compare.
    """
    whole = {number: _vector(each, detectors[max(detectors)], embedder) for number, each in enumerate(cut)}
    tallies = {side: dict[str, object]() for side in detectors}
    false = dict.fromkeys(detectors, 0)
    pictures = 0
    for size_px in SIZES_PX:
        scenes = list(scenes_of(cut, size_px, seed=size_px))
        pictures += len(scenes)
        for side, detector in detectors.items():
            hits, tries, likeness = 0, 0, list[float]()
            for scene in scenes:
                found = detector.detect(scene.picture)
                false[side] += sum(all(overlap(each.box, box) < 0.05 for _, box in scene.faces) for each in found)
                for number, box in scene.faces:
                    tries += 1
                    mine = max(found, key=lambda each: overlap(each.box, box), default=None)
                    if mine is None or overlap(mine.box, box) < _LIKE:
                        continue
                    hits += 1
                    known = whole[number]
                    if known is not None:
                        (now,) = embedder.embed([aligned(scene.picture, mine.points)])
                        likeness.append(float(np.dot(known, now)))
            tallies[side][str(size_px)] = {
                "found": share(hits, tries),
                "likeness": round(float(np.median(likeness)), 3) if likeness else None,
            }
    return {
        str(side): {"by_face_px": tally, "found_where_none_is": {"faces": false[side], "pictures": pictures}}
        for side, tally in tallies.items()
    }


def scenes_of(cut: Sequence[Cutout], size_px: int, seed: int) -> Iterator[Scene]:
    """All cutouts, up to eight in a picture, each at least once, coded as JPEG of 80."""
    rng = np.random.default_rng([seed, 5])
    order = [*rng.permutation(len(cut)), *rng.permutation(len(cut))]
    for first in range(0, len(order), 8):
        numbers = [int(each) for each in order[first : first + 8]]
        made = on_backdrop([cut[number] for number in numbers], size_px, int(rng.integers(2**31)))
        faces = tuple((numbers[place], box) for place, box in made.faces)
        yield Scene(_coded(made.picture, 80), faces)


def on_backdrop(cut: Sequence[Cutout], size_px: float, seed: int) -> Scene:
    """No more than eight of them, each in its own part of a drawn place."""
    rng = np.random.default_rng([seed, 6])
    picture, faces = backdrop(int(rng.integers(len(_SCENES)))).copy(), []
    for place, each in enumerate(cut):
        x = (place % 4 + float(rng.uniform(0.3, 0.7))) * WIDTH / 4
        y = (place // 4 + float(rng.uniform(0.35, 0.65))) * HEIGHT / 2
        faces.append((place, _put(picture, each, size_px, x, y)))
    return Scene(picture, tuple(faces))


@cache
def backdrop(number: int) -> Picture:
    """(1080, 1920, 3): a drawn place, with fine detail that the drawing lacks at this size."""
    small = Footage(_SCENES[number], 12 + number).picture(1.0)
    large = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noise = np.random.default_rng(number).normal(0, 2.5, (HEIGHT, WIDTH, 3))
    return np.clip(large[:, :, None] + noise, 0, 255).astype(np.uint8)


def _put(picture: Picture, cut: Cutout, size_px: float, x: float, y: float) -> tuple[float, float, float, float]:
    """The cutout with its face size_px high and its middle at x, y, its edges soft. Returns the face's box."""
    left, top, right, bottom = cut.box
    scale = size_px / (bottom - top)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(cut.picture, None, fx=scale, fy=scale, interpolation=interpolation)
    x0, y0 = round(x - (left + right) / 2 * scale), round(y - (top + bottom) / 2 * scale)
    rows = slice(max(0, y0), min(picture.shape[0], y0 + small.shape[0]))
    columns = slice(max(0, x0), min(picture.shape[1], x0 + small.shape[1]))
    part = small[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0]
    soft = _soft(small.shape[0], small.shape[1])
    weight = soft[rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0, None]
    mixed = picture[rows, columns] * (1 - weight) + part * weight
    picture[rows, columns] = np.clip(mixed, 0, 255).astype(np.uint8)
    return x0 + left * scale, y0 + top * scale, x0 + right * scale, y0 + bottom * scale


def _soft(height: int, width: int) -> NDArray[np.float32]:
    """1 in the middle, falling to 0 over the outer eighth."""
    down, along = (np.minimum(np.arange(n), np.arange(n)[::-1]) / max(1, n / 8) for n in (height, width))
    return np.minimum(1, np.minimum.outer(down, along)).astype(np.float32)


def tracks_and_frames(
    cut: Sequence[Cutout], known: Sequence[Look], detector: FaceDetector, embedder: FaceEmbedder, similarity: float
) -> dict[str, object]:
    """Made sequences of each picture, compared with every other picture: each frame by itself, and the track's template."""
    frames, tracks = list[Look](), list[Look]()
    blank = 0
    for number, each in enumerate(cut):
        for turn in range(_SEQUENCES):
            seen = list(sequence(each, detector, embedder, seed=number * 100 + turn))
            frames += [Look(each.label, shot.quality.value, shot.vector) for shot in seen if shot.vector is not None]
            followed = FaceTracks(unseen_s=_LOOKS)
            for shot in seen:
                followed.feed(shot.at_s, [shot])
            longest = max(followed.open, key=lambda track: track.looks, default=None)
            if longest is None or longest.is_blank:
                blank += 1
                continue
            tracks.append(Look(each.label, longest.best.quality.value, longest.template()))
    told = {
        name: {**at_threshold(compared, similarity), "spread": spread(compared)}
        for name, compared in (("frame", _against(frames, known)), ("track", _against(tracks, known)))
    }
    for part in told.values():
        part.pop("by_group")
    return {
        "sequences": len(cut) * _SEQUENCES, "key_frames_each": _LOOKS, "faces_seen": len(frames), "no_track": blank, **told
    }  # fmt: skip


def _against(some: Sequence[Look], known: Sequence[Look]) -> Pairs:
    """Every look with every picture it was not made of."""
    rows = [
        (
            float(np.dot(look.vector, other.vector)),
            min(look.quality, other.quality),
            look.label.person == other.label.person,
        )
        for look in some
        for other in known
        if look.label.path != other.label.path
    ]
    columns = np.array(rows, np.float64).reshape(-1, 3)
    return Pairs(columns[:, 0], columns[:, 1], columns[:, 2] > 0, ("",) * len(rows))


def sequence(cut: Cutout, detector: FaceDetector, embedder: FaceEmbedder, seed: int) -> Iterator[Shot]:
    """The shots of eight key frames in which the face moves, 40 to 110 pixels high, blurred, noisy, dark or bright, coded."""
    rng = np.random.default_rng([seed, 9])
    size_px, place = float(rng.uniform(40, 110)), backdrop(int(rng.integers(len(_SCENES))))
    for second in range(_LOOKS):
        x0, y0 = (int(rng.integers(0, each)) for each in (WIDTH - 480, HEIGHT - 272))
        picture = place[y0 : y0 + 272, x0 : x0 + 480].copy()
        x, y = float(rng.uniform(180, 300)), float(rng.uniform(110, 160))
        box = _put(picture, cut, size_px * float(rng.uniform(0.85, 1.15)), x, y)
        worse = _worse(picture, rng)
        found = [each for each in detector.detect(worse) if overlap(each.box, box) >= _LIKE]
        if found:
            crop = aligned(worse, found[0].points)
            judged = quality.judged(worse, found[0], crop)
            yield Shot(second, found[0], crop, judged, embedder.embed([crop])[0])


def _worse(picture: Picture, rng: np.random.Generator) -> Picture:
    """Out of focus, smeared, lit otherwise, noisy, and coded as JPEG of 40 to 80."""
    made = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.1, 1.2)))
    smear = int(rng.integers(1, 6))
    kernel = np.full((1, smear), 1 / smear, np.float32)
    made = cv2.filter2D(made, -1, kernel if rng.random() < 0.7 else kernel.T)
    lit = 255 * (made.astype(np.float32) / 255) ** float(rng.uniform(0.6, 1.6))
    noisy = lit + rng.normal(0, float(rng.uniform(1, 8)), lit.shape)
    return _coded(np.clip(noisy, 0, 255).astype(np.uint8), int(rng.integers(40, 81)))


def _coded(picture: Picture, of_100: int) -> Picture:
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, of_100])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def _vector(cut: Cutout, detector: FaceDetector, embedder: FaceEmbedder) -> NDArray[np.float32] | None:
    found = max(detector.detect(cut.picture), key=lambda each: overlap(each.box, cut.box), default=None)
    return None if found is None else embedder.embed([aligned(cut.picture, found.points)])[0]


def overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (one, other)]
    return width * height / (sum(areas) - width * height)
