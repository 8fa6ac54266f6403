"""Time stamps: repaired, counted, and never going back."""

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
