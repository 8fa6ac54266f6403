"""Where words could not have been understood."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.signal.sounds import RATE_HZ
from models.signal.unheard import unheard
from tests.unit.models.signal.noises import noise, rows_of, vowels


def test_a_quiet_room_and_talk_in_it_are_heard() -> None:
    assert unheard(rows_of(noise(10, -65))) == []
    assert unheard(rows_of(noise(10, -45) + vowels(10, -20))) == []


def test_a_loud_voice_does_not_drown_itself() -> None:
    assert unheard(rows_of(vowels(10, -10))) == []


def test_sound_that_loses_a_third_of_itself_is_unheard() -> None:
    sound = noise(10, -30)
    for at_s in np.arange(3.1, 6.9, 0.25):
        sound[round(at_s * RATE_HZ) :][:1_600] = 0
    ((start_s, end_s, reason),) = unheard(rows_of(sound))
    assert (start_s, end_s, reason) == (3.0, 7.0, "cut")


def test_a_loud_voice_without_a_pause_does_not_drown_itself() -> None:
    phase = 2 * np.pi * 180 * np.arange(4 * RATE_HZ) / RATE_HZ
    held = sum((np.sin(k * phase) / k for k in range(1, 20)), np.zeros(len(phase)))
    assert unheard(rows_of(np.asarray(0.3 * held, np.float32))) == []


def test_silence_is_unheard_for_as_long_as_it_lasts() -> None:
    sound = noise(10, -40)
    sound[3 * RATE_HZ : 6 * RATE_HZ] = 0
    assert unheard(rows_of(sound)) == [(3.0, 6.0, "silent")]


def test_words_in_noise_as_loud_as_they_are_drown() -> None:
    sound = noise(10, -50) + vowels(10, -24)
    sound[4 * RATE_HZ : 8 * RATE_HZ] += noise(4, -16)
    assert unheard(rows_of(sound)) == [(4.0, 8.0, "drowned")]


def test_clipped_beyond_understanding_is_unheard() -> None:
    sound = vowels(10, -20, flatter=1.5)
    sound[4 * RATE_HZ : 8 * RATE_HZ] *= 100
    ((start_s, end_s, reason),) = unheard(rows_of(sound.clip(-1, 1)))
    assert (start_s, end_s, reason) == (4.0, 8.0, "clipped")


def test_a_rumble_below_speech_drowns_nothing() -> None:
    at = np.arange(10 * RATE_HZ) / RATE_HZ
    rumble = np.asarray(0.5 * np.sin(2 * np.pi * 60 * at), np.float32)
    assert unheard(rows_of(rumble + vowels(10, -24))) == []


@given(levels=st.lists(st.sampled_from([-120.0, -40.0, -10.0]), max_size=30))
def test_spans_are_in_order_apart_and_no_shorter_than_a_second(levels: list[float]) -> None:
    sound = np.concatenate([np.zeros(0, np.float32), *(noise(0.5, level) for level in levels)])
    found = unheard(rows_of(sound))
    assert all(end_s - start_s >= 1 for start_s, end_s, _ in found)
    assert all(first[1] <= second[0] for first, second in pairwise(found))
