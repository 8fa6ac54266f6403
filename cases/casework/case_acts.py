"""Cases: opened, changed, closed; notes, steps and items in them. Every act is a fact of the case's timeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.kinds import StepKinds
from cases.casework.rows import Case, Item, Step, all_of, find, the_case, the_item, the_recording, the_step
from cases.facts import Fact, JsonValue
from cases.store.tables import cases, events, items, members, steps
from pipeline.errors import StateConflict, ThingUnknown, ValueRefused, VersionStale
from pipeline.ids import derived_event_id

CLASSES = ("ordinary", "major", "no_case")
STATES = ("open", "closed")
ITEM_KINDS = ("text", "sound", "video", "photo", "document", "paper")
_SHA256_SIGNS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseWanted:
    """What a new case says of itself, as it was typed."""

    number: str
    kind: str
    class_: str
    title: str
    party: str
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemWanted:
    """What a new item says of itself, as it was typed. shelf_mark: where a paper stands."""

    kind: str
    title: str
    step_id: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    shelf_mark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteWanted:
    """at_us: what the note speaks of, None: now. media: recording_id, start_s, end_s, where it speaks of a span."""

    text: str
    at_us: int | None = None
    media: tuple[str, float, float] | None = None


def of_case(
    kind: str, actor: Actor, case_id: str, ids: Sequence[str | int], body: Mapping[str, JsonValue], *,
    at_us: int | None = None, words: str = "",
) -> Fact:  # fmt: skip
    """A fact of a case. ids: what tells this fact from others of its kind."""
    return Fact(
        event_id=derived_event_id(kind, *ids), kind=kind, at_us=actor.now_us if at_us is None else at_us,
        case_id=case_id, by=actor.by, words=words, body={**body, "by_name": actor.name},
    )  # fmt: skip


async def the_open_case(connection: AsyncConnection, case_id: str) -> Case:
    """Raises: ThingUnknown. StateConflict: it is closed."""
    case = await the_case(connection, case_id)
    if case.state != "open":
        raise StateConflict(f"case {case.number} is closed; open it again first")
    return case


async def case_named(connection: AsyncConnection, wanted: str) -> Case:
    """By its id or its number. Raises: ThingUnknown."""
    found = await all_of(
        connection, Case, select(cases).where(or_(cases.c.case_id == wanted, cases.c.number == wanted))
    )
    if not found:
        raise ThingUnknown(f"no case has the id or the number {wanted!r}")
    return found[0]


async def open_case(connection: AsyncConnection, actor: Actor, wanted: CaseWanted) -> tuple[Case, Sequence[Fact]]:
    """Raises: ValueRefused. StateConflict: the number is in use, or the Idempotency-Key by another case."""
    case = Case(
        actor.new_id("case"), values.name("number", wanted.number, 80), values.name("kind", wanted.kind, 60),
        _one_of("class", wanted.class_, CLASSES), "open", values.name("title", wanted.title),
        values.optional_name("party", wanted.party), actor.now_us, None, 1, values.optional_name("unit", wanted.unit),
    )  # fmt: skip
    known = await find(connection, Case, cases, case.case_id)
    if known is not None:
        if known.number != case.number:
            raise StateConflict("this Idempotency-Key opened another case")
        return known, ()
    if (await connection.execute(select(cases.c.case_id).where(cases.c.number == case.number))).first():
        raise StateConflict(f"there is a case {case.number} already")
    await connection.execute(insert(cases).values(_row(case)))
    body: dict[str, JsonValue] = {
        "number": case.number, "title": case.title, "case_kind": case.kind, "class": case.class_, "party": case.party,
        "unit": case.unit,
    }  # fmt: skip
    words = f"{case.number} {case.title} {case.party}"
    opened = of_case("CaseOpened", actor, case.case_id, (case.case_id,), body, words=words)
    _, joined = await add_member(connection, actor, case.case_id, actor.by, actor.name)
    return case, (opened, *joined)


async def change_case(
    connection: AsyncConnection, actor: Actor, case_id: str, version: int, wanted: Mapping[str, str]
) -> tuple[Case, Sequence[Fact]]:
    """wanted: new values of title, party, kind, class, state. version: what the reader saw.

    Raises: ThingUnknown, ValueRefused. VersionStale: somebody changed it since. StateConflict: it is closed, and
    stays so.
    """
    case = await the_case(connection, case_id)
    if case.version != version:
        raise VersionStale("the case was changed meanwhile; read it again")
    if case.state == "closed" and wanted.get("state") != "open":
        raise StateConflict(f"case {case.number} is closed; open it again first")
    new = case
    for field, text in wanted.items():
        match field:
            case "title":
                new = replace(new, title=values.name(field, text))
            case "party":
                new = replace(new, party=values.optional_name(field, text))
            case "kind":
                new = replace(new, kind=values.name(field, text, 60))
            case "class":
                new = replace(new, class_=_one_of(field, text, CLASSES))
            case "state":
                new = replace(new, state=_one_of(field, text, STATES))
            case _:
                raise ValueRefused(field, "it cannot be changed")
    changed: dict[str, JsonValue] = {
        name: {"from": before, "to": after}
        for (name, before), after in zip(_row(case).items(), _row(new).values(), strict=True)
        if before != after
    }
    if not changed:
        return case, ()
    if new.state != case.state:
        new = replace(new, closed_us=actor.now_us if new.state == "closed" else None)
    new = replace(new, version=case.version + 1)
    await connection.execute(update(cases).where(cases.c.case_id == case_id).values(_row(new)))
    words = " ".join((new.title, new.party)) if "title" in changed or "party" in changed else ""
    body: dict[str, JsonValue] = {"version": new.version, "changed": changed}
    return new, (of_case("CaseChanged", actor, case_id, (case_id, new.version), body, words=words),)


async def add_member(
    connection: AsyncConnection, actor: Actor, case_id: str, who: str, name: str
) -> tuple[None, Sequence[Fact]]:
    """who: the account that works on the case from now on, and so reaches it. Raises: ThingUnknown."""
    await the_case(connection, case_id)
    asked = select(members.c.who).where(members.c.case_id == case_id, members.c.who == who)
    if (await connection.execute(asked)).first():
        return None, ()
    await connection.execute(insert(members).values(case_id=case_id, who=who, name=name, added_us=actor.now_us))
    body: dict[str, JsonValue] = {"who": who, "name": name}
    return None, (of_case("MemberAdded", actor, case_id, (case_id, who, actor.now_us), body),)


async def remove_member(
    connection: AsyncConnection, actor: Actor, case_id: str, who: str
) -> tuple[None, Sequence[Fact]]:
    """Raises: ThingUnknown: no such case, or the account does not work on it."""
    gone = await connection.execute(delete(members).where(members.c.case_id == case_id, members.c.who == who))
    if not gone.rowcount:
        raise ThingUnknown("no such member of this case")
    return None, (of_case("MemberRemoved", actor, case_id, (case_id, who, actor.now_us), {"who": who}),)


async def add_note(
    connection: AsyncConnection, actor: Actor, case_id: str, wanted: NoteWanted
) -> tuple[str, Sequence[Fact]]:
    """The id of its event. Raises: ThingUnknown, ValueRefused."""
    case = await the_case(connection, case_id)
    text = values.paragraph("text", wanted.text)
    at_us = actor.now_us if wanted.at_us is None else values.past("at", wanted.at_us, actor.now_us)
    body: dict[str, JsonValue] = {"text": text}
    if wanted.media is not None:
        recording_id, start_s, end_s = wanted.media
        if not 0 <= start_s <= end_s:
            raise ValueRefused("media", "start_s lies behind end_s, or before 0")
        recording = await the_recording(connection, recording_id)
        body["media"] = {"recording_id": recording.recording_id, "start_s": start_s, "end_s": end_s}
    note = of_case("NoteAdded", actor, case.case_id, (actor.new_id("note"),), body, at_us=at_us, words=text)
    if (await connection.execute(select(events.c.seq).where(events.c.event_id == note.event_id))).first():
        return note.event_id, ()
    return note.event_id, (note,)


async def start_step(
    connection: AsyncConnection, actor: Actor, case_id: str, kind: str, kinds: StepKinds
) -> tuple[Step, Sequence[Fact]]:
    """Raises: ThingUnknown. ValueRefused: no such kind. StateConflict: the case is closed."""
    step = Step(actor.new_id("step"), case_id, kinds.known(kind), actor.now_us, None)
    known = await find(connection, Step, steps, step.step_id)
    if known is not None:
        return known, ()
    await the_open_case(connection, case_id)
    await connection.execute(insert(steps).values(_row(step)))
    body: dict[str, JsonValue] = {"step_id": step.step_id, "step_kind": step.kind}
    return step, (of_case("StepStarted", actor, case_id, (step.step_id,), body),)


async def end_step(
    connection: AsyncConnection, actor: Actor, case_id: str, step_id: str
) -> tuple[Step, Sequence[Fact]]:
    """Ending what has ended changes nothing. Raises: ThingUnknown."""
    step = await the_step(connection, case_id, step_id)
    if step.ended_us is not None:
        return step, ()
    step = replace(step, ended_us=actor.now_us)
    await connection.execute(update(steps).where(steps.c.step_id == step_id).values(ended_us=actor.now_us))
    body: dict[str, JsonValue] = {"step_id": step.step_id, "step_kind": step.kind}
    return step, (of_case("StepEnded", actor, case_id, (step.step_id,), body),)


async def add_item(
    connection: AsyncConnection, actor: Actor, case_id: str, wanted: ItemWanted
) -> tuple[Item, Sequence[Fact]]:
    """Raises: ThingUnknown, ValueRefused. StateConflict: the case is closed."""
    await the_open_case(connection, case_id)
    if wanted.step_id is not None:
        await the_step(connection, case_id, wanted.step_id)
    if wanted.sha256 is not None and (len(wanted.sha256) != 64 or not _SHA256_SIGNS.issuperset(wanted.sha256)):
        raise ValueRefused("sha256", "it is not 64 hex digits in lower case")
    shelf_mark = None if wanted.shelf_mark is None else values.name("shelf_mark", wanted.shelf_mark, 80)
    item = Item(
        actor.new_id("item"), case_id, wanted.step_id, _one_of("kind", wanted.kind, ITEM_KINDS),
        values.name("title", wanted.title), wanted.sha256, wanted.size_bytes, shelf_mark, actor.now_us, None,
    )  # fmt: skip
    if item.kind == "paper" and shelf_mark is None:
        raise ValueRefused("shelf_mark", "a paper needs one: where does it stand?")
    known = await find(connection, Item, items, item.item_id)
    if known is not None:
        return known, ()
    await connection.execute(insert(items).values(_row(item)))
    body: dict[str, JsonValue] = {
        "item_id": item.item_id, "item_kind": item.kind, "title": item.title, "step_id": item.step_id,
        "sha256": item.sha256, "size_bytes": item.size_bytes, "shelf_mark": item.shelf_mark,
    }  # fmt: skip
    return item, (of_case("ItemAdded", actor, case_id, (item.item_id,), body, words=item.title),)


async def withdraw_item(
    connection: AsyncConnection, actor: Actor, case_id: str, item_id: str, reason: str
) -> tuple[Item, Sequence[Fact]]:
    """It stays in the record, marked. Raises: ThingUnknown, ValueRefused."""
    item = await the_item(connection, case_id, item_id)
    why = values.name("reason", reason, 500)
    if item.withdrawn_us is not None:
        return item, ()
    item = replace(item, withdrawn_us=actor.now_us)
    await connection.execute(update(items).where(items.c.item_id == item_id).values(withdrawn_us=actor.now_us))
    body: dict[str, JsonValue] = {"item_id": item_id, "title": item.title, "reason": why}
    return item, (of_case("ItemWithdrawn", actor, case_id, (item_id,), body, words=why),)


def _row(thing: Case | Step | Item) -> dict[str, str | int | None]:
    """By column."""
    return {name.rstrip("_"): getattr(thing, name) for name in thing.__slots__}


def _one_of(field: str, text: str, known: Sequence[str]) -> str:
    if text not in known:
        raise ValueRefused(field, f"it is none of {', '.join(known)}")
    return text
