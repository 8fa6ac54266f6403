"""Words that a person corrects: what a model heard stays in the record, and the person's words count."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.case_acts import of_case, the_open_case
from cases.facts import Fact, JsonValue, parse_entry
from cases.store.tables import case_events, events
from pipeline.errors import ThingUnknown

MOST_SIGNS = 2_000  # of one utterance: half a minute has some 200


async def correct_words(
    connection: AsyncConnection, actor: Actor, case_id: str, event_id: str, text: str
) -> tuple[str, Sequence[Fact]]:
    """The id of its event. event_id: of the WordsHeard; a later correction of the same words takes its place.

    The same text as what counts until now is a fact too: a person says that it was heard rightly. The fact tells of
    the text before only its SHA-256, so that wrong words are not said a second time.
    Raises: ThingUnknown: no such words on this case's timeline. StateConflict: the case is closed. ValueRefused: the
    text is empty, longer than 2,000 signs, or of several lines.
    """
    await the_open_case(connection, case_id)
    said = values.name("text", text, MOST_SIGNS)
    heard = await _heard(connection, case_id, event_id)
    before = await _newest(connection, heard)
    body: dict[str, JsonValue] = {
        "of_event": event_id, "text": said,
        "previous_sha256": hashlib.sha256(str(before.body.get("text", "")).encode()).hexdigest(),
        **{name: heard.body.get(name) for name in ("recording_id", "start_s", "end_s")},
    }  # fmt: skip
    made = of_case("WordsCorrected", actor, case_id, (actor.new_id("words"),), body, words=said)
    corrected = replace(made, stream_id=heard.stream_id)
    if (await connection.execute(select(events.c.seq).where(events.c.event_id == corrected.event_id))).first():
        return corrected.event_id, ()
    return corrected.event_id, (corrected,)


async def _heard(connection: AsyncConnection, case_id: str, event_id: str) -> Fact:
    """Raises: ThingUnknown: there is none, or it is of no stream that this case shows."""
    asked = (
        select(events.c.entry)
        .join(case_events, case_events.c.seq == events.c.seq)
        .where(events.c.event_id == event_id, events.c.kind == "WordsHeard", case_events.c.case_id == case_id)
    )
    entry = (await connection.execute(asked)).scalar()
    if entry is None:
        raise ThingUnknown("no such words on the timeline of this case")
    return parse_entry(entry.encode())[0]


async def _newest(connection: AsyncConnection, heard: Fact) -> Fact:
    """The correction that counts now, of whichever case; what was heard where there is none."""
    asked = (
        select(events.c.entry)
        .where(events.c.stream_id == heard.stream_id, events.c.kind == "WordsCorrected")
        .order_by(events.c.seq.desc())
    )
    for (entry,) in await connection.execute(asked):
        fact, _ = parse_entry(entry.encode())
        if fact.body.get("of_event") == heard.event_id:
            return fact
    return heard
