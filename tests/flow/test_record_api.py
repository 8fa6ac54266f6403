"""The record over HTTP: a case fills while a device publishes, a tail that resumes, notes, refusals."""

import http.client
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cases.custody import checkpoint, merkle, proofs
from cases.export import standalone
from pipeline.record.signing import read_public_keys
from tests.serving import Server, allow, onrecord, until
from tests.tools import needs

pytestmark = pytest.mark.slow


def ask(
    server: Server, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, dict[str, object], dict[str, str]]:
    """Status, body and headers of an answer, also of a refusal."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/api/v1{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json", **headers},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            raw = answer.read()
            return answer.status, json.loads(raw) if raw else {}, dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), dict(error.headers)


class Listener:
    """A tail, read event by event."""

    def __init__(self, server: Server, query: str, last_id: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        headers = {"Authorization": f"Bearer {server.token}", **({"Last-Event-ID": last_id} if last_id else {})}
        self._connection.request("GET", f"/api/v1/events?{query}", headers=headers)
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.read()
        assert self._answer.readline() == b": here\n"

    def next(self) -> tuple[str, dict[str, object]]:
        place = ""
        while True:
            line = self._answer.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                place = line[4:]
            elif line.startswith("data: "):
                tree: dict[str, object] = json.loads(line[6:])
                return place, tree

    def until(self, kind: str) -> tuple[str, list[str]]:
        """The id of the next event of this kind, and all kinds up to it."""
        kinds: list[str] = []
        while True:
            place, tree = self.next()
            kinds.append(str(tree["kind"]))
            if kinds[-1] == kind:
                return place, kinds

    def close(self) -> None:
        self._connection.close()


def publish(server: Server, key: str, seconds: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            "ffmpeg", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10",
            "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10",
            "-f", "flv", f"rtmp://127.0.0.1:{server.rtmp_port}/live/{key}",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def fetched(server: Server, path: str) -> bytes:
    url = f"http://127.0.0.1:{server.port}/api/v1{path}"
    with urllib.request.urlopen(
        urllib.request.Request(url, headers={"Authorization": f"Bearer {server.token}"}), timeout=20
    ) as answer:
        raw: bytes = answer.read()
    return raw


def exported(server: Server, case_id: object, out: Path, **headers: str) -> dict[str, object]:
    """Have the case made into `out`, which is checked."""
    allow(server, {"what": "copy", "case_id": case_id})
    status, job, _ = ask(server, "POST", f"/cases/{case_id}/exports", **headers)
    assert status == 202
    where = f"/exports/{job['export_id']}"
    until(lambda: ask(server, "GET", where)[1]["state"] in ("done", "failed"), "the export")
    job = ask(server, "GET", where)[1]
    assert job["state"] == "done", job
    out.write_bytes(fetched(server, f"{where}/file"))
    assert standalone.check(str(out)).defects == []
    return job


def test_a_case_fills_while_its_officer_records_and_the_tail_goes_on_over_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Server(data) as server:
        key = server.add_device("cam 1")
        status, case, headers = ask(server, "POST", "/cases", {"number": "1", "title": "超市案"})
        assert status == 201
        tag = {name.lower(): value for name, value in headers.items()}["etag"]
        case_id = case["case_id"]
        status, officer, _ = ask(
            server, "POST", "/officers", {"name": "林晓岚", "certificate_number": "A1", "unit": "东城"}
        )
        assert status == 201
        listener = Listener(server, f"case_id={case_id}")
        until(lambda: ask(server, "GET", "/cases")[1]["items"] != [], "the case in the list")
        publisher = publish(server, key, 4)
        until(lambda: server.streams() != [], "the stream")
        device_id = server.streams()[0]["device_id"]
        assert ask(server, "POST", f"/devices/{device_id}/bindings", {"officer_id": officer["officer_id"]})[0] == 201
        until(lambda: ask(server, "GET", "/recordings")[1]["items"] != [], "the recording in the store")
        recording = ask(server, "GET", "/recordings")[1]["items"][0]  # type: ignore[index]
        link = ask(server, "POST", f"/cases/{case_id}/recordings", {"recording_id": recording["recording_id"]})
        assert link[0] == 201
        listener.until("RecordingAttached")
        place, kinds = listener.until("SegmentClosed")
        publisher.wait()
        listener.close()
        assert (
            ask(server, "POST", f"/cases/{case_id}/notes", {"text": "当事人在场"}, **{"Idempotency-Key": "n1"})[0]
            == 201
        )
        assert (
            ask(server, "POST", f"/cases/{case_id}/notes", {"text": "当事人在场"}, **{"Idempotency-Key": "n1"})[0]
            == 201
        )
        assert ask(server, "PATCH", f"/cases/{case_id}", {"title": "新名"}, **{"If-Match": tag})[0] == 200
        assert ask(server, "PATCH", f"/cases/{case_id}", {"title": "旧名"}, **{"If-Match": tag})[0] == 412
        first = ask(server, "GET", "/log/head")[1]
    with Server(data, settings={"ONRECORD_STORE__HEAD_EVERY_S": "1"}) as server:
        listener = Listener(server, f"case_id={case_id}", place)
        _, kinds = listener.until("CaseChanged")
        listener.close()
        assert kinds.count("NoteAdded") == 1
        shown = ask(server, "GET", f"/cases/{case_id}/timeline")[1]["items"]
        kinds = [each["kind"] for each in shown]  # type: ignore[attr-defined]
        for kind in (
            "CaseOpened",
            "StreamStarted",
            "RecordingStarted",
            "RecordingAttached",
            "SegmentClosed",
            "NoteAdded",
        ):
            assert kind in kinds
        event_id = shown[0]["event_id"]  # type: ignore[index]
        until(lambda: ask(server, "GET", f"/events/{event_id}/proof")[1]["head"] is not None, "a signed head")
        proof, head = ask(server, "GET", f"/events/{event_id}/proof")[1], ask(server, "GET", "/log/head")[1]
        path = [bytes.fromhex(each) for each in proof["path"]]  # type: ignore[attr-defined]
        signed = checkpoint.parse(proof["head"]["note"])  # type: ignore[index]
        keys = [key for file in (data / "keys").glob("*.pub.pem") for key in read_public_keys(file)]
        assert any(signed.is_signed_by(key) for key in keys)
        leaf = merkle.leaf_hash(str(proof["entry"]).encode())
        assert proofs.is_included(leaf, int(str(proof["seq"])), signed.head.size, path, signed.head.root)
        way = ask(server, "GET", f"/log/consistency?from={first['size']}&to={head['size']}")[1]["path"]
        assert proofs.is_consistent(
            int(str(first["size"])), bytes.fromhex(str(first["root"])), int(str(head["size"])),
            bytes.fromhex(str(head["root"])), [bytes.fromhex(each) for each in way],  # type: ignore[attr-defined]
        )  # fmt: skip
        found = ask(server, "GET", "/search?q=%E5%BD%93%E4%BA%8B")[1]["items"]
        assert [each["snippet"] for each in found] == ["当事人在场"]  # type: ignore[attr-defined]

    assert verify(data) == (0, [])
    note = tmp_path / "kept.head"
    note.write_text(str(first["note"]), encoding="utf-8")
    assert verify(data, "--head", str(note)) == (0, [])
    folder = next(data.glob("recordings/*/*/*/*/"))
    segment = next(folder.glob("*.mp4"))
    raw = segment.read_bytes()
    segment.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    status, defects = verify(data)
    assert (status, {each.partition(" ")[0] for each in defects}) == (1, {f"{folder.relative_to(data)}/{segment.name}"})
    segment.write_bytes(raw)
    folder.rename(tmp_path / "away")
    assert verify(data) == (1, [f"{folder.name} recording_missing"])


def verify(data: Path, *more: str) -> tuple[int, list[str]]:
    """The exit status of `onrecord verify` and its defects."""
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "verify", str(data), *more], capture_output=True, text=True, check=False
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [f"{each['file']} {each['defect']}" for each in lines]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/cases/none", None, 404),
        ("POST", "/cases", {"number": "1"}, 422),
        ("POST", "/cases", {"number": "1", "title": "a\u202eb"}, 422),
        ("POST", "/cases", {"number": "1", "title": "a", "colour": "red"}, 422),
        ("POST", "/cases/none/notes", {"text": "x" * (1 << 20)}, 413),
        ("POST", "/cases/none/notes", {"text": "x" * 20_001}, 422),
        ("POST", "/cases/none/notes", {"text": "x"}, 404),
        ("GET", "/cases?cursor=abc", None, 422),
        ("GET", "/events?case_id=none", None, 404),
        ("PATCH", "/cases/none", {"title": "x"}, 428),
    ],
)
def test_what_cannot_be_taken_is_a_problem_with_its_remedy(
    one: Server, method: str, path: str, body: object, status: int
) -> None:
    found, problem, headers = ask(one, method, path, body)
    assert (found, problem["status"]) == (status, status)
    assert {name.lower(): value for name, value in headers.items()}["content-type"] == "application/problem+json"
    assert ask(one, "GET", "/cases")[1] == {"items": [], "next_cursor": None}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("record") / "data") as server:
        yield server


def test_lists_of_a_case_and_a_search_come_page_by_page_and_hold_everything_once(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        _, case, _ = ask(server, "POST", "/cases", {"number": "1", "title": "超市案"})
        under = f"/cases/{case['case_id']}"
        with server.access() as access:
            device, _ = access.add_device("cam", "officer", "unit")
        for number in range(5):
            made = ask(
                server, "POST", f"{under}/items", {"kind": "paper", "title": f"笔录 {number}", "shelf_mark": "A"}
            )
            assert made[0] == 201
            assert ask(server, "POST", f"{under}/notes", {"text": f"当事人在场 {number}"})[0] == 201
            rule = {
                "device_id": device.device_id, "from": "2026-01-01T00:00:00Z",
                "to": "2026-01-02T00:00:00Z", "place": "市场",
            }  # fmt: skip
            assert ask(server, "POST", f"{under}/attach-rules", rule)[0] == 201
        titles = [each["title"] for each in paged(server, f"{under}/items?limit=2")]
        assert titles == [f"笔录 {number}" for number in range(5)]
        rules = [each["rule_id"] for each in paged(server, f"{under}/attach-rules?limit=2")]
        assert len(set(rules)) == len(rules) == 5
        found = [each["text"] for each in paged(server, f"/search?q={urllib.parse.quote('在场')}&limit=2")]
        assert found == [f"当事人在场 {number}" for number in range(4, -1, -1)]
        for path in (f"{under}/items", f"{under}/recordings", f"{under}/steps", "/search"):
            assert ask(server, "GET", f"{path}?q=x&cursor=none")[0] == 422, path


def paged(server: Server, path: str) -> list[dict[str, object]]:
    """All of a list, page by page; none larger than it was asked for."""
    found: list[dict[str, object]] = []
    cursor: object = ""
    while cursor is not None:
        _, tree, _ = ask(server, "GET", f"{path}&cursor={cursor}")
        items = tree["items"]
        assert isinstance(items, list)
        assert len(items) <= 2
        found += items
        cursor = tree["next_cursor"]
    return found


def test_a_case_is_exported_while_it_is_recorded_and_afterwards_and_both_copies_are_on_its_timeline(
    tmp_path: Path,
) -> None:
    with Server(tmp_path / "data") as server:
        key = server.add_device("cam 1")
        case_id = ask(server, "POST", "/cases", {"number": "沪1", "title": "超市案"})[1]["case_id"]
        publisher = publish(server, key, 6)
        until(lambda: ask(server, "GET", "/recordings")[1]["items"] != [], "the recording in the store")
        recording = ask(server, "GET", "/recordings")[1]["items"][0]  # type: ignore[index]
        ask(server, "POST", f"/cases/{case_id}/recordings", {"recording_id": recording["recording_id"]})
        assert ask(server, "POST", f"/cases/{case_id}/exports")[0] == 403, "nothing is copied without an approval"
        during = exported(server, case_id, tmp_path / "during.zip", **{"Idempotency-Key": "e1"})
        again = ask(server, "POST", f"/cases/{case_id}/exports", **{"Idempotency-Key": "e1"})[1]
        assert again["export_id"] == during["export_id"]
        with server.access() as access:
            other = server.keep(access.create_token("commander", "another"))
        for where in (f"/exports/{during['export_id']}", f"/exports/{during['export_id']}/file"):
            assert ask(server, "GET", where, Authorization=f"Bearer {other}")[0] == 404, "it is whose who asked for it"
        publisher.wait()
        until(lambda: ask(server, "GET", "/recordings")[1]["items"][0]["ended_at"], "its end")  # type: ignore[index]
        after = exported(server, case_id, tmp_path / "after.zip")
        assert after["recordings"] == 1
        assert int(str(after["events"])) > int(str(during["events"]))
        out = tmp_path / "console.zip"
        done = onrecord(tmp_path / "data", "export", "沪1", "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert standalone.check(str(out)).defects == []

        def made() -> list[object]:
            tree = ask(server, "GET", f"/cases/{case_id}/timeline?kinds=ExportMade")[1]
            return [each["by"] for each in tree["items"]]  # type: ignore[attr-defined]

        until(lambda: len(made()) == 3, "three copies on the timeline")
        assert made()[-1] == "console"
        for name, by in zip(("during.zip", "after.zip", "console.zip"), made(), strict=True):
            with zipfile.ZipFile(tmp_path / name) as copy:
                assert json.loads(copy.read("index.json"))["exported_by"].startswith(str(by)), "it names who made it"
        assert ask(server, "GET", "/exports/exp_x")[0] == 404
        assert ask(server, "POST", "/cases/case_x/exports")[0] == 404
        assert onrecord(tmp_path / "data", "export", "沪2", "--out", str(tmp_path / "no.zip")).returncode == 1
        assert not (tmp_path / "no.zip").exists()


@needs("ffmpeg")
def test_files_of_a_camera_are_ingested_for_a_case_while_the_server_runs(tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    words = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", "3", "-c:v", "libx264", "-g", "25", str(clip)]
    subprocess.run(["ffmpeg", "-v", "error", *words], check=True, timeout=60)
    data = tmp_path / "data"
    with Server(data) as server:
        server.add_device("cam 1")
        case_id = ask(server, "POST", "/cases", {"number": "沪1", "title": "超市案"})[1]["case_id"]
        refused = onrecord(data, "ingest", str(clip), "--device", "cam 1", "--case", "沪9")
        assert refused.returncode == 1
        assert "no case has the id or the number" in refused.stderr
        assert not list(data.rglob("manifest.jsonl"))
        done = onrecord(data, "ingest", str(clip), "--device", "cam 1", "--case", "沪1", "--json")
        assert done.returncode == 0, done.stderr
        recording_id = json.loads(done.stdout)["items"][0]["recording_id"]

        def links() -> list[object]:
            tree = ask(server, "GET", f"/cases/{case_id}/recordings")[1]
            return [(each["recording_id"], each["how"]) for each in tree["items"]]  # type: ignore[attr-defined]

        until(lambda: links() == [(recording_id, "hand")], "the recording in its case")
        assert not list((data / "untold").iterdir())
        kinds = [each["kind"] for each in ask(server, "GET", f"/cases/{case_id}/timeline")[1]["items"]]  # type: ignore[attr-defined]
        assert {"RecordingStarted", "SegmentClosed", "StreamEnded", "RecordingAttached"} <= set(kinds)
    assert onrecord(data, "verify", str(data)).returncode == 0
