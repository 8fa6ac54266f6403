"""What consoles judged again: verdicts and findings a case under `{data}/analysis/judgements/`, for the server to tell.

The work is done in the console's processes, away from the media; a server, this one or the next, only writes. Called in
threads. A slip that cannot be read is passed over and stays, for a person to look at.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cases.facts import Fact, parse_entry
from cases.judgement.findings import ENDED, RAISED
from cases.judgement.verdicts import JUDGED
from pipeline.errors import EvidenceError
from pipeline.slips import Slips

_KINDS: Final = frozenset((JUDGED, RAISED, ENDED))


def place(data: Path, case_id: str, facts: Iterable[Fact], at_us: int) -> None:
    """at_us: when the case was judged: what was judged later stands last in the record, though no server ran between.

    Raises: StorageError.
    """
    _slips(data).leave(b"".join(fact.entry(0) + b"\n" for fact in facts), f"{at_us:020}-{case_id}")


def left(data: Path) -> list[tuple[Path, tuple[Fact, ...]]]:
    """Raises: StorageError."""
    found = ((path, _facts(raw)) for path, raw in _slips(data).left())
    return [(path, facts) for path, facts in found if facts is not None]


def _facts(raw: bytes) -> tuple[Fact, ...] | None:
    """None: it holds what is no fact of judgement."""
    try:
        facts = tuple(parse_entry(line)[0] for line in raw.split(b"\n") if line)
    except EvidenceError:
        return None
    return facts if all(fact.kind in _KINDS for fact in facts) else None


def _slips(data: Path) -> Slips:
    return Slips(data / "analysis" / "judgements", ".jsonl")
