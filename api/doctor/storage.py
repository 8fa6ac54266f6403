"""The data folder and its disk: owner and mode, room, speed, the signing key."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from api.doctor.finding import Finding, cannot_tell, error, ok, warning
from pipeline.errors import EvidenceError, StorageError
from pipeline.record.signing import Signer
from pipeline.settings import Settings

_MIB = 1024 * 1024
_STREAM_BYTES_S = 2_000_000 // 8  # what most body cameras send
_APPENDS = 50
_APPEND_BYTES = 32 * 1024
_BULK_BYTES, _BULK_S = 64 * _MIB, 3.0
_SLOW_WARN_S, _SLOW_ERROR_S = 0.1, 0.5
_AIR = 4  # a disk that takes only just what comes falls behind at the first disturbance


def folder(data: Path) -> Finding:
    """Whether this user can write it, and whether others can read it."""
    above = next(path for path in (data.absolute(), *data.absolute().parents) if path.exists())
    remedy = f"chown it to the user of the server, or set ONRECORD_DATA; now {_owner(above)}"
    if not above.is_dir():
        return error("data folder", f"{above} is no folder", "nothing can be recorded", remedy)
    if not os.access(above, os.W_OK | os.X_OK):
        return error(
            "data folder", f"{above} cannot be written by uid {os.geteuid()}", "nothing can be recorded", remedy
        )
    if above != data.absolute():
        return ok("data folder", f"{data} is not there yet and can be made")
    mode = above.stat().st_mode & 0o777
    if mode & 0o007:
        return warning(
            "data folder",
            f"{data} mode {mode:o}, {_owner(above)}",
            "every user of this machine may look into it",
            f"chmod 750 {data}",
        )
    return ok("data folder", f"{data} mode {mode:o}, {_owner(above)}")


def signing_key(data: Path) -> Finding:
    """Whether the key that is there can sign, and nobody else can read it. Makes none."""
    path = data / "keys" / "signing.pem"
    try:
        if not path.exists():
            return ok("signing key", "none yet; the first start makes it")
        mode = path.stat().st_mode & 0o777
        signer = Signer.load(path.parent)
    except (OSError, StorageError, EvidenceError) as refusal:
        return error("signing key", str(refusal), "the server does not start", "restore it from the backup, mode 600")
    if mode & 0o077:
        return error(
            "signing key", f"{path} mode {mode:o}", "who reads it can write another history", f"chmod 600 {path}"
        )
    return ok("signing key", f"{signer.key_id[:16]}…, mode {mode:o}")


def space(settings: Settings, streams: int) -> Finding:
    """Room left, and for how long."""
    limit = settings.record.min_free_bytes
    try:
        room = _room(settings.data)
    except OSError as refusal:
        return cannot_tell("space", f"{settings.data}: {refusal.strerror}")
    hours = max(0, room - limit) / (streams * _STREAM_BYTES_S) / 3600
    found = f"{room / _MIB:,.0f} MiB free: {hours:.1f} h of {streams} streams at 2 Mbit/s"
    why, remedy = "a full disk loses media; nothing is deleted by the program", "move old recording folders away"
    if room < limit:
        return error("space", f"{found}, below record.min_free_bytes", why, remedy)
    if hours < 24:
        return warning("space", found, why, remedy)
    return ok("space", found)


def disk_speed(settings: Settings, streams: int) -> Iterator[Finding]:
    """Small synced appends and one long write, into a file without a name that is gone at the end."""
    try:
        place = settings.data if settings.data.is_dir() else settings.data.absolute().parent
        if _room(place) < settings.record.min_free_bytes + 2 * _BULK_BYTES:
            yield cannot_tell("disk speed", "too little room to try", "make room")
            return
        with tempfile.TemporaryFile(dir=place, buffering=0) as file:
            appends = sorted(_append_s(file.fileno()) for _ in range(_APPENDS))
            rate = _bulk_rate(file.fileno())
    except OSError as refusal:
        yield cannot_tell("disk speed", f"{settings.data}: {refusal.strerror}", "see the finding on the data folder")
        return
    yield _sync_finding(appends[len(appends) // 2], appends[int(len(appends) * 0.95)])
    needed = streams * _STREAM_BYTES_S / _MIB
    found = f"{rate:.0f} MiB/s written and synced; {streams} streams need {needed:.1f}"
    if rate < _AIR * needed:
        yield warning("disk rate", found, "it falls behind at the first disturbance", "a faster disk, or fewer streams")
    else:
        yield ok("disk rate", found)


def _sync_finding(half_s: float, most_s: float) -> Finding:
    found = f"fdatasync of {_APPEND_BYTES // 1024} KiB: p50 {half_s * 1000:.1f} ms, p95 {most_s * 1000:.1f} ms"
    why, remedy = "what is not synced is lost with the power", "a disk with a write cache that survives power loss"
    if most_s > _SLOW_ERROR_S:
        return error("disk sync", found, why, remedy)
    if most_s > _SLOW_WARN_S:
        return warning("disk sync", found, why, remedy)
    return ok("disk sync", found)


def _append_s(descriptor: int) -> float:
    began_s = time.perf_counter()
    os.write(descriptor, os.urandom(_APPEND_BYTES))
    os.fdatasync(descriptor)
    return time.perf_counter() - began_s


def _bulk_rate(descriptor: int) -> float:
    """MiB a second until it is on the medium; as much as fits in a short time."""
    block, done, began_s = os.urandom(_MIB), 0, time.perf_counter()
    while done < _BULK_BYTES and time.perf_counter() - began_s < _BULK_S:
        done += os.write(descriptor, block)
    os.fdatasync(descriptor)
    return done / _MIB / (time.perf_counter() - began_s)


def _room(path: Path) -> int:
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    return shutil.disk_usage(there).free


def _owner(path: Path) -> str:
    status = path.stat()
    return f"owner {status.st_uid}:{status.st_gid}"
