"""Imports from folders and zips: all or nothing, and nothing that leads anywhere else. And pins."""

import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from models import pins
from models.bring import bring, pin
from models.registry import Registry, State
from pipeline.errors import ModelMissing, ModelUnverified, SettingsInvalid
from tests.models_made import FILES, entry, lay, registry_file, sha256, unpinned

WRONG = {**FILES, "vocabulary.json": bytes(len(FILES["vocabulary.json"]))}


def opened(folder: Path, made: dict[str, object] | None = None) -> Registry:
    return Registry.open(folder, registry_file(folder, made or entry()))


def zipped(path: Path, files: Mapping[str, bytes] = FILES, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(inside + name, data)
    return path


def brought(folder: Path, path: Path, made: dict[str, object] | None = None, pinned_by: str = "") -> Path:
    registry = opened(folder, made)
    return bring(registry, registry.entry("small-one"), path, pinned_by)


def left(folder: Path) -> set[str]:
    models = folder / "models"
    return {path.name for path in models.iterdir()} - {".lock"} if models.exists() else set()


@pytest.mark.parametrize("inside", ["", "small-one/"])
def test_a_model_comes_from_a_folder_or_a_zip(tmp_path: Path, inside: str) -> None:
    lay(tmp_path / "carried" / inside)
    zipped(tmp_path / "carried.zip", inside=inside)
    for number, source in enumerate(("carried", "carried.zip")):
        data = tmp_path / f"data{number}"
        data.mkdir()
        assert brought(data, tmp_path / source) == data / "models" / "small-one"
        assert opened(data).ready("small-one").entry.name == "small-one"
        assert left(data) == {"small-one"}


def test_only_files_that_the_registry_names_are_taken(tmp_path: Path) -> None:
    folder = brought(tmp_path, zipped(tmp_path / "a.zip", {**FILES, "evil.so": b"\x7fELF", "README.md": b"hello"}))
    assert {path.name for path in folder.iterdir()} == set(FILES)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_one_wrong_file_refuses_the_whole_and_what_was_there_stays(tmp_path: Path, kind: str) -> None:
    folder = lay(tmp_path / "models" / "small-one")
    source = lay(tmp_path / "carried", WRONG) if kind == "folder" else zipped(tmp_path / "carried.zip", WRONG)
    with pytest.raises(ModelUnverified, match=r"vocabulary\.json.*nothing of it was taken"):
        brought(tmp_path, source)
    assert left(tmp_path) == {"small-one"}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES


def test_a_file_that_is_not_there_refuses_the_whole(tmp_path: Path) -> None:
    some = {name: data for name, data in FILES.items() if name != "config.json"}
    for source in (lay(tmp_path / "carried", some), zipped(tmp_path / "carried.zip", some), tmp_path / "nowhere"):
        with pytest.raises(ModelMissing):
            brought(tmp_path, source)
        assert left(tmp_path) == set()


@pytest.mark.parametrize(
    "name", ["../model.bin", "/etc/model.bin", "a/../../model.bin", "..\\model.bin", "C:/model.bin"]
)
def test_a_zip_with_a_name_that_leads_out_is_refused_whole(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in FILES.items():
            archive.writestr(each, data)
        member = zipfile.ZipInfo("placeholder")
        member.filename = member.orig_filename = name
        archive.writestr(member, b"out")
    before = {each.name for each in tmp_path.iterdir()}
    with pytest.raises(ModelUnverified, match="leads out of the folder"):
        brought(tmp_path, path)
    assert {each.name for each in tmp_path.iterdir()} - before == {"models", "models.yaml"}
    assert left(tmp_path) == set()


def test_links_in_a_zip_or_a_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in FILES.items():
            if name != "model.bin":
                archive.writestr(name, data)
        link = zipfile.ZipInfo("model.bin")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    folder = lay(tmp_path / "carried")
    (folder / "model.bin").rename(tmp_path / "elsewhere")
    (folder / "model.bin").symlink_to(tmp_path / "elsewhere")
    for source in (path, folder):
        with pytest.raises(ModelUnverified, match=r"in it is a link or no plain file|cannot be taken \(a link\)"):
            brought(tmp_path, source)
        assert left(tmp_path) == set()


def test_a_bomb_is_read_no_further_than_the_registry_says(tmp_path: Path) -> None:
    """Its directory says what the registry says; its data is a thousand times as much."""
    path = zipped(tmp_path / "bomb.zip", {**FILES, "config.json": bytes(50_000_000)})
    raw = path.read_bytes()
    size = len(FILES["config.json"])
    path.write_bytes(raw.replace(struct.pack("<I", 50_000_000), struct.pack("<I", size)))
    assert path.stat().st_size < 2_000_000
    with pytest.raises(ModelUnverified, match=r"nothing of it was taken"):
        brought(tmp_path, path)
    with pytest.raises(ModelUnverified, match=rf"more than {size} bytes"):
        brought(tmp_path, zipped(tmp_path / "honest.zip", {**FILES, "config.json": bytes(50_000_000)}))
    assert left(tmp_path) == set()


def test_a_zip_of_ten_thousand_files_is_refused(tmp_path: Path) -> None:
    many = {f"{number}": b"" for number in range(10_001)}
    with pytest.raises(ModelUnverified, match="10004 files"):
        brought(tmp_path, zipped(tmp_path / "a.zip", {**FILES, **many}))


def test_a_file_that_is_in_a_zip_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnverified, match="twice"):
        brought(tmp_path, zipped(tmp_path / "a.zip", {**FILES, "small-one/model.bin": b"the other"}))


@pytest.mark.parametrize("damage", ["no zip", "cut", "flipped"])
def test_a_broken_zip_is_told_and_nothing_is_taken(tmp_path: Path, damage: str) -> None:
    path = zipped(tmp_path / "a.zip")
    raw = bytearray(path.read_bytes())
    if damage == "flipped":
        raw[500_000] ^= 0xFF
    path.write_bytes({"no zip": b"hello", "cut": bytes(raw[: len(raw) // 2]), "flipped": bytes(raw)}[damage])
    with pytest.raises(ModelUnverified, match="nothing of it was taken"):
        brought(tmp_path, path)
    assert left(tmp_path) == set()


def test_what_a_broken_import_left_does_not_hinder_the_next(tmp_path: Path) -> None:
    lay(tmp_path / "models" / ".small-one.incoming")
    lay(tmp_path / "models" / ".small-one.old")
    brought(tmp_path, lay(tmp_path / "carried"))
    assert left(tmp_path) == {"small-one"}


def test_a_model_without_hashes_comes_only_when_a_person_pins_it(tmp_path: Path) -> None:
    source = lay(tmp_path / "carried")
    with pytest.raises(ModelUnverified, match="--pin"):
        brought(tmp_path, source, unpinned())
    brought(tmp_path, source, unpinned(), pinned_by="li")
    registry = opened(tmp_path, unpinned())
    assert registry.ready("small-one").entry.files[0].sha256 == sha256(FILES["model.bin"])
    kept = yaml.safe_load((tmp_path / "models" / "pins.yaml").read_text())["models"]["small-one"]
    assert (kept["pinned_by"], kept["version"]) == ("li", "1")
    (tmp_path / "models" / "small-one" / "config.json").write_text("{}")
    with pytest.raises(ModelUnverified, match=r"config\.json"):
        opened(tmp_path, unpinned()).ready("small-one")


def test_pins_of_a_folder_hold_for_a_later_import(tmp_path: Path) -> None:
    registry = opened(tmp_path, unpinned())
    assert pin(registry, registry.entry("small-one"), lay(tmp_path / "known"), "li") is not None
    with pytest.raises(ModelUnverified, match=r"vocabulary\.json"):
        brought(tmp_path, lay(tmp_path / "carried", WRONG), unpinned())
    brought(tmp_path, lay(tmp_path / "good"), unpinned())


def test_a_pin_never_overrules_the_registry(tmp_path: Path) -> None:
    registry = opened(tmp_path)
    with pytest.raises(ModelUnverified, match="nothing was recorded"):
        pin(registry, registry.entry("small-one"), lay(tmp_path / "carried", WRONG), "li")
    assert pin(registry, registry.entry("small-one"), lay(tmp_path / "good"), "li") is None
    wrong = pins.PinnedFile(size_bytes=len(WRONG["vocabulary.json"]), sha256=sha256(WRONG["vocabulary.json"]))
    made = pins.Pin(version="1", pinned_at="2026-01-01T00:00:00Z", pinned_by="li", files={"vocabulary.json": wrong})
    pins.record(tmp_path / "models", "small-one", made)
    lay(tmp_path / "models" / "small-one", WRONG)
    with pytest.raises(ModelUnverified, match=r"vocabulary\.json"):
        opened(tmp_path).ready("small-one")


def test_a_pin_counts_for_the_version_it_was_made_for(tmp_path: Path) -> None:
    brought(tmp_path, lay(tmp_path / "carried"), unpinned(), pinned_by="li")
    later = opened(tmp_path, unpinned(version="2"))
    assert later.state(later.entry("small-one")) is State.UNPINNED


def test_pins_that_cannot_be_read_are_told_with_their_file(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "pins.yaml").write_text("models: {small-one: {version: 1}}")
    with pytest.raises(SettingsInvalid, match=r"pins\.yaml: models\.small-one\.pinned_at"):
        opened(tmp_path)
