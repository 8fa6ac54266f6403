"""Fan-out: one stream to many WebSocket viewers. What a viewer costs, and what it adds to the delay."""

import json
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from api.bench.child import Child
from api.bench.server import BenchServer, bench_server
from pipeline.simulate.load import Load, read_sent
from pipeline.simulate.watch import Watch, read_clocks

_VIEWERS = 500
_MORE_VIEWERS = 1000
_CLOCKED = 50
_WINDOW_S = 12.0
_ROUNDS = 3
_BITRATE_BPS = 2_000_000
_METHOD = (
    "One 2 Mbit/s, 25 pictures/s stream over RTMP into a server process of its own, which records it as always; viewers are "
    "plain sockets in another process that read the WebSocket feed over loopback. viewers_per_core = viewers / (CPU share of "
    "the server process with them less its share with none), at {more} viewers; loopback makes the sender pay the receiver's "
    "half of TCP too. added_latency_ms: from the moment the publisher hands a picture to its socket until the last byte of "
    "the message with that picture is read by a viewer, at {viewers} viewers of which {clocked} are clocked, for pictures "
    "handed over once all viewers were open (median of {rounds} rounds, which are listed; one CLOCK_MONOTONIC, nothing subtracted; includes both children's own scheduling on a 2-core machine). "
    "blocked_viewer_effect_ratio: median latency with one viewer that never reads over that without, median of {rounds} "
    "alternating pairs of rounds; blocked_viewer_bytes: what it made the server's memory grow. No TLS."
)


@dataclass(frozen=True, slots=True)
class _Round:
    """One stretch of watching."""

    latencies_ms: list[float]
    began_s: float
    core_share: float
    messages: int
    lost: int
    gaps: int
    viewer_core_share: float
    rss_growth: int


def run(viewers: int = _VIEWERS, more: int = _MORE_VIEWERS, window_s: float = _WINDOW_S) -> dict[str, object]:
    """The report of `onrecord bench fanout`."""
    total_s = (window_s + 4) * (2 * _ROUNDS + 3) + 30
    with bench_server() as server, tempfile.TemporaryDirectory() as folder:
        sent_file = Path(folder) / "sent"
        publisher = Child(
            "pipeline.simulate.load",
            Load("127.0.0.1", server.rtmp_port, server.add_devices(1), total_s, _BITRATE_BPS, str(sent_file)),
        )
        try:
            stream_id = wait_for_stream(server)
            idle_share = core_share(server, window_s / 2)
            plain: list[_Round] = []
            blocked: list[_Round] = []
            clocks = []
            for number in range(_ROUNDS):
                for group, stuck in ((plain, 0), (blocked, 1)):
                    clock = Path(folder) / f"clock-{number}-{stuck}"
                    clocks.append(clock)
                    group.append(_watch(server, stream_id, viewers, stuck, window_s, clock))
            many = _watch(server, stream_id, more, 0, window_s, Path(folder) / "clock-many")
            publisher.report(timeout_s=total_s)
        finally:
            publisher.stop()
        sent = list(read_sent(str(sent_file))[0])
        plain = [_timed(one, clocks[2 * n], sent) for n, one in enumerate(plain)]
        blocked = [_timed(one, clocks[2 * n + 1], sent) for n, one in enumerate(blocked)]
    added = [percentiles(sorted(one.latencies_ms)) for one in plain]
    ratios = [
        statistics.median(with_one.latencies_ms) / statistics.median(without.latencies_ms)
        for without, with_one in zip(plain, blocked, strict=True)
    ]
    per_viewer = (many.core_share - idle_share) / more
    return {
        "by": "ws",
        "viewers": viewers,
        "bitrate_bps": _BITRATE_BPS,
        "viewers_per_core": round(1 / per_viewer) if per_viewer > 0 else None,
        "added_latency_ms": {name: statistics.median(each[name] or 0.0 for each in added) for name in added[0]},
        "added_latency_ms_rounds": added,
        "blocked_viewer_effect_ratio": round(statistics.median(ratios), 3),
        "blocked_viewer_bytes": max(one.rss_growth for one in blocked) - max(one.rss_growth for one in plain),
        "us_per_message": round((many.core_share - idle_share) / more / 25 * 1e6, 2),
        "server_core_share": {
            "idle": round(idle_share, 3),
            str(viewers): round(statistics.median(one.core_share for one in plain), 3),
            str(more): round(many.core_share, 3),
        },
        "viewer_process_core_share": round(many.viewer_core_share, 3),
        "clocked_messages": sum(len(one.latencies_ms) for one in plain),
        "lost_viewers": sum(one.lost for one in [*plain, *blocked, many]),
        "viewer_gaps": sum(one.gaps for one in [*plain, *blocked, many]),
        "method": _METHOD.format(viewers=viewers, more=more, clocked=_CLOCKED, rounds=_ROUNDS),
    }


def percentiles(ordered: list[float]) -> dict[str, float | None]:
    """p50, p95, p99 and max of a sorted list, rounded to 0.1."""
    if not ordered:
        return {"p50": None, "p95": None, "p99": None, "max": None}
    names = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * at))], 1) for name, at in names}


def latencies_ms(clocks: Path, sent: list[list[float]], since_s: float) -> list[float]:
    """Milliseconds from hand-over to receipt of every clocked message whose picture was handed over after since_s."""
    found = []
    for stream, values in read_clocks(str(clocks)):
        times = sent[stream]
        for at in range(0, len(values), 2):
            number = int(values[at]) - 1  # sequences count from 1
            if 0 <= number < len(times) and times[number] > since_s:
                found.append((values[at + 1] - times[number]) * 1000)
    return found


def _watch(server: BenchServer, stream_id: str, viewers: int, blocked: int, window_s: float, clock: Path) -> _Round:
    rss = server.rss_bytes()
    child = Child(
        "pipeline.simulate.watch",
        Watch(
            "127.0.0.1", server.port, [stream_id], server.token, viewers, _CLOCKED, blocked, window_s + 2, str(clock)
        ),
    )
    try:
        time.sleep(2.0)  # the handshakes and the first bursts
        share = core_share(server, window_s - 1)
        growth = server.rss_bytes() - rss
        report = child.report(timeout_s=60)
    finally:
        child.stop()
    return _Round(
        [],
        float(report["began_s"]),
        share,
        int(report["clocked_messages"]),
        int(report["lost"]),
        int(report["gaps"]),
        float(report["cpu_s"]) / float(report["wall_s"]),
        growth,
    )


def _timed(one: _Round, clock: Path, sent: list[float]) -> _Round:
    """With its latencies."""
    return replace(one, latencies_ms=latencies_ms(clock, [sent], one.began_s))


def core_share(server: BenchServer, seconds: float) -> float:
    """What the server process uses of a core for the next `seconds`."""
    cpu_s, at_s = server.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return (server.cpu_s() - cpu_s) / (time.monotonic() - at_s)


def wait_for_stream(server: BenchServer) -> str:
    """The id of the stream that is live.

    Raises: TimeoutError.
    """
    for _ in range(100):
        live = [row for row in server.streams() if row["state"] == "live" and row["last_keyframe_at"]]
        if live:
            return str(live[0]["stream_id"])
        time.sleep(0.1)
    raise TimeoutError(json.dumps(server.streams()))
