"""Cases as zips that prove themselves: asked for, made in their turn, fetched."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse

from api.asking import actor_of, record_of
from api.permissions import require
from api.schemas.record import ExportOut, export_out
from cases.access import Principal
from cases.casework.rows import the_case

router = APIRouter(prefix="/api/v1")
Exporter = Annotated[Principal, Depends(require("cases.export"))]


@router.post("/cases/{case_id}/exports", status_code=202)
async def ask_for_export(request: Request, principal: Exporter, case_id: str) -> ExportOut:
    """The case as it is now, signed for this. Ask for the export until its state is "done" or "failed"."""
    record = record_of(request)
    async with record.store.reading() as connection:
        case = await the_case(connection, case_id)
    return export_out(record.exports.ask(case.case_id, actor_of(request, principal)))


@router.get("/exports/{export_id}")
async def read_export(request: Request, _: Exporter, export_id: str) -> ExportOut:
    return export_out(record_of(request).exports.find(export_id))


@router.get("/exports/{export_id}/file")
async def fetch_export(request: Request, _: Exporter, export_id: str) -> FileResponse:
    """The zip, for a day; ranges may be asked for."""
    exports = record_of(request).exports
    path = exports.file_of(exports.find(export_id))
    return FileResponse(path, media_type="application/zip", filename=path.name)
