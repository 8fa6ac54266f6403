"""Publishing by HTTP: a device POSTs or PUTs one endless body of MPEG-TS, FLV or fragmented MP4."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect

from api.doors import Doors
from api.permissions import BY_STREAM_KEY
from api.schemas.ingest import PushOut
from pipeline.errors import ProtocolError
from pipeline.ingest.push import PushSession
from pipeline.publishing import DevicePublication

router = APIRouter()


@router.put("/ingest/{stream_key}", tags=[BY_STREAM_KEY])
@router.post("/ingest/{stream_key}", tags=[BY_STREAM_KEY], include_in_schema=False)
async def push(request: Request, stream_key: str) -> PushOut:
    """Publish the body as it comes; the answer stands when it has ended. A body that breaks off may be resumed.

    401 for an unknown key, 409 while the device publishes elsewhere, 415 for what we cannot carry.
    """
    doors: Doors = request.app.state.doors
    publications = doors.runtime.publications
    address = request.client.host if request.client is not None else ""
    opened: list[DevicePublication] = []

    def open_door(session: PushSession) -> DevicePublication:
        opened.append(publications.open(stream_key, address, session.kick))
        return opened[0]

    with doors.runtime.pushes.session(open_door) as session:
        await session.run(_body(request), request.headers.get("content-type", ""))
    stream = opened[0].stream
    return PushOut(
        stream_id=stream.stream_id if stream is not None else "",
        seconds=round(session.media_s, 3),
        packets=session.packets,
    )


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for data in request.stream():
            if data:
                yield data
    except ClientDisconnect as error:
        raise ProtocolError("the connection closed before the body ended") from error
