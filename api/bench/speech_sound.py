"""What a second of sound costs before any words: decoding, voice detector, utterances, as a worker does it."""

from time import process_time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.bench.speech_set import scene
from models.speech.evaluate import utterances_of
from models.speech.passage import Rules
from models.speech.utterances import Utterances
from models.speech.vad import SileroDetector
from pipeline.analyse.sound import SoundDecoder
from pipeline.analyse.units import Unit
from pipeline.media import Track
from pipeline.simulate.sound import FRAME, RATE_HZ, voice
from pipeline.simulate.spoken import Aac, aac_of

_PIECE_S: Final = 0.25  # as pipeline/analyse/follower.py feeds it
_LONGEST_S: Final = 9.7
_FRAME_S: Final = FRAME / RATE_HZ
METHOD: Final = (
    "sound_core_share_per_stream: CPU time of this process (process_time, the least of {rounds} rounds) for a second of AAC-LC, "
    "64 kbit/s, 48 kHz mono: decoded, resampled to 16 kHz, voice detector and utterances, in pieces of 0.25 s, by the parts that "
    "the worker runs. The sound is what is said in the project's scene without a pause; with_pauses: the scene as it is. The "
    "socket, the fragments' heads and the models are not in it; live.worker_core_share_per_stream has all of them."
)


def sound_path(rounds: int) -> dict[str, object]:
    """The figures; the sound is encoded here before."""
    said = voice("scene")
    spoken = np.concatenate(
        [
            said[round(each.start_s * RATE_HZ) : round(each.end_s * RATE_HZ)]
            for each in utterances_of(scene(), Rules(longest_s=_LONGEST_S))
        ]
    )
    return {
        "sound_core_share_per_stream": _share(spoken, rounds),
        "sound_core_share_with_pauses": _share(said, rounds),
        "sound_s": {"without_pauses": round(spoken.size / RATE_HZ, 1), "with_pauses": round(said.size / RATE_HZ, 1)},
    }


def _share(samples: NDArray[np.float32], rounds: int) -> float:
    coded = aac_of(samples)
    return round(min(_cost_s(coded) for _ in range(rounds)) / (len(coded.frames) * _FRAME_S), 5)


def _cost_s(coded: Aac) -> float:
    track = Track(2, "audio", "mp4a.40.2", coded.config, RATE_HZ, rate_hz=RATE_HZ, channels=1)
    units = [Unit(2, number * _FRAME_S, _FRAME_S, True, data) for number, data in enumerate(coded.frames)]
    step = int(_PIECE_S / _FRAME_S) + 1
    began_s = process_time()
    decoder, stream = SoundDecoder(track), Utterances(SileroDetector(), Rules(longest_s=_LONGEST_S))
    for first in range(0, len(units), step):
        for sound in decoder.decode_all(units[first : first + step]):
            stream.feed(sound.samples, sound.start_s)
    stream.finish()
    return process_time() - began_s
