"""`onrecord ingest`: whole files at the speed of the disk, nothing lost, and nobody else disturbed."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.record.disk import SystemDisk
from pipeline.record.recovery import recover
from pipeline.record.verify import verify
from tests.tools import needs
from tests.unit.record.material import SIGNER, BrokenDisk, Site, fragments

pytestmark = needs("ffmpeg", "ffprobe")

PICTURES = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"]
SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
CODED = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-bf", "2", "-qp", "10", "-c:a", "aac"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds as a camera's card would hold them."""
    folder = tmp_path_factory.mktemp("clips")
    command = ["ffmpeg", "-v", "error", *PICTURES, *SOUND, "-t", "20", *CODED, str(folder / "a.mp4")]
    subprocess.run(command, check=True, timeout=60)
    for name in ("a.ts", "a.flv"):
        copy = ["ffmpeg", "-v", "error", "-i", str(folder / "a.mp4"), "-c", "copy", str(folder / name)]
        subprocess.run(copy, check=True, timeout=60)
    return folder


def onrecord(data: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ONRECORD_DATA": str(data), **settings}
    command = [sys.executable, "-m", "api.cli", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def packets(*files: Path) -> int:
    counted = 0
    for file in files:
        words = ["-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "json", str(file)]
        shown = subprocess.run(["ffprobe", *words], capture_output=True, text=True, check=True)
        counted += sum(int(stream["nb_read_packets"]) for stream in json.loads(shown.stdout)["streams"])
    return counted


def test_every_packet_of_a_file_is_recorded_and_the_hold_is_never_overrun(clips: Path, tmp_path: Path) -> None:
    onrecord(tmp_path, "device", "add", "cam")
    names = [str(clips / name) for name in ("a.mp4", "a.ts", "a.flv")]
    small = {"ONRECORD_RECORD__HOLD_BYTES": "1000000"}  # the file has more than five times that
    done = onrecord(tmp_path, "ingest", *names, "--device", "cam", "--json", **small)
    assert done.returncode == 0, done.stderr
    taken = json.loads(done.stdout)["items"]
    assert [each["lost_s"] for each in taken] == [0, 0, 0]
    for each, name in zip(taken, names, strict=True):
        (folder,) = tmp_path.rglob(each["recording_id"])
        assert verify(folder).exit_code == 0
        assert packets(*sorted(folder.glob("*.mp4"))) == packets(Path(name)) == each["packets"]
    assert (clips / "a.mp4").stat().st_size > 5_000_000


def test_a_file_that_breaks_off_keeps_what_came_before_and_says_so(clips: Path, tmp_path: Path) -> None:
    onrecord(tmp_path, "device", "add", "cam")
    broken, wrong = tmp_path / "broken.ts", tmp_path / "wrong.mp4"
    whole = (clips / "a.ts").read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    wrong.write_bytes(b"no film at all, " * 100)
    done = onrecord(tmp_path, "ingest", str(wrong), str(broken), "--device", "cam", "--json")
    first, second = json.loads(done.stdout)["items"]
    assert done.returncode == 1
    assert "wrong.mp4" in done.stderr
    assert (first["seconds"], first["recording_id"]) == (0.0, "")
    assert second["seconds"] == pytest.approx(10, abs=2)
    (folder,) = tmp_path.rglob(second["recording_id"])
    assert verify(folder).exit_code == 0


def test_an_unknown_or_revoked_device_takes_no_file(clips: Path, tmp_path: Path) -> None:
    onrecord(tmp_path, "device", "add", "cam")
    onrecord(tmp_path, "device", "revoke", "cam")
    for name in ("cam", "nobody"):
        done = onrecord(tmp_path, "ingest", str(clips / "a.mp4"), "--device", name)
        assert done.returncode == 1
        assert "no active device" in done.stderr
    assert not list(tmp_path.rglob("manifest.jsonl"))


def test_recovery_leaves_a_recording_that_a_living_process_writes(tmp_path: Path) -> None:
    site = Site(tmp_path, disk=BrokenDisk())  # which leaves the recording open, and claims nothing
    recording = site.open()
    for fragment in fragments(1.5):
        recording.offer(fragment)
    before = (site.folder / "manifest.jsonl").read_bytes()
    with (site.folder / "manifest.jsonl").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert recover(tmp_path, SIGNER, SystemDisk(), SystemClock(), site.tell).recovered == 0
        assert (site.folder / "manifest.jsonl").read_bytes() == before
    assert recover(tmp_path, SIGNER, SystemDisk(), SystemClock(), site.tell).recovered == 1
