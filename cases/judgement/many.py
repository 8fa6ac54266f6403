"""Many cases judged again at once, each in a process of its own: for consoles, and away from the media."""

import functools
import multiprocessing
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from sqlalchemy import select

from cases.judgement.book import Book
from cases.judgement.measured import measured_again
from cases.judgement.rejudge import Again, Kept, judged, kept_of
from cases.rules.laws import FOLDER as LAWS
from cases.rules.ruleset import FOLDER, load
from cases.store.engine import Store
from cases.store.tables import cases

_AHEAD: Final = 4
"""Cases that are read for each process: no more wait in memory, an hour of speech takes a megabyte."""
_NICE: Final = 10


async def all_cases(store: Store) -> list[str]:
    """The newest first."""
    async with store.reading() as connection:
        asked = select(cases.c.case_id).order_by(cases.c.opened_us.desc(), cases.c.case_id)
        return [row[0] for row in await connection.execute(asked)]


async def judge_many(
    store: Store,
    data: Path,
    case_ids: Sequence[str],
    now_s: float,
    processes: int,
    folder: Path = FOLDER,
    laws: Path = LAWS,
) -> AsyncIterator[tuple[str, Again]]:
    """What came of each, in their order. Nothing is told. Raises: RulesInvalid. ThingUnknown. WorkerFailed."""
    load(folder, laws)  # what is wrong with the rules is told here, once
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, _begin, (folder, laws)) as pool:
        for at in range(0, len(case_ids), _AHEAD * processes):
            some = case_ids[at : at + _AHEAD * processes]
            waiting = []
            for case_id in some:
                async with store.reading() as connection:
                    kept = await kept_of(connection, case_id)
                waiting.append((case_id, pool.submit(_judged, data, kept, now_s)))
            for case_id, future in waiting:
                yield case_id, await anyio.to_thread.run_sync(future.result)


def _begin(folder: Path, laws: Path) -> None:
    """In a new process: the rules, before the first case comes."""
    os.nice(_NICE)
    _book(folder, laws)
    _FOLDERS.append((folder, laws))


_FOLDERS: list[tuple[Path, Path]] = []


@functools.cache
def _book(folder: Path, laws: Path) -> Book:
    return Book.of(load(folder, laws))


def _judged(data: Path, kept: Kept, now_s: float) -> Again:
    signals, measured = measured_again(data, kept.all_)
    return judged(_book(*_FOLDERS[-1]), replace(kept, signals=signals, measured=measured), now_s)
