"""Slips: whole or not there, read by their suffix alone, and an error of the disk says which folder."""

import os
from pathlib import Path

import pytest

from pipeline.errors import StorageError
from pipeline.slips import Slips, done


def test_a_slip_is_left_read_and_taken_away(tmp_path: Path) -> None:
    slips = Slips(tmp_path / "slips", ".slip")
    assert slips.left() == []
    slips.leave(b"one", "b")
    slips.leave(b"two", "a")
    slips.leave(b"three", "a")
    assert [(path.name, raw) for path, raw in slips.left()] == [("a.slip", b"three"), ("b.slip", b"one")]
    done(slips.left()[0][0])
    done(tmp_path / "slips" / "a.slip")
    assert [path.name for path, _ in slips.left()] == ["b.slip"]


def test_what_is_half_written_or_of_another_kind_is_no_slip(tmp_path: Path) -> None:
    slips = Slips(tmp_path, ".slip")
    (tmp_path / ".half.slip").write_bytes(b"ha")
    (tmp_path / "other.export").write_bytes(b"other")
    slips.leave(b"mine")
    assert [raw for _, raw in slips.left()] == [b"mine"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        Slips(tmp_path / "file" / "slips", ".slip").leave(b"")


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_disk_that_fails_leaves_no_slip_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    slips = Slips(tmp_path, ".slip")
    with monkeypatch.context() as patched:
        patched.setattr(os, broken, fails)
        with pytest.raises(StorageError, match="No space left"):
            slips.leave(b"content", "name")
    assert slips.left() == []
    assert list(tmp_path.iterdir()) == []
