"""Which recordings belong to which case: attached by hand or by what the officer was at; undone again; each a fact.

A case shows the facts of the streams that are attached to it, from the first to the last, while they happen. Detaching
takes them from the case's timeline, never from the log.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import and_, delete, exists, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Stored
from cases.casework.actor import PROGRAM, Actor
from cases.casework.case_acts import of_case, the_open_case
from cases.casework.rows import Link, all_of, the_case, the_link, the_recording, the_step
from cases.facts import Fact, JsonValue
from cases.store.tables import bindings, case_events, events, links, recordings, tasks
from pipeline.errors import StateConflict

_ASK = 500  # ids in one question


async def attach(
    connection: AsyncConnection, actor: Actor, case_id: str, recording_id: str, step_id: str | None, how: str = "hand"
) -> tuple[Link, Sequence[Fact]]:
    """One that is attached already stays as it is.

    Raises: ThingUnknown. StateConflict: the case is closed, or it is attached to another step of it.
    """
    await the_open_case(connection, case_id)
    recording = await the_recording(connection, recording_id)
    if step_id is not None:
        await the_step(connection, case_id, step_id)
    present = select(links).where(
        links.c.case_id == case_id, links.c.recording_id == recording_id, links.c.undone_us.is_(None)
    )
    for link in await all_of(connection, Link, present):
        if how == "hand" and link.step_id != step_id:
            raise StateConflict("the recording is attached to this case already; detach it first")
        return link, ()
    made = (await connection.execute(select(links.c.link_id).where(links.c.recording_id == recording_id))).all()
    link = Link(
        Actor(actor.by, actor.name, actor.now_us, f"{case_id} {recording_id} {len(made)}").new_id("link"),
        case_id, step_id, recording_id, recording.stream_id, how, actor.by, actor.now_us, None, None,
    )  # fmt: skip
    await connection.execute(insert(links).values({name: getattr(link, name) for name in link.__slots__}))
    shown = (
        select(literal(case_id), events.c.at_us, events.c.seq)
        .where(events.c.stream_id == recording.stream_id, events.c.case_id.is_(None))
        .where(~exists().where(case_events.c.case_id == case_id, case_events.c.seq == events.c.seq,
                               case_events.c.at_us == events.c.at_us))
    )  # fmt: skip
    await connection.execute(insert(case_events).from_select(["case_id", "at_us", "seq"], shown))
    return link, (of_case("RecordingAttached", actor, case_id, (link.link_id,), _body(link)),)


async def detach(connection: AsyncConnection, actor: Actor, case_id: str, link_id: str) -> tuple[Link, Sequence[Fact]]:
    """Undoing what is undone changes nothing. Raises: ThingUnknown. StateConflict: the case is closed."""
    link = await the_link(connection, case_id, link_id)
    if link.undone_us is not None:
        return link, ()
    await the_open_case(connection, case_id)
    link = replace(link, undone_by=actor.by, undone_us=actor.now_us)
    await connection.execute(
        update(links).where(links.c.link_id == link_id).values(undone_by=actor.by, undone_us=actor.now_us)
    )
    others = select(links.c.link_id).where(
        links.c.case_id == case_id, links.c.stream_id == link.stream_id, links.c.undone_us.is_(None)
    )
    if (await connection.execute(others)).first() is None:
        of_stream = select(events.c.seq).where(events.c.stream_id == link.stream_id, events.c.case_id.is_(None))
        await connection.execute(
            delete(case_events).where(case_events.c.case_id == case_id, case_events.c.seq.in_(of_stream))
        )
    return link, (of_case("RecordingDetached", actor, case_id, (link_id,), _body(link)),)


class Attaching:
    """A projection: rows of recordings, links by the officer's task, and what cases show of attached streams."""

    async def apply(self, connection: AsyncConnection, stored: Sequence[Stored]) -> Sequence[Fact]:
        await self._show(connection, stored)
        following: list[Fact] = []
        for each in stored:
            if each.fact.kind == "RecordingStarted":
                following += await self._begun(connection, each)
            elif each.fact.kind == "StreamEnded":
                await connection.execute(
                    update(recordings)
                    .where(recordings.c.stream_id == each.fact.stream_id)
                    .values(ended_us=each.fact.at_us)
                )
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
        officer_id = await officer_of(connection, device_id, fact.at_us)
        await connection.execute(
            insert(recordings).values(
                recording_id=recording_id,
                stream_id=fact.stream_id,
                device_id=device_id,
                officer_id=officer_id,
                started_us=fact.at_us,
                unit=str(fact.body.get("unit", "")),
            )
        )
        if officer_id is None:
            return ()
        actor = Actor(PROGRAM, PROGRAM, stored.learned_at_us)
        following: list[Fact] = []
        for case_id, step_id in await _at_work(connection, officer_id, fact.at_us):
            if (await the_case(connection, case_id)).state == "open":
                following += (await attach(connection, actor, case_id, recording_id, step_id, "task"))[1]
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


def _body(link: Link) -> dict[str, JsonValue]:
    return {
        "link_id": link.link_id, "recording_id": link.recording_id, "of_stream": link.stream_id,
        "step_id": link.step_id, "how": link.how,
    }  # fmt: skip
