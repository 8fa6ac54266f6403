"""Were two officers there? The one question that the roster is searched for; nothing of hours or moods follows.

Source: 行政处罚法 (2021) art. 42: two officers at least.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.faces.galleries import ROSTER
from cases.store.tables import face_persons, face_suggestions


@dataclass(frozen=True, slots=True)
class OfficerSeen:
    """at_us: of the first suggestion in the step that nobody rejected. is_confirmed: by two persons."""

    officer_id: str
    at_us: int
    event_id: str
    is_confirmed: bool


async def officers_seen(connection: AsyncConnection, step_id: str) -> list[OfficerSeen]:
    """Each officer once, the first that was seen first. A suggestion is evidence, and no proof."""
    asked = (
        select(
            face_persons.c.officer_id, face_suggestions.c.at_us, face_suggestions.c.event_id, face_suggestions.c.state
        )
        .join(face_persons, face_persons.c.person_id == face_suggestions.c.person_id)
        .where(
            face_suggestions.c.step_id == step_id, face_suggestions.c.gallery_kind == ROSTER,
            face_suggestions.c.state != "rejected", face_persons.c.officer_id.is_not(None),
        )
        .order_by(face_suggestions.c.at_us, face_suggestions.c.suggestion_id)
    )  # fmt: skip
    found: dict[str, OfficerSeen] = {}
    for officer_id, at_us, event_id, state in await connection.execute(asked):
        before = found.get(officer_id)
        is_confirmed = state == "confirmed" or (before is not None and before.is_confirmed)
        first = before or OfficerSeen(officer_id, at_us, event_id, is_confirmed)
        found[officer_id] = OfficerSeen(officer_id, first.at_us, first.event_id, is_confirmed)
    return list(found.values())
