"""`onrecord doctor` and `onrecord health` as commands: what is well, what is not, each with its remedy."""

import json
import socket
from pathlib import Path

from tests.certificates import Authority
from tests.serving import Server, onrecord

FINDINGS = {
    "python", "packages", "settings", "web pages", "cores", "swap", "clock", "monotonic clock", "codecs",
    "demuxer's cage", "memory", "file descriptors", "api certificate", "rtmp certificate", "data folder",
    "signing key", "space", "disk sync", "disk rate", "speech model", "voice model", "text model", "speech device",
    "face detector", "face model",
}  # fmt: skip


def findings(data: Path, *arguments: str, **settings: str) -> tuple[int, dict[str, dict[str, str]]]:
    """(the exit code, the findings by what they are about)."""
    answer = onrecord(data, "doctor", "--json", *arguments, **settings)
    assert answer.stderr == ""
    tree = json.loads(answer.stdout)
    assert tree["verdict"] in {finding["verdict"] for finding in tree["findings"]}
    for finding in tree["findings"]:
        if finding["verdict"] in ("warning", "error"):
            assert finding["why"], finding
            assert finding["remedy"], finding
    return answer.returncode, {finding["check"]: finding for finding in tree["findings"]}


def test_a_sound_machine_gets_no_error_and_nothing_is_left_behind(tmp_path: Path) -> None:
    code, found = findings(tmp_path)
    assert found.keys() > FINDINGS
    assert (code, [each for each in found.values() if each["verdict"] == "error"]) == (0, [])
    assert found["demuxer's cage"]["verdict"] in ("ok", "warning")
    assert found["api certificate"]["verdict"] == "ok", "the tests' server listens on this machine only"
    assert list(tmp_path.iterdir()) == []
    table = onrecord(tmp_path, "doctor")
    assert table.returncode == 0
    assert all(check in table.stdout for check in FINDINGS)


def test_a_running_server_holds_its_own_ports_and_is_ready(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        ports = {"ONRECORD_API__PORT": str(server.port), "ONRECORD_RTMP__PORT": str(server.rtmp_port)}
        code, found = findings(server.data, **ports)
        assert code == 0
        for check in (f"port {server.port} (api.port)", f"port {server.rtmp_port} (rtmp.port)"):
            assert found[check]["found"] == f"held by our own server, process {server.process.pid}"
        assert found["signing key"]["verdict"] == "ok"
        (server.data / "keys" / "signing.pem").chmod(0o644)
        code, found = findings(tmp_path / "data", **ports)
        assert (code, found["signing key"]["verdict"]) == (1, "error")
        assert onrecord(server.data, "health", **ports).returncode == 0
        server.stop()
        answer = onrecord(server.data, "health", **ports)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert "start it" in answer.stderr


def test_a_port_of_somebody_else_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, found = findings(tmp_path, ONRECORD_RTMP__PORT=str(port))
    assert code == 1
    assert found[f"port {port} (rtmp.port)"]["found"] == "taken by another program"


def test_bad_settings_are_a_finding_and_the_machine_is_looked_at_all_the_same(tmp_path: Path) -> None:
    code, found = findings(tmp_path, ONRECORD_LIVE__TICKET_S="never")
    assert code == 1
    assert "ONRECORD_LIVE__TICKET_S" in found["settings"]["found"]
    assert found["codecs"]["verdict"] == "ok"


def test_a_certificate_that_has_ended_is_an_error_of_the_whole(tmp_path: Path) -> None:
    certificate, key = Authority().pair(days=-1).write(tmp_path)
    paths = {"ONRECORD_API__TLS_CERTIFICATE": str(certificate), "ONRECORD_API__TLS_KEY": str(key)}
    code, found = findings(tmp_path / "data", **paths)
    assert (code, found["api certificate"]["verdict"]) == (1, "error")
