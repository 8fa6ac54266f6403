"""The hub: the law of gaps, the cache for newcomers, interruptions."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.hub import Stream, Subscription
from pipeline.media import Ended, Fragment, Gap, GapCause, Item, StreamState, TracksChanged
from pipeline.settings import HubSettings
from tests.made import AUDIO, DEVICE, VIDEO, ManualClock, fragment, packet


class Tape:
    """A reader that keeps everything."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    def offer(self, item: Item) -> None:
        self.items.append(item)

    @property
    def fragments(self) -> list[Fragment]:
        return [item for item in self.items if isinstance(item, Fragment)]

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]


def stream(clock: ManualClock | None = None, **settings: float) -> Stream:
    made = Stream("st_test", DEVICE, HubSettings.model_validate(settings), clock or ManualClock())
    made.set_tracks((VIDEO, AUDIO))
    return made


steps = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.booleans(), st.integers(50, 4000)),
        st.tuples(st.just("take"), st.booleans(), st.integers(1, 30)),
    ),
    max_size=300,
)


@given(steps, st.floats(0.1, 3.0), st.integers(500, 20_000))
@settings(max_examples=300, deadline=None)
def test_every_fragment_is_delivered_or_lies_in_exactly_one_gap(
    steps: list[tuple[str, bool, int]], max_s: float, max_bytes: int
) -> None:
    subscription: Subscription[Fragment] = Subscription(max_s=max_s, max_bytes=max_bytes)
    taken: list[Fragment | Gap] = []
    offered = 0
    for verb, is_key, number in steps:
        if verb == "offer":
            subscription.offer(fragment(offered, offered * 0.04, is_key=is_key, size=number))
            offered += 1
            assert subscription.size_bytes <= max_bytes
        else:
            for _ in range(number):
                item = subscription.take()
                if item is None:
                    break
                taken.append(item)
    subscription.finish()
    while (item := subscription.take()) is not None:
        taken.append(item)

    expected = 0  # the number of the next fragment that is not yet accounted for
    for item in taken:
        if isinstance(item, Gap):
            assert item.fragments > 0
            assert abs(item.start_s - expected * 0.04) < 1e-9
            expected += item.fragments
            assert abs(item.end_s - expected * 0.04) < 1e-6
        else:
            assert item.sequence == expected
            expected += 1
    assert expected == offered
    for before, after in pairwise(taken):
        if isinstance(before, Gap) and not isinstance(after, Gap):
            assert after.is_key


def test_a_slow_reader_gets_a_gap_and_restarts_on_a_key_frame() -> None:
    subscription: Subscription[Fragment] = Subscription(max_s=1.0, max_bytes=1 << 20)
    for number in range(60):
        subscription.offer(fragment(number, number * 0.04, is_key=number % 25 == 0))
    first, second = subscription.take(), subscription.take()
    assert isinstance(first, Gap)
    assert first.cause is GapCause.READER_SLOW
    assert isinstance(second, Fragment)
    assert second.is_key
    assert second.sequence == 50


def test_a_gap_from_before_stands_in_its_place_or_within_the_readers_own() -> None:
    subscription: Subscription[Fragment] = Subscription(max_s=1.0, max_bytes=1 << 20)
    subscription.offer(fragment(0, 0.0, is_key=True))
    subscription.offer_gap(Gap(0.04, 0.5, GapCause.PUBLISHER_LOST))
    subscription.offer(fragment(1, 0.5, is_key=True))
    assert [type(subscription.take()) for _ in range(3)] == [Fragment, Gap, Fragment]
    subscription.offer(fragment(2, 0.54, is_key=False))
    subscription.offer_gap(Gap(0.58, 3.0, GapCause.PUBLISHER_LOST))
    subscription.offer(fragment(3, 3.0, is_key=True))  # 2.5 s behind: over
    only = subscription.take()
    assert isinstance(only, Gap)
    assert (only.start_s, only.end_s, only.fragments) == (0.54, 3.0, 1)


def test_a_newcomer_finds_everything_since_the_newest_key_frame() -> None:
    made = stream()
    for number in range(60):
        made.publish(packet(number * 3600, is_key=number % 25 == 0))
    cached = list(made.cached())
    assert cached[0].is_key
    assert [each.dts for each in cached] == [number * 3600 for number in range(50, 60)]


def test_the_cache_is_bounded_in_seconds_and_bytes() -> None:
    made = stream(gop_cache_s=1.0)
    for number in range(40):
        made.publish(packet(number * 3600, is_key=number == 0))
    assert list(made.cached()) == []
    made = stream(gop_cache_bytes=65536)
    for number in range(40):
        made.publish(packet(number * 3600, is_key=number == 0, size=5000))
    assert list(made.cached()) == []


def test_sound_is_never_a_place_to_start_while_there_is_a_picture() -> None:
    made, tape = stream(), Tape()
    made.attach(tape)
    made.publish(packet(0, is_key=True))
    made.publish(packet(0, track=AUDIO, is_key=True))
    assert [each.is_key for each in tape.fragments] == [True, False]
    only_sound, tape = Stream("st_2", DEVICE, HubSettings(), ManualClock()), Tape()
    only_sound.set_tracks((AUDIO,))
    only_sound.attach(tape)
    only_sound.publish(packet(0, track=AUDIO))  # most doors know no key frames of sound
    assert tape.fragments[0].is_key
    assert only_sound.last_key is None, "there is no picture to be shown"


def test_a_publisher_that_comes_back_leaves_a_gap_as_long_as_it_was_away() -> None:
    clock = ManualClock()
    made, tape = stream(clock), Tape()
    made.attach(tape)
    for number in range(25):
        made.publish(packet(number * 3600, is_key=number == 0))
        clock.now_s += 0.04
    made.interrupt()
    assert made.state is StreamState.RECONNECTING
    clock.now_s += 6.0
    made.resume()
    made.publish(packet(0, is_key=True))  # the device counts from zero again
    (gap,) = tape.gaps
    assert gap.cause is GapCause.PUBLISHER_LOST
    assert abs(gap.start_s - 1.0) < 1e-6
    assert abs(gap.end_s - 7.0) < 0.001
    assert abs(tape.fragments[-1].pts_s - 7.0) < 0.001
    assert list(made.cached()) == [tape.fragments[-1]]


def test_a_publisher_that_stays_silent_leaves_a_gap_with_its_own_cause() -> None:
    clock = ManualClock()
    made, tape = stream(clock), Tape()
    made.attach(tape)
    made.publish(packet(0, is_key=True))
    clock.now_s += 3
    made.publish(packet(270_000, is_key=True))
    (gap,) = tape.gaps
    assert gap.cause is GapCause.PUBLISHER_SILENT
    assert abs(gap.lost_s - 2.96) < 1e-6


def test_readers_are_told_new_tracks_and_the_end_once() -> None:
    made, tape = stream(), Tape()
    made.attach(tape)
    made.set_tracks((VIDEO, AUDIO))  # the same again
    made.set_tracks((VIDEO,))
    made.end(StreamState.ENDED)
    made.end(StreamState.LOST)
    assert [type(item) for item in tape.items] == [TracksChanged, TracksChanged, Ended]
    assert made.state is StreamState.ENDED


def test_fragments_carry_true_times_and_composition_offsets() -> None:
    made, tape = stream(), Tape()
    made.attach(tape)
    made.publish(packet(0, is_key=True, composition=7200))
    made.publish(packet(3600, composition=3600))
    first, second = tape.fragments
    assert (first.dts, first.pts, first.pts_s) == (0, 7200, 0.08)
    assert (second.dts, second.pts) == (3600, 7200)
