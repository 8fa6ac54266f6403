"""Playing recordings: what there is, and the media of a span that an approval in force names."""

import hashlib
import math
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated

import anyio
import anyio.to_thread
import structlog
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse

from api.asking import actor_of, must_be_logged, record_of
from api.doors import Doors
from api.http_door import CUT
from api.permissions import Asker, require, within
from api.playbacks import View
from api.schemas.approvals import GapOut, MapOut, SpanOut
from cases.casework.approvals import in_force, playable
from cases.casework.rows import Approval, Recording
from cases.export.case_file import folder_of
from cases.facts import Fact, JsonValue, microseconds
from cases.reach import reached_recording
from pipeline.clock import rfc3339
from pipeline.errors import EvidenceError, StorageError, StoreUnavailable, ThingUnknown
from pipeline.ids import derived_event_id
from pipeline.record.span_file import Span

router = APIRouter(prefix="/api/v1/recordings")
Player = Annotated[Asker, Depends(require("recordings.play"))]

log = structlog.get_logger(__name__)

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_LOOK_S = 0.5  # how old a look at the right to play may be
_WINDOW_S = 86_400.0


@router.get("/{recording_id}/map")
async def read_map(
    request: Request, asker: Annotated[Asker, Depends(require("recordings.list"))], recording_id: str
) -> MapOut:
    """What of the recording is on record, what is missing and why, and what the reader may play of it now."""
    doors: Doors = request.app.state.doors
    async with record_of(request).store.reading() as connection:
        recording = await reached_recording(connection, asker.within, recording_id)
        spans = await playable(connection, asker.principal.by, recording_id, _now_us(doors))
    found = await anyio.to_thread.run_sync(doors.playback.contents, _folder(doors, recording))
    mimes = {f'video/mp4; codecs="{", ".join(each.codecs)}"': None for each in found.segments}
    return MapOut(
        recording_id=recording_id, stream_id=recording.stream_id, device_name=found.recording.device_name,
        started_at=rfc3339(recording.started_us / 1e6), length_s=found.length_s, is_ended=found.is_ended,
        mimes=list(mimes),
        segments=[SpanOut(start_s=each.first_pts_s, end_s=each.end_s) for each in found.segments],
        gaps=[GapOut(start_s=each.start_s, end_s=each.end_s, cause=str(each.cause)) for each in found.gaps],
        allowed=[SpanOut(start_s=low / 1000, end_s=high / 1000) for low, high in spans],
    )  # fmt: skip


@router.head("/{recording_id}/media", include_in_schema=False)
@router.get("/{recording_id}/media", response_class=StreamingResponse)
async def play(
    request: Request,
    asker: Player,
    recording_id: str,
    start: Annotated[float, Query(ge=0, le=1e7)] = 0.0,
    end: Annotated[float | None, Query(gt=0, le=1e7)] = None,
) -> Response:
    """The span of the recording (seconds of its axis) as one fragmented MP4; ranges of bytes may be asked for.

    Only with an approval in force that names all of the span; 403 without one. Its first picture is the key frame at
    or before `start`, where the approval reaches back to it; `X-Media-Start` says which second the file's time 0 is.
    What is sent is logged, to the second. It stops within a second of the approval's end. The file says whose it is.
    """
    doors: Doors = request.app.state.doors
    recording, approval, end_s = await _allowed(doors, asker, recording_id, start, end)
    must_be_logged(request)
    folder = _folder(doors, recording)
    note = f"OnRecord playback; recording {recording_id}; approval {approval.approval_id}; viewer {asker.principal.by}"
    span = await anyio.to_thread.run_sync(doors.playback.span, folder, start, end_s, approval.start_ms / 1000, note)
    headers = {
        "Accept-Ranges": "bytes", "ETag": f'"{span.etag}"', "X-Media-Start": f"{span.start_s:.4f}",
        "X-Media-End": f"{span.end_s:.4f}", "Cache-Control": "no-store",
    }  # fmt: skip
    first, last, status = 0, span.size_bytes - 1, 200
    asked = request.headers.get("range")
    if asked is not None and request.headers.get("if-range", headers["ETag"]) == headers["ETag"]:
        first, last = _range(asked, span.size_bytes)
        headers["Content-Range"] = f"bytes {first}-{last}/{span.size_bytes}"
        status = 206
    headers["Content-Length"] = str(last - first + 1)
    if request.method == "HEAD":
        return Response(None, status, headers, span.mime)
    view = doors.playbacks.view(asker.principal, recording, approval)
    cut = request.scope.get("extensions", {}).get(CUT, lambda: None)
    body = _sent(doors, asker, view, folder, span, first, last, cut)
    return StreamingResponse(body, status, headers, span.mime)


@router.get("/{recording_id}/still.jpg", response_class=Response)
async def still(
    request: Request, asker: Player, recording_id: str, at: Annotated[float, Query(ge=0, le=1e7)]
) -> Response:
    """The picture that the recording shows at the second `at` of its axis, at full size, as JPEG.

    Only with an approval in force that names this moment. The file says who took it and when; each one is an event
    with its hash. 404 where nothing is on record.
    """
    doors: Doors = request.app.state.doors
    recording, approval, _ = await _allowed(doors, asker, recording_id, at, at + 0.001)
    must_be_logged(request)
    actor = actor_of(request, asker.principal)
    comment = (
        f"OnRecord still; recording {recording_id}; second {at:.3f}; approval {approval.approval_id}; "
        f"taken by {actor.by} at {rfc3339(actor.now_us / 1e6)}"
    )
    jpeg = await doors.stills.take(_folder(doors, recording), at, comment)
    sha256 = hashlib.sha256(jpeg).hexdigest()
    body: dict[str, JsonValue] = {
        "approval_id": approval.approval_id, "sha256": sha256, "size_bytes": len(jpeg), "why": approval.purpose,
        "media": {"recording_id": recording_id, "start_s": at, "end_s": at}, "by_name": actor.name,
    }  # fmt: skip
    taken = Fact(
        event_id=derived_event_id("StillTaken", recording_id, actor.by, actor.now_us, sha256), kind="StillTaken",
        at_us=actor.now_us, stream_id=recording.stream_id, by=actor.by, body=body,
    )  # fmt: skip
    await doors.record.open.appender.append([taken])
    name = f"{recording_id}-{at:.3f}.jpg"
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(jpeg, 200, headers, "image/jpeg")


async def _allowed(
    doors: Doors, asker: Asker, recording_id: str, start_s: float, end_s: float | None
) -> tuple[Recording, Approval, float]:
    """Raises: ThingUnknown: out of reach. HTTPException 403: no approval names the span. HTTPException 416."""
    async with doors.record.open.store.reading() as connection:
        reach = within(doors, asker.principal, "recordings.list")
        recording = await reached_recording(connection, reach, recording_id)
        spans = await playable(connection, asker.principal.by, recording_id, _now_us(doors))
        if end_s is None:
            end_s = max((high / 1000 for low, high in spans if low <= start_s * 1000 < high), default=start_s + 1)
        if not start_s < end_s <= start_s + _WINDOW_S:
            raise HTTPException(416, "end must lie behind start, by a day at most")
        try:
            approval = await in_force(
                connection, asker.principal.by, recording_id, math.floor(start_s * 1000), math.ceil(end_s * 1000),
                _now_us(doors),
            )  # fmt: skip
        except ThingUnknown as error:
            raise HTTPException(403, f"{error}; ask for one (POST /api/v1/approvals)") from error
    if doors.playbacks.is_over(approval):
        raise HTTPException(403, "the approval is over; ask for another one")
    return recording, approval, end_s


async def _sent(
    doors: Doors, asker: Asker, view: View, folder: Path, span: Span, first: int, last: int, cut: Callable[[], None]
) -> AsyncIterator[bytes]:
    """The bytes, while the right lasts. Where it ends, the connection is cut, short of what it promised."""
    chunks = doors.playback.media(folder, span, first, last)
    looked_s = anyio.current_time()
    view.sending += 1
    try:
        while (chunk := await anyio.to_thread.run_sync(next, chunks, None)) is not None:
            if anyio.current_time() - looked_s > _LOOK_S:
                looked_s = anyio.current_time()
                if reason := await _ended(doors, asker, view):
                    doors.playbacks.cut(view, reason)
            if view.is_over:
                cut()
                return
            data, from_s, until_s = chunk
            view.sent(from_s, until_s)
            yield data
    except (EvidenceError, StorageError) as error:
        log.warning("playback broke off", recording_id=view.recording.recording_id, reason=str(error))
        raise
    finally:
        view.sending -= 1


async def _ended(doors: Doors, asker: Asker, view: View) -> str:
    """Why no more may be sent; empty: it may."""
    if doors.runtime.outbox.is_failed:
        return "views cannot be logged now"
    try:
        principal = doors.access.named(asker.principal.principal_id)
        if principal is None:
            return "the right to play was withdrawn"
        approval = view.approval
        async with doors.record.open.store.reading() as connection:
            reach = within(doors, principal, "recordings.list")
            await reached_recording(connection, reach, view.recording.recording_id)
            await in_force(
                connection, principal.by, view.recording.recording_id, approval.start_ms, approval.end_ms,
                _now_us(doors),
            )  # fmt: skip
    except (ThingUnknown, HTTPException):
        return "the right to play was withdrawn"
    except (StoreUnavailable, StorageError):
        return "rights cannot be read now"
    return "the approval is over" if doors.playbacks.is_over(approval) else ""


def _range(asked: str, size: int) -> tuple[int, int]:
    """First and last byte. Source: RFC 9110, 14.1.2. Raises: HTTPException 416: it lies outside, or names several."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None:
        raise HTTPException(416, "one range of bytes is served", {"Content-Range": f"bytes */{size}"})
    if found[3] is not None:
        first, last = max(0, size - int(found[3])), size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    if first > last:
        raise HTTPException(416, "the range lies outside of the file", {"Content-Range": f"bytes */{size}"})
    return first, last


def _folder(doors: Doors, recording: Recording) -> Path:
    return folder_of(doors.runtime.settings.data, recording)


def _now_us(doors: Doors) -> int:
    return microseconds(doors.runtime.clock.utc_s())
