"""What happened: timelines of cases and streams, search, and the live tail."""

import contextlib
import json
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import anyio
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from api.asking import cursor_of, place_of, record_of
from api.doors import Doors
from api.permissions import Asker, require, within
from api.schemas.record import TimelineOut, event_out, us_of
from cases import timeline
from cases.reach import WORDS, heard, reached_case, reached_places, unheard_streams
from cases.record import Open
from cases.tail import Tail, Told
from cases.timeline import Question
from pipeline.errors import StorageError, StoreUnavailable, ThingUnknown, ValueRefused

router = APIRouter(prefix="/api/v1")
Reader = Annotated[Asker, Depends(require("cases.read"))]

_QUIET_S = 10.0  # then a comment, so that both ends notice a dead connection
_LOOK_S = 1.0  # how old a look at the reader's rights may be
_MOST_LISTENERS = 1000
_MOST_KINDS = 50
_MOST_DIGITS = 18


@router.get("/cases/{case_id}/timeline")
async def case_timeline(
    request: Request,
    asker: Reader,
    case_id: str,
    kinds: Annotated[str, Query(max_length=2000)] = "",
    from_: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    to: AwareDatetime | None = None,
    q: Annotated[str, Query(max_length=200)] = "",
    stream_id: Annotated[str, Query(max_length=64)] = "",
    order: Literal["oldest", "newest"] = "oldest",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> TimelineOut:
    """What the case shows. kinds: separated by commas. q: words that stand next to one another in it."""
    record = record_of(request)
    question = Question(
        case_id=case_id,
        stream_id=stream_id or None,
        kinds=_kinds(kinds),
        from_us=None if from_ is None else us_of(from_),
        to_us=None if to is None else us_of(to),
        words=q,
        after=place_of(cursor) if cursor else None,
        limit=limit + 1,
        is_newest_first=order == "newest",
    )
    async with record.store.reading() as connection:
        await reached_case(connection, asker.within, case_id)
        found = await timeline.page(record.store, connection, question, heard(asker.within))
    more, found = len(found) > limit, found[:limit]
    return TimelineOut(
        items=[event_out(each) for each in found],
        next_cursor=cursor_of(found[-1].fact.at_us, found[-1].seq) if more else None,
    )


@router.get("/search")
async def search(
    request: Request,
    asker: Reader,
    q: Annotated[str, Query(min_length=1, max_length=200)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> TimelineOut:
    """Events whose words hold `q`, two Chinese characters too, the newest learned first; `snippet` shows where.

    A page may hold less than `limit`, or nothing, and have a next one: where many places are out of reach.
    """
    record = record_of(request)
    async with record.store.reading() as connection:
        reached = partial(reached_places, connection, asker.within)
        before = {"before": place_of(cursor)[1]} if cursor else {}
        found, following = await timeline.search(record.store, connection, q, limit, reached, **before)
    items = [{**event_out(each), "snippet": timeline.snippet(each.fact.words, q)} for each in found]
    return TimelineOut(items=items, next_cursor=None if following is None else cursor_of(0, following))


@router.get("/events", response_class=StreamingResponse)
async def follow(
    request: Request,
    asker: Reader,
    case_id: Annotated[str, Query(max_length=64)] = "",
    stream_id: Annotated[str, Query(max_length=64)] = "",
    kinds: Annotated[str, Query(max_length=2000)] = "",
) -> StreamingResponse:
    """Events as they are committed, as server-sent events (WHATWG HTML 9.2): `id` is the place in the log.

    With Last-Event-ID everything behind that place comes first; without it, what happens from now on.
    """
    doors: Doors = request.app.state.doors
    record = record_of(request)
    if case_id:
        async with record.store.reading() as connection:
            await reached_case(connection, asker.within, case_id)
    if record.tail.listeners >= _MOST_LISTENERS:
        raise HTTPException(503, "too many listen already; try again in a minute")
    after = _last_id(request.headers.get("last-event-id", ""), record.tail.last)
    wanted = _Wanted(case_id, stream_id, frozenset(_kinds(kinds)))

    reach = _Reach(doors, record, asker, case_id)

    return StreamingResponse(
        _told(record.tail, after, wanted, reach),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which events a listener is for; empty: all."""

    case_id: str
    stream_id: str
    kinds: frozenset[str]

    def is_for(self, told: Told) -> bool:
        fact = told.stored.fact
        return (
            (not self.case_id or self.case_id in told.case_ids)
            and (not self.stream_id or self.stream_id == fact.stream_id)
            and (not self.kinds or fact.kind in self.kinds)
        )


class _Reach:
    """What one listener may hear; looked at anew every second, so that a right that ends is felt."""

    def __init__(self, doors: Doors, record: Open, asker: Asker, case_id: str) -> None:
        self._doors = doors
        self._record = record
        self._asker = asker
        self._case_id = case_id
        self._cases: dict[str, bool] = {}
        self._unheard: frozenset[str] = frozenset()
        self._looked_s = -math.inf

    async def lasts(self) -> bool:
        """Whether the listener may still listen. Raises: StoreUnavailable."""
        if anyio.current_time() - self._looked_s < _LOOK_S:
            return True
        self._looked_s = anyio.current_time()
        self._cases.clear()
        try:
            principal = self._doors.access.named(self._asker.principal.principal_id)
        except StorageError:
            return True  # rights cannot be read: `_watch_rights` says so
        if principal is None:
            return False
        try:
            self._asker = Asker(principal, within(self._doors, principal, "cases.read"))
        except HTTPException:
            return False
        if self._asker.principal.officer_id:
            async with self._record.store.reading() as connection:
                self._unheard = await unheard_streams(connection, self._asker.within)
        return not self._case_id or self._asker.within.is_everything or await self._reaches(self._case_id)

    async def shows(self, told: Told) -> bool:
        """Raises: StoreUnavailable."""
        fact = told.stored.fact
        if fact.kind in WORDS and fact.stream_id in self._unheard:
            return False
        if self._case_id:
            return True
        if self._asker.within.is_everything:
            return bool(told.case_ids) or fact.stream_id is not None
        for case_id in told.case_ids:
            if await self._reaches(case_id):
                return True
        return False

    async def _reaches(self, case_id: str) -> bool:
        if case_id not in self._cases:
            async with self._record.store.reading() as connection:
                try:
                    await reached_case(connection, self._asker.within, case_id)
                    self._cases[case_id] = True
                except ThingUnknown:
                    self._cases[case_id] = False
        return self._cases[case_id]


async def _told(tail: Tail, after: int, wanted: _Wanted, reach: "_Reach") -> AsyncIterator[str]:
    """Until the listener goes, or may no longer listen; where the store goes away, it comes back with its place."""
    tail.listeners += 1
    try:
        yield ": here\n\n"
        said_s = anyio.current_time()
        with contextlib.suppress(StoreUnavailable):
            while await reach.lasts():
                batch = await tail.after(after, _LOOK_S)
                if batch:
                    after = batch[-1].stored.seq
                asked = [told for told in batch if wanted.is_for(told)]
                lines = "".join([_line(told) for told in asked if await reach.shows(told)])
                if lines or anyio.current_time() - said_s >= _QUIET_S:
                    said_s = anyio.current_time()
                    yield lines or ": still here\n\n"
    finally:
        tail.listeners -= 1


def _line(told: Told) -> str:
    tree = json.dumps(event_out(told.stored), ensure_ascii=False, separators=(",", ":"))
    return f"id: {told.stored.seq}\nevent: {told.stored.fact.kind}\ndata: {tree}\n\n"


def _kinds(text: str) -> tuple[str, ...]:
    """Raises: ValueRefused."""
    kinds = tuple(filter(None, (each.strip() for each in text.split(","))))
    if len(kinds) > _MOST_KINDS:
        raise ValueRefused("kinds", f"at most {_MOST_KINDS}")
    return kinds


def _last_id(text: str, last: int) -> int:
    """Raises: ValueRefused: no place of the log."""
    if not text:
        return last
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise ValueRefused("Last-Event-ID", "it is no place in the log; leave it out to hear what comes")
    return min(int(text), last)
