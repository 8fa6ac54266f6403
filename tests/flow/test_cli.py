"""The command line: exit codes, JSON, and errors with a remedy on stderr."""

import json
import re
from pathlib import Path

import pytest

from tests.serving import onrecord


def test_a_device_is_added_listed_and_revoked(tmp_path: Path) -> None:
    added = onrecord(tmp_path, "device", "add", "前门 1", "--unit", "two", "--json")
    assert (added.returncode, added.stderr) == (0, "")
    tree = json.loads(added.stdout)
    assert tree.keys() == {"device_id", "name", "stream_key"}
    assert tree["name"] == "前门 1"
    listed = json.loads(onrecord(tmp_path, "device", "list", "--json").stdout)
    assert listed["next_cursor"] is None
    (item,) = listed["items"]
    assert (item["device_id"], item["unit"], item["revoked_at"]) == (tree["device_id"], "two", None)
    assert tree["stream_key"] not in json.dumps(listed)
    assert "前门 1" in onrecord(tmp_path, "device", "list").stdout
    assert onrecord(tmp_path, "device", "revoke", tree["device_id"]).returncode == 0
    again = onrecord(tmp_path, "device", "revoke", tree["device_id"])
    assert (again.returncode, again.stdout) == (1, "")
    assert "onrecord device list" in again.stderr


def test_a_token_stands_alone_on_stdout(tmp_path: Path) -> None:
    made = onrecord(tmp_path, "token", "create", "--role", "commander")
    assert (made.returncode, made.stderr) == (0, "")
    assert re.fullmatch(r"t[0-9a-v]{32}\n", made.stdout)


def test_settings_are_checked_and_shown(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("live:\n  ticket_s: 7\n")
    bad.write_text("live:\n  ticket_s: never\nrtpm: {}\n")
    assert onrecord(tmp_path, "config", "validate", "--config", str(good)).returncode == 0
    shown = onrecord(tmp_path, "config", "show", "--json", "--config", str(good))
    assert (shown.returncode, json.loads(shown.stdout)["live"]["ticket_s"]) == (0, 7)
    assert "ticket_s: 7" in onrecord(tmp_path, "config", "show", "--config", str(good)).stdout
    answer = onrecord(tmp_path, "config", "validate", "--config", str(bad))
    assert (answer.returncode, answer.stdout) == (1, "")
    for word in ("bad.yaml", "live.ticket_s", "rtpm", "onrecord config show"):
        assert word in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nonsense"], 2, "No such command"),
        (["device", "add"], 2, "Missing argument"),
        (["token", "create", "--role", "emperor"], 2, "commander"),
        (["token", "create", "--role", "viewer", "--days", "0"], 2, "--days"),
        (["serve", "--role", "nobody"], 2, "--role"),
        (["bench", "nothing"], 2, "ingest"),
        (["bench", "speech", "--set", "/nonsense"], 1, "transcripts.tsv"),
        (["bench", "faces", "--folder", "/nonsense"], 1, "PERSON"),
        (["verify", "/nonsense"], 2, "check the path"),
        (["verify", "/"], 2, "manifest.jsonl"),
        (["serve", "--config", "/nonsense.yaml"], 1, "--config"),
        (["device", "list", "--config", "/nonsense.yaml"], 1, "--config"),
    ],
)
def test_errors_go_to_stderr_with_a_remedy_and_the_right_exit_code(
    tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    answer = onrecord(tmp_path, *arguments, TERMINAL_WIDTH="300", NO_COLOR="1")
    assert (answer.returncode, answer.stdout) == (status, ""), answer
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_data_folder_that_is_a_file_is_said_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for arguments in (["device", "list"], ["device", "add", "x"], ["token", "create", "--role", "viewer"]):
        answer = onrecord(tmp_path / "file", *arguments)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert answer.stderr.startswith("onrecord: ")
        assert "check the folder" in answer.stderr
        assert "Traceback" not in answer.stderr
