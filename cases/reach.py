"""Which rows a person reaches, as conditions on the tables: a case or recording out of reach does not exist for them.

Rules: a unit's cases and recordings reach whoever has the unit's reach; who works on a case reaches it; an officer
reaches what his device recorded, and the cases he is at; what is withheld from an officer under complaint, nobody
gives him: neither pictures nor the words that were spoken in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, false, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.access.principal import Principal
from cases.access.units import Units
from cases.casework.rows import Case, Recording, all_of
from cases.rights import Reach
from cases.store.tables import (
    approvals,
    case_events,
    cases,
    events,
    findings,
    links,
    members,
    recordings,
    tasks,
    withheld,
)  # fmt: skip
from pipeline.errors import ThingUnknown

WORDS = (
    "WordsHeard", "WordsCorrected", "TextSeen", "FindingRaised", "FindingReviewed", "ProcedureJudged",
    "FaceSuggested", "FaceConfirmed", "FaceRejected",
)  # fmt: skip
"""Kinds of facts that hold or quote what was spoken, read or seen: content of a recording, as its pictures are."""
_ASK = 500  # ids in one question


@dataclass(frozen=True, slots=True)
class Within:
    """How far one person reaches with one permission. units: None: the whole bureau."""

    principal: Principal
    reach: Reach
    units: frozenset[str] | None

    @classmethod
    def of(cls, principal: Principal, reach: Reach, units: Units) -> "Within":
        is_whole = reach is Reach.BUREAU or (reach is Reach.UNIT and not principal.unit)
        return cls(principal, reach, None if is_whole else units.below(principal.unit))

    @property
    def is_everything(self) -> bool:
        return self.units is None and self.reach in (Reach.BUREAU, Reach.UNIT) and not self.principal.officer_id

    def cases(self) -> ColumnElement[bool]:
        """Of `cases`."""
        if self.reach in (Reach.BUREAU, Reach.UNIT) and self.units is None:
            return true()
        own: list[ColumnElement[bool]] = [
            exists().where(members.c.case_id == cases.c.case_id, members.c.who == self.principal.by)
        ]
        if officer_id := self.principal.officer_id:
            own.append(exists().where(tasks.c.case_id == cases.c.case_id, tasks.c.officer_id == officer_id))
        if self.reach is Reach.UNIT and self.units is not None:
            own.append(cases.c.unit.in_(sorted(self.units)))
        return or_(*own) if self.reach in (Reach.UNIT, Reach.OWN) else false()

    def holds_unit(self, unit: str) -> bool:
        """Whether all that is the unit's is within reach, and not only what is one's own or approved."""
        return self.reach in (Reach.BUREAU, Reach.UNIT) and (self.units is None or unit in self.units)

    def recordings(self) -> ColumnElement[bool]:
        """Of `recordings`; `approved` reaches those with an approval of this person's, whatever it names of them."""
        if self.reach in (Reach.BUREAU, Reach.UNIT) and self.units is None:
            found: ColumnElement[bool] = true()
        elif self.reach is Reach.APPROVED:
            found = exists().where(
                approvals.c.recording_id == recordings.c.recording_id, approvals.c.asked_by == self.principal.by
            )
        elif self.reach in (Reach.UNIT, Reach.OWN):
            own: list[ColumnElement[bool]] = [
                exists().where(
                    links.c.recording_id == recordings.c.recording_id, links.c.undone_us.is_(None),
                    links.c.case_id == members.c.case_id, members.c.who == self.principal.by,
                )
            ]  # fmt: skip
            if self.principal.officer_id:
                own.append(recordings.c.officer_id == self.principal.officer_id)
            if self.reach is Reach.UNIT and self.units is not None:
                own.append(recordings.c.unit.in_(sorted(self.units)))
            found = or_(*own)
        elif self.reach is Reach.ASSIGNED:
            found = recordings.c.device_id.in_(sorted(self.principal.device_ids))
        else:
            found = false()
        if not self.principal.officer_id:
            return found
        barred = exists().where(
            withheld.c.recording_id == recordings.c.recording_id, withheld.c.officer_id == self.principal.officer_id
        )
        return and_(found, ~barred)

    def findings(self) -> ColumnElement[bool]:
        """Of `findings`: those of recordings within reach, and of recordings of cases within reach."""
        if self.is_everything:
            return true()
        own = exists().where(recordings.c.recording_id == findings.c.recording_id, self.recordings())
        found = or_(own, self._shown_by_case(findings.c.stream_id))
        if not self.principal.officer_id:
            return found
        barred = exists().where(
            recordings.c.stream_id == findings.c.stream_id, withheld.c.recording_id == recordings.c.recording_id,
            withheld.c.officer_id == self.principal.officer_id,
        )  # fmt: skip
        return and_(found, ~barred)

    def _shown_by_case(self, stream_id: ColumnElement[str]) -> ColumnElement[bool]:
        return exists().where(
            links.c.stream_id == stream_id, links.c.undone_us.is_(None), links.c.case_id == cases.c.case_id,
            self.cases(),
        )  # fmt: skip

    def spoken(self) -> ColumnElement[bool]:
        """Of `findings`, with the reach of `cases.read`: those whose words a case shows to this person."""
        if self.is_everything:
            return true()
        return self._shown_by_case(findings.c.stream_id)


async def reached_case(connection: AsyncConnection, within: Within, case_id: str) -> Case:
    """Raises: ThingUnknown: there is none, or it is out of reach; nobody learns which."""
    found = await all_of(connection, Case, select(cases).where(cases.c.case_id == case_id, within.cases()))
    if not found:
        raise ThingUnknown("no such case")
    return found[0]


async def reached_recording(connection: AsyncConnection, within: Within, recording_id: str) -> Recording:
    """Raises: ThingUnknown: there is none, or it is out of reach; nobody learns which."""
    asked = select(recordings).where(recordings.c.recording_id == recording_id, within.recordings())
    found = await all_of(connection, Recording, asked)
    if not found:
        raise ThingUnknown("no such recording")
    return found[0]


def heard(within: Within) -> ColumnElement[bool]:
    """Of `events`: all but the words of recordings that are withheld from this person."""
    if not within.principal.officer_id:
        return true()
    barred = exists().where(
        recordings.c.stream_id == events.c.stream_id, withheld.c.recording_id == recordings.c.recording_id,
        withheld.c.officer_id == within.principal.officer_id,
    )  # fmt: skip
    return or_(events.c.kind.not_in(WORDS), ~barred)


async def unheard_streams(connection: AsyncConnection, within: Within) -> frozenset[str]:
    """Streams whose words this person may not read: as `heard`, for facts in hand."""
    if not within.principal.officer_id:
        return frozenset()
    asked = select(recordings.c.stream_id).where(
        withheld.c.recording_id == recordings.c.recording_id, withheld.c.officer_id == within.principal.officer_id
    )
    return frozenset(row[0] for row in await connection.execute(asked))


def _shown(within: Within) -> ColumnElement[bool]:
    """Of `events`: those that a case within reach shows; whoever reaches everything, those of every stream too.

    What belongs to no case and no stream (accounts, devices, keys) is for the audit alone.
    """
    in_case = exists().where(
        case_events.c.seq == events.c.seq, case_events.c.case_id == cases.c.case_id, within.cases()
    )
    if within.is_everything:
        return or_(events.c.stream_id.is_not(None), in_case)
    return and_(in_case, heard(within))


async def reached_event(connection: AsyncConnection, within: Within, event_id: str) -> None:
    """Raises: ThingUnknown: there is none, or it is out of reach."""
    asked = select(events.c.seq).where(events.c.event_id == event_id, _shown(within))
    if (await connection.execute(asked)).first() is None:
        raise ThingUnknown("no such event")


async def reached_places(connection: AsyncConnection, within: Within, places: Sequence[int]) -> frozenset[int]:
    """Those of these places of the log that are within reach."""
    found: set[int] = set()
    for at in range(0, len(places), _ASK):
        asked = select(events.c.seq).where(events.c.seq.in_(places[at : at + _ASK]), _shown(within))
        found.update(row[0] for row in await connection.execute(asked))
    return frozenset(found)
