"""Faces for tests without weights: a picture's colours say who is in it, and a vector is made of that."""

from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from models.face.base import Found, Picture, Quality, Shot
from pipeline.analyse.units import Unit
from pipeline.errors import ModelFailed
from pipeline.media import VIDEO_TRACK, Track

SIZE = 128
WIDTH, HEIGHT = 320, 180
NOBODY = 16
"""Brightness of a picture with no face; others are persons."""


def vector_of(person: int) -> NDArray[np.float32]:
    made = np.random.default_rng(person).standard_normal(SIZE)
    return np.asarray(made / np.linalg.norm(made), np.float32)


@dataclass
class MadeModel:
    """A detector or an embedder, as far as its label goes."""

    label: str


@dataclass
class MadeShots:
    """Sees the person that a picture's brightness stands for. looked: moments. refuses: the models broke."""

    looked: list[float] = field(default_factory=list)
    refuses: bool = False
    detector: MadeModel = field(default_factory=lambda: MadeModel("finds@1"))
    embedder: MadeModel = field(default_factory=lambda: MadeModel("made@1"))

    def seen(self, at_s: float, picture: Picture) -> list[Shot]:
        if self.refuses:
            raise ModelFailed("the models broke")
        self.looked.append(at_s)
        person = round(float(picture.mean()))
        if abs(person - NOBODY) < 8:
            return []
        found = Found((100.0, 40.0, 180.0, 140.0), np.zeros((5, 2), np.float32), 0.9)
        quality = Quality(60.0, 200.0, 0.1, 128.0, 40.0, min(1.0, 0.5 + at_s / 100), ())
        crop = np.full((112, 112, 3), person, np.uint8)
        return [Shot(at_s, found, crop, quality, vector_of(8 * round(person / 8)))]


def media(shades: list[int], rate: int = 10, group: int = 10) -> tuple[Track, list[Unit]]:
    """A picture of one shade each, in groups of this many."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, "yuv420p", Fraction(1, rate)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(group), "sc_threshold": "0"}
    encoder.flags |= 1 << 22  # the parameter sets into extradata, as in MP4
    units = []
    for number, shade in enumerate(shades):
        picture = np.full((HEIGHT, WIDTH, 3), shade, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, rate)
        units += [
            Unit(VIDEO_TRACK, number / rate, 1 / rate, packet.is_keyframe, bytes(packet))
            for packet in encoder.encode(frame)
        ]
    track = Track(
        VIDEO_TRACK, "video", "avc1.42c01e", bytes(encoder.extradata or b""), 90_000, width=WIDTH, height=HEIGHT
    )
    return track, units
