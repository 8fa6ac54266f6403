"""The switch: faces are matched only while two persons, one who asked and another who approved, want it so.

It needs a legal basis, the person who answers for it, the impact assessment that was made before, a reason and an end.
Sources: 人脸识别技术应用安全管理办法 (2025) art. 4, 9; 个人信息保护法 art. 28, 55, 56.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.rows import all_of, find
from cases.faces.rows import MOST_REASON, MOST_TEXT, Switch
from cases.facts import Fact, JsonValue
from cases.store.tables import face_switches
from pipeline.errors import StateConflict, ThingUnknown, ValueRefused
from pipeline.ids import derived_event_id

_DAY_US = 86_400_000_000
_LEAST_US = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchWanted:
    """As it was typed. expires_us: when it ends by itself."""

    legal_basis: str
    approver: str
    assessment_id: str
    reason: str
    expires_us: int


async def current(connection: AsyncConnection) -> Switch | None:
    """The one that is asked for or on; else the newest that is off; None: there never was one."""
    order = (face_switches.c.state == "off", face_switches.c.asked_us.desc(), face_switches.c.switch_id)
    found = await all_of(connection, Switch, select(face_switches).order_by(*order).limit(1))
    return found[0] if found else None


async def in_force(connection: AsyncConnection, now_us: int) -> Switch:
    """Raises: StateConflict: faces are not matched now."""
    found = await current(connection)
    if found is None or not found.is_on(now_us):
        raise StateConflict("faces are switched off; two persons must switch them on first (docs/faces.md)")
    return found


async def ask(
    connection: AsyncConnection, actor: Actor, wanted: SwitchWanted, most_days: int
) -> tuple[Switch, Sequence[Fact]]:
    """Nothing is on yet: somebody else must approve. Raises: ValueRefused. StateConflict: one is asked for or on."""
    switch = Switch(
        actor.new_id("fsw"), values.paragraph("legal_basis", wanted.legal_basis, MOST_TEXT),
        values.name("approver", wanted.approver), values.name("assessment_id", wanted.assessment_id),
        values.paragraph("reason", wanted.reason, MOST_REASON), wanted.expires_us, actor.by, actor.name, actor.now_us,
        "asked", None, "", None, None, "",
    )  # fmt: skip
    if not actor.now_us + _LEAST_US <= wanted.expires_us <= actor.now_us + most_days * _DAY_US:
        raise ValueRefused("expires_at", f"it must lie ahead, by a minute at least and {most_days} days at most")
    known = await find(connection, Switch, face_switches, switch.switch_id)
    if known is not None:
        if (known.legal_basis, known.expires_us) != (switch.legal_basis, switch.expires_us):
            raise StateConflict("this Idempotency-Key asked for something else")
        return known, ()
    before = await current(connection)
    if before is not None and before.state != "off":
        raise StateConflict("it is asked for, or on, already; end that first")
    await connection.execute(
        insert(face_switches).values({name: getattr(switch, name) for name in switch.__slots__})
    )  # fmt: skip
    body: dict[str, JsonValue] = {
        "switch_id": switch.switch_id, "legal_basis": switch.legal_basis, "approver": switch.approver,
        "assessment_id": switch.assessment_id, "reason": switch.reason, "expires_us": switch.expires_us,
    }  # fmt: skip
    return switch, (_fact("FaceSwitchAsked", actor, switch, body),)


async def approve(connection: AsyncConnection, actor: Actor, switch_id: str) -> tuple[Switch, Sequence[Fact]]:
    """From now on. Raises: ThingUnknown. StateConflict: one's own, one that is on, off or late."""
    switch = await find(connection, Switch, face_switches, switch_id)
    if switch is None:
        raise ThingUnknown("nobody asked for this switch")
    if actor.by == switch.asked_by:
        raise StateConflict("nobody approves what he asked for himself; another person must")
    if switch.state != "asked":
        raise StateConflict(f"it is {switch.state} already")
    if actor.now_us >= switch.expires_us:
        raise StateConflict("the time it was asked for is over; ask anew")
    new = replace(switch, state="on", approved_by=actor.by, approved_name=actor.name, approved_us=actor.now_us)
    await connection.execute(
        update(face_switches).where(face_switches.c.switch_id == switch_id).values(
            state="on", approved_by=actor.by, approved_name=actor.name, approved_us=actor.now_us,
        )
    )  # fmt: skip
    return new, (_fact("FaceSwitchApproved", actor, switch, {"switch_id": switch_id}),)


async def off(
    connection: AsyncConnection, actor: Actor, reason: str, how: str = "by_person"
) -> tuple[Switch, Sequence[Fact]]:
    """At once. how: by_person, expired. What is only asked for is refused by it.

    Raises: StateConflict: it is off. ValueRefused.
    """
    switch = await current(connection)
    if switch is None or switch.state == "off":
        raise StateConflict("it is off already")
    why = values.paragraph("reason", reason, MOST_REASON)
    end = "refused" if switch.state == "asked" and how == "by_person" else how
    await connection.execute(
        update(face_switches).where(face_switches.c.switch_id == switch.switch_id).values(
            state="off", ended_us=actor.now_us, end_reason=end
        )
    )  # fmt: skip
    new = replace(switch, state="off", ended_us=actor.now_us, end_reason=end)
    body: dict[str, JsonValue] = {"switch_id": switch.switch_id, "how": end, "reason": why}
    return new, (_fact("FaceSwitchedOff", actor, switch, body),)


def _fact(kind: str, actor: Actor, switch: Switch, body: dict[str, JsonValue]) -> Fact:
    return Fact(
        event_id=derived_event_id(kind, switch.switch_id), kind=kind, at_us=actor.now_us, by=actor.by,
        body={**body, "by_name": actor.name},
    )  # fmt: skip
