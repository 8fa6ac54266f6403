"""Clips over HTTP: refused without an approval to copy, cut as recorded, kept, told, verified and exported."""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from tests.serving import Server, allow, onrecord, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]


@dataclass
class Kept:
    """A server with a case and its recording of 25 s, a key frame every two seconds."""

    server: Server
    recording_id: str
    case_id: str

    def cut(self, key: str = "", **more: object) -> tuple[int, dict[str, object]]:
        wanted = {"case_id": self.case_id, "start_s": 5.0, "end_s": 14.0, **more}
        headers = {"Idempotency_Key": key} if key else {}
        answer = self.server.ask(f"/api/v1/recordings/{self.recording_id}/clips", "POST", wanted, **headers)
        return answer.status, answer.tree()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    film = tmp_path / "film.mp4"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-f", "lavfi", "-i",
         "sine=frequency=440:sample_rate=48000", "-t", "25", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0",
         "-g", "50", "-c:a", "aac", str(film)],
        check=True, timeout=120,
    )  # fmt: skip
    with Server(tmp_path / "data") as server:
        server.add_device("cam")
        done = onrecord(server.data, "ingest", str(film), "--device", "cam", "--json")
        assert done.returncode == 0, done.stderr
        recording_id = json.loads(done.stdout)["items"][0]["recording_id"]
        until(lambda: server.ask(f"/api/v1/recordings/{recording_id}").status == 200, "the recording in the store")
        case = server.ask("/api/v1/cases", "POST", {"number": "1", "title": "案"}).tree()
        yield Kept(server, recording_id, str(case["case_id"]))


def test_a_clip_is_cut_on_key_frames_kept_told_verified_and_exported(kept: Kept, tmp_path: Path) -> None:
    server = kept.server
    assert kept.cut()[0] == 403, "nothing is copied without an approval"
    allow(server, {"what": "copy", "case_id": kept.case_id})
    assert kept.cut()[0] == 404, "the recording is none of the case"
    where = f"/api/v1/cases/{kept.case_id}"
    attached = server.ask(f"{where}/recordings", "POST", {"recording_id": kept.recording_id})
    assert attached.status == 201, attached.body
    for bad in ({"end_s": 5.0}, {"end_s": 5000.0}, {"start_s": -1.0}, {"exact": True}):
        assert kept.cut(**bad)[0] == 422, bad
    assert kept.cut(start_s=1000.0, end_s=1001.0)[0] == 404
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: kept.cut("k1", title="出示证件"), range(3)))
    status, clip = answers[0]
    assert status == 201, clip
    assert answers == [(status, clip)] * 3, "one request that is sent again makes one clip"
    assert kept.cut("k1", end_s=13.0)[0] == 409
    assert clip["cut_start_s"] == pytest.approx(4.0, abs=0.05), "the key frame before"
    assert clip["cut_end_s"] == pytest.approx(14.0, abs=0.05)
    sha256 = str(clip["sha256"])
    path = server.data / "files" / sha256[:2] / sha256
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    assert not list((server.data / "clips").iterdir())
    with av.open(str(path), format="mp4") as box:
        assert len(list(box.decode(video=0))) == 250
    items = {each["item_id"]: each for each in server.ask(f"{where}/items").items()}
    assert items[clip["item_id"]]["sha256"] == sha256
    told = server.ask(f"{where}/timeline?kinds=ClipMade").items()
    assert len(told) == 1
    segments = told[0]["segments"]
    assert isinstance(segments, list)
    folder = next(each for each in server.recordings() if each.name == kept.recording_id)
    for each in segments:
        assert hashlib.sha256((folder / each["file"]).read_bytes()).hexdigest() == each["sha256"]
    assert server.ask(f"{where}/items/{clip['item_id']}/file").status in (403, 404), "it leaves with an export"
    out = tmp_path / "case.zip"
    job = server.ask(f"{where}/exports", "POST").tree()["export_id"]
    until(lambda: server.ask(f"/api/v1/exports/{job}").tree()["state"] == "done", "the export")
    out.write_bytes(server.ask(f"/api/v1/exports/{job}/file").body)
    with zipfile.ZipFile(out) as copy:
        derived = json.loads(copy.read("index.json"))["derivatives"]
        assert [each["path"] for each in derived] == [f"files/{sha256}"]
        assert derived[0]["segments"] == segments
        assert copy.read(f"files/{sha256}") == path.read_bytes()
        copy.extractall(tmp_path / "case")
    proof = subprocess.run([sys.executable, "verify.py"], cwd=tmp_path / "case", capture_output=True, text=True)
    assert proof.returncode == 0, proof.stdout + proof.stderr
    server.stop()
    done = onrecord(server.data, "verify", str(server.data))
    assert done.returncode == 0, done.stdout
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    done = onrecord(server.data, "verify", str(server.data))
    assert done.returncode != 0
    assert "hash_differs" in done.stdout
    path.unlink()
    assert "file_missing" in onrecord(server.data, "verify", str(server.data)).stdout
