"""What a crash costs: SIGKILL of a recording process, recovery of many unclosed recordings, speed of the verifier."""

import hashlib
import mmap
import multiprocessing
import os
import random
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import fmp4
from pipeline.clock import SystemClock
from pipeline.events import Event, SegmentClosed
from pipeline.media import VIDEO_TRACK, Device, Fragment, Track, TracksChanged
from pipeline.record.disk import SystemDisk
from pipeline.record.manifest import NAME
from pipeline.record.recorder import Recorder
from pipeline.record.recovery import recover
from pipeline.record.signing import Signer
from pipeline.record.stamp import read_stamp
from pipeline.record.verify import verify
from pipeline.settings import RecordSettings

RATE_HZ = 73  # fragments a second: 30 pictures and 43 sound frames
FRAGMENT_BYTES = 3400  # 2 Mbit/s at that rate
KEY_EVERY = 146  # two seconds
_TIMESCALE = 90000
_STEP = _TIMESCALE // RATE_HZ
_AVCC = bytes.fromhex("0142c00affe100176742c00ad90470110000030001000003003200f08a248001000468cb83cb20")
_COUNTERS = struct.Struct("<QQ")  # last fragment offered, segments told closed: memory that outlives the child
_MIB = 1 << 20
_DEVICE = Device("dev_bench", "bench")


@dataclass(frozen=True, slots=True)
class Crash:
    """What one kill left. offered, readable: numbers of the last fragments. is_same: all that is readable is as made."""

    offered: int
    readable: int
    closed_told: int
    closed_kept: int
    is_same: bool
    is_whole: bool

    @property
    def lost_s(self) -> float:
        return max(0, self.offered - self.readable) * _STEP / _TIMESCALE


def run(kills: int = 50) -> dict[str, object]:
    """Measured in a temporary folder, which is removed; takes about a minute and 6 GiB of disk."""
    root = Path(tempfile.mkdtemp(prefix="onrecord-recovery-"))
    try:
        chance = random.Random(20261123)  # the same moments each time, no secret
        crashes = [crash(root / "kills" / str(n), chance.uniform(0.02, 0.4)) for n in range(kills)]
        recover_s = _recover_many(root / "many", 1000)
        mib_s = _verify_much(root / "much", 1100)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return {
        "kills": kills,
        "max_lost_s": round(max(each.lost_s for each in crashes), 3),
        "closed_segments_lost": sum(max(0, each.closed_told - each.closed_kept) for each in crashes),
        "changed_or_not_whole": sum(not (each.is_same and each.is_whole) for each in crashes),
        "recover_1000_s": round(recover_s, 2),
        "verify_mib_s": round(mib_s),
        "method": (
            "a child records numbered 3.4 KB fragments as fast as it can and is killed by SIGKILL after 20-400 ms; lost = "
            "last number it began to offer less last number readable after recovery, in media seconds, the most of all "
            "kills. 1,000 recordings of one unclosed 10 s, 2.5 MB segment each, synced and in the page cache. "
            "verify: one recording of 1.1 GiB, in the page cache. Power loss is another promise: see the crash-state test."
        ),
    }


def header() -> TracksChanged:
    track = Track(VIDEO_TRACK, "video", "avc1.42c00a", _AVCC, _TIMESCALE, width=64, height=64)
    return TracksChanged((track,), fmp4.init_segment((track,)), fmp4.mime_type((track,)))


def payload(number: int) -> bytes:
    """The sample of fragment `number`: one NAL unit that says the number over and over and ends as a NAL unit must."""
    size = FRAGMENT_BYTES - fmp4.HEAD_BYTES - 4
    return struct.pack(">IB", size, 0x41) + (number.to_bytes(8, "big") * (size // 8 + 1))[: size - 2] + b"\x80"


def fragments(first: int = 1) -> Iterator[Fragment]:
    """A stream without end, numbered from `first`."""
    number = first
    while True:
        dts = (number - 1) * _STEP
        is_key = (number - 1) % KEY_EVERY == 0
        data = fmp4.fragment(number, VIDEO_TRACK, dts, 0, _STEP, is_key, payload(number))
        pts_s, duration_s = dts / _TIMESCALE, _STEP / _TIMESCALE
        yield Fragment(number, VIDEO_TRACK, is_key, dts, dts, _STEP, pts_s, duration_s, 1.8e9 + pts_s, data)
        number += 1


def crash(root: Path, life_s: float) -> Crash:
    """Record in a child, kill it after `life_s`, recover, and say what is left."""
    root.mkdir(parents=True)
    with mmap.mmap(-1, _COUNTERS.size) as memory:
        child = multiprocessing.get_context("fork").Process(target=_record, args=(root, memory), daemon=True)
        child.start()
        while _COUNTERS.unpack_from(memory)[0] == 0 and child.is_alive():
            time.sleep(0.002)
        time.sleep(life_s)
        child.kill()
        child.join()
        offered, closed_told = _COUNTERS.unpack_from(memory)
    recover(root, signer(), SystemDisk(), SystemClock(), _nowhere)
    (folder,) = (path.parent for path in root.rglob(NAME))
    report = verify(folder)
    kept = sum(b'"recovered":false' in row for row in (folder / NAME).read_bytes().splitlines())
    readable, is_same = _read_back(folder)
    return Crash(offered, readable, closed_told, kept, is_same, not report.defects)


def signer() -> Signer:
    return Signer.of(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"bench").digest()))


def _record(root: Path, memory: mmap.mmap) -> None:
    anyio.run(_record_until_killed, root, memory)


async def _record_until_killed(root: Path, memory: mmap.mmap) -> None:
    closed = 0

    def emit(event: Event) -> None:
        nonlocal closed
        closed += isinstance(event, SegmentClosed)

    settings = RecordSettings(segment_s=10.0, sync_interval_s=0.05, min_free_bytes=0)
    recorder = Recorder(settings, root, signer(), SystemDisk(), SystemClock(), emit)
    recording = recorder.open("st_bench", _DEVICE, 1.8e9)
    recording.offer(header())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(recorder.run)
        for fragment in fragments():
            _COUNTERS.pack_into(memory, 0, fragment.sequence, closed)
            recording.offer(fragment)
            if fragment.sequence % 64 == 0:
                await anyio.sleep(0.001)


def _read_back(folder: Path) -> tuple[int, bool]:
    """(number of the last fragment in the folder, whether all are there once and as they were made)."""
    expected, is_same = 1, True
    for path in sorted(folder.glob("*.mp4")):
        data = path.read_bytes()
        read_stamp(data)
        for info in fmp4.walk(data, fmp4.init_size(data)):
            start = info.offset + fmp4.HEAD_BYTES
            is_same &= info.sequence == expected and data[start : start + info.sample_size] == payload(expected)
            expected += 1
    return expected - 1, is_same


def _recover_many(root: Path, count: int) -> float:
    model = root / "model"
    anyio.run(_record_some, model, 10 * RATE_HZ, 3600.0)
    (folder,) = (path.parent for path in model.rglob(NAME))
    for number in range(count):
        target = root / "recordings" / "2026" / "11" / "23" / f"rec_{number:04}"
        target.mkdir(parents=True)
        for file in folder.iterdir():
            shutil.copyfile(file, target / file.name)
    os.sync()
    began_s = time.perf_counter()
    report = recover(root / "recordings", signer(), SystemDisk(), SystemClock(), _nowhere)
    took_s = time.perf_counter() - began_s
    if report.recovered != count:
        raise RuntimeError(f"{report.recovered} of {count} recordings were recovered; {report.damaged[:3]}")
    shutil.rmtree(root)
    return took_s


def _verify_much(root: Path, mib: int) -> float:
    anyio.run(_record_some, root, mib * _MIB // FRAGMENT_BYTES, 10.0)
    recover(root, signer(), SystemDisk(), SystemClock(), _nowhere)
    (folder,) = (path.parent for path in root.rglob(NAME))
    size_bytes = sum(path.stat().st_size for path in folder.iterdir())
    began_s = time.perf_counter()
    report = verify(folder)
    took_s = time.perf_counter() - began_s
    if report.defects:
        raise RuntimeError(f"a whole recording has defects: {report.defects[:3]}")
    return size_bytes / _MIB / took_s


async def _record_some(root: Path, count: int, segment_s: float) -> None:
    """`count` fragments, the last segment left unclosed, as a killed process leaves it."""
    settings = RecordSettings(segment_s=segment_s, min_free_bytes=0)
    recorder = Recorder(settings, root, signer(), SystemDisk(), SystemClock(), _nowhere)
    recording = recorder.open("st_bench", _DEVICE, 1.8e9)
    recording.offer(header())
    for fragment in fragments():
        if fragment.sequence > count:
            break
        recording.offer(fragment)
        if fragment.sequence % 2000 == 0:
            await recorder.commit()
    await recorder.commit()


def _nowhere(event: Event) -> None:  # the name is part of EventSink
    """Where a bench tells its facts."""
