"""Files open although every descriptor is taken: what `Spare` keeps for the recorder."""

import contextlib
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.descriptors import Spare
from pipeline.record.disk import SystemDisk


@pytest.fixture
def few_left() -> Iterator[None]:
    """This process may open few files more; as before afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    newest = os.open(os.devnull, os.O_RDONLY)
    os.close(newest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (newest + 40, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def take_all() -> list[int]:
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    return taken


@pytest.mark.usefixtures("few_left")
def test_the_recorder_opens_its_files_although_a_crowd_took_every_descriptor(tmp_path: Path) -> None:
    """As many as are held; then it is told that none is left; then the crowd is gone and they are held again."""
    with contextlib.closing(Spare(3)) as spare:
        disk = SystemDisk(open_file=spare.open)
        for _ in range(2):
            crowd = take_all()
            ours = [disk.create(tmp_path / f"{n}.mp4") for n in range(3)]
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
                spare.open(tmp_path, os.O_RDONLY)
            for descriptor in ours + crowd:
                os.close(descriptor)
            disk.close(disk.create(tmp_path / "between.mp4"))
    crowd = take_all()
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        spare.open(tmp_path, os.O_RDONLY)
    for descriptor in crowd:
        os.close(descriptor)
