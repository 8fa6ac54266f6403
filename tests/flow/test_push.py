"""Publishing by HTTP: Debian's ffmpeg by every container; publishers and children that misbehave."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import BUSY_S, Server, until
from tests.tools import needs

FORMS = {
    "mpegts": ["-f", "mpegts"],
    "flv": ["-f", "flv", "-flvflags", "no_duration_filesize"],
    "fmp4": ["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"],
}
PICTURES = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25"]
SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
CODED = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac"]
SILENCE_S = 2.0

pytestmark = needs("ffmpeg", "ffprobe")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("push") / "data"
    with Server(data, {"ONRECORD_PUSH__SILENCE_TIMEOUT_S": str(SILENCE_S)}) as made:
        yield made


def ffmpeg(server: Server, key: str, *words: str) -> subprocess.Popen[bytes]:
    url = f"http://127.0.0.1:{server.port}/ingest/{key}"
    return subprocess.Popen(["ffmpeg", "-v", "error", *words, "-method", "POST", url], stderr=subprocess.PIPE)


def seconds(server: Server, stream_id: str) -> list[float]:
    """The length of each file of the stream; ffprobe must have nothing to say."""
    found = []
    for manifest in server.data.rglob("manifest.jsonl"):
        if stream_id in manifest.read_text():
            for file in sorted(manifest.parent.glob("*.mp4")):
                words = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(file)]
                probe = subprocess.run(["ffprobe", *words], capture_output=True, text=True, timeout=20)
                assert not probe.stderr
                found.append(float(probe.stdout))
    return found


def ended(server: Server, name: str) -> str:
    until(lambda: (server.stream_of(name) or {}).get("state") == "ended", f"{name} ended")
    return str((server.stream_of(name) or {})["stream_id"])


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("form", FORMS)
def test_ffmpeg_publishes_by_post_and_all_of_it_is_recorded(server: Server, form: str, b_frames: int) -> None:
    name = f"{form} {b_frames}"
    key = server.add_device(name)
    run = ffmpeg(server, key, *PICTURES, *SOUND, "-t", "3", *CODED, "-bf", str(b_frames), *FORMS[form])
    _, error = run.communicate(timeout=30)
    assert run.returncode == 0, error
    lengths = seconds(server, ended(server, name))
    assert sum(lengths) == pytest.approx(3.0, abs=0.2), lengths
    stream = server.stream_of(name) or {}
    assert str(stream["video"]).count("avc1")
    assert str(stream["audio"]).count("mp4a")


@pytest.mark.parametrize("form", FORMS)
def test_pictures_alone_and_sound_that_comes_late_are_taken(server: Server, form: str) -> None:
    for name, words in {
        f"{form} mute": [*PICTURES, "-t", "2"],
        f"{form} late": [*PICTURES, "-itsoffset", "1", *SOUND, "-t", "2"],
    }.items():
        run = ffmpeg(server, server.add_device(name), *words, *CODED, *FORMS[form])
        _, error = run.communicate(timeout=30)
        assert run.returncode == 0, error
        lengths = seconds(server, ended(server, name))  # a new track begins a new file, which may overlap
        assert 1.9 < sum(lengths) < 3.1, lengths
        assert len(lengths) <= 2


def test_h265_and_opus_in_a_transport_stream_are_carried(server: Server) -> None:
    coded = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-g", "25", "-c:a", "libopus"]
    run = ffmpeg(server, server.add_device("hevc"), *PICTURES, *SOUND, "-t", "2", *coded, *FORMS["mpegts"])
    _, error = run.communicate(timeout=40)
    assert run.returncode == 0, error
    assert sum(seconds(server, ended(server, "hevc"))) == pytest.approx(2.0, abs=0.3)
    assert "hvc1" in str((server.stream_of("hevc") or {})["video"])


def live(server: Server, name: str, key: str) -> tuple[subprocess.Popen[bytes], str]:
    run = ffmpeg(server, key, "-re", *PICTURES, *SOUND, "-t", "30", *CODED, *FORMS["mpegts"])
    return run, server.live_id(name)


def children(server: Server) -> list[int]:
    path = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [pid for pid in map(int, path.read_text().split()) if b"ingest.demux" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_killed_child_costs_its_own_stream_which_may_come_back_as_the_same(server: Server) -> None:
    key = server.add_device("killed")
    other, other_id = live(server, "other", server.add_device("other"))
    before = children(server)
    run, stream_id = live(server, "killed", key)
    [pid] = set(children(server)) - set(before)
    os.kill(pid, signal.SIGKILL)
    until(lambda: (server.stream_of("killed") or {})["state"] == "reconnecting", "the loss is known")
    run.wait(30)
    again, again_id = live(server, "killed", key)
    assert again_id == stream_id
    assert (server.stream_of("other") or {})["state"] == "live"
    assert server.live_id("other") == other_id
    for each in (other, again):
        each.terminate()
        each.wait(30)
    assert "SIGKILL" in server.log


def test_a_child_that_hangs_is_cut_at_the_deadline(server: Server) -> None:
    run, _ = live(server, "hung", server.add_device("hung"))
    pid = children(server)[-1]
    os.kill(pid, signal.SIGSTOP)
    took_s = until(lambda: (server.stream_of("hung") or {})["state"] == "reconnecting", "cut", SILENCE_S + 5)
    assert took_s < SILENCE_S + 2
    run.wait(30)
    until(lambda: pid not in children(server), "the child is gone")


def post(server: Server, key: str, body: bytes | Iterator[bytes], kind: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    headers = {"Content-Type": kind} if kind else {}
    with contextlib.suppress(OSError):  # it may answer and close before we are done
        connection.request("POST", f"/ingest/{key}", body, headers, encode_chunked=not isinstance(body, bytes))
    answer = connection.getresponse()
    try:
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_wrong_key_is_told_within_a_second_and_never_said_again(server: Server) -> None:
    began_s = time.monotonic()
    status, text = post(server, server.keep("s3cret-wrong-key"), b"\x47" * 188)
    assert (status, time.monotonic() - began_s < 1.0 + BUSY_S) == (401, True)
    assert json.loads(text)["remedy"]
    assert "s3cret" not in text
    assert not any(secret in server.log for secret in server.secrets)


def test_what_is_no_media_is_refused_with_a_remedy(server: Server) -> None:
    key = server.add_device("nonsense")
    status, text = post(server, key, b"#EXTM3U\n" * 10)
    assert (status, "MPEG-TS" in json.loads(text)["remedy"]) == (415, True)
    assert post(server, key, b"\x47" * 5000, "video/mp2t")[0] == 415
    assert post(server, key, b"FLX" * 500, "video/x-flv")[0] == 400
    assert post(server, key, b"\0\0\0\x18ftypisom" + bytes(3000))[0] == 415


def test_a_second_publisher_with_the_same_key_is_refused(server: Server) -> None:
    key = server.add_device("twice")
    run, _ = live(server, "twice", key)
    assert post(server, key, b"\x47" * 188)[0] == 409
    run.terminate()
    run.wait(30)


def test_a_body_that_trickles_wins_no_time(server: Server) -> None:
    def drops() -> Iterator[bytes]:
        for _ in range(100):
            yield b"\x47"
            time.sleep(0.1)

    began_s = time.monotonic()
    key = server.add_device("slow")
    status, text = post(server, key, drops())
    assert SILENCE_S - 0.5 < time.monotonic() - began_s < SILENCE_S + 2
    assert (status, "silence_timeout_s" in text) == (400, True)


def test_a_publisher_that_breaks_off_leaves_no_child_behind(server: Server) -> None:
    before = set(children(server))
    run, _ = live(server, "gone", server.add_device("gone"))
    run.kill()
    run.wait()
    until(lambda: set(children(server)) <= before, "its child is gone")
    until(lambda: (server.stream_of("gone") or {})["state"] == "reconnecting", "the loss is known")


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_body_sent_at_once_by_a_publisher_that_does_not_wait_is_recorded_to_its_end(
    server: Server, is_chunked: bool, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.ts"
    words = [*PICTURES, *SOUND, "-t", "2", *CODED, "-f", "mpegts", str(clip)]
    subprocess.run(["ffmpeg", "-v", "error", *words], check=True, timeout=30)
    body = clip.read_bytes()
    for number in range(5):  # it is a race
        name = f"hasty {is_chunked} {number}"
        key = server.add_device(name)
        length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(body)}"
        head = f"POST /ingest/{key} HTTP/1.1\r\nHost: x\r\nContent-Type: video/mp2t\r\n{length}\r\n\r\n".encode()
        sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            peer.sendall(head + sent)
        assert sum(seconds(server, ended(server, name))) == pytest.approx(2.0, abs=0.2)
