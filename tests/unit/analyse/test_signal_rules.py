"""Bounds are adopted when they hold; a file that somebody spoiled changes nothing and says where it is wrong."""

import shutil
from pathlib import Path

import pytest

from pipeline.analyse.board import Work
from pipeline.analyse.judge_rows import judged
from pipeline.analyse.rows import Row
from pipeline.analyse.signal_label import FOLDER, adopt, adopted_folder, signal_label
from pipeline.analyse.signal_rules import SignalRules
from pipeline.errors import SettingsInvalid


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of bounds to be changed."""
    return Path(shutil.copytree(FOLDER, tmp_path / "signal"))


def test_the_bounds_that_ship_hold_and_are_adopted(tmp_path: Path) -> None:
    label = adopt(tmp_path)
    assert label == signal_label() == SignalRules.load(adopted_folder(tmp_path)).label


def test_a_comment_is_no_other_version_and_a_number_is(own: Path) -> None:
    path = own / "pictures.yaml"
    path.write_text("# for our cameras\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert signal_label(own) == signal_label()
    path.write_text(path.read_text(encoding="utf-8").replace("enter_s: 0.9", "enter_s: 1.9", 1), encoding="utf-8")
    assert signal_label(own) != signal_label()


def test_bounds_with_a_mistake_are_refused_with_file_and_line_and_the_old_ones_stay(own: Path, tmp_path: Path) -> None:
    before = adopt(tmp_path / "data", own)
    path = own / "sounds.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    number = next(place for place, line in enumerate(lines) if "enter_s" in line)
    lines[number] = "    enter_s: soon"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SettingsInvalid, match=rf"sounds\.yaml:{number + 1}: "):
        adopt(tmp_path / "data", own)
    assert signal_label(adopted_folder(tmp_path / "data")) == before


def test_rows_of_another_form_are_passed_over_and_counted() -> None:
    work = Work("w", "span", "signal", "st_1", "rec_1", 1_700_000_000.0)
    rows = [Row("sound", "old", 1.0, (1.0,)), Row("smell", "ab", 2.0, (1.0,))]
    assert judged(work, rows, SignalRules.load()) == ((), 2)
