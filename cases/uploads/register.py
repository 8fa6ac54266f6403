"""An upload in the record: what it became (an item of its case, a recording), and the facts that tell of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.casework.actor import Actor
from cases.casework.case_acts import ItemWanted, add_item
from cases.casework.recordings import attach
from cases.casework.rows import Recording, all_of, find
from cases.facts import Fact, JsonValue
from cases.store.tables import recordings, uploads
from cases.uploads.kinds import FileKind
from cases.uploads.parts import Upload
from pipeline.ids import derived_event_id

_AHEAD_US = 60_000_000  # clocks differ by seconds; what is said to be of later than this is told of


@dataclass(frozen=True, slots=True)
class UploadRow:
    """An upload that was taken."""

    upload_id: str
    case_id: str | None
    device_id: str
    item_id: str | None
    recording_id: str | None
    sha256: str
    size_bytes: int
    type: str
    name: str
    unit: str
    sent_by: str
    received_us: int


async def kept_bytes(connection: AsyncConnection, unit: str) -> int:
    """What a unit has sent in so far."""
    asked = select(func.coalesce(func.sum(uploads.c.size_bytes), 0)).where(uploads.c.unit == unit)
    found: int = (await connection.execute(asked)).scalar_one()
    return int(found)


async def same(connection: AsyncConnection, upload: Upload) -> tuple[UploadRow | None, str | None]:
    """(the upload that brought this file to the same place before, a recording that was made of it anywhere)."""
    found = await all_of(
        connection, UploadRow,
        select(uploads).where(uploads.c.sha256 == upload.sha256).order_by(uploads.c.received_us, uploads.c.upload_id),
    )  # fmt: skip
    here = [
        each for each in found
        if each.upload_id != upload.upload_id and each.case_id == upload.case_id
        and (upload.case_id is not None or each.device_id == upload.device_id)
    ]  # fmt: skip
    made = [each.recording_id for each in found if each.recording_id is not None]
    return (here[0] if here else None), (made[0] if made else None)


async def is_recorded(connection: AsyncConnection, recording_id: str) -> bool:
    """Whether the log has told of the recording."""
    return await find(connection, Recording, recordings, recording_id) is not None


async def register(
    connection: AsyncConnection, actor: Actor, upload: Upload, kind: FileKind, late_s: float
) -> tuple[UploadRow, Sequence[Fact]]:
    """Idempotent. late_s: how long is late. What the sender says of the time of recording is kept as it is said; the
    facts stand where the file came, so that a camera whose clock is years ahead moves nothing.

    Raises: ThingUnknown. StateConflict: the case is closed.
    """
    known = await find(connection, UploadRow, uploads, upload.upload_id)
    if known is not None:
        return known, ()
    facts: list[Fact] = []
    item_id: str | None = None
    if upload.case_id is not None:
        wanted = ItemWanted(kind=kind.kind, title=upload.name, sha256=upload.sha256, size_bytes=upload.size_bytes)
        item, more = await add_item(connection, actor, upload.case_id, wanted)
        item_id, facts = item.item_id, [*facts, *more]
        if upload.recording_id is not None:
            facts += (await attach(connection, actor, upload.case_id, upload.recording_id, None, "upload"))[1]
    received_us = upload.completed_us or actor.now_us
    row = UploadRow(
        upload.upload_id, upload.case_id, upload.device_id, item_id, upload.recording_id, upload.sha256,
        upload.size_bytes, kind.mime, upload.name, upload.unit, upload.sent_by, received_us,
    )  # fmt: skip
    await connection.execute(insert(uploads).values({name: getattr(row, name) for name in row.__slots__}))
    stream_id = None
    if upload.case_id is None and upload.recording_id is not None:
        asked = select(recordings.c.stream_id).where(recordings.c.recording_id == upload.recording_id)
        stream_id = (await connection.execute(asked)).scalar_one()
    body: dict[str, JsonValue] = {
        "upload_id": row.upload_id, "name": row.name, "type": row.type, "size_bytes": row.size_bytes,
        "sha256": row.sha256, "is_checksum_of_sender": bool(upload.wanted_sha256), "item_id": row.item_id,
        "device_id": row.device_id, "unit": row.unit, "captured_at_us": upload.captured_us, "reason": upload.reason,
        "by_name": actor.name,
    }  # fmt: skip
    if row.recording_id is not None:
        body["media"] = {"recording_id": row.recording_id, "start_s": 0.0, "end_s": upload.seconds}
        body["lost_s"] = upload.lost_s
    facts.append(_fact("UploadReceived", row, stream_id, body))
    if upload.captured_us is not None and received_us - upload.captured_us > late_s * 1e6:
        late: dict[str, JsonValue] = {
            "upload_id": row.upload_id, "name": row.name, "captured_at_us": upload.captured_us,
            "late_s": round((received_us - upload.captured_us) / 1e6, 3), "allowed_s": late_s, "by_name": actor.name,
        }  # fmt: skip
        facts.append(_fact("UploadLate", row, stream_id, late))
    if upload.captured_us is not None and upload.captured_us - received_us > _AHEAD_US:
        ahead: dict[str, JsonValue] = {
            "upload_id": row.upload_id, "name": row.name, "captured_at_us": upload.captured_us,
            "ahead_s": round((upload.captured_us - received_us) / 1e6, 3), "by_name": actor.name,
        }  # fmt: skip
        facts.append(_fact("UploadAhead", row, stream_id, ahead))
    return row, facts


def _fact(kind: str, row: UploadRow, stream_id: str | None, body: dict[str, JsonValue]) -> Fact:
    return Fact(
        event_id=derived_event_id(kind, row.upload_id), kind=kind, at_us=row.received_us, stream_id=stream_id,
        case_id=row.case_id, by=row.sent_by, words=row.name if kind == "UploadReceived" else "", body=body,
    )  # fmt: skip


def fetched(actor: Actor, file: UploadRow) -> Fact:
    """Somebody took a copy of a photo or document."""
    body: dict[str, JsonValue] = {
        "item_id": file.item_id, "name": file.name, "sha256": file.sha256, "by_name": actor.name
    }  # fmt: skip
    return Fact(
        event_id=derived_event_id("ItemFetched", file.upload_id, actor.by, actor.now_us), kind="ItemFetched",
        at_us=actor.now_us, case_id=file.case_id, by=actor.by, body=body,
    )  # fmt: skip


async def files_of(connection: AsyncConnection, case_id: str) -> dict[str, UploadRow]:
    """The files of a case that were sent in, by item."""
    asked = select(uploads).where(uploads.c.case_id == case_id, uploads.c.item_id.is_not(None))
    return {each.item_id or "": each for each in await all_of(connection, UploadRow, asked)}
