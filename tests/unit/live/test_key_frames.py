"""The key-frame-only feed: an order less to send, the same law of gaps."""

from dataclasses import dataclass, field

from pipeline import fmp4
from pipeline.hub import Stream
from pipeline.live.viewer import Watcher
from pipeline.live.views import Live
from pipeline.media import AUDIO_TRACK, Fragment, Item
from pipeline.settings import HubSettings, LiveSettings
from tests.made import AUDIO, DEVICE, VIDEO, ManualClock, packet
from tests.unit.live.wire import TapeWire


@dataclass
class Camera:
    """25 pictures a second, a key frame a second, and sound."""

    clock: ManualClock = field(default_factory=ManualClock)
    keys: list[int] = field(default_factory=list)
    pictures: int = 0

    def __post_init__(self) -> None:
        self.live = Live(LiveSettings(), self.clock, lambda _: None)
        self.stream = Stream("st_keys", DEVICE, HubSettings(), self.clock)
        self.stream.set_tracks((VIDEO, AUDIO))
        self.stream.attach(self)

    def offer(self, item: Item) -> None:
        if isinstance(item, Fragment) and item.is_key:
            self.keys.append(item.sequence)

    def send(self, pictures: int) -> None:
        for _ in range(pictures):
            is_key = self.pictures % 25 == 0
            self.stream.publish(packet(self.pictures * 3600, is_key=is_key, size=8000 if is_key else 1000))
            self.stream.publish(packet(self.pictures * 1920, track=AUDIO, is_key=True))
            self.pictures += 1
            self.clock.now_s += 0.04


def test_only_key_frames_are_sent_each_lasting_until_the_next() -> None:
    camera, wire = Camera(), TapeWire()
    camera.send(30)
    camera.live.watch(camera.stream, wire, Watcher("someone", "someone"), tracks="key").begin()
    camera.send(100)
    assert wire.sequences == camera.keys[1:]
    infos = [info for message in wire.media[1:] for info in fmp4.walk(message)]
    assert all(info.is_key and info.track_id != AUDIO_TRACK for info in infos)
    assert [info.duration for info in infos[1:]] == [90_000] * (len(infos) - 1)
    assert "mp4a" not in str(wire.of_kind("tracks")[0]["mime"])
    assert wire.of_kind("gap") == []


def test_it_costs_an_order_less_and_leaves_the_whole_feed_whole() -> None:
    camera, keys, whole = Camera(), TapeWire(), TapeWire()
    camera.send(1)
    camera.live.watch(camera.stream, keys, Watcher("one", "one"), tracks="key").begin()
    camera.live.watch(camera.stream, whole, Watcher("another", "another")).begin()
    assert camera.stream.viewers == 2
    camera.send(249)
    assert len(keys.data) * 3 < len(whole.data)  # 8 to 33 kB a second here; a camera's key frames weigh less
    assert whole.sequences == list(range(1, 1 + len(whole.sequences)))
    camera.live.close()
    assert camera.stream.viewers == 0
    assert camera.live.feeds == {}


def test_a_slow_viewer_of_key_frames_is_told_its_gap_too() -> None:
    camera, wire = Camera(), TapeWire()
    camera.send(1)
    viewer = camera.live.watch(camera.stream, wire, Watcher("someone", "someone"), tracks="key")
    viewer.begin()
    viewer.pause()
    camera.send(25 * 8)
    viewer.resume()
    (gap,) = wire.of_kind("gap")
    assert gap["reason"] == "reader_slow"
    assert wire.sequences[-1] == camera.keys[-1]
    assert viewer.gaps >= 1
