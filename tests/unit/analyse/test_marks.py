"""Marks of what was analysed: they stay, a torn one is none, and no id leads out of the folder."""

from pathlib import Path

import pytest

from pipeline.analyse import orders
from pipeline.analyse.marks import Mark, Marks
from pipeline.analyse.orders import Order
from pipeline.errors import StorageError
from pipeline.slips import done as slip_done


def mark(start_s: float, recording_id: str = "rec_1") -> Mark:
    return Mark(recording_id, "speech", "made@1", start_s, start_s + 1)


def test_marks_are_read_back_by_recording(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "analysis")
    assert marks.of("rec_1") == []
    marks.write([mark(0), mark(5, "rec_2"), mark(1)])
    marks.write([mark(2)])
    assert marks.of("rec_1") == [mark(0), mark(1), mark(2)]
    assert marks.of("rec_2") == [mark(5, "rec_2")]


@pytest.mark.parametrize(
    "torn", ['["speech", "made', '["speech"]', "{}", '["speech", "m", 1, "NaN"]', "7", "[1, 2, 3, 4]"]
)
def test_a_line_that_is_torn_or_nonsense_is_passed_over(tmp_path: Path, torn: str) -> None:
    marks = Marks(tmp_path)
    marks.write([mark(0)])
    with (tmp_path / "rec_1.jsonl").open("a") as file:
        file.write(torn)
    assert marks.of("rec_1") == [mark(0)]


@pytest.mark.parametrize("name", ["../rec", ".hidden", "a/b"])
def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError):
        Marks(tmp_path).of(name)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        Marks(tmp_path / "file").write([mark(0)])


def test_orders_of_consoles_are_taken_once_and_nonsense_stays(tmp_path: Path) -> None:
    orders.place(tmp_path, Order("rec_1", "speech", ""))
    orders.place(tmp_path, Order("rec_2", "speech", "large"))
    (tmp_path / "analysis" / "orders" / "zz.json").write_text('{"recording_id": 1}')
    found = orders.left(tmp_path)
    assert {order for _, order in found} == {Order("rec_1", "speech", ""), Order("rec_2", "speech", "large")}
    for slip, _ in found:
        slip_done(slip)
        slip_done(slip)
    assert orders.left(tmp_path) == []
    assert (tmp_path / "analysis" / "orders" / "zz.json").exists()
