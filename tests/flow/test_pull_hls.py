"""HLS sources that are pulled: folders as Debian's ffmpeg writes them, and servers that mean harm."""

import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.serving import Server, onrecord, until
from tests.tools import needs

pytestmark = needs("ffmpeg", "ffprobe")

PICTURES = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25"]
SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
CODED = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac"]
FORMS = {
    "ts": [],
    "fmp4": ["-hls_segment_type", "fmp4"],
    "ranges": ["-hls_flags", "single_file"],
    "fmp4 ranges": ["-hls_segment_type", "fmp4", "-hls_flags", "single_file"],
}
PASSWORD = "p4ss-w0rd-XY"


class _Folder(SimpleHTTPRequestHandler):
    """Files, and byte ranges of them. Paths under /locked/ ask for a password by Digest."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        told = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if self.path.startswith("/locked/") and "username=" not in self.headers.get("Authorization", ""):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif told is None:
            super().do_GET()
        else:
            data = path.read_bytes()[int(told[1]) : int(told[2]) + 1]
            self.send_response(206)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server on loopback."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_address[1]}"
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "ONRECORD_PULL__ALLOWED_HOSTS": "127.0.0.1",
        "ONRECORD_PULL__SILENCE_TIMEOUT_S": "3",
        "ONRECORD_PULL__CONNECT_TIMEOUT_S": "2",
        "ONRECORD_PULL__RETRY_MAX_S": "1",
        "ONRECORD_INGEST__RESUME_WINDOW_S": "4",
    }
    with Server(tmp_path_factory.mktemp("pull") / "data", settings) as made:
        yield made


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each form, 4 s in segments of 1 s, ended."""
    root = tmp_path_factory.mktemp("media")
    for form, words in FORMS.items():
        (root / form).mkdir()
        hls = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", *words, str(root / form / "index.m3u8")]
        command = ["ffmpeg", "-v", "error", *PICTURES, *SOUND, "-t", "4", *CODED, *hls]
        subprocess.run(command, check=True, timeout=30, cwd=root / form)
    (root / "locked").symlink_to(root / "ts")
    return root


@pytest.fixture(scope="module")
def folder(media: Path) -> Iterator[str]:
    with serving(partial(_Folder, directory=str(media))) as made:
        yield made


def pull(server: Server, name: str, url: str) -> None:
    said = onrecord(server.data, "device", "add", name, "--pull", url, "--json")
    assert said.returncode == 0, said.stderr


def revoke(server: Server, *names: str) -> None:
    for name in names:
        assert onrecord(server.data, "device", "revoke", name).returncode == 0


def ended(server: Server, name: str, limit_s: float = 20.0) -> Path:
    """The recording of the stream, once it has ended and verifies."""
    until(lambda: (server.stream_of(name) or {}).get("state") == "ended", f"{name} ended", limit_s)
    stream_id = str((server.stream_of(name) or {})["stream_id"])
    [found] = [each for each in server.recordings() if stream_id in (each / "manifest.jsonl").read_text()]
    until(lambda: onrecord(server.data, "verify", str(found)).returncode == 0, f"{name} verifies")
    return found


def packets(folder: Path) -> dict[str, int]:
    """How many packets each kind of track has over all files; ffprobe has nothing to say."""
    found = {"video": 0, "audio": 0}
    for file in sorted(folder.glob("*.mp4")):
        words = ["-v", "error", "-count_packets", "-show_entries", "stream=codec_type,nb_read_packets", "-of", "json"]
        said = subprocess.run(["ffprobe", *words, str(file)], capture_output=True, text=True, timeout=20)
        assert not said.stderr
        for stream in json.loads(said.stdout)["streams"]:
            found[stream["codec_type"]] += int(stream["nb_read_packets"])
    return found


def test_every_form_that_ended_is_recorded_whole_once_and_ends(server: Server, folder: str) -> None:
    """Also behind a password, which goes nowhere else and is told nowhere."""
    names = {form: f"{folder}/{form.replace(' ', '%20')}/index.m3u8" for form in FORMS}
    names["locked"] = f"{folder}/locked/index.m3u8".replace("://", f"://camera:{PASSWORD}@")
    for name, url in names.items():
        pull(server, name, url)
    for name in names:
        counted = packets(ended(server, name))
        assert counted["video"] == 100, name
        assert abs(counted["audio"] - 188) <= 2, name
    until(lambda: "has ended" in server.log, "it is looked at again, and not recorded again")
    for name in names:
        assert len([each for each in server.streams() if each["device_name"] == name]) == 1
    revoke(server, *names)
    said = [server.log, server.ask("/metrics").body.decode(), onrecord(server.data, "device", "list").stdout]
    assert not any(PASSWORD in text for text in said)


def test_a_window_that_slides_is_followed_and_the_highest_variant_that_is_carried_is_taken(
    server: Server, tmp_path: Path
) -> None:
    master = "#EXTM3U\n" + "".join(
        f'#EXT-X-STREAM-INF:BANDWIDTH={rate},CODECS="{codecs}"\n{uri}\n'
        for rate, codecs, uri in [
            (9_000_000, "vp09.00.10.08", "/vp9.m3u8"),
            (200_000, "avc1.42c01e,mp4a.40.2", "index.m3u8"),
            (100_000, "avc1.42c01e,mp4a.40.2", "/low.m3u8"),
        ]
    )
    (tmp_path / "master.m3u8").write_text(master)
    hls = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "4", "-hls_flags", "delete_segments"]
    words = ["ffmpeg", "-v", "error", "-re", *PICTURES, *SOUND, "-t", "9", *CODED, *hls, str(tmp_path / "index.m3u8")]
    run = subprocess.Popen(words)
    until((tmp_path / "index3.ts").exists, "a window of segments")
    with serving(partial(_Folder, directory=str(tmp_path))) as address:
        pull(server, "window", f"{address}/master.m3u8")
        server.live_id("window")
        run.wait(20)
        found = ended(server, "window")
        counted = packets(found)
        assert counted["video"] in range(150, 226, 25)  # from three target durations before the edge to the end
        gaps = [json.loads(line).get("gaps") for line in (found / "manifest.jsonl").read_text().splitlines()]
        assert not any(gaps)
        revoke(server, "window")


def test_what_does_not_go_on_is_told_to_the_demuxer_as_a_body_of_its_own(
    server: Server, media: Path, tmp_path: Path
) -> None:
    """Two init segments in one playlist, and a segment that is gone by name."""
    for name in ("fmp4", "ts"):
        (tmp_path / name).symlink_to(media / name)
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:7"]
    for begin in ("fmp4/init.mp4", "fmp4/init.mp4?again"):
        lines += ["#EXT-X-DISCONTINUITY", f'#EXT-X-MAP:URI="{begin}"']
        for number in range(2):
            lines += ["#EXTINF:1.0,", f"fmp4/index{number}.m4s"]
    (tmp_path / "index.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    with serving(partial(_Folder, directory=str(tmp_path))) as address:
        pull(server, "broken", f"{address}/index.m3u8")
        assert packets(ended(server, "broken"))["video"] == 100
        revoke(server, "broken")


HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
LIVE = HEAD + "#EXTINF:1,\n/segment.ts\n"
HOSTILE = {
    "redirects": ("", "redirects (302)"),
    "private": (HEAD + "#EXTINF:1,\nhttp://127.0.0.2/a.ts\n", "pull.allowed_hosts"),
    "file": (HEAD + "#EXTINF:1,\nfile:///etc/passwd\n", "are not pulled"),
    "rtsp": (HEAD + "#EXTINF:1,\nrtsp://127.0.0.1/a\n", "may not be followed"),
    "encrypted": (HEAD + '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:1,\na.ts\n', "encrypted (AES-128)"),
    "sample": (HEAD + '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"\n#EXTINF:1,\na.ts\n', "encrypted (SAMPLE-AES)"),
    "giant": (HEAD + "#EXTINF:1,\na.ts\n" * 100_000, "HTTP body of more than"),
    "no playlist": ("<html>", "is no playlist"),
    "squeezed": (LIVE, "compressed body"),
    "trickles": (LIVE, "is not read whole within"),
    "endless": (LIVE.replace("segment", "endless"), ""),
    "never changes": (LIVE, "no media within 3 s"),
    "head": (LIVE, "HTTP head of more"),
    "nonsense": (LIVE, "is no HTTP"),
}


class _Hostile(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.strip("/").removesuffix(".m3u8").replace("%20", " ")
        with contextlib.suppress(OSError):
            if name == "redirects":
                self.answer(b"", 302, {"Location": f"http://{self.headers['Host']}/canary"})
            elif name == "canary":
                self.server.__dict__["canary"] = True
            elif name == "squeezed":
                self.answer(LIVE.encode(), headers={"Content-Encoding": "gzip"})
            elif name == "head":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40_000)
            elif name == "nonsense":
                self.wfile.write(b"\x16\x03\x01 hello")
            elif name == "segment.ts":
                self.answer(self.segment())
            elif name == "endless.ts":
                self.pour()
            elif name == "trickles":
                self.trickle()
            else:
                self.answer(HOSTILE[name][0].encode())

    def segment(self) -> bytes:
        raise NotImplementedError

    def answer(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def pour(self) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"\x47\x1f\xff\x10" + bytes(184))  # packets that say nothing
            time.sleep(0.001)

    def trickle(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for byte in LIVE * 9:
            self.wfile.write(byte.encode())
            time.sleep(0.2)

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_means_harm_costs_its_own_source_and_a_redirect_is_never_followed(
    server: Server, media: Path
) -> None:
    segment = (media / "ts" / "index0.ts").read_bytes()
    handler = type("Handler", (_Hostile,), {"segment": lambda _: segment})
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    publisher = server.add_device("bystander")
    post = ["ffmpeg", "-v", "error", "-re", *PICTURES, *SOUND, "-t", "60", *CODED, "-f", "flv"]
    bystander = subprocess.Popen([*post, f"rtmp://127.0.0.1:{server.rtmp_port}/live/{publisher}"])
    try:
        stream_id = server.live_id("bystander")
        for name in HOSTILE:
            address = f"http://127.0.0.1:{made.server_address[1]}"
            pull(server, f"hostile {name}", f"{address}/{name.replace(' ', '%20')}.m3u8")
        for name, (_, words) in HOSTILE.items():
            until(lambda words=words: words in server.log, f"{name}: {words}")  # type: ignore[misc]  # mypy infers no default of a lambda
        until(lambda: server.log.count("no media within 3 s") >= 3, "the endless one is cut too, again and again")
        assert "canary" not in made.__dict__
        revoke(server, *(f"hostile {name}" for name in HOSTILE))
        assert (server.stream_of("bystander") or {})["state"] == "live"
        assert server.metric("onrecord_stream_gaps_total{.*" + stream_id) == 0
    finally:
        bystander.kill()
        bystander.wait()
        made.shutdown()
        made.server_close()
