"""The shapes of uploads."""

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.record import at_of
from cases.uploads.parts import Upload


class UploadOut(BaseModel):
    upload_id: str
    state: Literal["open", "taking", "taken", "duplicate", "refused"]
    reason: str = Field(description="Why it was refused, or what of it could not be recorded.")
    name: str
    case_id: str | None
    device_id: str
    size_bytes: int
    offset: int = Field(description="Bytes that are on the server's disk.")
    type: str = Field(description="What the file is by its bytes; empty until it is whole.")
    sha256: str
    item_id: str | None
    recording_id: str | None
    same_as: str | None = Field(description="Of a duplicate: the upload that brought the file before.")
    created_at: str
    expires_at: str


class UploadsOut(BaseModel):
    items: list[UploadOut]
    next_cursor: str | None = None


def upload_out(upload: Upload) -> UploadOut:
    return UploadOut.model_validate(
        {
            "upload_id": upload.upload_id, "state": upload.state, "reason": upload.reason, "name": upload.name,
            "case_id": upload.case_id, "device_id": upload.device_id, "size_bytes": upload.size_bytes,
            "offset": upload.offset, "type": upload.mime, "sha256": upload.sha256, "item_id": upload.item_id,
            "recording_id": upload.recording_id, "same_as": upload.same_as, "created_at": at_of(upload.created_us),
            "expires_at": at_of(upload.expires_us),
        }
    )  # fmt: skip
