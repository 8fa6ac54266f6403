"""Cameras that are pulled by RTSP: GStreamer's server as the camera, ffprobe and our verifier as the judges."""

import contextlib
import json
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.video.frame import VideoFrame

from tests.serving import Server, onrecord, until
from tests.tools import needs

CAMERA = Path(__file__).with_name("rtsp_server.py")
PYTHON = "/usr/bin/python3"
PASSWORD = "p4ss-w0rd-XY"
FIND = "import gi; gi.require_version('GstRtspServer', '1.0')"


def has_gstreamer_server() -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run([PYTHON, "-c", FIND], capture_output=True).returncode == 0
    return False


pytestmark = [
    needs("ffprobe"),
    pytest.mark.skipif(
        not has_gstreamer_server(), reason="not installed: gir1.2-gst-rtsp-server-1.0, python3-gi (make system)"
    ),
]


class Camera:
    """A process with GStreamer's RTSP server."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [PYTHON, str(CAMERA), *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def url(self, path: str, user: str = "") -> str:
        return f"rtsp://{user + '@' if user else ''}127.0.0.1:{self.port}{path}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextlib.contextmanager
def camera(*words: str) -> Iterator[Camera]:
    made = Camera(*words)
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "ONRECORD_PULL__ALLOWED_HOSTS": "127.0.0.1",
        "ONRECORD_PULL__SILENCE_TIMEOUT_S": "4",
        "ONRECORD_PULL__CONNECT_TIMEOUT_S": "4",
        "ONRECORD_PULL__RETRY_MAX_S": "2",
    }
    with Server(tmp_path_factory.mktemp("pull") / "data", settings) as made:
        yield made


@pytest.fixture(scope="module")
def plain() -> Iterator[Camera]:
    with camera() as made:
        yield made


def pull(server: Server, name: str, url: str, *more: str) -> str:
    """The id of the new device."""
    said = onrecord(server.data, "device", "add", name, "--pull", url, "--json", *more)
    assert said.returncode == 0, said.stderr
    row = json.loads(said.stdout)
    assert "stream_key" not in row
    return str(row["device_id"])


def stop(server: Server, name: str) -> None:
    assert onrecord(server.data, "device", "revoke", name).returncode == 0
    until(lambda: (server.stream_of(name) or {"state": "ended"})["state"] == "ended", f"{name} ended")


def folder(server: Server, name: str) -> Path:
    stream_id = str((server.stream_of(name) or {})["stream_id"])
    [found] = [each for each in server.recordings() if stream_id in (each / "manifest.jsonl").read_text()]
    return found


def probe(server: Server, name: str) -> list[dict[str, str]]:
    """The streams of the first file; ffprobe has nothing to say, and the verifier finds the folder whole."""
    file = folder(server, name) / "0000.mp4"
    until(lambda: onrecord(server.data, "verify", str(file.parent)).returncode == 0, f"{name} verifies")
    words = ["-v", "warning", "-show_streams", "-of", "json", str(file)]
    said = subprocess.run(["ffprobe", *words], capture_output=True, text=True, timeout=20)
    assert not said.stderr
    streams: list[dict[str, str]] = json.loads(said.stdout)["streams"]
    return streams


def long_enough(server: Server, name: str) -> None:
    stream_id = server.live_id(name)
    until(lambda: server.metric(f"onrecord_stream_key_frames_total{{.*{stream_id}") >= 3, f"{name} has 3 key frames")


PATHS = {
    "/h264": ["h264"],
    "/bframes": ["h264", "aac"],
    "/h265": ["hevc", "aac"],
    "/alaw": ["h264", "flac"],
    "/opus": ["h264", "opus"],
    "/Streaming/Channels/101": ["h264", "flac"],
    "/cam/realmonitor?channel=1&subtype=0": ["hevc", "aac"],
}


def test_every_codec_is_pulled_over_tcp_recorded_whole(server: Server, plain: Camera) -> None:
    """All at once: a new source begins within 2 s, and the record says that the device was pulled."""
    for path in PATHS:
        pull(server, path, plain.url(path))
    for path in PATHS:
        long_enough(server, path)
    offsets_s: dict[str, list[float | None]] = {}
    for path, codecs in PATHS.items():
        stop(server, path)
        streams = probe(server, path)
        assert [each["codec_name"] for each in streams] == codecs, path
        assert int(str(streams[0]["has_b_frames"])) == (2 if path == "/bframes" else 0)
        lines = (folder(server, path) / "manifest.jsonl").read_text().splitlines()
        assert not any(json.loads(line).get("gaps") for line in lines), path
        offsets_s[path] = [json.loads(line)["device_offset_s"] for line in lines if '"type":"segment"' in line]
    said = [offset_s for each in offsets_s.values() for offset_s in each if offset_s is not None]
    assert said, "a camera tells its clock in its sender reports, some seconds after it began"
    assert max(map(abs, said)) < 1.0, "it shares our machine's clock"


def beats(file: Path) -> tuple[list[float], list[float]]:
    """When the picture turns bright, and when the sound sets in."""
    turns: list[float] = []
    tones: list[float] = []
    with av.open(str(file)) as box:
        was_dark = False
        heard_s = 0.0
        for frame in box.decode():
            if isinstance(frame, VideoFrame):
                is_dark = sum(bytes(frame.reformat(format="gray").planes[0])[:100]) < 100 * 128
                if was_dark and not is_dark:
                    turns.append(frame.time or 0.0)
                was_dark = is_dark
            elif isinstance(frame, AudioFrame):
                [plane] = AudioResampler(format="flt", layout="mono").resample(frame)
                samples = struct.unpack(f"<{plane.samples}f", bytes(plane.planes[0])[: 4 * plane.samples])
                loud = [at for at, sample in enumerate(samples) if abs(sample) > 0.1]
                if loud and (frame.time or 0.0) - heard_s > 0.5:
                    tones.append((frame.time or 0.0) + loud[0] / frame.sample_rate)
                heard_s = (frame.time or 0.0) if loud else heard_s
    return turns, tones


def test_the_sound_of_a_moment_lies_within_40_ms_of_its_picture(server: Server) -> None:
    """The camera turns bright as it sets in to sound, every other second; both are looked for in the recording.

    Each camera begins with our connection, the hardest case: what it says of its times at first is wrong, and only its
    sender reports tell where sound belongs.
    """
    names = [f"{path} {transport}" for transport in ("tcp", "udp") for path in ("/beat", "/beat/opus")]
    with camera() as by_tcp, camera() as by_udp:
        cameras = {"tcp": by_tcp, "udp": by_udp}
        for name in names:
            path, _, transport = name.partition(" ")
            pull(server, name, cameras[transport].url(path), "--transport", transport)
        for name in names:
            until(lambda n=name: server.stream_of(n) is not None, "live")  # type: ignore[misc]  # mypy infers no default of a lambda
            stream_id = server.live_id(name)
            until(lambda i=stream_id: server.metric(f"onrecord_stream_key_frames_total{{.*{i}") >= 8, "8 s")  # type: ignore[misc]
        for name in names:
            stop(server, name)
    for name in names:
        turns, tones = beats(folder(server, name) / "0000.mp4")
        off_s = [min((tone - turn for tone in tones), key=abs) for turn in turns[:-1]]  # the last may have no sound yet
        assert len(off_s) >= 2, (name, turns, tones)
        assert max(map(abs, off_s)) < 0.04, (name, off_s)


def test_udp_is_taken_when_it_is_asked_for_and_when_a_server_refuses_tcp(server: Server, plain: Camera) -> None:
    pull(server, "udp", plain.url("/aac"), "--transport", "udp")
    with camera("udp") as stubborn:
        pull(server, "stubborn", stubborn.url("/aac"))
        for name in ("udp", "stubborn"):
            long_enough(server, name)
            stop(server, name)
            assert [each["codec_name"] for each in probe(server, name)] == ["h264", "aac"]


def test_a_password_opens_by_digest_and_a_wrong_or_clear_one_is_told_and_nothing_is_leaked(server: Server) -> None:
    with camera("digest") as digest, camera("basic") as basic:
        pull(server, "right", digest.url("/h264", f"camera:{PASSWORD}"))
        pull(server, "wrong", digest.url("/h264?token=qu3ry-s3cret", "camera:wr0ng-s3cret"))
        pull(server, "clear", basic.url("/h264", f"camera:{PASSWORD}"))
        server.live_id("right")
        until(lambda: "refuses the user and password" in server.log, "the wrong one is told")
        until(lambda: "allow_basic_without_tls" in server.log, "the clear one is told")
        listed = onrecord(server.data, "device", "list")
        as_json = onrecord(server.data, "device", "list", "--json")
        said = [server.log, listed.stdout, as_json.stdout, server.ask("/metrics").body.decode()]
        said += [server.ask("/api/v1/streams").body.decode(), listed.stderr, as_json.stderr]
        said += [path.read_text() for path in server.data.rglob("manifest.jsonl")]
        for secret in (PASSWORD, "wr0ng-s3cret", "qu3ry-s3cret", "camera:"):
            assert not any(secret in text for text in said), secret
        assert server.stream_of("wrong") is None
        assert server.stream_of("clear") is None
        for name in ("right", "wrong", "clear"):
            stop(server, name)


def test_a_camera_that_is_killed_and_comes_back_is_the_same_stream(server: Server) -> None:
    first = Camera()
    try:
        pull(server, "again", first.url("/aac"))
        stream_id = server.live_id("again")
        first.kill()
        until(lambda: (server.stream_of("again") or {})["state"] == "reconnecting", "the loss is known")
        with camera(f"port={first.port}"):
            assert server.live_id("again") == stream_id
            long_enough(server, "again")
            stop(server, "again")
            probe(server, "again")
            assert "publisher_lost" in (folder(server, "again") / "manifest.jsonl").read_text()
    finally:
        first.kill()


HOSTILE = {
    "redirects": b"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://127.0.0.1:%d/canary\r\n\r\n",
    "giant head": b"RTSP/1.0 200 OK\r\nX: " + b"a" * 100_000,
    "endless body": b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n",
    "bad lengths": b"$\x00\xff\xff" + b"\0" * 200_000,
    "asks back for ever": b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 20_000,
    "long numbers": b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\nRTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 5018\r\n\r\n"
    b"m=video 0 RTP/AVP " + b"9" * 5000,
    "no rtsp": b"\x16\x03\x01 hello",
    "bad sdp": b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\nRTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 7\r\n\r\nm=x y z",
}


def test_a_server_that_means_harm_costs_its_own_source_and_a_redirect_is_never_followed(
    server: Server, plain: Camera
) -> None:
    pull(server, "bystander", plain.url("/h264"))
    stream_id = server.live_id("bystander")
    with socket.create_server(("127.0.0.1", 0)) as canary, contextlib.ExitStack() as stack:
        canary.settimeout(0.5)
        for name, answer in HOSTILE.items():
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            said = answer.replace(b"%d", str(canary.getsockname()[1]).encode()) if name == "redirects" else answer
            threading.Thread(target=serve, args=(listener, said), daemon=True).start()
            pull(server, name, f"rtsp://127.0.0.1:{listener.getsockname()[1]}/a")
        for words in ("redirects (302)", "RTSP head of more", "body of 99999999", "neither RTSP", "offers no H.264"):
            until(lambda words=words: words in server.log, words)  # type: ignore[misc]  # mypy infers no default of a lambda
        with pytest.raises(TimeoutError):
            canary.accept()
        for name in HOSTILE:
            stop(server, name)
    assert server.live_id("bystander") == stream_id
    assert server.metric("onrecord_stream_gaps_total{.*" + stream_id) == 0
    stop(server, "bystander")


def serve(listener: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):
                first, mark, second = answer.partition(b"\r\n\r\nRTSP")
                for part in (first + mark[:4], mark[4:] + second):
                    peer.recv(1000)
                    peer.sendall(part)
                peer.settimeout(5)
                while peer.recv(1000):
                    pass


def test_a_private_address_is_refused_unless_the_settings_allow_it(tmp_path: Path, plain: Camera) -> None:
    with Server(tmp_path / "data") as closed:
        pull(closed, "private", plain.url("/h264"))
        until(lambda: "pull.allowed_hosts" in closed.log, "the refusal is told")
        assert closed.streams() == []
        said = onrecord(closed.data, "device", "add", "file", "--pull", "file:///etc/passwd")
        assert said.returncode == 1
        assert "passwd" not in said.stderr
