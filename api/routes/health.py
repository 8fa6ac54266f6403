"""What machines ask: is it alive, is it ready, how is it doing, and what does it offer."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse

from api import examples
from api.doors import Doors
from api.metrics import render
from api.permissions import PUBLIC, require
from api.problems import problem
from cases.access import Principal

router = APIRouter()
DOCS_PAGE = Path(__file__).resolve().parents[2] / "web" / "dist" / "docs.html"


@router.get("/livez", tags=[PUBLIC])
async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", tags=[PUBLIC])
async def readyz(request: Request) -> Response:
    """Publishers are taken and the recorder writes. 503 says why not."""
    doors: Doors = request.app.state.doors
    if not doors.runtime.is_ready:
        return problem(503, "the media side is starting or stopping", "try again in a second")
    if doors.runtime.recorder.is_failed:
        return problem(
            503, "the recorder cannot write", "free disk space or mend the disk; recording goes on by itself"
        )
    if doors.runtime.outbox.is_failed:
        return problem(503, "facts cannot be written", "free disk space or mend the disk; they wait in memory")
    if doors.record.refusal:
        return problem(503, "the record is closed", "see the server's log; recording goes on, facts wait in the outbox")
    if doors.record.open.heads.refusal:
        return problem(
            503, "the log of the record is in doubt", "see the server's log and docs/custody.md; call for help"
        )
    return JSONResponse({"status": "ready"})


@router.get("/metrics", tags=[PUBLIC], response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus text. Labels are opaque ids: no name, no officer, no key."""
    doors: Doors = request.app.state.doors
    return Response(
        render(doors.runtime, doors.crowd, doors.workers, doors.record.judging, doors.faces),
        media_type="text/plain; version=0.0.4; charset=utf-8",
    )


@router.get("/api/docs", include_in_schema=False)
async def docs(_: Annotated[Principal, Depends(require("schema.read"))]) -> Response:
    """The same to read and to try, in a browser that is signed in. Comes from this server alone."""
    if not DOCS_PAGE.is_file():
        return PlainTextResponse("The web pages are not built yet: run 'make setup'.\n", 503)
    return FileResponse(DOCS_PAGE)


@router.get("/api/openapi.json", include_in_schema=False)
async def openapi(request: Request, _: Annotated[Principal, Depends(require("schema.read"))]) -> JSONResponse:
    """The schema of this API, with examples in both languages."""
    return JSONResponse(examples.put_in(request.app.openapi()))
