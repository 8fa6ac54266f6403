"""The machine: cores, memory, swap, descriptors and clocks."""

import os
import re
import resource
import subprocess
import time
from pathlib import Path

from api.doctor.finding import Finding, cannot_tell, error, ok, warning
from pipeline.settings import Settings

_MIB = 1024 * 1024
_PROCESS_BYTES = 256 * _MIB  # the server without streams, its decoder, and a little air
_OWN_DESCRIPTORS = 64  # listeners, database, log, pipes of the decoder
_PUSH_DESCRIPTORS = 4  # the publisher's socket and its demuxer's pipes
_ASK_S = 5.0
_OFFSET_WARN_S, _OFFSET_ERROR_S = 0.1, 1.0
_MONOTONIC_S = 0.2
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def cores() -> Finding:
    count = len(os.sched_getaffinity(0))
    if count < 2:
        return warning("cores", "1", "the server fills one; demuxers and decoders need another", "give it two")
    return ok("cores", str(count))


def memory(settings: Settings, streams: int) -> Finding:
    """Whether every buffer of `streams` may be full at once."""
    needed = _PROCESS_BYTES + streams * (settings.hub.gop_cache_bytes + settings.record.hold_bytes)
    try:
        available = meminfo()["MemAvailable"]
        limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.exists() else "max"
    except (OSError, KeyError):
        return cannot_tell("memory", "/proc/meminfo does not say")
    if limit.isdigit():
        available = min(available, int(limit))
    found = f"{available // _MIB} MiB available, {needed // _MIB} MiB if the disk stops under {streams} streams"
    if available < needed:
        return warning(
            "memory", found, "the kernel may end the server while a disk hangs", "add memory or lower record.hold_bytes"
        )
    return ok("memory", found)


def swap() -> Finding:
    try:
        table = meminfo()
        total, used = table["SwapTotal"], table["SwapTotal"] - table["SwapFree"]
    except (OSError, KeyError):
        return cannot_tell("swap", "/proc/meminfo does not say")
    if used > total / 10:
        return warning(
            "swap",
            f"{used // _MIB} of {total // _MIB} MiB used",
            "a server that waits for swapped pages stalls every stream",
            "add memory or move other programs away",
        )
    return ok("swap", "none" if not total else f"{used // _MIB} of {total // _MIB} MiB used")


def meminfo() -> dict[str, int]:
    """/proc/meminfo in bytes. Raises: OSError."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    return {name: int(size) * 1024 for name, size in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)}


def descriptors(settings: Settings) -> Finding:
    """Whether every bound may be reached at once: HTTP and RTMP connections, demuxers, files of the recorder."""
    connections, pushes = settings.rtmp.max_connections, settings.push.max_publishers
    needed = _OWN_DESCRIPTORS + settings.api.max_connections + 2 * connections + _PUSH_DESCRIPTORS * pushes
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # the server raises its soft limit to it
    found = f"{hard} allowed; {needed} if every bound is reached"
    if 0 <= hard < needed:
        return warning(
            "file descriptors",
            found,
            "who comes when they are used up is turned away",
            f"LimitNOFILE={needed} in the unit, or lower rtmp.max_connections and api.max_connections",
        )
    return ok("file descriptors", found)


def monotonic() -> Finding:
    """Whether the monotonic clock only grows and runs as fast as the other."""
    began_s, began_utc_s, last_s, steps_back = time.monotonic(), time.time(), 0.0, 0
    while (now_s := time.monotonic()) < began_s + _MONOTONIC_S:
        steps_back += now_s < last_s
        last_s = now_s
    apart_ms = abs((time.time() - began_utc_s) - (time.monotonic() - began_s)) * 1000
    if steps_back:
        return error(
            "monotonic clock",
            f"went back {steps_back} times",
            "deadlines cannot hold",
            "update the kernel or hypervisor",
        )
    if apart_ms > 20:
        return warning(
            "monotonic clock",
            f"{apart_ms:.0f} ms apart from UTC in {_MONOTONIC_S} s",
            "the UTC clock was just set, or one of them runs wrong",
            "run again; check the time service",
        )
    return ok("monotonic clock", "only grows")


def clock() -> Finding:
    """What the time service of this machine says of the clock; nobody outside is asked."""
    for command, read in (
        (["chronyc", "-n", "tracking"], chrony_offset_s),
        (["ntpq", "-c", "rv 0 offset,leap"], ntpd_offset_s),
    ):
        said = _said(command)
        offset_s = None if said is None else read(said)
        if offset_s is not None:
            return _judged(command[0], offset_s)
    said = _said(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if said == "yes":
        return ok("clock", "synchronised, says timedatectl; how far off it is, it does not say")
    if said == "no":
        return warning(
            "clock",
            "not synchronised, says timedatectl",
            "the evidence carries this clock's time",
            "timedatectl set-ntp true",
        )
    return cannot_tell("clock", "no chrony, ntpd or timedatectl answers", "install chrony, or trust the host's clock")


def chrony_offset_s(said: str) -> float | None:
    """From `chronyc tracking`; None where it is not synchronised."""
    found = re.search(r"^System time\s*: ([\d.]+) seconds (fast|slow)", said, re.MULTILINE)
    if found is None or not re.search(r"^Leap status\s*: (Normal|Insert|Delete)", said, re.MULTILINE):
        return None
    return float(found[1]) * (1 if found[2] == "fast" else -1)


def ntpd_offset_s(said: str) -> float | None:
    """From `ntpq -c "rv 0 offset,leap"`; None where it is not synchronised (leap 11)."""
    offset, leap = re.search(r"offset=(-?[\d.]+)", said), re.search(r"leap=(\d\d)", said)
    if offset is None or leap is None or leap[1] == "11":
        return None
    return float(offset[1]) / 1000


def _judged(service: str, offset_s: float) -> Finding:
    found = f"{offset_s * 1000:+.1f} ms, says {service}"
    why, remedy = "the evidence carries this clock's time", f"look at what {service} says of its sources"
    if abs(offset_s) > _OFFSET_ERROR_S:
        return error("clock", found, why, remedy)
    if abs(offset_s) > _OFFSET_WARN_S:
        return warning("clock", found, why, remedy)
    return ok("clock", found)


def _said(command: list[str]) -> str | None:
    """What a program of this machine prints; None where it is not there or fails."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=True)  # noqa: S603 - ours
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()
