"""The drill: a backup made beside a running server, restored elsewhere, verified, and started."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.serving import Server, onrecord, until
from tests.tools import needs

pytestmark = [pytest.mark.slow, needs("ffmpeg")]


def defects(data: Path, *more: str) -> list[str]:
    done = onrecord(data, "verify", str(data), *more)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line)["defect"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("media", ["copy", "reference"])
def test_a_backup_beside_a_running_server_is_restored_whole_and_goes_on(tmp_path: Path, media: str) -> None:
    word = tmp_path / "word"
    word.write_text("correct horse battery\n")
    clip = tmp_path / "clip.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", "-t", "12", "-c:v", "libx264",
         "-g", "10", str(clip)], check=True, timeout=60,
    )  # fmt: skip
    made, restored = tmp_path / "made", tmp_path / "restored"
    with Server(tmp_path / "data", settings={"ONRECORD_STORE__HEAD_EVERY_S": "1"}) as server:
        data = server.data
        key = server.add_device("cam")
        case_id = server.ask("/api/v1/cases", "POST", {"number": "1", "title": "案"}).tree()["case_id"]
        assert onrecord(data, "ingest", str(clip), "--device", "cam", "--case", "1").returncode == 0
        until(lambda: server.ask(f"/api/v1/cases/{case_id}/recordings").items() != [], "the recording in its case")
        until(lambda: server.ask("/api/v1/log/head").status == 200, "a head")
        head = tmp_path / "kept.head"
        head.write_text(str(server.ask("/api/v1/log/head").tree()["note"]), encoding="utf-8")
        where = f"/api/v1/cases/{case_id}/notes"
        for number in range(20):
            server.ask(where, "POST", {"text": f"note {number}"})
        done = onrecord(data, "backup", str(made), "--passphrase-file", str(word), "--media", media, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["recordings"] == 1
        for number in range(20):
            server.ask(where, "POST", {"text": f"later {number}"})
        token = server.token
    for path in made.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert b"PRIVATE KEY" not in raw
            assert path.suffix == ".sealed" or b"totp_secret" not in raw
    assert onrecord(data, "backup", str(made), "--passphrase-file", str(word)).returncode == 1, "never over another"
    more = ["--media", str(data)] if media == "reference" else []
    if more:
        refused = onrecord(restored, "restore", str(made), "--passphrase-file", str(word))
        assert refused.returncode == 1
        restored = tmp_path / "again"
    done = onrecord(restored, "restore", str(made), "--passphrase-file", str(word), *more)
    assert done.returncode == 0, done.stderr
    assert (restored / "keys" / "signing.pem").stat().st_mode & 0o777 == 0o600
    assert (restored / "access.sqlite").stat().st_mode & 0o777 == 0o600
    assert defects(restored, "--head", str(head)) == []
    assert onrecord(restored, "restore", str(made), "--passphrase-file", str(word), *more).returncode == 1
    with Server(restored) as server:
        assert server.ask(f"/api/v1/cases/{case_id}", token=token).status == 200
        shown = server.ask(f"/api/v1/cases/{case_id}/timeline?kinds=NoteAdded").items()
        assert [each["text"] for each in shown] == [f"note {number}" for number in range(20)]
        server.publish(key, "160x120")
        server.live_id("cam")
        server.stop()
    assert defects(restored) == []


def test_a_wrong_passphrase_a_changed_file_and_a_name_that_leads_out_are_refused(tmp_path: Path) -> None:
    word, wrong, short = (tmp_path / name for name in ("word", "wrong", "short"))
    word.write_text("correct horse battery")
    wrong.write_text("another horse battery")
    short.write_text("short")
    with Server(tmp_path / "data") as server:
        data = server.data
        assert onrecord(data, "backup", str(tmp_path / "b"), "--passphrase-file", str(short)).returncode == 1
        assert onrecord(data, "backup", str(tmp_path / "b"), "--passphrase-file", str(word)).returncode == 0
    made = tmp_path / "b"
    assert onrecord(tmp_path / "r1", "restore", str(made), "--passphrase-file", str(wrong)).returncode == 1
    assert not (tmp_path / "r1" / "keys" / "signing.pem").exists()
    index = (made / "backup.json").read_text()
    (made / "backup.json").write_text(index.replace('"record.db"', '"../record.db"'))
    assert onrecord(tmp_path / "r2", "restore", str(made), "--passphrase-file", str(word)).returncode == 1
    assert not (tmp_path / "record.db").exists()
    (made / "backup.json").write_text(index)
    raw = bytearray((made / "record.db").read_bytes())
    raw[len(raw) // 2] ^= 1
    (made / "record.db").write_bytes(bytes(raw))
    done = onrecord(tmp_path / "r3", "restore", str(made), "--passphrase-file", str(word))
    assert done.returncode == 1
    assert "is not what was backed up" in done.stderr
    assert not (tmp_path / "r3").exists() or not any((tmp_path / "r3").iterdir())
