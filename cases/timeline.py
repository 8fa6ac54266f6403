"""Reading the record: a page of a timeline, events by their place, words. Every question is one range of an index.

Order: by when it happened, then by its place in the log; so a late fact stands where it belongs and no page shifts.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Stored
from cases.facts import parse_entry
from cases.store.engine import Store
from cases.store.tables import case_events, events
from cases.store.words import fts5_phrase, tokens, tsquery

_SNIPPET = 60  # signs
_SNIPPET_BEFORE = 20
_LOOKED_AT = 200  # places at a time, whether the asker may see them
_MOST_FOUND = 10_000  # places that the words alone choose, newest first, before the rest of the question is asked
_TEXTS_SQLITE = text(
    "SELECT rowid AS seq FROM texts WHERE texts MATCH :words AND rowid < :before ORDER BY rowid DESC LIMIT :most"
)
_RECENT_POSTGRESQL = text(
    "SELECT seq FROM (SELECT seq, tokens FROM texts WHERE seq < :before ORDER BY seq DESC LIMIT 5000) AS recent "
    "WHERE tokens @@ CAST(:words AS tsquery) ORDER BY seq DESC LIMIT :most"
)
"""What is said often stands among the newest: the index would give all of a million places first, and sort them."""
_TEXTS_POSTGRESQL = text(
    "SELECT seq FROM texts WHERE tokens @@ CAST(:words AS tsquery) AND seq < :before ORDER BY seq DESC LIMIT :most"
)
_BEHIND_ALL = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a timeline is asked for. Times in UTC microseconds; None, or empty: no matter.

    after: (at_us, seq) of the last one seen. words: a phrase that the event's words hold.
    """

    case_id: str | None = None
    stream_id: str | None = None
    kinds: tuple[str, ...] = ()
    from_us: int | None = None
    to_us: int | None = None
    words: str = ""
    after: tuple[int, int] | None = None
    limit: int = 100
    is_newest_first: bool = False


async def page(
    store: Store, connection: AsyncConnection, question: Question, shown: ColumnElement[bool] | None = None
) -> list[Stored]:
    """The next ones of a timeline, oldest first where not asked otherwise. shown: of `events`; None: all."""
    asked = _asked(question) if shown is None else _asked(question).where(shown)
    if question.words:
        places = await _places(store, connection, question.words)
        if not places:
            return []
        return await _read(connection, asked.where(events.c.seq.in_(places)))
    return await _read(connection, asked)


async def after(connection: AsyncConnection, seq: int, limit: int) -> list[Stored]:
    """The next ones of the log behind `seq` (-1: from the beginning), in its order."""
    return await _read(connection, _ENTRY.where(events.c.seq > seq).order_by(events.c.seq).limit(limit))


async def one(connection: AsyncConnection, event_id: str) -> Stored | None:
    found = await _read(connection, _ENTRY.where(events.c.event_id == event_id))
    return found[0] if found else None


async def search(
    store: Store, connection: AsyncConnection, words: str, limit: int,
    reached: Callable[[Sequence[int]], Awaitable[frozenset[int]]] | None = None, before: int = _BEHIND_ALL,
) -> tuple[list[Stored], int | None]:  # fmt: skip
    """(events whose words hold the phrase `words`, the newest learned first; `before` of what follows, None: nothing).

    reached: those of some places that the asker may see; None: all. before: only what was learned before this place.
    At most 10,000 places are looked at: where few of them may be seen, a page can hold less than `limit` and go on.
    """
    most = limit + 1 if reached is None else _MOST_FOUND
    places = await _places(store, connection, words, most, before)
    looked_at = places[-1] if len(places) == most else None
    shown = await _first(places, limit + 1, reached) if reached is not None else places
    following = shown[limit - 1] if len(shown) > limit else looked_at
    found = await _read(connection, _ENTRY.where(events.c.seq.in_(shown[:limit])))
    return sorted(found, key=lambda each: -each.seq), following


async def _first(
    places: Sequence[int], limit: int, reached: Callable[[Sequence[int]], Awaitable[frozenset[int]]]
) -> list[int]:
    found: list[int] = []
    for at in range(0, len(places), _LOOKED_AT):
        page = places[at : at + _LOOKED_AT]
        may = await reached(page)
        found += [place for place in page if place in may]
        if len(found) >= limit:
            break
    return found[:limit]


def snippet(words: str, query: str) -> str:
    """Some 60 signs of `words` around the first place where a token of `query` stands."""
    folded = words.casefold()
    places = [at for at in (folded.find(token) for token in tokens(query)) if at >= 0]
    whole = folded.find(query.strip().casefold())
    at = whole if whole >= 0 else min(places, default=0)
    low = max(0, at - _SNIPPET_BEFORE)
    found = " ".join(words[low : low + _SNIPPET].split())
    return f"{'…' if low else ''}{found}{'…' if low + _SNIPPET < len(words) else ''}"


_ENTRY = select(events.c.seq, events.c.entry)


def _asked(question: Question) -> Select[int, str]:
    if question.case_id is not None:
        at, seq = case_events.c.at_us, case_events.c.seq
        asked = (
            select(events.c.seq, events.c.entry)
            .join(case_events, case_events.c.seq == events.c.seq)
            .where(case_events.c.case_id == question.case_id)
        )
    else:
        at, seq, asked = events.c.at_us, events.c.seq, _ENTRY
    if question.stream_id is not None:
        asked = asked.where(events.c.stream_id == question.stream_id)
    if question.kinds:
        asked = asked.where(events.c.kind.in_(question.kinds))
    if question.from_us is not None:
        asked = asked.where(at >= question.from_us)
    if question.to_us is not None:
        asked = asked.where(at < question.to_us)
    if question.after is not None:
        at_us, last = question.after
        if question.is_newest_first:
            asked = asked.where(at <= at_us, or_(at < at_us, and_(at == at_us, seq < last)))
        else:
            asked = asked.where(at >= at_us, or_(at > at_us, and_(at == at_us, seq > last)))
    order = (at.desc(), seq.desc()) if question.is_newest_first else (at, seq)
    return asked.order_by(*order).limit(question.limit)


async def _places(
    store: Store, connection: AsyncConnection, words: str, most: int = _MOST_FOUND, before: int = _BEHIND_ALL
) -> Sequence[int]:
    phrase = fts5_phrase(words) if store.is_sqlite else tsquery(words)
    if not phrase:
        return []
    given = {"words": phrase, "most": most, "before": before}
    if not store.is_sqlite:
        recent = [row[0] for row in await connection.execute(_RECENT_POSTGRESQL, given)]
        if len(recent) == most:
            return recent
    asked = _TEXTS_SQLITE if store.is_sqlite else _TEXTS_POSTGRESQL
    return [row[0] for row in await connection.execute(asked, given)]


async def _read(connection: AsyncConnection, asked: Select[int, str]) -> list[Stored]:
    found = []
    for seq, entry in await connection.execute(asked):
        fact, learned_at_us = parse_entry(entry.encode())
        found.append(Stored(seq, learned_at_us, fact))
    return found
