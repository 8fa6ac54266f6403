"""Snapshots: decoded on demand, at most so often, and once for all who ask together."""

from dataclasses import dataclass, field

import anyio
import pytest

from pipeline.errors import WorkerFailed
from pipeline.hub import Stream
from pipeline.live.snapshot import Snapshots
from pipeline.settings import HubSettings, LiveSettings
from tests.made import AUDIO, DEVICE, VIDEO, ManualClock, packet


@dataclass
class FakeDecoder:
    """Answers with a number; waits for `may_answer` first."""

    asked: list[bytes] = field(default_factory=list)
    may_answer: anyio.Event = field(default_factory=anyio.Event)
    is_broken: bool = False

    async def picture(self, media: bytes) -> bytes:
        self.asked.append(media)
        number = len(self.asked)
        await self.may_answer.wait()
        if self.is_broken:
            raise WorkerFailed("broken")
        return f"jpeg {number}".encode()


class Desk:
    """Snapshots of one stream with a key frame."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.decoder = FakeDecoder()
        self.decoder.may_answer.set()
        self.snapshots = Snapshots(self.decoder, LiveSettings(snapshot_min_interval_s=0.5), self.clock)
        self.stream = Stream("st_1", DEVICE, HubSettings(), self.clock)
        self.stream.set_tracks((VIDEO, AUDIO))
        self.pictures = 0
        self.key()

    def key(self) -> None:
        self.stream.publish(packet(self.pictures * 3600, is_key=True))
        self.pictures += 1

    async def ask(self) -> bytes:
        return (await self.snapshots.of(self.stream))[0]


def test_a_picture_is_decoded_once_for_each_key_frame_and_interval() -> None:
    async def main() -> None:
        desk = Desk()
        assert [await desk.ask(), await desk.ask()] == [b"jpeg 1"] * 2
        desk.key()
        desk.clock.now_s += 0.4
        assert await desk.ask() == b"jpeg 1", "a new key frame, but too soon"
        desk.clock.now_s += 0.2
        assert await desk.ask() == b"jpeg 2"
        desk.clock.now_s += 60
        assert await desk.ask() == b"jpeg 2", "later, but no new key frame"

    anyio.run(main)


def test_what_is_decoded_is_the_init_segment_and_the_last_key_frame() -> None:
    async def main() -> None:
        desk = Desk()
        _, captured_at = await desk.snapshots.of(desk.stream)
        key, header = desk.stream.last_key, desk.stream.header
        assert key is not None
        assert header is not None
        assert desk.decoder.asked == [header.init + key.data]
        assert captured_at == key.captured_at

    anyio.run(main)


def test_a_whole_wall_that_asks_at_once_is_one_decode() -> None:
    async def main() -> None:
        desk = Desk()
        desk.decoder.may_answer = anyio.Event()
        answers: list[bytes] = []

        async def one() -> None:
            answers.append(await desk.ask())

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(one)
            await anyio.wait_all_tasks_blocked()
            desk.decoder.may_answer.set()
        assert answers == [b"jpeg 1"] * 20
        assert len(desk.decoder.asked) == 1

    anyio.run(main)


def test_a_request_that_is_cancelled_leaves_the_next_its_turn() -> None:
    async def main() -> None:
        desk = Desk()
        desk.decoder.may_answer = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.ask)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        desk.decoder.may_answer.set()
        assert await desk.ask() == b"jpeg 2"

    anyio.run(main)


def test_a_failure_is_not_kept() -> None:
    async def main() -> None:
        desk = Desk()
        desk.decoder.is_broken = True
        with pytest.raises(WorkerFailed):
            await desk.ask()
        desk.decoder.is_broken = False
        assert await desk.ask() == b"jpeg 2"

    anyio.run(main)


def test_a_stream_without_a_picture_has_no_snapshot() -> None:
    async def main() -> None:
        desk = Desk()
        desk.stream = Stream("st_2", DEVICE, HubSettings(), desk.clock)
        for tracks in ((VIDEO,), (AUDIO,)):
            desk.stream.set_tracks(tracks)
            with pytest.raises(WorkerFailed):
                await desk.ask()
        assert desk.decoder.asked == []

    anyio.run(main)


def test_pictures_of_streams_that_are_gone_are_dropped() -> None:
    async def main() -> None:
        desk = Desk()
        await desk.ask()
        desk.snapshots.forget({"st_1"})
        assert list(desk.snapshots._pictures) == ["st_1"]
        desk.snapshots.forget(set())
        assert desk.snapshots._pictures == {}

    anyio.run(main)
