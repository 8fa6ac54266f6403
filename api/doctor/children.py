"""What only a child can tell: what the kernel gives a demuxer's cage, and which codecs the media library has."""

import json
import subprocess
import sys

from api.doctor.finding import Finding, error, ok, warning
from pipeline.errors import ProtocolError
from pipeline.ingest.records import Jailed, RecordReader
from pipeline.settings import PushSettings

_CHILD_S = 20.0


def cage(settings: PushSettings) -> Finding:
    """A demuxer is started as for a publisher, with an empty body, and says what its cage lacks."""
    why = "a hole in a demuxer is then held by its limits alone"
    command = ["pipeline.ingest.demux", "mpegts", str(settings.child_memory_bytes)]
    said = _run(command)
    if said is None:
        return error("demuxer's cage", "no demuxer starts", "MPEG-TS and MP4 cannot be published", "run 'make setup'")
    try:
        records = RecordReader(settings.max_access_unit_bytes).feed(said, 0.0)
    except ProtocolError as mistake:
        return error("demuxer's cage", str(mistake), "MPEG-TS and MP4 cannot be published", "run 'make setup'")
    for record in records:
        if isinstance(record, Jailed):
            if not record.missing:
                return ok("demuxer's cage", "seccomp, memory, descriptors, no file written")
            return warning(
                "demuxer's cage", record.missing, why, "a kernel with CONFIG_SECCOMP_FILTER, x86-64 or ARM64"
            )
    return error(
        "demuxer's cage",
        "the demuxer died before it said",
        "MPEG-TS and MP4 cannot be published",
        "look at push.child_memory_bytes and the limits of this shell",
    )


def codecs() -> Finding:
    """Containers to demux and pictures to decode, of those the program uses."""
    said = _run(["api.doctor.codecs"])
    if not said:
        return error("codecs", "the media library does not load", "no snapshot, no MPEG-TS, no MP4", "run 'make setup'")
    missing = json.loads(said)
    if missing["needed"]:
        return error("codecs", f"missing: {', '.join(missing['needed'])}", "media cannot be taken", "run 'make setup'")
    if missing["wanted"]:
        return warning(
            "codecs", f"missing: {', '.join(missing['wanted'])}", "no snapshots of such streams", "run 'make setup'"
        )
    return ok("codecs", str(missing["library"]))


def _run(module: list[str]) -> bytes | None:
    try:
        run = subprocess.run(  # noqa: S603 - our own modules
            [sys.executable, "-m", *module],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"LANG": "C.UTF-8"},
            timeout=_CHILD_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout
