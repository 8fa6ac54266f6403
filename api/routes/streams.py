"""Live streams: the list, tickets to watch them, and the last picture."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.doors import Doors
from api.permissions import require
from api.schemas.streams import StreamsOut, TicketOut, stream_out
from cases.access import Principal
from pipeline.clock import rfc3339
from pipeline.errors import StreamUnknown
from pipeline.hub import Stream

router = APIRouter()


@router.get("/api/v1/streams")
async def list_streams(
    request: Request,
    _: Annotated[Principal, Depends(require("streams.list"))],
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    cursor: Annotated[str, Query(max_length=100)] = "",
) -> StreamsOut:
    """Streams that are live, reconnecting, or ended within the last ten minutes, oldest first."""
    doors: Doors = request.app.state.doors
    streams = sorted(doors.runtime.streams(), key=lambda stream: stream.stream_id)
    page = [stream for stream in streams if stream.stream_id > cursor][: limit + 1]
    more = len(page) > limit
    page = page[:limit]
    return StreamsOut(
        items=[stream_out(stream) for stream in page],
        next_cursor=page[-1].stream_id if more else None,
        now=rfc3339(doors.runtime.clock.utc_s()),
    )


@router.post("/api/v1/streams/{stream_id}/ticket", status_code=201)
async def issue_ticket(
    request: Request, stream_id: str, principal: Annotated[Principal, Depends(require("streams.watch"))]
) -> TicketOut:
    """A ticket to begin watching this stream within a minute, once."""
    doors: Doors = request.app.state.doors
    ticket, expires_at = doors.tickets.issue(principal.principal_id, _known(doors, stream_id).stream_id)
    return TicketOut(ticket=ticket, expires_at=rfc3339(expires_at))


@router.get("/live/{stream_id}/snapshot.jpg", response_class=Response)
async def snapshot(
    request: Request, stream_id: str, _: Annotated[Principal, Depends(require("streams.watch"))]
) -> Response:
    """The stream's last key frame as JPEG, at most 1280 wide; `X-Captured-At` says when it arrived here."""
    doors: Doors = request.app.state.doors
    jpeg, captured_at = await doors.runtime.snapshots.of(_known(doors, stream_id))
    headers = {"Cache-Control": "no-store", "X-Captured-At": rfc3339(captured_at)}
    return Response(jpeg, media_type="image/jpeg", headers=headers)


def _known(doors: Doors, stream_id: str) -> Stream:
    stream = doors.runtime.stream(stream_id)
    if stream is None:
        raise StreamUnknown("no such stream")
    return stream
