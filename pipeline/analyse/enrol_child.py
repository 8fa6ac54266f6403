"""Reads one picture or film of a person in a process that is thrown away, with limits on memory, time and pixels.

Run as `python -m pipeline.analyse.enrol_child`: an order and the bytes on stdin, `READY` and one answer on stdout
(enrol_order.py). The process writes no file, dumps no core, and ends. What is sent to it may be made to do harm: once
its models are loaded it opens no file and no socket any more (pipeline/jail.py).
"""

import io
import os
import resource
import sys
from typing import Final

import av
import cv2
import numpy as np
from PIL import Image

from models.face.base import CROP_PX, Picture, Shot
from models.face.detectors import opened_detector
from models.face.embedders import opened_embedder
from models.face.tracks import FaceTracks, Track
from pipeline.analyse import film, photo
from pipeline.analyse.enrol_order import MOST_BYTES, READY, Enrolled, EnrolOrder, Refused, answer_line, failed_line
from pipeline.analyse.face_shots import FaceShots
from pipeline.errors import ModelError, ModelFailed, WorkerFailed
from pipeline.jail import confine, stay_private

_ADDRESS_SPACE_BYTES: Final = 2 * 1024 * 1024 * 1024
_PROCESSOR_S: Final = {"picture": 30, "video": 120, "crop": 30}
_MOST_LINE_BYTES: Final = 65_536
_LEAST_OF_LARGEST: Final = 0.2
"""Width of a face against the largest of its picture; a smaller one is somebody far behind, or texture."""
_LEAST_SCORE: Final = 0.6
"""Of a face that is to be enrolled: below it, a drawing, a dog or a pattern often is the face."""
_SAME_FILM: Final = 0.3
"""Similarity of two tracks of a film; below it they are two people, or one that nobody should be enrolled from."""
_JPEG_QUALITY: Final = 97
"""Of the crop that is kept, for it may be embedded again by another model."""

_WHY: Final = {
    "too_small": "the face is too small; go closer, or send the picture in its full size",
    "blurred": "the face is blurred; hold still, and clean the lens",
    "turned": "the face is turned away; look straight into the camera",
    "too_dark": "the face is too dark; turn it towards the light",
    "too_bright": "the face is too bright; turn it away from the light",
    "cut_off": "the picture cuts the face off",
}


def of_picture(shots: FaceShots, data: bytes) -> Enrolled | Refused:
    """Raises: ModelFailed."""
    picture = photo.read(data)
    if isinstance(picture, Refused):
        return picture
    shot = only_face(shots.seen(0.0, picture))
    return shot if isinstance(shot, Refused) else _enrolled(shots, shot, shot.vector, 1)


def of_crop(shots: FaceShots, data: bytes) -> Enrolled | Refused:
    """A face that was aligned before. Raises: ModelFailed."""
    crop = photo.read(data)
    if isinstance(crop, Refused):
        return crop
    if crop.shape != (CROP_PX, CROP_PX, 3):
        return Refused("unreadable", f"a kept face is {CROP_PX} x {CROP_PX} pixels; enrol the person again")
    embedder = shots.embedder
    vector = np.asarray(embedder.embed([crop])[0], "<f4").tobytes()
    return Enrolled(data, vector, 1.0, embedder.label, shots.detector.label)


def of_film(shots: FaceShots, data: bytes) -> Enrolled | Refused:
    """Of the one person that a film shows. Raises: ModelFailed."""
    pictures = film.read(data)
    if isinstance(pictures, Refused):
        return pictures
    tracks, ended, refused = FaceTracks(), list[Track](), Refused("no_face", "no face was found in it")
    for at_s, picture in pictures:
        seen = _large(shots.seen(at_s, picture))
        if len(seen) > 1:
            return Refused("several_faces", f"{len(seen)} faces are in it; show one person only")
        if seen and seen[0].quality.faults:
            refused = _fault(seen[0])
        ended += [track for track in tracks.feed(at_s, seen) if track.is_over]
    ended += tracks.finish()
    known = [track for track in ended if track.looks]
    if not known:
        return refused
    best = max(known, key=lambda track: track.looks)
    if any(float(best.template() @ track.template()) < _SAME_FILM for track in known):
        return Refused("several_faces", "more than one person is in it; show one person only")
    return _enrolled(shots, best.best, best.template(), best.looks)


def only_face(seen: list[Shot]) -> Shot | Refused:
    """The face of a picture that shows one, and shows it well."""
    faces = _large(seen)
    if not faces:
        return Refused("no_face", "no face was found in it")
    if len(faces) > 1:
        return Refused("several_faces", f"{len(faces)} faces are in it; cut out the one that is meant")
    return _fault(faces[0]) if faces[0].quality.faults else faces[0]


def _large(seen: list[Shot]) -> list[Shot]:
    sure = [shot for shot in seen if shot.found.score >= _LEAST_SCORE]
    largest = max(map(_width, sure), default=0.0)
    return [shot for shot in sure if _width(shot) >= _LEAST_OF_LARGEST * largest]


def _width(shot: Shot) -> float:
    return shot.found.box[2] - shot.found.box[0]


def _fault(shot: Shot) -> Refused:
    """The first of its faults."""
    for reason in ("cut_off", "too_small", "turned", "too_dark", "too_bright", "blurred"):
        if reason in shot.quality.faults:
            return Refused(reason, _WHY[reason])
    raise ModelFailed("a face was judged by a fault that nobody knows")


def _enrolled(shots: FaceShots, shot: Shot, vector: object, looks: int) -> Enrolled:
    """Raises: ModelFailed: a face without a vector."""
    if not isinstance(vector, np.ndarray):
        raise ModelFailed("a face that can be seen well got no vector")
    return Enrolled(
        _jpeg(shot.crop), np.asarray(vector, "<f4").tobytes(), round(shot.quality.value, 4), shots.embedder.label,
        shots.detector.label, looks,
    )  # fmt: skip


def _jpeg(crop: Picture) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(crop[:, :, ::-1])).save(sink, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return sink.getvalue()


def _limit(processor_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    stay_private()
    resource.setrlimit(resource.RLIMIT_CPU, (processor_s, processor_s))
    os.nice(10)
    cv2.setNumThreads(0)
    av.logging.set_level(av.logging.PANIC)


def _shut_in(shots: FaceShots) -> None:
    """Nothing more is opened or begun. Whatever is imported late is imported now. Raises: ModelFailed."""
    blank = np.zeros((4 * CROP_PX, 4 * CROP_PX, 3), np.uint8)
    shots.seen(0.0, blank)
    photo.read(_jpeg(blank))
    film.read(b"none")
    confine()


_READS: Final = {"picture": of_picture, "video": of_film, "crop": of_crop}


def main() -> None:
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    order = EnrolOrder.read(source.readline(_MOST_LINE_BYTES))
    if not 0 <= order.size_bytes <= MOST_BYTES[order.kind]:
        raise WorkerFailed("an order for a picture that is too large")
    _limit(_PROCESSOR_S[order.kind])
    try:
        shots = FaceShots(
            opened_detector(order.detector, order.threads, order.detect_px),
            opened_embedder(order.embedder, order.threads),
        )
        _shut_in(shots)
        sink.write(READY)
        sink.flush()
        line = answer_line(_READS[order.kind](shots, source.read(order.size_bytes)))
    except ModelError as error:
        line = failed_line(str(error))
    except MemoryError:
        line = answer_line(Refused("bomb", "it needs more memory than a picture may; send the photograph itself"))
    sink.write(line)
    sink.flush()


if __name__ == "__main__":
    main()
