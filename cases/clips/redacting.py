"""A copy of a clip with faces hidden, in the record: the draft that people work on, and the item that comes of it.

Whatever nobody names is hidden: a face stays clear only with a name and a reason, a path that is no face only with a
reason, and both stand in the event. The clip itself is never touched.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.approvals import copy_in_force
from cases.casework.case_acts import ItemWanted, add_item, of_case, the_open_case
from cases.casework.rows import all_of, find, the_item
from cases.clips.register import Clip
from cases.facts import Fact, JsonValue, canonical
from cases.store.tables import clips, redactions
from pipeline.analyse.blurring import Film, path_of, rows_of
from pipeline.analyse.covers import Path
from pipeline.errors import StateConflict, ThingUnknown, ValueRefused, VersionStale
from pipeline.ids import derived_event_id

FINDING, DRAFT, MAKING, MADE = "finding", "draft", "making", "made"
MOST_WAIT = 8
MOST_DRAWN = 500
MOST_POINTS = 5000
_LAST_S = 1.0  # that a drawn box may reach beyond the clip's end: players round


@dataclass(frozen=True, slots=True)
class Redaction:
    """state: of FINDING … MADE. error: why the last thing that was tried failed; empty: it did not. version: grows by
    one with every change. edits: how often people changed it. detector: label; empty: nobody looked for faces. width,
    height: of the clip's pictures; 0: not known. found, marks: see `tracks_of`, `marks_of`. of_sha256: the clip's.
    """

    redaction_id: str
    clip_id: str
    case_id: str
    state: str
    error: str
    version: int
    edits: int
    detector: str
    width: int
    height: int
    length_ms: int
    found: str
    marks: str
    asked_by: str
    asked_us: int
    title: str
    purpose: str
    of_sha256: str
    made_by: str | None
    made_name: str
    made_us: int | None
    approval_id: str | None
    item_id: str | None
    sha256: str | None
    size_bytes: int | None
    plan_sha256: str | None


@dataclass(frozen=True, slots=True)
class Track:
    """A face's path as it is hidden, or a path that somebody drew. looks: pictures in which the detector found it."""

    track_id: str
    path: Path
    looks: int = 0


@dataclass(frozen=True, slots=True)
class Clear:
    """A face that stays to be seen: who it is, and why."""

    track_id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Removed:
    """A path of the detector that is no face: what it is."""

    track_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Marks:
    """What people said of a draft. All that is named nowhere is hidden."""

    clear: tuple[Clear, ...] = ()
    removed: tuple[Removed, ...] = ()
    drawn: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """The file that was made. added_right, added_below: columns and rows beyond the clip's, for even sides."""

    sha256: str
    size_bytes: int
    added_right: int = 0
    added_below: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyWanted:
    """version: what the reader saw, and wants as it is. title, purpose: empty: the clip's, the approval's."""

    redaction_id: str
    version: int
    title: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to each track, by what people said."""

    hidden: list[Track] = field(default_factory=list)
    clear: dict[str, Clear] = field(default_factory=dict)
    removed: dict[str, Removed] = field(default_factory=dict)


def tracks_of(redaction: Redaction) -> list[Track]:
    """The detector's, then those that were drawn."""
    found = [Track(each["track_id"], path_of(each["points"]), each["looks"]) for each in json.loads(redaction.found)]
    drawn = marks_of(redaction).drawn
    return found + [Track(f"d{number}", path) for number, path in enumerate(drawn, 1)]


def marks_of(redaction: Redaction) -> Marks:
    tree = json.loads(redaction.marks)
    return Marks(
        tuple(Clear(**each) for each in tree["clear"]), tuple(Removed(**each) for each in tree["removed"]),
        tuple(path_of(each) for each in tree["drawn"]),
    )  # fmt: skip


def plan_of(redaction: Redaction) -> Plan:
    marks = marks_of(redaction)
    clear, removed = {each.track_id: each for each in marks.clear}, {each.track_id: each for each in marks.removed}
    hidden = [each for each in tracks_of(redaction) if each.track_id not in clear and each.track_id not in removed]
    return Plan(hidden, clear, removed)


async def the_clip(connection: AsyncConnection, clip_id: str) -> Clip:
    """Raises: ThingUnknown."""
    clip = await find(connection, Clip, clips, clip_id)
    if clip is None:
        raise ThingUnknown("no such clip")
    return clip


async def the_redaction(connection: AsyncConnection, redaction_id: str) -> Redaction:
    """Raises: ThingUnknown."""
    found = await find(connection, Redaction, redactions, redaction_id)
    if found is None:
        raise ThingUnknown("no such redaction")
    return found


async def oldest_waiting(connection: AsyncConnection) -> Redaction | None:
    """Whose turn it is."""
    asked = select(redactions).where(redactions.c.state.in_((FINDING, MAKING)))
    found = await all_of(
        connection, Redaction, asked.order_by(redactions.c.asked_us, redactions.c.redaction_id).limit(1)
    )
    return found[0] if found else None


async def begin(
    connection: AsyncConnection, actor: Actor, clip_id: str, *, detects: bool
) -> tuple[Redaction, Sequence[Fact]]:
    """A draft. detects: faces are looked for first. The same Idempotency-Key begins it once.

    Raises: ThingUnknown: no such clip, or no approval to copy its case. StateConflict: the case is closed, too many
    wait, or the Idempotency-Key began another one.
    """
    clip = await the_clip(connection, clip_id)
    redaction_id = actor.new_id("red")
    known = await find(connection, Redaction, redactions, redaction_id)
    if known is not None:
        if known.clip_id != clip_id:
            raise StateConflict("this Idempotency-Key began another redaction")
        return known, ()
    await the_open_case(connection, clip.case_id)
    await copy_in_force(connection, actor.by, clip.case_id, actor.now_us)
    if detects:
        await _check_room(connection)
    redaction = Redaction(
        redaction_id, clip_id, clip.case_id, FINDING if detects else DRAFT, "", 1, 0, "", 0, 0,
        clip.cut_until_ms - clip.cut_from_ms, "[]", _text_of(Marks()), actor.by, actor.now_us, "", "", clip.sha256,
        None, "", None, None, None, None, None, None,
    )  # fmt: skip
    await connection.execute(
        insert(redactions).values({name: getattr(redaction, name) for name in redaction.__slots__})
    )
    return redaction, ()


async def found(
    connection: AsyncConnection, redaction_id: str, detector: str, film: Film, paths: Sequence[Path]
) -> tuple[Redaction, Sequence[Fact]]:
    """What the detector saw is the draft now."""
    redaction = await the_redaction(connection, redaction_id)
    if redaction.state != FINDING:
        return redaction, ()
    rows: list[dict[str, JsonValue]] = [
        {"track_id": f"f{number}", "looks": path.looks, "points": [[*row] for row in rows_of(path)]}
        for number, path in enumerate(paths, 1)
    ]  # fmt: skip
    text = json.dumps(rows, separators=(",", ":"))
    new = replace(
        redaction, state=DRAFT, detector=detector, width=film.width, height=film.height,
        length_ms=round(film.length_s * 1000), found=text,
    )  # fmt: skip
    return await _kept(connection, new), ()


async def failed(connection: AsyncConnection, redaction_id: str, why: str) -> tuple[Redaction, Sequence[Fact]]:
    """It is a draft, again; boxes can be drawn, and it can be tried again."""
    redaction = await the_redaction(connection, redaction_id)
    if redaction.state not in (FINDING, MAKING):
        return redaction, ()
    return await _kept(connection, replace(redaction, state=DRAFT, error=why[:500])), ()


async def mark(
    connection: AsyncConnection, redaction_id: str, version: int, marks: Marks
) -> tuple[Redaction, Sequence[Fact]]:
    """What people say now, in place of what they said before. Raises: ThingUnknown, VersionStale, StateConflict,
    ValueRefused: a track that is none, one that is named twice, a box that is none.
    """
    redaction = await _the_draft(connection, redaction_id, version)
    known = {each["track_id"] for each in json.loads(redaction.found)}
    drawn = {f"d{number}" for number in range(1, len(marks.drawn) + 1)}
    named = [each.track_id for each in marks.clear] + [each.track_id for each in marks.removed]
    for track_id in named:
        if track_id in drawn:
            raise ValueRefused("clear", f"{track_id} was drawn; leave it out of 'drawn' instead")
        if track_id not in known:
            raise ValueRefused("clear", f"there is no track {track_id[:40]!r}")
    if len(set(named)) < len(named):
        raise ValueRefused("clear", "a track is named twice")
    if len(marks.drawn) > MOST_DRAWN:
        raise ValueRefused("drawn", f"at most {MOST_DRAWN} are taken")
    for number, path in enumerate(marks.drawn, 1):
        _check_drawn(f"drawn.{number}", path, redaction.length_ms / 1000 + _LAST_S)
    told = Marks(
        tuple(Clear(each.track_id, values.name("name", each.name), values.name("reason", each.reason, 500))
              for each in marks.clear),
        tuple(Removed(each.track_id, values.name("reason", each.reason, 500)) for each in marks.removed),
        marks.drawn,
    )  # fmt: skip
    text = _text_of(told)
    if text == redaction.marks:
        return redaction, ()
    return await _kept(connection, replace(redaction, marks=text, edits=redaction.edits + 1, error="")), ()


async def ask(connection: AsyncConnection, actor: Actor, wanted: CopyWanted) -> tuple[Redaction, Sequence[Fact]]:
    """The copy is to be made as the draft is.

    Raises: ThingUnknown: no such redaction, or no approval. VersionStale. StateConflict: it is no draft, the case is
    closed, nothing would be hidden, too many wait. ValueRefused.
    """
    redaction = await _the_draft(connection, wanted.redaction_id, wanted.version)
    await the_open_case(connection, redaction.case_id)
    approval = await copy_in_force(connection, actor.by, redaction.case_id, actor.now_us)
    if not plan_of(redaction).hidden:
        raise StateConflict("nothing would be hidden; draw what is to be hidden, or export the clip as it is")
    await _check_room(connection)
    clip = await the_clip(connection, redaction.clip_id)
    of_clip = (await the_item(connection, clip.case_id, clip.item_id)).title
    title = values.name("title", wanted.title) if wanted.title.strip() else f"{of_clip[:180]}（人脸已遮）"
    purpose = values.paragraph("purpose", wanted.purpose, 500) if wanted.purpose.strip() else approval.purpose
    new = replace(
        redaction, state=MAKING, error="", title=title, purpose=purpose, made_by=actor.by, made_name=actor.name
    )
    return await _kept(connection, new), ()


async def register(
    connection: AsyncConnection, redaction_id: str, copy: Copy, now_us: int
) -> tuple[Redaction, Sequence[Fact]]:
    """The copy was made, and is an item of the case. Idempotent. The approval is looked at again.

    Raises: ThingUnknown: no approval any more. StateConflict: the case is closed, or nobody asked for the copy.
    """
    redaction = await the_redaction(connection, redaction_id)
    if redaction.state == MADE:
        return redaction, ()
    if redaction.state != MAKING or redaction.made_by is None:
        raise StateConflict("nobody asked for this copy")
    clip = await the_clip(connection, redaction.clip_id)
    actor = Actor(redaction.made_by, redaction.made_name, now_us)
    approval = await copy_in_force(connection, actor.by, redaction.case_id, now_us)
    item_wanted = ItemWanted(kind="video", title=redaction.title, sha256=copy.sha256, size_bytes=copy.size_bytes)
    item, facts = await add_item(connection, actor, redaction.case_id, item_wanted)
    new = replace(
        redaction, state=MADE, made_us=now_us, approval_id=approval.approval_id, item_id=item.item_id,
        sha256=copy.sha256, size_bytes=copy.size_bytes, plan_sha256=plan_sha256(redaction),
    )  # fmt: skip
    new = await _kept(connection, new)
    plan = plan_of(redaction)
    body: dict[str, JsonValue] = {
        "redaction_id": new.redaction_id, "clip_id": new.clip_id, "item_id": new.item_id,
        "approval_id": new.approval_id, "of_clip": new.of_sha256, "sha256": new.sha256, "size_bytes": new.size_bytes,
        "title": item.title, "why": new.purpose,
        "media": {
            "recording_id": clip.recording_id, "start_s": clip.cut_from_ms / 1000, "end_s": clip.cut_until_ms / 1000
        },
        "blurred": len(plan.hidden), "drawn": len(marks_of(redaction).drawn),
        "clear": [
            {"track_id": each.track_id, "name": each.name, "reason": each.reason} for each in plan.clear.values()
        ],
        "removed": [{"track_id": each.track_id, "reason": each.reason} for each in plan.removed.values()],
        "detector": new.detector, "edits": new.edits, "plan_sha256": new.plan_sha256,
        "added_right": copy.added_right, "added_below": copy.added_below,
    }  # fmt: skip
    return new, [*facts, of_case("ClipBlurred", actor, new.case_id, (new.redaction_id,), body, words=item.title)]


def plan_sha256(redaction: Redaction) -> str:
    """Of what was found and what people said, as one line of canonical JSON: `found` and `marks`."""
    tree: dict[str, JsonValue] = {"found": json.loads(redaction.found), "marks": json.loads(redaction.marks)}
    return hashlib.sha256(canonical(tree)).hexdigest()


def fetched(actor: Actor, redaction: Redaction) -> Fact:
    """Somebody took the copy."""
    body: dict[str, JsonValue] = {
        "item_id": redaction.item_id, "name": redaction.title, "sha256": redaction.sha256, "by_name": actor.name
    }  # fmt: skip
    return Fact(
        event_id=derived_event_id("ItemFetched", redaction.redaction_id, actor.by, actor.now_us), kind="ItemFetched",
        at_us=actor.now_us, case_id=redaction.case_id, by=actor.by, body=body,
    )  # fmt: skip


def _check_drawn(name: str, path: Path, most_s: float) -> None:
    """Raises: ValueRefused."""
    if not 2 <= len(path.points) <= MOST_POINTS:
        raise ValueRefused(name, f"two points at least: where it is first and where it is last; {MOST_POINTS} at most")
    times = [each.at_s for each in path.points]
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise ValueRefused(name, "its points do not stand in the order of their times")
    if times[0] < 0 or times[-1] > most_s:
        raise ValueRefused(name, "a point lies outside the clip")
    if any(each.box.width <= 0 or each.box.height <= 0 for each in path.points):
        raise ValueRefused(name, "a box has its right side left of its left one, or its bottom above its top")


async def _the_draft(connection: AsyncConnection, redaction_id: str, version: int) -> Redaction:
    redaction = await the_redaction(connection, redaction_id)
    if redaction.version != version:
        raise VersionStale("the redaction was changed meanwhile; read it again")
    if redaction.state != DRAFT:
        raise StateConflict(f"it is {redaction.state}; only a draft can be changed or made")
    return redaction


async def _check_room(connection: AsyncConnection) -> None:
    waiting = select(func.count()).select_from(redactions).where(redactions.c.state.in_((FINDING, MAKING)))
    if ((await connection.execute(waiting)).scalar() or 0) >= MOST_WAIT:
        raise StateConflict(f"{MOST_WAIT} redactions are waiting already; ask again when one is done")


async def _kept(connection: AsyncConnection, redaction: Redaction) -> Redaction:
    new = replace(redaction, version=redaction.version + 1)
    row = {name: getattr(new, name) for name in new.__slots__}
    await connection.execute(update(redactions).where(redactions.c.redaction_id == new.redaction_id).values(row))
    return new


def _text_of(marks: Marks) -> str:
    clear: list[JsonValue] = [
        {"track_id": each.track_id, "name": each.name, "reason": each.reason} for each in marks.clear
    ]
    removed: list[JsonValue] = [{"track_id": each.track_id, "reason": each.reason} for each in marks.removed]
    drawn: list[JsonValue] = [[[*row] for row in rows_of(path)] for path in marks.drawn]
    return canonical({"clear": clear, "removed": removed, "drawn": drawn}).decode()
