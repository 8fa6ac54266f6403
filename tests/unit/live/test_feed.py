"""The feed: what a viewer gets, when, and what a slow one loses."""

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.events import Event, ViewEnded, ViewStarted
from pipeline.hub import Stream
from pipeline.live.viewer import CLOSE_GOING_AWAY, CLOSE_NORMAL, CLOSE_REVOKED, CLOSE_TOO_SLOW, Viewer, Watcher
from pipeline.live.views import Live
from pipeline.media import Fragment, Item, StreamState, Track
from pipeline.settings import HubSettings, LiveSettings
from tests.made import AUDIO, DEVICE, VIDEO, ManualClock, packet
from tests.unit.live.wire import TapeWire, sequences

PICTURE, SOUND = 3600, 1024
NARROW = Track(1, "video", VIDEO.codec, VIDEO.config, 90000, width=640, height=360, frame_duration=3600)


@dataclass
class Room:
    """A live stream, its viewers, and a clock that moves with the media."""

    tracks: tuple[Track, ...] = (VIDEO, AUDIO)
    settings: LiveSettings = field(default_factory=LiveSettings)
    clock: ManualClock = field(default_factory=ManualClock)
    events: list[Event] = field(default_factory=list)
    pictures: int = 0
    sounds: int = 0
    sent: list[Fragment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.live = Live(self.settings, self.clock, self._tell)
        self.stream = Stream("st_test", DEVICE, HubSettings(), self.clock)
        self.stream.set_tracks(self.tracks)
        self.stream.attach(self)

    def _tell(self, event: Event) -> None:
        self.events.append(event)

    def offer(self, item: Item) -> None:
        if isinstance(item, Fragment):
            self.sent.append(item)

    def watch(self, by: str = "someone", most_writes: int | None = None) -> tuple[Viewer, TapeWire]:
        wire = TapeWire(most_writes=most_writes)
        viewer = wire.viewer = self.live.watch(self.stream, wire, Watcher(by, f"usr_{by}", by, "guidance"))
        viewer.begin()
        return viewer, wire

    def picture(self, *, is_key: bool = False, size: int = 100) -> None:
        self.stream.publish(packet(self.pictures * PICTURE, is_key=is_key, size=size))
        self.pictures += 1
        self.clock.now_s += 0.04

    def sound(self) -> None:
        self.stream.publish(packet(self.sounds * SOUND, track=AUDIO, is_key=True))
        self.sounds += 1

    def film(self, pictures: int, *, every: int = 25, size: int = 100) -> None:
        """Pictures with a key frame every so many, with their sound."""
        for _ in range(pictures):
            self.picture(is_key=self.pictures % every == 0, size=size)
            while self.sounds * SOUND / 48000 < self.pictures * 0.04:
                self.sound()

    def sequences_from(self, first: int) -> list[int]:
        return [fragment.sequence for fragment in self.sent if fragment.sequence >= first]


def test_sound_travels_with_its_picture_in_one_message() -> None:
    room = Room()
    _, wire = room.watch()
    room.picture(is_key=True)
    before = len(wire.media)
    room.sound()
    room.sound()
    assert len(wire.media) == before
    room.picture()
    assert len(wire.media) == before + 1
    assert len(wire.sequences) == 4


def test_sound_alone_waits_a_tenth_of_a_second_at_most() -> None:
    room = Room()
    _, wire = room.watch()
    room.picture(is_key=True)
    for _ in range(100):
        room.sound()
        waiting = room.sounds - (len(wire.sequences) - 1)
        assert waiting * SOUND / 48000 < 0.1
    assert len(wire.media) < 30


def test_a_stream_of_sound_alone_has_a_place_to_start_and_is_sent_in_groups() -> None:
    room = Room((AUDIO,))
    room.sound()
    _, wire = room.watch()
    for _ in range(50):
        room.sound()
    assert wire.texts[0]["type"] == "tracks"
    assert wire.sequences == list(range(1, 1 + len(wire.sequences)))
    assert len(wire.sequences) >= 45


def test_the_texts_are_those_of_the_contract() -> None:
    room = Room()
    _, wire = room.watch()
    room.film(30)
    room.stream.interrupt()
    room.clock.now_s += 5
    room.stream.resume()
    room.pictures = room.sounds = 0
    room.film(3)
    room.stream.end(StreamState.ENDED)
    first = wire.messages[0]
    assert first == {
        "type": "tracks",
        "mime": f'video/mp4; codecs="{VIDEO.codec}, mp4a.40.2"',
        "stream_id": "st_test",
        "started_at": "2023-11-14T22:30:00.000Z",
    }
    time = wire.of_kind("time")[0]
    assert time == {
        "type": "time", "pts_s": 0.0, "captured_at": "2023-11-14T22:13:20.000Z", "sent_at": "2023-11-14T22:30:00.000Z"
    }  # fmt: skip
    (gap,) = wire.of_kind("gap")
    assert gap["reason"] == "publisher_lost"
    assert abs(float(str(gap["lost_s"])) - 5) < 0.05
    assert wire.messages[-1] == {"type": "ended"}
    assert wire.closes == [(CLOSE_NORMAL, "the stream ended")]
    media = wire.media
    assert media[0][4:8] == b"ftyp"
    assert sum(message[4:8] == b"ftyp" for message in media) == 1


def test_time_is_told_about_once_a_second() -> None:
    room = Room()
    _, wire = room.watch()
    room.film(250)
    assert 9 <= len(wire.of_kind("time")) <= 11


def test_a_newcomer_gets_everything_since_the_key_frame_once() -> None:
    for size in (100, 20_000):  # in one piece, and in several
        room = Room()
        room.watch()
        room.film(60, size=size)
        room.sound()
        _, wire = room.watch()
        room.film(30, size=size)
        key = max(each.sequence for each in room.sent if each.is_key and each.sequence <= wire.sequences[0])
        assert wire.sequences[0] == key
        received = wire.sequences
        assert received == room.sequences_from(key)[: len(received)]
        assert len(room.sequences_from(key)) - len(received) < 5, "only sound that waits for its picture is missing"
        assert wire.texts[0] == wire.messages[0]
        assert wire.media[0][4:8] == b"ftyp"


def test_a_newcomer_before_the_first_key_frame_waits_for_it() -> None:
    room = Room()
    _, wire = room.watch()
    room.picture()
    room.sound()
    room.picture()
    assert wire.messages == []
    room.picture(is_key=True)
    assert wire.texts[0]["type"] == "tracks"
    assert wire.sequences == [4]


def test_a_newcomer_that_is_full_at_once_is_held_like_any_other() -> None:
    room = Room()
    room.film(20, every=50, size=20_000)  # 400 kB since the key frame
    viewer, wire = room.watch(most_writes=2)
    assert len(wire.data) < 3 * 64 * 1024
    room.film(10, every=50, size=20_000)
    assert len(wire.data) < 3 * 64 * 1024
    assert viewer.paused_s is not None
    viewer.resume()
    assert wire.sequences == room.sequences_from(1)[: len(wire.sequences)]
    assert len(wire.of_kind("gap")) == 0


def test_a_paused_viewer_jumps_with_one_gap_and_the_others_are_whole() -> None:
    room = Room()
    slow, slow_wire = room.watch()
    _, quick_wire = room.watch()
    room.film(50)
    slow.pause()
    before = len(slow_wire.data)
    room.film(200)
    assert len(slow_wire.data) == before
    slow.resume()
    room.film(25)
    (gap,) = slow_wire.of_kind("gap")
    assert gap["reason"] == "reader_slow"
    assert float(str(gap["lost_s"])) > 5
    assert quick_wire.of_kind("gap") == []
    assert quick_wire.sequences == room.sequences_from(1)[: len(quick_wire.sequences)]
    assert slow_wire.sequences == sorted(set(slow_wire.sequences))
    jumped = next(after for before_, after in pairwise(slow_wire.sequences) if after != before_ + 1)
    in_message = next(message for message in slow_wire.media if jumped in sequences(message))
    assert any(fragment.is_key for fragment in room.sent if fragment.sequence in sequences(in_message))


def test_new_tracks_reach_every_viewer_before_their_media() -> None:
    room = Room()
    slow, slow_wire = room.watch()
    _, quick_wire = room.watch()
    room.film(25)
    slow.pause()
    room.film(5)
    room.stream.set_tracks((NARROW, AUDIO))
    changed = room.stream.counts.fragments + 1
    room.film(45)
    slow.resume()
    for wire in (slow_wire, quick_wire):
        current = 0
        for message in wire.messages:
            if isinstance(message, dict):
                current += message["type"] == "tracks"
            else:
                for sequence in sequences(message):
                    assert (current == 2) == (sequence >= changed)
        assert current == 2
        assert sum(message[4:8] == b"ftyp" for message in wire.media) == 2


def test_a_viewer_that_takes_nothing_is_cut_off_and_counted() -> None:
    room = Room(settings=LiveSettings(cut_off_s=10))
    viewer, wire = room.watch()
    _, other = room.watch()
    room.film(25)
    viewer.pause()
    for _ in range(100):
        room.film(2)
        room.live.sweep()
    assert wire.closes == []
    room.film(60)
    room.live.sweep()
    assert [code for code, _ in wire.closes] == [CLOSE_TOO_SLOW]
    assert other.closes == []
    assert (room.live.cut_off, room.live.viewers, room.stream.viewers) == (1, 1, 1)
    room.film(25)
    room.live.sweep()
    assert len(wire.closes) == 1


def test_a_viewer_that_takes_something_in_time_is_not_cut_off() -> None:
    room = Room(settings=LiveSettings(cut_off_s=2))
    viewer, wire = room.watch()
    for _ in range(10):
        viewer.pause()
        room.film(40)
        room.live.sweep()
        viewer.resume()
    assert wire.closes == []


def test_a_viewer_that_was_full_before_anything_came_still_gets_tracks_first() -> None:
    room = Room(settings=LiveSettings(viewer_buffer_bytes=65_536))
    viewer, wire = room.watch()
    viewer.pause()
    room.film(60, every=25, size=3000)
    viewer.resume()
    assert wire.texts[0]["type"] == "tracks"
    first = sequences(wire.media[1])
    assert any(fragment.is_key for fragment in room.sent if fragment.sequence in first)


def test_what_is_held_for_a_paused_viewer_is_bounded() -> None:
    room = Room(settings=LiveSettings(viewer_buffer_bytes=200_000))
    viewer, _ = room.watch()
    viewer.pause()
    for _ in range(100):
        room.film(3, size=10_000)
        assert viewer.held_bytes <= 200_000


def test_a_stream_that_ends_while_a_viewer_is_paused_gives_it_what_was_held_and_closes() -> None:
    room = Room()
    viewer, wire = room.watch()
    room.film(25)
    wire.most_writes = 1  # full again at the first write
    viewer.pause()
    room.film(40)
    room.stream.end(StreamState.LOST)
    assert wire.sequences == room.sequences_from(1)
    assert wire.messages[-1] == {"type": "ended"}
    assert [code for code, _ in wire.closes] == [CLOSE_NORMAL]
    assert viewer.held_bytes == 0
    viewer.closed("gone")
    assert (room.live.viewers, room.live.feeds) == (0, {})


def test_the_views_of_whoever_lost_the_right_are_closed_and_no_others() -> None:
    room = Room()
    _, gone = room.watch("gone")
    _, stays = room.watch("stays")
    room.live.cut_off_from("gone", "another stream")
    assert gone.closes == []
    room.live.cut_off_from("gone", room.stream.stream_id)
    assert [code for code, _ in gone.closes] == [CLOSE_REVOKED]
    assert stays.closes == []
    room.live.close()
    assert [code for code, _ in stays.closes] == [CLOSE_GOING_AWAY]
    assert room.live.feeds == {}


def test_a_stream_that_nobody_watches_costs_nothing_and_each_view_is_told() -> None:
    room = Room()
    for _ in range(50):
        viewer, _ = room.watch("someone")
        room.film(5)
        viewer.closed("left")
        viewer.closed("left")
    assert room.live.feeds == {}
    assert len(room.stream._readers) == 1, "only the recorder's place is taken"
    assert [type(event) for event in room.events] == [ViewStarted, ViewEnded] * 50
    started, ended = room.events[-2:]
    assert isinstance(started, ViewStarted)
    assert isinstance(ended, ViewEnded)
    assert (started.by, started.by_name, started.why) == ("usr_someone", "someone", "guidance")
    assert (ended.by, ended.by_name) == ("usr_someone", "someone")
    assert ended.watched_s == 0.2


actions = st.lists(
    st.one_of(
        st.tuples(st.just("film"), st.integers(1, 60)),
        st.tuples(st.just("sound"), st.integers(1, 5)),
        st.tuples(st.sampled_from(["pause", "resume", "full after"]), st.integers(0, 2)),
        st.tuples(st.just("watch"), st.integers(0, 3)),
        st.tuples(st.just("tracks"), st.integers(0, 1)),
        st.tuples(st.just("away"), st.integers(1, 4)),
    ),
    max_size=40,
)


@given(actions, st.integers(5, 60), st.integers(65_536, 400_000), st.sampled_from([100, 3000]))
@settings(max_examples=120, deadline=None)
def test_each_viewer_gets_every_fragment_or_one_gap_in_its_place(
    actions: list[tuple[str, int]], every: int, most_bytes: int, size: int
) -> None:
    room = Room(settings=LiveSettings(viewer_buffer_bytes=most_bytes))
    views = [room.watch()]
    for verb, number in actions:
        viewer, wire = views[number % len(views)]
        match verb:
            case "film":
                room.film(number, every=every, size=size)
            case "sound":
                for _ in range(number):
                    room.sound()
            case "pause":
                viewer.pause()
            case "resume":
                wire.most_writes = None
                viewer.resume()
            case "full after":
                wire.most_writes = 1 + number
            case "watch" if len(views) < 4:
                views.append(room.watch(most_writes=number or None))
            case "tracks":
                room.stream.set_tracks((VIDEO, AUDIO) if number else (NARROW, AUDIO))
            case "away":
                room.stream.interrupt()
                room.clock.now_s += number
                room.stream.resume()
                room.pictures = room.sounds = 0
    room.stream.end(StreamState.ENDED)

    by_number = {fragment.sequence: fragment for fragment in room.sent}
    last = max(by_number, default=0)
    for _, wire in views:
        messages = wire.messages
        assert messages[-1] == {"type": "ended"}
        received = wire.sequences
        assert received == sorted(set(received)), "in order, none twice"
        if not received:
            continue
        assert wire.texts[0]["type"] == "tracks"
        assert b"".join(wire.media)[4:8] == b"ftyp"
        expected, has_gap = received[0], False
        for message in messages:
            if isinstance(message, dict):
                has_gap = has_gap or (message["type"] == "gap" and message["reason"] == "reader_slow")
                continue
            numbers = sequences(message)
            if not numbers:
                continue
            assert numbers[0] == expected or has_gap, "what is missing is told before what follows"
            if numbers[0] != expected:
                assert any(by_number[each].is_key for each in numbers), "media goes on at a key frame"
            expected, has_gap = numbers[-1] + 1, False
        assert expected == last + 1 or has_gap, "a loss at the end is told too"


def test_a_newcomer_to_a_long_group_of_pictures_begins_without_a_gap() -> None:
    room = Room(tracks=(VIDEO,))
    for number in range(250):  # ten seconds without another key frame, more than the 3 s a viewer may fall behind
        room.picture(is_key=number == 0, size=4000)
    viewer, wire = room.watch(most_writes=2)
    viewer.resume()
    assert viewer.gaps == 0
    assert len(wire.sequences) == 250


def test_a_viewer_that_has_room_again_in_the_middle_of_a_skip_goes_on_at_a_key_frame() -> None:
    room = Room()
    viewer, wire = room.watch()
    room.film(1)
    viewer.pause()
    for _ in range(100):
        room.picture()  # 4 s without a key frame, where 3 s may be held: all of them are skipped
    viewer.resume()
    room.picture()
    assert wire.sequences == [fragment.sequence for fragment in room.sent[:1]]
    room.picture(is_key=True)
    assert wire.messages[-2] == wire.of_kind("gap")[-1]
    assert wire.sequences[-1] == room.sent[-1].sequence
    room.picture()
    assert wire.sequences[-1] == room.sent[-1].sequence
