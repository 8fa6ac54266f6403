"""Many cases judged again at once, each in a process of its own: for consoles, and away from the media."""

import multiprocessing
import os
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from sqlalchemy import select

from cases.judgement.book import Book
from cases.judgement.measured import Measured
from cases.judgement.rejudge import Again, Unread, judged, unread_of
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
    with ProcessPoolExecutor(processes, spawn, _begin, (data, folder, laws)) as pool:
        for at in range(0, len(case_ids), _AHEAD * processes):
            some = case_ids[at : at + _AHEAD * processes]
            waiting = []
            for case_id in some:
                async with store.reading() as connection:
                    unread = await unread_of(connection, case_id)
                waiting.append((case_id, pool.submit(_judged, unread, now_s)))
            for case_id, future in waiting:
                yield case_id, await anyio.to_thread.run_sync(future.result)


@dataclass(frozen=True, slots=True)
class _Bench:
    """What a process of the pool has: the rules, and a process of its own for what was measured."""

    book: Book
    measured: Measured


_BENCH: list[_Bench] = []
_BEFORE_EXIT: Final = 10


def _begin(data: Path, folder: Path, laws: Path) -> None:
    """In a new process, before the first case comes."""
    os.nice(_NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    measured = Measured(data)
    Finalize(None, measured.close, exitpriority=_BEFORE_EXIT)
    _BENCH.append(_Bench(Book.of(load(folder, laws)), measured))


def _end_with_parent() -> None:
    """A pool whose owner was killed would wait for work for ever: it holds the other end of its own queue."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _judged(unread: Unread, now_s: float) -> Again:
    (bench,) = _BENCH
    return judged(bench.book, unread.kept(*bench.measured.again(unread.all_)), now_s)
