"""A real server as a child process in a folder of its own, and what outsiders do with it: publish, ask, watch."""

import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from types import TracebackType

from cases.access import Access

START_S = 120.0  # of a machine that does much else
WAIT_S = 60.0
BUSY_S = 8.0  # what a machine that does much else may add to what is promised


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, also of an error."""

    status: int
    headers: Message
    body: bytes

    def tree(self) -> dict[str, object]:
        tree: dict[str, object] = json.loads(self.body)
        return tree

    def items(self) -> list[dict[str, object]]:
        items: list[dict[str, object]] = json.loads(self.body)["items"]
        return items


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _opener(trust: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=trust))


def environment(data: Path, **more: str) -> dict[str, str]:
    """What a child `onrecord` needs to use `data` and free ports only."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ONRECORD_")}
    return {
        **ours,
        "ONRECORD_DATA": str(data),
        "ONRECORD_API__HOST": "127.0.0.1",
        "ONRECORD_API__PORT": "0",
        "ONRECORD_RTMP__HOST": "127.0.0.1",
        "ONRECORD_RTMP__PORT": "0",
        "ONRECORD_LOG__FORMAT": "json",
        "ONRECORD_ANALYSE__STAGES": "",  # those that try it turn it on
        **more,
    }


def onrecord(data: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One command of the program, run to its end."""
    command = [sys.executable, "-m", "api.cli", *arguments]
    return subprocess.run(command, env=environment(data, **more), capture_output=True, text=True, timeout=60)


def until(condition: Callable[[], bool], what: str, limit_s: float = WAIT_S) -> float:
    """Wait for what another process does in its own time; how long it took."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < limit_s, f"not within {limit_s} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - began_s


@dataclass
class Server:
    """`onrecord serve` on free ports. Use it as a context: what it started is gone afterwards."""

    data: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = 0
    rtmp_port: int = 0
    token: str = ""
    rtmps_port: int = 0
    trust: ssl.SSLContext | None = None
    """Whom a client of HTTPS trusts; None: plain HTTP."""
    secrets: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _publishers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> "Server":
        try:
            self.start()
        except BaseException:  # without it, one that is not ready in time would run on
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for publisher in self._publishers:
            publisher.kill()
            publisher.wait()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def log(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start it and wait until it is ready; also again after an end."""
        with self.access() as access:
            self.token = self.keep(access.create_token("commander", "test"))
        path = self.data.parent / f"{self.data.name}.log"
        with path.open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "api.cli", "serve"],
                env=environment(self.data, **self.settings),
                stdout=log,
                stderr=log,
            )

        def is_ready() -> bool:
            assert self.process.poll() is None, self.log[-2000:]
            for line in path.read_bytes()[before:].decode().splitlines():
                if '"event": "ready"' in line:
                    ready = json.loads(line)
                    self.port, self.rtmp_port = int(ready["url"].rpartition(":")[2]), int(ready["rtmp_port"])
                    self.rtmps_port = int(ready["rtmps_port"] or 0)
                    return True
            return False

        until(is_ready, "ready", START_S)

    def stop(self) -> float:
        """SIGTERM; seconds until it was gone."""
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)
        return time.monotonic() - began_s

    @contextlib.contextmanager
    def access(self) -> Iterator[Access]:
        with contextlib.closing(Access.of(self.data)) as access:
            yield access

    def keep(self, secret: str) -> str:
        """Remember `secret` so that a test can look for it where it must not be."""
        self.secrets.append(secret)
        return secret

    def add_device(self, name: str) -> str:
        with self.access() as access:
            return self.keep(access.add_device(name, "officer", "unit")[1])

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: Mapping[str, object] | None = None,
        token: str | None = None,
        **headers: str,
    ) -> Answer:
        """One request; token: "" for a stranger, None for ours."""
        scheme = "http" if self.trust is None else "https"
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{self.port}{path}", method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token != "":
            request.add_header("Authorization", f"Bearer {token or self.token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with _opener(self.trust).open(request, timeout=15) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def streams(self) -> list[dict[str, object]]:
        return self.ask("/api/v1/streams").items()

    def stream_of(self, name: str) -> dict[str, object] | None:
        return next((each for each in reversed(self.streams()) if each["device_name"] == name), None)

    def live_id(self, name: str) -> str:
        """The id of the device's stream, once it is live and a key frame came."""

        def is_live() -> bool:
            stream = self.stream_of(name)
            return stream is not None and stream["state"] == "live" and stream["last_keyframe_at"] is not None

        until(is_live, f"{name} is live")
        stream = self.stream_of(name)
        assert stream is not None
        return str(stream["stream_id"])

    def ticket(self, stream_id: str, token: str | None = None) -> str:
        answer = self.ask(f"/api/v1/streams/{stream_id}/ticket", "POST", token=token)
        assert answer.status == 201, answer.body
        return self.keep(str(answer.tree()["ticket"]))

    def watch_url(self, stream_id: str, ticket: str) -> str:
        scheme = "ws" if self.trust is None else "wss"
        return f"{scheme}://127.0.0.1:{self.port}/live/{stream_id}/ws?ticket={ticket}"

    def publish(self, key: str, size: str = "320x240", *, is_tls: bool = False) -> subprocess.Popen[bytes]:
        """Debian's ffmpeg sends a test picture and a tone, in real time, until it is killed."""
        door = f"rtmps://127.0.0.1:{self.rtmps_port}" if is_tls else f"rtmp://127.0.0.1:{self.rtmp_port}"
        process = subprocess.Popen(
            [
                "ffmpeg", "-loglevel", "error", "-re", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25",
                "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-threads", "1",
                "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-b:v", "300k",
                "-c:a", "aac", "-f", "flv", f"{door}/live/{key}",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._publishers.append(process)
        return process

    def speak(self, key: str, sound: Path, seconds: float) -> subprocess.Popen[bytes]:
        """Debian's ffmpeg sends a test picture and the first seconds of a sound file, in real time."""
        process = subprocess.Popen(
            [
                "ffmpeg", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10",
                "-re", "-i", str(sound), "-t", str(seconds), "-threads", "1", "-c:v", "libx264", "-preset", "ultrafast",
                "-tune", "zerolatency", "-g", "10", "-b:v", "100k", "-c:a", "aac", "-b:a", "64k", "-ar", "48000",
                "-f", "flv", f"rtmp://127.0.0.1:{self.rtmp_port}/live/{key}",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._publishers.append(process)
        return process

    def recordings(self) -> list[Path]:
        return sorted(path.parent for path in (self.data / "recordings").rglob("manifest.jsonl"))

    def metric(self, pattern: str) -> float:
        """The sum of the lines of /metrics whose name and labels match."""
        page = self.ask("/metrics", token="").body.decode()
        return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if re.match(pattern, line))


def allow(server: Server, wanted: Mapping[str, object], asked_with: str = "") -> dict[str, object]:
    """Have an approval asked for with one token and given with those of others, as many as it needs."""
    answer = server.ask("/api/v1/approvals", "POST", {"purpose": "test", **wanted}, token=asked_with or None)
    assert answer.status == 201, answer.body
    approval = answer.tree()
    for number in range(int(str(approval["needed"]))):
        with server.access() as access:
            judge = server.keep(access.create_token("archivist", f"judge {number}"))
        where = f"/api/v1/approvals/{approval['approval_id']}/decision"
        answer = server.ask(where, "POST", {"verdict": "approved"}, token=judge)
        assert answer.status == 200, answer.body
    return answer.tree()
