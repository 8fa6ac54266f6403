"""`onrecord bench timeline`: what the store of facts takes and gives, on SQLite and, where it is installed, PostgreSQL."""

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import anyio
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.bench import timeline_tail
from api.bench.postgres import Postgres, is_installed
from cases import timeline
from cases.appender import Appender
from cases.custody import proofs
from cases.custody.merkle import LogWriter, leaf_hash
from cases.facts import Fact
from cases.store.engine import Store, migrate, open_store
from cases.store.tables import case_events, events, tiles
from cases.store.words import fts5_text, tsvector
from cases.timeline import Question
from pipeline.clock import SystemClock
from pipeline.errors import EvidenceError
from pipeline.settings import StoreSettings

EVENTS = 1_000_000
_APPENDED = 20_000
_WRITERS = 40
_AT_ONCE = 20  # facts one writer brings
_CHUNK = 5_000
_CASE_EVENTS = 50_000
_ASKED = 200
_SAID = (
    "请出示营业执照和食品经营许可证",
    "现在进行现场检查，全程录音录像",
    "您有陈述和申辩的权利",
    "第{n}号冷柜里的样品请签字",
)
_METHOD = (
    "append: {writers} writers bring {at_once} facts each time, half of them with a Chinese sentence, until {appended} are "
    "committed (synchronous=FULL, synchronous_commit=on); SHA-256 log, tiles and words in the same transaction. Reading: "
    "{events} events put in by whole rows with the log's tiles, half with a sentence, one case of {case}; {asked} questions each, "
    "caches warm: the first 100 of the case, the first 100 found for one of eight phrases, an inclusion proof of any event "
    "checked against the root."
)


def run(count: int = EVENTS) -> dict[str, object]:
    """The report of `onrecord bench timeline`. count: events in the store that is read."""
    report: dict[str, object] = {"events": count}
    with tempfile.TemporaryDirectory(prefix="onrecord-bench-") as folder:
        report["sqlite"] = anyio.run(_one, StoreSettings(), StoreSettings(), Path(folder), count)
    if is_installed():
        with _postgres() as server:
            report["postgresql"] = anyio.run(_one, server.settings(), server.settings(), Path(), count)
    else:
        report["postgresql"] = None
    report["tail"] = timeline_tail.run()
    report["method"] = f"{timeline_tail.method()} " + _METHOD.format(
        writers=_WRITERS, at_once=_AT_ONCE, appended=_APPENDED, events=count, case=_CASE_EVENTS, asked=_ASKED
    )
    return report


@contextlib.contextmanager
def _postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


async def _one(empty: StoreSettings, full: StoreSettings, folder: Path, count: int) -> dict[str, object]:
    report: dict[str, object] = {}
    for name, settings, act in (("append", empty, _append), ("read", full, _read)):
        data = folder / name
        if not settings.url.get_secret_value():
            data.mkdir()
        await migrate(settings, data)
        async with open_store(settings, data) as store:
            report |= await act(store, count)
    return report


def _fact(number: int) -> Fact:
    said = _SAID[number // 2 % len(_SAID)].format(n=number) if number % 2 else ""
    return Fact(
        event_id=f"ev_{number:024d}",
        kind="WordsHeard" if said else "SegmentClosed",
        at_us=1_700_000_000_000_000 + number * 10_000,
        stream_id=f"st_{number % 50:020d}",
        case_id=f"case_{number % 20}",
        words=said,
        body={"recording_id": f"rec_{number % 50:020d}", "file": f"{number:04d}.mp4", "sha256": "0" * 64, "text": said},
    )


async def _append(store: Store, _: int) -> dict[str, object]:
    """Facts a second, the cost in this process, and the share of a core."""
    appender = await Appender.load(store, SystemClock())
    numbers = iter(range(0, _APPENDED, _AT_ONCE))

    async def write() -> None:
        for first in numbers:
            await appender.append([_fact(number) for number in range(first, first + _AT_ONCE)])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(appender.run)
        began_s, cpu_s = time.monotonic(), _cpu_s()
        async with anyio.create_task_group() as writers:
            for _ in range(_WRITERS):
                writers.start_soon(write)
        took_s, cost_s = time.monotonic() - began_s, _cpu_s() - cpu_s
        tasks.cancel_scope.cancel()
    return {
        "append_per_s": round(_APPENDED / took_s),
        "append_cpu_us": round(cost_s / _APPENDED * 1e6, 1),
        "facts_per_commit": round(_APPENDED / appender.commits, 1),
    }


async def _fill(store: Store, count: int) -> bytes:
    """Whole rows, and the tiles of all of them; the root."""
    log = LogWriter()
    known: dict[tuple[int, int], bytes] = {}
    form = fts5_text if store.is_sqlite else tsvector
    index = (
        text("INSERT INTO texts (rowid, tokens) VALUES (:seq, :tokens)")
        if store.is_sqlite
        else text("INSERT INTO texts (seq, tokens) VALUES (:seq, CAST(:tokens AS tsvector))")
    )
    step = max(1, count // _CASE_EVENTS)
    async with store.writing() as connection:
        for first in range(0, count, _CHUNK):
            facts = {number: _fact(number) for number in range(first, min(first + _CHUNK, count))}
            entries = {number: fact.entry(fact.at_us) for number, fact in facts.items()}
            async with connection.begin():
                await connection.execute(
                    insert(events),
                    [
                        {
                            "seq": number, "event_id": fact.event_id, "kind": fact.kind, "at_us": fact.at_us,
                            "ends_at_us": None, "learned_at_us": fact.at_us, "stream_id": fact.stream_id,
                            "case_id": fact.case_id, "entry": entries[number].decode(),
                        }
                        for number, fact in facts.items()
                    ],
                )  # fmt: skip
                await connection.execute(
                    insert(case_events),
                    [
                        {
                            "case_id": "the case" if number % step == 0 else fact.case_id,
                            "at_us": fact.at_us,
                            "seq": number,
                        }
                        for number, fact in facts.items()
                    ],
                )
                said = [{"seq": n, "tokens": form(fact.words)} for n, fact in facts.items() if fact.words]
                await connection.execute(index, said)
            for change in log.extend(list(entries.values())):
                known[change.level, change.place] = change.hashes
            log.committed()
        async with connection.begin():
            rows = [
                {"hash": "sha256", "level": level, "place": place, "hashes": hashes}
                for (level, place), hashes in known.items()
            ]
            await connection.execute(insert(tiles), rows)
    if not store.is_sqlite:
        async with store.writing() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM ANALYZE"))
    return log.root()


async def _read(store: Store, count: int) -> dict[str, object]:
    began_s = time.monotonic()
    root = await _fill(store, count)
    filled_s = time.monotonic() - began_s
    phrases = ("执照", "许可证", "录像", "申辩", "冷柜", "签字", "现场检查", "陈述和申辩的权利")

    async def first_page(connection: AsyncConnection, _: int) -> None:
        _wanted(await timeline.page(store, connection, Question(case_id="the case", limit=100)), 100)

    async def found(connection: AsyncConnection, turn: int) -> None:
        _wanted((await timeline.search(store, connection, phrases[turn % len(phrases)], 100))[0], 100)

    async def proof(connection: AsyncConnection, turn: int) -> None:
        seq = turn * 7_919_001 % count
        path = await proofs.inclusion(seq, count, store.tile_reader(connection))
        leaf = leaf_hash(_fact(seq).entry(_fact(seq).at_us))
        if not proofs.is_included(leaf, seq, count, path, root):
            raise EvidenceError(f"event {seq} is not proved")

    async with store.reading() as connection:
        if store.is_sqlite:
            pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
            size_bytes = pages * (await connection.execute(text("PRAGMA page_size"))).scalar_one()
        else:
            size_bytes = (await connection.execute(text("SELECT pg_database_size(current_database())"))).scalar_one()
        shown = (
            await connection.execute(
                select(func.count()).select_from(case_events).where(case_events.c.case_id == "the case")
            )
        ).scalar_one()
    return {
        "case_events": shown,
        "first_page_ms_p95": await _p95_ms(store, first_page),
        "search_ms_p95": await _p95_ms(store, found),
        "proof_ms_p95": await _p95_ms(store, proof),
        "bytes_per_event": round(size_bytes / count),
        "filled_s": round(filled_s, 1),
    }


def _wanted(found: Sequence[object], least: int) -> None:
    if len(found) < least:
        raise EvidenceError(f"{len(found)} events were found, at least {least} are there")


async def _p95_ms(store: Store, act: Callable[[AsyncConnection, int], Awaitable[None]]) -> float:
    took_ms = []
    for turn in range(_ASKED):
        began_s = time.monotonic()
        async with store.reading() as connection:
            await act(connection, turn)
        took_ms.append((time.monotonic() - began_s) * 1000)
    return round(statistics.quantiles(took_ms, n=20)[-1], 2)


def _cpu_s() -> float:
    return sum(os.times()[:2])
