"""Every setting stands in docs/configuration.md and in configs/onrecord.yaml, as the model says it."""

import re

import pytest

from pipeline.settings import Settings, load
from scripts import settings_doc

PAGE = settings_doc.PAGE.read_text(encoding="utf-8")
ROWS = {match[1]: match[0] for match in re.finditer(r"^\| `([a-z0-9_.]+)` \|.*$", PAGE, re.MULTILINE)}
NAMES = ["data"] + [f"{name}.{key}" for name, section in settings_doc.sections() for key in section.model_fields]


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_is_documented_with_its_default_and_its_meaning(name: str) -> None:
    section, _, key = name.rpartition(".")
    model = dict(settings_doc.sections())[section] if section else Settings
    field = model.model_fields[key]
    assert field.description, f"{name} has no description"
    assert name in ROWS, f"{name} is missing in docs/configuration.md; run python scripts/settings_doc.py --write"
    assert settings_doc.shown(field.default, settings_doc.unit_of(key)) in ROWS[name]
    assert field.description in ROWS[name]


def test_the_page_names_no_setting_that_is_gone() -> None:
    assert set(ROWS) == set(NAMES)


def test_the_tables_are_those_the_script_makes() -> None:
    assert settings_doc.page_with(settings_doc.tables(), PAGE) == PAGE, "run python scripts/settings_doc.py --write"


def test_the_example_configuration_loads_and_changes_nothing() -> None:
    assert load(settings_doc.EXAMPLE, environment={}) == Settings()


def test_the_example_configuration_is_the_one_the_script_makes() -> None:
    assert settings_doc.EXAMPLE.read_text(encoding="utf-8") == settings_doc.example()
