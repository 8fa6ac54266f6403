"""Relay rules: what is refused at the start, and that a key is never shown."""

import json
from pathlib import Path

import pytest

from pipeline.errors import SettingsInvalid
from pipeline.settings import load

SECRET = "s3cret"
NAME = "ONRECORD_RELAY__RULES"


def rules(*urls: str) -> str:
    return json.dumps([{"match": "*", "url": url} for url in urls])


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"http://host/app/{SECRET}", "scheme"),
        (f"rtmp://user:{SECRET}@host/app/key", "before the host"),
        (f"rtmp://host/{SECRET}", "form"),
        (f"rtmp://host/app/{SECRET}{{device}}", "braces"),
        (f"rtmp://host/app/{SECRET}{{device_id.x}}", "braces"),
        (f"rtmp://host:99999/app/{SECRET}", "not a URL"),
    ],
)
def test_a_url_that_cannot_work_is_refused_by_name_without_its_key(url: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(f"relay:\n  rules:\n    - match: '*'\n      url: '{url}'\n", encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=why) as in_file:
        load(file, environment={})
    with pytest.raises(SettingsInvalid, match=why) as in_environment:
        load(None, environment={NAME: rules(url)})
    assert f"{file}: relay.rules.0.url" in str(in_file.value)
    assert NAME in str(in_environment.value)
    assert SECRET not in str(in_file.value) + str(in_environment.value)


def test_a_mistake_beside_the_url_does_not_show_it() -> None:
    for text in (
        f'[{{"url": "rtmp://h/a/{SECRET}", "to": 1}}]',
        f'[{{"match": 1, "url": "rtmp://h/a/{SECRET}"}}]',
        SECRET,
    ):
        with pytest.raises(SettingsInvalid) as error:
            load(None, environment={NAME: text})
        assert SECRET not in str(error.value)


def test_the_environment_takes_a_list_as_json_and_what_is_shown_has_no_key() -> None:
    settings = load(
        None, environment={NAME: rules(f"rtmps://host:444/app/{SECRET}?a={SECRET}", f"rtmp://b/c/{SECRET}")}
    )
    shown = settings.model_dump_json() + repr(settings)
    assert [rule.server for rule in settings.relay.rules] == ["rtmps://host:444", "rtmp://b"]
    assert "rtmps://host:444/***" in shown
    assert SECRET not in shown
