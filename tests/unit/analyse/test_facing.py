"""Faces are looked at only while something is sought; tracks are asked about, near ones closer; nothing is reported."""

import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import cast

import anyio
import numpy as np
import pytest

from pipeline.analyse.board import Lease, Report, Work, WorkerBoard
from pipeline.analyse.face_shots import FaceShots
from pipeline.analyse.facing import Budget, Facing
from pipeline.analyse.probing import Answer, Probe, Watched
from pipeline.analyse.reporter import Reporter
from pipeline.analyse.source import Given, Missed, Over
from pipeline.analyse.units import Unit
from pipeline.errors import LeaseLost, SourceError
from pipeline.media import Track
from tests.unit.analyse.faces_made import NOBODY, MadeShots, media, vector_of

pytestmark = pytest.mark.anyio
ONE, OTHER = 96, 200
LIVE = Work("live:st_1:faces", "live", "faces", "st_1", "rec_1", 1_700_000_000.0, model="made")
SPAN = Work("span:rec_1:faces", "span", "faces", "st_1", "rec_1", 1_700_000_000.0, 0.0, 4.0, model="made")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Desk:
    """The server, as a worker of faces sees it. silent: it does not answer until then. takes_s: an answer."""

    is_watched: bool = True
    is_there: bool = True
    answer: Answer = "unknown"
    asked: int = 0
    closed: int = 0
    probes: list[Probe] = field(default_factory=list)
    silent: threading.Event | None = None
    takes_s: float = 0.0

    def watching(self, stream_id: str, model: str) -> Watched:
        assert (stream_id, model) == ("st_1", "made@1")
        self.asked += 1
        if self.silent is not None:
            self.silent.wait(10)
        if not self.is_there:
            raise SourceError("nobody answers")
        return Watched(self.is_watched)

    def probe(self, probe: Probe) -> Answer:
        if not self.is_there:
            raise SourceError("nobody answers")
        time.sleep(self.takes_s)
        self.probes.append(probe)
        return self.answer

    def close(self) -> None:
        self.closed += 1


@dataclass
class Board:
    """Keeps what it is told, while the lease is ours."""

    reports: list[Report] = field(default_factory=list)
    is_lost: bool = False

    async def report(self, report: Report) -> None:
        if self.is_lost:
            raise LeaseLost("lost")
        assert report.number == len(self.reports) + 1
        self.reports.append(report)


@dataclass
class Room:
    """gate: how far the feed has come, in seconds; infinite: all at once."""

    work: Work = LIVE
    desk: Desk = field(default_factory=Desk)
    board: Board = field(default_factory=Board)
    shots: MadeShots = field(default_factory=MadeShots)
    burst_s: float = 1.0
    gate_s: float = math.inf
    feeds: int = 0
    given: list[Given] = field(default_factory=list)

    def film(self, shades: list[int], **more: int) -> tuple[Track, list[Unit]]:
        track, units = media(shades, **more)
        self.given += [(track,), *units]
        return track, units

    async def source(self) -> AsyncIterator[Given]:
        self.feeds += 1
        for each in self.given:
            while isinstance(each, Unit) and each.pts_s > self.gate_s:
                await anyio.sleep(0.005)
            yield each
        yield Over()

    def facing(self) -> Facing:
        lease = Lease(self.work, 1)
        budget = Budget(anyio.CapacityLimiter(1), anyio.CapacityLimiter(1), anyio.CapacityLimiter(4))
        reporter = Reporter(lease, cast(WorkerBoard, self.board), "made@1")
        return Facing(
            lease, cast(FaceShots, self.shots), self.source, reporter, lambda: self.desk, budget, self.burst_s
        )

    async def run(self, scene: Callable[[], Coroutine[None, None, None]] | None = None) -> Facing:
        facing = self.facing()
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                if scene is not None:
                    tasks.start_soon(scene)
                await facing.run()
                tasks.cancel_scope.cancel()
        return facing

    @property
    def covered(self) -> list[tuple[float, float]]:
        return [
            (round(each.covered_from_s, 3), round(each.covered_to_s, 3))
            for each in self.board.reports
            if each.covered_to_s > each.covered_from_s
        ]


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.005)


async def test_key_frames_are_looked_at_and_a_track_is_asked_about_by_its_template() -> None:
    room = Room()
    room.film([ONE] * 40)
    await room.run()
    assert room.shots.looked == [0.0, 1.0, 2.0, 3.0], "key frames, and nothing else"
    first = room.desk.probes[0]
    assert first.is_first
    assert (first.stream_id, first.recording_id, first.model, first.detector) == ("st_1", "rec_1", "made@1", "finds@1")
    assert first.shot.startswith(b"\xff\xd8\xff")
    last = room.desk.probes[-1]
    assert (last.track, last.start_s, last.looks) == (first.track, 0.0, 4)
    assert not last.is_first or len(room.desk.probes) == 1
    assert np.allclose(np.frombuffer(last.vector, "<f4"), vector_of(ONE), atol=1e-5)
    assert room.covered[0][0] == 0.0
    assert room.covered[-1][1] == 4.0
    assert room.board.reports[-1].state == "done"
    assert room.desk.closed == 2


async def test_reports_hold_nothing_of_a_face() -> None:
    room = Room()
    room.film([ONE] * 30)
    await room.run()
    for report in room.board.reports:
        assert (report.events, report.captions, report.rows, report.reason) == ((), (), "", "")


async def test_a_stream_in_which_nothing_is_sought_is_not_even_opened() -> None:
    room = Room(desk=Desk(is_watched=False))
    room.film([ONE] * 30)

    async def scene() -> None:
        await until(lambda: room.desk.asked >= 2)
        assert (room.feeds, room.shots.looked, room.board.reports) == (0, [], [])
        room.desk.is_watched = True

    await room.run(scene)
    assert room.shots.looked == [0.0, 1.0, 2.0]


async def test_looking_ends_within_two_seconds_of_the_end_of_the_search_and_all_is_forgotten() -> None:
    room = Room(gate_s=2.5)
    room.film([ONE] * 100)
    facing = room.facing()

    async def scene() -> None:
        await until(lambda: len(room.desk.probes) >= 1 and room.shots.looked == [0.0, 1.0, 2.0])
        room.desk.is_watched = False
        began_s = anyio.current_time()
        await until(lambda: facing._tracks.open == ())
        assert anyio.current_time() - began_s < 2.0
        asked, looked = len(room.desk.probes), list(room.shots.looked)
        room.gate_s = 8.0
        await anyio.sleep(0.3)
        assert (len(room.desk.probes), room.shots.looked) == (asked, looked)
        room.desk.is_watched = True
        room.gate_s = math.inf

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene)
            await facing.run()
    assert room.feeds == 2
    assert [report.number for report in room.board.reports] == list(range(1, len(room.board.reports) + 1))


@pytest.mark.parametrize("is_silent", [True, False])
async def test_a_server_that_does_not_answer_ends_the_looking_too(is_silent: bool) -> None:
    room = Room(gate_s=1.5)
    room.film([ONE] * 100)
    facing = room.facing()

    async def scene() -> None:
        await until(lambda: room.shots.looked == [0.0, 1.0])
        began_s = anyio.current_time()
        if is_silent:
            room.desk.silent = threading.Event()
        else:
            room.desk.is_there = False
        await until(lambda: facing._tracks.open == ())
        assert anyio.current_time() - began_s < 2.1
        room.gate_s = 5.0
        await anyio.sleep(0.2)
        assert room.shots.looked == [0.0, 1.0]
        if room.desk.silent is not None:
            room.desk.silent.set()
        tasks.cancel_scope.cancel()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene)
            await facing.run()


async def test_a_track_that_is_near_to_somebody_is_looked_at_closer_for_a_while() -> None:
    room = Room(desk=Desk(answer="near"), gate_s=0.3)
    room.film([ONE] * 120)

    async def scene() -> None:
        await until(lambda: len(room.desk.probes) >= 1)
        await anyio.sleep(0.05)
        room.gate_s = math.inf

    await room.run(scene)
    between = [at_s for at_s in room.shots.looked if at_s != round(at_s)]
    assert len([at_s for at_s in between if 0.3 < at_s < 1.5]) >= 8, "ten a second, from where it was near"
    assert not any(at_s < 0.3 or 1.5 < at_s < 3.3 for at_s in between), "not before, and then it rests"
    assert all(
        round(later - earlier, 3) >= 0.1
        for earlier, later in zip(room.shots.looked, room.shots.looked[1:], strict=False)
    )


async def test_a_recording_waits_for_its_answers_and_is_looked_at_closer_where_it_was_near() -> None:
    room = Room(work=SPAN, desk=Desk(answer="near", takes_s=0.1))
    room.film([ONE] * 40)
    await room.run()
    between = [at_s for at_s in room.shots.looked if at_s != round(at_s)]
    assert len([at_s for at_s in between if at_s <= 1.1]) >= 8, (
        "from the first key frame on, not where reading was by then"
    )


async def test_two_faces_one_after_the_other_are_two_tracks() -> None:
    room = Room()
    room.film([ONE] * 30 + [NOBODY] * 60 + [OTHER] * 30)
    await room.run()
    tracks = {probe.track for probe in room.desk.probes}
    assert len(tracks) == 2
    for probe in room.desk.probes:
        person = ONE if probe.start_s < 5 else OTHER
        assert np.allclose(np.frombuffer(probe.vector, "<f4"), vector_of(person), atol=1e-5)


async def test_nothing_to_search_ends_the_looking_at_once() -> None:
    room = Room(desk=Desk(answer="nothing_to_search"), gate_s=0.5)
    room.film([ONE] * 100)
    facing = room.facing()

    async def scene() -> None:
        await until(lambda: len(room.desk.probes) == 1)
        await until(lambda: facing._tracks.open == ())
        tasks.cancel_scope.cancel()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene)
            await facing.run()


async def test_what_the_feed_left_out_is_not_claimed_as_seen() -> None:
    room = Room()
    _, units = media([NOBODY] * 60)
    track, _ = media([NOBODY])
    room.given += [(track,), *units[:20], Missed(2.0, 4.0, is_ours=True), *units[40:]]
    await room.run()
    assert room.covered == [(0.0, 2.0), (4.0, 6.0)]


async def test_a_span_in_which_nothing_is_sought_fails_with_the_reason() -> None:
    room = Room(SPAN, Desk(is_watched=False))
    room.film([ONE] * 40)
    await room.run()
    (report,) = room.board.reports
    assert report.state == "failed"
    assert "no gallery" in report.reason
    assert room.shots.looked == []


async def test_a_span_is_looked_at_to_its_end() -> None:
    room = Room(SPAN)
    room.film([ONE] * 40)
    await room.run()
    assert room.board.reports[-1].state == "done"
    assert room.desk.probes[-1].looks == 4


async def test_models_that_break_fail_the_work() -> None:
    room = Room(shots=MadeShots(refuses=True))
    room.film([ONE] * 30)
    await room.run()
    assert [(each.state, each.reason) for each in room.board.reports] == [("failed", "the models broke")]


async def test_a_lease_that_is_lost_ends_it() -> None:
    room = Room(board=Board(is_lost=True))
    room.film([ONE] * 60)
    await room.run()
    assert room.board.reports == []
