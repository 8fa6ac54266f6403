"""The short run of `make fuzz`, the inputs that once went wrong, and a fuzzer that finds what it looks for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ProtocolError
from tests.fuzz.run import Target, attempt, fuzz, watchdog
from tests.fuzz.targets import targets

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*/*.bin"))
INPUTS = 300
TARGETS = targets()


@pytest.mark.parametrize("name", TARGETS)
def test_bad_bytes_raise_only_our_errors_and_cost_little(name: str) -> None:
    _, failures, _ = fuzz(TARGETS[name], INPUTS, seed=4)
    assert [f"{failure.number}: {failure.what}" for failure in failures] == []


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_once_went_wrong_stays_right(path: Path) -> None:
    with watchdog():
        assert attempt(TARGETS[path.parent.name], 0, path.read_bytes()) is None


def crash(_: bytes) -> None:
    raise ZeroDivisionError


def spin(_: bytes) -> None:
    while True:
        pass


def eat(_: bytes) -> None:
    assert bytearray(200 << 20)[-1] == 0


def refuse(_: bytes) -> None:
    raise ProtocolError("no")


@pytest.mark.parametrize(("guilty", "word"), [(crash, "ZeroDivision"), (spin, "longer"), (eat, "memory"), (refuse, "")])
def test_the_fuzzer_finds_crashes_spins_and_eaten_memory(guilty: Callable[[bytes], None], word: str) -> None:
    with watchdog():
        failure = attempt(Target("guilty", [b"seed"], guilty), 0, b"seed")
    assert (failure.what if failure else "").count(word)
    assert (failure is None) == (not word)


def test_the_same_seed_gives_the_same_inputs() -> None:
    target = TARGETS["amf0"]
    inputs = [target.input(7, number) for number in range(200)]
    assert inputs == [target.input(7, number) for number in range(200)]
    assert len(set(inputs)) > 150
