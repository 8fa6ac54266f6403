"""Power cuts: every state the disk may legally be in after one is recovered, and nothing synced is lost.

The model: a log of all writes, syncs and names. At any moment a file holds what was synced, and of what was not any
sectors: written, or zero, or cut off; a name that was not synced may be missing. Source: the model of ALICE (OSDI 2014)
and SQLite's test6.c.
"""

import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from pipeline import fmp4
from pipeline.errors import StorageError
from pipeline.events import Event
from pipeline.record.disk import SystemDisk
from pipeline.record.manifest import NAME
from pipeline.record.recovery import recover
from pipeline.record.verify import verify
from tests.unit.record.material import SIGNER, BrokenDisk, SetClock, Site, contents, fragments

SECTOR = 512
SHM = Path("/dev/shm")  # the states are written to memory where there is some


@dataclass
class File:
    """written: what the program sees. synced: how much of it is on the medium. has_name: its name is too.

    promised: how much of it the recorder has said is safe, by coming back from a commit.
    """

    written: bytearray = field(default_factory=bytearray)
    synced: int = 0
    has_name: bool = False
    promised: int = 0


@dataclass(frozen=True)
class Seen:
    """A file at one moment."""

    path: Path
    data: bytes
    synced: int
    has_name: bool
    promised: int


class LoggingDisk:
    """A disk in memory that keeps what is synced apart from what is not, and shows itself after every change."""

    def __init__(self, seen: "States") -> None:
        self.files: dict[Path, File] = {}
        self._open: list[Path] = []
        self._seen = seen

    def make_folder(self, path: Path) -> None: ...

    def create(self, path: Path) -> int:
        self.files[path] = File()
        return self.open_append(path)

    def open_append(self, path: Path) -> int:
        self._open.append(path)
        return len(self._open) - 1

    def write(self, descriptor: int, data: bytes) -> None:
        self.files[self._open[descriptor]].written += data
        self._seen.add(self)

    def claim(self, descriptor: int) -> None: ...

    def is_claimed(self, path: Path) -> bool:  # noqa: ARG002 # a fake
        return False

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        del self.files[self._open[descriptor]].written[size_bytes:]

    def close(self, descriptor: int) -> None: ...

    def remove(self, path: Path) -> None:
        del self.files[path]

    def sync(self, descriptor: int) -> None:
        file = self.files[self._open[descriptor]]
        file.synced = len(file.written)
        self._seen.add(self)

    def sync_folder(self, path: Path) -> None:
        for name, file in self.files.items():
            file.has_name |= name.parent == path

    def promise(self) -> None:
        """The recorder came back from a commit: all that was written is safe."""
        for file in self.files.values():
            file.promised = len(file.written)

    def sync_all(self) -> None: ...

    def free_bytes(self, path: Path) -> int:  # noqa: ARG002 # a fake
        return 1 << 40


class States:
    """Snapshots of the disk, one after each change."""

    def __init__(self) -> None:
        self.all: list[list[Seen]] = []

    def add(self, disk: LoggingDisk) -> None:
        self.all.append([Seen(p, bytes(f.written), f.synced, f.has_name, f.promised) for p, f in disk.files.items()])


def after_a_cut(snapshot: list[Seen], chance: random.Random) -> Iterator[dict[Path, bytes]]:
    """Some of the states legal after a power cut at `snapshot`: all kept, all dropped, torn, zero-filled, mixed."""
    for way in ("kept", "dropped", "torn", "torn", "zeros", "zeros", "mixed", "mixed", "mixed"):
        state = {}
        for each in snapshot:
            path, data, synced = each.path, each.data, each.synced
            if not each.has_name and way == "dropped":
                continue
            rest = data[synced:]
            if way == "dropped":
                rest = b""
            elif way == "torn":
                rest = rest[: chance.randrange(len(rest) + 1)]
            elif way == "zeros":
                keep = chance.randrange(len(rest) + 1)
                at = synced + keep
                at -= at % SECTOR
                keep = max(0, at - synced)
                rest = rest[:keep] + bytes(len(rest) - keep)
            elif way == "mixed":
                rest = sectors(rest, synced, chance)
            state[path] = data[:synced] + rest
        yield state


def sectors(rest: bytes, start: int, chance: random.Random) -> bytes:
    out = bytearray(rest)
    for place in range(start - start % SECTOR, start + len(rest), SECTOR):
        if chance.random() < 0.3:
            low, high = max(0, place - start), min(len(rest), place + SECTOR - start)
            out[low:high] = bytes(max(0, high - low))
    return bytes(out)


def quiet(event: Event) -> None:
    """Recovery's facts are not asked for here."""


def place_in(root: Path, state: dict[Path, bytes], base: Path) -> None:
    for path, data in state.items():
        target = root / path.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


@pytest.fixture(scope="module")
def states() -> States:
    """Five seconds of a recording with segments of a second, seen after every write and sync."""
    seen = States()
    disk = LoggingDisk(seen)
    site = Site(Path("/log"), disk=disk)

    async def act() -> None:
        recording = site.open()
        for number, fragment in enumerate(fragments(4.0), 1):
            recording.offer(fragment)
            if number % 13 == 0:
                await site.recorder.commit()
                disk.promise()
        await site.finish(recording)
        disk.promise()
        seen.add(disk)

    anyio.run(act)
    return seen


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, in memory where there is some."""
    path = Path(tempfile.mkdtemp(prefix="onrecord-", dir=SHM if SHM.is_dir() else tmp_path))
    yield path
    shutil.rmtree(path)


def test_every_legal_state_after_a_power_cut_is_recovered(states: States, home: Path) -> None:
    chance, count, base = random.Random(7), 0, Path("/log")
    for number, snapshot in enumerate(states.all):
        for state in after_a_cut(snapshot, chance):
            root = home / f"{number}-{count}"
            count += 1
            place_in(root, state, base)
            recover(root, SIGNER, SystemDisk(), SetClock(), quiet)
            check(root, snapshot, base)
            shutil.rmtree(root / "2026", ignore_errors=True)
    assert count > 2000


def check(root: Path, snapshot: list[Seen], base: Path) -> None:
    folders = [path.parent for path in root.rglob("manifest.jsonl")]
    for folder in folders:
        assert not verify(folder).defects
    for each in snapshot:
        if not each.promised:
            continue
        there = (root / each.path.relative_to(base)).read_bytes()
        safe = each.data[: each.promised]
        if each.path.name != NAME:
            infos = list(fmp4.walk(safe, fmp4.init_size(safe)))
            assert infos[-1].offset + infos[-1].size_bytes == len(safe)
        assert there.startswith(safe)
    before = contents(root)
    recover(root, SIGNER, SystemDisk(), SetClock(), quiet)
    assert contents(root) == before


class Killed(BaseException):
    """The process is gone: nothing after this call happens."""


class MortalDisk(BrokenDisk):
    """A disk whose user dies at the n-th call."""

    def __init__(self, calls: int) -> None:
        super().__init__(self._count)
        self._left = calls

    def _count(self, _call: str, number: int) -> StorageError | None:
        if number >= self._left:
            raise Killed
        return None

    def write(self, descriptor: int, data: bytes) -> None:
        try:
            self._meet("write")
        except Killed:
            SystemDisk.write(self, descriptor, data[: len(data) // 2])
            raise
        SystemDisk.write(self, descriptor, data)


@pytest.mark.parametrize("way", range(4))
def test_a_recovery_that_is_killed_at_any_call_ends_in_the_same_bytes(states: States, way: int, tmp_path: Path) -> None:
    chance, base = random.Random(way), Path("/log")
    snapshot = states.all[len(states.all) * (way + 2) // 6]
    state = list(after_a_cut(snapshot, chance))[way]
    place_in(tmp_path / "whole", state, base)
    recover(tmp_path / "whole", SIGNER, SystemDisk(), SetClock(), quiet)
    expected = contents(tmp_path / "whole")
    for calls in range(100):
        root = tmp_path / str(calls)
        place_in(root, state, base)
        disk = MortalDisk(calls)
        try:
            recover(root, SIGNER, disk, SetClock(), quiet)
        except Killed:
            recover(root, SIGNER, SystemDisk(), SetClock(), quiet)
        assert contents(root) == expected, calls
        if disk.calls <= calls:
            return
    raise AssertionError("recovery made more calls than were tried")
