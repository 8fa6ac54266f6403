"""A server whose disk is mounted read-only, as a kernel does after an error. The mounts are real."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flow.test_server import verdicts
from tests.serving import Server, onrecord, until
from tests.tools import needs

pytestmark = needs("ffmpeg")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A disk of its own at `folder`; skips aloud where nobody may mount."""
    folder.mkdir(parents=True)
    if shutil.which("mount") is None or not mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder)):
        pytest.skip("this user may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=10)


def mount(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True, timeout=10).returncode == 0


def test_a_server_does_not_start_on_a_data_folder_that_cannot_be_written_and_says_why(tmp_path: Path) -> None:
    with mounted(tmp_path / "data", "ro"):
        answer = onrecord(tmp_path / "data", "serve")
    assert answer.returncode == 1
    assert str(tmp_path / "data") in answer.stderr
    assert "mount" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_recordings_on_a_read_only_disk_are_an_alarm_at_once_a_gap_with_its_cause_and_go_on_by_themselves(
    tmp_path: Path,
) -> None:
    """Live viewing needs no disk, so the server runs; it says at its start that nothing can be recorded. What memory
    cannot hold is a gap; once the disk can be written again the rest is recorded, in order, and the manifest whole."""
    folder = tmp_path / "data" / "recordings"
    settings = {"ONRECORD_RECORD__HOLD_S": "1", "ONRECORD_RECORD__MIN_FREE_BYTES": "0"}
    with mounted(folder, "ro"), Server(tmp_path / "data", settings) as server:
        until(lambda: "is mounted read-only" in server.log, "the alarm without any stream")
        assert server.metric("onrecord_record_failed ") == 1
        server.publish(server.add_device("camera"))
        stream_id = server.live_id("camera")
        pictures = rf'onrecord_stream_fragments_total\{{stream_id="{stream_id}'
        until(lambda: server.metric(pictures) > 300, "more than memory may hold")
        assert not server.recordings()
        assert mount("-o", "remount,rw", str(folder))
        until(lambda: server.metric("onrecord_record_failed ") == 0, "the alarm ends")
        assert server.metric("onrecord_record_lost_seconds_total") > 1
        closing = server.metric(pictures)
        until(lambda: server.metric(pictures) > closing + 50, "it goes on")
        assert server.live_id("camera") == stream_id
        server.stop()
        assert verdicts(server) == [(0, "")]
        [recording] = server.recordings()
        assert '"disk_error"' in (recording / "manifest.jsonl").read_text()
        assert "Traceback" not in server.log
