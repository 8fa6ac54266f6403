"""How the doctor judges the models: missing, wrong, right, unwanted; and what they would run on."""

from pathlib import Path

import pytest

from api.doctor.finding import Finding, Verdict
from api.doctor.models import chosen_models, speech_device
from pipeline.settings import ModelsSettings, Settings, SpeechSettings
from tests.models_made import FILES, entry, lay, registry_file


def of(data: Path, *entries: dict[str, object], name: str = "") -> dict[str, Finding]:
    """The findings by what they are about; without entries, of the registry that ships."""
    registry = registry_file(data, *entries) if entries else None
    settings = Settings(data=data, models=ModelsSettings(registry=registry), speech=SpeechSettings(model=name))
    return {finding.check: finding for finding in chosen_models(settings)}


def test_the_demo_is_for_demonstration_only(tmp_path: Path) -> None:
    alone = of(tmp_path)["speech model"]
    assert (alone.verdict, "does not know real voices" in alone.found) == (Verdict.WARNING, True)
    found = of(tmp_path, name="whisper-demo-zh")
    assert found["speech model"].verdict is Verdict.WARNING
    assert "for demonstration; not for real speech" in found["speech model"].found
    assert "onrecord models pull" in found["speech model"].remedy
    assert found["voice model"].verdict is Verdict.OK
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_missing_wrong_or_right_is_told_and_never_an_error(tmp_path: Path) -> None:
    missing = of(tmp_path, entry())["speech model"]
    assert (missing.verdict, "no model for speech is here" in missing.found) == (Verdict.WARNING, True)
    folder = lay(tmp_path / "models" / "small-one", {**FILES, "model.bin": bytes(len(FILES["model.bin"]))})
    wrong = of(tmp_path, entry())["speech model"]
    assert (wrong.verdict, "model.bin has the SHA-256" in wrong.found) == (Verdict.WARNING, True)
    lay(folder)
    right = of(tmp_path, entry())["speech model"]
    assert (right.verdict, right.found.split(",")[0]) == (Verdict.OK, "small-one@1")
    named = of(tmp_path, entry(), name="other")["speech model"]
    assert (named.verdict, "'other'" in named.found) == (Verdict.WARNING, True)


def test_a_model_whose_engine_is_not_installed_is_told_with_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.registry.importlib.util.find_spec", lambda _: None)
    lay(tmp_path / "models" / "small-one")
    found = of(tmp_path, entry(), name="small-one")["speech model"]
    assert (found.verdict, found.remedy) == (Verdict.WARNING, "pip install faster-whisper")


def test_a_registry_that_does_not_hold_is_one_warning_with_every_mistake(tmp_path: Path) -> None:
    found = of(tmp_path, entry("one", licence=""), entry("two", longest_s=0))
    assert list(found) == ["models"]
    assert found["models"].verdict is Verdict.WARNING
    assert "one: licence" in found["models"].found
    assert "two: longest_s" in found["models"].found


@pytest.mark.parametrize(
    ("device", "said", "verdict", "words"),
    [
        ("cpu", None, Verdict.OK, "CPU, as set"),
        ("auto", (0, "4.8"), Verdict.OK, "sees no CUDA device"),
        ("auto", (2, "4.8"), Verdict.OK, "2 CUDA device(s)"),
        ("cuda", (0, "4.8"), Verdict.WARNING, "sees no CUDA device"),
        ("cuda", None, Verdict.CANNOT_TELL, "does not load"),
    ],
)
def test_the_device_is_judged_by_the_setting(
    monkeypatch: pytest.MonkeyPatch, device: str, said: tuple[int, str] | None, verdict: Verdict, words: str
) -> None:
    monkeypatch.setattr("api.doctor.models._ask_child", lambda: said)
    found = speech_device(SpeechSettings.model_validate({"device": device}))
    assert (found.verdict, words in found.found) == (verdict, True)


def test_the_child_answers_how_many_devices_there_are() -> None:
    found = speech_device(SpeechSettings())
    assert found.verdict is Verdict.OK
    assert "CTranslate2" in found.found
