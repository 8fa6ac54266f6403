"""Playing an hour of recording under an approval: what 50 viewers cost, how soon a picture and a seek come."""

import http.client
import json
import os
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from api.bench.latency import browser_page
from api.bench.server import BenchServer
from cases.access import Access
from pipeline.errors import WorkerFailed

_MINUTES = 60
_BITRATE_BPS = 2_000_000
_VIEWERS = 50
_WINDOW_S = 20.0
_TURNS = 60
_BROWSER_TURNS = 30
_SEED = 6
_METHOD = (
    "playback: one recording of {minutes} min (H.264 1280x720, 25 pictures/s, a key frame every 2 s, about 2 Mbit/s with AAC) "
    "put in by `onrecord ingest`, the approval names all of it, files in the page cache. viewers_core_share: CPU of the "
    "server process while {viewers} tokens each play the hour from a random second on, read at the pace of the media for "
    "{window} s; its CPU without them subtracted. start_ms: GET of …/media from a random second to the end, until its first "
    "whole picture is read. seek_ms: a range of bytes of the whole hour from a segment of its index on, until its first whole "
    "picture. chromium: a headless Chromium without GPU on the same machine; start: from setting a <video>'s source "
    "(preload=auto, as the pages have it) to `loadeddata`, a new element from a random second on each time; seek: from setting currentTime to `seeked`, random "
    "moments of the whole hour, given up after 10 s."
)
_PLAY = """async ([path, length, turns, seed]) => {
    let state = seed;
    const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
    const once = (video, name) => new Promise((done, failed) => {
        video.addEventListener(name, done, {once: true});
        video.addEventListener("error", () => failed(new Error(name)), {once: true});
    });
    const made = () => {
        const video = document.createElement("video");
        video.muted = true;
        video.preload = "auto";
        document.body.append(video);
        return video;
    };
    const start = [], seek = [];
    for (let turn = 0; turn < turns; turn++) {
        const video = made(), at = Math.floor(random() * (length - 120));
        const began = performance.now(), loaded = once(video, "loadeddata");
        video.src = `${path}?start=${at}&end=${length}`;
        await loaded;
        start.push(performance.now() - began);
        video.removeAttribute("src");
        video.load();
        video.remove();
    }
    const video = made(), loaded = once(video, "loadeddata");
    video.src = `${path}?start=0&end=${length}`;
    await loaded;
    for (let turn = 0; turn < turns; turn++) {
        const seeked = once(video, "seeked"), began = performance.now();
        video.currentTime = random() * (length - 1);
        await Promise.race([seeked, new Promise((done) => setTimeout(done, 10000))]);
        seek.push(performance.now() - began);
    }
    return {start, seek};
}"""


def method() -> str:
    return _METHOD.format(minutes=_MINUTES, viewers=_VIEWERS, window=_WINDOW_S)


def run(server: BenchServer) -> dict[str, object]:
    """Raises: WorkerFailed: ffmpeg or Chromium is missing, or something was not served."""
    recording_id = _recorded(server)
    access = Access.of(server.data)
    try:
        account = access.accounts.add("player", "player", "commander")
        tokens = [access.create_token("commander", account_id=account.account_id) for _ in range(_VIEWERS)]
        judge = access.create_token("archivist", "judge")
        code = access.accounts.link(account.account_id, 600, must_enrol=False)
    finally:
        access.close()
    path = f"/api/v1/recordings/{recording_id}"
    length_s = int(float(str(_asked(server, tokens[0], f"{path}/map")["length_s"])) * 1000) / 1000  # as approvals count
    wanted = {"what": "play", "purpose": "bench", "recording_id": recording_id, "start_s": 0, "end_s": length_s}
    approval = _asked(server, tokens[0], "/api/v1/approvals", wanted)
    _asked(server, judge, f"/api/v1/approvals/{approval['approval_id']}/decision", {"verdict": "approved"})
    media, chance = f"{path}/media", random.Random(_SEED)
    whole = f"{media}?start=0&end={length_s:.3f}"
    offsets = _index(server, tokens[0], whole)
    starts_ms = [
        _until_picture(server, tokens[0], f"{media}?start={chance.uniform(0, length_s - 120):.3f}&end={length_s:.3f}")
        for _ in range(_TURNS)
    ]
    seeks_ms = [_until_picture(server, tokens[0], whole, chance.choice(offsets)) for _ in range(_TURNS)]
    share = _viewers(server, tokens, media, length_s, chance)
    with browser_page() as page:
        page.goto(f"http://127.0.0.1:{server.port}/#code={code}")
        page.locator("main").first.wait_for()
        page.set_default_timeout(300_000)
        shown: dict[str, list[float]] = page.evaluate(_PLAY, [media, length_s, _BROWSER_TURNS, _SEED])
    return {
        "recording_s": round(length_s), "viewers": _VIEWERS, "viewers_core_share": round(share, 3),
        "viewers_per_core": round(_VIEWERS / share), "start_ms": _quantiles(starts_ms), "seek_ms": _quantiles(seeks_ms),
        "chromium": {"start_ms": _quantiles(shown["start"]), "seek_ms": _quantiles(shown["seek"])},
    }  # fmt: skip


def _quantiles(took_ms: list[float]) -> dict[str, float]:
    ordered = statistics.quantiles(took_ms, n=20)
    return {"p50": round(statistics.median(took_ms), 1), "p95": round(ordered[-1], 1), "max": round(max(took_ms), 1)}


def _recorded(server: BenchServer) -> str:
    """The id of a recording of an hour: one minute again and again, so that it is drawn in some seconds."""
    if shutil.which("ffmpeg") is None:
        raise WorkerFailed("ffmpeg is missing; apt-get install ffmpeg")
    server.add_devices(1, "camera")
    with tempfile.TemporaryDirectory(prefix="onrecord-bench-") as folder:
        minute, hour = Path(folder) / "minute.mp4", Path(folder) / "hour.mp4"
        drawn = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25,noise=alls=12:allf=t"]
        sung = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-c:a", "aac", "-t", "60"]
        rate = ["-b:v", str(_BITRATE_BPS), "-maxrate", str(_BITRATE_BPS), "-bufsize", str(_BITRATE_BPS)]
        coded = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "50", "-pix_fmt", "yuv420p", *rate]
        _ffmpeg([*drawn, *sung, *coded, str(minute)])
        _ffmpeg(["-stream_loop", str(_MINUTES - 1), "-i", str(minute), "-c", "copy", str(hour)])
        done = subprocess.run(
            [sys.executable, "-m", "api.cli", "ingest", str(hour), "--device", "camera-0", "--json"],
            env={**os.environ, "ONRECORD_DATA": str(server.data)}, capture_output=True, text=True, check=False,
            timeout=600,
        )  # fmt: skip
    if done.returncode:
        raise WorkerFailed(f"the recording was not made: {done.stderr[-300:]}")
    recording_id = str(json.loads(done.stdout)["items"][0]["recording_id"])
    for _ in range(600):
        known = json.loads(server.get("/api/v1/recordings?limit=500"))["items"]
        if recording_id in [each["recording_id"] for each in known]:
            return recording_id
        time.sleep(0.1)
    raise WorkerFailed("the recording did not come into the store")


def _ffmpeg(words: list[str]) -> None:
    done = subprocess.run(["ffmpeg", "-v", "error", *words], capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise WorkerFailed(f"ffmpeg: {done.stderr[-300:]}")


def _asked(server: BenchServer, token: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    tree: dict[str, object] = json.loads(answer.read())
    connection.close()
    if answer.status not in (200, 201):
        raise WorkerFailed(f"{path}: {answer.status}")
    return tree


def _request(server: BenchServer, token: str, path: str, first: int | None = None) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    wanted = "" if first is None else f"Range: bytes={first}-\r\n"
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{wanted}\r\n".encode())
    return peer


def _until_picture(server: BenchServer, token: str, path: str, first: int | None = None) -> float:
    """Milliseconds until the first fragment is here whole, which holds the first picture."""
    began_s = time.perf_counter()
    with _request(server, token, path, first) as peer:
        data = bytearray()
        while not _has_fragment(data):
            piece = peer.recv(65_536)
            if not piece:
                raise WorkerFailed(f"no picture came: {bytes(data[:60])!r}")
            data += piece
    return (time.perf_counter() - began_s) * 1000


def _has_fragment(data: bytes | bytearray) -> bool:
    head = data.find(b"\r\n\r\n")
    return head > 0 and any(kind == b"mdat" and at + size <= len(data) for kind, at, size in _boxes(data, head + 4))


def _boxes(data: bytes | bytearray, at: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, place, size) of the boxes whose heads are here."""
    while at + 8 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        yield bytes(data[at + 4 : at + 8]), at, size
        at += size


def _index(server: BenchServer, token: str, path: str) -> list[int]:
    """Where the segments of the file begin, by its sidx. Raises: WorkerFailed."""
    with _request(server, token, path) as peer:
        data = bytearray()
        while not _has_fragment(data):
            data += peer.recv(65_536)
    body = data.find(b"\r\n\r\n") + 4
    for kind, at, size in _boxes(data, body):
        if kind == b"sidx":
            count = struct.unpack_from(">H", data, at + 38)[0]
            offsets, offset = [], at + size - body + struct.unpack_from(">Q", data, at + 28)[0]
            for place in range(count):
                offsets.append(offset)
                offset += struct.unpack_from(">I", data, at + 40 + 12 * place)[0]
            return offsets
    raise WorkerFailed("the file has no index")


def _viewers(server: BenchServer, tokens: list[str], media: str, length_s: float, chance: random.Random) -> float:
    """The share of a core that they cost. Raises: WorkerFailed: one did not get its media in time."""
    before, began_s = server.cpu_s(), time.monotonic()
    time.sleep(4.0)
    idle_share = (server.cpu_s() - before) / (time.monotonic() - began_s)
    got: list[int] = []
    threads = [
        threading.Thread(
            target=_watch,
            args=(server, token, f"{media}?start={chance.uniform(0, length_s - 300):.3f}&end={length_s:.3f}", got),
        )
        for token in tokens
    ]
    before, began_s = server.cpu_s(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    share = (server.cpu_s() - before) / (time.monotonic() - began_s) - idle_share
    if len(got) != len(tokens) or min(got) < 0.95 * _WINDOW_S * _BITRATE_BPS / 8:
        raise WorkerFailed(
            f"{len(got)} viewers, the slowest with {min(got, default=0)} bytes: they were not kept up with"
        )
    return share


def _watch(server: BenchServer, token: str, path: str, got: list[int]) -> None:
    """Read what is due by the pace of the media, as a player with a small buffer does."""
    began_s, count = time.monotonic(), 0
    with _request(server, token, path) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 262_144)
        while (passed_s := time.monotonic() - began_s) < _WINDOW_S:
            due = int((passed_s + 1) * _BITRATE_BPS / 8)
            if count >= due:
                time.sleep(0.1)
                continue
            piece = peer.recv(min(65_536, due - count))
            if not piece:
                return
            count += len(piece)
    got.append(count)
