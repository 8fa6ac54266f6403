"""What consoles judged again: verdicts and findings a case under `{data}/analysis/judgements/`, for the server to tell.

The work is done in the console's processes, away from the media; a server, this one or the next, only writes. Called in
threads. A slip that cannot be read is passed over and stays, for a person to look at.
"""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cases.facts import Fact, parse_entry
from cases.judgement.findings import ENDED, RAISED
from cases.judgement.verdicts import JUDGED
from pipeline.errors import EvidenceError, StorageError

_KINDS: Final = frozenset((JUDGED, RAISED, ENDED))


def place(data: Path, facts: Iterable[Fact]) -> None:
    """Raises: StorageError."""
    folder = _folder(data)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{secrets.token_hex(8)}"
        draft.write_bytes(b"".join(fact.entry(0) + b"\n" for fact in facts))
        os.replace(draft, folder / f"{draft.name[1:]}.jsonl")
    except OSError as error:
        raise StorageError(f"{folder}: the slip cannot be written ({error})") from error


def left(data: Path) -> list[tuple[Path, tuple[Fact, ...]]]:
    """Raises: StorageError."""
    found = []
    try:
        for path in sorted(_folder(data).glob("*.jsonl")):
            facts = _facts(path.read_bytes())
            if facts is not None:
                found.append((path, facts))
    except OSError as error:
        raise StorageError(f"{_folder(data)}: slips cannot be read ({error})") from error
    return found


def done(slip: Path) -> None:
    """Raises: StorageError."""
    try:
        slip.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{slip}: cannot be taken away ({error})") from error


def _facts(raw: bytes) -> tuple[Fact, ...] | None:
    """None: it holds what is no fact of judgement."""
    try:
        facts = tuple(parse_entry(line)[0] for line in raw.split(b"\n") if line)
    except EvidenceError:
        return None
    return facts if all(fact.kind in _KINDS for fact in facts) else None


def _folder(data: Path) -> Path:
    return data / "analysis" / "judgements"
