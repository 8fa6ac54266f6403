"""Officers (执法人员), the devices they carry, and what they are at."""

from collections.abc import Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.case_acts import of_case, the_open_case
from cases.casework.recordings import attach
from cases.casework.rows import OFFICERS, Officer, all_of, the_officer, the_step
from cases.facts import Fact, JsonValue
from cases.store.tables import bindings, officers, recordings, tasks, units
from pipeline.errors import StateConflict, ThingUnknown
from pipeline.ids import derived_event_id


async def add_officer(
    connection: AsyncConnection, actor: Actor, name: str, certificate_number: str, unit: str
) -> tuple[Officer, Sequence[Fact]]:
    """certificate_number: of the enforcement certificate (行政执法证).

    Raises: ValueRefused. StateConflict: another officer holds the certificate.
    """
    number = values.name("certificate_number", certificate_number, 60)
    wanted = (values.name("name", name), number, values.name("unit", unit))
    for known in await all_of(connection, Officer, OFFICERS.where(officers.c.certificate_number == number)):
        if (known.name, known.certificate_number, known.unit) != wanted:
            raise StateConflict(f"certificate {number} is another officer's")
        return known, ()
    officer = Officer(actor.new_id("off"), *wanted)
    unit_id: str | None = (
        await connection.execute(select(units.c.unit_id).where(units.c.name == officer.unit))
    ).scalar()
    if unit_id is None:
        unit_id = Actor(actor.by, actor.name, actor.now_us, officer.unit).new_id("unit")
        await connection.execute(insert(units).values(unit_id=unit_id, name=officer.unit))
    await connection.execute(
        insert(officers).values(
            officer_id=officer.officer_id, name=officer.name, certificate_number=number, unit_id=unit_id
        )
    )
    body: dict[str, JsonValue] = {
        "officer_id": officer.officer_id, "name": officer.name, "certificate_number": number, "unit": officer.unit,
    }  # fmt: skip
    return officer, (_fact("OfficerAdded", actor, (officer.officer_id,), body),)


async def bind(
    connection: AsyncConnection, actor: Actor, device_id: str, officer_id: str
) -> tuple[str, Sequence[Fact]]:
    """From now on the officer carries the device; who carried it before does not. The binding's id.

    Raises: ThingUnknown.
    """
    officer = await the_officer(connection, officer_id)
    binding_id = actor.new_id("bind")
    facts: list[Fact] = []
    for row in await connection.execute(
        select(bindings.c.binding_id, bindings.c.officer_id).where(
            bindings.c.device_id == device_id, bindings.c.until_us.is_(None)
        )
    ):
        if row.officer_id == officer_id or row.binding_id == binding_id:
            return row.binding_id, ()
        facts += await _end(connection, actor, row.binding_id, device_id, row.officer_id)
    await connection.execute(
        insert(bindings).values(binding_id=binding_id, device_id=device_id, officer_id=officer_id, from_us=actor.now_us)
    )
    body: dict[str, JsonValue] = {
        "binding_id": binding_id, "device_id": device_id, "officer_id": officer_id, "officer": officer.name,
    }  # fmt: skip
    return binding_id, (*facts, _fact("OfficerBound", actor, (binding_id,), body))


async def unbind(connection: AsyncConnection, actor: Actor, device_id: str) -> tuple[None, Sequence[Fact]]:
    """Nobody carries the device from now on."""
    facts: list[Fact] = []
    for row in await connection.execute(
        select(bindings.c.binding_id, bindings.c.officer_id).where(
            bindings.c.device_id == device_id, bindings.c.until_us.is_(None)
        )
    ):
        facts += await _end(connection, actor, row.binding_id, device_id, row.officer_id)
    return None, facts


async def start_task(
    connection: AsyncConnection, actor: Actor, officer_id: str, case_id: str, step_id: str | None
) -> tuple[str, Sequence[Fact]]:
    """The officer is at this case from now on: what his devices record now and later belongs to it. The task's id.

    Raises: ThingUnknown. StateConflict: the case is closed.
    """
    officer = await the_officer(connection, officer_id)
    await the_open_case(connection, case_id)
    if step_id is not None:
        await the_step(connection, case_id, step_id)
    running = (
        await connection.execute(
            select(tasks.c.task_id, tasks.c.case_id, tasks.c.step_id).where(
                tasks.c.officer_id == officer_id, tasks.c.until_us.is_(None)
            )
        )
    ).first()
    if running is not None and (running.case_id, running.step_id) == (case_id, step_id):
        return running.task_id, ()
    facts = list((await end_task(connection, actor, officer_id))[1]) if running is not None else []
    task_id = actor.new_id("task")
    if (await connection.execute(select(tasks.c.task_id).where(tasks.c.task_id == task_id))).first():
        raise StateConflict("this Idempotency-Key started another task")
    await connection.execute(
        insert(tasks).values(
            task_id=task_id, officer_id=officer_id, case_id=case_id, step_id=step_id, from_us=actor.now_us
        )
    )
    body: dict[str, JsonValue] = {
        "task_id": task_id, "officer_id": officer_id, "officer": officer.name, "step_id": step_id,
    }  # fmt: skip
    facts.append(of_case("TaskStarted", actor, case_id, (task_id,), body))
    live = select(recordings.c.recording_id).where(
        recordings.c.officer_id == officer_id, recordings.c.ended_us.is_(None)
    )
    for (recording_id,) in (await connection.execute(live)).all():
        facts += (await attach(connection, actor, case_id, recording_id, step_id, "task"))[1]
    return task_id, facts


async def end_task(connection: AsyncConnection, actor: Actor, officer_id: str) -> tuple[None, Sequence[Fact]]:
    """What was recorded stays with the case. Raises: ThingUnknown: the officer is at nothing."""
    running = (
        await connection.execute(
            select(tasks.c.task_id, tasks.c.case_id).where(tasks.c.officer_id == officer_id, tasks.c.until_us.is_(None))
        )
    ).first()
    if running is None:
        raise ThingUnknown("the officer has no running task")
    await connection.execute(update(tasks).where(tasks.c.task_id == running.task_id).values(until_us=actor.now_us))
    body: dict[str, JsonValue] = {"task_id": running.task_id, "officer_id": officer_id}
    return None, (of_case("TaskEnded", actor, running.case_id, (running.task_id,), body),)


async def _end(
    connection: AsyncConnection, actor: Actor, binding_id: str, device_id: str, officer_id: str
) -> Sequence[Fact]:
    await connection.execute(update(bindings).where(bindings.c.binding_id == binding_id).values(until_us=actor.now_us))
    body: dict[str, JsonValue] = {"binding_id": binding_id, "device_id": device_id, "officer_id": officer_id}
    return (_fact("OfficerUnbound", actor, (binding_id,), body),)


def _fact(kind: str, actor: Actor, ids: Sequence[str], body: dict[str, JsonValue]) -> Fact:
    return Fact(
        event_id=derived_event_id(kind, *ids), kind=kind, at_us=actor.now_us, by=actor.by,
        body={**body, "by_name": actor.name},
    )  # fmt: skip
