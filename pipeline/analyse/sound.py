"""Sound of a stream, decoded to 16 kHz mono. libav lives here, in the worker only: a crash costs that worker.

Allowed are the codecs that the hub carries. Anything else about the sound (8 kHz, six channels, a wrong channel mask)
is the resampler's business; what cannot be decoded is silence of its length, counted.
"""

from dataclasses import dataclass
from typing import Final

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from pipeline.analyse.units import Unit
from pipeline.errors import CodecUnsupported
from pipeline.media import Track

RATE_HZ: Final = 16_000
_DECODERS: Final = {"mp4a": "aac", "opus": "opus", "flac": "flac"}
_JUMP_S: Final = 0.1
"""A unit further than this from where the last one ended begins a new run of sound."""
_LONGEST_UNIT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Sound:
    """samples: (n,) float32, 16 kHz mono, -1..1. start_s: of the first one, on the stream's axis.

    is_new_run: something lies between this and what came before.
    """

    start_s: float
    samples: NDArray[np.float32]
    is_new_run: bool = False


class SoundDecoder:
    """Of one track. broken: units that could not be decoded."""

    def __init__(self, track: Track) -> None:
        """Raises: CodecUnsupported."""
        name = _DECODERS.get(track.codec.partition(".")[0].lower())
        if name is None or track.kind != "audio":
            raise CodecUnsupported(f"{track.codec} is no sound that workers decode")
        self.broken = 0
        self._track = track
        self._name = name
        self._decoder, self._resampler = self._begun()
        self._end_s: float | None = None

    def decode_all(self, units: list[Unit]) -> list[Sound]:
        """The same in fewer pieces: one for each run of sound."""
        runs: list[list[Sound]] = []
        for unit in units:
            sound = self.decode(unit)
            if sound is None:
                continue
            if sound.is_new_run or not runs:
                runs.append([])
            runs[-1].append(sound)
        return [
            Sound(run[0].start_s, np.concatenate([each.samples for each in run]), run[0].is_new_run) for run in runs
        ]

    def decode(self, unit: Unit) -> Sound | None:
        """What is to be heard in `unit`; None: nothing yet."""
        is_new_run = self._end_s is None or abs(unit.pts_s - self._end_s) > _JUMP_S
        if is_new_run:
            self._decoder, self._resampler = self._begun()
            self._end_s = unit.pts_s
        try:
            frames = [
                resampled
                for frame in self._decoder.decode(av.Packet(unit.data))
                for resampled in self._resampler.resample(frame)
            ]
            samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]) if frames else _none(0.0)
        except (av.error.FFmpegError, ValueError, MemoryError):
            self.broken += 1
            self._decoder, self._resampler = self._begun()
            samples = _none(min(unit.duration_s, _LONGEST_UNIT_S))
        start_s = self._end_s if self._end_s is not None else unit.pts_s
        self._end_s = start_s + len(samples) / RATE_HZ
        if not is_new_run and abs(self._end_s - (unit.pts_s + unit.duration_s)) > _JUMP_S:
            self._end_s = unit.pts_s + unit.duration_s  # a decoder that lags is put right
        return Sound(start_s, samples, is_new_run) if len(samples) or is_new_run else None

    def _begun(self) -> tuple[AudioCodecContext, AudioResampler]:
        decoder = av.CodecContext.create(self._name, "r")
        if not isinstance(decoder, AudioCodecContext):
            raise CodecUnsupported(f"libav has no decoder for {self._name}")
        decoder.extradata = _extradata(self._track)
        decoder.sample_rate = self._track.rate_hz or 48_000
        decoder.thread_count = 1
        return decoder, AudioResampler(format="flt", layout="mono", rate=RATE_HZ)


def _none(length_s: float) -> NDArray[np.float32]:
    return np.zeros(round(length_s * RATE_HZ), np.float32)


def _extradata(track: Track) -> bytes:
    """The decoder configuration in the form libav takes. Source: RFC 7845, 5.1 against Opus in ISOBMFF, 4.3.2."""
    if track.codec == "opus":
        body = track.config  # version, channels, pre-skip, rate, gain: big-endian in MP4, little-endian in Ogg
        return b"OpusHead\x01" + body[1:2] + body[2:4][::-1] + body[4:8][::-1] + body[8:10][::-1] + body[10:]
    return track.config
