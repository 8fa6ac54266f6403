"""Which recordings belong to a case by time, place and device: said once, for those there are and those to come.

A rule speaks of the device's recordings under the unit that it has then: whoever set it reaches that unit, and a device
that went to another one takes the rule no further. The place is told and found, and decides nothing: no device says
where it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, and_, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.case_acts import of_case, the_open_case
from cases.casework.recordings import attach, detach
from cases.casework.rows import AttachRule, all_of, find, the_case, the_rule, the_step
from cases.facts import Fact, JsonValue
from cases.store.tables import attach_rules, links, recordings
from pipeline.errors import StateConflict, ValueRefused

LONGEST_US = 366 * 86_400_000_000  # of one rule
_MOST_US = 1 << 53  # beyond it numbers of JSON are not exact


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWanted:
    """unit: the device's own. from_us, until_us: UTC; a recording that runs in it at any time is meant."""

    device_id: str
    device_name: str
    unit: str
    from_us: int
    until_us: int
    place: str = ""
    step_id: str | None = None


async def set_rule(
    connection: AsyncConnection, actor: Actor, case_id: str, wanted: RuleWanted
) -> tuple[AttachRule, Sequence[Fact]]:
    """The caller has checked that the device's unit is within the actor's reach.

    Raises: ThingUnknown, ValueRefused. StateConflict: the case is closed, or the Idempotency-Key set another rule.
    """
    await the_open_case(connection, case_id)
    if wanted.step_id is not None:
        await the_step(connection, case_id, wanted.step_id)
    if not 0 <= wanted.from_us < wanted.until_us <= _MOST_US or wanted.until_us - wanted.from_us > LONGEST_US:
        raise ValueRefused("to", "it must lie behind `from`, by 366 days at most")
    rule = AttachRule(
        actor.new_id("rule"), case_id, wanted.step_id, wanted.device_id, wanted.device_name, wanted.unit,
        wanted.from_us, wanted.until_us, values.optional_name("place", wanted.place), actor.by, actor.now_us,
        None, None,
    )  # fmt: skip
    known = await find(connection, AttachRule, attach_rules, rule.rule_id)
    if known is not None:
        if replace(known, made_us=rule.made_us, undone_by=None, undone_us=None) != rule:
            raise StateConflict("this Idempotency-Key set another rule")
        return known, ()
    await connection.execute(insert(attach_rules).values({name: getattr(rule, name) for name in rule.__slots__}))
    facts = [of_case("AttachRuleSet", actor, case_id, (rule.rule_id,), _body(rule), words=rule.place)]
    reached = [recordings.c.ended_us > rule.from_us]
    if actor.now_us >= rule.from_us:
        reached.append(recordings.c.ended_us.is_(None))
    meant = select(recordings.c.recording_id).where(
        recordings.c.device_id == rule.device_id, recordings.c.unit == rule.unit,
        recordings.c.started_us < rule.until_us, or_(*reached),
    ).order_by(recordings.c.started_us, recordings.c.recording_id)  # fmt: skip
    for (recording_id,) in (await connection.execute(meant)).all():
        facts += await _attached(connection, actor, rule, recording_id)
    return rule, facts


async def undo_rule(
    connection: AsyncConnection, actor: Actor, case_id: str, rule_id: str
) -> tuple[AttachRule, Sequence[Fact]]:
    """It attaches nothing more, and what it attached is detached, unless another rule of the case means it too.

    Undoing what is undone changes nothing.

    Raises: ThingUnknown. StateConflict: the case is closed.
    """
    rule = await the_rule(connection, case_id, rule_id)
    if rule.undone_us is not None:
        return rule, ()
    await the_open_case(connection, case_id)
    rule = replace(rule, undone_by=actor.by, undone_us=actor.now_us)
    await connection.execute(
        update(attach_rules)
        .where(attach_rules.c.rule_id == rule_id)
        .values(undone_by=rule.undone_by, undone_us=rule.undone_us)
    )
    facts = [of_case("AttachRuleUndone", actor, case_id, (rule_id,), _body(rule))]
    made = select(links.c.link_id, recordings).join(recordings).where(
        links.c.rule_id == rule_id, links.c.undone_us.is_(None)
    ).order_by(links.c.link_id)  # fmt: skip
    for row in (await connection.execute(made)).all():
        facts += (await detach(connection, actor, case_id, row.link_id))[1]
        until_us = actor.now_us if row.ended_us is None else row.ended_us
        means = and_(
            attach_rules.c.case_id == case_id, attach_rules.c.from_us < until_us,
            attach_rules.c.until_us > row.started_us,
        )  # fmt: skip
        facts += await _by_rules(connection, actor, row.recording_id, row.device_id, row.unit, means)
    return rule, facts


async def begun(
    connection: AsyncConnection, actor: Actor, recording_id: str, device_id: str, unit: str, at_us: int
) -> Sequence[Fact]:
    """A recording began at `at_us`."""
    return await _by_rules(
        connection, actor, recording_id, device_id, unit,
        and_(attach_rules.c.from_us <= at_us, attach_rules.c.until_us > at_us),
    )  # fmt: skip


async def ended(connection: AsyncConnection, actor: Actor, stream_id: str, at_us: int) -> Sequence[Fact]:
    """The recordings of a stream ended at `at_us`: one that began before a rule's time may have run into it."""
    asked = select(recordings.c.recording_id, recordings.c.device_id, recordings.c.unit, recordings.c.started_us).where(
        recordings.c.stream_id == stream_id
    )
    facts: list[Fact] = []
    for recording_id, device_id, unit, started_us in (await connection.execute(asked)).all():
        ran = and_(attach_rules.c.from_us < at_us, attach_rules.c.from_us > started_us)
        facts += await _by_rules(connection, actor, recording_id, device_id, unit, ran)
    return facts


async def _by_rules(
    connection: AsyncConnection,
    actor: Actor,
    recording_id: str,
    device_id: str,
    unit: str,
    in_time: ColumnElement[bool],
) -> Sequence[Fact]:
    """What a person detached from a rule's case stays detached."""
    linked = exists().where(links.c.rule_id == attach_rules.c.rule_id, links.c.recording_id == recording_id)
    asked = select(attach_rules).where(
        attach_rules.c.device_id == device_id, attach_rules.c.unit == unit, attach_rules.c.undone_us.is_(None),
        in_time, ~linked,
    ).order_by(attach_rules.c.made_us, attach_rules.c.rule_id)  # fmt: skip
    facts: list[Fact] = []
    for rule in await all_of(connection, AttachRule, asked):
        if (await the_case(connection, rule.case_id)).state == "open":
            facts += await _attached(connection, actor, rule, recording_id)
    return facts


async def _attached(connection: AsyncConnection, actor: Actor, rule: AttachRule, recording_id: str) -> Sequence[Fact]:
    return (await attach(connection, actor, rule.case_id, recording_id, rule.step_id, "rule", rule.rule_id))[1]


def _body(rule: AttachRule) -> dict[str, JsonValue]:
    return {
        "rule_id": rule.rule_id, "step_id": rule.step_id, "device_id": rule.device_id,
        "device_name": rule.device_name, "unit": rule.unit,
        "from_us": rule.from_us, "until_us": rule.until_us, "place": rule.place,
    }  # fmt: skip
