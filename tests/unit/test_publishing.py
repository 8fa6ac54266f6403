"""Who may publish: the resume window, second publishers, wrong keys, revoked keys, and nothing left behind."""

from dataclasses import dataclass, field

import pytest

from pipeline.errors import AlreadyPublishing, CodecUnsupported, KeyUnknown, PublishRefused, RateLimited, StorageError
from pipeline.events import (
    Event,
    PublisherRefused,
    StreamEnded,
    StreamInterrupted,
    StreamResumed,
    StreamStarted,
    TimestampsRepaired,
)
from pipeline.hub import Stream
from pipeline.media import Device, Fragment, Gap, GapCause, Item, StreamState, Track
from pipeline.publishing import DevicePublication, Publications
from pipeline.settings import HubSettings, IngestSettings
from tests.made import AUDIO, VIDEO, ManualClock, packet

HOME, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@dataclass
class Keys:
    """Stream keys in memory: the key of device `d` is `key-d`."""

    devices: set[str] = field(default_factory=lambda: {"one", "two"})
    is_broken: bool = False

    def find(self, stream_key: str) -> Device | None:
        if self.is_broken:
            raise StorageError("broken")
        name = stream_key.removeprefix("key-")
        return Device(name, name) if name in self.devices else None

    def is_valid(self, device_id: str) -> bool:
        return device_id in self.devices


@dataclass
class Tape:
    """A reader that keeps everything."""

    items: list[Item] = field(default_factory=list)

    def offer(self, item: Item) -> None:
        self.items.append(item)

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]

    @property
    def fragments(self) -> list[Fragment]:
        return [item for item in self.items if isinstance(item, Fragment)]


class Desk:
    """Publications with everything around them at hand."""

    def __init__(self, **settings: object) -> None:
        self.clock = ManualClock()
        self.keys = Keys()
        self.events: list[Event] = []
        self.tapes: list[Tape] = []
        self.kicks: list[str] = []
        ingest = IngestSettings.model_validate(settings)
        self.desk = Publications(ingest, HubSettings(), self.keys, self.clock, self._tell, self._attach)

    def _tell(self, event: Event) -> None:
        self.events.append(event)

    def _attach(self, stream: Stream) -> None:
        self.tapes.append(Tape())
        stream.attach(self.tapes[-1])

    def open(self, device: str = "one", address: str = HOME) -> DevicePublication:
        return self.desk.open(f"key-{device}", address, self.kicks.append)

    def live(self, device: str = "one") -> DevicePublication:
        """A publication that has sent a second of pictures."""
        publication = self.open(device)
        publication.set_tracks((VIDEO, AUDIO))
        self.send(publication)
        return publication

    def send(self, publication: DevicePublication, pictures: int = 25) -> None:
        for number in range(pictures):
            publication.publish(packet(number * 3600, is_key=number == 0))
            self.clock.now_s += 0.04

    def later(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.desk.sweep()

    def of_kind(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def test_a_publisher_that_comes_back_in_time_is_the_same_stream_with_a_gap() -> None:
    made = Desk()
    first = made.live()
    first.lost("radio")
    made.later(14.9)
    second = made.open()
    second.set_tracks((VIDEO, AUDIO))
    made.send(second)
    assert second.stream is first.stream
    assert len(made.tapes) == len(made.desk.streams) == 1
    (gap,) = made.tapes[0].gaps
    assert gap.cause is GapCause.PUBLISHER_LOST
    assert (round(gap.start_s, 2), round(gap.end_s, 2)) == (1.0, 15.9)
    assert [type(event) for event in made.events] == [StreamStarted, StreamInterrupted, StreamResumed]


def test_what_the_devices_clock_says_is_known_until_its_connection_is_lost() -> None:
    made = Desk()
    first = made.open()
    first.say_time(1.0, 2.0)
    assert first.stream is None, "there is no stream yet that could know it"
    first.set_tracks((VIDEO, AUDIO))
    stream = first.stream
    assert stream is not None
    assert stream.device_offset_s is None
    first.say_time(104.5, 100.0)
    assert stream.device_offset_s == 4.5
    made.send(first)
    first.lost("radio")
    assert stream.device_offset_s is None, "whoever comes back may have another clock"
    first.say_time(104.5, 100.0)
    assert stream.device_offset_s is None, "a connection that was lost is deaf"


def test_a_publisher_that_comes_back_too_late_is_another_stream() -> None:
    made = Desk()
    first = made.live()
    first.lost("radio")
    made.later(15.1)
    assert first.stream is not None
    assert first.stream.state is StreamState.LOST
    second = made.live()
    assert second.stream is not first.stream
    assert [type(event) for event in made.events] == [StreamStarted, StreamInterrupted, StreamEnded, StreamStarted]


def test_a_goodbye_ends_the_stream_at_once() -> None:
    made = Desk()
    first = made.live()
    first.end("done")
    assert first.stream is not None
    assert first.stream.state is StreamState.ENDED
    assert made.live().stream is not first.stream


def test_connections_that_send_nothing_do_not_prolong_the_resume_window() -> None:
    made = Desk()
    made.live().lost("radio")
    for _ in range(4):
        made.later(5)
        made.open().lost("radio again")
    made.later(0.25)
    (ended,) = made.of_kind(StreamEnded)
    assert isinstance(ended, StreamEnded)
    assert ended.reason == "did not come back"
    assert len(made.of_kind(StreamInterrupted)) == 1


def test_a_connection_in_time_whose_media_comes_late_is_not_ended_under_its_feet() -> None:
    made = Desk()
    first = made.live()
    first.lost("radio")
    made.later(14.9)
    second = made.open()
    made.later(1)
    second.set_tracks((VIDEO, AUDIO))
    made.send(second)
    assert second.stream is first.stream
    assert second.is_connected
    assert len(made.tapes[0].fragments) == 50


def test_a_second_publisher_is_refused_while_the_first_is_alive() -> None:
    made = Desk()
    first = made.live()
    with pytest.raises(AlreadyPublishing):
        made.open(address=ELSEWHERE)
    assert made.kicks == []
    assert made.desk.refused == {"already_publishing": 1}
    (refused,) = made.of_kind(PublisherRefused)
    assert isinstance(refused, PublisherRefused)
    assert (refused.address, refused.reason) == (ELSEWHERE, "already_publishing")
    made.send(first)
    assert len(made.tapes[0].fragments) == 50


def test_a_publisher_that_just_came_back_is_not_pushed_out_before_its_first_picture() -> None:
    made = Desk()
    made.live().lost("radio")
    made.later(10)
    made.open()
    with pytest.raises(AlreadyPublishing):
        made.open(address=ELSEWHERE)


def test_a_stale_publisher_makes_way_for_its_own_return() -> None:
    made = Desk()
    first = made.live()
    made.later(3.1)
    second = made.open()
    assert made.kicks == ["taken over by a new connection"]
    assert second.stream is first.stream
    assert not first.is_connected


def test_by_setting_a_second_publisher_takes_over_and_the_first_is_deaf() -> None:
    made = Desk(second_publisher="take_over")
    first = made.live()
    second = made.open()
    second.set_tracks((VIDEO, AUDIO))
    before = len(made.tapes[0].items)
    first.set_tracks((VIDEO,))
    made.send(first)
    first.lost("late")
    first.end("late")
    assert len(made.tapes[0].items) == before
    made.send(second)
    assert len(made.tapes[0].fragments) == 50
    assert second.stream is not None
    assert second.stream.state is StreamState.LIVE
    assert made.kicks == ["taken over by a new connection"]


def test_a_revoked_key_ends_the_stream_at_the_next_sweep_and_closes_the_peer_once() -> None:
    made = Desk()
    first = made.live()
    other = made.live("two")
    made.keys.devices.remove("one")
    made.later(0.25)
    made.later(0.25)
    assert made.kicks == ["key revoked"]
    assert first.stream is not None
    assert first.stream.state is StreamState.ENDED
    before = len(made.tapes[0].items)
    made.send(first)
    assert len(made.tapes[0].items) == before
    assert other.is_connected
    with pytest.raises(KeyUnknown):
        made.open()


def test_a_key_revoked_while_the_device_is_away_ends_the_stream_too() -> None:
    made = Desk()
    first = made.live()
    first.lost("radio")
    made.keys.devices.remove("one")
    made.later(0.25)
    assert first.stream is not None
    assert first.stream.state is StreamState.ENDED


def test_a_key_revoked_before_the_first_picture_closes_the_peer() -> None:
    made = Desk()
    publication = made.open()
    made.keys.devices.remove("one")
    made.later(0.25)
    assert made.kicks == ["key revoked"]
    publication.set_tracks((VIDEO,))
    assert made.desk.streams == {}


def test_wrong_keys_are_limited_per_address_and_good_keys_never() -> None:
    made = Desk(wrong_keys_per_minute=3)
    for _ in range(3):
        with pytest.raises(KeyUnknown):
            made.open("wrong")
    with pytest.raises(RateLimited):
        made.open("wrong")
    with pytest.raises(KeyUnknown):
        made.open("wrong", ELSEWHERE)
    made.open("one").end("done")
    assert made.desk.refused == {"key_unknown": 4, "rate_limited": 1}
    assert len(made.of_kind(PublisherRefused)) == 4, "what is limited is counted, not told"
    made.later(21)  # a third of a minute: one try is free again
    with pytest.raises(KeyUnknown):
        made.open("wrong")
    with pytest.raises(RateLimited):
        made.open("wrong")


def test_the_addresses_of_wrong_keys_are_bounded() -> None:
    made = Desk()
    for number in range(10_050):
        with pytest.raises(KeyUnknown):
            made.open("wrong", f"2001:db8::{number:x}")
    assert len(made.desk._wrong._seen) == 10_000


def test_keys_that_cannot_be_read_refuse_the_publisher_and_end_nobody() -> None:
    made = Desk()
    first = made.live()
    made.keys.is_broken = True
    with pytest.raises(PublishRefused):
        made.open("two")
    made.later(1)
    assert first.is_connected
    assert made.desk.refused == {"keys_unreadable": 1}


def test_ended_streams_are_forgotten_after_ten_minutes() -> None:
    made = Desk()
    made.live().end("done")
    made.later(599)
    assert len(made.desk.streams) == 1
    made.later(2)
    assert made.desk.streams == {}


def test_tracks_that_nobody_can_carry_leave_no_stream() -> None:
    made = Desk()
    publication = made.open()
    with pytest.raises(CodecUnsupported):
        publication.set_tracks((Track(1, "video", "mystery", b"", 90000),))
    assert made.desk.streams == {}
    assert made.tapes == []
    publication.lost("unsupported")
    assert made.live().stream is not None


def test_a_storm_of_reconnections_leaves_one_stream_and_nothing_else() -> None:
    made = Desk()
    publication = made.live()
    stream = publication.stream
    for number in range(500):
        publication.lost("radio")
        made.later(number % 7)
        publication = made.open()
        if number % 3:
            publication.set_tracks((VIDEO, AUDIO))
            made.send(publication, 3)
    publication.set_tracks((VIDEO, AUDIO))
    made.send(publication)
    assert publication.stream is stream
    assert list(made.desk.streams.values()) == [stream]
    assert len(made.desk._live) == len(made.tapes) == 1
    starts = [fragment.pts_s for fragment in made.tapes[0].fragments]
    assert starts == sorted(set(starts))
    assert len(made.of_kind(StreamInterrupted)) == len(made.of_kind(StreamResumed))
    publication.end("done")
    made.later(601)
    assert (made.desk.streams, made.desk._live) == ({}, {})


def test_closing_ends_every_stream_and_closes_every_publisher() -> None:
    made = Desk()
    made.live()
    made.live("two").lost("radio")
    made.desk.close("the server stops")
    assert [stream.state for stream in made.desk.streams.values()] == [StreamState.ENDED] * 2
    assert len(made.of_kind(StreamEnded)) == 2
    assert made.kicks == ["the server stops"] * 2


def test_repairs_of_time_stamps_are_noted_and_not_each_for_itself() -> None:
    made = Desk()
    publication = made.live()
    made.later(0)
    assert made.of_kind(TimestampsRepaired) == []
    for stamp in (90_000, 89_000, 88_000):
        publication.publish(packet(stamp))
    made.later(0.3)
    publication.publish(packet(87_000))
    made.later(0.3)
    told = made.of_kind(TimestampsRepaired)
    assert [event.count for event in told if isinstance(event, TimestampsRepaired)] == [2]
    made.later(10)
    told = made.of_kind(TimestampsRepaired)
    assert [event.count for event in told if isinstance(event, TimestampsRepaired)] == [2, 1]


def test_a_device_that_is_pulled_needs_no_key_and_follows_the_same_rules() -> None:
    desk = Desk()
    device = Device("one", "one")
    first = desk.desk.open_device(device, lambda _: None)
    first.set_tracks((VIDEO,))
    first.publish(packet(0, is_key=True))
    with pytest.raises(AlreadyPublishing):
        desk.desk.open_device(device, lambda _: None)
    first.lost("gone")
    again = desk.desk.open_device(device, lambda _: None)
    assert again.stream is first.stream
    with pytest.raises(KeyUnknown):
        desk.desk.open_device(Device("revoked", "revoked"), lambda _: None)


def test_what_was_held_back_lies_where_it_came_and_not_where_it_was_handed_on() -> None:
    made = Desk()
    first = made.open()
    first.set_tracks((VIDEO, AUDIO), late_s=2.0)
    made.send(first)  # a second of media, handed on two seconds late, and a second passes
    stream = first.stream
    assert stream is not None
    assert stream.started_at == 1_700_001_000.0 - 2.0
    first.lost("radio")
    made.later(7.0)
    second = made.open()
    second.set_tracks((VIDEO, AUDIO), late_s=3.0)
    made.send(second)
    (gap,) = made.tapes[0].gaps
    assert (round(gap.start_s, 2), round(gap.end_s, 2)) == (1.0, 7.0)
