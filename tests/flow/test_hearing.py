"""What is said becomes words on the timeline, each once, whatever becomes of the workers; and captions."""

import contextlib
import csv
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from models.registry import FILE, SHIPPED
from models.speech.cer import errors
from pipeline.simulate.sound import VOICES
from tests.redis_made import redis_server
from tests.serving import Server, environment, onrecord, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]

SPOKEN_S = 22.0
"""Of the scene: six lines of two people, from the greeting to an answer."""
MODEL = "whisper-demo-zh@1"
DEMO = {"ONRECORD_SPEECH__MODEL": "whisper-demo-zh"}


def script(until_s: float) -> str:
    """What the scene says before this second."""
    with (VOICES / "scene.tsv").open(encoding="utf-8") as file:
        return "".join(row["text"] for row in csv.DictReader(file, delimiter="\t") if float(row["end"]) < until_s)


def workers_of(server: Server) -> list[int]:
    """The process ids of its workers."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [
        int(child) for child in children
        if b"pipeline.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]  # fmt: skip


def words_of(server: Server, stream_id: str) -> list[dict[str, object]]:
    """WordsHeard of a stream that belongs to the only case, in order."""
    case_id = server.ask("/api/v1/cases").items()[0]["case_id"]
    page = server.ask(f"/api/v1/cases/{case_id}/timeline?stream_id={stream_id}&kinds=WordsHeard&limit=500")
    return page.items()


def kinds_of(server: Server, stream_id: str, kind: str) -> list[dict[str, object]]:
    case_id = server.ask("/api/v1/cases").items()[0]["case_id"]
    return server.ask(f"/api/v1/cases/{case_id}/timeline?stream_id={stream_id}&kinds={kind}&limit=500").items()


@dataclass
class Captions:
    """A screen: what the event stream says, read in a thread."""

    server: Server
    token: str
    told: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __enter__(self) -> "Captions":
        request = urllib.request.Request(f"http://127.0.0.1:{self.server.port}/api/v1/captions")
        request.add_header("Authorization", f"Bearer {self.token}")
        self._answer = urllib.request.urlopen(request, timeout=60)
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._answer.close()

    def _read(self) -> None:
        event = ""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for line in self._answer:
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    event = text[7:]
                elif text.startswith("data: "):
                    self.told.append((event, json.loads(text[6:])))

    def captions(self) -> list[dict[str, object]]:
        return [tree for event, tree in self.told if event == "caption"]


@contextlib.contextmanager
def watched(server: Server, stream_id: str, token: str) -> Iterator[None]:
    """The stream is on this token's screen."""
    with connect(server.watch_url(stream_id, server.ticket(stream_id, token)), max_size=None) as socket:
        is_over = threading.Event()

        def read() -> None:
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                while not is_over.is_set():
                    socket.recv(timeout=1)

        threading.Thread(target=read, daemon=True).start()
        yield
        is_over.set()


@contextlib.contextmanager
def hearing(folder: Path, workers: int, **more: str) -> Iterator[tuple[Server, str]]:
    """A server that hears, with a camera of an officer who is at the only case; and the camera's key."""
    settings = {"ONRECORD_ANALYSE__STAGES": "speech", "ONRECORD_ANALYSE__WORKERS": str(workers), **DEMO, **more}
    with Server(folder / "data", settings) as server:
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
        until(lambda: len(workers_of(server)) == workers, "the workers run")
        yield server, key


def admin(server: Server) -> str:
    with server.access() as access:
        return server.keep(access.create_token("system_admin"))


def whole(server: Server, stream_id: str) -> bool:
    """Whether the stream is over and all of it was analysed."""
    stream = next(each for each in server.streams() if each["stream_id"] == stream_id)
    state = server.ask("/api/v1/analysis").tree()
    return stream["state"] in ("ended", "lost") and state["streams"] == {} and state["spans_waiting"] == 0


def check_words(server: Server, stream_id: str) -> None:
    """The lines of the scene, each once and in its place."""
    found = words_of(server, stream_id)
    heard = "".join(str(each["text"]) for each in found)
    wrong = errors(script(SPOKEN_S), heard)
    assert wrong.rate <= 0.08, heard
    spans = [each["media"] for each in found]
    for before, after in itertools.pairwise(spans):
        assert isinstance(before, dict)
        assert isinstance(after, dict)
        assert before["end_s"] <= after["start_s"] + 0.05, "no word is told twice"
    assert {each["model"] for each in found} == {MODEL}


@pytest.mark.parametrize("blow", ["kill", "freeze"])
def test_a_worker_lost_in_mid_sentence_leaves_a_timeline_that_is_complete_a_little_later(
    tmp_path: Path, blow: str
) -> None:
    with hearing(tmp_path, 2 if blow == "freeze" else 1) as (server, key):
        server.speak(key, VOICES / "scene.flac", SPOKEN_S)
        stream_id = server.live_id("camera")
        with server.access() as access:
            screen, other = (server.keep(access.create_token("commander", name)) for name in ("screen", "other"))
        with Captions(server, screen) as shown, Captions(server, other) as unseen, watched(server, stream_id, screen):
            until(lambda: any(not each["is_final"] for each in shown.captions()), "words while somebody speaks")
            until(lambda: server.metric("onrecord_analysis_utterances_total") >= 1, "a first utterance")
            time.sleep(1.2)  # into the next sentence
            os.kill(follower_of(server), signal.SIGKILL if blow == "kill" else signal.SIGSTOP)
            until(lambda: whole(server, stream_id), "all of it analysed", 90)
        check_words(server, stream_id)
        gaps = kinds_of(server, stream_id, "AnalysisGap")
        causes = {each["cause"] for each in gaps}
        assert causes == {"worker_lost"}, "one gap; a busy machine may starve the other worker too"
        closed = kinds_of(server, stream_id, "AnalysisGapClosed")
        assert [each["media"] for each in closed] == [each["media"] for each in gaps]
        assert unseen.captions() == [], "who watches nothing hears nothing"
        finals = [each for each in shown.captions() if each["is_final"]]
        assert finals
        assert all(each["is_demo"] and each["model"] == MODEL for each in finals)
        found = server.ask("/api/v1/search?q=%E5%9B%9E%E9%81%BF").items()
        assert [each["kind"] for each in found] == ["WordsHeard"], "回避 is found, to the second"
        media = found[0]["media"]
        assert isinstance(media, dict)
        assert 16.0 < media["start_s"] < 17.6
        for folder in server.recordings():
            assert onrecord(server.data, "verify", str(folder)).returncode == 0
        assert "执法" not in server.log
        assert "回避" not in server.log


def test_a_worker_elsewhere_takes_its_work_from_redis_and_goes_on_when_redis_was_away(tmp_path: Path) -> None:
    with redis_server() as board, hearing(tmp_path, 0, ONRECORD_REDIS__URL=board.url) as (server, key):
        with server.access() as access:
            token = server.keep(access.create_token("service", "worker"))
        worker = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve", "--role", "worker"],
            env=environment(
                tmp_path / "worker", ONRECORD_REDIS__URL=board.url, ONRECORD_ANALYSE__TOKEN=token,
                ONRECORD_ANALYSE__SERVER_URL=f"http://127.0.0.1:{server.port}",
            ),
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            server.speak(key, VOICES / "scene.flac", SPOKEN_S)
            stream_id = server.live_id("camera")
            until(lambda: server.metric("onrecord_analysis_utterances_total") >= 1, "a first utterance", 30)
            board.stop()  # with all that it remembers
            time.sleep(4)
            board.start()
            until(lambda: whole(server, stream_id), "all of it analysed", 90)
            check_words(server, stream_id)
        finally:
            worker.terminate()
            _, said = worker.communicate(timeout=10)
        assert token not in said
        assert board.password not in said + server.log
        assert "执法" not in said


def follower_of(server: Server) -> int:
    """The worker that reads a stream. On a busy machine there may be two of them, or none, for a moment."""
    found: list[int] = []

    def is_one() -> bool:
        found[:] = [each for each in workers_of(server) if reads_a_stream(server, each)]
        return len(found) == 1

    until(is_one, "one worker reads the stream")
    return found[0]


def reads_a_stream(server: Server, pid: int) -> bool:
    """Whether this worker has a connection to our web port."""
    port = f":{server.port:04X}"
    tcp = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in tcp if row[2].endswith(port)}
    held = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.exists() or path.is_symlink()}
    return any(f"socket:[{inode}]" in held for inode in inodes)


def test_files_are_heard_too_and_another_model_stands_beside_the_first(tmp_path: Path) -> None:
    registry = other_registry(tmp_path)
    clip = tmp_path / "clip.mp4"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", "-i",
         str(VOICES / "sample05.flac"), "-shortest", "-c:v", "libx264", "-g", "10", "-c:a", "aac", str(clip)],
        check=True, timeout=60,
    )  # fmt: skip
    with hearing(tmp_path, 1) as (server, _):
        done = onrecord(server.data, "ingest", str(clip), "--device", "camera", "--case", "1", "--json")
        assert done.returncode == 0, done.stderr
        recording_id = re.search(r'"recording_id": "(\w+)"', done.stdout)[1]  # type: ignore[index]
        until(lambda: bool(all_words(server)), "the file is heard", 60)
        (first,) = all_words(server)
        assert "健康证明" in str(first["text"])
        assert first["model"] == MODEL
        case_id = server.ask("/api/v1/cases").items()[0]["case_id"]
        gaps = server.ask(f"/api/v1/cases/{case_id}/timeline?kinds=AnalysisGap").items()
        assert gaps == [], "what nobody looked at before is no gap"
        again = server.ask(f"/api/v1/recordings/{recording_id}/analyses", "POST", {}).tree()
        assert (again["is_ordered"], again["model"]) == (False, MODEL), "the same model has seen all of it"
        server.stop()
        server.settings["ONRECORD_MODELS__REGISTRY"] = str(registry)
        server.start()
        ordered = onrecord(
            server.data, "analyse", "1", "--model", "other", ONRECORD_MODELS__REGISTRY=str(registry),
            ONRECORD_ANALYSE__STAGES="speech",
        )  # fmt: skip
        assert ordered.returncode == 0, ordered.stderr
        until(lambda: len(all_words(server)) == 2, "the other model's words beside the first", 60)
        assert {each["model"] for each in all_words(server)} == {MODEL, "other@2"}


def all_words(server: Server) -> list[dict[str, object]]:
    case_id = server.ask("/api/v1/cases").items()[0]["case_id"]
    return server.ask(f"/api/v1/cases/{case_id}/timeline?kinds=WordsHeard").items()


def other_registry(folder: Path) -> Path:
    """The demo model twice, the second time under another name, as a site would bring another one."""
    tree = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    demo = next(each for each in tree["models"] if each["name"] == "whisper-demo-zh")
    shutil.copytree(SHIPPED / "whisper-demo-zh", folder / "data" / "models" / "other")
    tree["models"] = [demo, {**demo, "name": "other", "version": "2"}]
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    return path


def test_without_a_model_the_stage_is_off_and_says_why_and_the_rest_works(tmp_path: Path) -> None:
    tree = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    tree["models"] = [each for each in tree["models"] if not each.get("is_demo")]
    (tmp_path / "models.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    registry = {"ONRECORD_MODELS__REGISTRY": str(tmp_path / "models.yaml")}
    settings = {"ONRECORD_ANALYSE__STAGES": "speech", **registry, **DEMO}
    with Server(tmp_path / "data", settings) as server:
        server.publish(server.add_device("camera"))
        server.live_id("camera")
        stages = server.ask("/api/v1/analysis").tree()["stages"]
        assert isinstance(stages, list)
        (stage,) = stages
        assert stage["is_on"] is False
        assert "onrecord models" in stage["why"]
        assert workers_of(server) == []
        assert server.metric("onrecord_analysis_stage_on") == 0
        shutil.copy(FILE, tmp_path / "models.yaml")  # as when somebody brings one
        until(lambda: len(workers_of(server)) == 1, "a model that came is noticed without a restart", 30)
        assert server.metric("onrecord_analysis_stage_on") == 1


def test_the_door_of_workers_is_shut_for_people(server: Server) -> None:
    server.publish(server.add_device("camera"))
    stream_id = server.live_id("camera")
    with server.access() as access:
        service = server.keep(access.create_token("service"))
    url = f"ws://127.0.0.1:{server.port}/live/{stream_id}/ws"
    for token, path, status in (
        (server.token, "?tracks=sound", 403),
        (server.token, "?tracks=work", 403),
        (service, "", 403),
        (service, "?tracks=key", 403),
    ):
        with pytest.raises(InvalidStatus, match=str(status)):
            connect(url + path, additional_headers={"Authorization": f"Bearer {token}"})
    before = server.metric("onrecord_views_total")
    with connect(url + "?tracks=sound", additional_headers={"Authorization": f"Bearer {service}"}) as socket:
        tracks = json.loads(socket.recv(timeout=5))
        assert tracks["mime"] == 'video/mp4; codecs="mp4a.40.2"'
        assert isinstance(socket.recv(timeout=5), bytes)
        assert server.stream_of("camera")["viewers"] == 0  # type: ignore[index]
    with connect(url + "?tracks=work", additional_headers={"Authorization": f"Bearer {service}"}) as socket:
        assert "avc1" in json.loads(socket.recv(timeout=5))["mime"]
        assert server.stream_of("camera")["viewers"] == 0  # type: ignore[index]
    assert server.metric("onrecord_views_total") == before, "a worker's view is none of a person"
