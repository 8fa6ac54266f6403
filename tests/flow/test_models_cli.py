"""`onrecord models` and the models in `onrecord doctor`, as commands."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.models_made import FILES, FileServer, entry, lay, registry_file, unpinned
from tests.serving import environment, onrecord, until


def with_registry(path: Path) -> dict[str, str]:
    return {"ONRECORD_MODELS__REGISTRY": str(path)}


def test_the_list_tells_what_is_here_and_on_which_terms(tmp_path: Path) -> None:
    listed = onrecord(tmp_path, "models", "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    items = {item["name"]: item for item in json.loads(listed.stdout)["items"]}
    demo, real = items["whisper-demo-zh"], items["sensevoice-small"]
    assert (demo["state"], demo["is_demo"], demo["version"]) == ("here", True, "1")
    assert (real["state"], real["licence"], real["is_commercial"]) == ("missing", "FunASR-Model-License-1.1", True)
    assert real["weaknesses"].keys() == {"zh", "en"}
    table = onrecord(tmp_path, "models", "list").stdout
    assert [line for line in table.splitlines() if "whisper-demo-zh" in line and "not for real speech" in line]
    assert list(tmp_path.iterdir()) == []


def test_a_pull_ends_with_1_on_a_wrong_file_and_0_on_the_right_ones(tmp_path: Path) -> None:
    with FileServer(files={**FILES, "model.bin": bytes(len(FILES["model.bin"]))}).running() as server:
        settings = with_registry(registry_file(tmp_path, entry(sources=[server.url])))
        wrong = onrecord(tmp_path, "models", "pull", "small-one", **settings)
        assert (wrong.returncode, wrong.stdout) == (1, "")
        for words in ("model.bin", "SHA-256", "deleted"):
            assert words in wrong.stderr
        assert "Traceback" not in wrong.stderr
        assert list((tmp_path / "models" / "small-one").iterdir()) == []
        server.files = dict(FILES)
        right = onrecord(tmp_path, "models", "pull", "small-one", **settings)
        assert (right.returncode, right.stderr) == (0, ""), "no bar where nobody looks at a terminal"
    assert right.stdout.split() == ["small-one@1", str(tmp_path / "models" / "small-one")]
    assert onrecord(tmp_path, "models", "verify", **settings).returncode == 0


def test_a_pull_that_is_killed_at_90_percent_goes_on(tmp_path: Path) -> None:
    size = len(FILES["model.bin"])
    with FileServer(breaks_at=[size * 9 // 10], stalls=True).running() as server:
        settings = with_registry(registry_file(tmp_path, entry(sources=[server.url])))
        part = tmp_path / "models" / "small-one" / "model.bin.part"
        command = [sys.executable, "-m", "api.cli", "models", "pull", "small-one"]
        child = subprocess.Popen(command, env=environment(tmp_path, **settings))
        until(lambda: part.exists() and part.stat().st_size > size * 8 // 10, "most of the file")
        child.kill()
        child.wait()
        server.let_go.set()
        kept = part.stat().st_size
        assert not part.with_name("model.bin").exists()
        again = onrecord(tmp_path, "models", "pull", "small-one", **settings)
        assert (again.returncode, again.stderr) == (0, "")
        assert [asked for name, asked, _ in server.asked if name == "model.bin"] == ["", f"bytes={kept}-"]
    assert onrecord(tmp_path, "models", "verify", "small-one", **settings).returncode == 0


def test_a_bar_is_shown_on_a_terminal(tmp_path: Path) -> None:
    with FileServer().running() as server:
        settings = with_registry(registry_file(tmp_path, entry(sources=[server.url])))
        ours, theirs = os.openpty()
        command = [sys.executable, "-m", "api.cli", "models", "pull", "small-one"]
        subprocess.run(
            command, env=environment(tmp_path, **settings), stderr=theirs, stdout=subprocess.DEVNULL, check=True
        )
        os.close(theirs)
        shown = os.read(ours, 100_000).decode()
        os.close(ours)
    assert "model.bin" in shown
    assert "[##############################] 100 %" in shown


def test_a_model_goes_by_zip_to_a_machine_without_internet(tmp_path: Path) -> None:
    settings = with_registry(registry_file(tmp_path, entry()))
    path = tmp_path / "carried.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in FILES.items():
            archive.writestr(f"small-one/{name}", data)
    brought = onrecord(tmp_path, "models", "import", "small-one", str(path), **settings)
    assert (brought.returncode, brought.stderr) == (0, "")
    assert onrecord(tmp_path, "models", "verify", "small-one", **settings).returncode == 0
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil", "out")
    refused = onrecord(tmp_path, "models", "import", "small-one", str(path), **settings)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "leads out of the folder" in refused.stderr
    assert not (tmp_path.parent / "evil").exists()


def test_verify_names_each_defect_of_each_model(tmp_path: Path) -> None:
    settings = with_registry(registry_file(tmp_path, entry("one"), entry("two"), entry("absent")))
    lay(tmp_path / "models" / "one", {**FILES, "model.bin": FILES["model.bin"][:-1], "config.json": b"{}"})
    lay(tmp_path / "models" / "two")
    answer = onrecord(tmp_path, "models", "verify", "--json", **settings)
    rows = {row["name"]: row["defects"] for row in json.loads(answer.stdout)["items"]}
    assert answer.returncode == 1
    assert rows["two"] == []
    assert [defect.split()[0] for defect in rows["one"]] == ["model.bin", "config.json"]
    assert "absent" not in rows
    table = onrecord(tmp_path, "models", "verify", **settings)
    assert table.returncode == 1
    assert "999999 bytes, not 1000000" in table.stdout
    assert onrecord(tmp_path, "models", "verify", "two", **settings).returncode == 0
    assert onrecord(tmp_path, "models", "verify", "absent", **settings).returncode == 1


def test_a_model_without_hashes_is_pinned_by_a_person_first(tmp_path: Path) -> None:
    settings = with_registry(registry_file(tmp_path, unpinned(sources=["http://127.0.0.1:9/files/"])))
    source = lay(tmp_path / "carried")
    for arguments in (["pull", "small-one"], ["import", "small-one", str(source)]):
        refused = onrecord(tmp_path, "models", *arguments, **settings)
        assert refused.returncode == 1
        assert "--pin" in refused.stderr
    pinned = onrecord(tmp_path, "models", "pin", "small-one", "--from", str(source), **settings)
    assert (pinned.returncode, pinned.stderr) == (0, "")
    assert len(pinned.stdout.splitlines()) == len(FILES) + 1
    assert onrecord(tmp_path, "models", "import", "small-one", str(source), **settings).returncode == 0
    state = json.loads(onrecord(tmp_path, "models", "list", "--json", **settings).stdout)["items"][0]["state"]
    assert state == "here"


def test_an_unknown_model_and_a_broken_registry_are_told_without_a_traceback(tmp_path: Path) -> None:
    for arguments in (["pull"], ["verify"], ["pin"], ["import"]):
        more = [str(tmp_path)] if arguments == ["import"] else []
        answer = onrecord(tmp_path, "models", *arguments, "nobody", *more)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert "onrecord models list" in answer.stderr
    settings = with_registry(
        registry_file(tmp_path, entry("one", licence=""), entry("two", longest_s=-1, task="smell"))
    )
    answer = onrecord(tmp_path, "models", "list", **settings)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    for words in ("one: licence", "two: longest_s", "two: task"):
        assert words in answer.stderr


def test_the_doctor_says_that_the_demo_model_is_for_demonstration_only(tmp_path: Path) -> None:
    model = {"ONRECORD_SPEECH__MODEL": "whisper-demo-zh"}
    answer = onrecord(tmp_path, "doctor", "--json", ONRECORD_SPEECH__DEVICE="cpu", **model)
    found = {each["check"]: each for each in json.loads(answer.stdout)["findings"]}
    assert answer.returncode == 0
    assert found["speech model"]["verdict"] == "warning"
    assert "for demonstration; not for real speech" in found["speech model"]["found"]
    assert found["voice model"]["verdict"] == "ok"
    assert found["speech device"]["found"] == "CPU, as set"
