"""The meter: rows of sound."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.signal.sounds import QUIET_DB, RATE_HZ, SoundMeter, SoundRow
from tests.unit.models.signal.noises import noise, rows_of, times, vowels

_SOUND = np.concatenate([noise(0.8, -30), vowels(1.3, -15), np.zeros(4_000, np.float32), noise(0.9, -20, seed=2)])


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 50_000),
    cuts=st.lists(st.integers(0, len(_SOUND)), max_size=40),
)
def test_any_cutting_of_the_pieces_gives_the_same_rows(start: int, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(_SOUND)]
    meter, rows = SoundMeter(), []
    for first, last in pairwise(edges):
        rows += meter.feed((start + first) / RATE_HZ, _SOUND[first:last])
    assert rows == rows_of(_SOUND, start / RATE_HZ)
    assert len(rows) >= 5


@given(start=st.integers(0, 10**7))
def test_rows_lie_on_half_seconds_of_the_axis_and_follow_one_another(start: int) -> None:
    rows = rows_of(_SOUND, start / RATE_HZ)
    assert all(row.at_s * 2 == round(row.at_s * 2) for row in rows)
    assert np.diff([row.at_s for row in rows]).tolist() == [0.5] * (len(rows) - 1)
    assert 0 <= rows[0].at_s - start / RATE_HZ < 0.5


def test_a_row_given_back_from_its_values_is_the_same() -> None:
    row = rows_of(vowels(0.5, -20))[0]
    assert SoundRow.from_values(row.values()) == row
    with pytest.raises(TypeError):
        SoundRow.from_values(row.values()[1:])


@settings(max_examples=40, deadline=None)
@given(
    bad=st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-42]), min_size=1, max_size=20),
    at=st.integers(0, 15_000),
)
def test_samples_that_are_no_numbers_leave_rows_of_numbers(bad: list[float], at: int) -> None:
    sound = noise(1.0, -30)
    sound[at : at + len(bad)] = np.asarray(bad, np.float32)[: len(sound) - at]
    rows = rows_of(sound)
    assert len(rows) == 2
    assert all(np.isfinite(value) for row in rows for value in row.values())


def test_empty_pieces_are_harmless() -> None:
    meter = SoundMeter()
    assert meter.feed(3.0, np.zeros(0, np.float32)) == []
    rows = (
        meter.feed(0.0, noise(0.4, -30)) + meter.feed(0.4, np.zeros(0, np.float32)) + meter.feed(0.4, noise(0.2, -30))
    )
    assert [row.at_s for row in rows] == [0.0]


def test_after_a_gap_the_next_whole_half_second_is_told_and_nothing_is_joined_over_it() -> None:
    meter = SoundMeter()
    meter.feed(0.0, noise(0.4, -10))
    meter.gap(0.4)
    rows = meter.feed(0.4, noise(1.0, -40))
    assert [row.at_s for row in rows] == [0.5]
    assert rows[0].level_db == pytest.approx(-40, abs=0.2)


def test_sound_that_does_not_follow_begins_anew_though_nobody_told_of_a_gap() -> None:
    meter = SoundMeter()
    meter.feed(0.0, noise(0.4, -10))
    assert [row.at_s for row in meter.feed(7.3, noise(1.0, -40))] == [7.5]


def test_levels_are_those_of_what_was_made() -> None:
    sine = np.asarray(np.sin(2 * np.pi * 700 * times(0.5)), np.float32)
    row = rows_of(sine)[0]
    assert row.level_db == pytest.approx(-3.01, abs=0.02)
    assert row.middle_db == pytest.approx(-3.0, abs=0.3)
    assert row.high_db < -60
    assert row.tonal == 1.0
    assert row.tone_hz == pytest.approx(700, rel=0.005)


@pytest.mark.parametrize("pitch_hz", [95, 130, 210, 320])
def test_the_pitch_of_a_voice_is_told(pitch_hz: float) -> None:
    row = rows_of(vowels(0.5, -20, pitch_hz))[0]
    assert row.voiced >= 0.4
    assert row.pitch_hz == pytest.approx(pitch_hz, rel=0.08)


@pytest.mark.parametrize("at", [800, 4_000, 7_990, 8_010, 9_500])
def test_a_sharp_sound_is_the_burst_of_one_row_wherever_it_lies(at: int) -> None:
    sound = noise(2.0, -60)
    sound[8_000 + at :][:400] += noise(400 / RATE_HZ, -10, seed=3)
    rows = rows_of(sound)
    sharp = [row for row in rows if row.rise_db > 20]
    assert len(sharp) == 1
    assert sharp[0].at_s == (1.0 if at >= 6_400 else 0.5)
    assert sharp[0].fall_db > 20
    assert sharp[0].burst_harmonic < 0.3
    assert sharp[0].burst_top_db == pytest.approx(-13, abs=3)


def test_a_voice_that_is_flatter_in_spectrum_has_more_tilt_and_is_as_loud() -> None:
    calm, raised = rows_of(vowels(0.5, -20, 200))[0], rows_of(vowels(0.5, -20, 200, flatter=3.0))[0]
    assert raised.tilt_db > calm.tilt_db + 10
    assert raised.voice_db == pytest.approx(calm.voice_db, abs=1.5)


def test_the_tone_that_most_frames_have_is_told_beside_another() -> None:
    at = times(0.5)
    sound = np.where(at < 0.2, 1_200.0, 3_000.0)
    row = rows_of(np.asarray(0.2 * np.sin(2 * np.pi * np.cumsum(sound) / RATE_HZ), np.float32))[0]
    assert row.tone_same_hz == pytest.approx(3_000, rel=0.002)
    assert 0.5 <= row.tone_same <= 0.65
    assert row.tone_low_hz == pytest.approx(1_200, rel=0.005)


def test_noise_has_no_pitch_and_no_tone() -> None:
    rows = rows_of(noise(10, -20))
    assert max(row.voiced for row in rows) == 0
    assert max(row.tonal for row in rows) == 0


def test_digital_silence_is_told_as_such_and_noise_of_a_microphone_is_not() -> None:
    silent, quiet = rows_of(np.zeros(8_000, np.float32))[0], rows_of(noise(0.5, -76))[0]
    assert (silent.level_db, silent.zero) == (QUIET_DB, 1.0)
    assert quiet.zero == 0.0


def test_tops_that_are_cut_off_are_flat() -> None:
    talk = vowels(0.5, -20, flatter=1.5)
    assert rows_of(talk)[0].flat < 0.06
    assert rows_of((talk * 30).clip(-1, 1))[0].flat > 0.15


def test_sound_that_breaks_off_while_it_is_loud_drops_and_sound_that_fades_does_not() -> None:
    broken, faded = noise(0.5, -20), noise(0.5, -20)
    for at in (2_000, 5_000):
        broken[at : at + 800] = 0
    faded[:6_000] *= np.exp(-np.arange(6_000) / 400).astype(np.float32)
    faded[6_000:] = 0
    assert rows_of(broken)[0].drops == 2
    assert rows_of(broken)[0].edge_db > -3
    assert rows_of(faded)[0].drops == 0
    assert rows_of(faded)[0].edge_db < -10
