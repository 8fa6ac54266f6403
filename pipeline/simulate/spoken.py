"""What was said, as AAC, alone and over pictures that mean nothing: for load on what hears. Encoded in this process."""

import io
from dataclasses import dataclass, replace
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from pipeline.errors import WorkerFailed
from pipeline.simulate.sound import FRAME, RATE_HZ
from pipeline.simulate.synthetic import LOOP_S, AccessUnit, SyntheticStream, synthetic_stream

_BITS_PER_S: Final = 64_000
_LOOP_FRAMES: Final = LOOP_S * RATE_HZ // FRAME


@dataclass(frozen=True, slots=True)
class Aac:
    """config: AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1). frames: FRAME samples each; the first is delay."""

    config: bytes
    frames: tuple[bytes, ...]


def aac_of(samples: NDArray[np.float32]) -> Aac:
    """samples: (n,) float32, -1..1, 48 kHz mono; what is over at the end and fills no frame is left out.

    Raises: WorkerFailed: libav has no such encoder.
    """
    frames: list[bytes] = []
    with av.open(io.BytesIO(), "w", format="adts") as box:
        stream = box.add_stream("aac", rate=RATE_HZ, layout="mono")
        if not isinstance(stream, AudioStream):
            raise WorkerFailed("libav gave another kind of stream")
        stream.bit_rate = _BITS_PER_S
        heard = av.AudioFrame("fltp", "mono", FRAME)
        heard.rate = RATE_HZ
        for first in range(0, samples.size - FRAME + 1, FRAME):
            heard.planes[0].update(samples[first : first + FRAME].tobytes())
            heard.pts = first
            frames += [bytes(packet) for packet in stream.encode(heard)]
        frames += [bytes(packet) for packet in stream.encode(None)]
        config = bytes(stream.codec_context.extradata or b"")
    return Aac(config, tuple(frames))


def spoken_stream(samples: NDArray[np.float32], bits_per_s: int) -> SyntheticStream:
    """The sound over synthetic pictures of this bit rate, with silence up to the next whole LOOP_S.

    samples: as `aac_of`.
    """
    loops = -(-samples.size // (LOOP_S * RATE_HZ))
    said = aac_of(np.pad(samples, (0, loops * LOOP_S * RATE_HZ - samples.size)))
    silent = synthetic_stream(bits_per_s)
    pictures = [
        replace(unit, time_ms=unit.time_ms + loop * silent.duration_ms)
        for loop in range(loops)
        for unit in silent.access_units
        if unit.is_video
    ]
    sounds = [
        AccessUnit(False, False, round(number * FRAME * 1000 / RATE_HZ), data)
        for number, data in enumerate(said.frames[: loops * _LOOP_FRAMES])
    ]
    units = sorted([*pictures, *sounds], key=lambda unit: (unit.time_ms, not unit.is_video))
    return SyntheticStream(silent.avcc, said.config, loops * silent.duration_ms, tuple(units))
