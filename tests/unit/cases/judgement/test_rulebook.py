"""Rules that are edited while the server runs: a good set counts, a bad one is told and never counts."""

from pathlib import Path

import anyio
import structlog

from cases.judgement.book import Book
from cases.judgement.rulebook import Rulebook
from cases.rules.mistakes import Mistake
from pipeline.errors import RulesInvalid
from tests.unit.cases.judgement.material import book


def read(folder: Path, laws: Path) -> Book:
    """The version is what the file says; "bad" has two mistakes."""
    del laws
    said = (folder / "a.yaml").read_text()
    if said == "bad":
        where = str(folder / "a.yaml")
        raise RulesInvalid([Mistake(where, 3, "no such field", "leave it out"), Mistake(where, 9, "x", "y")])
    return book("identity", version=said)


def test_a_good_set_counts_from_then_on_and_a_bad_one_leaves_the_old_in_force(tmp_path: Path) -> None:
    reads = []

    def counted(folder: Path, laws: Path) -> Book:
        reads.append(folder)
        return read(folder, laws)

    async def act() -> None:
        rules = Rulebook(tmp_path, tmp_path / "laws", counted)
        file = tmp_path / "a.yaml"
        file.write_text("one")
        await rules.look()
        assert rules.current is not None
        assert rules.current.version == "one"
        first = rules.current
        await rules.look()
        assert len(reads) == 1, "what did not change is not read again"
        file.write_text("bad")
        with structlog.testing.capture_logs() as logs:
            await rules.look()
            await rules.look()
        assert rules.current is first
        assert [each["mistake"] for each in logs] == [
            f"{file}:3: no such field; leave it out", f"{file}:9: x; y",
        ]  # fmt: skip
        assert rules.refusal.startswith(f"{file}:3:")
        file.write_text("second")
        await rules.look()
        assert (rules.current.version, rules.refusal) == ("second", "")

    anyio.run(act)


def test_a_set_that_is_wrong_from_the_beginning_leaves_none_in_force(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("bad")
    rules = Rulebook(tmp_path, tmp_path, read)
    anyio.run(rules.look)
    assert rules.current is None
    assert rules.refusal
