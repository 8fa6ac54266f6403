"""What is handed out to be loaded: only what the registry names, byte for byte."""

import json
import os
from pathlib import Path

import pytest

from models import hashes
from models.entries import Task
from models.registry import Registry, State
from pipeline.errors import ModelError, ModelMissing, ModelUnverified
from tests.models_made import FILES, entry, faces_in, lay, registry_file, sha256, unpinned


def opened(folder: Path, *entries: dict[str, object], accepts_noncommercial: bool = False) -> Registry:
    return Registry.open(folder, registry_file(folder, *entries), accepts_noncommercial=accepts_noncommercial)


def state(registry: Registry, name: str = "small-one") -> State:
    return registry.state(registry.entry(name))


def test_a_model_whose_files_are_right_is_ready(tmp_path: Path) -> None:
    registry = opened(tmp_path, entry())
    folder = lay(tmp_path / "models" / "small-one")
    ready = registry.ready("small-one")
    assert (ready.folder, ready.entry.label, state(registry)) == (folder, "small-one@1", State.HERE)


def test_the_demo_is_ready_on_a_fresh_machine_and_nothing_is_written(tmp_path: Path) -> None:
    registry = Registry.open(tmp_path)
    with pytest.raises(ModelMissing, match="does not know real voices"):
        registry.choose(Task.SPEECH)
    chosen = registry.choose(Task.SPEECH, "whisper-demo-zh")
    assert (chosen.name, registry.ready(chosen.name).entry.is_demo) == ("whisper-demo-zh", True)
    assert registry.ready("silero-vad").folder.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_here_is_told_with_the_command_that_brings_it(tmp_path: Path) -> None:
    registry = opened(tmp_path, entry(sources=["https://host/files/"]), entry("other"))
    with pytest.raises(ModelMissing, match=r"onrecord models pull small-one.*onrecord models import small-one"):
        registry.ready("small-one")
    with pytest.raises(ModelMissing, match=r"onrecord models import other PATH"):
        registry.ready("other")
    with pytest.raises(ModelMissing, match=r"'nobody'.*onrecord models list"):
        registry.ready("nobody")
    assert state(registry) is State.MISSING


def test_a_model_with_a_file_missing_is_not_loaded_and_the_file_is_named(tmp_path: Path) -> None:
    registry = opened(tmp_path, entry())
    (lay(tmp_path / "models" / "small-one") / "config.json").unlink()
    with pytest.raises(ModelMissing, match=r"config\.json missing"):
        registry.ready("small-one")
    assert state(registry) is State.INCOMPLETE


def test_a_truncated_file_is_never_handed_out(tmp_path: Path) -> None:
    registry = opened(tmp_path, entry())
    lay(tmp_path / "models" / "small-one", {**FILES, "model.bin": FILES["model.bin"][:900_000]})
    with pytest.raises(ModelUnverified, match=r"model\.bin has 900000 bytes, not 1000000"):
        registry.ready("small-one")


def test_one_changed_byte_is_never_handed_out(tmp_path: Path) -> None:
    registry = opened(tmp_path, entry())
    changed = bytearray(FILES["model.bin"])
    changed[500_000] ^= 1
    lay(tmp_path / "models" / "small-one", {**FILES, "model.bin": bytes(changed)})
    with pytest.raises(ModelUnverified, match=r"model\.bin has the SHA-256"):
        registry.ready("small-one")


def test_a_file_that_the_registry_does_not_name_keeps_the_model_from_being_loaded(tmp_path: Path) -> None:
    registry = opened(tmp_path, entry())
    folder = lay(tmp_path / "models" / "small-one")
    (folder / "README.md").write_text("harmless")
    assert registry.ready("small-one").folder == folder
    (folder / "preprocessor_config.json").write_text("{}")
    with pytest.raises(ModelUnverified, match=r"preprocessor_config\.json is not in the registry"):
        registry.ready("small-one")


def test_a_link_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    registry = opened(tmp_path, entry())
    folder = lay(tmp_path / "models" / "small-one")
    (folder / "model.bin").rename(tmp_path / "elsewhere")
    (folder / "model.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelUnverified, match=r"model\.bin is not a plain file"):
        registry.ready("small-one")


def test_a_model_without_hashes_is_never_loaded(tmp_path: Path) -> None:
    registry = opened(tmp_path, unpinned())
    lay(tmp_path / "models" / "small-one")
    with pytest.raises(ModelUnverified, match=r"onrecord models pin small-one"):
        registry.ready("small-one")
    assert state(registry) is State.UNPINNED


def test_a_noncommercial_model_is_loaded_only_where_that_is_accepted(tmp_path: Path) -> None:
    lay(tmp_path / "models" / "small-one")
    free = entry(is_commercial=False, licence="CC-BY-NC-4.0")
    with pytest.raises(ModelError, match=r"CC-BY-NC-4\.0.*models\.accept_noncommercial"):
        opened(tmp_path, free).ready("small-one")
    with pytest.raises(ModelMissing, match="no model for speech"):
        opened(tmp_path, free).choose(Task.SPEECH)
    assert opened(tmp_path, free, accepts_noncommercial=True).ready("small-one").entry.name == "small-one"


def test_faces_are_found_by_the_model_with_the_clean_licence_and_compared_by_none_without_leave(tmp_path: Path) -> None:
    faces_in(tmp_path / "models")
    strict, lenient = Registry.open(tmp_path), Registry.open(tmp_path, accepts_noncommercial=True)
    for registry in (strict, lenient):
        assert registry.choose(Task.FACE_DETECTION).name == "yunet"
        assert registry.ready("yunet").entry.label == "yunet@2026may"
    with pytest.raises(ModelMissing, match="no model for face-embedding is here"):
        strict.choose(Task.FACE_EMBEDDING)
    for name in ("scrfd-2.5g", "mobilefacenet"):
        with pytest.raises(ModelError, match=r"does not allow commercial use.*models\.accept_noncommercial"):
            strict.ready(name)
        assert lenient.ready(name).folder == tmp_path / "models" / name
    assert lenient.choose(Task.FACE_EMBEDDING).name == "mobilefacenet"


def test_the_first_model_that_is_here_is_chosen_unless_one_is_named(tmp_path: Path) -> None:
    registry = opened(
        tmp_path, entry("absent"), unpinned("unknown"), entry("one"), entry("two"),
        entry("ear", task="voice-activity", engine="silero"),
    )  # fmt: skip
    for name in ("unknown", "one", "two", "ear"):
        lay(tmp_path / "models" / name)
    assert registry.choose(Task.SPEECH).name == "one"
    assert registry.choose(Task.SPEECH, "absent").name == "absent", "what a person names is not replaced by another"
    with pytest.raises(ModelMissing, match="for voice-activity, not for speech"):
        registry.choose(Task.SPEECH, "ear")


def test_a_whole_copy_in_the_models_folder_serves_where_the_shipped_one_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.registry.SHIPPED", tmp_path / "shipped")
    lay(tmp_path / "shipped" / "small-one", {**FILES, "config.json": b"{}"})
    registry = opened(tmp_path, entry())
    with pytest.raises(ModelUnverified):
        registry.ready("small-one")
    own = lay(tmp_path / "models" / "small-one")
    assert registry.ready("small-one").folder == own


def test_a_large_file_is_hashed_once_and_again_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "_REMEMBERED_FROM_BYTES", 500_000)
    read: list[str] = []
    real = hashes.sha256_of

    def counted(path: Path) -> str:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(hashes, "sha256_of", counted)
    registry = opened(tmp_path, entry())
    folder = lay(tmp_path / "models" / "small-one")
    registry.ready("small-one")
    registry.ready("small-one")
    assert read.count("model.bin") == 1
    assert read.count("config.json") == 2
    changed = bytearray(FILES["model.bin"])
    changed[0] ^= 1
    before = (folder / "model.bin").stat()
    (folder / "model.bin").write_bytes(bytes(changed))
    os.utime(folder / "model.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelUnverified):
        registry.ready("small-one")


def test_a_fresh_check_believes_nothing_that_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "_REMEMBERED_FROM_BYTES", 500_000)
    registry = opened(tmp_path, entry())
    folder = lay(tmp_path / "models" / "small-one", {**FILES, "model.bin": bytes(len(FILES["model.bin"]))})
    stat = (folder / "model.bin").stat()
    forged = [*map(str, (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)), sha256(FILES["model.bin"])]
    (tmp_path / "models" / "checked.json").write_text(json.dumps({str(folder / "model.bin"): forged}))
    assert registry.defects(registry.entry("small-one"), folder) == [], "who writes this file could write the models"
    assert len(registry.defects(registry.entry("small-one"), folder, fresh=True)) == 1


def test_what_is_remembered_may_be_nonsense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "_REMEMBERED_FROM_BYTES", 500_000)
    folder = lay(tmp_path / "models" / "small-one")
    for nonsense in ("[]", "{", '{"a": 1}', f'{{"{folder / "model.bin"}": [1, 2]}}'):
        (tmp_path / "models" / "checked.json").write_text(nonsense)
        assert opened(tmp_path, entry()).ready("small-one").folder == folder
