"""A child that reads pictures may die, hang or talk nonsense: who sent the picture gets a plain answer all the same."""

import sys
import time
from pathlib import Path

import anyio
import pytest

from models.entries import Engine
from models.face.entry import FaceEntry
from pipeline.analyse.enrol_order import (
    MOST_BYTES,
    READY,
    Enrolled,
    EnrolOrder,
    Refused,
    answer_from,
    answer_line,
    failed_line,
)
from pipeline.analyse.enrolment import Enrolment
from pipeline.errors import ModelFailed, WorkerFailed

DETECTOR = FaceEntry(Path("models/yunet"), "yunet", "1", Engine.YUNET, "yunet.onnx")
EMBEDDER = FaceEntry(Path("models/sface"), "sface", "1", Engine.SFACE, "sface.onnx", 128)
DATA = b"a picture" * 1000
FACE = Enrolled(b"\xff\xd8\xff crop", b"\0" * 512, 0.9, "sface@1", "yunet@1", 3)


def order(size_bytes: int = len(DATA)) -> EnrolOrder:
    return EnrolOrder("picture", size_bytes, DETECTOR, EMBEDDER, 640)


def child(*does: str) -> list[str]:
    """A child that does this, line by line, with `order` read."""
    begins = ("import sys, os, time", "source, sink = sys.stdin.buffer, sys.stdout.buffer", "order = source.readline()")
    return [sys.executable, "-c", "\n".join((*begins, *does))]


def asked(command: list[str], data: bytes = DATA, reads_s: float = 5.0) -> Enrolled | Refused:
    async def main() -> Enrolled | Refused:
        return await Enrolment(command).enrol(order(len(data)), data, reads_s=reads_s)

    return anyio.run(main)


def says(line: bytes) -> str:
    return f"sink.write({line!r}); sink.flush()"


def test_an_order_and_every_answer_come_across_as_they_are() -> None:
    assert EnrolOrder.read(order().line()) == order()
    for answer in (FACE, Refused("blurred", "hold still")):
        assert answer_from(answer_line(answer)) == answer
    assert answer_from(failed_line("no model")) == "no model"


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{}", b"nonsense", b'{"refused": "ugly", "detail": ""}', b'{"crop": "?", "vector": ""}']
)
def test_an_answer_that_is_none_is_a_failure_of_the_worker(line: bytes) -> None:
    with pytest.raises(WorkerFailed):
        answer_from(line)


def test_what_the_child_found_is_given() -> None:
    reads = f"assert len(source.read({len(DATA)})) == {len(DATA)}"
    assert asked(child(says(READY), reads, says(answer_line(FACE)))) == FACE


@pytest.mark.parametrize("death", ["os._exit(1)", "os.kill(os.getpid(), 9)", "os.abort()", says(b"half an answ")])
def test_a_picture_that_kills_its_reader_is_refused(death: str) -> None:
    found = asked(child(says(READY), "source.read(10)", death))
    assert isinstance(found, Refused)
    assert found.reason == "unreadable"


def test_a_picture_that_takes_too_long_is_refused_and_its_reader_is_gone(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    began_s = time.monotonic()
    says_who = f"open({str(note)!r}, 'w').write(str(os.getpid()))"
    found = asked(child(says_who, says(READY), "time.sleep(60)"), reads_s=0.3)
    assert isinstance(found, Refused)
    assert found.reason == "unreadable"
    assert time.monotonic() - began_s < 10
    assert not Path(f"/proc/{note.read_text()}").exists()


def test_a_child_that_does_not_start_is_a_failure_of_the_worker() -> None:
    with pytest.raises(WorkerFailed):
        asked(child("os._exit(1)"))


def test_models_that_fail_are_no_fault_of_the_picture() -> None:
    with pytest.raises(ModelFailed, match="no detector"):
        asked(child(says(failed_line("no detector"))))
    with pytest.raises(ModelFailed, match="refused"):
        asked(child("os.close(0)", says(READY), says(failed_line("the engine refused it"))))  # without reading it


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty"), (b"\0" * (MOST_BYTES["picture"] + 1), "too_large")])
def test_what_is_empty_or_too_large_starts_no_child(data: bytes, reason: str) -> None:
    found = asked(["no such program"], data)
    assert isinstance(found, Refused)
    assert found.reason == reason
