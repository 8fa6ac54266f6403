"""Names that are likely to be spoken in a stream: of the cases it is attached to. For speech models and nobody else."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.store.tables import cases, links, members, officers, recordings

MOST_NAMES = 20


async def of_stream(connection: AsyncConnection, stream_id: str) -> tuple[str, ...]:
    """Parties, the officer who filmed, then who works on the cases; each once, at most 20, the newest case first.

    A party's note in brackets, as in 某某食品店（个体工商户）, is left out: nobody says it.
    """
    attached = select(links.c.case_id).where(links.c.stream_id == stream_id, links.c.undone_us.is_(None))
    of_case = cases.c.case_id.in_(attached)
    asked = (
        select(cases.c.party).where(of_case).order_by(cases.c.opened_us.desc()).limit(MOST_NAMES),
        select(officers.c.name).join(recordings).where(recordings.c.stream_id == stream_id).limit(MOST_NAMES),
        select(members.c.name).join(cases, cases.c.case_id == members.c.case_id).where(of_case)
        .order_by(cases.c.opened_us.desc(), members.c.added_us, members.c.who).limit(MOST_NAMES),
    )  # fmt: skip
    found: dict[str, None] = {}
    for each in asked:
        for (name,) in await connection.execute(each):
            spoken = name.partition("（")[0].partition("(")[0].strip()
            if spoken and len(found) < MOST_NAMES:
                found[spoken] = None
    return tuple(found)
