import re
from pathlib import Path

import pytest

from models.signal.bounds import load
from pipeline.errors import SettingsInvalid

WANTED = {"black": frozenset({"mean_max", "mean_max_leave"}), "bang": frozenset({"rise_min", "rise_min_leave"})}
GOOD = """name: pictures
kinds:
  black:
    zh: 黑屏
    en: Black
    group: integrity
    severity: high
    law: 行政处罚法 art. 47
    enter_s: 1
    leave_s: 1.5
    bounds: {mean_max: 20, mean_max_leave: 24.5}
  bang:
    zh: 响声
    en: Bang
    group: sound
    severity: medium
    enter_s: 0
    leave_s: 0
    bounds:
      rise_min: 20
      rise_min_leave: -3.0
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "pictures.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def told(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsInvalid) as caught:
        load(write(folder, text), WANTED)
    return [re.sub(r"^.*pictures\.yaml:", "", line) for line in str(caught.value).splitlines()]


def test_a_file_that_holds_is_read_whole(tmp_path: Path) -> None:
    bounds = load(write(tmp_path, GOOD), WANTED)
    black, bang = bounds.kinds["black"], bounds.kinds["bang"]
    assert (black.zh, black.group, black.severity, black.law) == ("黑屏", "integrity", "high", "行政处罚法 art. 47")
    assert (black.enter_s, black.leave_s, dict(black.bounds)) == (1.0, 1.5, {"mean_max": 20.0, "mean_max_leave": 24.5})
    assert dict(bang.bounds) == {"rise_min": 20.0, "rise_min_leave": -3.0}
    assert bang.law == ""
    assert re.fullmatch(r"pictures\.black@[0-9a-f]{8}", bounds.rule("black"))


def test_a_comment_keeps_the_version_and_a_number_changes_it(tmp_path: Path) -> None:
    version = load(write(tmp_path, GOOD), WANTED).version
    assert load(write(tmp_path, "# why\n" + GOOD), WANTED).version == version
    assert load(write(tmp_path, GOOD.replace("leave: 24.5", "leave: 25")), WANTED).version != version


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("name: pictures", "name: sounds", 1, "write pictures"),
        ("name: pictures\n", "", 1, "name is missing"),
        ("    severity: high", "    severity: huge", 7, "one of low, medium, high, critical"),
        ("    group: sound", "    group: smell", 15, "one of integrity, sound"),
        ("    enter_s: 1\n", "    enter_s: soon\n", 9, "seconds are wanted"),
        ("    enter_s: 1\n", "    enter_s: -1\n", 9, "seconds are wanted"),
        ("    enter_s: 1\n", "", 4, "kinds.black.enter_s is missing"),
        ("    law:", "    lawyer:", 8, "kinds.black.lawyer is not known here"),
        ("    zh: 响声", "    zh: ''", 13, "a text is wanted"),
        ("    zh: 响声", "    zh: [响声]", 13, "a text is wanted"),
        ("    leave_s: 1.5", "    enter_s: 1.5", 10, "stands in line 9 already"),
        ("rise_min: 20", "rise_min: .nan", 20, "a number is wanted"),
        ("rise_min: 20", "rise_min: true", 20, "a number is wanted"),
        ("rise_min: 20", "rise_min: '20'", 20, "a number is wanted"),
        ("rise_min: 20", "rise_min: [20]", 20, "a number is wanted"),
        ("rise_min: 20", "rise_mim: 20", 20, "rise_mim is not known here"),
        ("      rise_min: 20\n", "", 20, "rise_min is missing"),
        ("rise_min_leave: -3.0", "rise_min_leave: 21", 21, "it must not be more than rise_min (20); lower it"),
        ("mean_max_leave: 24.5", "mean_max_leave: 19", 11, "it must not be less than mean_max (20); raise it"),
        ("    bounds: {mean_max: 20, mean_max_leave: 24.5}", "    bounds: 20", 11, "numbers are wanted"),
        ("  bang:", "  bung:", 12, "kinds.bung is not known here"),
        ("kinds:", "kind:", 2, "kind is not known here"),
        ("kinds:\n", "kinds: [\n", 4, "this is not YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_what_to_do(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert old in GOOD
    mistakes = told(tmp_path, GOOD.replace(old, new, 1))
    assert any(re.match(rf"{line}: ", each) and says in each for each in mistakes), mistakes


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = GOOD.replace("severity: high", "severity: huge").replace("rise_min: 20", "rise_min: no")
    lines = [int(each.partition(":")[0]) for each in told(tmp_path, text.replace("  bang:", "  bang: &a"))]
    assert lines == [7, 20]


@pytest.mark.parametrize(
    "text", ["", "[]", "a", "kinds: {black: 1, bang: {}}\nname: pictures", "name: &a [*a]\nkinds: 3"]
)
def test_what_is_no_set_of_bounds_is_refused_and_not_followed(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, text)


def test_a_file_that_is_not_there_or_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="none\\.yaml"):
        load(tmp_path / "none.yaml", WANTED)
    path = tmp_path / "pictures.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsInvalid, match="pictures\\.yaml"):
        load(path, WANTED)
