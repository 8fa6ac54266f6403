"""Fan-out by LL-HLS: one stream to many viewers that ask for playlists and parts over connections kept alive."""

import tempfile
import time
from pathlib import Path
from typing import Any

from api.bench.child import Child
from api.bench.fanout import core_share, percentiles, wait_for_stream
from api.bench.server import BenchServer, bench_server
from pipeline.simulate.load import Load
from pipeline.simulate.watch_hls import WatchHls

_VIEWERS = 400
_CLOCKED = 50
_WINDOW_S = 12.0
_SETTLE_S = 3.0  # the connections, the first playlists
_BITRATE_BPS = 2_000_000
_METHOD = (
    "One 2 Mbit/s, 25 pictures/s stream over RTMP into a server process of its own, which records it as always; {viewers} "
    "LL-HLS viewers in another process hold one HTTP/1.1 connection each over loopback, and ask as hls.js does: a playlist "
    "that is kept back until the next part is there (_HLS_msn, _HLS_part), then that part. viewers_per_core = viewers that kept "
    "up (received bytes over what the stream sent) / (CPU share of the server process with them less its share with none); "
    "loopback makes the sender pay the receiver's half of TCP too. added_latency_ms: from the request for a new part until its "
    "last byte, of {clocked} viewers; the part's own length and the hold-back of three parts come on top. A blocked viewer has "
    "no connection of its own that could hold others up: blocked_viewer_effect_ratio is of the WebSocket bench. No TLS."
)


def run(viewers: int = _VIEWERS, window_s: float = _WINDOW_S) -> dict[str, object]:
    """The report of `onrecord bench fanout --by hls`."""
    total_s = 3 * window_s + 2 * _SETTLE_S + 30
    with bench_server() as server, tempfile.TemporaryDirectory() as folder:
        publisher = Child(
            "pipeline.simulate.load",
            Load(
                "127.0.0.1",
                server.rtmp_port,
                server.add_devices(1),
                total_s,
                _BITRATE_BPS,
                str(Path(folder) / "sent"),
            ),
        )
        try:
            stream_id = wait_for_stream(server)
            idle_share = core_share(server, window_s / 2)
            few, _ = _watch(server, stream_id, viewers // 4, window_s)
            many, report = _watch(server, stream_id, viewers, window_s)
        finally:
            publisher.stop()
    waits_ms = [float(value) for value in report["part_wait_ms"]]
    kept_up = float(report["received_bytes"]) * 8 / (viewers * _BITRATE_BPS * float(report["wall_s"]))
    per_viewer = (many - idle_share) / (viewers * min(1.0, kept_up))
    answers = int(report["playlists"]) + int(report["parts"])
    return {
        "by": "hls",
        "viewers": viewers,
        "bitrate_bps": _BITRATE_BPS,
        "viewers_per_core": round(1 / per_viewer) if per_viewer > 0 else None,
        "added_latency_ms": percentiles(waits_ms),
        "blocked_viewer_effect_ratio": None,
        "us_per_answer": round((many - idle_share) * float(report["wall_s"]) / answers * 1e6, 1) if answers else None,
        "answers_per_viewer_s": round(answers / viewers / float(report["wall_s"]), 2),
        "kept_up_ratio": round(kept_up, 3),
        "server_core_share": {
            "idle": round(idle_share, 3),
            str(viewers // 4): round(few, 3),
            str(viewers): round(many, 3),
        },
        "viewer_process_core_share": round(float(report["cpu_s"]) / float(report["wall_s"]), 3),
        "lost_viewers": report["lost"],
        "refused_answers": report["refused"],
        "skipped_parts": report["skipped_parts"],
        "method": _METHOD.format(viewers=viewers, clocked=_CLOCKED),
    }


def _watch(
    server: BenchServer, stream_id: str, viewers: int, window_s: float
) -> tuple[float, dict[str, Any]]:  # as Child.report
    """(CPU share of the server, what the viewers report)."""
    tickets = [server.ticket(stream_id) for _ in range(viewers)]
    plan = WatchHls("127.0.0.1", server.port, stream_id, tickets, _CLOCKED, window_s + _SETTLE_S)
    child = Child("pipeline.simulate.watch_hls", plan)
    try:
        time.sleep(_SETTLE_S)
        share = core_share(server, window_s - 1)
        return share, child.report(timeout_s=60)
    finally:
        child.stop()
