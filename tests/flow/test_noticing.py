"""What is wrong in picture and sound is a finding on the timeline, live and from files, whatever becomes of workers."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from pipeline.analyse.board import Work
from pipeline.analyse.judge_rows import judged
from pipeline.analyse.rows import Rows
from pipeline.analyse.signal_rules import SignalRules
from pipeline.analyse.source import Missed, live
from pipeline.analyse.source import Server as ServerOf
from pipeline.analyse.units import Unit
from pipeline.events import FindingRaised
from tests.flow.test_hearing import admin, kinds_of, workers_of
from tests.serving import Server, onrecord, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]

COVERED = (10.0, 16.0)
SILENT = (22.0, 28.0)
LENGTH_S = 34.0
SIGNAL = {"ONRECORD_ANALYSE__STAGES": "signal", "ONRECORD_ANALYSE__WORKERS": "1"}


def media(length_s: float = LENGTH_S) -> list[str]:
    """Arguments for ffmpeg: a moving picture that is covered for a while, and a tone that is silent for a while."""
    covered, silent = (f"between(t,{low},{high})" for low, high in (COVERED, SILENT))
    picture = f"testsrc2=size=320x240:rate=10,drawbox=color=0x101010:t=fill:enable='{covered}',noise=alls=6:allf=t"
    sound = f"sine=frequency=220:sample_rate=48000,tremolo=f=4:d=0.8,volume=0.3,volume=0:enable='{silent}'"
    return [
        "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-t", str(length_s), "-threads", "1",
        "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-c:a", "aac", "-b:a", "64k",
    ]  # fmt: skip


@contextlib.contextmanager
def noticing(folder: Path) -> Iterator[tuple[Server, str]]:
    """A server that looks, with a camera whose recordings belong to the only case; and the camera's key."""
    with Server(folder / "data", SIGNAL) as server:
        key = server.add_device("camera")
        device_id = next(each["device_id"] for each in server.ask("/api/v1/devices", token=admin(server)).items())
        officer = server.ask(
            "/api/v1/officers", "POST", {"name": "周启明", "certificate_number": "A1", "unit": "unit"}
        ).tree()
        binding = {"officer_id": officer["officer_id"]}
        assert server.ask(f"/api/v1/devices/{device_id}/bindings", "POST", binding).status == 201
        case = server.ask("/api/v1/cases", "POST", {"number": "1", "title": "案件", "unit": "unit"}).tree()
        task = server.ask(f"/api/v1/officers/{officer['officer_id']}/task", "POST", {"case_id": case["case_id"]})
        assert task.status == 201, task.body
        until(lambda: len(workers_of(server)) == 1, "the worker runs")
        yield server, key


def started_s(finding: dict[str, object]) -> float:
    return float(str(finding["start_s"]))


def test_a_covered_lens_and_a_silence_are_told_while_they_last_and_end_by_themselves(tmp_path: Path) -> None:
    with noticing(tmp_path) as (server, key):
        url = f"rtmp://127.0.0.1:{server.rtmp_port}/live/{key}"
        with subprocess.Popen(["ffmpeg", "-loglevel", "error", "-re", *media(), "-f", "flv", url]) as publisher:
            stream_id = server.live_id("camera")

            def raised(finding: str) -> list[dict[str, object]]:
                return [each for each in kinds_of(server, stream_id, "FindingRaised") if each["finding"] == finding]

            until(lambda: bool(raised("lens_covered")), "the covered lens", 30)
            assert publisher.poll() is None, "it is told while it lasts"
            until(lambda: bool(raised("sound_missing")), "the silence", 30)
            assert publisher.poll() is None
            until(lambda: len(kinds_of(server, stream_id, "FindingEnded")) >= 2, "both end by themselves", 30)
            publisher.wait(30)
        found = kinds_of(server, stream_id, "FindingRaised")
        assert {each["finding"] for each in found} == {"lens_covered", "sound_missing"}, found
        for finding, (begins_s, ends_s) in (("lens_covered", COVERED), ("sound_missing", SILENT)):
            (one,) = [each for each in found if each["finding"] == finding]
            assert begins_s - 0.2 <= started_s(one) <= begins_s + 2.0
            assert one["measures"], "it says what was measured"
            (end,) = [
                each for each in kinds_of(server, stream_id, "FindingEnded") if each["finding_id"] == one["finding_id"]
            ]
            assert ends_s - 0.2 <= float(str(end["end_s"])) <= ends_s + 2.0
            assert end["reason"] == "gone"
        for folder in server.recordings():
            assert onrecord(server.data, "verify", str(folder)).returncode == 0


def test_a_worker_that_is_killed_ends_its_finding_and_the_next_one_raises_it_anew(tmp_path: Path) -> None:
    with noticing(tmp_path) as (server, key):
        url = f"rtmp://127.0.0.1:{server.rtmp_port}/live/{key}"
        long = [each.replace(f"between(t,{COVERED[0]},{COVERED[1]})", "between(t,6,60)") for each in media(50.0)]
        with subprocess.Popen(["ffmpeg", "-loglevel", "error", "-re", *long, "-f", "flv", url]) as publisher:
            stream_id = server.live_id("camera")
            until(lambda: bool(kinds_of(server, stream_id, "FindingRaised")), "the covered lens", 30)
            (pid,) = workers_of(server)
            os.kill(pid, signal.SIGKILL)
            until(lambda: bool(kinds_of(server, stream_id, "FindingEnded")), "its end", 20)
            until(lambda: len(kinds_of(server, stream_id, "FindingRaised")) >= 2, "it is raised anew", 30)
            publisher.terminate()
            publisher.wait(30)
        (ended, *_) = kinds_of(server, stream_id, "FindingEnded")
        assert ended["reason"] == "worker_lost"


def test_a_worker_that_is_told_to_end_gives_its_streams_back(tmp_path: Path) -> None:
    with noticing(tmp_path) as (server, key):
        server.publish(key)
        server.live_id("camera")
        until(lambda: server.metric("onrecord_analysis_reports") > 0, "the worker follows")
        (pid,) = workers_of(server)
        os.kill(pid, signal.SIGTERM)
        until(lambda: workers_of(server) not in ([], [pid]), "the next one", 30)
        reports = server.metric("onrecord_analysis_reports")
        until(lambda: server.metric("onrecord_analysis_reports") > reports, "it goes on", 30)
        assert "a worker lost its work" not in server.log


def test_a_worker_that_is_too_slow_is_given_what_is_new_and_told_what_it_missed(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        server.publish(server.add_device("camera"))
        stream_id = server.live_id("camera")
        with server.access() as access:
            token = server.keep(access.create_token("service", "worker"))

        async def slow() -> tuple[float, Missed]:
            """Where it stood when it fell asleep, and what it was told then."""
            stood_s = 0.0
            async for given in live(ServerOf(f"http://127.0.0.1:{server.port}", token), stream_id, "work"):
                if isinstance(given, Missed):
                    return stood_s, given
                if isinstance(given, Unit) and not stood_s:
                    stood_s = given.pts_s
                    await anyio.sleep(8.0)
            raise AssertionError

        async def limited() -> tuple[float, Missed]:
            with anyio.fail_after(60):
                return await slow()

        stood_s, missed = anyio.run(limited)
        assert missed.is_ours
        assert missed.start_s - stood_s < 12, "of a thin stream no more seconds lie between the two than these"


def test_a_server_that_stood_still_blames_no_worker(tmp_path: Path) -> None:
    with noticing(tmp_path) as (server, key):
        server.publish(key)
        stream_id = server.live_id("camera")
        until(lambda: server.metric("onrecord_analysis_reports") > 0, "the worker follows")
        workers = workers_of(server)
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(6.0)  # longer than a lease and what is allowed beyond it
        os.kill(server.process.pid, signal.SIGCONT)
        reports = server.metric("onrecord_analysis_reports")
        until(lambda: server.metric("onrecord_analysis_reports") > reports + 2, "it goes on")
        assert workers_of(server) == workers
        assert "a worker lost its work" not in server.log, stream_id


def test_a_file_is_looked_at_too_and_what_was_measured_is_kept(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    subprocess.run(["ffmpeg", "-loglevel", "error", *media(), str(clip)], check=True, timeout=120)
    with noticing(tmp_path) as (server, _):
        done = onrecord(server.data, "ingest", str(clip), "--device", "camera", "--case", "1", "--json")
        assert done.returncode == 0, done.stderr
        (folder,) = server.recordings()
        case_id = server.ask("/api/v1/cases").items()[0]["case_id"]

        def told(kind: str) -> list[dict[str, object]]:
            return server.ask(f"/api/v1/cases/{case_id}/timeline?kinds={kind}").items()

        until(lambda: len(told("FindingEnded")) == 2, "both findings, ended", 60)
        assert [each["finding"] for each in told("FindingRaised")] == ["lens_covered", "sound_missing"]
        kept = Rows(server.data / "analysis" / "measures")
        until(lambda: kept.of(folder.name)[-1].at_s > LENGTH_S - 2, "the rows of its end", 30)
        rows = kept.of(folder.name)
        assert len([row for row in rows if row.kind == "picture"]) >= LENGTH_S - 2
        assert len([row for row in rows if row.kind == "sound"]) >= 2 * LENGTH_S - 4
        stream_id = str(told("FindingRaised")[0]["stream_id"])
        work = Work("rows", "span", "signal", stream_id, folder.name, 0.0)
        again, passed_over = judged(work, rows, SignalRules.load())
        assert passed_over == 0
        assert [each.finding_id for each in again if isinstance(each, FindingRaised)] == [
            each["finding_id"] for each in told("FindingRaised")
        ], "judged from its rows, without its media, the same is found"
