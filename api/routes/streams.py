"""Live streams: the list, tickets to watch them, and the last picture."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.asking import must_be_logged
from api.doors import Doors
from api.permissions import Asker, require
from api.schemas.streams import StreamsOut, TicketIn, TicketOut, stream_out
from cases.casework import values
from pipeline.clock import rfc3339
from pipeline.errors import StreamUnknown
from pipeline.hub import Stream

router = APIRouter()


@router.get("/api/v1/streams")
async def list_streams(
    request: Request,
    asker: Annotated[Asker, Depends(require("streams.list"))],
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    cursor: Annotated[str, Query(max_length=100)] = "",
) -> StreamsOut:
    """Streams that are live, reconnecting, or ended within the last ten minutes, oldest first."""
    doors: Doors = request.app.state.doors
    rights, principal = doors.live_rights, asker.principal
    visible = [each for each in doors.runtime.streams() if rights.may(principal, "streams.list", each)]
    streams = sorted(visible, key=lambda stream: stream.stream_id)
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
    request: Request,
    stream_id: str,
    asker: Annotated[Asker, Depends(require("streams.watch"))],
    wanted: TicketIn | None = None,
) -> TicketOut:
    """A ticket to begin watching this stream within a minute, once."""
    doors: Doors = request.app.state.doors
    stream = _known(doors, asker, stream_id)
    why = "duty" if wanted is None else values.name("why", wanted.why, 200)
    ticket, expires_at = doors.tickets.issue(asker.principal.principal_id, stream.stream_id, why)
    return TicketOut(ticket=ticket, expires_at=rfc3339(expires_at))


@router.get("/live/{stream_id}/snapshot.jpg", response_class=Response)
async def snapshot(
    request: Request, stream_id: str, asker: Annotated[Asker, Depends(require("streams.watch"))]
) -> Response:
    """The stream's last key frame as JPEG, at most 1280 wide; `X-Captured-At` says when it arrived here."""
    doors: Doors = request.app.state.doors
    stream = _known(doors, asker, stream_id)
    must_be_logged(request)
    jpeg, captured_at = await doors.runtime.snapshots.of(stream)
    headers = {"Cache-Control": "no-store", "X-Captured-At": rfc3339(captured_at)}
    return Response(jpeg, media_type="image/jpeg", headers=headers)


def _known(doors: Doors, asker: Asker, stream_id: str) -> Stream:
    """Raises: StreamUnknown: there is none within reach."""
    stream = doors.runtime.stream(stream_id)
    if stream is None or not doors.live_rights.may(asker.principal, "streams.watch", stream):
        raise StreamUnknown("no such stream")
    return stream
