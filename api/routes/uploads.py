"""Files that are sent in, resumable: tus 1.0 with creation, termination, checksum and expiration.

Source: https://tus.io/protocols/resumable-upload, 1.0.0.
"""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import ClientDisconnect

from api.asking import actor_of, record_of
from api.doors import Doors
from api.permissions import Asker, require
from api.schemas.uploads import UploadOut, UploadsOut, upload_out
from cases.casework import values
from cases.casework.attaching import officer_of
from cases.casework.case_acts import the_open_case
from cases.casework.rows import Case, all_of
from cases.facts import microseconds
from cases.rights import Reach
from cases.store.tables import cases
from cases.uploads.parts import OPEN, Upload
from cases.uploads.register import kept_bytes
from pipeline.errors import AccessDenied, ProtocolError, ThingUnknown, ValueRefused

router = APIRouter(prefix="/api/v1")
Sender = Annotated[Asker, Depends(require("uploads.send"))]

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,checksum,expiration"
_BODY = "application/offset+octet-stream"
_DIGITS = re.compile(r"\d{1,15}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,60}")  # no space, no comma
_MOST_METADATA = 8192
_LOOK_S = 1.0  # how old a look at the right to send may be
_DIGEST_BYTES = {"sha256": 32, "sha1": 20}  # tus asks for SHA-1 of every server; it protects the way, not the evidence


@router.options("/uploads", status_code=204)
async def describe(request: Request, _: Sender) -> Response:
    """What this server can, in tus' words."""
    doors: Doors = request.app.state.doors
    return Response(
        status_code=204,
        headers={
            "Tus-Resumable": VERSION, "Tus-Version": VERSION, "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(doors.uploads.settings.max_bytes),
            "Tus-Checksum-Algorithm": ",".join(_DIGEST_BYTES),
        },
    )  # fmt: skip


@router.post("/uploads", status_code=201)
async def create(request: Request, asker: Sender) -> Response:
    """Begin an upload. `Upload-Metadata` holds `filename`, and `case` (id or number) or `device` (id), or both.

    `sha256` (hex) is held against the whole file; `captured_at` (RFC 3339) says when it was recorded, and is kept as
    said; `filetype` what the sender takes it for.
    """
    _check_version(request)
    doors: Doors = request.app.state.doors
    length = request.headers.get("upload-length", "")
    if not _DIGITS.fullmatch(length):
        raise ValueRefused("Upload-Length", "the size of the file in bytes, which must be known when it begins")
    raw = request.headers.get("upload-metadata", "")
    told, actor = _metadata(raw), actor_of(request, asker.principal)
    now_us, captured_us = actor.now_us, _captured_us(told.get("captured_at", ""))
    sha256 = told.get("sha256", "").lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise ValueRefused("Upload-Metadata", "sha256 is not 64 hex digits")
    async with record_of(request).store.reading() as connection:
        case = await _case(connection, asker, told.get("case", ""))
        carried_us = min(captured_us or now_us, now_us)
        device_unit = await _device_unit(doors, connection, asker, told.get("device", ""), carried_us)
        if case is None and device_unit is None:
            raise ValueRefused("Upload-Metadata", "name the case, or the device that recorded it")
        unit = case.unit if case is not None else device_unit or ""
        kept = await kept_bytes(connection, unit)
    wanted = Upload(
        upload_id=actor.new_id("upl"), sent_by=actor.by, sent_name=actor.name, unit=unit,
        case_id=None if case is None else case.case_id, device_id=told.get("device", ""),
        name=values.name("filename", told.get("filename", "")), declared=told.get("filetype", "")[:100],
        wanted_sha256=sha256, captured_us=captured_us, size_bytes=int(length), created_us=actor.now_us,
        expires_us=actor.now_us + round(doors.uploads.settings.expires_s * 1e6), metadata=raw,
    )  # fmt: skip
    upload = await doors.uploads.create(wanted, kept)
    return Response(status_code=201, headers={**_headers(upload), "Location": f"/api/v1/uploads/{upload.upload_id}"})


@router.get("/uploads")
async def list_uploads(
    request: Request,
    asker: Sender,
    sha256: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str, Query(max_length=100)] = "",
) -> UploadsOut:
    """One's own, the newest first: on their way, and ended within the last days. sha256: as it was announced."""
    doors: Doors = request.app.state.doors
    found = [each for each in doors.uploads.of(asker.principal.by) if sha256 in ("", each.wanted_sha256)]
    places = [each.upload_id for each in found]
    start = places.index(cursor) + 1 if cursor in places else 0
    page = found[start : start + limit]
    return UploadsOut(
        items=[upload_out(each) for each in page],
        next_cursor=page[-1].upload_id if len(found) > start + limit else None,
    )


@router.get("/uploads/{upload_id}")
async def read(request: Request, asker: Sender, upload_id: str) -> UploadOut:
    """How far it is, and what became of it."""
    return upload_out(_own(request, asker, upload_id))


@router.head("/uploads/{upload_id}")
async def offset(request: Request, asker: Sender, upload_id: str) -> Response:
    """Where to go on: `Upload-Offset` bytes are on the server's disk."""
    _check_version(request)
    upload = _own(request, asker, upload_id)
    more = {"Upload-Length": str(upload.size_bytes), "Cache-Control": "no-store"}
    if upload.metadata:
        more["Upload-Metadata"] = upload.metadata
    return Response(status_code=200, headers={**_headers(upload), **more})


@router.patch("/uploads/{upload_id}", status_code=204)
async def append(request: Request, asker: Sender, upload_id: str) -> Response:
    """Bytes from `Upload-Offset` on. What arrived before a break is kept, but not where `Upload-Checksum` was sent.

    A second request for the same upload makes the first one stop.
    """
    _check_version(request)
    doors: Doors = request.app.state.doors
    upload = _own(request, asker, upload_id)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _BODY:
        raise HTTPException(415, f"send the bytes as {_BODY}")
    at = request.headers.get("upload-offset", "")
    if not _DIGITS.fullmatch(at):
        raise ValueRefused("Upload-Offset", "where these bytes begin")
    body = _body(request, doors, asker.principal.principal_id)
    await doors.uploads.append(upload, int(at), body, _checksum(request.headers.get("upload-checksum", "")))
    return Response(status_code=204, headers=_headers(upload))


@router.delete("/uploads/{upload_id}", status_code=204)
async def end(request: Request, asker: Sender, upload_id: str) -> Response:
    """Give it up. A file that is whole stays."""
    _check_version(request)
    doors: Doors = request.app.state.doors
    await doors.uploads.end(_own(request, asker, upload_id))
    return Response(status_code=204, headers={"Tus-Resumable": VERSION})


def _own(request: Request, asker: Asker, upload_id: str) -> Upload:
    doors: Doors = request.app.state.doors
    return doors.uploads.find(upload_id, asker.principal.by)


def _headers(upload: Upload) -> dict[str, str]:
    headers = {"Tus-Resumable": VERSION, "Upload-Offset": str(upload.offset)}
    if upload.state == OPEN:
        headers["Upload-Expires"] = format_datetime(datetime.fromtimestamp(upload.expires_us / 1e6, UTC), usegmt=True)
    return headers


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise HTTPException(412, f"send Tus-Resumable: {VERSION}", {"Tus-Version": VERSION})


def _metadata(raw: str) -> Mapping[str, str]:
    """Raises: ValueRefused."""
    if len(raw) > _MOST_METADATA:
        raise ValueRefused("Upload-Metadata", f"at most {_MOST_METADATA} signs")
    found: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in raw.split(","))):
        key, _, value = pair.partition(" ")
        try:
            text = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError) as error:
            raise ValueRefused("Upload-Metadata", "a value is not UTF-8 in Base64") from error
        if not _KEY.fullmatch(key) or key in found:
            raise ValueRefused("Upload-Metadata", "a key is malformed, or stands there twice")
        found[key] = text
    return found


def _captured_us(text: str) -> int | None:
    """What the sender says, also where it lies in the future: cameras' clocks do. Raises: ValueRefused."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        found = microseconds(at.timestamp())
    except (ValueError, OverflowError, OSError) as error:
        raise ValueRefused("captured_at", "it is no time of RFC 3339") from error
    if at.tzinfo is None:
        raise ValueRefused("captured_at", "it names no time zone")
    if found < 0:
        raise ValueRefused("captured_at", "it lies before 1970")
    return found


def _checksum(header: str) -> tuple[str, bytes] | None:
    """Raises: HTTPException 400."""
    if not header:
        return None
    name, _, value = header.partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _DIGEST_BYTES.get(name, -1):
        raise HTTPException(400, f"Upload-Checksum: one of {', '.join(_DIGEST_BYTES)}, and its digest in Base64")
    return name, digest


async def _case(connection: AsyncConnection, asker: Asker, wanted: str) -> Case | None:
    """An open case within reach, by id or number. Raises: ThingUnknown. StateConflict: it is closed."""
    if not wanted:
        return None
    asked = select(cases).where(or_(cases.c.case_id == wanted, cases.c.number == wanted), asker.within.cases())
    found = await all_of(connection, Case, asked)
    if not found:
        raise ThingUnknown("no such case")
    return await the_open_case(connection, found[0].case_id)


async def _device_unit(
    doors: Doors, connection: AsyncConnection, asker: Asker, device_id: str, at_us: int
) -> str | None:
    """The unit of a device within reach: of one's unit; carried then, or assigned. Raises: ThingUnknown."""
    if not device_id:
        return None
    who, within = asker.principal, asker.within
    for each in doors.access.devices():
        if each.device.device_id != device_id:
            continue
        is_near = within.reach is Reach.UNIT and (within.units is None or each.device.unit in within.units)
        is_mine = device_id in who.device_ids or (
            bool(who.officer_id) and await officer_of(connection, device_id, at_us) == who.officer_id
        )
        if is_near or is_mine:
            return each.device.unit
    raise ThingUnknown("no such device")


async def _body(request: Request, doors: Doors, principal_id: str) -> AsyncIterator[bytes]:
    """Raises: ProtocolError: it broke off, or nothing came. AccessDenied: the sender's right ended meanwhile."""
    stream, silence_s = request.stream(), doors.uploads.settings.silence_timeout_s
    looked_s = anyio.current_time()
    while True:
        if anyio.current_time() - looked_s > _LOOK_S:
            looked_s = anyio.current_time()
            if doors.access.named(principal_id) is None:
                raise AccessDenied("the right to send was withdrawn")
        try:
            with anyio.fail_after(silence_s):
                data = await anext(stream, None)
        except ClientDisconnect as error:
            raise ProtocolError("the connection closed before the body ended") from error
        except TimeoutError as error:
            raise ProtocolError(f"no byte within {silence_s:g} s (upload.silence_timeout_s)") from error
        if data is None:
            return
        yield data
