"""The registry's file: what ships holds, and every mistake in another is told with file, entry and field."""

from pathlib import Path

import pytest

from models.entries import Engine, Entry, Hashes, Task, load
from models.registry import FILE, SHIPPED
from pipeline.errors import SettingsInvalid
from tests.models_made import entry, registry_file

SHIPPING = {each.name: each for each in load(FILE)}
FACES: dict[str, object] = {
    "task": "face-detection",
    "engine": "yunet",
    "files": [{"path": "a"}],
    "longest_s": None,
    "languages": None,
}


def test_the_list_that_ships_holds_and_names_a_model_for_each_engine() -> None:
    assert {each.engine for each in SHIPPING.values()} == set(Engine)
    assert all(each.licence and each.weaknesses.zh and each.weaknesses.en for each in SHIPPING.values())
    assert not any(each.unpinned for each in SHIPPING.values())


def test_every_source_of_the_list_names_a_fixed_revision() -> None:
    moving = [
        source for each in SHIPPING.values() for source in each.sources if "/main/" in source or "/master/" in source
    ]
    assert moving == []


def test_the_page_names_every_model_of_the_list_and_every_field() -> None:
    page = (FILE.parent.parent / "docs" / "models.md").read_text(encoding="utf-8")
    assert [name for name in [*SHIPPING, *Entry.model_fields] if f"`{name}`" not in page] == []


def test_the_demo_stands_last_among_the_speech_models_and_has_our_own_hashes() -> None:
    speech = [each for each in SHIPPING.values() if each.task is Task.SPEECH]
    assert [each.name for each in speech if each.is_demo] == [speech[-1].name] == ["whisper-demo-zh"]
    assert speech[-1].hashes is Hashes.OWN
    assert (speech[-1].feature_cut, speech[-1].longest_s, speech[-1].sources) == (True, 10, ())


@pytest.mark.parametrize("task", [Task.FACE_DETECTION, Task.FACE_EMBEDDING])
def test_the_first_model_of_faces_has_a_clean_licence_and_the_others_ask_for_leave(task: Task) -> None:
    faces = [each for each in SHIPPING.values() if each.task is task]
    assert faces[0].licence in ("MIT", "Apache-2.0")
    free = [each.is_commercial for each in faces]
    assert free == sorted(free, reverse=True)
    clean = {each.name for each in faces if each.licence in ("MIT", "Apache-2.0")}
    assert {each.name for each in faces if each.is_commercial} == clean


def test_what_compares_faces_says_how_many_numbers_it_makes_and_nothing_else_does() -> None:
    sizes = {each.name: each.vector_size for each in SHIPPING.values() if each.vector_size}
    assert sizes == {"sface": 128, "arcface-r50": 512, "mobilefacenet": 128}


def test_features_are_cut_only_where_it_was_measured() -> None:
    assert [each.name for each in SHIPPING.values() if each.feature_cut] == ["whisper-demo-zh"]


def test_the_files_that_ship_are_those_that_the_list_names_and_their_page() -> None:
    named = {file.path for file in SHIPPING["whisper-demo-zh"].files}
    assert {path.name for path in (SHIPPED / "whisper-demo-zh").iterdir()} == named | {"README.md"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"files": [{"path": "../model.bin", "size_bytes": 1, "sha256": "0" * 64}]}, "files.0.path"),
        ({"files": [{"path": "/etc/passwd", "size_bytes": 1, "sha256": "0" * 64}]}, "files.0.path"),
        ({"files": [{"path": "a.part", "size_bytes": 1, "sha256": "0" * 64}]}, "files.0.path"),
        ({"files": [{"path": "a", "size_bytes": -1, "sha256": "0" * 64}]}, "files.0.size_bytes"),
        ({"files": [{"path": "a", "size_bytes": 1, "sha256": "0" * 63}]}, "files.0.sha256"),
        ({"files": [{"path": "a"}, {"path": "a"}]}, "files: a path stands twice"),
        ({"files": []}, "files"),
        ({"name": "../../etc"}, "name"),
        ({"task": "smell"}, "task"),
        ({"engine": "silero"}, "engine: silero is for voice-activity"),
        ({"engine": "sherpa-onnx-paraformer", "feature_cut": True}, "feature_cut"),
        ({"sources": ["ftp://host/files/"]}, "sources"),
        ({"sources": ["https://host/files"]}, "sources"),
        ({"sources": ["https://me:secret@host/files/"]}, "sources"),
        ({"licence": ""}, "licence"),
        ({"is_commercial": None}, "is_commercial"),
        ({"longest_s": 0}, "longest_s"),
        ({"longest_s": None}, "longest_s"),
        ({"task": "text", "engine": "rapidocr"}, "longest_s"),
        ({"languages": None}, "languages: at least one"),
        ({"vector_size": 128}, "vector_size: more than 0 for what compares faces"),
        ({**FACES, "longest_s": 30}, "longest_s"),
        ({**FACES, "languages": ["zh"]}, "languages: at least one, left out for faces"),
        ({**FACES, "vector_size": 128}, "vector_size"),
        ({**FACES, "engine": "sface"}, "engine: sface is for face-embedding"),
        ({**FACES, "files": [{"path": "a"}, {"path": "b"}]}, "files: a face model is one file"),
        ({**FACES, "task": "face-embedding", "engine": "sface"}, "vector_size"),
        ({**FACES, "task": "face-embedding", "engine": "sface", "vector_size": -1}, "vector_size"),
        ({"smaller": "nobody"}, "smaller: there is no model 'nobody'"),
        ({"smaller": "small-one"}, "smaller: leads back"),
        ({"colour": "green"}, "colour: no such field"),
        ({"weaknesses": {"zh": "无"}}, "weaknesses.en"),
    ],
)
def test_a_mistake_is_told_with_file_entry_and_field(tmp_path: Path, change: dict[str, object], field: str) -> None:
    path = registry_file(tmp_path, {key: value for key, value in {**entry(), **change}.items() if value is not None})
    with pytest.raises(SettingsInvalid) as refusal:
        load(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert field in str(refusal.value)
    assert str(change.get("name", "small-one")) in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = registry_file(tmp_path, entry("one", task="smell", longest_s=-1), entry("two", licence=""), entry(), entry())
    with pytest.raises(SettingsInvalid) as refusal:
        load(path)
    lines = str(refusal.value).splitlines()
    for part in ("one: task", "one: longest_s", "two: licence", "small-one: name: stands there twice"):
        assert [line for line in lines if line.startswith(f"{path}: {part}")], part


def test_a_model_never_falls_back_in_a_circle_or_to_another_task(tmp_path: Path) -> None:
    ring = [entry("a", smaller="b"), entry("b", smaller="c"), entry("c", smaller="a")]
    other = [entry("d", smaller="e"), entry("e", task="voice-activity", engine="silero")]
    with pytest.raises(SettingsInvalid) as refusal:
        load(registry_file(tmp_path, *ring, *other))
    for words in ("a: smaller: leads back to a", "b: smaller", "c: smaller", "d: smaller: e is for voice-activity"):
        assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: [", "not valid YAML"),
        ("- a", "one key"),
        ("models: {}", "one key"),
        ("other: []", "one key"),
        ("", "one key"),
    ],
)
def test_a_file_of_another_form_is_told(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "models.yaml").write_text(text)
    with pytest.raises(SettingsInvalid, match=words):
        load(tmp_path / "models.yaml")


def test_a_file_that_is_not_there_is_told_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"models\.registry"):
        load(tmp_path / "models.yaml")
