"""rapidocr as a TextReader: over the models of its wheel, over broken ones, and over an engine that refuses."""

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from models.entries import Task
from models.registry import Registry, State
from models.text import cards, rapid
from models.text.base import Picture
from models.text.certificate import found
from models.text.rapid import Found, RapidReader, TextEntry
from pipeline.errors import ModelFailed, ModelMissing, ModelUnverified
from tests.unit.models.text.material import needs_a_font, reader

ENTRY = TextEntry(Path("nowhere"), "made", "1", ("zh",))


class Refusing:
    def __call__(self, picture: Picture, /, use_det: bool | None = None) -> Found:
        raise RuntimeError(f"onnxruntime says no to {picture.shape}, {use_det}")


def copied(folder: Path) -> TextEntry:
    """The models of the wheel, somewhere else."""
    registry = Registry.open(folder)
    ready = registry.ready("pp-ocr-small-zh")
    for file in ready.entry.files:
        shutil.copy(ready.folder / file.path, folder / file.path)
    return TextEntry(folder, "made", "1", ("zh",))


def test_the_models_in_the_wheel_are_those_of_the_registry(tmp_path: Path) -> None:
    registry = Registry.open(tmp_path)
    entry = registry.choose(Task.TEXT)
    assert (registry.state(entry), entry.label) == (State.HERE, "pp-ocr-small-zh@6")
    assert registry.ready(entry.name).folder.name == "models"
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_says_that_these_very_files_are_apache_2(tmp_path: Path) -> None:
    entry = Registry.open(tmp_path).choose(Task.TEXT)
    package = metadata.distribution("rapidocr")
    notice = package.read_text("licenses/MODEL_LICENSES.md") or ""
    assert (package.metadata["License-Expression"], entry.licence) == ("Apache-2.0", "Apache-2.0")
    rows = [row for row in notice.splitlines() if row.startswith("| `")]
    assert {file.path for file in entry.files} == {row.split("`")[1] for row in rows}
    assert all(any(str(file.sha256) in row for row in rows) for file in entry.files)
    assert "Section 6 are made available under the Apache License,\nVersion 2.0" in notice


def test_a_changed_model_in_the_wheel_is_not_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied(tmp_path)
    changed = bytearray((tmp_path / "PP-OCRv6_det_small.onnx").read_bytes())
    changed[5_000] ^= 1
    (tmp_path / "PP-OCRv6_det_small.onnx").write_bytes(bytes(changed))
    monkeypatch.setattr("models.registry._in_package", lambda _: [tmp_path])
    with pytest.raises(ModelUnverified, match=r"PP-OCRv6_det_small\.onnx has the SHA-256"):
        Registry.open(tmp_path).ready("pp-ocr-small-zh")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"PP-OCRv6_rec_small\.onnx"):
        rapid.opened(TextEntry(tmp_path, "made", "1", ("zh",)))


@pytest.mark.parametrize("part", ["PP-OCRv6_det_small", "PP-OCRv6_rec_small", "ch_ppocr_mobile_v2.0_cls_mobile"])
def test_each_model_is_the_one_of_the_folder_and_a_broken_one_is_told_at_once(tmp_path: Path, part: str) -> None:
    entry = copied(tmp_path)
    (tmp_path / f"{part}.onnx").write_bytes(b"no model")
    with pytest.raises(ModelFailed, match="cannot be loaded"):
        rapid.opened(entry)


_CHILD = """
import json, sys
called = []
sys.addaudithook(lambda event, args: called.append(event) if event in (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto") else None)
from models.speech.vad import SileroDetector
from tests.unit.models.text.material import reader
import numpy as np
SileroDetector().feed(np.ones(512, np.float32))
reader().read(np.full((200, 400), 255, np.uint8))
print(json.dumps(called))
"""


def test_nothing_is_fetched_reported_or_logged_when_models_are_loaded_and_read(tmp_path: Path) -> None:
    """onnxruntime's report is native code that no hook sees; the id of the machine that it keeps for it is seen."""
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run([sys.executable, "-c", _CHILD], env=places, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout) == []
    assert list(tmp_path.iterdir()) == []


@needs_a_font
@pytest.mark.parametrize("condition", ["plain", "upside_down", "held"])
def test_a_card_in_a_shop_is_read(condition: str) -> None:
    made = cards.positive(condition, 1, 720)
    seen = found(reader().read(made.picture))
    assert (seen.is_shown, seen.number) == (True, made.number)
    assert seen.name in (made.name, "")


@needs_a_font
def test_luma_is_read_as_colour_is_and_boxes_are_of_the_picture_that_was_given() -> None:
    made = cards.positive("plain", 1, 1080)
    large = np.repeat(np.repeat(made.picture[:, :, 1], 2, axis=0), 2, axis=1)
    lines = reader().read(large)
    seen = found(lines)
    assert seen.number == made.number
    assert max(x for each in lines for x, _ in each.corners) > 1920
    assert all(0 <= x <= 3840 and 0 <= y <= 2160 for each in lines for x, y in each.corners)


@needs_a_font
@pytest.mark.parametrize("kind", cards.OTHERS)
def test_other_papers_and_plain_shops_are_no_certificate(kind: str) -> None:
    assert not found(reader().read(cards.negative(kind, 1, 720).picture)).is_shown


@pytest.mark.parametrize(
    "shape", [(0, 0, 3), (1, 1), (31, 4_000), (40, 20_000), (20_000, 40), (33, 33, 3), (2_160, 3_840)]
)
def test_an_empty_picture_of_any_size_has_no_text(shape: tuple[int, ...]) -> None:
    assert reader().read(np.full(shape, 128, np.uint8)) == []


def test_what_is_no_picture_is_refused() -> None:
    for nothing in (np.zeros((9,), np.uint8), np.zeros((90, 90, 4), np.uint8), np.zeros((90, 90), np.float32)):
        with pytest.raises(ModelFailed, match="no picture"):
            reader().read(nothing)  # type: ignore[arg-type]  # so it is


def test_an_engine_that_refuses_is_told_as_our_own_error() -> None:
    with pytest.raises(ModelFailed, match="made refused a picture"):
        RapidReader(ENTRY, Refusing()).read(np.zeros((90, 90), np.uint8))
    assert RapidReader(ENTRY, Refusing()).abilities.label == "made@1"
