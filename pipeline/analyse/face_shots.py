"""Pictures to shots of faces: found, aligned, judged, and embedded where that is worth it. Plain code over two models.

Nothing of a face leaves this process from here; a vector says how alike two faces look to one model, and nothing else.
"""

from dataclasses import replace
from typing import Final

from models.face.align import aligned
from models.face.base import FaceDetector, FaceEmbedder, Picture, Shot
from models.face.quality import judged
from pipeline.errors import ModelFailed

MOST_FACES: Final = 16
"""Of one picture, the surest: each costs an embedding, and a crowd behind a scene is nobody's business."""


class FaceShots:
    """Not thread-safe: one thread at a time."""

    def __init__(self, detector: FaceDetector, embedder: FaceEmbedder) -> None:
        self.detector = detector
        self.embedder = embedder

    def seen(self, at_s: float, picture: Picture) -> list[Shot]:
        """The faces of a picture, the surest first. Those with a fault get no vector.

        Raises: ModelFailed.
        """
        shots = self.found(at_s, picture)
        good = [place for place, shot in enumerate(shots) if not shot.quality.faults]
        vectors = self.embedder.embed([shots[place].crop for place in good])
        for place, vector in zip(good, vectors, strict=True):
            shots[place] = replace(shots[place], vector=vector)
        return shots

    def found(self, at_s: float, picture: Picture) -> list[Shot]:
        """As `seen`, without vectors. Raises: ModelFailed."""
        shots = []
        for found in self.detector.detect(picture)[:MOST_FACES]:
            try:
                crop = aligned(picture, found.points)
            except ModelFailed:
                continue  # its eyes and mouth lie in one place: no face
            shots.append(Shot(at_s, found, crop, judged(picture, found, crop), None))
        return shots
