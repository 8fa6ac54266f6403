"""The soak: a real server under many devices that drop out, for long; then every access unit is looked for on disk.

Run as `python -m api.bench.soak [--seconds N] [--streams N]` (`make soak`). Prints one JSON object; exit 1 where a law
did not hold. See `METHOD` for what is counted.
"""

import contextlib
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from api.bench import commit, machine
from api.bench.child import Child
from api.bench.server import BenchServer, bench_server
from cases.store.engine import FILE as STORE_FILE
from pipeline import fmp4
from pipeline.errors import EvidenceError
from pipeline.record import lines
from pipeline.record.ledger import holes
from pipeline.record.lines import HeadLine, RecordingLine, SegmentLine
from pipeline.record.verify import verify
from pipeline.simulate.clip import ClipPlan
from pipeline.simulate.site import Faults, SitePlan

MIB = 1024 * 1024
_SAMPLE_S = 2.0
_WARM_UP_SHARE = 0.25
_SLOPE_LIMIT_MIB_PER_H = 1.0
_SLOPE_FROM_S = 480.0  # of samples; over less, the noise of one allocation looks like megabytes an hour
_SETTLE_S = 30.0
_AWAY_TOLERANCE_S = 1.0  # a drop-out: until the server notices, and until the first key frame
METHOD = (
    "A server process of its own; {streams} devices in another process publish a {kbps} kbit/s H.264 and AAC clip over RTMP "
    "and drop out {drop_outs:g} times an hour each, for 1 to 8 s, without a goodbye. Memory (resident, without mapped files), "
    "descriptors (but those of the database and the outbox, which stay) and threads of the server are read from /proc every "
    "{sample:g} s; the slope is a least-squares line through the "
    "samples after the first quarter. Afterwards: for each device the access units it sent must be exactly those in its segment "
    "files, its manifests must leave no second uncovered, the gaps they tell must be the time the device was away, and "
    "`verify` must find no defect. Under {least:g} s of samples the slope is told and not judged."
)


@dataclass(slots=True)
class Sample:
    """The server at one moment."""

    at_s: float
    rss_bytes: int
    descriptors: int
    threads: int
    loop_lag_s: float = 0.0
    """The worst of the minute before."""


@dataclass(slots=True)
class Kept:
    """What the disk holds of one device."""

    fragments: int = 0
    media_s: float = 0.0
    gap_s: float = 0.0
    recordings: int = 0
    defects: list[str] = field(default_factory=list)


def run(seconds: float, streams: int, drop_outs_per_hour: float, bits_per_s: int) -> dict[str, object]:
    """The report; `failures` is empty where every law held."""
    plan = ClipPlan(bits_per_s, 50, 25, "h264")
    with bench_server() as server:
        idle = _sample(server)
        keys = server.add_devices(streams, "soak")
        urls = [f"rtmp://127.0.0.1:{server.rtmp_port}/live/{key}" for key in keys]
        child = Child("pipeline.simulate.site", SitePlan(urls, seconds, plan, Faults(0.0, 0.0, drop_outs_per_hour)))
        try:
            samples = _watch(server, seconds)
            site = child.report(timeout_s=120)
        finally:
            child.stop()
        cpu_s = server.cpu_s()
        after = _settle(server, idle)
        refused = server.metric("onrecord_publishers_refused_total")
        lost_s = server.metric("onrecord_record_lost_seconds_total")
        server.process.terminate()
        server.process.wait(30)
        kept = read_recordings(server.data / "recordings")
    devices: list[dict[str, float]] = site["devices"]
    failures = judge_devices(devices, kept)
    slope, error = slope_mib_per_h(samples)
    is_judged = samples[-1].at_s - samples[0].at_s >= _SLOPE_FROM_S
    if is_judged and slope > _SLOPE_LIMIT_MIB_PER_H:
        failures.append(f"RSS grows by {slope:.2f} MiB/h")
    if after.descriptors > idle.descriptors:
        failures.append(f"{after.descriptors - idle.descriptors} descriptors more than before the first device")
    if lost_s:
        failures.append(f"the recorder lost {lost_s} s")
    total = Counter[str]()
    for device in devices:
        total.update({name: value for name, value in device.items() if isinstance(value, int)})
    return {
        "seconds": seconds,
        "streams": streams,
        "failures": failures,
        "rss_slope_mib_per_h": round(slope, 2),
        "rss_slope_standard_error": round(error, 2),
        "rss_slope_judged": is_judged,
        "rss_mib_course": [_mib(sample) for sample in samples[:: max(1, len(samples) // 20)]],
        "loop_lag_s_max": round(max(sample.loop_lag_s for sample in samples), 2),
        "server_cpu_share": round(cpu_s / seconds, 3),
        "rss_mib": {"idle": _mib(idle), "first": _mib(samples[0]), "last": _mib(samples[-1]), "after": _mib(after)},
        "descriptors": {
            "idle": idle.descriptors,
            "most": max(s.descriptors for s in samples),
            "after": after.descriptors,
        },
        "threads": {"idle": idle.threads, "most": max(s.threads for s in samples), "after": after.threads},
        "access_units": {name: total[name] for name in ("due", "sent", "skipped", "away", "uncertain")},
        "access_units_on_disk": sum(each.fragments for each in kept.values()),
        "connections": {name: total[name] for name in ("connections", "drop_outs", "lost", "refused", "failed")},
        "refused_by_server": refused,
        "media_s": round(sum(each.media_s for each in kept.values()), 1),
        "gap_s": round(sum(each.gap_s for each in kept.values()), 1),
        "away_s": round(sum(device["away_s"] for device in devices), 1),
        "recordings": sum(each.recordings for each in kept.values()),
        "defects": sum(len(each.defects) for each in kept.values()),
        "generator_cpu_s": round(float(site["cpu_s"]), 1),
        "meta": {
            "bench": "soak",
            "machine": machine(),
            "commit": commit(),
            "method": METHOD.format(
                streams=streams,
                kbps=bits_per_s // 1000,
                drop_outs=drop_outs_per_hour,
                sample=_SAMPLE_S,
                least=_SLOPE_FROM_S,
            ),
        },
    }


def judge_devices(devices: list[dict[str, float]], kept: dict[str, Kept]) -> list[str]:
    """What does not hold between what the devices sent and what the disk has."""
    failures = []
    for number, device in enumerate(devices):
        name = f"soak-{number}"
        there = kept.get(name, Kept())
        if device["due"] != device["sent"] + device["skipped"] + device["away"] + device["uncertain"]:
            failures.append(f"{name}: the device's own counts do not add up")
        least = device["sent"] if not device["lost"] else 0  # what a broken connection still held, nobody can count
        if not least <= there.fragments <= device["sent"] + device["uncertain"]:
            failures.append(f"{name}: sent {device['sent']:.0f} access units, on disk {there.fragments}")
        breaks = device["drop_outs"] + device["lost"] + device["failed"]
        away_s = device["away_s"] - device["away_at_end_s"]
        ran_s = device["ran_s"] - device["away_at_end_s"]
        if device["lost"]:
            failures.append(f"{name}: {device['lost']:.0f} connections broke without the device's doing")
            continue
        if abs(there.gap_s - away_s) > _AWAY_TOLERANCE_S * (breaks + 1):
            failures.append(f"{name}: away {away_s:.1f} s, gaps told {there.gap_s:.1f} s")
        if abs(there.media_s + there.gap_s - ran_s) > _AWAY_TOLERANCE_S * (breaks + 2):
            failures.append(f"{name}: ran {ran_s:.1f} s, in the record {there.media_s + there.gap_s:.1f} s")
        failures += [f"{name}: {defect}" for defect in there.defects]
    return failures


def read_recordings(folder: Path) -> dict[str, Kept]:
    """What is on disk, by device name; each recording verified."""
    kept: dict[str, Kept] = {}
    for manifest in sorted(folder.rglob("manifest.jsonl")):
        parsed = [lines.parse(raw) for raw in manifest.read_bytes().splitlines(keepends=True)]
        first = parsed[0]
        if not isinstance(first, RecordingLine):
            raise EvidenceError(f"{manifest} does not begin with its recording")
        there = kept.setdefault(first.device_name, Kept())
        there.recordings += 1
        there.defects += [f"{defect.defect} {defect.detail}" for defect in verify(manifest.parent).defects]
        segments = [line for line in parsed if isinstance(line, SegmentLine)]
        heads = [line for line in parsed if isinstance(line, HeadLine)]
        gaps = [gap for line in segments for gap in line.gaps] + list(heads[-1].gaps if heads else ())
        spans = [(line.first_pts_s, line.end_s) for line in segments]
        gap_spans = [(gap.start_s, gap.end_s) for gap in gaps]
        there.defects += [f"nothing covers {hole}" for hole in holes([*spans, *gap_spans])]
        there.gap_s += sum(gap.lost_s for gap in gaps)
        there.media_s += max((end_s for _, end_s in spans), default=0.0) - sum(
            gap.lost_s for gap in gaps if spans and gap.start_s < spans[-1][1]
        )
        for line in segments:
            data = (manifest.parent / line.file).read_bytes()
            there.fragments += sum(1 for _ in fmp4.walk(data, fmp4.init_size(data)))
    return kept


def slope_mib_per_h(samples: list[Sample]) -> tuple[float, float]:
    """The slope of the least-squares line through the memory of the samples, and its standard error."""
    count = len(samples)
    if count < 3:
        return 0.0, 0.0
    hours = [sample.at_s / 3600 for sample in samples]
    sizes = [sample.rss_bytes / MIB for sample in samples]
    mean_h, mean_size = sum(hours) / count, sum(sizes) / count
    spread = sum((hour - mean_h) ** 2 for hour in hours)
    slope = sum((hour - mean_h) * (size - mean_size) for hour, size in zip(hours, sizes, strict=True)) / spread
    rest = sum((size - mean_size - slope * (hour - mean_h)) ** 2 for hour, size in zip(hours, sizes, strict=True))
    return slope, (rest / (count - 2) / spread) ** 0.5


def _watch(server: BenchServer, seconds: float) -> list[Sample]:
    """Samples after the warm-up, until the devices are about to stop."""
    samples: list[Sample] = []
    began_s = time.monotonic()
    time.sleep(seconds * _WARM_UP_SHARE + 3)
    while time.monotonic() - began_s < seconds - 1 or not samples:
        samples.append(_sample(server))
        if sys.stderr.isatty():
            said = f"{time.monotonic() - began_s:6.0f} s of {seconds:.0f}   {_mib(samples[-1])} MiB"
            sys.stderr.write(f"\r{said}")
        time.sleep(_SAMPLE_S)
    return samples


def _settle(server: BenchServer, idle: Sample) -> Sample:
    """The server once it has let go of what the devices used, or after _SETTLE_S."""
    end_s = time.monotonic() + _SETTLE_S
    while True:
        sample = _sample(server)
        if sample.descriptors <= idle.descriptors or time.monotonic() > end_s:
            return sample
        time.sleep(1.0)


def _sample(server: BenchServer) -> Sample:
    process = Path(f"/proc/{server.process.pid}")
    status = (process / "status").read_text(encoding="ascii")
    threads = int(next(line.split()[1] for line in status.splitlines() if line.startswith("Threads")))
    lag_s = server.metric("onrecord_loop_lag_seconds_max")
    return Sample(time.monotonic(), server.rss_bytes(), _descriptors(process / "fd"), threads, lag_s)


def _descriptors(folder: Path) -> int:
    """How many are open, but those of the database's connections and the outbox's file: they are opened with the first
    fact, are at most a few, and stay.
    """
    count = 0
    for link in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            target = link.readlink()
            count += not (target.name.startswith(STORE_FILE) or target.parent.name == "outbox")
    return count


def _mib(sample: Sample) -> float:
    return round(sample.rss_bytes / MIB, 1)


def main() -> None:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1200.0)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--drop-outs", type=float, default=12.0, help="per hour and device")
    parser.add_argument("--bitrate", type=int, default=500_000, help="bits a second of each device")
    asked = parser.parse_args()
    report = run(asked.seconds, asked.streams, asked.drop_outs, asked.bitrate)
    sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    sys.exit(1 if report["failures"] else 0)


if __name__ == "__main__":
    main()
