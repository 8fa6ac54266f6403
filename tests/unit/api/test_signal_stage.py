"""Which bounds `signal` runs by where those that ship do not hold: those of before, if this release reads them."""

from pathlib import Path

import pytest

import api.analysis
from api.analysis import stages_of
from pipeline.analyse.signal_label import adopt, adopted_folder
from pipeline.analyse.subjects import Stage
from pipeline.errors import SettingsInvalid
from pipeline.settings import AnalyseSettings, Settings


def _stage(data: Path) -> Stage:
    settings = Settings(data=data, analyse=AnalyseSettings(stages=("signal",)))
    return next(each for each in stages_of(settings) if each.name == "signal")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with adopted bounds, of a program whose own ones somebody spoiled."""
    adopt(tmp_path)

    def spoiled(_: Path) -> str:
        raise SettingsInvalid("sounds.yaml:9: somebody spoiled it")

    monkeypatch.setattr(api.analysis, "adopt", spoiled)
    return tmp_path


def test_those_of_before_are_in_force_where_they_hold(data: Path) -> None:
    assert _stage(data).is_on


def test_the_stage_is_off_and_says_why_where_those_of_before_are_of_another_release(data: Path) -> None:
    path = adopted_folder(data) / "sounds.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("effort_min", "loud_min"), encoding="utf-8")
    stage = _stage(data)
    assert (stage.is_on, stage.why) == (False, "sounds.yaml:9: somebody spoiled it")
