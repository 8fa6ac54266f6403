"""Who may see which live stream, asked for every ticket, every view that begins, and every second of those that run.

What the record knows of it (who carries which device, whose case a stream belongs to) is kept here, at most a second
old; while the database is away what was known last holds.
"""

from sqlalchemy import select

from cases.access import Principal
from cases.access.units import Units
from cases.record import Record
from cases.rights import Reach, reach_of
from cases.store.tables import bindings, links, members, withheld
from cases.store.tables import recordings as recordings_table
from pipeline.hub import Stream


class LiveRights:
    """Owned by the event loop's thread. Bounds: one entry a device, one a live stream of a case."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._size = -1
        self._carriers: dict[str, str] = {}
        self._of_cases: dict[str, set[str]] = {}
        self._withheld: dict[str, set[str]] = {}

    def may(self, principal: Principal, permission: str, stream: Stream) -> bool:
        """permission: "streams.list", "streams.watch" or "analysis.work"."""
        reach = reach_of(principal, permission)
        if reach is None or principal.needs:
            return False
        device = stream.device
        if principal.officer_id and principal.officer_id in self._withheld.get(stream.stream_id, ()):
            return False
        match reach:
            case Reach.BUREAU:
                return True
            case Reach.UNIT:
                return self._units.covers(principal.unit, device.unit) or self._is_own(principal, stream)
            case Reach.OWN:
                return self._is_own(principal, stream)
            case Reach.ASSIGNED:
                return device.device_id in principal.device_ids
            case _:
                return False

    def _is_own(self, principal: Principal, stream: Stream) -> bool:
        carrier = self._carriers.get(stream.device.device_id)
        return (carrier is not None and carrier == principal.officer_id) or principal.by in self._of_cases.get(
            stream.stream_id, ()
        )

    async def refresh(self, record: Record, streams: list[Stream]) -> None:
        """Raises: StoreUnavailable."""
        opened = record.open
        if opened.appender.size == self._size:
            return
        size, ids = opened.appender.size, [stream.stream_id for stream in streams]
        async with opened.store.reading() as connection:
            carried = select(bindings.c.device_id, bindings.c.officer_id).where(bindings.c.until_us.is_(None))
            carriers = {row[0]: row[1] for row in await connection.execute(carried)}
            of_cases: dict[str, set[str]] = {}
            worked = (
                select(links.c.stream_id, members.c.who)
                .join(members, members.c.case_id == links.c.case_id)
                .where(links.c.undone_us.is_(None), links.c.stream_id.in_(ids))
            )
            for stream_id, who in await connection.execute(worked):
                of_cases.setdefault(stream_id, set()).add(who)
            barred: dict[str, set[str]] = {}
            asked = (
                select(recordings_table.c.stream_id, withheld.c.officer_id)
                .join(withheld, withheld.c.recording_id == recordings_table.c.recording_id)
                .where(recordings_table.c.stream_id.in_(ids))
            )
            for stream_id, officer_id in await connection.execute(asked):
                barred.setdefault(stream_id, set()).add(officer_id)
        self._carriers, self._of_cases, self._withheld, self._size = carriers, of_cases, barred, size
