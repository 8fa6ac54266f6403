"""Time stamps: repaired, counted, and never going back."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.media import Packet
from pipeline.stamps import Stamps
from tests.made import AUDIO, VIDEO, packet


def stamps() -> Stamps:
    made = Stamps()
    made.set_tracks((VIDEO, AUDIO))
    return made


def stamp(made: Stamps, one: Packet, arrival_s: float) -> tuple[int, int]:
    return made.stamp(one.track_id, one.dts, arrival_s)[:2]


def test_the_axis_begins_at_zero_whatever_the_device_counts() -> None:
    made = stamps()
    assert stamp(made, packet(5_000_000, is_key=True), 0.0) == (0, 3600)
    assert stamp(made, packet(5_003_600), 0.04) == (3600, 3600)
    assert made.repairs == 0


def test_the_duration_is_predicted_from_the_frame_before() -> None:
    made = stamps()
    stamp(made, packet(0), 0)
    stamp(made, packet(3000), 0)
    assert stamp(made, packet(6000), 0)[1] == 3000


def test_sound_rounded_to_milliseconds_is_put_back_on_its_grid() -> None:
    made = stamps()
    times = [stamp(made, packet(round(n * 1024 / 48) * 48, track=AUDIO), 0.0)[0] for n in range(500)]
    assert times == [n * 1024 for n in range(500)]
    assert made.repairs == 0


def test_a_stamp_that_goes_back_a_little_is_repaired_and_counted() -> None:
    made = stamps()
    stamp(made, packet(0), 0)
    stamp(made, packet(3600), 0)
    assert stamp(made, packet(1800), 0)[0] == 3601
    assert made.repairs == 1


def test_a_jump_is_placed_where_our_clock_says() -> None:
    made = stamps()
    stamp(made, packet(0), 0.0)
    assert stamp(made, packet(90000 * 3600), 2.0)[0] == 180_000
    assert stamp(made, packet(90000 * 3600 + 3600), 2.04)[0] == 183_600
    assert made.repairs == 1


def test_an_epoch_begins_where_it_is_told() -> None:
    made = stamps()
    stamp(made, packet(0), 0.0)
    made.begin_epoch(10.0)
    assert stamp(made, packet(77), 10.0)[0] == 900_000


def test_other_tracks_keep_their_place_relative_to_each_other() -> None:
    made = stamps()
    stamp(made, packet(90_000), 0)
    assert stamp(made, packet(48_000 + 480, track=AUDIO), 0)[0] == 480


@given(st.lists(st.tuples(st.booleans(), st.integers(-(2**40), 2**40)), max_size=200))
@settings(max_examples=200, deadline=None)
def test_decode_times_grow_strictly_in_each_track_whatever_comes(given: list[tuple[bool, int]]) -> None:
    made = stamps()
    last = {VIDEO.track_id: -1, AUDIO.track_id: -1}
    for number, (is_video, dts) in enumerate(given):
        track = VIDEO if is_video else AUDIO
        at, duration = stamp(made, packet(dts, track=track), number * 0.02)
        assert at > last[track.track_id]
        assert 0 < duration <= track.timescale
        last[track.track_id] = at


@pytest.mark.parametrize("drift_ppm", [-200, 0, 200])
def test_a_clock_that_drifts_for_a_shift_keeps_to_ours_and_sound_to_picture(drift_ppm: int) -> None:
    """Eight hours: pictures each 200 ms, a sound frame each 21.3 ms, stamped in whole milliseconds by a clock that
    is off, arriving up to 80 ms late, and once a minute three seconds late."""
    made, noise = stamps(), random.Random(drift_ppm)
    rate = 1 + drift_ppm / 1e6
    worst_wall_s = worst_lip_s = 0.0
    sound = 0
    last_sound = -1
    axis_of_sound = 0.0
    for number in range(8 * 3600 * 5):
        true_s = number / 5
        late_s = 3.0 if number % 300 > 290 else noise.random() * 0.08
        dts, _, _ = made.stamp(VIDEO.track_id, round(true_s * rate * 1000) * 90, true_s + late_s)
        while sound * 1024 / 48000 < true_s * rate:
            sent_ms = sound * 1024 * 1000 // 48000
            last_sound, _, _ = made.stamp(AUDIO.track_id, sent_ms * 48, true_s + late_s)
            axis_of_sound = sent_ms / 1000 / rate  # when it was really heard
            sound += 1
        worst_wall_s = max(worst_wall_s, abs(dts / 90_000 - true_s))
        if last_sound >= 0:
            worst_lip_s = max(worst_lip_s, abs((last_sound / 48_000 - axis_of_sound) - (dts / 90_000 - true_s)))
    assert worst_wall_s < 0.15
    assert worst_lip_s < 0.04
    assert made.repairs == 0
    assert made.slewed_s == pytest.approx(8 * 3600 * drift_ppm / 1e6, abs=0.2)


def test_a_file_that_comes_faster_than_it_plays_is_not_pulled() -> None:
    made = stamps()
    for number in range(25 * 600):
        assert stamp(made, packet(number * 3600), number * 0.001)[0] == number * 3600
    assert made.slewed_s == 0.0


def test_a_device_that_stalls_once_is_not_taken_for_a_slow_clock() -> None:
    made = stamps()
    for number in range(25 * 300):
        late_s = 2.0 if number > 3000 else 0.0
        stamp(made, packet(number * 3600), number / 25 + late_s)
    assert abs(made.slewed_s) < 0.001
