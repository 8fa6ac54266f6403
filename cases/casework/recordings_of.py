"""Which recordings belong to a case, asked from a console beside a server that may be running."""

from pathlib import Path

import anyio
import anyio.to_thread
from sqlalchemy import or_, select

from cases.custody.running import is_server_running
from cases.store.engine import open_for_check
from cases.store.tables import cases, links
from pipeline.errors import ThingUnknown
from pipeline.settings import StoreSettings


async def recordings_of(settings: StoreSettings, data: Path, case: str) -> list[str]:
    """case: its id, or its number. Raises: ThingUnknown: there is no such case. StoreUnavailable, SchemaOutdated."""
    running = await anyio.to_thread.run_sync(is_server_running, data)
    async with open_for_check(settings, data, is_running=running) as store, store.reading() as connection:
        named = select(cases.c.case_id).where(or_(cases.c.case_id == case, cases.c.number == case))
        case_id = (await connection.execute(named)).scalar()
        if case_id is None:
            raise ThingUnknown(f"no case {case!r}")
        asked = select(links.c.recording_id).where(links.c.case_id == case_id, links.c.undone_us.is_(None))
        return sorted({str(row[0]) for row in await connection.execute(asked)})
