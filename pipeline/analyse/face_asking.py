"""When a track of a face is worth a question to the server, and what is asked. Plain code; times are the stream's.

A track is asked about once it was seen well, again when it is better known, and at its end. Its best shot goes with
each question until somebody is suggested: the server forgets what it does not suggest.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from models.face.base import Picture
from models.face.tracks import Track
from pipeline.analyse.board import Work
from pipeline.analyse.probing import Probe

_EVERY_S: Final = 1.0
_SETTLED_EVERY_S: Final = 5.0
"""Once somebody was suggested: what follows only makes the best shot better."""
_JPEG_QUALITY: Final = 92


@dataclass(slots=True)
class _Told:
    at_s: float
    revision: int
    shot_at_s: float
    is_suggested: bool = False


class Asking:
    """Of one lease. Bound: an entry a track that is not over."""

    def __init__(self, work: Work, model: str, detector: str) -> None:
        """model, detector: labels."""
        self._work = work
        self._model = model
        self._detector = detector
        self._told: dict[int, _Told] = {}

    def due(self, track: Track) -> Probe | None:
        """What is to be asked about this track now; None: nothing new, or not yet. One that is over is forgotten."""
        told = self._told.get(track.track_id)
        if track.is_over:
            self._told.pop(track.track_id, None)
        if track.is_blank or (told is not None and track.revision == told.revision):
            return None
        every_s = _SETTLED_EVERY_S if told is not None and told.is_suggested else _EVERY_S
        if told is not None and not track.is_over and track.end_s - told.at_s < every_s:
            return None
        best = track.best
        is_kept = told is not None and told.is_suggested and best.at_s == told.shot_at_s
        if not track.is_over:
            is_suggested = told is not None and told.is_suggested
            self._told[track.track_id] = _Told(track.end_s, track.revision, best.at_s, is_suggested)
        return Probe(
            self._work.stream_id, self._work.recording_id, self._work.work_id, track.track_id, told is None,
            track.start_s, best.at_s, track.looks, self._model, self._detector, best.quality.value,
            np.asarray(track.template(), "<f4").tobytes(), b"" if is_kept else jpeg(best.crop),
        )  # fmt: skip

    def suggested(self, track_id: int) -> None:
        """The server made a suggestion of it."""
        if (told := self._told.get(track_id)) is not None:
            told.is_suggested = True

    def not_taken(self, track_id: int) -> None:
        """The server did not hear of it: everything is to be told again."""
        self._told.pop(track_id, None)


def jpeg(crop: Picture) -> bytes:
    """The crop as a file; empty where it cannot be written."""
    is_written, raw = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return raw.tobytes() if is_written else b""
