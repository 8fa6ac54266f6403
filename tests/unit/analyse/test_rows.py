"""Rows on the disk: each moment once, what is torn passed over, nothing that is no number."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.analyse.rows import Row, Rows, form_of
from pipeline.errors import StorageError


@dataclass
class Old:
    at_s: float
    level_db: float


@dataclass
class New:
    at_s: float
    level_db: float
    floor_db: float


def test_rows_come_back_in_the_order_of_the_axis(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "measures")
    later, earlier = Row("sound", "ab", 2.0, (1.0, -3.5)), Row("picture", "cd", 1.0, (0.25,))
    rows.write("rec_1", f"{later.line()}\n{earlier.line()}\n")
    assert list(rows.of("rec_1")) == [earlier, later]


def test_a_moment_that_was_measured_twice_counts_once_as_measured_last(tmp_path: Path) -> None:
    rows = Rows(tmp_path)
    rows.write("rec_1", Row("sound", "ab", 2.0, (1.0,)).line() + "\n")
    rows.write("rec_1", Row("sound", "ab", 2.0, (7.0,)).line() + "\n")
    assert [row.numbers for row in rows.of("rec_1")] == [(7.0,)]


@pytest.mark.parametrize("torn", ['["sound","ab",3.0', "[]", "{}", '["sound","ab",NaN,1]', '["sound","ab",1,"x"]', "7"])
def test_what_is_no_row_is_passed_over(tmp_path: Path, torn: str) -> None:
    rows, whole = Rows(tmp_path), Row("sound", "ab", 2.0, (1.0,))
    rows.write("rec_1", f"{torn}\n{whole.line()}\n")
    assert list(rows.of("rec_1")) == [whole]


def test_a_recording_without_rows_has_none(tmp_path: Path) -> None:
    assert list(Rows(tmp_path).of("rec_none")) == []


def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        Rows(tmp_path).write("../rec_1", "x")


def test_another_meter_has_another_form() -> None:
    assert form_of(Old) != form_of(New)
    assert form_of(Old) == form_of(Old)


def test_numbers_keep_five_digits() -> None:
    assert Row("sound", "ab", 1.23456, (0.123456789, -100000.4)).line() == '["sound", "ab", 1.235, 0.12346, -100000.0]'
