"""What the bench of sounds makes: a raised voice as its text says, and each piece by its number alone."""

import numpy as np
import pytest

from api.bench.analysis_sounds import Scale, made, run
from api.bench.analysis_sounds_events import EVENTS, formants_moved, raised
from api.bench.analysis_sounds_places import RATE_HZ, Voices, Waves
from models.signal.sounds import SoundMeter

_AT = np.arange(2 * RATE_HZ) / RATE_HZ


def _vowel(pitch_hz: float, formant_hz: float) -> Waves:
    parts = [
        np.sin(2 * np.pi * k * pitch_hz * _AT + k * k) / (1 + ((k * pitch_hz - formant_hz) / 150) ** 2)
        for k in range(1, int(5_000 / pitch_hz))
    ]
    return np.asarray(sum(parts), np.float32) / np.float32(10)


def _loudest_hz(sound: Waves) -> float:
    """The middle of its power."""
    power = np.square(np.abs(np.fft.rfft(sound)))
    return float((power * np.fft.rfftfreq(len(sound), 1 / RATE_HZ)).sum() / power.sum())


def _pitch_hz(sound: Waves) -> float:
    return float(np.median([row.pitch_hz for row in SoundMeter().feed(0.0, sound) if row.voiced > 0.5]))


@pytest.mark.parametrize("by", [0.75, 0.9])
def test_formants_are_moved_and_the_pitch_stays(by: float) -> None:
    sound = _vowel(130, 1_500)
    moved = formants_moved(sound, by)
    assert _loudest_hz(moved) == pytest.approx(by * _loudest_hz(sound), rel=0.06)
    assert _pitch_hz(moved) == pytest.approx(_pitch_hz(sound), rel=0.01)


def test_a_raised_voice_is_higher_by_4_to_9_semitones_and_its_formants_by_a_tenth_to_a_fifth() -> None:
    said = Voices((_vowel(130, 1_500),))
    shouts = [raised(np.random.default_rng(seed), said, 2.0) for seed in range(4)]
    assert all(115 * 2 ** (4 / 12) < _pitch_hz(each) < 146 * 2 ** (9 / 12) for each in shouts), "0.9 to 1.12 by person"
    assert all(0.9 * 1.05 < _loudest_hz(each) / _loudest_hz(said.said[0]) < 1.12 * 1.3 for each in shouts)


def test_a_raised_voice_begins_with_a_syllable_and_is_as_long_as_asked() -> None:
    said = Voices((np.concatenate([np.zeros(RATE_HZ, np.float32), _vowel(150, 900)]),))
    shout = raised(np.random.default_rng(1), said, 1.5)
    assert len(shout) == round(1.5 * RATE_HZ)
    assert np.square(shout[: RATE_HZ // 10]).mean() > 0.1


def test_a_piece_is_made_by_its_number_and_each_half_has_its_own() -> None:
    first = made((True, "bang", 3))
    assert made((True, "bang", 3)) == first
    assert made((False, "bang", 3)).rows != first.rows
    assert first.event is not None
    assert 12 <= first.event.start_s <= 15


def test_the_bench_runs_whole_with_a_curve_of_each_kind() -> None:
    report = run(Scale(events=1, hours=1 / 30, has_curve=True))
    curve = report["curve"]
    assert isinstance(curve, dict)
    assert set(curve) == set(EVENTS)
    assert {len(steps) for steps in curve.values()} == {5}
