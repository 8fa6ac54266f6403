"""A clip in the record: an item of its case, whose event tells what it was made of, by whom and under what approval."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework import values
from cases.casework.actor import Actor
from cases.casework.approvals import copy_in_force
from cases.casework.case_acts import ItemWanted, add_item, of_case
from cases.casework.rows import find
from cases.clips.making import Cut
from cases.facts import Fact, JsonValue
from cases.store.tables import clips, links, redactions, uploads
from pipeline.errors import StateConflict, ThingUnknown


@dataclass(frozen=True, slots=True)
class Clip:
    """start_ms, end_ms: as asked for. cut_from_ms, cut_until_ms: what the file shows, of the recording's axis."""

    clip_id: str
    case_id: str
    item_id: str
    recording_id: str
    approval_id: str
    sha256: str
    size_bytes: int
    start_ms: int
    end_ms: int
    cut_from_ms: int
    cut_until_ms: int
    made_by: str
    made_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipWanted:
    """start_s, end_s: of the recording's axis."""

    clip_id: str
    case_id: str
    recording_id: str
    start_s: float
    end_s: float
    title: str
    purpose: str = ""


async def check_linked(connection: AsyncConnection, case_id: str, recording_id: str) -> None:
    """Raises: ThingUnknown: the recording is none of the case."""
    asked = select(links.c.link_id).where(
        links.c.case_id == case_id, links.c.recording_id == recording_id, links.c.undone_us.is_(None)
    )
    if (await connection.execute(asked)).first() is None:
        raise ThingUnknown("the case has no such recording; attach it first")


async def register(
    connection: AsyncConnection, actor: Actor, wanted: ClipWanted, cut: Cut
) -> tuple[Clip, Sequence[Fact]]:
    """Idempotent. The approval is looked at again: it may have ended while the file was cut.

    Raises: ThingUnknown: no approval, or no such recording of the case. StateConflict: the case is closed, or the
    Idempotency-Key made another clip.
    """
    start_ms, end_ms = round(wanted.start_s * 1000), round(wanted.end_s * 1000)
    known = await find(connection, Clip, clips, wanted.clip_id)
    if known is not None:
        same = (wanted.case_id, wanted.recording_id, start_ms, end_ms)
        if (known.case_id, known.recording_id, known.start_ms, known.end_ms) != same:
            raise StateConflict("this Idempotency-Key made another clip")
        return known, ()
    approval = await copy_in_force(connection, actor.by, wanted.case_id, actor.now_us)
    await check_linked(connection, wanted.case_id, wanted.recording_id)
    purpose = values.paragraph("purpose", wanted.purpose, 500) if wanted.purpose.strip() else approval.purpose
    item_wanted = ItemWanted(kind="video", title=wanted.title, sha256=cut.sha256, size_bytes=cut.size_bytes)
    item, facts = await add_item(connection, actor, wanted.case_id, item_wanted)
    clip = Clip(
        wanted.clip_id, wanted.case_id, item.item_id, wanted.recording_id, approval.approval_id, cut.sha256,
        cut.size_bytes, start_ms, end_ms, round(cut.start_s * 1000), round(cut.end_s * 1000), actor.by, actor.now_us,
    )  # fmt: skip
    await connection.execute(insert(clips).values({name: getattr(clip, name) for name in clip.__slots__}))
    body: dict[str, JsonValue] = {
        "clip_id": clip.clip_id, "item_id": clip.item_id, "approval_id": clip.approval_id, "why": purpose,
        "sha256": clip.sha256, "size_bytes": clip.size_bytes, "title": item.title,
        "media": {
            "recording_id": clip.recording_id, "start_s": clip.cut_from_ms / 1000, "end_s": clip.cut_until_ms / 1000
        },
        "start_ms": start_ms, "end_ms": end_ms, "cut_from_ms": clip.cut_from_ms, "cut_until_ms": clip.cut_until_ms,
        "is_exact": False, "segments": [{"file": file, "sha256": sha256} for file, sha256 in cut.segments],
    }  # fmt: skip
    return clip, [*facts, of_case("ClipMade", actor, wanted.case_id, (clip.clip_id,), body, words=item.title)]


async def is_told(connection: AsyncConnection, sha256: str) -> bool:
    """Whether the log tells of a file, as a clip, as a copy of one, or as one that was sent in."""
    for asked in (
        select(clips.c.clip_id).where(clips.c.sha256 == sha256),
        select(redactions.c.redaction_id).where(redactions.c.sha256 == sha256),
        select(uploads.c.upload_id).where(uploads.c.sha256 == sha256),
    ):
        if (await connection.execute(asked)).first() is not None:
            return True
    return False
