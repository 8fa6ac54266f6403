"""Files open although every descriptor is taken: what `Spare` keeps for the recorder."""

import contextlib
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.descriptors import Spare
from pipeline.record.disk import SystemDisk

_LIMIT = 64


def test_the_recorder_opens_its_files_although_a_crowd_took_every_descriptor(tmp_path: Path) -> None:
    """In a process of its own: nobody else opens or closes anything there."""
    call = f"from tests.unit.test_descriptors import crowded; crowded({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def crowded(folder: str) -> None:
    """As many as are held; then it is told that none is left; then the crowd is gone and they are held again."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_LIMIT, _LIMIT))
    path = Path(folder)
    with contextlib.closing(Spare(3)) as spare:
        disk = SystemDisk(open_file=spare.open)
        for _ in range(2):
            crowd = _take_all()
            ours = [disk.create(path / f"{n}.mp4") for n in range(3)]
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
                spare.open(path, os.O_RDONLY)
            for descriptor in ours + crowd:
                os.close(descriptor)
            disk.close(disk.create(path / "between.mp4"))
        disk.create(path / "kept.mp4")
        assert len(_take_all()) < _LIMIT - 3
    assert len(_take_all()) == 3


def _take_all() -> list[int]:
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    return taken
