"""Delay in the server: packet in to bytes out, and how long a new viewer waits for its first picture."""

import random
import tempfile
import time
from pathlib import Path

from api.bench.child import Child
from api.bench.fanout import latencies_ms, percentiles
from api.bench.server import BenchServer, bench_server
from pipeline.simulate.load import Load, read_sent
from pipeline.simulate.watch import Watch, first_picture_ms

_STREAMS = 10
_VIEWERS_EACH = 10
_WINDOW_S = 20.0
_JOINS = 60
METHOD = (
    "server_added_ms: {streams} publishers of 2 Mbit/s, 25 pictures/s in one process, {viewers} WebSocket viewers in another, "
    "all on this machine, recording on: from the moment a publisher hands a picture to its socket until a viewer has read the "
    "last byte of the message with it (one CLOCK_MONOTONIC, nothing subtracted). Sound waits for its picture, at most one "
    "frame. first_picture_ms: {joins} new viewers at random moments, from connect to a whole key frame with its init segment."
)


def run(window_s: float = _WINDOW_S, joins: int = _JOINS) -> dict[str, object]:
    """server_added_ms and first_picture_ms."""
    with bench_server() as server, tempfile.TemporaryDirectory() as folder:
        sent_file, clock_file = Path(folder) / "sent", Path(folder) / "clock"
        keys = server.add_devices(_STREAMS)
        total_s = window_s + 20 + joins * 0.2
        publisher = Child(
            "pipeline.simulate.load",
            Load("127.0.0.1", server.rtmp_port, keys, total_s, clock_file=str(sent_file)),
        )
        try:
            stream_ids = _wait_for_streams(server, keys)
            plan = Watch(
                "127.0.0.1", server.port, stream_ids, server.token, _STREAMS * _VIEWERS_EACH,
                _STREAMS * _VIEWERS_EACH, 0, window_s, str(clock_file),
            )  # fmt: skip
            viewers = Child("pipeline.simulate.watch", plan)
            report = viewers.report(timeout_s=window_s + 30)
            chance = random.Random(1)
            firsts = []
            for number in range(joins):
                firsts.append(first_picture_ms(plan, number))
                time.sleep(chance.uniform(0, 0.2))
            publisher.report(timeout_s=total_s + 30)
        finally:
            publisher.stop()
        added = sorted(latencies_ms(clock_file, list(map(list, read_sent(str(sent_file)))), float(report["began_s"])))
    return {
        "server_added_ms": percentiles(added),
        "first_picture_ms": percentiles(sorted(firsts)),
        "clocked_messages": len(added),
        "method": METHOD.format(streams=_STREAMS, viewers=_STREAMS * _VIEWERS_EACH, joins=joins),
    }


def _wait_for_streams(server: BenchServer, keys: list[str]) -> list[str]:
    """The streams in the order of their keys: devices were added in that order, and so are named."""
    for _ in range(150):
        live = [row for row in server.streams() if row["state"] == "live" and row["last_keyframe_at"]]
        if len(live) == len(keys):
            live.sort(key=lambda row: int(str(row["device_name"]).rpartition("-")[2]))
            return [str(row["stream_id"]) for row in live]
        time.sleep(0.1)
    raise TimeoutError(f"{len(keys)} streams did not begin within 15 s")
