"""Rows of the record's tables as values, and their reading."""

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Select, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.store.tables import attach_rules, cases, items, links, officers, recordings, steps, units
from pipeline.errors import ThingUnknown

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Case:
    """version: grows by one with every change. unit: whose case it is; empty: the bureau's."""

    case_id: str
    number: str
    kind: str
    class_: str
    state: str
    title: str
    party: str
    opened_us: int
    closed_us: int | None
    version: int
    unit: str


@dataclass(frozen=True, slots=True)
class Step:
    step_id: str
    case_id: str
    kind: str
    started_us: int
    ended_us: int | None


@dataclass(frozen=True, slots=True)
class Item:
    item_id: str
    case_id: str
    step_id: str | None
    kind: str
    title: str
    sha256: str | None
    size_bytes: int | None
    shelf_mark: str | None
    added_us: int
    withdrawn_us: int | None


@dataclass(frozen=True, slots=True)
class Recording:
    recording_id: str
    stream_id: str
    device_id: str
    officer_id: str | None
    started_us: int
    ended_us: int | None
    unit: str


@dataclass(frozen=True, slots=True)
class Approval:
    """What was asked for: to "play" a span of a recording (milliseconds of its axis), or to "copy" a case.

    state: "asked", "approved", "refused", "withdrawn". needed: how many must say yes. expires_us: set by the last yes.
    """

    approval_id: str
    what: str
    case_id: str | None
    recording_id: str | None
    start_ms: int
    end_ms: int
    purpose: str
    asked_by: str
    asked_name: str
    asked_us: int
    needed: int
    state: str
    expires_us: int | None
    unit: str


@dataclass(frozen=True, slots=True)
class Link:
    """how: "hand", "task", "upload", "rule"; the last with the rule's id."""

    link_id: str
    case_id: str
    step_id: str | None
    recording_id: str
    stream_id: str
    how: str
    made_by: str
    made_us: int
    undone_by: str | None
    undone_us: int | None
    rule_id: str | None


@dataclass(frozen=True, slots=True)
class AttachRule:
    """Recordings of the device that run between from_us and until_us, under the unit, belong to the case.

    place: as a person says it.
    """

    rule_id: str
    case_id: str
    step_id: str | None
    device_id: str
    device_name: str
    unit: str
    from_us: int
    until_us: int
    place: str
    made_by: str
    made_us: int
    undone_by: str | None
    undone_us: int | None


@dataclass(frozen=True, slots=True)
class Officer:
    """unit: its name."""

    officer_id: str
    name: str
    certificate_number: str
    unit: str


OFFICERS = select(officers.c.officer_id, officers.c.name, officers.c.certificate_number, units.c.name).join(units)


async def all_of(connection: AsyncConnection, kind: type[T], asked: Select[Any]) -> list[T]:
    """Each row as a `kind`, whose fields stand in the order of the columns."""
    return [kind(*row) for row in await connection.execute(asked)]


async def find(connection: AsyncConnection, kind: type[T], table: Table, value: str) -> T | None:
    """By the table's key."""
    (key,) = table.primary_key.columns
    row = (await connection.execute(select(table).where(key == value))).one_or_none()
    return None if row is None else kind(*row)


async def the_case(connection: AsyncConnection, case_id: str) -> Case:
    """Raises: ThingUnknown."""
    return _there(await find(connection, Case, cases, case_id), "case")


async def the_step(connection: AsyncConnection, case_id: str, step_id: str) -> Step:
    """A step of this case. Raises: ThingUnknown."""
    step = await find(connection, Step, steps, step_id)
    return _there(step if step is not None and step.case_id == case_id else None, "step of this case")


async def the_item(connection: AsyncConnection, case_id: str, item_id: str) -> Item:
    """An item of this case. Raises: ThingUnknown."""
    item = await find(connection, Item, items, item_id)
    return _there(item if item is not None and item.case_id == case_id else None, "item of this case")


async def the_link(connection: AsyncConnection, case_id: str, link_id: str) -> Link:
    """A link of this case. Raises: ThingUnknown."""
    link = await find(connection, Link, links, link_id)
    return _there(link if link is not None and link.case_id == case_id else None, "link of this case")


async def the_rule(connection: AsyncConnection, case_id: str, rule_id: str) -> AttachRule:
    """A rule of this case. Raises: ThingUnknown."""
    rule = await find(connection, AttachRule, attach_rules, rule_id)
    return _there(rule if rule is not None and rule.case_id == case_id else None, "rule of this case")


async def the_recording(connection: AsyncConnection, recording_id: str) -> Recording:
    """Raises: ThingUnknown."""
    return _there(await find(connection, Recording, recordings, recording_id), "recording")


async def the_officer(connection: AsyncConnection, officer_id: str) -> Officer:
    """Raises: ThingUnknown."""
    found = await all_of(connection, Officer, OFFICERS.where(officers.c.officer_id == officer_id))
    return _there(found[0] if found else None, "officer")


def _there(found: T | None, what: str) -> T:
    if found is None:
        raise ThingUnknown(f"no such {what}")
    return found
