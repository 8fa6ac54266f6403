"""Who is recognised when, and what is left out under too much work: told, and taken back by itself."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio
import numpy as np
import pytest

from models.base import RATE_HZ, Abilities, Heard, Speech
from models.speech.passage import Rules
from models.speech.utterances import Utterance, Utterances
from pipeline.analyse.board import Lease, Work
from pipeline.analyse.follower import Follower
from pipeline.analyse.hearing import Hearing, Wanted
from pipeline.analyse.local_board import LocalBoard
from pipeline.analyse.recogniser import Loaded, Recogniser
from pipeline.analyse.reporter import Reporter
from pipeline.analyse.source import Given
from pipeline.errors import ModelFailed
from pipeline.events import AnalysisEased
from tests.made import ManualClock
from tests.unit.analyse.test_hearing import Loud

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Model:
    """Hears everything alike; may refuse."""

    name: str = "made"
    refuses: bool = False
    batches: list[list[Speech]] = field(default_factory=list)

    @property
    def abilities(self) -> Abilities:
        return Abilities(self.name, "1", ("zh",), 10.0, True, False)

    def transcribe(self, speeches: Sequence[Speech]) -> list[Heard]:
        if self.refuses:
            raise ModelFailed("refused")
        self.batches.append(list(speeches))
        return [Heard("你好", (), "zh", -0.2) for _ in speeches]


@dataclass(eq=False)
class Told(Follower):
    """A follower whose answers are looked at."""

    def __init__(self, room: "Room", work: Work) -> None:
        utterances = Utterances(Loud(), Rules(longest_s=10.0))
        hearing = Hearing(work, "made@1", utterances, str, kept_nowhere)
        lease = Lease(work, 1)
        super().__init__(lease, hearing, nothing, room.recogniser, Reporter(lease, room.board, "made@1"), tuple)
        self.answers: list[tuple[int, bool, str]] = []
        self.drops: list[tuple[int, str]] = []

    def answered(self, wanted: Wanted, heard: Heard, late_s: float, model: str) -> None:
        assert heard.text
        assert late_s >= 0
        self.answers.append((wanted.key, wanted.is_final, model))

    def dropped(self, wanted: Wanted, reason: str) -> None:
        self.drops.append((wanted.key, reason))


async def nothing() -> AsyncIterator[Given]:
    for each in list[Given]():
        yield each


def kept_nowhere(text: str, reason: str) -> None:
    assert text
    assert reason


class Room:
    """A recogniser on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.board = LocalBoard(3.0, 3, self.clock)
        self.recogniser = Recogniser("one", self.clock, window_s=0.05, partial_every_s=0.5, language="zh")

    def follower(self, stream_id: str, kind: str = "live") -> Told:
        work = Work(
            f"{kind}:{stream_id}", "live" if kind == "live" else "span", "speech", stream_id, "rec", 0.0, model="m"
        )
        told = Told(self, work)
        self.recogniser.add(told, "m")
        return told

    def steps(self) -> list[str]:
        return [each.step for each in self.recogniser.take_eased() if isinstance(each, AnalysisEased)]


def wanted(key: int, length_s: float = 1.0, *, is_final: bool = True) -> Wanted:
    samples = np.zeros(round(length_s * RATE_HZ), np.float32)
    return Wanted(key, Utterance(key, 0.0, samples, ((0.0, length_s),), is_at_start=False), is_final)


async def run(room: Room, scene: Callable[[], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(room.recogniser.run)
        await scene()
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not condition():
            await anyio.sleep(0.01)


async def test_what_comes_while_the_model_is_loaded_waits_and_is_no_overload() -> None:
    room, model = Room(), Model()

    async def scene() -> None:
        told = room.follower("st_1")
        room.recogniser.ask(told, wanted(1))
        room.clock.now_s += 20
        await anyio.sleep(0.12)
        assert told.answers == []
        room.recogniser.loaded("m", Loaded(model, 4))
        room.clock.now_s += 0.1
        await until(lambda: told.answers == [(1, True, "")])
        assert room.steps() == []

    await run(room, scene)


async def test_utterances_of_many_streams_share_a_batch_and_recordings_come_last() -> None:
    room, model = Room(), Model()
    live, spans = [room.follower(f"st_{n}") for n in range(3)], room.follower("st_9", "span")
    for told in (spans, *live):
        room.recogniser.ask(told, wanted(1))
    room.clock.now_s += 0.1

    async def scene() -> None:
        room.recogniser.loaded("m", Loaded(model, 4))
        await until(lambda: bool(spans.answers) and all(told.answers for told in live))
        assert [len(batch) for batch in model.batches] == [3, 1]

    await run(room, scene)


async def test_a_batch_that_the_model_refuses_is_left_to_others_and_the_next_goes_on() -> None:
    room, model = Room(), Model(refuses=True)

    async def scene() -> None:
        told = room.follower("st_1")
        room.recogniser.loaded("m", Loaded(model, 4))
        room.recogniser.ask(told, wanted(1))
        room.clock.now_s += 0.1
        await until(lambda: told.drops == [(1, "stage_failed")])
        model.refuses = False
        room.recogniser.ask(told, wanted(2))
        room.clock.now_s += 0.1
        await until(lambda: told.answers == [(2, True, "")])

    await run(room, scene)


async def test_who_left_gets_no_answer() -> None:
    room, model = Room(), Model()

    async def scene() -> None:
        gone, stays = room.follower("st_1"), room.follower("st_2")
        for told in (gone, stays):
            room.recogniser.ask(told, wanted(1))
        room.recogniser.forget(gone)
        room.recogniser.loaded("m", Loaded(model, 4))
        room.clock.now_s += 0.1
        await until(lambda: bool(stays.answers))
        assert gone.answers == []
        assert [len(batch) for batch in model.batches] == [1]

    await run(room, scene)


async def test_the_ladder_is_climbed_down_and_up_and_every_step_is_told() -> None:
    room, model, small = Room(), Model(), Model("small")
    told = room.follower("st_1")
    room.recogniser.loaded("m", Loaded(model, 1, small))
    for key, age_s in ((1, 31.0), (2, 12.0), (3, 0.0)):
        room.recogniser.ask(told, wanted(key))
        room.clock.now_s += age_s - (0.0 if key == 3 else {1: 12.0, 2: 0.0}[key])

    async def scene() -> None:
        await until(lambda: len(told.drops) + len(told.answers) == 3)
        assert told.drops == [(1, "overload")], "the oldest is left to the look at the recording"
        assert told.answers == [(2, True, "small@1"), (3, True, "small@1")]
        assert room.steps() == ["gaps"]
        found: list[str] = []
        for _ in range(5):
            room.clock.now_s += 21
            await anyio.sleep(0.12)
            found += room.steps()
        assert found == ["small_model", "long_batches", "no_partials", "whole"]

    await run(room, scene)
