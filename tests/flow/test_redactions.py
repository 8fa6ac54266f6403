"""Faces hidden in a copy of a clip, over HTTP, by a real detector: found, decided on, made, verified and exported."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from models.entries import load
from models.face.base import FaceDetector, Found
from models.face.detectors import opened_detector
from models.face.entry import FaceEntry
from models.registry import FILE
from tests.models_made import faces_in
from tests.serving import Answer, Server, allow, onrecord, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]

WIDTH, HEIGHT = 640, 360
MODEL = "yunet"
GRID = "drawgrid=w=8:h=8:t=2:c=black"
DRAWN = {"left": 280.0, "top": 240.0, "right": 360.0, "bottom": 340.0}
"""Where nobody's face is: the grid behind the two."""


def faces() -> Path:
    place = Path(os.environ.get("ONRECORD_TEST_DATA", "")) / "faces"
    if not os.environ.get("ONRECORD_TEST_DATA") or not place.is_dir():
        pytest.skip("pictures of faces are not there: set $ONRECORD_TEST_DATA")
    return place


def film(path: Path) -> Path:
    """12 s of two people who move, one on either side, before a fine grid, with a tone."""
    people, moves = faces(), (
        "[1]crop=iw:iw*0.9:0:0,scale=-2:190[left];[2]crop=iw:iw*0.75:0:0,scale=-2:190[right];"
        "[0][left]overlay=x='10+9*t':y='10+25*sin(t)'[one];"
        "[one][right]overlay=x='400-7*t':y='110-40*sin(t*1.3)'[out]"
    )  # fmt: skip
    command = [
        "ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", f"color=c=gray:size={WIDTH}x{HEIGHT}:rate=25,{GRID}",
        "-loop", "1", "-i", str(people / "obama-1.jpg"), "-loop", "1", "-i", str(people / "biden-1.jpg"),
        "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-filter_complex", moves, "-map", "[out]",
        "-map", "3:a", "-t", "12", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "50", "-pix_fmt",
        "yuv420p", "-c:a", "aac", str(path),
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=180)
    return path


@dataclass
class Hall:
    """A server with a case, its recording and a clip of 10 s of it."""

    server: Server
    case_id: str
    clip: dict[str, object]
    original: Path

    @property
    def where(self) -> str:
        return f"/api/v1/clips/{self.clip['clip_id']}/redactions"

    def read(self, redaction_id: str) -> tuple[dict[str, object], str]:
        """The redaction and its ETag."""
        answer = self.server.ask(f"/api/v1/redactions/{redaction_id}")
        assert answer.status == 200, answer.body
        return answer.tree(), str(answer.headers["ETag"])

    def begin(self, *, detect: bool = True) -> str:
        answer = self.server.ask(self.where, "POST", {"detect": detect})
        assert answer.status == 202, answer.body
        return str(answer.tree()["redaction_id"])

    def wait(self, redaction_id: str, state: str) -> tuple[dict[str, object], str]:
        until(lambda: self.read(redaction_id)[0]["state"] == state, state, 120)
        return self.read(redaction_id)

    def decide(self, redaction_id: str, tag: str, said: dict[str, object]) -> Answer:
        return self.server.ask(f"/api/v1/redactions/{redaction_id}/tracks", "PUT", said, If_Match=tag)

    def make(self, redaction_id: str, tag: str, **said: object) -> Answer:
        return self.server.ask(f"/api/v1/redactions/{redaction_id}/make", "POST", said, If_Match=tag)

    def kept(self, sha256: object) -> Path:
        return self.server.data / "files" / str(sha256)[:2] / str(sha256)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "film.mp4")


def hall_in(folder: Path, source: Path, *, has_model: bool) -> Iterator[Hall]:
    models = faces_in(folder / "models", MODEL) if has_model else folder / "none"
    with Server(folder / "data", {"ONRECORD_MODELS__FOLDER": str(models)}) as server:
        server.add_device("cam")
        done = onrecord(server.data, "ingest", str(source), "--device", "cam", "--json")
        assert done.returncode == 0, done.stderr
        recording_id = json.loads(done.stdout)["items"][0]["recording_id"]
        until(lambda: server.ask(f"/api/v1/recordings/{recording_id}").status == 200, "the recording in the store")
        case_id = str(server.ask("/api/v1/cases", "POST", {"number": "1", "title": "案"}).tree()["case_id"])
        attached = server.ask(f"/api/v1/cases/{case_id}/recordings", "POST", {"recording_id": recording_id})
        assert attached.status == 201, attached.body
        allow(server, {"what": "copy", "case_id": case_id})
        wanted = {"case_id": case_id, "start_s": 0.0, "end_s": 10.0, "title": "现场"}
        cut = server.ask(f"/api/v1/recordings/{recording_id}/clips", "POST", wanted)
        assert cut.status == 201, cut.body
        clip = cut.tree()
        sha256 = str(clip["sha256"])
        yield Hall(server, case_id, clip, server.data / "files" / sha256[:2] / sha256)


@pytest.fixture
def hall(tmp_path: Path, source: Path) -> Iterator[Hall]:
    yield from hall_in(tmp_path, source, has_model=True)


@pytest.fixture
def bare(tmp_path: Path, source: Path) -> Iterator[Hall]:
    """No model is here."""
    yield from hall_in(tmp_path, source, has_model=False)


def detector() -> FaceDetector:
    """Surer of less than recognition is, as what hides faces must not leave any."""
    entry = next(each for each in load(FILE) if each.name == MODEL)
    folder = Path(os.environ["ONRECORD_MODELS"]) / "face"
    return opened_detector(
        FaceEntry(folder, entry.name, entry.version, entry.engine, entry.files[0].path), 1, 960, 0.5
    )  # fmt: skip


Picture = NDArray[np.uint8]


def pictures(path: Path) -> list[tuple[int, Picture]]:
    """(time in ticks, picture) of each."""
    with av.open(str(path), format="mp4") as box:
        return [
            (each.pts or 0, np.asarray(each.to_ndarray(format="bgr24"), np.uint8)) for each in box.decode(video=0)
        ]  # fmt: skip


def sound(path: Path) -> list[bytes]:
    with av.open(str(path), format="mp4") as box:
        return [bytes(each) for each in box.demux(audio=0) if each.size]


def is_left(found: Found) -> bool:
    return (found.box[0] + found.box[2]) / 2 < WIDTH / 2


def middle(track: dict[str, object]) -> float:
    points = track["points"]
    assert isinstance(points, list)
    return float(sum((each["left"] + each["right"]) / 2 for each in points) / len(points))


def tracks_of(tree: dict[str, object]) -> list[dict[str, object]]:
    tracks = tree["tracks"]
    assert isinstance(tracks, list)
    return tracks


def detail(picture: Picture) -> float:
    """Of the part that DRAWN covers: what changes from pixel to pixel."""
    part = picture[
        int(DRAWN["top"]) + 12 : int(DRAWN["bottom"]) - 12, int(DRAWN["left"]) + 12 : int(DRAWN["right"]) - 12
    ]
    return float(np.abs(np.diff(part.astype(np.int16), axis=1)).mean())


def test_all_faces_but_the_named_one_are_hidden_in_a_copy_that_the_log_tells_of(hall: Hall, tmp_path: Path) -> None:
    server, before = hall.server, hashlib.sha256(hall.original.read_bytes()).hexdigest()
    redaction_id = hall.begin()
    draft, tag = hall.wait(redaction_id, "draft")
    assert (draft["error"], draft["detector"], draft["width"]) == ("", "yunet@2026may", WIDTH)
    clear = [each for each in tracks_of(draft) if middle(each) < WIDTH / 2]
    others = [each for each in tracks_of(draft) if middle(each) >= WIDTH / 2]
    assert clear
    assert others
    assert all(each["state"] == "hidden" for each in tracks_of(draft)), "whom nobody names is hidden"
    drawn = [{"points": [{"at_s": at_s, **DRAWN} for at_s in (0.0, 11.0)]}]
    said = {
        "clear": [{"track_id": each["track_id"], "name": "甲", "reason": "执法人员"} for each in clear], "drawn": drawn
    }  # fmt: skip
    changed = hall.decide(redaction_id, tag, said)
    assert changed.status == 200, changed.body
    assert hall.decide(redaction_id, tag, said).status == 412, "somebody changed it meanwhile"
    assert hall.make(redaction_id, tag).status == 412
    assert hall.make(redaction_id, str(changed.headers["ETag"]), purpose="答复申请人").status == 202
    made, tag = hall.wait(redaction_id, "made")
    assert made["error"] == ""
    assert hall.make(redaction_id, tag).status == 409, "it is made"
    assert hall.decide(redaction_id, tag, said).status == 409

    copy = hall.kept(made["sha256"])
    assert hashlib.sha256(hall.original.read_bytes()).hexdigest() == before, "the clip is what it was"
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == made["sha256"]
    assert not list((server.data / "clips").iterdir())
    assert_hides(hall.original, copy)

    told = server.ask(f"/api/v1/cases/{hall.case_id}/timeline?kinds=ClipBlurred").items()
    assert [each["of_clip"] for each in told] == [before]
    assert told[0]["clear"] == [
        {"track_id": each["track_id"], "name": "甲", "reason": "执法人员"} for each in clear
    ]  # fmt: skip
    assert (told[0]["blurred"], told[0]["drawn"], told[0]["edits"]) == (len(others) + 1, 1, 1)
    assert (told[0]["detector"], told[0]["why"]) == ("yunet@2026may", "答复申请人")
    items = {each["item_id"]: each for each in server.ask(f"/api/v1/cases/{hall.case_id}/items").items()}
    assert items[made["item_id"]]["sha256"] == made["sha256"]
    file = server.ask(f"/api/v1/redactions/{redaction_id}/file")
    assert file.body == copy.read_bytes()
    assert len(server.ask(f"/api/v1/cases/{hall.case_id}/timeline?kinds=ItemFetched").items()) == 1
    listed = server.ask(hall.where).items()
    assert [(each["redaction_id"], each["state"]) for each in listed] == [(redaction_id, "made")]

    job = server.ask(f"/api/v1/cases/{hall.case_id}/exports", "POST").tree()["export_id"]
    until(lambda: server.ask(f"/api/v1/exports/{job}").tree()["state"] == "done", "the export")
    out = tmp_path / "case.zip"
    out.write_bytes(server.ask(f"/api/v1/exports/{job}/file").body)
    assert_exported(out, copy, before, tmp_path / "case")
    server.stop()
    assert_verified(server, copy)


def assert_hides(original: Path, copy: Path) -> None:
    """At all pictures: the same times, the one who is named found, the other never; the drawn box without detail."""
    then, now, finder = pictures(original), pictures(copy), detector()
    assert len(now) == len(then) == 250
    with av.open(str(original), format="mp4") as one, av.open(str(copy), format="mp4") as other:
        bases = [box.streams.video[0].time_base or Fraction(0) for box in (one, other)]
    assert [pts * bases[1] for pts, _ in now] == [pts * bases[0] for pts, _ in then], "no picture moves in time"
    assert sound(copy) == sound(original)
    before = [finder.detect(picture) for _, picture in then]
    after = [finder.detect(picture) for _, picture in now]
    assert sum(any(not is_left(each) for each in found) for found in before) > 240, "he is there to be hidden"
    assert [at for at, found in enumerate(after) if any(not is_left(each) for each in found)] == []
    seen = sum(any(is_left(each) for each in found) for found in before)
    assert sum(any(is_left(each) for each in found) for found in after) >= 0.98 * seen
    assert max(detail(picture) for _, picture in now) < 0.35 * min(detail(picture) for _, picture in then)
    apart = [_far_from_boxes(one, other) for (_, one), (_, other) in zip(then, now, strict=True)]
    assert max(apart) < 6, "what is not hidden looks as it did"


def _far_from_boxes(one: Picture, other: Picture) -> float:
    """Mean difference in the corner where nothing is hidden."""
    return float(np.abs(one[-60:, :200].astype(np.int16) - other[-60:, :200].astype(np.int16)).mean())


def assert_exported(out: Path, copy: Path, of_clip: str, folder: Path) -> None:
    with zipfile.ZipFile(out) as zipped:
        derived = json.loads(zipped.read("index.json"))["derivatives"]
        assert [each.get("of_clip") for each in derived] == [None, of_clip]
        assert derived[1]["path"] == f"files/{copy.name}"
        assert zipped.read(derived[1]["path"]) == copy.read_bytes()
        zipped.extractall(folder)
    proof = subprocess.run([sys.executable, "verify.py"], cwd=folder, capture_output=True, text=True)
    assert proof.returncode == 0, proof.stdout + proof.stderr
    told = folder / "files" / copy.name
    told.write_bytes(told.read_bytes()[:-1])
    proof = subprocess.run([sys.executable, "verify.py"], cwd=folder, capture_output=True, text=True)
    assert proof.returncode == 1


def assert_verified(server: Server, copy: Path) -> None:
    """Whole as it is; not with the copy exchanged, nor without it, nor with a row that says something else."""
    done = onrecord(server.data, "verify", str(server.data))
    assert done.returncode == 0, done.stdout
    recording = server.recordings()[0]
    assert onrecord(server.data, "verify", str(recording)).returncode == 0
    raw = copy.read_bytes()
    copy.chmod(0o600)
    copy.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert "hash_differs" in defects(server)
    copy.unlink()
    assert "file_missing" in defects(server)
    copy.write_bytes(raw)
    assert defects(server) == set()
    (copy.parent / ("0" * 64)).write_bytes(b"")
    assert "file_added" in defects(server)


def defects(server: Server) -> set[str]:
    done = onrecord(server.data, "verify", str(server.data))
    return {str(json.loads(line).get("defect")) for line in done.stdout.splitlines()}


def test_without_a_model_it_says_so_and_boxes_drawn_by_hand_are_hidden_all_the_same(bare: Hall) -> None:
    refused = bare.server.ask(bare.where, "POST", {})
    assert refused.status == 503, refused.body
    assert "onrecord models list" in str(refused.tree()["detail"])
    redaction_id = bare.begin(detect=False)
    draft, tag = bare.read(redaction_id)
    assert (draft["state"], draft["detector"], tracks_of(draft)) == ("draft", "", [])
    empty = bare.make(redaction_id, tag)
    assert (empty.status, "nothing would be hidden" in str(empty.tree()["detail"])) == (409, True)
    for bad in bad_edits():
        assert bare.decide(redaction_id, tag, bad).status == 422, bad
    points = [{"at_s": at_s, **DRAWN} for at_s in (2.0, 4.0)]
    said = bare.decide(redaction_id, tag, {"drawn": [{"points": points}]})
    assert said.status == 200, said.body
    assert bare.make(redaction_id, str(said.headers["ETag"])).status == 202
    made, _ = bare.wait(redaction_id, "made")
    then, now = pictures(bare.original), pictures(bare.kept(made["sha256"]))
    covered = [detail(other) < 0.35 * detail(one) for (_, one), (_, other) in zip(then, now, strict=True)]
    assert covered == [50 <= at <= 100 for at in range(250)], "from its first point to its last, and no longer"
    bare.server.stop()
    assert onrecord(bare.server.data, "verify", str(bare.server.data)).returncode == 0


def bad_edits() -> Sequence[dict[str, object]]:
    def drawn(*points: dict[str, float]) -> dict[str, object]:
        return {"drawn": [{"points": list(points)}]}

    first, last = {"at_s": 1.0, **DRAWN}, {"at_s": 2.0, **DRAWN}
    return (
        drawn(first), drawn(last, first), drawn(first, first), drawn(first, {**last, "at_s": 999.0}),
        drawn(first, {**last, "right": 0.0}), {"clear": [{"track_id": "f1", "name": "甲", "reason": "r"}]},
        {"clear": [{"track_id": "f1", "name": "", "reason": "r"}]}, {"clear": [{"track_id": "f1", "name": "甲"}]},
        {"removed": [{"track_id": "d1", "reason": "r"}], **drawn(first, last)},
    )  # fmt: skip


def test_without_an_approval_or_out_of_reach_nothing_is_begun_made_or_fetched(bare: Hall) -> None:
    server = bare.server
    with server.access() as access:
        stranger = server.keep(access.create_token("handler", "stranger"))
        other = server.keep(access.create_token("commander", "other"))
        watcher = server.keep(access.create_token("analyst", "watcher"))
    own = server.ask("/api/v1/cases", "POST", {"number": "2", "title": "他案"}, token=stranger).tree()["case_id"]
    shared = {"recording_id": bare.clip["recording_id"]}
    assert server.ask(f"/api/v1/cases/{own}/recordings", "POST", shared).status == 201
    assert server.ask(f"/api/v1/recordings/{bare.clip['recording_id']}", token=stranger).status == 200
    redaction_id = bare.begin(detect=False)
    where, tag = f"/api/v1/redactions/{redaction_id}", bare.read(redaction_id)[1]
    doors: Sequence[tuple[str, str, dict[str, object] | None]] = (
        (bare.where, "POST", {"detect": False}), (f"{where}/make", "POST", {}), (f"{where}/file", "GET", None)
    )  # fmt: skip
    for path, method, body in doors:
        assert server.ask(path, method, body, token=other, If_Match=tag).status == 403, path
    reading: Sequence[tuple[str, str, dict[str, object] | None]] = (
        (where, "GET", None),
        (bare.where, "GET", None),
        (f"{where}/tracks", "PUT", {}),
    )
    for path, method, body in (*doors, *reading):
        assert server.ask(path, method, body, token=stranger, If_Match=tag).status == 404, path
        assert server.ask(path, method, body, token=watcher, If_Match=tag).status == 403, path
        assert server.ask(path, method, body, token="", If_Match=tag).status == 401, path
    assert server.ask(f"{where}/tracks", "PUT", {}).status == 428
    assert server.ask(f"{where}/make", "POST", {}).status == 428
    assert server.ask(f"{where}/file").status == 409, "it is not made"


def test_a_server_that_is_stopped_while_it_makes_a_copy_makes_it_when_it_runs_again(bare: Hall) -> None:
    redaction_id = bare.begin(detect=False)
    points = [{"at_s": at_s, **DRAWN} for at_s in (2.0, 4.0)]
    said = bare.decide(redaction_id, bare.read(redaction_id)[1], {"drawn": [{"points": points}]})
    assert bare.make(redaction_id, str(said.headers["ETag"])).status == 202
    until(lambda: bool(list((bare.server.data / "clips").glob("*.part"))), "its part")
    bare.server.process.kill()
    bare.server.process.wait()
    bare.server.start()
    made, _ = bare.wait(redaction_id, "made")
    assert bare.kept(made["sha256"]).is_file()
    assert not list((bare.server.data / "clips").iterdir()), "what the kill left is gone"
    bare.server.stop()
    done = onrecord(bare.server.data, "verify", str(bare.server.data))
    assert done.returncode == 0, done.stdout
