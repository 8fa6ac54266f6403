"""Settings: file, then environment; every mistake at once, with where it stands."""

from pathlib import Path

import pytest

from pipeline.errors import SettingsInvalid
from pipeline.settings import Settings, load


def written(folder: Path, text: str) -> Path:
    path = folder / "onrecord.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(path: Path | None, environment: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsInvalid) as error:
        load(path, environment)
    return str(error.value).splitlines()


def test_without_anything_the_defaults_hold() -> None:
    assert load(None, {}) == Settings()


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, "data: /from/file\nrtmp:\n  port: 1\n  host: 10.0.0.1\napi:\n  port: 2\n")
    settings = load(path, {"ONRECORD_RTMP__PORT": "3", "ONRECORD_INGEST__SECOND_PUBLISHER": "take_over"})
    assert (settings.rtmp.port, settings.rtmp.host, settings.api.port) == (3, "10.0.0.1", 2)
    assert settings.ingest.second_publisher == "take_over"
    assert settings.data == Path("/from/file")
    assert settings.live == Settings().live


def test_onrecord_data_sets_the_data_folder(tmp_path: Path) -> None:
    path = written(tmp_path, "data: /from/file\n")
    assert load(path, {"ONRECORD_DATA": "/from/environment"}).data == Path("/from/environment")


def test_other_peoples_variables_are_not_ours() -> None:
    assert load(None, {"PATH": "/bin", "ONRECORD_FUZZ": "1", "RTMP__PORT": "x"}) == Settings()


def test_every_mistake_is_told_at_once_with_file_or_variable_and_key(tmp_path: Path) -> None:
    path = written(tmp_path, "rtmp:\n  port: 70000\n  prot: 1\nvideo: {}\nlive:\n  cut_off_s: soon\n")
    environment = {"ONRECORD_API__PORT": "eighty", "ONRECORD_RECORD__SEGMENTS": "1", "ONRECORD_HUB__GOP_CACHE_S": "-1"}
    lines = mistakes(path, environment)
    assert sorted(line.split(": ")[:2] for line in lines) == sorted(
        [
            [str(path), "rtmp.port"],
            [str(path), "rtmp.prot"],
            [str(path), "video"],
            [str(path), "live.cut_off_s"],
            ["ONRECORD_API__PORT", "api.port"],
            ["ONRECORD_RECORD__SEGMENTS", "record.segments"],
            ["ONRECORD_HUB__GOP_CACHE_S", "hub.gop_cache_s"],
        ]
    )
    assert any("70000" in line for line in lines)
    assert sum("no such setting; 'onrecord config show' lists all" in line for line in lines) == 3


@pytest.mark.parametrize("value", ["", "nan", "eighty", "-1", "65536", "1.5", "null"])
def test_an_environment_value_of_the_wrong_type_is_named(value: str) -> None:
    (line,) = mistakes(None, {"ONRECORD_API__PORT": value})
    assert line.startswith("ONRECORD_API__PORT: api.port: ")
    assert repr(value) in line


def test_a_section_that_is_no_section_is_told_even_when_the_environment_sets_a_part_of_it(tmp_path: Path) -> None:
    path = written(tmp_path, "rtmp: 1935\n")
    for environment in ({}, {"ONRECORD_RTMP__PORT": "1936"}):
        (line,) = mistakes(path, environment)
        assert line.startswith(f"{path}: rtmp: ")


def test_an_empty_file_and_an_empty_section_are_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), {}) == Settings()
    assert load(written(tmp_path, "rtmp:\n#  port: 1\n"), {}) == Settings()
    assert load(written(tmp_path, "rtmp:\n"), {"ONRECORD_RTMP__PORT": "1"}).rtmp.port == 1


@pytest.mark.parametrize(
    "text",
    ["- a\n", "text", "a: [\n", "rtmp: !!python/object:os.system {}\n", "\t", "day: 2026-99-99\n", "? [a]\n: b\n"],
)
def test_a_file_that_is_no_mapping_of_sections_is_said_with_its_name(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    assert mistakes(path, {})[0].startswith(f"{path}: ")


def test_a_file_that_cannot_be_read_is_said_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "absent.yaml", tmp_path, tmp_path / "binary.yaml"):
        (line,) = mistakes(path, {})
        assert line.startswith(f"{path}: cannot be read")
        assert "--config" in line
