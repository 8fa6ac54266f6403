"""`onrecord bench`: measures this machine with this build. Load generators run outside the measured process."""

import functools
import json
import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class FaceSet:
    """Of faces. folder: labelled pictures in LFW's layout; pairs: a CSV of a,b,same; neither: those of the tests, if any.

    calibration: where similarities of different people are to be written, without a name. detector: by name.
    """

    folder: Path | None = None
    pairs: Path | None = None
    calibration: Path | None = None
    detector: str = ""


def run(
    name: str,
    *,
    by: str = "ws",
    source: str = "rtmp",
    events: int = 1_000_000,
    sounds: Path | None = None,
    faces: FaceSet | None = None,
) -> dict[str, object]:
    """The report of one bench, with what it was measured on.

    by: of fanout, ws or hls; source: of ingest; sounds: of speech, the folder of a site's own set; faces: of faces.
    """
    report = _benches(by, source, events, sounds, faces or FaceSet())[name]()
    report["meta"] = {"bench": name, "machine": machine(), "commit": commit(), **_as_dict(report.pop("method", {}))}
    return report


def _benches(
    by: str, source: str, events: int, sounds: Path | None, face_set: FaceSet
) -> dict[str, Callable[[], dict[str, object]]]:
    from api.bench import access, analysis, faces, fanout, fanout_hls, ingest, latency, recovery, speech, timeline

    return {
        "ingest": functools.partial(ingest.run, source=source),
        "fanout": fanout_hls.run if by == "hls" else fanout.run,
        "latency": latency.run,
        "recovery": recovery.run,
        "timeline": functools.partial(timeline.run, events),
        "access": access.run,
        "speech": functools.partial(speech.run, sounds),
        "analysis": analysis.run,
        "faces": functools.partial(faces.run, face_set),
    }


def machine() -> str:
    """Processor, cores, memory and Python of this machine."""
    model, memory = "", ""
    for file, key in (("/proc/cpuinfo", "model name"), ("/proc/meminfo", "MemTotal")):
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        value = next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
        if key == "MemTotal":
            memory = value
        else:
            model = value
    return f"{model or platform.machine()}, {os.cpu_count()} cores, {memory}, Python {platform.python_version()}"


def commit() -> str:
    """The commit this build was checked out at, '+' where files differ from it."""
    try:
        said = subprocess.run(
            ["git", "-C", str(_ROOT), "describe", "--always", "--dirty=+"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return said.stdout.strip() or "unknown"


def _as_dict(method: object) -> dict[str, object]:
    if isinstance(method, dict):
        return method
    return {"method": method if isinstance(method, str) else json.dumps(method)}
