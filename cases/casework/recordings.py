"""Which recordings belong to which case: attached by hand, by the officer's task, by a rule; undone again; each a fact.

A case shows the facts of the streams that are attached to it, from the first to the last, while they happen. Detaching
takes them from the case's timeline, never from the log.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import delete, exists, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework.actor import Actor
from cases.casework.case_acts import of_case, the_open_case
from cases.casework.rows import Link, all_of, the_link, the_recording, the_step
from cases.facts import Fact, JsonValue
from cases.store.tables import case_events, events, links
from pipeline.errors import StateConflict

_ASK = 500  # ids in one question


async def attach(
    connection: AsyncConnection,
    actor: Actor,
    case_id: str,
    recording_id: str,
    step_id: str | None,
    how: str = "hand",
    rule_id: str | None = None,
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
        case_id, step_id, recording_id, recording.stream_id, how, actor.by, actor.now_us, None, None, rule_id,
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


def _body(link: Link) -> dict[str, JsonValue]:
    return {
        "link_id": link.link_id, "recording_id": link.recording_id, "of_stream": link.stream_id,
        "step_id": link.step_id, "how": link.how, **({} if link.rule_id is None else {"rule_id": link.rule_id}),
    }  # fmt: skip
