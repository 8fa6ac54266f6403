"""What the routes of the record share: who acts, cursors, and entity tags."""

import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar, TypeVarTuple

from fastapi import HTTPException, Request
from sqlalchemy import Column, Select, and_, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from api.doors import Doors
from api.permissions import Asker
from cases.access import Principal
from cases.casework.actor import Actor
from cases.casework.rows import all_of
from cases.facts import Fact, microseconds
from cases.reach import reached_case
from cases.record import Open
from pipeline.errors import StorageError, ValueRefused

T = TypeVar("T")
Values = TypeVarTuple("Values")
Acted: TypeAlias = tuple[T, Sequence[Fact]]

_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_TAG = re.compile(r'(?:W/)?"(\d{1,9})"')


def record_of(request: Request) -> Open:
    """Raises: StoreUnavailable."""
    doors: Doors = request.app.state.doors
    return doors.record.open


def must_be_logged(request: Request) -> None:
    """Raises: StorageError: views and copies cannot be logged now, so there is none."""
    doors: Doors = request.app.state.doors
    if doors.runtime.outbox.is_failed:
        raise StorageError("what is viewed and copied cannot be logged now, so nothing is served")


def actor_of(request: Request, principal: Principal) -> Actor:
    """Whoever acts, now. Raises: ValueRefused: an Idempotency-Key that is none."""
    doors: Doors = request.app.state.doors
    key = request.headers.get("idempotency-key", "")
    if key and not _KEY.fullmatch(key):
        raise ValueRefused("Idempotency-Key", "it is not 1 to 200 printable signs")
    route = f"{request.method} {request.url.path}"
    return Actor(
        principal.by,
        principal.name,
        microseconds(doors.runtime.clock.utc_s()),
        f"{route} {key}" if key else "",
    )


def keyed_id(request: Request, principal: Principal, prefix: str) -> str:
    """The id that follows from the request's Idempotency-Key; empty without one. Raises: ValueRefused.

    For what hands out a secret once: a second request of the same key must make nothing, and cannot show it again.
    """
    actor = actor_of(request, principal)
    return actor.new_id(prefix) if actor.key else ""


def within_case(
    asker: Asker, act: Callable[[AsyncConnection, Actor, str, *Values], Awaitable[Acted[T]]], actor: Actor,
    case_id: str, *more: *Values,
) -> Callable[[AsyncConnection], Awaitable[Acted[T]]]:  # fmt: skip
    """`act` on a case, once it is sure, in the same transaction, that the case is within reach."""

    async def guarded(connection: AsyncConnection) -> Acted[T]:
        await reached_case(connection, asker.within, case_id)
        return await act(connection, actor, case_id, *more)

    return guarded


def version_of(request: Request) -> int:
    """The version in If-Match. Raises: HTTPException 428: there is none."""
    found = _TAG.fullmatch(request.headers.get("if-match", "").strip())
    if found is None:
        raise HTTPException(428, "send If-Match with the ETag of what you read, so that nobody's change is lost")
    return int(found.group(1))


def cursor_of(*place: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def place_of(cursor: str) -> tuple[int, int]:
    """Of a cursor over times and places in the log. Raises: ValueRefused."""
    first, second = _parts(cursor)
    if (
        type(first) is not int
        or type(second) is not int
        or not -(1 << 63) <= min(first, second) <= max(first, second) < (1 << 63)
    ):
        raise ValueRefused("cursor", "it is none of ours; begin without one")
    return first, second


def named_place_of(cursor: str) -> tuple[int, str]:
    """Of a cursor over times and ids. Raises: ValueRefused."""
    first, second = _parts(cursor)
    if type(first) is not int or not isinstance(second, str) or not -(1 << 63) <= first < (1 << 63):
        raise ValueRefused("cursor", "it is none of ours; begin without one")
    return first, second


async def page_of(
    connection: AsyncConnection, kind: type[T], asked: Select[Any], by: tuple[Column[int], Column[str]], limit: int,
    cursor: str,
) -> tuple[list[T], str | None]:  # fmt: skip
    """(at most `limit` rows behind the cursor, the cursor of what follows), in the order of `by`: a time and an id.

    `kind` has fields of these names. Raises: ValueRefused.
    """
    at, key = by
    if cursor:
        at_us, last = named_place_of(cursor)
        asked = asked.where(or_(at > at_us, and_(at == at_us, key > last)))
    found = await all_of(connection, kind, asked.order_by(at, key).limit(limit + 1))
    more, found = len(found) > limit, found[:limit]
    return found, cursor_of(getattr(found[-1], at.name), getattr(found[-1], key.name)) if more else None


def paged(found: Sequence[T], key: Callable[[T], str], limit: int, cursor: str) -> tuple[Sequence[T], str | None]:
    """(at most `limit` of what is found behind the cursor, the cursor of what follows). key: unique, in rising order.

    For lists that are held in memory as a whole. Raises: ValueRefused.
    """
    after = ""
    if cursor:
        first, second = _parts(cursor)
        if first != 0 or not isinstance(second, str):
            raise ValueRefused("cursor", "it is none of ours; begin without one")
        after = second
    ordered = sorted((each for each in found if not cursor or key(each) > after), key=key)
    page = ordered[:limit]
    return page, cursor_of(0, key(page[-1])) if len(ordered) > limit else None


def _parts(cursor: str) -> tuple[object, object]:
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        parts = None
    if not isinstance(parts, list) or len(parts) != 2:
        raise ValueRefused("cursor", "it is none of ours; begin without one")
    return parts[0], parts[1]
