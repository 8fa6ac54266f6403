"""Ingest: RTMP in, fragments, hash, record. What one access unit costs, and how many streams a core carries."""

import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from api.bench.child import Child
from api.bench.server import BenchServer, bench_server
from pipeline.simulate.load import Load
from pipeline.simulate.push import PushLoad, make_clip
from pipeline.simulate.rtsp import Cameras

_STREAMS = 200
_PUSHED_STREAMS = 20  # a demuxer each where there is one: more would measure how they wait for one another
_PULLED_STREAMS = 50  # their sender takes its share of the other core
_WARM_UP_S = 12.0  # connecting, the first segments, the first rotation
_WINDOW_S = 30.0
_METHOD = (
    "A server process of its own records {streams} RTMP streams of 2 Mbit/s, 25 pictures/s H.264 and 48 kHz AAC to disk "
    "(synthetic access units, 64 KiB chunks, GOP 2 s) sent by a generator process at real-time pace. CPU is user + system "
    "of the server process from /proc over {window:.0f} s after warm-up, divided by the access units it counted in that "
    "time; it holds loopback receive, RTMP, fragments, SHA-256, write, fdatasync and the segment changes. streams_per_core "
    "= 1 / (CPU share of one stream), scaled from {streams} streams. rss_mib_per_stream = anonymous resident memory with "
    "the streams less that without, over the streams. rss_growth is the change of that memory within the window."
)

_PUSH_METHOD = (
    "A server process of its own records {streams} streams that are posted over HTTP: a clip of 2 Mbit/s, 25 pictures/s H.264 and "
    "AAC, drawn and encoded once by ffmpeg, sent by a generator process at the pace of its bytes. Figures as with RTMP, over "
    "{window:.0f} s. child_core_share_per_stream: user and system CPU of the server's children (a demuxer a stream for MPEG-TS, "
    "none for FLV) from /proc over the window, over the streams; it is in no other figure."
)

_PULL_METHOD = (
    "A server process of its own pulls {streams} RTSP sources of 2 Mbit/s, 25 pictures/s H.264 (FU-A, 1,400 bytes) and 48 kHz AAC, "
    "interleaved in TCP, from one process that sends synthetic access units at real-time pace. Figures as with RTMP, over "
    "{window:.0f} s; no child is in them, since there is none."
)

_METHODS = {"rtmp": _METHOD, "rtsp": _PULL_METHOD}


def _by_rtmp(server: BenchServer, keys: list[str], seconds: float, folder: Path) -> Child:
    del folder
    return Child("pipeline.simulate.load", Load("127.0.0.1", server.rtmp_port, keys, seconds))


def _by_http(form: str) -> "Generator":
    def generator(server: BenchServer, keys: list[str], seconds: float, folder: Path) -> Child:
        clip = folder / "clip"
        make_clip(clip, form, seconds)
        return Child("pipeline.simulate.push", PushLoad("127.0.0.1", server.port, keys, str(clip), seconds))

    return generator


def _by_rtsp(server: BenchServer, keys: list[str], seconds: float, folder: Path) -> Child:
    del folder
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    child = Child("pipeline.simulate.rtsp", Cameras(port, seconds))
    server.add_sources([f"rtsp://127.0.0.1:{port}/{number}" for number in range(len(keys))])
    return child


Generator: TypeAlias = Callable[[BenchServer, list[str], float, Path], Child]
_SOURCES: dict[str, tuple[int, Generator]] = {
    "rtmp": (_STREAMS, _by_rtmp),
    "ts": (_PUSHED_STREAMS, _by_http("mpegts")),
    "flv": (_PUSHED_STREAMS, _by_http("flv")),
    "rtsp": (_PULLED_STREAMS, _by_rtsp),
}
"""How many streams, and who sends them: another source is one more entry."""


def run(window_s: float = _WINDOW_S, source: str = "rtmp") -> dict[str, object]:
    """The report of `onrecord bench ingest`. source: a key of `_SOURCES`."""
    streams, generator = _SOURCES[source]
    with bench_server() as server, tempfile.TemporaryDirectory() as folder:
        idle_rss = server.rss_bytes()
        child = generator(server, server.add_devices(streams), _WARM_UP_S + window_s + 3.0, Path(folder))
        try:
            time.sleep(_WARM_UP_S)
            before = _reading(server)
            time.sleep(window_s)
            after = _reading(server)
            sent = child.report(timeout_s=60)
        finally:
            child.stop()
    units = after["units"] - before["units"]
    cpu_s, wall_s = after["cpu_s"] - before["cpu_s"], after["at_s"] - before["at_s"]
    share = cpu_s / wall_s / streams
    mib = 1024 * 1024
    return {
        "source": source,
        "streams": streams,
        "seconds": round(wall_s, 1),
        "cpu_us_per_access_unit": round(cpu_s / units * 1e6, 1) if units else None,
        "streams_per_core": round(1 / share) if share else None,
        "rss_mib_per_stream": round((after["rss"] - idle_rss) / streams / mib, 2),
        "rss_growth_mib_per_stream": round((after["rss"] - before["rss"]) / streams / mib, 2),
        "access_units": int(units),
        "server_core_share": round(cpu_s / wall_s, 3),
        "generator_core_share": round(float(sent["cpu_s"]) / (_WARM_UP_S + window_s), 3),
        "generator_late_ms_p99": round(float(sent["late_ms_p99"]), 2),
        "generator_lost_connections": sent["lost_connections"],
        "child_core_share_per_stream": round((after["child_cpu_s"] - before["child_cpu_s"]) / wall_s / streams, 5),
        "method": _METHODS.get(source, _PUSH_METHOD).format(streams=streams, window=window_s),
    }


def _reading(server: BenchServer) -> dict[str, float]:
    units = server.metric("onrecord_stream_fragments_total")
    return {
        "units": units,
        "cpu_s": server.cpu_s(),
        "child_cpu_s": server.child_cpu_s(),
        "rss": server.rss_bytes(),
        "at_s": time.monotonic(),
    }
