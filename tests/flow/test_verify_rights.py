"""`onrecord verify` over approvals, members and what is withheld: silent where nobody touched them, and not where."""

import json
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.serving import Server, allow, onrecord, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]

CHANGES = {
    "approvals": "UPDATE approvals SET end_ms = 99999",
    "decisions": "UPDATE decisions SET verdict = 'refused' WHERE verdict = 'approved'",
    "withheld": "DELETE FROM withheld",
    "members": "UPDATE members SET who = 'usr_evil' WHERE who LIKE 'usr_%'",
    "cases": "UPDATE cases SET unit = '西'",
    "recordings": "UPDATE recordings SET unit = '西'",
}


def files_with_defects(data: Path) -> set[str]:
    done = onrecord(data, "verify", str(data))
    assert done.returncode in (0, 1), done.stderr
    return {json.loads(line)["file"] for line in done.stdout.splitlines()}


def test_rights_that_were_changed_in_the_database_are_found(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", "-t", "4", "-c:v", "libx264",
         "-g", "10", str(clip)], check=True, timeout=60,
    )  # fmt: skip
    with Server(tmp_path / "data") as server:
        data = server.data
        server.add_device("cam")
        officer = server.ask(
            "/api/v1/officers", "POST", {"name": "林", "certificate_number": "A1", "unit": "东"}
        ).tree()
        case = server.ask("/api/v1/cases", "POST", {"number": "1", "title": "t", "class": "major"}).tree()["case_id"]
        done = onrecord(data, "ingest", str(clip), "--device", "cam", "--case", "1", "--json")
        recording_id = json.loads(done.stdout)["items"][0]["recording_id"]
        until(lambda: server.ask(f"/api/v1/cases/{case}/recordings").items() != [], "the recording in its case")
        copy = allow(server, {"what": "copy", "case_id": case})
        allow(server, {"what": "play", "recording_id": recording_id, "start_s": 0, "end_s": 3})
        assert server.ask(f"/api/v1/approvals/{copy['approval_id']}", "DELETE").status == 200
        with server.access() as access:
            token = access.create_token("security_admin")
        body = {"officer_id": officer["officer_id"], "reason": "投诉"}
        for act in ("withheld", "released", "withheld"):
            assert server.ask(f"/api/v1/recordings/{recording_id}/{act}", "POST", body, token=token).status == 204
        added = json.loads(onrecord(data, "user", "add", "x", "--role", "handler", "--json").stdout)
        for method in ("PUT", "DELETE", "PUT"):
            assert server.ask(f"/api/v1/cases/{case}/members/{added['account_id']}", method).status == 204
        server.stop()
    assert files_with_defects(data) == set()
    before = (data / "record.db").read_bytes()
    for table, change in CHANGES.items():
        connection = sqlite3.connect(data / "record.db")
        assert connection.execute(change).rowcount, table
        connection.commit()
        connection.close()
        assert files_with_defects(data) == {f"database/{table}"}
        (data / "record.db").write_bytes(before)
