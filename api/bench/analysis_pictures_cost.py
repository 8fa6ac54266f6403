"""What it costs to judge one stream's pictures: CPU time of decoding a key frame a second, measuring and watching."""

import time
from collections.abc import Iterator
from dataclasses import replace

import av
import cv2
import numpy as np

from api.bench.analysis_pictures import bounds_of
from api.bench.analysis_pictures_coded import Luma, decoder, luma_of, stream
from api.bench.analysis_pictures_scenes import Footage
from models.signal.flow_watch import FlowWatch
from models.signal.picture_watch import PictureWatch
from models.signal.pictures import PictureMeter


def run(seconds: int = 40, width: int = 1920, height: int = 1080) -> dict[str, object]:
    """CPU time of one stream's key frames, one a second: decoded by one thread, measured, judged; with 24 other units each."""
    bounds = bounds_of()
    footage = Footage("shop", 12)
    rng = np.random.default_rng(1)

    def pictures() -> Iterator[Luma]:
        for number in range(12):
            large = cv2.resize(footage.picture(number), (width, height), interpolation=cv2.INTER_CUBIC)
            noise = rng.normal(0, 2.5, (height, width))  # fine detail that the drawing lacks at this size
            yield np.clip(large + noise, 16, 235).astype(np.uint8)

    coded = [replace(unit, is_key=True) for unit in stream(pictures(), 1, 1_000_000, 1, {"qp": "24"})]
    engine, meter, watch, flow = decoder(), PictureMeter(), PictureWatch(bounds), FlowWatch(bounds)
    spent = {"decode": 0.0, "measure": 0.0, "watch": 0.0}
    for second in range(seconds):
        unit = coded[second % len(coded)]
        began = time.process_time()
        packet = av.Packet(unit.payload)
        frames = [*engine.decode(packet), *engine.decode(None)]
        engine.flush_buffers()
        decoded = time.process_time()
        row = meter.measure(luma_of(frames[0]))
        measured = time.process_time()
        watch.feed(second, row)
        for number in range(25):
            flow.feed(second + number / 25, unit.size_bytes if not number else 8_000, number == 0, True)
        spent["decode"] += decoded - began
        spent["measure"] += measured - decoded
        spent["watch"] += time.process_time() - measured
    whole = sum(spent.values()) / seconds
    return {
        "streams_per_core": round(1 / whole, 1), "picture": f"{width}x{height}",
        "key_frame_kb": round(sum(unit.size_bytes for unit in coded) / len(coded) / 1000, 1),
        "ms": {name: round(each / seconds * 1000, 2) for name, each in spent.items()},
    }  # fmt: skip
