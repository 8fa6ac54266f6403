"""Sound as rows of numbers, one each half second of the stream's axis: what a watch judges, now or years later.

Nothing of what is said can be got back from a row. A row knows the 0.2 s before it and nothing else, so that it does
not matter in which pieces the sound came.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

RATE_HZ: Final = 16_000
ROW_S: Final = 0.5
QUIET_DB: Final = -120.0
"""What is told for no power at all."""

_ROW: Final = 8_000
_BLOCK: Final = 80  # 5 ms: shorter than the attack of a voice, longer than a period of it
_BEFORE: Final = 40  # blocks of the row before that a row knows
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
    harmonic: how periodic frames are, mean. pitch_hz: median. voice_db: level of voiced frames, up to 4 kHz; tilt_db:
    how far 1.4 to 4 kHz is over the mean, in decibels, of all of that and of what lies below 250 Hz.

    burst_db: level above 2 kHz in the sharpest moment, from 0.1 s before the row to 0.1 s before its end. rise_db,
    fall_db: how far it is over all of the tenth of a second before it, and over what is left 55 to 100 ms later.
    burst_middle_db, burst_top_db: from 500 Hz to 2 kHz and above 4 kHz, there. burst_harmonic: how periodic it is.

    tonal: share of frames in which one tone of 400 Hz to 5 kHz holds most of the power. tone_hz: its median;
    tone_low_hz, tone_high_hz: least and most; tone_step, tone_fade_db: octaves and decibels from frame to frame,
    medians. tone_same, tone_same_hz: share of frames with the tone that most of them have, and which.
    Where nothing is voiced or tonal, those are 0 and levels QUIET_DB.
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
    burst_middle_db: float
    burst_top_db: float
    burst_harmonic: float
    tonal: float
    tone_hz: float
    tone_low_hz: float
    tone_high_hz: float
    tone_step: float
    tone_fade_db: float
    tone_same: float
    tone_same_hz: float

    def values(self) -> tuple[float, ...]:
        """All of it, in the order of the fields."""
        return astuple(self)

    @staticmethod
    def names() -> tuple[str, ...]:
        return tuple(each.name for each in fields(SoundRow))

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


_AT_80, _AT_250, _AT_300, _AT_400, _AT_1K, _AT_1K4, _AT_1K5, _AT_4K, _AT_5K = (
    _line(hertz) for hertz in (80, 250, 300, 400, 1_000, 1_400, 1_500, 4_000, 5_000)
)
_EDGES: Final = np.array([1, _AT_300, _AT_1K, _AT_4K])
_VOICED: Final = 0.35
_TOP: Final = 0.85
_VOICE_UNDER_DB: Final = 20.0
_TONAL: Final = 0.6
_SAME: Final = 0.012  # a fifth of a semitone
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
                *_silence(size, before[-_BEFORE_SILENCE * _BLOCK :] if before is not None else None),
                *bands,
                np.sort(frames_db)[: len(frames_db) // 5].mean(),
                frames_db.std(),
                *_voice(spectra, frames_db),
                *_burst(np.concatenate([before, row]) if before is not None else row),
                *_tone(spectra),
            )
        ),
    )


_BEFORE_SILENCE: Final = 20
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
        begins = begins[begins >= _BEFORE_SILENCE - 1]
    if not len(begins):
        return zero, 0.0, QUIET_DB
    loud_db = float(np.percentile(levels[~silent], 75))
    just_before = [float(levels[max(begin - 6, 0) : begin].max()) for begin in begins]
    drops = sum(level > loud_db + _LOUD_OVER_DB for level in just_before) if loud_db >= _LEAST_LOUD_DB else 0
    earlier = levels[max(begins[-1] - 20, 0) : max(begins[-1] - 8, 0)]
    return zero, float(drops), just_before[-1] - float(np.median(earlier)) if len(earlier) else QUIET_DB


def _periodic(spectra: _Floats) -> tuple[NDArray[np.intp], _Floats]:
    """Of each frame: the lag of its pitch, from _FIRST_LAG on, and how periodic it is.

    Source: Tolonen and Karjalainen 2000, 10.1109/89.876309: autocorrelation of a compressed spectrum, so that no
    formant hides the pitch.
    """
    pressed = np.sqrt(spectra)
    pressed[:, :_AT_80] = 0
    pressed[:, _AT_1K5:] = 0
    alike = np.fft.irfft(pressed, axis=1)
    lags = alike[:, _LAGS] / np.maximum(alike[:, :1], np.float32(1e-12))
    at = lags.argmax(axis=1)
    return at, lags[np.arange(len(at)), at]


def _voice(spectra: _Floats, frames_db: _Floats) -> tuple[float, float, float, float, float]:
    """voiced, harmonic, pitch_hz, voice_db, tilt_db."""
    at, periodic = _periodic(spectra)
    is_voiced = (periodic > _VOICED) & (frames_db > max(float(frames_db.max()) - _VOICE_UNDER_DB, -75.0))
    harmonic = float(periodic.mean())
    if not is_voiced.any():
        return 0.0, harmonic, 0.0, QUIET_DB, 0.0
    heard = spectra[is_voiced].mean(axis=0)
    low, high, all_of_it = _db(
        np.array([heard[_AT_80:_AT_250].sum(), heard[_AT_1K4:_AT_4K].sum(), heard[_AT_80:_AT_4K].sum()])
    )
    pitch_hz = RATE_HZ / (float(np.median(at[is_voiced])) + _FIRST_LAG)
    return float(is_voiced.mean()), harmonic, pitch_hz, float(all_of_it), float(high - (low + all_of_it) / 2)


_SHORT: Final = 256  # 16 ms, lines of 62.5 Hz
_HANN_SHORT: Final = np.hanning(_SHORT + 1)[:-1].astype(np.float32)
_SHORT_POWER: Final = 2.0 / (float(np.square(_HANN_SHORT).sum()) * _SHORT)
_SHORT_EDGES: Final = np.array([8, 32, 64, 128])
"""Lines of 500 Hz, 2, 4 and 8 kHz: knocks on the microphone and wind lie below."""
_EARLIER: Final = 16  # blocks
_LATER: Final = 18
_FAINT_DB: Final = -70.0
"""What was fainter counts as that: behind a device that mutes, all rises."""


def _burst(known: Samples) -> tuple[float, ...]:
    """burst_db, rise_db, fall_db, burst_middle_db, burst_top_db, burst_harmonic. known: what was before, the row."""
    frames = np.lib.stride_tricks.sliding_window_view(known, _SHORT)[::_BLOCK]
    spectra = np.square(np.abs(np.fft.rfft(frames * _HANN_SHORT, axis=1))) * np.float32(_SHORT_POWER)
    middle, upper, top, _ = np.add.reduceat(spectra, _SHORT_EDGES, axis=1).T
    sharp, levels = upper + top, _db(upper + top)
    at = np.arange(_EARLIER + 4, len(levels) - _LATER + 1)
    before = np.lib.stride_tricks.sliding_window_view(levels, _EARLIER)[at - _EARLIER - 3].max(axis=1)
    rises = levels[at] - np.maximum(before, _FAINT_DB)
    sharpest = int((levels[at] + rises).argmax())
    block = int(at[sharpest])
    fall_db = levels[block] - _db(sharp[block + 11 : block + _LATER].mean())
    begin = block * _BLOCK + 2 * _BLOCK
    _, periodic = _periodic(np.square(np.abs(np.fft.rfft(known[None, begin : begin + _FRAME] * _HANN, axis=1))))
    return (
        float(levels[block]),
        float(rises[sharpest]),
        float(fall_db),
        float(_db(middle[block - 1 : block + 2].max())),
        float(_db(top[block])),
        float(periodic[0]),
    )


def _tone(spectra: _Floats) -> tuple[float, ...]:
    """tonal, tone_hz, tone_low_hz, tone_high_hz, tone_step, tone_fade_db, tone_same, tone_same_hz."""
    band = spectra[:, _AT_400:_AT_5K]
    at = band.argmax(axis=1) + _AT_400
    each = np.arange(len(at))
    around = spectra[each[:, None], at[:, None] + np.arange(-_WIDE, _WIDE + 1)]
    total = spectra[:, _line(200) :].sum(axis=1)
    is_tonal = (around.sum(axis=1) > _TONAL * total) & (total > 1e-8)
    if not is_tonal.any():
        return (0.0,) * 8
    left, middle, right = (
        np.log(np.maximum(around[is_tonal, number], 1e-20)) for number in (_WIDE - 1, _WIDE, _WIDE + 1)
    )
    bend = left - 2 * middle + right
    beside = (0.5 * (left - right) / np.where(bend < -1e-6, bend, -1.0)).clip(-0.5, 0.5)
    hertz = (at[is_tonal] + beside) * _LINE_HZ
    near = np.abs(np.log(hertz[:, None] / hertz)) < _SAME
    same = near[near.sum(axis=1).argmax()]
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
        float(same.sum() / len(at)),
        float(np.median(hertz[same])),
    )
