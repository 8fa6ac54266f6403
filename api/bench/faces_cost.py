"""What it costs to watch one stream's key frames: decoding, integrity, finding faces, comparing two of them. CPU time."""

import itertools
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from api.bench.analysis_pictures import bounds_of
from api.bench.analysis_pictures_coded import decoder, luma_of
from api.bench.faces_pictures import HEIGHT, WIDTH, Cutout, backdrop, on_backdrop
from models.face import quality
from models.face.align import aligned
from models.face.base import CROP_PX, FaceDetector, FaceEmbedder, Picture
from models.signal.picture_watch import PictureWatch
from models.signal.pictures import PictureMeter
from pipeline.errors import WorkerFailed

METHOD: Final = (
    "streams: one key frame a second of 1920x1080, real faces on a drawn place, coded by x264 (qp 20); CPU time of one "
    "thread for decoding it, turning it into colours, measuring and watching its integrity, finding faces at the side "
    "said, and aligning, judging and embedding two; streams_per_core is 1 s over their sum."
)
_FACES: Final = 2
_FACE_PX: Final = 90


def streams_per_core(
    detectors: dict[int, FaceDetector], embedder: FaceEmbedder, cut: Sequence[Cutout], seconds: int = 24
) -> dict[int, dict[str, object]]:
    """By the side that is searched. cut: none: nothing is found in the pictures, and two crops of noise are embedded."""
    cv2.setNumThreads(1)
    coded = _coded(_pictures(cut))
    bounds = bounds_of()
    spent = dict.fromkeys(("decode", "colours", "integrity", "embed"), 0.0)
    finding = dict.fromkeys(detectors, 0.0)
    found_faces = 0
    engine, meter, watch = decoder(), PictureMeter(), PictureWatch(bounds)
    noise = np.random.default_rng(1).integers(0, 256, (_FACES, CROP_PX, CROP_PX, 3), np.uint8)
    for second in range(seconds):
        marks = [time.process_time()]
        frames = [*engine.decode(av.Packet(coded[second % len(coded)])), *engine.decode(None)]
        engine.flush_buffers()
        marks.append(time.process_time())
        picture: Picture = np.asarray(frames[0].to_ndarray(format="bgr24"), np.uint8)
        marks.append(time.process_time())
        watch.feed(second, meter.measure(luma_of(frames[0])))
        marks.append(time.process_time())
        for side, detector in detectors.items():
            began = time.process_time()
            found = detector.detect(picture)[:_FACES]
            finding[side] += time.process_time() - began
        found_faces += len(found)
        began = time.process_time()
        crops = [aligned(picture, each.points) for each in found]
        for each, crop in zip(found, crops, strict=True):
            quality.judged(picture, each, crop)
        embedder.embed([*crops, *noise][:_FACES])
        marks_of = dict(zip(spent, (b - a for a, b in itertools.pairwise(marks)), strict=False))
        for name, each_s in marks_of.items():
            spent[name] += each_s
        spent["embed"] += time.process_time() - began
    shared = {name: round(each / seconds * 1000, 2) for name, each in spent.items()}
    return {
        side: {
            "streams_per_core": round(seconds / (sum(spent.values()) + each), 1),
            "ms": {**shared, "find": round(each / seconds * 1000, 2)},
            "faces_embedded_were_found": found_faces == _FACES * seconds,
            "key_frame_kb": round(sum(map(len, coded)) / len(coded) / 1000, 1),
        }
        for side, each in finding.items()
    }


def _pictures(cut: Sequence[Cutout]) -> list[Picture]:
    if not cut:
        return [backdrop(number % 4) for number in range(8)]
    rng = np.random.default_rng(3)
    return [
        on_backdrop([cut[int(at)] for at in rng.integers(0, len(cut), _FACES)], _FACE_PX, number).picture
        for number in range(8)
    ]


def _coded(pictures: Sequence[Picture]) -> list[bytes]:
    """Key frames that stand alone."""
    made = av.CodecContext.create("libx264", "w")
    if not isinstance(made, VideoCodecContext):
        raise WorkerFailed("libav has no encoder of H.264")
    made.width, made.height, made.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    made.time_base, made.framerate = Fraction(1, 1), Fraction(1, 1)
    made.options = {"preset": "veryfast", "tune": "zerolatency", "g": "1", "threads": "1", "qp": "20"}
    coded = []
    for number, picture in enumerate(pictures):
        frame = VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")
        frame.pts = number
        coded += [bytes(packet) for packet in made.encode(frame)]
    return [*coded, *(bytes(packet) for packet in made.encode(None))]
