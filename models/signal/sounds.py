"""Sound as rows of numbers, one each half second of the stream's axis: what a watch judges, now or years later.

Nothing of what is said can be got back from a row. A row knows the 0.1 s before it and nothing else, so that it does
not matter in which pieces the sound came.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

RATE_HZ: Final = 16_000
ROW_S: Final = 0.5
QUIET_DB: Final = -120.0
"""What is told for no power at all."""

_ROW: Final = 8_000
_BLOCK: Final = 80  # 5 ms: shorter than the attack of a voice, longer than a period of it
_BEFORE: Final = 20  # blocks of the row before that a row knows
_FRAME: Final = 1_000  # 62.5 ms, lines of 16 Hz: two periods of the lowest voice
_HOP: Final = 500
_JUMP_S: Final = 0.1
"""As pipeline/analyse/sound.py: what lies further off than this does not follow."""
_ZERO: Final = 6e-5
"""Two steps of 16 bits: no microphone is that quiet, a sample of a muted one is."""
_LARGEST: Final = 4.0
"""Decoders overshoot full scale, by less than this."""

Samples: TypeAlias = NDArray[np.float32]
_Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SoundRow:
    """Half a second of sound. Levels in dB of full scale (a full sine is -3), shares 0..1.

    at_s: of its beginning, a multiple of ROW_S. peak: largest sample. flat: share of samples over 0.85 of the size
    that 1 % exceed: 2 to 3 % in noise and talk, more where tops are cut off. zero: share of blocks of 5 ms that are
    digitally silent. drops: how often sound broke off into digital silence while it was loud. edge_db: where silence
    began last, the loudest of the 30 ms before it over what was 0.1 s before: far below 0 where sound faded.

    low_db: below 300 Hz; middle_db: to 1 kHz; upper_db: to 4 kHz; high_db: above. floor_db: of 300 to 4,000 Hz in the
    quietest fifth of the frames; wobble_db: standard deviation of that level. voiced: share of frames with a pitch.
    harmonic: how periodic frames are, mean. pitch_hz: median. voice_db, tilt_db: of voiced frames, their level, and
    1 to 4 kHz over what lies below.

    burst_db: the loudest block. rise_db: how far it is over the tenth of a second before it. fall_db: how far the row's
    last twentieth of a second is under it. burst_low, burst_high: shares of its power below 250 Hz and above 2 kHz.
    burst_even: how evenly its power lies over the octaves, 0..1.

    tonal: share of frames in which one tone of 400 Hz to 5 kHz holds most of the power. tone_hz: its median;
    tone_low_hz, tone_high_hz: least and most; tone_step, tone_fade_db: octaves and decibels from frame to frame,
    medians. Where nothing is voiced or tonal, those are 0 and levels QUIET_DB.
    """

    at_s: float
    level_db: float
    peak: float
    flat: float
    zero: float
    drops: float
    edge_db: float
    low_db: float
    middle_db: float
    upper_db: float
    high_db: float
    floor_db: float
    wobble_db: float
    voiced: float
    harmonic: float
    pitch_hz: float
    voice_db: float
    tilt_db: float
    burst_db: float
    rise_db: float
    fall_db: float
    burst_low: float
    burst_high: float
    burst_even: float
    tonal: float
    tone_hz: float
    tone_low_hz: float
    tone_high_hz: float
    tone_step: float
    tone_fade_db: float

    def values(self) -> tuple[float, ...]:
        """All of it, in the order of the fields."""
        return astuple(self)

    @classmethod
    def from_values(cls, values: Iterable[float]) -> "SoundRow":
        """What `values` gave. Raises: TypeError: too few or too many numbers."""
        return cls(*values)


class SoundMeter:
    """Rows of one stream. A row is whole or is not told: what a gap cuts off, under half a second, is not judged."""

    def __init__(self) -> None:
        self._pieces: list[Samples] = []
        self._held = 0
        self._next: int | None = None
        self._before: Samples | None = None

    def feed(self, start_s: float, samples: Samples) -> list[SoundRow]:
        """Rows that are whole by now. samples: (n,) mono, 16 kHz; start_s: of the first, on the stream's axis.

        What does not follow within 0.1 s begins anew, as after `gap`. Samples that are no numbers count as silence.
        """
        if not len(samples):
            return []
        start = round(start_s * RATE_HZ)
        if self._next is not None and abs(start - self._next) > _JUMP_S * RATE_HZ:
            self.gap(start_s)
        if self._next is None:
            self._next = start
        first = self._next
        self._next = first + len(samples)
        if not self._held:
            skipped = -first % _ROW if self._before is None else 0
            samples = samples[skipped:]
            if not len(samples):
                return []
        self._pieces.append(samples)
        self._held += len(samples)
        return self._rows()

    def gap(self, at_s: float) -> None:
        """What comes next, from at_s on, does not follow."""
        del at_s
        self._pieces, self._held, self._next, self._before = [], 0, None, None

    def _rows(self) -> list[SoundRow]:
        if self._held < _ROW or self._next is None:
            return []
        sound = np.concatenate(self._pieces) if len(self._pieces) > 1 else self._pieces[0]
        begin = self._next - len(sound)
        rows = []
        for first in range(0, len(sound) - _ROW + 1, _ROW):
            row = np.nan_to_num(sound[first : first + _ROW], nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
            row = row.clip(-_LARGEST, _LARGEST)
            rows.append(_row((begin + first) / RATE_HZ, row, self._before))
            self._before = row[-_BEFORE * _BLOCK :]
        rest = sound[len(rows) * _ROW :]
        self._pieces, self._held = ([rest] if len(rest) else []), len(rest)
        return rows


_HANN: Final = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
_STARTS: Final = np.arange(0, _ROW - _FRAME + 1, _HOP)
_INDEX: Final = _STARTS[:, None] + np.arange(_FRAME)[None, :]
_LINE_HZ: Final = RATE_HZ / _FRAME
_POWER: Final = 2.0 / (float(np.square(_HANN).sum()) * _FRAME)
"""Makes a line of a frame's spectrum the power of the samples that it stands for."""
_FIRST_LAG: Final = 30
_LAGS: Final = slice(_FIRST_LAG, 200)
"""Pitches from 80 to 533 Hz."""


def _line(hertz: float) -> int:
    return round(hertz / _LINE_HZ)


_AT_80, _AT_300, _AT_400, _AT_1K, _AT_1K5, _AT_4K, _AT_5K = (
    _line(hertz) for hertz in (80, 300, 400, 1_000, 1_500, 4_000, 5_000)
)
_EDGES: Final = np.array([1, _AT_300, _AT_1K, _AT_4K])
_VOICED: Final = 0.35
_TOP: Final = 0.85
_VOICE_UNDER_DB: Final = 20.0
_TONAL: Final = 0.6
_WIDE: Final = 4  # lines on each side: a siren that glides 2 kHz a second is as wide in one frame


def _db(power: NDArray[np.floating]) -> _Floats:
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)), np.float32)


def _row(at_s: float, row: Samples, before: Samples | None) -> SoundRow:
    """row: (_ROW,), finite. before: the (_BEFORE * _BLOCK,) samples before it; None: they are not known."""
    size = np.abs(row)
    peak = float(size.max())
    spectra = np.square(np.abs(np.fft.rfft(row[_INDEX] * _HANN, axis=1))) * np.float32(_POWER)
    bands = _db(np.add.reduceat(spectra.mean(axis=0), _EDGES))
    frames_db = _db(spectra[:, _AT_300:_AT_4K].sum(axis=1))
    return SoundRow(
        at_s,
        *(
            round(float(value), 3)
            for value in (
                _db(np.square(row).mean()),
                peak,
                (size >= _TOP * np.partition(size, -_ROW // 100)[-_ROW // 100]).mean() if peak > _ZERO else 0.0,
                *_silence(size, before),
                *bands,
                np.sort(frames_db)[: len(frames_db) // 5].mean(),
                frames_db.std(),
                *_voice(spectra, frames_db),
                *_burst(row, before),
                *_tone(spectra),
            )
        ),
    )


_DROP_BLOCKS: Final = 2
_LOUD_OVER_DB: Final = -12.0
_LEAST_LOUD_DB: Final = -60.0


def _silence(size: Samples, before: Samples | None) -> tuple[float, float, float]:
    """zero, drops, edge_db. A drop: two silent blocks, and before them sound about as loud as the loud part is."""
    zero = float((size.reshape(-1, _BLOCK).max(axis=1) < _ZERO).mean())
    if not zero:
        return 0.0, 0.0, QUIET_DB
    blocks = (np.concatenate([np.abs(before), size]) if before is not None else size).reshape(-1, _BLOCK)
    levels, silent = _db(np.square(blocks).mean(axis=1)), blocks.max(axis=1) < _ZERO
    begins = np.flatnonzero(silent[1:-1] & silent[2:] & ~silent[:-2]) + 1
    if before is not None:
        begins = begins[begins >= _BEFORE - 1]
    if not len(begins):
        return zero, 0.0, QUIET_DB
    loud_db = float(np.percentile(levels[~silent], 75))
    just_before = [float(levels[max(begin - 6, 0) : begin].max()) for begin in begins]
    drops = sum(level > loud_db + _LOUD_OVER_DB for level in just_before) if loud_db >= _LEAST_LOUD_DB else 0
    earlier = levels[max(begins[-1] - 20, 0) : max(begins[-1] - 8, 0)]
    return zero, float(drops), just_before[-1] - float(np.median(earlier)) if len(earlier) else QUIET_DB


def _voice(spectra: _Floats, frames_db: _Floats) -> tuple[float, float, float, float, float]:
    """voiced, harmonic, pitch_hz, voice_db, tilt_db.

    Source: Tolonen and Karjalainen 2000, 10.1109/89.876309: autocorrelation of a compressed spectrum, so that no
    formant hides the pitch.
    """
    pressed = np.sqrt(spectra)
    pressed[:, :_AT_80] = 0
    pressed[:, _AT_1K5:] = 0
    alike = np.fft.irfft(pressed, axis=1)
    lags = alike[:, _LAGS] / np.maximum(alike[:, :1], np.float32(1e-12))
    at = lags.argmax(axis=1)
    periodic = lags[np.arange(len(at)), at]
    is_voiced = (periodic > _VOICED) & (frames_db > max(float(frames_db.max()) - _VOICE_UNDER_DB, -75.0))
    harmonic = float(periodic.mean())
    if not is_voiced.any():
        return 0.0, harmonic, 0.0, QUIET_DB, 0.0
    below = float(spectra[is_voiced, _AT_80:_AT_1K].sum(axis=1).mean())
    above = float(spectra[is_voiced, _AT_1K:_AT_4K].sum(axis=1).mean())
    pitch_hz = RATE_HZ / (float(np.median(at[is_voiced])) + _FIRST_LAG)
    level, tilt = _db(np.array([below + above, above / max(below, 1e-12)]))
    return float(is_voiced.mean()), harmonic, pitch_hz, float(level), float(tilt)


_OCTAVES: Final = np.array([1, 8, 16, 32, 64, 128])
"""Lines of a spectrum of 512 samples: what lies below 250 Hz, then octaves."""
_HANN_512: Final = np.hanning(512).astype(np.float32)


def _burst(row: Samples, before: Samples | None) -> tuple[float, ...]:
    """burst_db, rise_db, fall_db, burst_low, burst_high, burst_even."""
    known = np.concatenate([before, row]) if before is not None else row
    power = np.square(known).reshape(-1, _BLOCK).mean(axis=1)
    levels = _db(power)
    first = len(levels) - _ROW // _BLOCK
    at = first + int(levels[first:].argmax())
    earlier = power[max(at - _BEFORE, 0) : max(at - 3, 0)]
    rise_db = float(levels[at] - _db(earlier.mean())) if len(earlier) >= 4 else 0.0
    fall_db = float(levels[at] - _db(power[-10:].mean()))
    begin = min(max((at - 1) * _BLOCK, 0), len(known) - 512)
    octaves = np.add.reduceat(np.square(np.abs(np.fft.rfft(known[begin : begin + 512] * _HANN_512))), _OCTAVES)
    shares = octaves / max(float(octaves.sum()), 1e-12)
    even = float(-(shares * np.log(np.maximum(shares, 1e-9))).sum() / np.log(len(shares)))
    return float(levels[at]), rise_db, fall_db, float(shares[0]), float(shares[-2:].sum()), even


def _tone(spectra: _Floats) -> tuple[float, ...]:
    """tonal, tone_hz, tone_low_hz, tone_high_hz, tone_step, tone_fade_db."""
    band = spectra[:, _AT_400:_AT_5K]
    at = band.argmax(axis=1) + _AT_400
    each = np.arange(len(at))
    around = spectra[each[:, None], at[:, None] + np.arange(-_WIDE, _WIDE + 1)]
    total = spectra[:, _line(200) :].sum(axis=1)
    is_tonal = (around.sum(axis=1) > _TONAL * total) & (total > 1e-8)
    if not is_tonal.any():
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    left, middle, right = (
        np.log(np.maximum(around[is_tonal, number], 1e-20)) for number in (_WIDE - 1, _WIDE, _WIDE + 1)
    )
    bend = left - 2 * middle + right
    beside = (0.5 * (left - right) / np.where(bend < -1e-6, bend, -1.0)).clip(-0.5, 0.5)
    hertz = (at[is_tonal] + beside) * _LINE_HZ
    follows = np.diff(each[is_tonal]) == 1
    steps = np.abs(np.diff(np.log2(hertz)))[follows]
    fades = np.abs(np.diff(_db(around[is_tonal].sum(axis=1))))[follows]
    return (
        float(is_tonal.mean()),
        float(np.median(hertz)),
        float(hertz.min()),
        float(hertz.max()),
        float(np.median(steps)) if len(steps) else 0.0,
        float(np.median(fades)) if len(fades) else 0.0,
    )
