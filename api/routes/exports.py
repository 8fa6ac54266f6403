"""Cases as zips that prove themselves: asked for, made in their turn, fetched."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse

from api.asking import actor_of, must_be_logged, record_of
from api.permissions import Asker, require
from api.schemas.record import ExportOut, export_out
from cases.casework.approvals import copy_in_force
from cases.export.jobs import Job
from cases.reach import reached_case
from pipeline.errors import ThingUnknown

router = APIRouter(prefix="/api/v1")
Exporter = Annotated[Asker, Depends(require("cases.export"))]


@router.post("/cases/{case_id}/exports", status_code=202)
async def ask_for_export(request: Request, asker: Exporter, case_id: str) -> ExportOut:
    """The case as it is now, signed for this; only with an approval to copy it.

    Ask for the export until its state is "done" or "failed"."""
    record = record_of(request)
    async with record.store.reading() as connection:
        case = await reached_case(connection, asker.within, case_id)
        actor = actor_of(request, asker.principal)
        try:
            await copy_in_force(connection, actor.by, case_id, actor.now_us)
        except ThingUnknown as error:
            raise HTTPException(403, f"{error}; ask for one (POST /api/v1/approvals)") from error
    must_be_logged(request)
    return export_out(record.exports.ask(case.case_id, actor))


@router.get("/exports/{export_id}")
async def read_export(request: Request, asker: Exporter, export_id: str) -> ExportOut:
    return export_out(_own(request, asker, export_id))


@router.get("/exports/{export_id}/file")
async def fetch_export(request: Request, asker: Exporter, export_id: str) -> FileResponse:
    """The zip, for a day; ranges may be asked for."""
    must_be_logged(request)
    path = record_of(request).exports.file_of(_own(request, asker, export_id))
    return FileResponse(path, media_type="application/zip", filename=path.name)


def _own(request: Request, asker: Asker, export_id: str) -> Job:
    """Whoever asked for an export fetches it, and nobody else. Raises: ThingUnknown."""
    job = record_of(request).exports.find(export_id)
    if job.actor.by != asker.principal.by:
        raise ThingUnknown("no such export; it is remembered until the server stops")
    return job
