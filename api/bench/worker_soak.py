"""Whether a worker grows: it hears speaking streams for long, and its memory is looked at.

Run as `python -m api.bench.worker_soak [--minutes N] [--streams N]`. Prints one JSON object.
"""

import argparse
import json
import os
import sys
import time
from typing import Final

from api.analysis import registry_of
from api.bench import commit, machine
from api.bench.captions import publish, speaking_server, started
from api.bench.server import cpu_s_of, rss_bytes_of
from api.bench.soak import MIB, Sample, slope_mib_per_h
from api.bench.speech import default_model, environment
from pipeline.errors import WorkerFailed
from pipeline.settings import load

_WARM_UP_S: Final = 120.0
_SAMPLE_S: Final = 10.0
_MARGIN_S: Final = 10.0
METHOD: Final = (
    "One worker of a bench server hears {streams} streams that say the project's scene over and over (see `onrecord bench speech`) "
    "for {minutes:g} minutes. Its resident memory without mapped files is read from /proc every {sample:g} s after {warm_up:g} s; "
    "the slope is a least-squares line. ladder_step: what the worker gave up at the end: 0 nothing, 1 words while somebody speaks, up to 4; gap_s: what was left to a later look."
)


def run(minutes: float, streams: int) -> dict[str, object]:
    """The report. Raises: WorkerFailed: streams or words did not come, or the worker was another one at the end."""
    seconds = minutes * 60
    asked = load(None)
    registry = registry_of(asked)
    settings = environment(registry, default_model(registry, asked.speech.model))
    with speaking_server(settings) as (server, screen):
        known = frozenset(str(row["stream_id"]) for row in server.streams())
        child = publish(server, server.add_devices(streams, "speaker"), seconds + _MARGIN_S)
        try:
            found = started(server, streams, known)
            (worker,) = server.workers()
            cpu_s, began_s = cpu_s_of(worker), time.monotonic()
            samples = _watch(worker, began_s + seconds)
            ran_s = time.monotonic() - began_s
            share = (cpu_s_of(worker) - cpu_s) / ran_s
            if server.workers() != [worker]:
                raise WorkerFailed("the worker was begun anew meanwhile; its memory says nothing")
            words = server.metric("onrecord_analysis_utterances_total")
            gap_s = round(server.metric("onrecord_analysis_gap_seconds_total"), 1)
            step = int(server.metric("onrecord_analysis_step"))
        finally:
            child.stop()
        del screen, found
    slope, error = slope_mib_per_h(samples)
    sizes = [round(sample.rss_bytes / MIB, 1) for sample in samples]
    return {
        "ran_s": round(ran_s), "streams": streams, "samples": len(samples), "rss_slope_mib_per_h": round(slope, 2),
        "rss_slope_standard_error": round(error, 2), "rss_mib_max": max(sizes), "rss_mib_first": sizes[0],
        "rss_mib_last": sizes[-1], "rss_mib_course": sizes[:: max(1, len(sizes) // 20)], "utterances": int(words),
        "gap_s": gap_s, "ladder_step": step, "worker_core_share": round(share, 3), "load": os.getloadavg()[0],
        "meta": {
            "bench": "worker_soak", "machine": machine(), "commit": commit(),
            "method": METHOD.format(streams=streams, minutes=minutes, sample=_SAMPLE_S, warm_up=_WARM_UP_S),
        },
    }  # fmt: skip


def _watch(worker: int, end_s: float) -> list[Sample]:
    samples: list[Sample] = []
    time.sleep(min(_WARM_UP_S, max(0.0, end_s - time.monotonic() - _SAMPLE_S)))
    while time.monotonic() < end_s or not samples:
        samples.append(Sample(time.monotonic(), rss_bytes_of(worker), 0, 0))
        time.sleep(_SAMPLE_S)
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--streams", type=int, default=8)
    asked = parser.parse_args()
    sys.stdout.write(json.dumps(run(asked.minutes, asked.streams), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
