"""A server whose machine fails it: too few descriptors, stopped for a while, a demuxer that spins.

What must stay true is said by each test.
"""

import contextlib
import os
import resource
import signal
import socket
import time
import urllib.error
from pathlib import Path

import anyio
import pytest

from pipeline.errors import WorkerFailed
from pipeline.ingest.push import Pushes, PushSession
from pipeline.settings import IngestSettings, PushSettings
from tests.flow.test_server import verdicts
from tests.made import ManualClock
from tests.serving import Server, until
from tests.tools import needs
from tests.unit.rtmp.tape import TapePublication

pytestmark = needs("ffmpeg")


def counted(server: Server, name: str) -> float:
    """A number of /metrics, asked for until a crowded door lets the question in."""
    values: list[float] = []

    def is_answered() -> bool:
        with contextlib.suppress(ConnectionError, urllib.error.URLError):
            values.append(server.metric(name))
        return bool(values)

    until(is_answered, f"{name} is told")
    return values[0]


def recorded(server: Server, stream_id: str) -> float:
    return server.metric(rf'onrecord_stream_fragments_total\{{stream_id="{stream_id}')


@pytest.mark.slow
def test_a_server_without_descriptors_goes_on_recording_and_recovers(tmp_path: Path) -> None:
    """The stream that runs opens its next files; whoever crowds the doors is closed; afterwards new ones get in."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Server(tmp_path / "data", {"ONRECORD_RECORD__SEGMENT_S": "1"}) as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (160, before[1]))
        server.publish(server.add_device("runs"))
        stream_id = server.live_id("runs")
        peers = [
            socket.create_connection(("127.0.0.1", port), 10)
            for port in (server.port, server.rtmp_port)
            for _ in range(200)
        ]
        name = "onrecord_record_segments_closed_total"
        closed = counted(server, name)
        until(lambda: counted(server, name) >= closed + 2, "it opens its next files")
        assert counted(server, "onrecord_record_failed ") == 0
        assert counted(server, "onrecord_record_lost_seconds_total") == 0
        assert "door is full" in server.log
        for peer in peers:
            peer.close()
        server.publish(server.add_device("new"))
        server.live_id("new")
        assert server.live_id("runs") == stream_id
        assert "Traceback" not in server.log


@pytest.mark.slow
def test_a_server_that_stood_still_for_10_s_accounts_for_every_second(tmp_path: Path) -> None:
    """The publisher goes on or comes back into the same stream; the manifest has no hole without a cause."""
    with Server(tmp_path / "data") as server:
        server.publish(server.add_device("one"))
        stream_id = server.live_id("one")
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(10)
        os.kill(server.process.pid, signal.SIGCONT)
        before = recorded(server, stream_id)
        until(lambda: recorded(server, stream_id) > before + 50, "it goes on")
        assert server.live_id("one") == stream_id
        server.stop()
        assert verdicts(server) == [(0, "")]


def test_a_demuxer_that_uses_more_cpu_than_its_share_is_killed() -> None:
    """Its own stream is lost with the reason; the share counts from the larger of wall and media time."""
    clock = ManualClock()

    class Spinning:
        def cpu_s(self) -> float:
            return 9.0

    async def act() -> PushSession:
        desk = Pushes(PushSettings(silence_timeout_s=1000), IngestSettings(), clock)
        session = PushSession(desk, lambda _: TapePublication())
        session._child = Spinning()  # type: ignore[assignment]  # all that `check` asks of a child
        clock.now_s += 23.0  # 3 s to start and a quarter of 24 s are allowed
        session.check(clock.now_s)
        return session

    session = anyio.run(act)
    assert isinstance(session._failure, WorkerFailed)
    assert "child_cpu_share" in str(session._failure)
