"""One push session without a web server: files, deadlines on a clock of the test's own, and the limit of publishers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.errors import ProtocolError, PublishRefused, WorkerFailed
from pipeline.ingest.push import Pushes
from pipeline.settings import IngestSettings, PushSettings
from tests.made import ManualClock
from tests.unit.ingest.test_demux import BODIES, made
from tests.unit.rtmp.tape import TapePublication


@pytest.mark.parametrize("form", ["mpegts", "mp4", "flv"])
def test_a_file_is_published_whole_and_ends_the_stream(tmp_path: Path, form: str) -> None:
    path = tmp_path / "body"
    path.write_bytes(made(form))

    async def test() -> None:
        tape = TapePublication()
        pushes = Pushes(PushSettings(), IngestSettings(), SystemClock())
        with path.open("rb") as file, pushes.session(lambda _: tape) as session:
            await session.run_file(file)
        assert len(tape.pictures) == 20
        assert [kind for kind, _ in tape.ends] == ["end"]
        assert session.media_s == pytest.approx(0.8, abs=0.1)
        assert (pushes.open, pushes.broken) == (0, 0)

    asyncio.run(test())


@pytest.mark.parametrize("form", ["mpegts", "flv"])
def test_a_file_that_comes_faster_than_it_plays_waits_for_a_recorder_that_does_not_keep_up(
    tmp_path: Path, form: str
) -> None:
    path = tmp_path / "body"
    path.write_bytes(made(form, 1500))  # a minute; more than a pipe and a read hold

    async def test() -> None:
        tape = TapePublication(pressure=1.0)
        clock = ManualClock()
        pushes = Pushes(PushSettings(), IngestSettings(), clock)
        with path.open("rb") as file, pushes.session(lambda _: tape) as session:
            task = asyncio.ensure_future(session.run_file(file))
            async with asyncio.timeout(20):
                while not tape.packets:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            waiting = len(tape.packets)
            for _ in range(3):  # waiting for us is not being silent
                clock.now_s += 9.0
                pushes.sweep()
            assert waiting == len(tape.packets) < 3000
            tape.pressure = 0.1
            pushes.sweep()
            await task
        assert len(tape.pictures) == 1500

    asyncio.run(test())


def test_a_live_body_never_waits_for_the_recorder() -> None:
    async def test() -> None:
        tape = TapePublication(pressure=1.0)
        pushes = Pushes(PushSettings(), IngestSettings(), SystemClock())

        async def body() -> AsyncIterator[bytes]:
            yield made("flv", 20)

        with pushes.session(lambda _: tape) as session:
            await session.run(body())
        assert len(tape.pictures) == 20

    asyncio.run(test())


async def endless(first: bytes) -> AsyncIterator[bytes]:
    yield first
    await asyncio.sleep(60)


def test_a_silent_body_is_cut_at_its_deadline_and_a_kicked_one_at_once() -> None:
    async def test() -> None:
        clock = ManualClock()
        pushes = Pushes(PushSettings(), IngestSettings(), clock)
        tapes = [TapePublication(), TapePublication()]

        async def publish(tape: TapePublication) -> None:
            with pushes.session(lambda _: tape) as session:
                await session.run(endless(BODIES["mpegts"]))

        tasks = [asyncio.ensure_future(publish(tape)) for tape in tapes]
        async with asyncio.timeout(10):
            while not all(tape.packets for tape in tapes):
                await asyncio.sleep(0.01)
        pushes.sweep()
        clock.now_s += 9.9
        pushes.sweep()
        assert pushes.open == 2
        clock.now_s += 0.2
        pushes.sweep()
        for failure in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(failure, ProtocolError)
        assert [tape.ends[0][0] for tape in tapes] == ["lost", "lost"]
        task = asyncio.ensure_future(publish(TapePublication()))
        await asyncio.sleep(0)
        await pushes.close("the server stops")
        with pytest.raises(PublishRefused, match="stops"):
            await task

    asyncio.run(test())


def test_more_publishers_than_allowed_are_refused() -> None:
    async def test() -> None:
        pushes = Pushes(PushSettings.model_validate({"max_publishers": 1}), IngestSettings(), ManualClock())
        with pushes.session(lambda _: TapePublication()), pytest.raises(WorkerFailed, match="max_publishers"):
            pushes.session(lambda _: TapePublication()).__enter__()

    asyncio.run(test())
