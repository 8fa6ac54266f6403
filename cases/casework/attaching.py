"""What follows from recordings that begin and end: their rows, links by task and rule, and what cases show of them."""

from collections.abc import Sequence

from sqlalchemy import and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Stored
from cases.casework import attach_rules
from cases.casework.actor import PROGRAM, Actor
from cases.casework.recordings import attach
from cases.casework.rows import the_case
from cases.facts import Fact
from cases.store.tables import bindings, case_events, links, recordings, tasks

_ASK = 500  # ids in one question


class Attaching:
    """A projection: rows of recordings, links by the officer's task, and what cases show of attached streams."""

    async def apply(self, connection: AsyncConnection, stored: Sequence[Stored]) -> Sequence[Fact]:
        await self._show(connection, stored)
        following: list[Fact] = []
        for each in stored:
            if each.fact.kind == "RecordingStarted":
                following += await self._begun(connection, each)
            elif each.fact.kind == "StreamEnded" and each.fact.stream_id is not None:
                await connection.execute(
                    update(recordings)
                    .where(recordings.c.stream_id == each.fact.stream_id)
                    .values(ended_us=each.fact.at_us)
                )
                actor = Actor(PROGRAM, PROGRAM, each.learned_at_us)
                following += await attach_rules.ended(connection, actor, each.fact.stream_id, each.fact.at_us)
        return following

    async def _show(self, connection: AsyncConnection, stored: Sequence[Stored]) -> None:
        of_streams = [each for each in stored if each.fact.stream_id is not None and each.fact.case_id is None]
        ids = sorted({each.fact.stream_id for each in of_streams if each.fact.stream_id is not None})
        cases_of: dict[str | None, set[str]] = {}
        for at in range(0, len(ids), _ASK):
            asked = select(links.c.stream_id, links.c.case_id).where(
                links.c.stream_id.in_(ids[at : at + _ASK]), links.c.undone_us.is_(None)
            )
            for stream_id, case_id in await connection.execute(asked):
                cases_of.setdefault(stream_id, set()).add(case_id)
        rows = [
            {"case_id": case_id, "at_us": each.fact.at_us, "seq": each.seq}
            for each in of_streams
            for case_id in sorted(cases_of.get(each.fact.stream_id, ()))
        ]
        if rows:
            await connection.execute(insert(case_events), rows)

    async def _begun(self, connection: AsyncConnection, stored: Stored) -> Sequence[Fact]:
        fact = stored.fact
        recording_id, device_id = str(fact.body["recording_id"]), str(fact.body["device_id"])
        unit = str(fact.body.get("unit", ""))
        officer_id = await officer_of(connection, device_id, fact.at_us)
        await connection.execute(
            insert(recordings).values(
                recording_id=recording_id,
                stream_id=fact.stream_id,
                device_id=device_id,
                officer_id=officer_id,
                started_us=fact.at_us,
                unit=unit,
            )
        )
        actor = Actor(PROGRAM, PROGRAM, stored.learned_at_us)
        following: list[Fact] = []
        at_work = [] if officer_id is None else await _at_work(connection, officer_id, fact.at_us)
        for case_id, step_id in at_work:
            if (await the_case(connection, case_id)).state == "open":
                following += (await attach(connection, actor, case_id, recording_id, step_id, "task"))[1]
        following += await attach_rules.begun(connection, actor, recording_id, device_id, unit, fact.at_us)
        return following


async def officer_of(connection: AsyncConnection, device_id: str, at_us: int) -> str | None:
    """Who carried the device then."""
    found: str | None = (
        await connection.execute(
            select(bindings.c.officer_id)
            .where(bindings.c.device_id == device_id, bindings.c.from_us <= at_us)
            .where(or_(bindings.c.until_us.is_(None), bindings.c.until_us > at_us))
            .order_by(bindings.c.from_us.desc())
        )
    ).scalar()
    return found


async def _at_work(connection: AsyncConnection, officer_id: str, at_us: int) -> list[tuple[str, str | None]]:
    """Case and step of the task that the officer was at."""
    rows = await connection.execute(
        select(tasks.c.case_id, tasks.c.step_id)
        .where(tasks.c.officer_id == officer_id, tasks.c.from_us <= at_us)
        .where(or_(tasks.c.until_us.is_(None), and_(tasks.c.until_us > at_us)))
    )
    return [(row[0], row[1]) for row in rows]
